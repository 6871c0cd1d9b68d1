package journal_test

import (
	"fmt"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
)

// TestTraceAmongMany finds an event wherever among the pages of a large table it
// is, and of a thread with many events the newest.
func TestTraceAmongMany(t *testing.T) { journal.OnEngines(t, traceAmongManyOn) }

func traceAmongManyOn(t *testing.T, store string) {
	opts := on(store)
	j := open(t, opts)
	t.Cleanup(func() { j.Close() })
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	const n = 2600
	for first := 0; first < n; first += 100 {
		ids := make([]bridge.EventID, 100)
		for i := range ids {
			ids[i] = bridge.EventID(fmt.Sprintf("evt-%d", first+i))
		}
		if _, err := j.Append(t.Context(), batch(ids...)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []int{0, 999, 1000, 1001, 2599} {
		id := fmt.Sprintf("evt-%d", want)
		got, err := j.Trace(t.Context(), "", id)
		if err != nil || len(got.Events) != 1 || string(got.Events[0].ID) != id || got.Events[0].State != "pending" {
			t.Errorf("%s: %+v, %v", id, got, err)
		}
	}
	thread, err := j.Trace(t.Context(), "webhook", "t")
	if err != nil || !thread.Older || thread.Events[0].ID != "evt-2100" || thread.Events[len(thread.Events)-1].ID != "evt-2599" {
		t.Errorf("the thread has %d events, %v", len(thread.Events), err)
	}
	for _, channel := range []string{"layer", ""} {
		got, err := j.Trace(t.Context(), channel, "evt")
		if err != nil || len(got.Events) != 0 {
			t.Errorf("a part of an id finds %+v, %v", got.Events, err)
		}
	}
}

// TestTraceSaysWhereLivePersonHasIt, also after the ledger was sorted, for a
// message in two parts.
func TestTraceSaysWhereLivePersonHasIt(t *testing.T) {
	journal.OnEngines(t, traceSaysWhereLivePersonHasItOn)
}

func traceSaysWhereLivePersonHasItOn(t *testing.T, store string) {
	opts := on(store)
	reopen := func() *journal.Journal {
		j := open(t, opts)
		if err := j.Start(func([]bridge.Entry) {}); err != nil {
			t.Fatal(err)
		}
		return j
	}
	opts.Retention = 1 << 40
	j := reopen()
	ids := []bridge.EventID{"evt-1", "evt-1" + bridge.PartMark + "1"}
	seqs, err := j.Append(t.Context(), batch(ids...))
	if err != nil {
		t.Fatal(err)
	}
	key := bridge.ThreadKey{Channel: "webhook", Thread: "t"}
	thread := bridge.Thread{Channel: "webhook", ID: "t", ExtConsumer: "webhook:hash", Conversation: "c"}
	if err := j.Save(t.Context(), bridge.Standing{Threads: []bridge.Thread{thread}, Conversations: []bridge.Conversation{thread.Begin("c", time.Now())}}); err != nil {
		t.Fatal(err)
	}
	for i, seq := range seqs {
		durable := make(chan error, 1)
		j.Settle(bridge.Settlement{
			Seq: seq, Lane: key.Lane(bridge.ToLivePerson), Outcome: bridge.Delivered, Final: bridge.Done, Dialog: "c", Sequence: int64(4 + i), Source: ids[i],
			Durable: func(err error) { durable <- err },
		})
		if err := <-durable; err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		got, err := j.Trace(t.Context(), "", "evt-1")
		if err != nil || len(got.Events) != 2 || len(got.Threads) != 1 || len(got.Threads[0].Conversations) != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		for i, e := range got.Events {
			if e.State != "done" || e.Sequence == nil || *e.Sequence != int64(4+i) || e.Dialog != "c" || (e.Part == "1") != (i == 1) {
				t.Errorf("part %d: %+v", i, e)
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j = reopen()
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}
