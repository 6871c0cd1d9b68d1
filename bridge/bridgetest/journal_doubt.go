package bridgetest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
)

func testSettleReason(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	seqs := add(t, j, message(laneA, "m-1"), message(laneA, "m-2"))
	settle(t, j, bridge.Settlement{Seq: seqs[0], Lane: laneA, Outcome: bridge.Retry, Attempts: 1, Reason: "HTTP 503"})
	if e := pending(t, j, laneA)[0]; e.Reason != "HTTP 503" {
		t.Errorf("reason %q, want HTTP 503", e.Reason)
	}
	long := strings.Repeat("x", bridge.MaxReason-1) + "ü"
	settle(t, j, bridge.Settlement{Seq: seqs[0], Lane: laneA, Outcome: bridge.Invalid, Final: bridge.Dead, Attempts: 2, Reason: long})
	dead := got[[]bridge.DeadLetter](t)(j.DeadLetters(t.Context(), 0, 10))
	if want := strings.Repeat("x", bridge.MaxReason-1); dead[0].Reason != want {
		t.Errorf("reason of %d bytes, want %d and no half letter", len(dead[0].Reason), len(want))
	}
	got[bool](t)(j.Revive(t.Context(), seqs[0]))
	if e := pending(t, j, laneA)[1]; e.Reason != "" {
		t.Errorf("revived with the reason %q", e.Reason)
	}
}

// begin marks an entry as begun and waits until that is on disk.
func begin(t *testing.T, j bridge.Journal, seq int64) {
	t.Helper()
	durable := make(chan error, 1)
	j.Begin(seq, func(err error) { durable <- err })
	must(t, <-durable)
}

// doubts checks which of a lane's entries are in doubt.
func doubts(t *testing.T, j bridge.Journal, lane bridge.LaneKey, want ...bridge.EventID) {
	t.Helper()
	var have []bridge.EventID
	for _, e := range pending(t, j, lane) {
		if e.Doubt != nil {
			have = append(have, e.ID)
		}
	}
	same(t, "in doubt", have, want)
}

func testDoubtStored(t *testing.T, store JournalStore) {
	open := store(t)
	j := open()
	start(t, j)
	seqs := add(t, j, message(laneA, "m-1"), message(laneA, "m-2"), message(backA, "r-1"))
	since := time.Date(2025, 11, 20, 10, 7, 0, 5000, time.UTC)
	lost := func(seq int64, lane bridge.LaneKey, d *bridge.Doubt) {
		t.Helper()
		settle(t, j, bridge.Settlement{Seq: seq, Lane: lane, Outcome: bridge.Unknown, Attempts: 1, Doubt: d})
	}
	first := &bridge.Doubt{Since: since, Dialogs: []string{"d-1", "d-2"}}
	lost(seqs[0], laneA, first)
	lost(seqs[1], laneA, &bridge.Doubt{})
	lost(seqs[2], backA, &bridge.Doubt{Since: since})

	for range 3 {
		list := pending(t, j, laneA)
		same(t, "doubt", list[0].Doubt, first)
		if d := list[1].Doubt; d == nil || time.Since(d.Since) > time.Minute || len(d.Dialogs) > 0 {
			t.Errorf("doubt %+v, want one since now about any dialog", d)
		}
		same(t, "doubt towards the channel", pending(t, j, backA)[0].Doubt, &bridge.Doubt{Since: since})
		// Another delivery that begins ends no doubt, and neither does an orderly
		// end of the process.
		begin(t, j, seqs[0])
		must(t, j.Close())
		j = open()
		start(t, j)
	}
	lost(seqs[1], laneA, nil)
	doubts(t, j, laneA, "m-1")
	settle(t, j, bridge.Settlement{Seq: seqs[0], Lane: laneA, Final: bridge.Done})
	doubts(t, j, laneA)
	must(t, j.Close())
}

func testBegunInOrder(t *testing.T, store JournalStore) {
	open := store(t)
	j := open()
	h := start(t, j)
	first := message(laneA, "m-1")
	first.Begun = true
	seqs := add(t, j, first, message(laneA, "m-2"), message(laneA, "m-3"), message(laneB, "m-4"))
	if !h.entries[0].Begun || h.entries[1].Begun {
		t.Error("the hook was not told which entry has begun")
	}
	begun := func(lane bridge.LaneKey, want ...bool) {
		t.Helper()
		var have []bool
		for _, e := range pending(t, j, lane) {
			have = append(have, e.Begun)
		}
		same(t, "begun", have, want)
	}
	begun(laneA, true, false, false)
	settle(t, j, bridge.Settlement{Seq: seqs[0], Lane: laneA, Final: bridge.Done, Next: seqs[1]})
	begun(laneA, true, false)
	settle(t, j, bridge.Settlement{Seq: seqs[1], Lane: laneA, Outcome: bridge.Retry, Attempts: 1})
	begun(laneA, false, false)
	settle(t, j, bridge.Settlement{Seq: seqs[1], Lane: laneA, Outcome: bridge.Retry, Attempts: 2, Next: seqs[1]})
	begun(laneA, true, false)
	begin(t, j, seqs[3])
	begin(t, j, seqs[3]+1000)
	begun(laneB, true)
	doubts(t, j, laneA)
	must(t, j.Close())

	j = open()
	start(t, j)
	begun(laneA, false, false)
	begun(laneB, false)
	doubts(t, j, laneA)
	doubts(t, j, laneB)
	must(t, j.Close())
}

