package main

// ofLanes are about the queues of threads.
var ofLanes = []mutant{
	{
		name: "the next delivery begins before the outcome of the one before is on disk",
		file: "bridge/relay/lane/set.go", old: "\tif len(l.open) > 0 {\n", broken: "\tif len(l.open) > 1000 {\n",
		packages: lanes, run: "OutcomeIsOnDisk",
	},
	{
		name: "a delivery begins before that is on disk",
		file: "bridge/relay/lane/doubt.go", old: "\tif e.Begun || !doubtful(e) {\n", broken: "\tif e.Begun || doubtful(e) {\n",
		packages: append([]string{"./bridge/relay"}, lanes...), run: "LanesDeliverOnce|CrashInMidAttempt|Absence",
	},
	{
		name: "doubt that stands on disk is not believed",
		file: "bridge/relay/lane/load.go", old: "\t\ts.hold(l, e)\n", broken: "\t\te.Doubt = nil\n\t\ts.hold(l, e)\n",
		packages: append([]string{"./bridge/relay"}, lanes...), run: "LanesDeliverOnce|CrashInMidAttempt|Doubt",
	},
	{
		name: "doubt ends with the wait, whatever LivePerson's replay has yet to bring",
		file: "bridge/relay/lane/reach.go", old: "\t\tlater(by)\n", broken: "",
		packages: engine, run: "Absence",
	},
	{
		name: "a wait for an echo begins anew with each start",
		file: "bridge/relay/lane/reach.go", old: "\tuntil := happened\n", broken: "\tuntil := time.Now()\n",
		packages: engine, run: "DoubtEnds",
	},
	{
		name: "what is sent before LivePerson's next try is not held up by what it kept",
		file: "bridge/relay/lane/reach.go", old: "\t\tlater(met(by))\n", broken: "",
		packages: engine, run: "NextTry",
	},
	{
		name: "that we refused a notification holds up none of the others",
		file: "bridge/relay/lane/reach.go", old: "\t\tlater(met(r.nextTry()))\n", broken: "",
		packages: engine, run: "Refused",
	},
	{
		name: "the next process does not know that we refused notifications",
		file: "bridge/relay/recovery.go", old: "\tb.replay.Store(&left)\n", broken: "",
		packages: engine, run: "Refused",
	},
	{
		name: "news of a conversation does not end the wait for what happened before",
		file: "bridge/relay/lane/doubt.go", old: "\tl.heard = time.Now()\n", broken: "\tl.heard = time.Time{}\n",
		packages: lanes, run: "NewsEnds",
	},
	{
		name: "an echo in other words settles one of two",
		file: "bridge/relay/lane/echo.go", old: "len(all) == 1 && a.Resembles", broken: "len(all) >= 1 && a.Resembles",
		packages: lanes, run: "WhichMessage",
	},
	{
		name: "an echo in other words settles nothing",
		file: "bridge/relay/lane/echo.go", old: "len(all) == 1 && a.Resembles", broken: "len(all) == 1000 && a.Resembles",
		packages: engine, run: "Masked",
	},
	{
		name: "of messages with the same words the last one is settled",
		file: "bridge/relay/lane/echo.go", old: "if c.before(found) {", broken: "if found.before(c) {",
		packages: lanes, run: "WhichMessage",
	},
	{
		name: "an echo settles a message that is being answered for another one",
		file: "bridge/relay/lane/echo.go", old: "if c.lane.delivering == c.entry {", broken: "if c.lane.delivering == c.entry && c.at > 1000 {",
		packages: lanes, run: "WhichMessage",
	},
	{
		name: "what an agent wrote and waits goes out in the order in which it came",
		file: "bridge/relay/lane/order.go", old: "return ok && d == dialog && n > sequence", broken: "return ok && d == dialog && n > 1<<60",
		packages: lanes, run: "OrderOfItsNumbers",
	},
	{
		name: "nobody waits for a missing number",
		file: "bridge/relay/lane/order.go", old: "\tl.waitedFor = first.Seq\n\treturn until\n", broken: "\treturn time.Time{}\n",
		packages: lanes, run: "MissingNumber",
	},
	{
		name: "a 429 makes the pauses of a message longer",
		file: "bridge/relay/lane/finish.go", old: "v.Uncounted = v.Uncounted || v.Sign == SaysThrottled", broken: "v.Uncounted = v.Uncounted && v.Sign == SaysThrottled",
		packages: append([]string{"./bridge/relay"}, lanes...), run: "Throttles",
	},
	{
		name: "a message asks whether LivePerson is back, and is in doubt by that",
		file: "bridge/relay/lane/sound.go", old: "\t\tf.risked = now\n\t\treturn false\n\t}\n\treturn true\n", broken: "\t\tf.risked = now\n\t\treturn false\n\t}\n\treturn false\n",
		packages: lanes, run: "HarmlessCallsAsk",
	},
	{
		name: "where harmless calls alone fail no message is ever sent",
		file: "bridge/relay/lane/sound.go", old: "const riskEvery = 5 * time.Minute", broken: "const riskEvery = 1000 * time.Hour",
		packages: lanes, run: "AloneFailHold",
	},
	{
		name: "a settlement the journal refused is forgotten",
		file: "bridge/relay/lane/finish.go", old: "\t\tif !s.stopping {\n", broken: "\t\tif s.stopping {\n",
		packages: lanes, run: "LanesDeliverOnce",
	},
	{
		name: "a burst of 429s narrows the limiter once for each",
		file: "bridge/relay/lane/limiter.go", old: "if began.Before(g.narrowed) {", broken: "if began.Before(time.Time{}) {",
		packages: lanes, run: "Burst",
	},
	{
		name: "after an outage everything goes out at once",
		file: "bridge/relay/lane/limiter.go", old: "\tg.width = min(g.width, 2*leastWidth)\n", broken: "\tg.width = float64(g.most)\n",
		packages: lanes, run: "Outage|Limiter|Restart",
	},
	{
		name: "one message that always fails holds its thread for a day",
		file: "bridge/relay/lane/trouble.go", old: "\tif t.alone || t.poison(o) {\n", broken: "\tif t.alone && t.poison(o) && t.failures > 1000 {\n",
		packages: lanes, run: "Poison",
	},
	{
		name: "an outage makes dead letters of what everybody's deliveries met",
		file: "bridge/relay/lane/trouble.go", old: "\tcase o.passes > t.passes && v.Sign == SaysDown:\n", broken: "\tcase o.passes >= t.passes && v.Sign == SaysDown:\n",
		packages: append([]string{"./bridge/relay"}, lanes...), run: "Outage|NoPoison",
	},
	{
		name: "lanes of an earlier process are not looked for",
		file: "bridge/relay/lane/sweep.go", old: "if after = key; s.Mine(key) && !w.adopt(ctx, key) {", broken: "if after = key; s.Mine(key) && ctx.Err() != nil {",
		packages: lanes, run: "Lanes|Backlog",
	},
	{
		name: "a far side that asks to be left alone is asked after a second",
		file: "bridge/relay/lane/farside.go", old: "f.until, f.stopped = now.Add(max(stop, MinThrottle)), now", broken: "f.until, f.stopped = now.Add(MinThrottle), now",
		packages: lanes, run: "RetryAfterIsObeyed",
	},
	{
		name: "a far side that asks to be left alone for a day is left alone for a day",
		file: "bridge/relay/lane/farside.go", old: "\tstop := min(retryAfter, MaxStop)\n", broken: "\tstop := retryAfter\n",
		packages: lanes, run: "RetryAfterIsObeyed",
	},
}
