package bridgetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"

	"lpbridge/bridge"
)

func testLedger(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	enter := func(lane bridge.LaneKey, dialog string, sequence int64, source bridge.EventID) {
		j.Settle(bridge.Settlement{Lane: lane, Final: bridge.Done, Dialog: dialog, Sequence: sequence, Source: source})
	}
	enter(laneA, "d-1", 4, "s-4")
	enter(laneA, "d-1", 7, "s-7")
	enter(laneB, "d-1", 5, "")
	enter(other, "d-2", 0, "s-0")
	enter(laneA, "", 99, "no dialog")
	must(t, j.Check(t.Context()))
	at := func(dialog string, sequences ...int64) []bridge.LedgerEntry {
		t.Helper()
		return got[[]bridge.LedgerEntry](t)(j.MessagesAt(t.Context(), dialog, sequences))
	}
	same(t, "ledger", at("d-1", 7, 3, 4, 5), []bridge.LedgerEntry{
		{Sequence: 7, Channel: "webhook", Thread: "t-1", Source: "s-7"},
		{Sequence: 4, Channel: "webhook", Thread: "t-1", Source: "s-4"},
		{Sequence: 5, Channel: "webhook", Thread: "t-2"},
	})
	same(t, "another dialog", at("d-2", 0, 4), []bridge.LedgerEntry{{Sequence: 0, Channel: "layer", Thread: "t-1", Source: "s-0"}})
	same(t, "no dialog", at("", 99), []bridge.LedgerEntry{})
	for dialog, want := range map[string]int64{"d-1": 7, "d-2": 0, "d-3": -1, "": -1} {
		if last := got[int64](t)(j.LastOf(t.Context(), dialog)); last != want {
			t.Errorf("last of %q: %d, want %d", dialog, last, want)
		}
	}
	for lane, want := range map[bridge.LaneKey]int64{laneA: 7, laneB: 5, other: -1} {
		if last := got[int64](t)(j.LastOfThread(t.Context(), "d-1", bridge.ThreadKey{Channel: lane.Channel, Thread: lane.Thread})); last != want {
			t.Errorf("last of %v: %d, want %d", lane, last, want)
		}
	}
	enter(laneB, "d-1", 7, "again")
	must(t, j.Check(t.Context()))
	same(t, "entered twice", at("d-1", 7), []bridge.LedgerEntry{{Sequence: 7, Channel: "webhook", Thread: "t-2", Source: "again"}})
}

func testStandingThreads(t *testing.T, store JournalStore) {
	open := store(t)
	j := open()
	start(t, j)
	a := bridge.Thread{
		Channel: "webhook", ID: "t-1", Consumer: "u-7", ExtConsumer: "webhook:u-7", LPConsumer: "lp-7", Conversation: "c-1",
	}
	b, c := a, bridge.Thread{Channel: "layer", ID: "t-1"}
	b.ID = "t-2"
	must(t, j.Save(t.Context(), bridge.Standing{}))
	must(t, j.Save(t.Context(), bridge.Standing{Threads: []bridge.Thread{a, b, c}}))
	of := func(want ...bridge.Thread) {
		t.Helper()
		same(t, "threads of the consumer", got[[]bridge.Thread](t)(j.ThreadsOf(t.Context(), "lp-7")), want)
	}
	of(b, a)
	a.Conversation = ""
	must(t, j.Save(t.Context(), bridge.Standing{Threads: []bridge.Thread{a}}))
	of(a, b)
	must(t, j.Close())

	j = open()
	start(t, j)
	of(a, b)
	must(t, j.Save(t.Context(), bridge.Standing{Threads: []bridge.Thread{b}}))
	of(b, a)
	th := got[*bridge.Thread](t)(j.Thread(t.Context(), bridge.ThreadKey{Channel: "webhook", Thread: "t-1"}))
	same(t, "thread", th, &a)
	for _, id := range []string{"", "lp-8"} {
		same(t, "threads of nobody", got[[]bridge.Thread](t)(j.ThreadsOf(t.Context(), id)), []bridge.Thread{})
	}
	if th := got[*bridge.Thread](t)(j.Thread(t.Context(), bridge.ThreadKey{Channel: "webhook", Thread: "t-9"})); th != nil {
		t.Errorf("unknown thread: %+v", th)
	}
	must(t, j.Close())
}