func testBegunBeforeStart(t *testing.T, store JournalStore) {
	j := store(t)()
	t.Cleanup(func() { must(t, j.Close()) })
	e := message(laneA, "m-1")
	e.Begun, e.Doubt = true, &bridge.Doubt{Since: e.Accepted}
	seqs := add(t, j, e)
	begin(t, j, seqs[0])
	start(t, j)
	if e := pending(t, j, laneA)[0]; e.Begun || e.Doubt != nil {
		t.Errorf("begun %v with doubt %v, want neither before the start", e.Begun, e.Doubt)
	}
}

// testTimesAhead reads what was written by a clock that was hours ahead.
func testTimesAhead(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	before := time.Now().Truncate(time.Microsecond)
	ahead := before.Add(10 * time.Hour)
	e := message(laneA, "m-1")
	e.Accepted, e.NextTry = ahead, ahead
	soon := message(laneA, "m-2")
	soon.NextTry = before.Add(bridge.MaxPause - time.Minute)
	seqs := add(t, j, e, soon)
	settle(t, j, bridge.Settlement{
		Seq: seqs[0], Lane: laneA, Outcome: bridge.Unknown, Attempts: 1, NextTry: ahead, Doubt: &bridge.Doubt{Since: ahead},
	})
	list := pending(t, j, laneA)
	now := time.Now()
	if at := list[0].Accepted; at.Before(before) || at.After(now) {
		t.Errorf("accepted %v, want now", at)
	}
	if at := list[0].Doubt.Since; at.Before(before) || at.After(now) {
		t.Errorf("in doubt since %v, want now", at)
	}
	if !list[0].NextTry.IsZero() {
		t.Errorf("next try %v, want at once", list[0].NextTry)
	}
	if !list[1].NextTry.Equal(soon.NextTry) {
		t.Errorf("next try %v, want %v", list[1].NextTry, soon.NextTry)
	}
}

func testDoubtOfDead(t *testing.T, store JournalStore) {
	j, h := started(t, store)
	seqs := add(t, j, message(laneA, "m-1"), message(laneA, "m-2"))
	doubt := &bridge.Doubt{Since: message(laneA, "").Accepted, Dialogs: []string{"d-1"}}
	settle(t, j, bridge.Settlement{Seq: seqs[0], Lane: laneA, Outcome: bridge.Unknown, Attempts: 1, Doubt: doubt})
	settle(t, j, bridge.Settlement{Seq: seqs[0], Lane: laneA, Outcome: bridge.Unknown, Final: bridge.Dead, Attempts: 2, Doubt: doubt})
	settle(t, j, bridge.Settlement{Seq: seqs[1], Lane: laneA, Outcome: bridge.Invalid, Final: bridge.Dead, Attempts: 1})
	for _, seq := range seqs {
		if !got[bool](t)(j.Revive(t.Context(), seq)) {
			t.Fatal("a dead letter was not found")
		}
	}
	list := pending(t, j, laneA)
	same(t, "doubt of the revived", list[0].Doubt, doubt)
	same(t, "doubt in the hook", h.entries[2].Doubt, doubt)
	doubts(t, j, laneA, "m-1")
}

func testAbsence(t *testing.T, store JournalStore) {
	open := store(t)
	before := time.Now().Add(-time.Second)
	j := open()
	start(t, j)
	wrote := time.Now()
	add(t, j, message(laneA, "m-1"))
	must(t, j.Close())
	j = open()
	defer func() { must(t, j.Close()) }()
	from, to := j.Absence()
	if from.Before(before) || to.Before(wrote.Truncate(time.Microsecond)) || from.After(to) || to.After(time.Now()) {
		t.Errorf("absent from %v to %v, want from about %v to now", from, to, wrote)
	}
}

// A CrashStore is a store whose process can be killed.
type CrashStore struct {
	// Kill opens the store, runs one of [CrashLives] on its journal, and ends the
	// process without closing it once the life returned.
	Kill func(t *testing.T, life string)
	// Open opens the store as the next process does.
	Open func(t *testing.T) bridge.Journal
}

// CrashLives are what processes do before they are killed, by name.
var CrashLives = map[string]func(bridge.Journal) error{
	"deliver": deliverAndDie,
	"idle":    func(j bridge.Journal) error { return j.Start(func([]bridge.Entry) {}) },
}

var crashDoubt = bridge.Doubt{Since: time.Date(2025, 11, 20, 9, 0, 0, 0, time.UTC), Dialogs: []string{"d-1"}}

// deliverAndDie begins deliveries in every way there is.
func deliverAndDie(j bridge.Journal) error {
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		return err
	}
	durable := make(chan error, 8)
	done := func(err error) { durable <- err }
	begun := func(lane bridge.LaneKey, id bridge.EventID) bridge.Entry {
		e := message(lane, id)
		e.Begun = true
		return e
	}
	seqs, err := j.Append(context.Background(), bridge.Batch{Entries: []bridge.Entry{
		begun(laneA, "delivered"), message(laneA, "begun by the settlement before"), message(laneA, "not begun"),
		begun(laneB, "begun when appended"), message(laneB, "behind it"), begun(backA, "begun towards the channel"),
		message(other, "begun by itself"), begun(other, "settled as not applied"), begun(other, "settled as doubtful"),
		begun(other, "doubtful and begun again"), begun(other, "done"),
	}})
	if err != nil {
		return err
	}
	for _, s := range []bridge.Settlement{
		{Seq: seqs[0], Lane: laneA, Final: bridge.Done, Next: seqs[1]},
		{Seq: seqs[7], Lane: other, Outcome: bridge.Retry, Attempts: 1},
		{Seq: seqs[8], Lane: other, Outcome: bridge.Unknown, Attempts: 1, Doubt: &crashDoubt},
		{Seq: seqs[9], Lane: other, Outcome: bridge.Unknown, Attempts: 1, Doubt: &crashDoubt},
		{Seq: seqs[10], Lane: other, Final: bridge.Done},
	} {
		s.Durable = done
		j.Settle(s)
	}
	j.Begin(seqs[6], done)
	j.Begin(seqs[9], done)
	for range 7 {
		if err := <-durable; err != nil {
			return err
		}
	}
	return nil
}

// TestJournalCrash looks at what a journal makes of processes that were killed.
func TestJournalCrash(t *testing.T, store CrashStore) {
	earliest := time.Now().Truncate(time.Second)
	store.Kill(t, "deliver")
	var since time.Time
	// Once found out, a doubt counts from then, however the processes end that
	// come after.
	for i, life := range []string{"", "idle", "", "idle", "idle", ""} {
		if life != "" {
			store.Kill(t, life)
		}
		j := store.Open(t)
		start(t, j)
		since = survivors(t, j, since)
		if since.Before(earliest) || since.After(time.Now()) {
			t.Fatalf("in doubt since %v, want since the start after the kill", since)
		}
		if from, to := j.Absence(); i == 0 && (from.Before(earliest) || to.Before(from)) {
			t.Errorf("absent from %v to %v", from, to)
		}
		if i == 5 {
			endDoubts(t, j)
		}
		must(t, j.Close())
	}
	store.Kill(t, "idle")
	j := store.Open(t)
	defer func() { must(t, j.Close()) }()
	for _, lane := range []bridge.LaneKey{laneA, laneB, backA, other} {
		doubts(t, j, lane)
	}
}

// survivors checks what is in doubt of what deliverAndDie began. All of it is in
// doubt since the same moment, which is returned: the given one unless that is
// zero.
func survivors(t *testing.T, j bridge.Journal, since time.Time) time.Time {
	t.Helper()
	var inDoubt []bridge.EventID
	for _, lane := range []bridge.LaneKey{laneA, laneB, backA, other} {
		for _, e := range pending(t, j, lane) {
			if e.Begun {
				t.Errorf("%s counts as begun by a process that did not", e.ID)
			}
			switch {
			case e.Doubt == nil:
			case e.ID == "settled as doubtful":
				same(t, string(e.ID), e.Doubt, &crashDoubt)
			default:
				inDoubt = append(inDoubt, e.ID)
				since = cmp.Or(since, e.Doubt.Since)
				same(t, "doubt of "+string(e.ID), e.Doubt, &bridge.Doubt{Since: since})
			}
		}
	}
	same(t, "in doubt", inDoubt, []bridge.EventID{
		"begun by the settlement before", "begun when appended", "begun towards the channel", "begun by itself",
		"doubtful and begun again",
	})
	return since
}

// endDoubts settles everything as surely not applied.
func endDoubts(t *testing.T, j bridge.Journal) {
	t.Helper()
	for _, lane := range []bridge.LaneKey{laneA, laneB, backA, other} {
		for _, e := range slices.Clone(pending(t, j, lane)) {
			settle(t, j, bridge.Settlement{Seq: e.Seq, Lane: lane, Outcome: bridge.Retry, Attempts: 1})
		}
	}
}
