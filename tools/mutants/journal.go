package main

// ofJournal are about what is on disk.
var ofJournal = []mutant{
	{
		name: "an event that is known is stored again",
		file: "bridge/journal/keys.go", old: "\tif _, known := k.fresh[hash]; known {\n\t\treturn false, nil", broken: "\tif _, known := k.fresh[hash]; known {\n\t\treturn true, nil",
		packages: journal, run: "TestJournal/./append_duplicates|RunsOfKeys",
	},
	{
		name: "an event that is known is stored again once its key is in a run",
		file: "bridge/journal/keys.go", old: "\t\tif !r.mayHold(hash) {\n", broken: "\t\tif r.mayHold(hash) {\n",
		packages: journal, run: "RunsOfKeys|Filter",
	},
	{
		name: "where LivePerson put a message is not written with its outcome",
		file: "bridge/journal/events.go", old: "\tif s.Dialog != \"\" {\n\t\tif err := t.enter(&s.Settlement); err != nil {", broken: "\tif s.Dialog != \"\" && s.Seq < 0 {\n\t\tif err := t.enter(&s.Settlement); err != nil {",
		packages: journal, run: "TestJournal/./ledger|Ledger",
	},
	{
		name: "what follows from an outcome is not written with it",
		file: "bridge/journal/events.go", old: "\tfor _, e := range s.Follow {\n", broken: "\tfor _, e := range s.Follow[:0] {\n",
		packages: journal, run: "TestJournal/./settle_follow",
	},
	{
		name: "what begins next is not marked with the outcome of what was before",
		file: "bridge/journal/events.go", old: "\tif s.Next != 0 {\n\t\tif err := t.begin", broken: "\tif s.Next < 0 {\n\t\tif err := t.begin",
		packages: journal, run: "TestJournal/./begun|TestJournal/./doubt|CrashLives",
	},
	{
		name: "doubt is not written",
		file: "bridge/journal/events.go", old: "\tat := d.Since\n", broken: "\treturn 0, []byte{}\n\tat := d.Since\n",
		packages: journal, run: "TestJournal/./doubt",
	},
	{
		name: "what a process that was killed had begun is not in doubt",
		file: "bridge/journal/epochs.go", old: "\tif known && clean == 0 {\n", broken: "\tif known && clean != 0 {\n",
		packages: journal, run: "TestJournal/./begun|Kill|ForgottenEpochs|Unaccompanied",
	},
	{
		name: "an orderly end leaves everything in doubt",
		file: "bridge/journal/epochs.go", old: "_, err := t.exec(upsertMeta, metaClean, 1)", broken: "_, err := t.exec(upsertMeta, metaClean, 0)",
		packages: journal, run: "TestJournal/./begun_and_closed|TestJournal/./doubt",
	},
	{
		name: "the wait of what is in doubt begins anew with each process that dies",
		file: "bridge/journal/epochs.go", old: "\tat, broken = e.broken[begun]\n", broken: "\t_, broken = e.broken[begun]\n\tat = e.to.UnixMicro()\n",
		packages: journal, run: "TestCrashLives",
	},
	{
		name: "a log that lost its end is believed",
		file: "bridge/journal/witness.go", old: "\tif seen > last {\n", broken: "\tif seen < last {\n",
		packages: journal, run: "LogThatLost",
	},
	{
		name: "numbers that were set aside count as events that are gone",
		file: "bridge/journal/writer.go", old: "w.j.db.note(t.fresh[n-1].Seq)", broken: "w.j.db.note(t.seq.last + int64(n))",
		packages: journal, run: "LifeWithout|LogThatLost|TestJournal/./restart",
	},
	{
		name: "a clock that went back makes what waits wait for hours",
		file: "bridge/journal/clock.go", old: "\tcase away < -jump:\n", broken: "\tcase away < -1000*maxAbsence:\n",
		packages: journal, run: "Clock",
	},
	{
		name: "the ledger forgets while it is sorted",
		file: "bridge/journal/ledger.go", old: "\t\te, there = l.moving[p]\n", broken: "\t\te, there = l.fresh[p]\n",
		packages: journal, run: "Ledger|TestJournal/./ledger",
	},
	{
		name: "the newest message of a dialog is that of the table, not of what is not sorted yet",
		file: "bridge/journal/ledger.go", old: "if last, known := l.last[e.dialog]; !known || last < e.sequence {", broken: "if last, known := l.last[e.dialog]; known && last < e.sequence {",
		packages: journal, run: "Ledger|TestJournal/./ledger",
	},
	{
		name: "an event that is known is stored again while its key goes into a run",
		file: "bridge/journal/keys.go", old: "if _, known := k.closing[hash]; known {", broken: "if _, known := k.closing[hash]; known && len(k.closing) < 0 {",
		packages: journal, run: "KeysOfARunBeingWritten",
	},
	{
		name: "one channel may take the room that is set aside for others",
		file: "bridge/journal/shares.go", old: "\t\tshared -= max(0, used-own)\n", broken: "\t\tshared -= max(0, used-own) * 0\n",
		packages: journal, run: "OneChannelLeavesRoom|MaxPending",
	},
}