func conversation(id string, change func(*bridge.Conversation)) bridge.Conversation {
	c := bridge.Conversation{
		ID: id, Channel: "webhook", Thread: "t-1", ExtConsumer: "webhook:u", LPConsumer: "lp-1", Dialog: id, Dialogs: []string{id},
		Open: true,
	}
	if change != nil {
		change(&c)
	}
	return c
}

func saveConversations(t *testing.T, j bridge.Journal, list ...bridge.Conversation) {
	t.Helper()
	must(t, j.Save(t.Context(), bridge.Standing{Conversations: list}))
}

func testConversations(t *testing.T, store JournalStore) {
	open := store(t)
	j := open()
	start(t, j)
	at := time.Date(2025, 11, 20, 10, 0, 0, 5000, time.UTC)
	want := conversation("c-1", func(c *bridge.Conversation) {
		c.Survey, c.Announced, c.Updated, c.Joined = "s-1", true, 1_790_000_000_123, "agent-1"
		c.Began, c.Dialogs = at, []string{"c-1", "s-1"}
	})
	saveConversations(t, j, want)
	read := func(id string) *bridge.Conversation {
		t.Helper()
		return got[*bridge.Conversation](t)(j.Conversation(t.Context(), id))
	}
	same(t, "conversation", read("c-1"), &want)
	if c := read("c-2"); c != nil {
		t.Errorf("unknown conversation: %+v", c)
	}
	want.Open, want.Survey, want.Joined, want.Announced = false, "", "", false
	want.Ended, want.Channel, want.Thread = at.Add(time.Hour), "", ""
	saveConversations(t, j, want)
	same(t, "ended, held by nobody", read("c-1"), &want)
	must(t, j.Close())
	j = open()
	same(t, "after a restart", read("c-1"), &want)
	must(t, j.Close())
}

func testConversationsOf(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	at := time.Date(2025, 11, 20, 10, 0, 0, 0, time.UTC)
	begun := func(id string, hours int) bridge.Conversation {
		return conversation(id, func(c *bridge.Conversation) { c.Began = at.Add(time.Duration(hours) * time.Hour) })
	}
	saveConversations(t, j, begun("c-2", 2), conversation("unknown", nil), begun("c-3", 3), begun("c-1", 1), begun("c-1b", 1),
		conversation("elsewhere", func(c *bridge.Conversation) { c.Thread = "t-2" }))
	saveConversations(t, j, begun("c-1", 1))
	of := func(limit int, want ...string) {
		t.Helper()
		var have []string
		k := bridge.ThreadKey{Channel: "webhook", Thread: "t-1"}
		for _, c := range got[[]bridge.Conversation](t)(j.ConversationsOf(t.Context(), k, limit)) {
			have = append(have, c.ID)
		}
		same(t, fmt.Sprint("newest ", limit), have, want)
	}
	of(10, "c-3", "c-2", "c-1b", "c-1", "unknown")
	of(2, "c-3", "c-2")
}

func testHeldBy(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	held := func(lpConsumer, want string) {
		t.Helper()
		c := got[*bridge.Conversation](t)(j.HeldBy(t.Context(), lpConsumer))
		if (c == nil) != (want == "") || c != nil && c.ID != want {
			t.Errorf("held by %q: %+v, want %q", lpConsumer, c, want)
		}
	}
	held("lp-1", "")
	nobody := conversation("c-0", func(c *bridge.Conversation) { c.LPConsumer = "" })
	one, two := conversation("c-1", nil), conversation("c-2", nil)
	saveConversations(t, j, nobody, two, one)
	held("lp-1", "c-1")
	held("", "")
	saveConversations(t, j, two)
	held("lp-1", "c-2")
	two.Open = false
	saveConversations(t, j, two)
	held("lp-1", "c-1")
	one.Open = false
	saveConversations(t, j, one)
	held("lp-1", "")
}

