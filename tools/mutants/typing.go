package main

// ofTyping are about the typing clock.
var ofTyping = []mutant{
	{
		name: "composing is told before its mark is on disk",
		file: "bridge/relay/typing/marks.go", old: "case c.cfg.Marks.SetMark(ctx, ready.mark) != nil:", broken: "case ctx == nil:",
		packages: typing, run: "TypingTimelines|Lives",
	},
	{
		name: "composing is told although its mark could not be written",
		file: "bridge/relay/typing/marks.go", old: "\t\tready.drop = dropUnmarked\n", broken: "",
		packages: typing, run: "TypingTimelines|Lives",
	},
	{
		name: "typing that an earlier process told stays for ever",
		file: "bridge/relay/typing/marks.go", old: "\t\tl.state, l.due = stateEnding, at\n", broken: "\t\tl.state, l.due = stateDark, at\n",
		packages: append([]string{"./bridge/relay"}, typing...), run: "TypingTimelines|Lives|CrashWhileComposing",
	},
	{
		name: "a composing that began before a message overtakes it",
		file: "bridge/relay/typing/lease.go", old: "\t\tif l.thread.pending == 0 {\n", broken: "\t\tif l.thread.pending >= 0 {\n",
		packages: typing, run: "TypingTimelines|Lives",
	},
	{
		name: "the end of typing is not told after a message",
		file: "bridge/relay/typing/lease.go", old: "\tcase stateOwing, stateEnding, stateClearing, stateParked:\n\t\tl.clearAt(now)\n", broken: "\tcase stateEnding, stateClearing, stateParked:\n\t\tl.clearAt(now)\n",
		packages: typing, run: "TypingTimelines|Lives",
	},
	{
		name: "typing nobody repeats is shown for ever",
		file: "bridge/relay/typing/lease.go", old: "\tl.shows = showsNothing\n\tl.dark()\n", broken: "\tl.dark()\n",
		packages: typing, run: "TypingTimelines|Lives",
	},
	{
		name: "stale composing is told after a pause",
		file: "bridge/relay/typing/lease.go", old: "case !l.thread.side.source.Sticky && now.Sub(l.heard()) > l.thread.side.fresh:", broken: "case !l.thread.side.source.Sticky && now.Sub(l.heard()) > 1000*l.thread.side.fresh:",
		packages: typing, run: "TypingTimelines|Lives",
	},
	{
		name: "a device that stops ends the typing of another",
		file: "bridge/relay/typing/lease.go", old: "if l.typists[i].id == id {", broken: "if l.typists[i].id == id || id != \"\" {",
		packages: typing, run: "TypingTimelines|Lives",
	},
	{
		name: "a composing that is wanted by nobody any more is told",
		file: "bridge/relay/typing/lease.go", old: "\t\tl.withdrawn()\n\t\tif l.lit() {\n", broken: "\t\tif l.lit() || l.want() == bridge.Stopped {\n",
		packages: typing, run: "TypingTimelines|Lives",
	},
	{
		name: "an agent's message does not end their typing in the same notification",
		file: "bridge/relay/agents.go", old: "return c.thread == key && c.agent.ID == agent })", broken: "return c.thread == key && c.agent.ID == agent && agent == \"\" })",
		packages: engine, run: "TypingBeforeAMessage",
	},
	{
		name: "typing of an agent who left goes on",
		file: "bridge/relay/conversations.go", old: "return len(present) == 0 || there[id]", broken: "return true || there[id]",
		packages: engine, run: "WhoLeft",
	},
	{
		name: "typing of a former conversation shows in the present one",
		file: "bridge/relay/agents.go", old: "if t == nil || t.Conversation != owner.ID || !owner.Open {", broken: "if t == nil {",
		packages: engine, run: "Former|Typing",
	},
	{
		name: "what is shown in a conversation that the thread left stays there",
		file: "bridge/relay/typing/marks.go", old: "\tleft.state, left.shows, left.end = stateEnding, showsUnknown, bridge.Stopped\n", broken: "\tleft.state, left.shows, left.end = stateDark, showsNothing, bridge.Stopped\n",
		packages: append([]string{"./bridge/relay"}, typing...), run: "TypingTimelines|Lives|TypingGoesWith",
	},
	{
		name: "typing that nobody renewed ends a moment after its time",
		file: "bridge/relay/typing/typist.go", old: "func(p *typist) bool { return !now.Before(p.until) })", broken: "func(p *typist) bool { return now.After(p.until) })",
		packages: typing, run: "TypingTimelines|Lives",
	},
	{
		name: "the end of typing that waits for its message is told a moment too late",
		file: "bridge/relay/typing/lease.go", old: "if l.state == stateOwing && !now.Before(l.due) {", broken: "if l.state == stateOwing && now.After(l.due.Add(time.Second)) {",
		packages: typing, run: "TypingTimelines|Lives",
	},
	{
		name: "a channel that was told of typing before a kill is never told the end",
		file: "bridge/relay/typing.go", old: "; !attached && row.Direction == bridge.ToChannel {", broken: "; attached && row.Direction == bridge.ToChannel {",
		packages: engine, run: "ToldTheEndAfterACrash",
	},
	{
		name: "typing goes on in a survey, which takes no chat states",
		file: "bridge/relay/conversations.go", old: "\tif !now.TakesChatStates() {\n", broken: "\tif now == nil {\n",
		packages: engine, run: "Survey|Marks|Typing",
	},
}
