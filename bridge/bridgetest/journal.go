package bridgetest

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lpbridge/bridge"
)

// JournalStore makes journals for [TestJournal]. Each call of the function it
// returns opens the same store once more, as the next process would, after the
// journal opened before was closed. The store ends with the test.
type JournalStore func(t *testing.T) (open func() bridge.Journal)

// TestJournal runs the suite every journal must pass: each sentence of
// [bridge.Journal] that can be seen from outside is a test.
func TestJournal(t *testing.T, store JournalStore) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, JournalStore)
	}{
		{"append", testAppend},
		{"append duplicates", testAppendDuplicates},
		{"append refuses taken record keys", testAppendRecordTaken},
		{"append many callers", testAppendConcurrent},
		{"append with a context that ended", testAppendCancelled},
		{"commit hook", testCommitHook},
		{"start", testStart},
		{"settle", testSettle},
		{"settle order", testSettleOrder},
		{"settle follow", testSettleFollow},
		{"settle reason", testSettleReason},
		{"settle without a pending entry", testSettleGone},
		{"doubt stored", testDoubtStored},
		{"begun and closed in order", testBegunInOrder},
		{"begun before the start", testBegunBeforeStart},
		{"doubt of a dead letter", testDoubtOfDead},
		{"absence", testAbsence},
		{"times ahead", testTimesAhead},
		{"ledger", testLedger},
		{"threads", testStandingThreads},
		{"conversations", testConversations},
		{"conversations of a thread", testConversationsOf},
		{"open conversation of a consumer", testHeldBy},
		{"dialogs", testDialogs},
		{"taking a conversation over", testTakeOver},
		{"consumers", testConsumers},
		{"unclaimed changes", testUnclaimed},
		{"unclaimed numbers", testUnclaimedNumbers},
		{"composing marks", testComposingMarks},
		{"lanes", testLanes},
		{"pending of a lane", testPendingOf},
		{"dead letters", testDeadLetters},
		{"revive", testRevive},
		{"discard", testDiscard},
		{"flags", testFlags},
		{"records", testRecords},
		{"record keys", testRecordKeys},
		{"record numbers", testRecordNumbers},
		{"record lists", testRecordLists},
		{"restart", testRestart},
		{"closed", testClosed},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, store) })
	}
}

// hook collects what the commit hook is given.
type hook struct {
	mu      sync.Mutex
	entries []bridge.Entry
}

func (h *hook) committed(entries []bridge.Entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.entries = append(h.entries, entries...)
}