func testDialogs(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	saveConversations(t, j, conversation("c-1", func(c *bridge.Conversation) { c.Dialogs, c.Survey = nil, "s-1" }))
	// A dialog that is not named again is still the conversation's.
	saveConversations(t, j, conversation("c-1", func(c *bridge.Conversation) { c.Dialog, c.Dialogs = "d-2", []string{"d-3"} }))
	saveConversations(t, j, conversation("c-2", nil))
	c := got[*bridge.Conversation](t)(j.Conversation(t.Context(), "c-1"))
	same(t, "dialogs", c.Dialogs, []string{"c-1", "d-2", "d-3", "s-1"})
	of := func(dialog, want string) {
		t.Helper()
		c := got[*bridge.Conversation](t)(j.ConversationOfDialog(t.Context(), dialog))
		if (c == nil) != (want == "") || c != nil && c.ID != want {
			t.Errorf("conversation of dialog %q: %+v, want %q", dialog, c, want)
		}
	}
	for _, dialog := range c.Dialogs {
		of(dialog, "c-1")
	}
	of("c-2", "c-2")
	of("", "")
	of("d-9", "")
	saveConversations(t, j, conversation("c-2", func(c *bridge.Conversation) { c.Survey = "d-3" }))
	of("d-3", "c-2")
}

func testTakeOver(t *testing.T, store JournalStore) {
	open := store(t)
	j := open()
	start(t, j)
	a := bridge.Thread{Channel: "webhook", ID: "t-1", LPConsumer: "lp-1", Conversation: "c-1"}
	b := bridge.Thread{Channel: "layer", ID: "t-9", LPConsumer: "lp-1"}
	c := conversation("c-1", nil)
	must(t, j.Save(t.Context(), bridge.Standing{Threads: []bridge.Thread{a, b}, Conversations: []bridge.Conversation{c}}))
	a.Conversation, b.Conversation, c.Channel, c.Thread = "", "c-1", b.Channel, b.ID
	must(t, j.Save(t.Context(), bridge.Standing{Threads: []bridge.Thread{a, b}, Conversations: []bridge.Conversation{c}}))
	must(t, j.Close())
	j = open()
	defer func() { must(t, j.Close()) }()
	same(t, "threads", got[[]bridge.Thread](t)(j.ThreadsOf(t.Context(), "lp-1")), []bridge.Thread{b, a})
	same(t, "conversation", got[*bridge.Conversation](t)(j.HeldBy(t.Context(), "lp-1")), &c)
	list := got[[]bridge.Conversation](t)(j.ConversationsOf(t.Context(), bridge.ThreadKey{Channel: "webhook", Thread: "t-1"}, 10))
	if len(list) != 0 {
		t.Errorf("the thread before still holds %+v", list)
	}
}

func testConsumers(t *testing.T, store JournalStore) {
	open := store(t)
	j := open()
	start(t, j)
	one := bridge.ConsumerRow{
		Channel: "webhook", ID: "u-1", ExtConsumer: "webhook:1", LPConsumer: "lp-1", Profile: []byte(`{"name":"Ü"}`),
	}
	read := func(channel string, id bridge.ConsumerID, want *bridge.ConsumerRow) {
		t.Helper()
		same(t, "consumer "+string(id), got[*bridge.ConsumerRow](t)(j.Consumer(t.Context(), channel, id)), want)
	}
	read("webhook", "u-1", nil)
	must(t, j.SaveConsumer(t.Context(), one))
	read("webhook", "u-1", &one)
	read("layer", "u-1", nil)
	two := bridge.ConsumerRow{Channel: "layer", ID: "u-1"}
	one.Profile, one.LPConsumer = nil, "lp-2"
	// They come with a batch, and whether its events are known does not matter.
	for range 2 {
		got[[]int64](t)(j.Append(t.Context(), bridge.Batch{
			Entries: []bridge.Entry{message(laneA, "m-1")}, Consumers: []bridge.ConsumerRow{one, two},
		}))
		two.ExtConsumer = "layer:1"
	}
	must(t, j.Close())
	j = open()
	read("webhook", "u-1", &one)
	read("layer", "u-1", &two)
	got[[]int64](t)(j.Append(t.Context(), bridge.Batch{Consumers: []bridge.ConsumerRow{two}}))
	must(t, j.Close())
}

