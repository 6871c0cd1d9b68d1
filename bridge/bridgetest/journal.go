package bridgetest

import (
	"context"
	"errors"
	"fmt"
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
		{"settle place", testSettlePlace},
		{"settle without a pending entry", testSettleGone},
		{"threads", testThreads},
		{"thread lookups", testThreadLookups},
		{"composing marks", testComposing},
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
		{"clean", testClean},
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
		Accepted: time.Date(2026, 11, 20, 10, 0, 0, 123_456_000, time.UTC),
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

func testAppendRecordTaken(t *testing.T, store JournalStore) {
	j, h := started(t, store)
	book := j.RecordsOf("layer")
	must(t, book.Save(t.Context(), bridge.Record{Kind: "message", ID: 1, Keys: []string{"k"}}))
	batch := bridge.Batch{
		Entries: []bridge.Entry{message(laneA, "m-1")},
		Records: []bridge.ChannelRecord{
			{Channel: "layer", Record: bridge.Record{Kind: "message", ID: 2, Keys: []string{"free"}}},
			{Channel: "layer", Record: bridge.Record{Kind: "message", ID: 3, Keys: []string{"k"}}},
		},
	}
	if _, err := j.Append(t.Context(), batch); !errors.Is(err, bridge.ErrRecordTaken) {
		t.Fatalf("error %v, want ErrRecordTaken", err)
	}
	if _, err := book.Get(t.Context(), "message", 2); !errors.Is(err, bridge.ErrNoRecord) {
		t.Errorf("record of a refused batch: error %v, want ErrNoRecord", err)
	}
	if n := j.PendingCount(); n != 0 || len(h.seqs()) != 0 {
		t.Errorf("%d pending after a refused batch, the hook has %v", n, h.seqs())
	}
	batch.Records = batch.Records[:1]
	if seqs := got[[]int64](t)(j.Append(t.Context(), batch)); seqs[0] == 0 {
		t.Error("the event of a refused batch counts as known")
	}
	got[bridge.Record](t)(book.Get(t.Context(), "message", 2))

	// Records are saved although the event is known.
	batch.Records[0].Data = []byte("again")
	if seqs := got[[]int64](t)(j.Append(t.Context(), batch)); seqs[0] != 0 {
		t.Error("the repeated event counts as new")
	}
	same(t, "data", got[bridge.Record](t)(book.Get(t.Context(), "message", 2)).Data, []byte("again"))
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
	next := time.Date(2026, 11, 20, 10, 5, 0, 0, time.UTC)
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

func testSettlePlace(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	key := bridge.ThreadKey{Channel: "webhook", Thread: "t-1"}
	must(t, j.SaveThread(t.Context(), bridge.Thread{Channel: "webhook", ID: "t-1", Dialog: "d-1", Sequence: -1}))
	must(t, j.SaveThread(t.Context(), bridge.Thread{Channel: "webhook", ID: "t-2", Dialog: "d-1", Sequence: -1}))
	place := func(id bridge.EventID, dialog string, sequence int64, source bridge.EventID) {
		seq := add(t, j, message(laneA, id))[0]
		j.Settle(bridge.Settlement{
			Seq: seq, Lane: laneA, Final: bridge.Done, Dialog: dialog, Sequence: sequence, Source: source,
		})
	}
	place("m-1", "d-1", 4, "s-4")
	place("m-2", "d-1", 7, "s-7")
	place("m-3", "d-1", 5, "s-5")
	place("m-4", "d-1", 6, "")
	place("m-5", "d-other", 99, "s-99")
	must(t, j.Check(t.Context()))
	th := got[*bridge.Thread](t)(j.Thread(t.Context(), key))
	if th.Sequence != 7 {
		t.Errorf("sequence %d, want 7, the highest within the dialog", th.Sequence)
	}
	th = got[*bridge.Thread](t)(j.Thread(t.Context(), bridge.ThreadKey{Channel: "webhook", Thread: "t-2"}))
	if th.Sequence != -1 {
		t.Errorf("sequence of another thread %d, want -1", th.Sequence)
	}
	same(t, "sent", got[[]bridge.EventID](t)(j.SentAs(t.Context(), "d-1", []int64{7, 3, 4, 5, 6})),
		[]bridge.EventID{"s-7", "s-4", "s-5"})
	same(t, "sent in another dialog", got[[]bridge.EventID](t)(j.SentAs(t.Context(), "d-other", []int64{99, 7})),
		[]bridge.EventID{"s-99"})
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
		same(t, "sent", got[[]bridge.EventID](t)(j.SentAs(t.Context(), "d-1", []int64{seq})), []bridge.EventID{"s"})
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

func testThreads(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	key := bridge.ThreadKey{Channel: "webhook", Thread: "t-1"}
	if th := got[*bridge.Thread](t)(j.Thread(t.Context(), key)); th != nil {
		t.Errorf("unknown thread: %+v", th)
	}
	want := bridge.Thread{
		Channel: "webhook", ID: "t-1", Consumer: "u-7", ExtConsumer: "webhook:u-7", LPConsumer: "lp-7",
		Conversation: "c-1", Dialog: "d-1", Survey: "s-1", Former: "c-0", Announced: true, Open: true, Sequence: 12, Updated: 1_790_000_000_123,
		Joined: "agent-1",
	}
	saved := want
	saved.ToldComposing = true
	must(t, j.SaveThread(t.Context(), saved))
	same(t, "new thread", got[*bridge.Thread](t)(j.Thread(t.Context(), key)), &want)

	want.Open, want.Survey, want.Joined = false, "", ""
	saved = want
	saved.Sequence = 3
	must(t, j.SaveThread(t.Context(), saved))
	same(t, "same dialog", got[*bridge.Thread](t)(j.Thread(t.Context(), key)), &want)

	want.Dialog, want.Conversation, want.Sequence = "d-2", "c-2", -1
	must(t, j.SaveThread(t.Context(), want))
	same(t, "next dialog", got[*bridge.Thread](t)(j.Thread(t.Context(), key)), &want)

	// A settlement before the save of a new dialog must not reach into it.
	j.Settle(bridge.Settlement{Lane: laneA, Dialog: "d-2", Sequence: 8})
	want.Dialog = "d-3"
	must(t, j.SaveThread(t.Context(), want))
	j.Settle(bridge.Settlement{Lane: laneA, Dialog: "d-2", Sequence: 9})
	must(t, j.Check(t.Context()))
	same(t, "third dialog", got[*bridge.Thread](t)(j.Thread(t.Context(), key)), &want)

	j.Settle(bridge.Settlement{Lane: laneA, Dialog: "d-3", Sequence: 2})
	must(t, j.SaveThread(t.Context(), want))
	want.Sequence = 2
	same(t, "settled before saved", got[*bridge.Thread](t)(j.Thread(t.Context(), key)), &want)
}

func testThreadLookups(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	save := func(id bridge.ThreadID, conversation, dialog, survey, consumer string) {
		must(t, j.SaveThread(t.Context(), bridge.Thread{
			Channel: "webhook", ID: id, Conversation: conversation, Dialog: dialog, Survey: survey,
			LPConsumer: consumer, Sequence: -1,
		}))
	}
	save("t-1", "c-1", "d-1", "", "lp-1")
	save("t-2", "c-2", "d-2", "s-2", "lp-1")
	save("t-3", "", "", "", "")
	lookup := func(what string, th *bridge.Thread, err error, want bridge.ThreadID) {
		t.Helper()
		must(t, err)
		var id bridge.ThreadID
		if th != nil {
			id = th.ID
		}
		if id != want {
			t.Errorf("%s: thread %q, want %q", what, id, want)
		}
	}
	for name, want := range map[string]bridge.ThreadID{
		"c-1": "t-1", "d-1": "t-1", "c-2": "t-2", "d-2": "t-2", "s-2": "t-2", "": "", "c-9": "", "lp-1": "",
	} {
		th, err := j.ThreadByConversation(t.Context(), name)
		lookup("conversation "+name, th, err, want)
	}
	for name, want := range map[string]bridge.ThreadID{"lp-1": "t-2", "": "", "c-1": ""} {
		th, err := j.ThreadByConsumer(t.Context(), name)
		lookup("consumer "+name, th, err, want)
	}
	save("t-1", "c-2", "d-1", "", "lp-1")
	th, err := j.ThreadByConsumer(t.Context(), "lp-1")
	lookup("consumer of two", th, err, "t-1")
	th, err = j.ThreadByConversation(t.Context(), "c-2")
	lookup("conversation of two", th, err, "t-1")
	save("t-2", "c-3", "d-3", "", "lp-1")
	th, err = j.ThreadByConversation(t.Context(), "s-2")
	lookup("survey that is over", th, err, "")
	must(t, j.SaveThread(t.Context(), bridge.Thread{Channel: "webhook", ID: "t-4", Conversation: "c-5", Dialog: "c-5", Former: "c-4"}))
	th, err = j.ThreadByConversation(t.Context(), "c-4")
	lookup("conversation that ended", th, err, "t-4")
}

func testComposing(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	one := bridge.ThreadKey{Channel: "webhook", Thread: "t-1"}
	two := bridge.ThreadKey{Channel: "webhook", Thread: "t-2"}
	for _, k := range []bridge.ThreadKey{one, two} {
		must(t, j.SaveThread(t.Context(), bridge.Thread{Channel: k.Channel, ID: k.Thread, Sequence: -1}))
	}
	composing := func(want ...bridge.ThreadID) {
		t.Helper()
		must(t, j.Check(t.Context()))
		var have []bridge.ThreadID
		for _, th := range got[[]bridge.Thread](t)(j.ComposingThreads(t.Context())) {
			if !th.ToldComposing {
				t.Errorf("thread %s is listed and not marked", th.ID)
			}
			have = append(have, th.ID)
		}
		slices.Sort(have)
		same(t, "composing", have, want)
	}
	composing()
	j.MarkComposing(one, true)
	j.MarkComposing(two, true)
	j.MarkComposing(bridge.ThreadKey{Channel: "layer", Thread: "t-1"}, true)
	composing("t-1", "t-2")
	j.MarkComposing(one, false)
	j.MarkComposing(one, true)
	j.MarkComposing(two, true)
	j.MarkComposing(two, false)
	composing("t-1")
	must(t, j.SaveThread(t.Context(), bridge.Thread{Channel: "webhook", ID: "t-1", Sequence: -1, Joined: "a"}))
	composing("t-1")
	if th := got[*bridge.Thread](t)(j.Thread(t.Context(), one)); !th.ToldComposing {
		t.Error("saving a thread cleared its mark")
	}
	j.MarkComposing(one, false)
	composing()
}

func testLanes(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	if lanes := got[[]bridge.LaneKey](t)(j.Lanes(t.Context(), bridge.LaneKey{}, 10)); len(lanes) != 0 {
		t.Errorf("lanes of an empty journal: %v", lanes)
	}
	want := []bridge.LaneKey{laneA, laneB, backA, other, {Channel: "web", Thread: "<t>"}, {Channel: "layer", Thread: ""}}
	for i, lane := range want {
		add(t, j, message(lane, bridge.EventID(fmt.Sprint("m-", i))), message(lane, bridge.EventID(fmt.Sprint("n-", i))))
	}
	gone := bridge.LaneKey{Channel: "webhook", Thread: "t-11"}
	seqs := add(t, j, message(gone, "g-1"), message(gone, "g-2"))
	settle(t, j, bridge.Settlement{Seq: seqs[0], Lane: gone, Final: bridge.Done})
	settle(t, j, bridge.Settlement{Seq: seqs[1], Lane: gone, Final: bridge.Dead, Outcome: bridge.Invalid})

	all := got[[]bridge.LaneKey](t)(j.Lanes(t.Context(), bridge.LaneKey{}, 100))
	for _, limit := range []int{1, 2, 4} {
		var paged []bridge.LaneKey
		var after bridge.LaneKey
		for {
			page := got[[]bridge.LaneKey](t)(j.Lanes(t.Context(), after, limit))
			if len(page) == 0 {
				break
			}
			if len(page) > limit {
				t.Fatalf("%d lanes, want at most %d", len(page), limit)
			}
			paged = append(paged, page...)
			after = page[len(page)-1]
		}
		same(t, fmt.Sprint("pages of ", limit), paged, all)
	}
	sortLanes := cmpopts.SortSlices(func(a, b bridge.LaneKey) bool { return fmt.Sprint(a) < fmt.Sprint(b) })
	same(t, "lanes", all, want, sortLanes)

	// The lane a page starts after may be empty by then.
	second := all[1]
	for _, e := range pending(t, j, second) {
		settle(t, j, bridge.Settlement{Seq: e.Seq, Lane: second, Final: bridge.Done})
	}
	same(t, "after a lane that is empty now", got[[]bridge.LaneKey](t)(j.Lanes(t.Context(), second, 100)), all[2:])
}

func testPendingOf(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	seqs := add(t, j, message(laneA, "a-1"), message(laneB, "b-1"), message(laneA, "a-2"), message(backA, "r-1"),
		message(other, "o-1"), message(laneA, "a-3"))
	for _, c := range []struct {
		name  string
		lane  bridge.LaneKey
		after int64
		limit int
		want  []bridge.EventID
	}{
		{"all", laneA, 0, 10, []bridge.EventID{"a-1", "a-2", "a-3"}},
		{"some", laneA, 0, 2, []bridge.EventID{"a-1", "a-2"}},
		{"after", laneA, seqs[0], 10, []bridge.EventID{"a-2", "a-3"}},
		{"after the last", laneA, seqs[5], 10, nil},
		{"other direction", backA, 0, 10, []bridge.EventID{"r-1"}},
		{"other channel", other, 0, 10, []bridge.EventID{"o-1"}},
		{"unknown", bridge.LaneKey{Channel: "webhook", Thread: "t-"}, 0, 10, nil},
	} {
		same(t, c.name, ids(got[[]bridge.Entry](t)(j.PendingOf(t.Context(), c.lane, c.after, c.limit))), c.want)
	}
}

// bury makes dead letters of new messages.
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
		e.Seq, e.Attempts, e.Last = seqs[i], 2, bridge.Invalid
		want = append(want, bridge.DeadLetter{Entry: e})
	}
	same(t, "dead letters", dead, want, cmpopts.IgnoreFields(bridge.DeadLetter{}, "Died"))
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

func testFlags(t *testing.T, store JournalStore) {
	open := store(t)
	j := open()
	flag := func(name, want string) {
		t.Helper()
		if v := got[string](t)(j.Flag(t.Context(), name)); v != want {
			t.Errorf("flag %s is %q, want %q", name, v, want)
		}
	}
	flag("clean", "")
	must(t, j.SetFlag(t.Context(), "a", "1"))
	must(t, j.SetFlag(t.Context(), "a", "2"))
	must(t, j.SetFlag(t.Context(), "b", ""))
	flag("a", "2")
	flag("b", "")
	must(t, j.Close())
	j = open()
	flag("a", "2")
	must(t, j.Close())
}

func testRecords(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	book := j.RecordsOf("layer")
	if _, err := book.Get(t.Context(), "message", 1); !errors.Is(err, bridge.ErrNoRecord) {
		t.Errorf("error %v, want ErrNoRecord", err)
	}
	at := time.Date(2026, 11, 20, 10, 0, 0, 5000, time.UTC)
	want := bridge.Record{
		Kind: "message", ID: 7, Parent: "c-1", Keys: []string{"source-1", "", "ü/\x00"}, Data: []byte{0, 1, 0xff}, Time: at,
	}
	must(t, book.Save(t.Context(), want))
	same(t, "record", got[bridge.Record](t)(book.Get(t.Context(), "message", 7)), want)
	for _, miss := range []struct {
		name    string
		channel string
		kind    string
	}{{"kind", "layer", "contact"}, {"channel", "webhook", "message"}} {
		if _, err := j.RecordsOf(miss.channel).Get(t.Context(), miss.kind, 7); !errors.Is(err, bridge.ErrNoRecord) {
			t.Errorf("other %s: error %v, want ErrNoRecord", miss.name, err)
		}
	}

	want.Data, want.Parent = nil, "c-2"
	again := want
	again.Time = at.Add(time.Hour)
	must(t, book.Save(t.Context(), again))
	same(t, "replaced", got[bridge.Record](t)(book.Get(t.Context(), "message", 7)), want)
	same(t, "old parent", got[[]bridge.Record](t)(book.List(t.Context(), "message", "c-1", bridge.Page{})), []bridge.Record{})

	before := time.Now().Add(-time.Second)
	must(t, book.Save(t.Context(), bridge.Record{Kind: "message", ID: 8}))
	if at := got[bridge.Record](t)(book.Get(t.Context(), "message", 8)).Time; at.Before(before) {
		t.Errorf("time %v, want now where the record says nothing", at)
	}
	must(t, book.Delete(t.Context(), "message", 7, 99))
	if _, err := book.Get(t.Context(), "message", 7); !errors.Is(err, bridge.ErrNoRecord) {
		t.Errorf("deleted record: error %v, want ErrNoRecord", err)
	}
	must(t, book.Save(t.Context()))
	must(t, book.Delete(t.Context(), "message"))
}

func testRecordKeys(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	book := j.RecordsOf("layer")
	save := func(id int64, keys ...string) error {
		return book.Save(t.Context(), bridge.Record{Kind: "message", ID: id, Keys: keys})
	}
	find := func(key string, want int64) {
		t.Helper()
		r, err := book.Find(t.Context(), "message", key)
		if want == 0 {
			if !errors.Is(err, bridge.ErrNoRecord) {
				t.Errorf("key %s: record %d, error %v, want ErrNoRecord", key, r.ID, err)
			}
			return
		}
		must(t, err)
		if r.ID != want {
			t.Errorf("key %s: record %d, want %d", key, r.ID, want)
		}
	}
	must(t, save(1, "a", "b"))
	must(t, save(2, "c"))
	find("a", 1)
	find("b", 1)
	find("c", 2)
	if err := save(3, "x", "b"); !errors.Is(err, bridge.ErrRecordTaken) {
		t.Errorf("error %v, want ErrRecordTaken", err)
	}
	find("x", 0)
	must(t, save(1, "b", "d", "d"))
	find("a", 0)
	find("d", 1)
	must(t, save(3, "a"))
	find("a", 3)
	err := book.Save(t.Context(),
		bridge.Record{Kind: "message", ID: 4, Keys: []string{"e"}}, bridge.Record{Kind: "message", ID: 5, Keys: []string{"e"}})
	if !errors.Is(err, bridge.ErrRecordTaken) {
		t.Errorf("two records of one call with one key: error %v, want ErrRecordTaken", err)
	}
	find("e", 0)
	must(t, book.Save(t.Context(), bridge.Record{Kind: "contact", ID: 9, Keys: []string{"a"}}))
	must(t, j.RecordsOf("webhook").Save(t.Context(), bridge.Record{Kind: "message", ID: 9, Keys: []string{"a"}}))
	find("a", 3)
	must(t, book.Delete(t.Context(), "message", 3))
	find("a", 0)
	must(t, save(6, "a"))
	find("a", 6)
}

func testRecordNumbers(t *testing.T, store JournalStore) {
	open := store(t)
	seen := map[int64]bool{}
	var highest int64
	for range 3 {
		j := open()
		start(t, j)
		book := j.RecordsOf("layer")
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 40 {
					id, err := book.NextID(t.Context(), "message")
					mu.Lock()
					if err != nil || id < 1 || seen[id] {
						t.Errorf("number %d, error %v, want one never given", id, err)
					}
					seen[id] = true
					highest = max(highest, id)
					mu.Unlock()
				}
			})
		}
		all.Wait()
		// A number given before and deleted since does not come back.
		must(t, book.Save(t.Context(), bridge.Record{Kind: "message", ID: highest}))
		must(t, book.Delete(t.Context(), "message", highest))
		// Neither does the id of a record that was saved with one of its own.
		must(t, book.Save(t.Context(), bridge.Record{Kind: "message", ID: highest + 10}))
		id := got[int64](t)(book.NextID(t.Context(), "message"))
		if id <= highest+10 {
			t.Errorf("number %d after a record with id %d", id, highest+10)
		}
		seen[id] = true
		highest = id
		must(t, j.Close())
	}
	j := open()
	if id := got[int64](t)(j.RecordsOf("layer").NextID(t.Context(), "contact")); id != 1 {
		t.Errorf("first number of another kind %d, want 1", id)
	}
	must(t, j.Close())
}

