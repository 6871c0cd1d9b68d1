package main

// ofStalls are about consumers who get no token or no conversation.
var ofStalls = []mutant{
	{
		name: "who gets no token or conversation holds up everybody",
		file: "bridge/relay/toliveperson.go", old: "\t\tv.Sign = lane.SaysNothing\n", broken: "\t\tv.Sign = lane.SaysDown\n",
		packages: engine, run: "OutageOfTokens|AloneGetsNoToken",
	},
	{
		name: "all who have no token ask at once",
		file: "bridge/relay/stalls.go", old: "if s.row >= stallCrowd && now.Sub(s.asked) < stallPace {", broken: "if s.row >= 1<<30 && now.Sub(s.asked) < stallPace {",
		packages: engine, run: "AskInTurn",
	},
	{
		name: "who alone gets no token waits for a day",
		file: "bridge/relay/stalls.go", old: "if x.against < stallTries || now.Sub(x.since) < stallTime {", broken: "if x.against < 1<<30 || now.Sub(x.since) < stallTime {",
		packages: engine, run: "AloneGetsNoToken",
	},
	{
		name: "the first who gets a conversation wakes nobody",
		file: "bridge/relay/stalls.go", old: "\t\tif x.against == 0 {\n", broken: "\t\tif x.against < 0 {\n",
		packages: engine, run: "OutageOfTokens|AskInTurn",
	},
	{
		name: "an outage of LivePerson's tokens makes dead letters",
		file: "bridge/relay/stalls.go", old: "if x.tries++; s.passed > x.passed {", broken: "if x.tries++; s.passed >= x.passed {",
		packages: engine, run: "OutageOfTokens|AsLongAsAnything",
	},
}
