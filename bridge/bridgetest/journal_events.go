package bridgetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"lpbridge/bridge"
)

func testAppend(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	first := message(laneA, "m-1")
	second := message(laneA, "m-2")
	second.Kind, second.Attempts, second.Last = bridge.KindReceipt, 3, bridge.Throttled
	second.NextTry = first.Accepted.Add(time.Minute)
	first.Event = &bridge.Event{ID: "m-1"}
	seqs := add(t, j, first, second)
	if len(seqs) != 2 || seqs[0] < 1 || seqs[1] <= seqs[0] {
		t.Fatalf("seqs %v, want two that grow from 1 or more", seqs)
	}
	first.Seq, second.Seq = seqs[0], seqs[1]
	first.Event = nil
	same(t, "pending", pending(t, j, laneA), []bridge.Entry{first, second})
	if n := j.PendingCount(); n != 2 {
		t.Errorf("pending count %d, want 2", n)
	}

	before := time.Now().Add(-time.Second)
	add(t, j, bridge.Entry{Lane: laneB, ID: "m-3", Kind: bridge.KindClose})
	e := pending(t, j, laneB)[0]
	if e.Accepted.Before(before) || e.Accepted.After(time.Now().Add(time.Second)) {
		t.Errorf("accepted %v, want now where the entry says nothing", e.Accepted)
	}
	if len(e.Payload) != 0 || !e.NextTry.IsZero() || e.Attempts != 0 {
		t.Errorf("entry %+v, want nothing it was not given", e)
	}

	seqs = got[[]int64](t)(j.Append(t.Context(), bridge.Batch{}))
	if len(seqs) != 0 {
		t.Errorf("seqs of nothing: %v", seqs)
	}
	must(t, j.Check(t.Context()))
}

func testAppendDuplicates(t *testing.T, store JournalStore) {
	j, h := started(t, store)
	seqs := add(t, j, message(laneA, "m-1"), message(laneA, "m-1"), message(laneB, "m-1"))
	if seqs[0] == 0 || seqs[1] != 0 || seqs[2] != 0 {
		t.Errorf("seqs %v, want only the first to be new", seqs)
	}
	seqs = add(t, j, message(backA, "m-1"), message(other, "m-1"), message(laneA, "m-1"))
	if seqs[0] == 0 || seqs[1] == 0 || seqs[2] != 0 {
		t.Errorf("seqs %v, want ids to count within channel and direction", seqs)
	}
	settle(t, j, bridge.Settlement{Seq: pending(t, j, laneA)[0].Seq, Lane: laneA, Final: bridge.Done})
	if seqs = add(t, j, message(laneA, "m-1")); seqs[0] != 0 {
		t.Errorf("seq %d for an event that was delivered, want a duplicate", seqs[0])
	}
	if seqs = add(t, j, message(laneA, ""), message(laneA, "")); seqs[0] == 0 || seqs[1] == 0 {
		t.Errorf("seqs %v for entries without id, want both new", seqs)
	}
	if n := len(h.seqs()); n != 5 {
		t.Errorf("the hook was given %d entries, want 5", n)
	}
	if n := j.PendingCount(); n != 4 {
		t.Errorf("pending count %d, want 4", n)
	}
}

func testAppendConcurrent(t *testing.T, store JournalStore) {
	j, h := started(t, store)
	const callers, each = 16, 25
	var all sync.WaitGroup
	for c := range callers {
		all.Go(func() {
			lane := bridge.LaneKey{Channel: "webhook", Thread: bridge.ThreadID(fmt.Sprint("t-", c))}
			var last int64
			for i := range each {
				// Everybody also tries an event they all share.
				seqs, err := j.Append(t.Context(), bridge.Batch{Entries: []bridge.Entry{
					message(lane, bridge.EventID(fmt.Sprintf("%d-%d", c, i))),
					message(laneB, bridge.EventID(fmt.Sprint("shared-", i))),
				}})
				if err != nil {
					t.Error(err)
					return
				}
				if seqs[0] <= last {
					t.Errorf("seq %d after %d", seqs[0], last)
				}
				last = seqs[0]
				if !slices.Contains(h.seqs(), last) {
					t.Errorf("append returned before the hook had seq %d", last)
				}
			}
		})
	}
	all.Wait()
	want := int64((callers + 1) * each)
	if n := j.PendingCount(); n != want {
		t.Errorf("pending count %d, want %d", n, want)
	}
	seqs := h.seqs()
	if int64(len(seqs)) != want || !slices.IsSorted(seqs) || len(slices.Compact(seqs)) != len(h.seqs()) {
		t.Errorf("the hook got %d entries, sorted %v; want %d, each once and in order", len(seqs), slices.IsSorted(seqs), want)
	}
}

func testAppendCancelled(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := j.Append(ctx, bridge.Batch{Entries: []bridge.Entry{message(laneA, "m-1")}})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want nil or the context's", err)
	}
	add(t, j, message(laneA, "m-1"))
	same(t, "pending", ids(pending(t, j, laneA)), []bridge.EventID{"m-1"})
}

func testCommitHook(t *testing.T, store JournalStore) {
	j, h := started(t, store)
	e := message(laneA, "m-1")
	e.Event = &bridge.Event{ID: "m-1", Kind: bridge.KindMessage}
	seqs := add(t, j, e, message(laneB, "m-2"))
	same(t, "seqs", h.seqs(), seqs)
	if h.entries[0].Event != e.Event {
		t.Error("the hook was not given the event itself")
	}
	same(t, "payload", h.entries[0].Payload, e.Payload)
	if e.Seq != 0 {
		t.Error("append changed the caller's entry")
	}
}