func testRecordLists(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	book := j.RecordsOf("layer")
	for id := range int64(120) {
		parent := "even"
		if id%2 == 0 {
			parent = "odd"
		}
		must(t, book.Save(t.Context(), bridge.Record{Kind: "message", ID: id + 1, Parent: parent}))
	}
	must(t, book.Save(t.Context(), bridge.Record{Kind: "contact", ID: 1, Parent: "odd"}))
	for _, c := range []struct {
		name string
		page bridge.Page
		want []int64
	}{
		{"first", bridge.Page{Limit: 3}, []int64{1, 3, 5}},
		{"newest", bridge.Page{Limit: 3, Newest: true}, []int64{119, 117, 115}},
		{"after", bridge.Page{After: 5, Limit: 2}, []int64{7, 9}},
		{"before", bridge.Page{Before: 7}, []int64{1, 3, 5}},
		{"between, newest", bridge.Page{After: 5, Before: 11, Newest: true}, []int64{9, 7}},
		{"none", bridge.Page{After: 119}, nil},
	} {
		var have []int64
		for _, r := range got[[]bridge.Record](t)(book.List(t.Context(), "message", "odd", c.page)) {
			have = append(have, r.ID)
		}
		same(t, c.name, have, c.want)
	}
	for id := range int64(120) {
		must(t, book.Save(t.Context(), bridge.Record{Kind: "many", ID: id + 1}))
	}
	if n := len(got[[]bridge.Record](t)(book.List(t.Context(), "many", "", bridge.Page{}))); n != 100 {
		t.Errorf("%d records without a limit, want 100", n)
	}
}

