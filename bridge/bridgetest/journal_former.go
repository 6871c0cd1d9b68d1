package bridgetest

import (
	"slices"
	"testing"

	"lpbridge/bridge"
)

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
