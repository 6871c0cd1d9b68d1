package main

// ofStalls are about consumers who get no token or no conversation.
var ofStalls = []mutant{
	{
		name: "who gets no token or conversation holds up everybody",
		file: "bridge/relay/toliveperson.go", old: "= lane.SaysNothing, time.Now().Add(max(pause, v.RetryAfter)), 0", broken: "= lane.SaysDown, time.Now().Add(max(pause, v.RetryAfter)), 0",
		packages: engine, run: "OutageOfTokens|AloneGetNoToken",
	},
	{
		name: "all who have no token ask at once",
		file: "bridge/relay/stalls.go", old: "if s.row >= stallCrowd && now.Sub(s.asked) < stallPace {", broken: "if s.row >= 1<<30 && now.Sub(s.asked) < stallPace {",
		packages: engine, run: "AskInTurn",
	},
	{
		name: "who alone gets no token asks as often as anybody",
		file: "bridge/relay/stalls.go", old: "lane.RetryPause(x.against)", broken: "lane.RetryPause(0 * x.against)",
		packages: engine, run: "AloneGetNoToken",
	},
	{
		name: "the first who gets a conversation wakes nobody",
		file: "bridge/relay/stalls.go", old: "\t\tcase x.against == 0:\n", broken: "\t\tcase x.against < 0:\n",
		packages: engine, run: "OutageOfTokens|AskInTurn",
	},
	{
		name: "an outage of LivePerson's tokens is held against each consumer",
		file: "bridge/relay/stalls.go", old: "\tif s.passed > x.passed {\n", broken: "\tif s.passed >= x.passed {\n",
		packages: engine, run: "OutageOfTokens|AsLongAsAnything",
	},
	{
		name: "a conversation that is found counts as none",
		file: "bridge/relay/opening.go", old: "\to.stalls.through(key.Lane(bridge.ToLivePerson))\n", broken: "",
		packages: engine, run: "OpenEndsAStall",
	},
}