func testUnclaimed(t *testing.T, store JournalStore) {
	open := store(t)
	j := open()
	start(t, j)
	at := time.Now().UTC().Add(-time.Hour).Truncate(time.Microsecond)
	change := func(conversation string, sequence int64) bridge.Unclaimed {
		return bridge.Unclaimed{
			Conversation: conversation, Dialog: conversation, Sequence: sequence, Received: at,
			Body: fmt.Appendf(nil, `{"sequence":%d}`, sequence),
		}
	}
	one, two, three := change("c-1", 2), change("c-1", 1), change("c-2", 1)
	must(t, second(j.Append(t.Context(), bridge.Batch{Unclaimed: []bridge.Unclaimed{one, two, one}})))
	must(t, second(j.Append(t.Context(), bridge.Batch{
		Entries: []bridge.Entry{message(backA, "r-1")}, Unclaimed: []bridge.Unclaimed{three, two, {Conversation: "c-3"}},
	})))
	check := func(what string, have []bridge.Unclaimed, want ...bridge.Unclaimed) {
		t.Helper()
		same(t, what, have, want, cmpopts.IgnoreFields(bridge.Unclaimed{}, "ID"))
		if !slices.IsSortedFunc(have, func(a, b bridge.Unclaimed) int { return int(a.ID - b.ID) }) {
			t.Errorf("%s: not in the order of arrival", what)
		}
	}
	of := func(conversation string) []bridge.Unclaimed {
		t.Helper()
		return got[[]bridge.Unclaimed](t)(j.UnclaimedOf(t.Context(), conversation))
	}
	check("of one", of("c-1"), one, two)
	check("of another", of("c-2"), three)
	if at := of("c-3")[0].Received; time.Since(at) > time.Minute {
		t.Errorf("received %v, want now where it was not said", at)
	}
	must(t, j.Close())

	j = open()
	start(t, j)
	all := got[[]bridge.Unclaimed](t)(j.AllUnclaimed(t.Context(), 0, 3))
	check("first page", all, one, two, three)
	rest := got[[]bridge.Unclaimed](t)(j.AllUnclaimed(t.Context(), all[2].ID, 3))
	if len(rest) != 1 || rest[0].Conversation != "c-3" {
		t.Errorf("second page %+v, want the last", rest)
	}
	must(t, j.DropUnclaimed(t.Context(), all[0].ID, all[2].ID, all[0].ID, 1<<40))
	must(t, j.DropUnclaimed(t.Context()))
	check("after a drop", of("c-1"), two)
	check("dropped", of("c-2"))
	must(t, j.Close())
}

func testUnclaimedNumbers(t *testing.T, store JournalStore) {
	j, _ := started(t, store)
	one := bridge.Unclaimed{Conversation: "c-1", Body: []byte("1")}
	var last int64
	for range 3 {
		must(t, second(j.Append(t.Context(), bridge.Batch{Unclaimed: []bridge.Unclaimed{one}})))
		u := got[[]bridge.Unclaimed](t)(j.UnclaimedOf(t.Context(), "c-1"))[0]
		if u.ID <= last {
			t.Errorf("number %d was given before", u.ID)
		}
		last = u.ID
		must(t, j.DropUnclaimed(t.Context(), u.ID))
	}
}

func testComposingMarks(t *testing.T, store JournalStore) {
	open := store(t)
	j := open()
	start(t, j)
	one := bridge.ComposingMark{Thread: bridge.ThreadKey{Channel: "webhook", Thread: "t-1"}, Conversation: "c-1"}
	next, back, other := one, one, one
	next.Conversation, back.Direction, other.Agent = "c-2", bridge.ToChannel, "agent-1"
	marks := func(want ...bridge.ComposingMark) []bridge.ComposingMark {
		t.Helper()
		must(t, j.Check(t.Context()))
		have := got[[]bridge.ComposingMark](t)(j.Composing(t.Context()))
		same(t, "marks", have, want, cmpopts.IgnoreFields(bridge.ComposingMark{}, "Since"))
		return have
	}
	marks()
	for _, m := range []bridge.ComposingMark{one, next, back, other} {
		must(t, j.SetComposing(t.Context(), m))
	}
	since := marks(one, next, back, other)[0].Since
	if time.Since(since) > time.Minute {
		t.Errorf("marked since %v, want now", since)
	}
	must(t, j.SetComposing(t.Context(), one))
	must(t, j.Close())
	j = open()
	start(t, j)
	if again := marks(one, next, back, other)[0].Since; !again.Equal(since) {
		t.Errorf("marked since %v, want it to stay %v", again, since)
	}
	j.ClearComposing(next)
	marks(one, back, other)
	j.ClearComposing(one)
	must(t, j.SetComposing(t.Context(), one))
	marks(back, other, one)
	j.ClearComposing(other)
	j.ClearComposing(one)
	j.ClearComposing(one)
	marks(back)
	// What nobody waits for is committed by Close.
	j.ClearComposing(back)
	must(t, j.Close())
	j = open()
	marks()
	must(t, j.Close())
}
