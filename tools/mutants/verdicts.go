package main

// ofVerdicts are about how deliveries end.
var ofVerdicts = []mutant{
	{
		name: "what a proxy refused but may have passed on is sent again at once",
		file: "bridge/relay/toliveperson.go", old: "if o == bridge.Retry && e.Kind == bridge.KindMessage && mayHaveArrived(err) {", broken: "if o == bridge.Retry && e.Kind == bridge.KindClick && mayHaveArrived(err) {",
		packages: engine, run: "ErrorAfterApplying",
	},
	{
		name: "nobody is told of a message that will not arrive",
		file: "bridge/relay/verdict.go", old: "\t\tv.Follow = b.tellFailure(e)\n", broken: "\t\tv.Follow = nil\n",
		packages: engine, run: "DeadLetterIsTold|ChannelIsTold",
	},
	{
		name: "messages are tried for ever",
		file: "bridge/relay/verdict.go", old: "if now.Sub(e.Accepted) > b.opts.DeadLetterAfter {", broken: "if now.Sub(e.Accepted) > 1000*b.opts.DeadLetterAfter {",
		packages: engine, run: "Undeliverable",
	},
	{
		name: "what was cut off by the end of the process counts as an attempt",
		file: "bridge/relay/verdict.go", old: "v.Uncounted, v.Next, v.Sign = o != bridge.Unknown, time.Time{}, lane.SaysNothing", broken: "v.Uncounted, v.Next, v.Sign = false, time.Time{}, lane.SaysDown",
		packages: engine, run: "CutOff",
	},
	{
		name: "a long text that is repeated arrives with its parts twice",
		file: "bridge/relay/accept.go", old: "part.ID = e.ID + bridge.EventID(partMark+strconv.Itoa(i))", broken: "part.ID = \"\"",
		packages: engine, run: "LongText|Attachments|SameEventTwice|RepeatedLong",
	},
	{
		name: "a rating goes to whatever conversation the thread has now",
		file: "bridge/relay/accept.go", old: "\t\tpart.Position.Conversation = rated.ID\n", broken: "\t\tpart.Position.Conversation = \"\"\n",
		packages: engine, run: "Rating",
	},
	{
		name: "an upload is not remembered before the message that names it",
		file: "bridge/relay/attachments.go", old: "\tif err := u.remember(ctx, m.entry, at); err != nil {\n", broken: "\tif err := error(nil); err != nil {\n",
		packages: engine, run: "File",
	},
	{
		name: "lives that no notification met end an absence",
		file: "bridge/relay/lane/replay.go", old: "\tr.Away = append(slices.Clip(r.Away), Absence{from, to})\n", broken: "\tr.Away = append(slices.Clip(r.Away[:0]), Absence{from, to})\n",
		packages: engine, run: "LivesThat",
	},
	{
		name: "an error of LivePerson's is believed not to have been applied",
		file: "connector/rules.go", old: "\"any other 5xx, whatever its body\", Unknown, ScopeBetween, MaybeApplied}", broken: "\"any other 5xx, whatever its body\", Retry, ScopeBetween, NotApplied}",
		packages: engine, run: "ErrorAfterApplying",
	},
}
