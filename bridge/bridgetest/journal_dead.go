package bridgetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"lpbridge/bridge"
)

func bury(t *testing.T, j bridge.Journal, names ...bridge.EventID) []int64 {
	t.Helper()
	var seqs []int64
	for _, id := range names {
		seq := add(t, j, message(laneA, id))[0]
		settle(t, j, bridge.Settlement{Seq: seq, Lane: laneA, Outcome: bridge.Invalid, Final: bridge.Dead, Attempts: 2})
		seqs = append(seqs, seq)
	}
	return seqs
}

func testDeadLetters(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	if dead := got[[]bridge.DeadLetter](t)(j.DeadLetters(t.Context(), 0, 10)); len(dead) != 0 {
		t.Errorf("dead letters of an empty journal: %v", dead)
	}
	before := time.Now().Add(-time.Second)
	seqs := bury(t, j, "m-1", "m-2", "m-3")
	dead := got[[]bridge.DeadLetter](t)(j.DeadLetters(t.Context(), 0, 10))
	var want []bridge.DeadLetter
	for i, id := range []bridge.EventID{"m-1", "m-2", "m-3"} {
		e := message(laneA, id)
		e.Seq, e.Attempts, e.Last, e.Payload = seqs[i], 2, bridge.Invalid, nil
		want = append(want, bridge.DeadLetter{Entry: e})
	}
	same(t, "dead letters", dead, want, cmpopts.IgnoreFields(bridge.DeadLetter{}, "Died"))
	whole := got[*bridge.DeadLetter](t)(j.DeadLetter(t.Context(), seqs[0]))
	same(t, "payload of one", whole.Payload, message(laneA, "m-1").Payload)
	if gone := got[*bridge.DeadLetter](t)(j.DeadLetter(t.Context(), seqs[2]+1)); gone != nil {
		t.Errorf("dead letter %+v, want none", gone)
	}
	if at := dead[0].Died; at.Before(before) || at.After(time.Now().Add(time.Second)) {
		t.Errorf("died %v, want now", at)
	}
	page := got[[]bridge.DeadLetter](t)(j.DeadLetters(t.Context(), seqs[0], 1))
	if len(page) != 1 || page[0].Seq != seqs[1] {
		t.Errorf("page %+v, want the second alone", page)
	}
	if n := j.PendingCount(); n != 0 {
		t.Errorf("%d pending, want none", n)
	}
	if seqs := add(t, j, message(laneA, "m-1")); seqs[0] != 0 {
		t.Error("a dead event is accepted again")
	}
}

func testRevive(t *testing.T, store JournalStore) {
	j, h := started(t, store)
	seqs := bury(t, j, "m-1", "m-2")
	add(t, j, message(laneA, "m-3"))
	for _, seq := range []int64{0, seqs[1] + 1, seqs[1] + 1000} {
		if got[bool](t)(j.Revive(t.Context(), seq)) {
			t.Errorf("revived %d, which is not dead", seq)
		}
	}
	if !got[bool](t)(j.Revive(t.Context(), seqs[0])) {
		t.Fatal("a dead letter was not found")
	}
	if got[bool](t)(j.Revive(t.Context(), seqs[0])) {
		t.Error("revived twice")
	}
	list := pending(t, j, laneA)
	same(t, "pending", ids(list), []bridge.EventID{"m-3", "m-1"})
	e := list[1]
	if e.Seq <= list[0].Seq || e.Attempts != 0 || !e.NextTry.IsZero() {
		t.Errorf("revived %+v, want a new seq and no attempts", e)
	}
	if !e.Accepted.After(message(laneA, "").Accepted) {
		t.Error("revived with the old time of acceptance")
	}
	same(t, "payload", e.Payload, message(laneA, "m-1").Payload)
	all := h.seqs()
	if all[len(all)-1] != e.Seq {
		t.Errorf("the hook was given %v, want %d last", all, e.Seq)
	}
	if n := j.PendingCount(); n != 2 {
		t.Errorf("pending count %d, want 2", n)
	}
	dead := got[[]bridge.DeadLetter](t)(j.DeadLetters(t.Context(), 0, 10))
	if len(dead) != 1 || dead[0].ID != "m-2" {
		t.Errorf("dead letters %+v, want m-2", dead)
	}
	settle(t, j, bridge.Settlement{Seq: e.Seq, Lane: laneA, Final: bridge.Done})
	same(t, "pending", ids(pending(t, j, laneA)), []bridge.EventID{"m-3"})
}

func testDiscard(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	seq := bury(t, j, "m-1")[0]
	live := add(t, j, message(laneA, "m-2"))[0]
	if got[bool](t)(j.Discard(t.Context(), live)) {
		t.Error("discarded a pending event")
	}
	if !got[bool](t)(j.Discard(t.Context(), seq)) {
		t.Error("a dead letter was not found")
	}
	if got[bool](t)(j.Discard(t.Context(), seq)) {
		t.Error("discarded twice")
	}
	if dead := got[[]bridge.DeadLetter](t)(j.DeadLetters(t.Context(), 0, 10)); len(dead) != 0 {
		t.Errorf("dead letters %v, want none", dead)
	}
	if seqs := add(t, j, message(laneA, "m-1")); seqs[0] != 0 {
		t.Error("a discarded event is accepted again")
	}
	same(t, "pending", ids(pending(t, j, laneA)), []bridge.EventID{"m-2"})
}