func testClean(t *testing.T, store JournalStore) {
	open := store(t)
	for _, begin := range []bool{false, true, false, true} {
		j := open()
		if !j.Clean() {
			t.Error("not clean though never cut off")
		}
		if begin {
			start(t, j)
		}
		if !j.Clean() {
			t.Error("not clean after its own start")
		}
		must(t, j.Close())
	}
}

func testRestart(t *testing.T, store JournalStore) {
	open := store(t)
	j := open()
	start(t, j)
	key := bridge.ThreadKey{Channel: "webhook", Thread: "t-1"}
	must(t, j.SaveThread(t.Context(), bridge.Thread{Channel: "webhook", ID: "t-1", Dialog: "d-1", Sequence: -1}))
	seqs := add(t, j, message(laneA, "m-1"), message(laneA, "m-2"), message(laneB, "m-3"))
	bury(t, j, "m-4")
	// What nobody waits for is committed by Close.
	j.MarkComposing(key, true)
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
	th := got[*bridge.Thread](t)(j.Thread(t.Context(), key))
	if !th.ToldComposing || th.Sequence != 3 {
		t.Errorf("thread %+v, want its mark and sequence 3", th)
	}
	same(t, "sent", got[[]bridge.EventID](t)(j.SentAs(t.Context(), "d-1", []int64{3})), []bridge.EventID{"s-3"})
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
	j.MarkComposing(bridge.ThreadKey{Channel: "webhook", Thread: "t-1"}, true)
	for what, err := range map[string]error{
		"append":       second(j.Append(ctx, bridge.Batch{Entries: []bridge.Entry{message(laneA, "m-2")}})),
		"settle":       <-durable,
		"save thread":  j.SaveThread(ctx, bridge.Thread{Channel: "webhook", ID: "t-1"}),
		"lanes":        second(j.Lanes(ctx, bridge.LaneKey{}, 1)),
		"pending":      second(j.PendingOf(ctx, laneA, 0, 1)),
		"thread":       second(j.Thread(ctx, bridge.ThreadKey{})),
		"conversation": second(j.ThreadByConversation(ctx, "c")),
		"consumer":     second(j.ThreadByConsumer(ctx, "c")),
		"composing":    second(j.ComposingThreads(ctx)),
		"sent":         second(j.SentAs(ctx, "d", []int64{1})),
		"flag":         second(j.Flag(ctx, "f")),
		"set flag":     j.SetFlag(ctx, "f", "1"),
		"dead letters": second(j.DeadLetters(ctx, 0, 1)),
		"revive":       second(j.Revive(ctx, seq)),
		"discard":      second(j.Discard(ctx, seq)),
		"check":        j.Check(ctx),
	} {
		if !errors.Is(err, bridge.ErrStorage) {
			t.Errorf("%s: error %v, want ErrStorage", what, err)
		}
	}
}

// second drops a result that comes with an error.
func second[T any](_ T, err error) error { return err }