func testStart(t *testing.T, store JournalStore) {
	j := store(t)()
	t.Cleanup(func() { must(t, j.Close()) })
	add(t, j, message(laneA, "m-1"))
	h := start(t, j)
	if err := j.Start(h.committed); err == nil {
		t.Error("a second start succeeded")
	}
	seqs := add(t, j, message(laneA, "m-2"))
	same(t, "hook", h.seqs(), seqs)
	same(t, "pending", ids(pending(t, j, laneA)), []bridge.EventID{"m-1", "m-2"})
}

func testSettle(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	seqs := add(t, j, message(laneA, "m-1"), message(laneA, "m-2"), message(laneA, "m-3"), message(laneA, "m-4"))
	next := time.Date(2025, 11, 20, 10, 5, 0, 0, time.UTC)
	settle(t, j, bridge.Settlement{Seq: seqs[0], Lane: laneA, Outcome: bridge.Delivered, Final: bridge.Done})
	settle(t, j, bridge.Settlement{
		Seq: seqs[1], Lane: laneA, Outcome: bridge.Retry, Final: bridge.Pending, Attempts: 2, NextTry: next,
	})
	settle(t, j, bridge.Settlement{Seq: seqs[2], Lane: laneA, Outcome: bridge.Invalid, Final: bridge.Dead, Attempts: 1})
	waiting := message(laneA, "m-2")
	waiting.Seq, waiting.Attempts, waiting.NextTry, waiting.Last = seqs[1], 2, next, bridge.Retry
	untouched := message(laneA, "m-4")
	untouched.Seq = seqs[3]
	same(t, "pending", pending(t, j, laneA), []bridge.Entry{waiting, untouched})
	if n := j.PendingCount(); n != 2 {
		t.Errorf("pending count %d, want 2", n)
	}

	// Without a caller that waits it is durable all the same, soon.
	j.Settle(bridge.Settlement{Seq: seqs[3], Lane: laneA, Final: bridge.Done})
	must(t, j.Check(t.Context()))
	same(t, "pending", ids(pending(t, j, laneA)), []bridge.EventID{"m-2"})
}

func testSettleOrder(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	seq := add(t, j, message(laneA, "m-1"))[0]
	for i := range 20 {
		j.Settle(bridge.Settlement{Seq: seq, Lane: laneA, Outcome: bridge.Retry, Attempts: i + 1})
	}
	must(t, j.Check(t.Context()))
	if n := pending(t, j, laneA)[0].Attempts; n != 20 {
		t.Errorf("attempts %d, want those of the last settlement, 20", n)
	}
	j.Settle(bridge.Settlement{Seq: seq, Lane: laneA, Final: bridge.Done})
	j.Settle(bridge.Settlement{Seq: seq, Lane: laneA, Outcome: bridge.Retry, Attempts: 21})
	must(t, j.Check(t.Context()))
	if n := j.PendingCount(); n != 0 {
		t.Errorf("%d pending after done", n)
	}
}

func testSettleFollow(t *testing.T, store JournalStore) {
	j, h := started(t, store)
	seq := add(t, j, message(laneA, "m-1"))[0]
	add(t, j, message(backA, "known"))
	event := &bridge.Event{ID: "f-1"}
	follow := message(backA, "f-1")
	follow.Event = event
	settle(t, j, bridge.Settlement{
		Seq: seq, Lane: laneA, Final: bridge.Done,
		Follow: []bridge.Entry{follow, message(backA, "known"), message(backA, "f-1")},
	})
	same(t, "pending", ids(pending(t, j, backA)), []bridge.EventID{"known", "f-1"})
	if n := j.PendingCount(); n != 2 {
		t.Errorf("pending count %d, want 2", n)
	}
	seqs := h.seqs()
	if len(seqs) != 3 || !slices.IsSorted(seqs) {
		t.Fatalf("the hook was given %v, want three in order", seqs)
	}
	if h.entries[2].Event != event {
		t.Error("the hook was not given the event of what follows")
	}
	if seqs := add(t, j, message(backA, "f-1")); seqs[0] != 0 {
		t.Error("what followed is not known afterwards")
	}
}

func testSettleGone(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	seqs := add(t, j, message(laneA, "m-1"), message(laneA, "m-2"))
	settle(t, j, bridge.Settlement{Seq: seqs[0], Lane: laneA, Outcome: bridge.Unknown, Final: bridge.Dead, Attempts: 4})
	for _, seq := range []int64{seqs[0], seqs[1] + 1000} {
		settle(t, j, bridge.Settlement{
			Seq: seq, Lane: laneA, Final: bridge.Done, Dialog: "d-1", Sequence: seq, Source: "s",
			Follow: []bridge.Entry{message(backA, bridge.EventID(fmt.Sprint("f-", seq)))},
		})
		at := got[[]bridge.LedgerEntry](t)(j.MessagesAt(t.Context(), "d-1", []int64{seq}))
		same(t, "ledger", at, []bridge.LedgerEntry{{Sequence: seq, Channel: "webhook", Thread: "t-1", Source: "s"}})
	}
	if n := len(pending(t, j, backA)); n != 2 {
		t.Errorf("%d events follow, want 2", n)
	}
	if n := j.PendingCount(); n != 3 {
		t.Errorf("pending count %d, want 3", n)
	}
	dead := got[[]bridge.DeadLetter](t)(j.DeadLetters(t.Context(), 0, 10))
	if len(dead) != 1 || dead[0].Attempts != 4 {
		t.Errorf("dead letters %+v, want the one there was", dead)
	}
}