func (h *hook) seqs() []int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	var seqs []int64
	for _, e := range h.entries {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

// started opens a new store and starts its journal.
func started(t *testing.T, store JournalStore) (bridge.Journal, *hook) {
	t.Helper()
	j := store(t)()
	t.Cleanup(func() { must(t, j.Close()) })
	return j, start(t, j)
}

func start(t *testing.T, j bridge.Journal) *hook {
	t.Helper()
	h := &hook{}
	must(t, j.Start(h.committed))
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func got[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		must(t, err)
		return v
	}
}

func same(t *testing.T, what string, got, want any, opts ...cmp.Option) {
	t.Helper()
	if d := cmp.Diff(want, got, append(opts, cmpopts.EquateEmpty())...); d != "" {
		t.Errorf("%s: (-want +got)\n%s", what, d)
	}
}

var (
	laneA = bridge.LaneKey{Channel: "webhook", Thread: "t-1", Direction: bridge.ToLivePerson}
	laneB = bridge.LaneKey{Channel: "webhook", Thread: "t-2", Direction: bridge.ToLivePerson}
	backA = bridge.LaneKey{Channel: "webhook", Thread: "t-1", Direction: bridge.ToChannel}
	other = bridge.LaneKey{Channel: "layer", Thread: "t-1", Direction: bridge.ToLivePerson}
)

func message(lane bridge.LaneKey, id bridge.EventID) bridge.Entry {
	return bridge.Entry{
		Lane: lane, ID: id, Kind: bridge.KindMessage, Payload: []byte(`{"id":"` + string(id) + `"}`),
		Accepted: time.Date(2025, 11, 20, 10, 0, 0, 123_456_000, time.UTC),
	}
}

func add(t *testing.T, j bridge.Journal, entries ...bridge.Entry) []int64 {
	t.Helper()
	return got[[]int64](t)(j.Append(t.Context(), bridge.Batch{Entries: entries}))
}

// settle hands over a settlement and waits until it is durable.
func settle(t *testing.T, j bridge.Journal, s bridge.Settlement) {
	t.Helper()
	durable := make(chan error, 1)
	s.Durable = func(err error) { durable <- err }
	j.Settle(s)
	must(t, <-durable)
}

func pending(t *testing.T, j bridge.Journal, lane bridge.LaneKey) []bridge.Entry {
	t.Helper()
	return got[[]bridge.Entry](t)(j.PendingOf(t.Context(), lane, 0, 1000))
}

func ids(entries []bridge.Entry) []bridge.EventID {
	var list []bridge.EventID
	for _, e := range entries {
		list = append(list, e.ID)
	}
	return list
}

func testRestart(t *testing.T, store JournalStore) {
	open := store(t)
	j := open()
	start(t, j)
	seqs := add(t, j, message(laneA, "m-1"), message(laneA, "m-2"), message(laneB, "m-3"))
	bury(t, j, "m-4")
	// What nobody waits for is committed by Close.
	j.Settle(bridge.Settlement{Seq: seqs[0], Lane: laneA, Final: bridge.Done, Dialog: "d-1", Sequence: 3, Source: "s-3"})
	must(t, j.Close())

	j = open()
	h := start(t, j)
	same(t, "pending", ids(pending(t, j, laneA)), []bridge.EventID{"m-2"})
	if n := j.PendingCount(); n != 2 {
		t.Errorf("pending count %d, want 2", n)
	}
	if n := len(h.seqs()); n != 0 {
		t.Errorf("the hook was given %d old entries", n)
	}
	if last := got[int64](t)(j.LastOf(t.Context(), "d-1")); last != 3 {
		t.Errorf("last of the dialog %d, want 3", last)
	}
	again := add(t, j, message(laneA, "m-1"), message(laneA, "m-4"), message(laneA, "m-5"))
	last := slices.Max(append(seqs, got[[]bridge.DeadLetter](t)(j.DeadLetters(t.Context(), 0, 1))[0].Seq))
	if again[0] != 0 || again[1] != 0 || again[2] <= last {
		t.Errorf("seqs %v, want two duplicates and one above %d", again, last)
	}
	if boot := j.LastSeq(); boot < last || boot >= again[2] {
		t.Errorf("the last seq before the start is %d, want it from %d up and below %d", boot, last, again[2])
	}
	// A number is not given again though its event is gone.
	settle(t, j, bridge.Settlement{Seq: again[2], Lane: laneA, Final: bridge.Done})
	must(t, j.Close())
	j = open()
	if seq := add(t, j, message(laneA, "m-6"))[0]; seq <= again[2] {
		t.Errorf("seq %d after %d", seq, again[2])
	}
	must(t, j.Close())
}

func testClosed(t *testing.T, store JournalStore) {
	j := store(t)()
	start(t, j)
	seq := add(t, j, message(laneA, "m-1"))[0]
	must(t, j.Close())
	ctx := t.Context()
	durable := make(chan error, 1)
	j.Settle(bridge.Settlement{Seq: seq, Lane: laneA, Final: bridge.Done, Durable: func(err error) { durable <- err }})
	begun := make(chan error, 1)
	j.Begin(seq, func(err error) { begun <- err })
	j.ClearComposing(bridge.ComposingMark{})
	for what, err := range map[string]error{
		"append":                 second(j.Append(ctx, bridge.Batch{Entries: []bridge.Entry{message(laneA, "m-2")}})),
		"settle":                 <-durable,
		"lanes":                  second(j.Lanes(ctx, bridge.LaneKey{}, 1)),
		"pending":                second(j.PendingOf(ctx, laneA, 0, 1)),
		"thread":                 second(j.Thread(ctx, bridge.ThreadKey{})),
		"flag":                   second(j.Flag(ctx, "f")),
		"set flag":               j.SetFlag(ctx, "f", "1"),
		"begin":                  <-begun,
		"save":                   j.Save(ctx, bridge.Standing{Threads: []bridge.Thread{{Channel: "webhook", ID: "t-1"}}}),
		"save consumer":          j.SaveConsumer(ctx, bridge.ConsumerRow{Channel: "webhook", ID: "u"}),
		"set composing":          j.SetComposing(ctx, bridge.ComposingMark{}),
		"drop unclaimed":         j.DropUnclaimed(ctx, 1),
		"threads of":             second(j.ThreadsOf(ctx, "lp")),
		"conversation by id":     second(j.Conversation(ctx, "c")),
		"conversation of dialog": second(j.ConversationOfDialog(ctx, "d")),
		"conversations of":       second(j.ConversationsOf(ctx, bridge.ThreadKey{}, 1)),
		"held by":                second(j.HeldBy(ctx, "lp")),
		"messages at":            second(j.MessagesAt(ctx, "d", []int64{1})),
		"last of":                second(j.LastOf(ctx, "d")),
		"last of thread":         second(j.LastOfThread(ctx, "d", bridge.ThreadKey{})),
		"unclaimed":              second(j.UnclaimedOf(ctx, "c")),
		"all unclaimed":          second(j.AllUnclaimed(ctx, 0, 1)),
		"composing marks":        second(j.Composing(ctx)),
		"read consumer":          second(j.Consumer(ctx, "webhook", "u")),
		"dead letter":            second(j.DeadLetter(ctx, 1)),
		"dead letters":           second(j.DeadLetters(ctx, 0, 1)),
		"revive":                 second(j.Revive(ctx, seq)),
		"discard":                second(j.Discard(ctx, seq)),
		"check":                  j.Check(ctx),
	} {
		if !errors.Is(err, bridge.ErrStorage) {
			t.Errorf("%s: error %v, want ErrStorage", what, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }
