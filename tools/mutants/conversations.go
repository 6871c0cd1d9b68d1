package main

// ofConversations are about who holds a conversation, and how one is opened.
var ofConversations = []mutant{
	{
		name: "threads of one consumer open conversations at the same time",
		file: "bridge/relay/opening.go", old: "o.opening.lock(ctx, ext)", broken: "o.opening.lock(ctx, string(key.Thread))",
		packages: engine, run: "TakeTurns",
	},
	{
		name: "a conversation that was taken over stays with the thread it left",
		file: "bridge/relay/directory.go", old: "c.Channel, c.Thread, c.Announced = to.Channel, to.Thread, false", broken: "c.Announced = false",
		packages: engine, run: "TakeOver|ThirdThread|ConsumerInTwoThreads",
	},
	{
		name: "what could not be saved is believed to be on disk",
		file: "bridge/relay/directory.go", old: "\t\te.directory.forget(s)\n", broken: "\t\te.directory.keep(s)\n",
		packages: engine, run: "CouldNotBeSaved",
	},
	{
		name: "the positions of a thread that lost its conversation are not inherited by the one that took it over",
		file: "bridge/relay/echo.go", old: "\t\t\tkeys = append(keys, key)\n", broken: "\t\t\t_ = key\n",
		packages: engine, run: "LostTheConversation",
	},
	{
		name: "a thread that lost its conversation to another goes on writing into it",
		file: "bridge/relay/directory.go", old: "\tif holder.Conversation == c.ID {\n", broken: "\tif holder.Conversation == \"\" {\n",
		packages: engine, run: "TakeOver|ThirdThread|ConsumerInTwoThreads|FollowTheirConversation|TypingGoesWith",
	},
	{
		name: "a conversation that ended is believed to be open when the next one begins",
		file: "bridge/relay/directory.go", old: "if former != nil && former.Open {", broken: "if former != nil && !former.Open {",
		packages: engine, run: "NextConversationEnds",
	},
	{
		name: "who a consumer is in LivePerson is not stored before a conversation is asked for",
		file: "bridge/relay/opening.go", old: "\tt.ExtConsumer, t.LPConsumer = ext, string(id)\n", broken: "\tt.ExtConsumer, t.LPConsumer = ext, \"\"\n",
		packages: engine, run: "Greeting|LostConversationId|GreetingBefore|ThirdThread|MaskedEcho",
	},
	{
		name: "an opening whose answer was lost is not remembered",
		file: "bridge/relay/openings.go", old: "\tx.underWay, x.doubted = false, true\n", broken: "\tx.underWay, x.doubted = false, false\n",
		packages: engine, run: "OpeningWhose",
	},
	{
		name: "an opening that LivePerson refused stays in doubt, and foreign notifications are kept",
		file: "bridge/relay/openings.go", old: "if x.underWay = false; !x.doubted {", broken: "if x.underWay = false; x.doubted {",
		packages: engine, run: "RefusedOpening",
	},
	{
		name: "what came before its conversation was known is not taken when it is",
		file: "bridge/relay/opening.go", old: "\treturn o.claimed(ctx, id)\n", broken: "\treturn nil\n",
		packages: engine, run: "AnswerThatNames",
	},
	{
		name: "a conversation whose answer was lost is not asked for",
		file: "bridge/relay/opening.go", old: "case err == nil && engagement.ConversationID != \"\":", broken: "case err == nil && engagement.ConversationID == \"none\":",
		packages: engine, run: "LostConversationId",
	},
	{
		name: "an older state of a conversation counts",
		file: "bridge/conversation.go", old: "case n.LastUpdate != 0 && n.LastUpdate < c.Updated:", broken: "case n.LastUpdate != 0 && n.LastUpdate < 0:",
		packages: engine, run: "OlderState",
	},
	{
		name: "of two conversations the one of which news came last is current",
		file: "bridge/relay/conversations.go", old: "if current != nil && current.Open && row.Began.Before(current.Began) {", broken: "if current != nil && !current.Open && row.Began.Before(current.Began) {",
		packages: engine, run: "OlderConversation",
	},
	{
		name: "a conversation that was refused is not left",
		file: "bridge/relay/verdict.go", old: "case e.Kind != bridge.KindMessage && conversationRefused(err):", broken: "case conversationRefused(err):",
		packages: engine, run: "Contradicts|Survey|LostConversationId|Forgot",
	},
	{
		name: "a message that a new conversation refuses too is tried without end",
		file: "bridge/relay/toliveperson.go", old: "\t\tcase again:\n", broken: "\t\tcase again && e.Attempts > 1000:\n",
		packages: engine, run: "EveryConversationRefuses",
	},
}
