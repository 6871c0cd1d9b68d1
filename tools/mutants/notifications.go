package main

// ofNotifications are about what LivePerson tells us.
var ofNotifications = []mutant{
	{
		name: "an echo does not ask the ledger",
		file: "bridge/relay/echo.go", old: "return len(there) > 0, err\n", broken: "return len(there) > 1000, err\n",
		packages: engine, run: "Echo",
	},
	{
		name: "the echo of a copy is taken for the next message in other words",
		file: "bridge/relay/echo.go", old: "\tif !sameWords && copied.awaited() || ", broken: "\tif ",
		packages: engine, run: "Copy",
	},
	{
		name: "the echo of a copy is taken for the next message in the same words",
		file: "bridge/relay/echo.go", old: " || e.path == \"\" && copied.another(doubted, n.copies.wordsOf(e.text)) {", broken: " {",
		packages: engine, run: "Copy",
	},
	{
		name: "what lies before the last message of a thread is taken for a later one",
		file: "bridge/relay/echo.go", old: "\treturn before >= e.sequence, err\n", broken: "\treturn before < -1, err\n",
		packages: engine, run: "Copy",
	},
	{
		name: "an echo that nobody can place yet is let go when it was looked at again",
		file: "bridge/relay/echo.go", old: "\te.postponed = true\n", broken: "",
		packages: engine, run: "EchoesAreKept",
	},
	{
		name: "a late echo is not that of the only message left, for others took each other's",
		file: "bridge/relay/echo.go", old: "\tif !copied.mayLie(sent{e.dialog, e.sequence}, sameWords, n.copies.wordsOf(e.text)) {", broken: "\tif copied != nil && !copied.mayLie(sent{e.dialog, e.sequence}, sameWords, n.copies.wordsOf(e.text)) {",
		packages: engine, run: "MessageThatIsLeft",
	},
	{
		name: "the echo of a message that was given up settles the next one in its words",
		file: "bridge/relay/toliveperson.go", old: "if v.Final == bridge.Dead && outcome == bridge.Unknown {", broken: "if v.Final == bridge.Dead && outcome == bridge.Invalid {",
		packages: engine, run: "GivenUp",
	},
	{
		name: "an echo does not tell which of two sendings arrived",
		file: "bridge/relay/copies.go", old: "\t\treturn !taken.Before(x.Doubted.Add(x.Sent.Sub(x.Doubted) / 2))\n", broken: "\t\treturn false\n",
		packages: engine, run: "HasNoCopy",
	},
	{
		name: "an orderly stop does not wait for what the journal is about to refuse",
		file: "bridge/relay/lane/stop.go", old: "for (s.running > 0 || anyUnanswered(s.byKey)) && ", broken: "for s.running > 0 && ",
		packages: lanes, run: "AboutToRefuse",
	},
	{
		name: "doubt that the journal refused is forgotten by an orderly stop",
		file: "bridge/relay/lane/finish.go", old: "\t\tif e.Doubt != nil {\n\t\t\ts.keepDoubt", broken: "\t\tif e.Doubt == nil {\n\t\t\ts.keepDoubt",
		packages: lanes, run: "Stop",
	},
	{
		name: "that a message is sent again is not written down",
		file: "bridge/relay/copies.go", old: "\tif doubted.IsZero() {\n\t\treturn nil\n", broken: "\tif doubted.IsZero() || lpConsumer != \"\" {\n\t\treturn nil\n",
		packages: engine, run: "Copy",
	},
	{
		name: "the echo of a file settles another of the same name",
		file: "bridge/relay/echo.go", old: "return uploaded != \"\" && entry.ID == uploaded", broken: "return true",
		packages: engine, run: "EchoOfAFile|LostAnswerOfAFile",
	},
	{
		name: "a consumer's own words come back to them where the role is missing",
		file: "bridge/relay/notifications.go", old: "return c.FromConsumer() || c.OriginatorID != \"\" && c.OriginatorID == owner.LPConsumer", broken: "return c.FromConsumer()",
		packages: engine, run: "EchoWithoutARole",
	},
	{
		name: "private notes of agents reach the consumer",
		file: "bridge/relay/notifications.go", old: "case c.Private():", broken: "case c.Private() && c.Sequence < 0:",
		packages: engine, run: "Private|ForEverybody",
	},
	{
		name: "changes of one notification are taken in the order in which they stand",
		file: "connector/decode.go", old: "int(max(-1, min(1, a.Sequence-b.Sequence)))", broken: "0",
		packages: []string{"./connector", "./bridge/relay"}, run: "BySequence|InSequence",
	},
	{
		name: "what was kept of a conversation is replayed in the order in which it came",
		file: "bridge/relay/unclaimed.go", old: "\tsortBySequence(events)\n\tvar in intake\n", broken: "\tvar in intake\n",
		packages: engine, run: "Greeting",
	},
	{
		name: "notifications of foreign conversations are kept although nothing is being opened",
		file: "bridge/relay/openings.go", old: "return len(o.byConsumer) > 0 || time.Now().Before(o.suspect)", broken: "return true",
		packages: engine, run: "Foreign",
	},
	{
		name: "what nobody claims is never let go",
		file: "bridge/relay/unclaimed.go", old: "\t\t\tcase time.Since(u.Received) > keep:\n", broken: "\t\t\tcase time.Since(u.Received) > 1000*keep:\n",
		packages: engine, run: "WhatNobodyClaims",
	},
	{
		name: "too many unclaimed changes make LivePerson repeat the whole notification",
		file: "bridge/relay/notifications.go", old: "if err != nil && n.full(err, in) {", broken: "if err != nil && n.full(err, in) && len(in.batch.Entries) > 1000 {",
		packages: engine, run: "TooMuchUnclaimed",
	},
	{
		name: "a notification is answered before the journal has it",
		file: "bridge/relay/notifications.go", old: "\tif err := n.take(ctx, body); err != nil {\n", broken: "\tif err := n.take(ctx, body); err != nil && len(body) > 1<<30 {\n",
		packages: engine, run: "NotAnsweredBefore",
	},
	{
		name: "a notification of another account is believed",
		file: "bridge/relay/notifications.go", old: "if got := h.Get(is.header); got != \"\" && got != is.want {", broken: "if got := h.Get(is.header); got != \"\" && is.want == \"\" {",
		packages: engine, run: "OnlyWhatIsNotLivePersons",
	},
	{
		name: "a state is told again with each repeated notification",
		file: "bridge/relay/conversations.go", old: "string(s.Conversation), strconv.FormatInt(c.LastUpdate, 10)}", broken: "string(s.Conversation), strconv.FormatInt(time.Now().UnixNano(), 10)}",
		packages: engine, run: "Joined|Misbehaving|Reordered|CrashInATakeOver|CouldNotBeSaved",
	},
	{
		name: "an agent is not told that a channel takes no messages",
		file: "bridge/relay/agents.go", old: "return in.append(owner.Holder(), bridge.ToLivePerson, receiptFor(owner.Thread, eventID(c), bridge.ReceiptFailed))", broken: "return nil",
		packages: engine, run: "ChannelTakesNoMessages",
	},
	{
		name: "nobody is told of an event of a kind we do not know",
		file: "bridge/relay/agents.go", old: "int64(c.Sequence))\n\treturn n.deny(in, owner, c)\n}", broken: "int64(c.Sequence))\n\treturn nil\n}",
		packages: engine, run: "TypesInAnotherCase",
	},
	{
		name: "what an event is depends on its case",
		file: "connector/contents.go", old: "if strings.EqualFold(strings.TrimSpace(name), known) {", broken: "if name == known {",
		packages: engine, run: "InAnotherCase",
	},
	{
		name: "the words of a copy can be found out by trying",
		file: "bridge/relay/copies.go", old: "mac := hmac.New(sha256.New, c.key())", broken: "mac := hmac.New(sha256.New, nil)",
		packages: engine, run: "WordsOfACopy",
	},
	{
		name: "what an earlier version wrote of a copy is not understood",
		file: "bridge/relay/copies.go", old: "return written == w.keyed || written == w.former", broken: "return written == w.keyed",
		packages: engine, run: "WordsOfACopy",
	},
}
