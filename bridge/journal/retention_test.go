package journal

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
)

const day = 24 * time.Hour

// TestRetention lets days pass over rows of every kind and looks at when they
// are gone, and that what is in use never is.
func TestRetention(t *testing.T) {
	OnEngines(t, func(t *testing.T, store string) {
		m := &machine{wall: time.Now()}
		j := m.open(t, store)
		defer func() { j.Close() }()
		thread := func(id, conversation string) bridge.Thread {
			return bridge.Thread{
				Channel: "webhook", ID: bridge.ThreadID(id), Consumer: bridge.ConsumerID("of " + id), Conversation: conversation,
			}
		}
		talk := func(id, thread string, open bool) bridge.Conversation {
			return bridge.Conversation{ID: id, Channel: "webhook", Thread: bridge.ThreadID(thread), Dialog: id, Open: open}
		}
		lane := func(thread string) bridge.LaneKey {
			return bridge.LaneKey{Channel: "webhook", Thread: bridge.ThreadID(thread)}
		}
		consumer := func(thread string) bridge.ConsumerRow {
			return bridge.ConsumerRow{Channel: "webhook", ID: bridge.ConsumerID("of " + thread), ExtConsumer: "e"}
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		must(j.Save(t.Context(), bridge.Standing{
			Threads: []bridge.Thread{
				thread("over", "c-over"), thread("open", "c-open"), thread("waits", ""), thread("composing", ""), thread("moved on", "c-2"),
			},
			Conversations: []bridge.Conversation{
				talk("c-over", "over", false), talk("c-open", "open", true), talk("c-1", "moved on", false), talk("c-2", "moved on", true),
			},
		}))
		seqs, err := j.Append(t.Context(), bridge.Batch{
			Entries: []bridge.Entry{
				{Lane: lane("waits"), ID: "w"}, {Lane: lane("over"), ID: "d", Payload: []byte("text")},
				{Lane: lane("over"), ID: "revived", Payload: []byte("text")},
			},
			Consumers: []bridge.ConsumerRow{consumer("over"), consumer("open")},
			Unclaimed: []bridge.Unclaimed{{Conversation: "nobody's", Body: []byte("body")}},
		})
		must(err)
		for _, seq := range seqs[1:] {
			j.Settle(bridge.Settlement{Seq: seq, Lane: lane("over"), Outcome: bridge.Invalid, Final: bridge.Dead, Attempts: 1})
		}
		must(j.SetComposing(t.Context(), bridge.ComposingMark{Thread: bridge.ThreadKey{Channel: "webhook", Thread: "composing"}}))

		look := func(when string, want ...string) {
			t.Helper()
			must(j.purger.purge(t.Context(), j.clock.shift().steady(m.now()), true))
			var have []string
			for _, id := range []string{"over", "open", "waits", "composing", "moved on"} {
				th, err := j.Thread(t.Context(), bridge.ThreadKey{Channel: "webhook", Thread: bridge.ThreadID(id)})
				must(err)
				if th != nil {
					have = append(have, id)
				}
			}
			for _, id := range []string{"c-over", "c-open", "c-1", "c-2"} {
				c, err := j.ConversationOfDialog(t.Context(), id)
				must(err)
				if c != nil {
					have = append(have, id)
				}
			}
			for _, id := range []string{"over", "open"} {
				c, err := j.Consumer(t.Context(), "webhook", bridge.ConsumerID("of "+id))
				must(err)
				if c != nil {
					have = append(have, "consumer of "+id)
				}
			}
			list, err := j.AllUnclaimed(t.Context(), 0, 10)
			must(err)
			for range list {
				have = append(have, "unclaimed")
			}
			d, err := j.DeadLetter(t.Context(), seqs[1])
			must(err)
			if !d.Expired && string(d.Payload) == "text" {
				have = append(have, "text")
			}
			if d.Expired != (len(d.Payload) == 0) {
				t.Errorf("%s: a dead letter that expired=%v has %d bytes", when, d.Expired, len(d.Payload))
			}
			if got := fmt.Sprintf("%q", have); got != fmt.Sprintf("%q", want) {
				t.Errorf("%s: have\n%s, want\n%q", when, got, want)
			}
		}
		pass := func(days int) {
			for range days {
				m.pass(day)
				j.clock.read()
			}
		}
		all := []string{
			"over", "open", "waits", "composing", "moved on", "c-over", "c-open", "c-1", "c-2", "consumer of over", "consumer of open",
			"unclaimed", "text",
		}
		look("at first", all...)
		pass(2)
		look("after 2 days", all...)
		pass(2)
		look("after 4 days", append(all[:11:11], "text")...)
		pass(25)
		look("after 29 days", append(all[:11:11], "text")...)
		pass(2)
		look("after 31 days", "open", "waits", "composing", "moved on", "c-open", "c-2", "consumer of over", "consumer of open")
		if _, err := j.Revive(t.Context(), seqs[1]); err == nil {
			t.Error("a dead letter without its text was revived")
		}
		if ok, err := j.Discard(t.Context(), seqs[1]); !ok || err != nil {
			t.Errorf("discarded %v: %v", ok, err)
		}
		seqs[1] = seqs[2]
		pass(335)
		look("after a year", "waits", "composing")
		if j.w.unclaimed != (volume{}) {
			t.Errorf("%+v count as unclaimed", j.w.unclaimed)
		}
	})
}

// TestForgottenEpochs forgets which processes were cut off long ago, and assumes
// the worst of what they had begun.
func TestForgottenEpochs(t *testing.T) { OnEngines(t, forgottenEpochsOn) }

func forgottenEpochsOn(t *testing.T, store string) {
	m := &machine{wall: time.Now()}
	j := m.open(t, store)
	lane := bridge.LaneKey{Channel: "webhook", Thread: "t"}
	if _, err := j.Append(t.Context(), bridge.Batch{Entries: []bridge.Entry{{Lane: lane, ID: "m-1", Begun: true}}}); err != nil {
		t.Fatal(err)
	}
	// It ends as one does that could not write all it should.
	j.w.gaveUp = true
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	var since time.Time
	for _, days := range []int{0, 31, 1} {
		if strings.HasPrefix(store, "postgres:") {
			// Many starts take long there: the days pass in one go.
			j = m.open(t, store)
			m.pass(time.Duration(days) * 24 * time.Hour)
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			days = 0
		}
		for range days {
			m.pass(10 * time.Hour)
			j = m.open(t, store)
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			m.pass(10 * time.Hour)
			j = m.open(t, store)
			m.pass(4 * time.Hour)
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
		}
		j = m.open(t, store)
		list, err := j.PendingOf(t.Context(), lane, 0, 1)
		if err != nil || len(list) != 1 || list[0].Doubt == nil {
			t.Fatalf("after %d days: %+v, error %v, want the entry in doubt", days, list, err)
		}
		if since.IsZero() {
			since = list[0].Doubt.Since
		}
		if !list[0].Doubt.Since.Equal(since) {
			t.Errorf("after %d days: in doubt since %v, want %v", days, list[0].Doubt.Since, since)
		}
		if err := j.purger.purge(t.Context(), j.clock.shift().steady(m.now()), true); err != nil {
			t.Fatal(err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
	j = m.open(t, store)
	defer j.Close()
	if n := j.count(t, "epochs"); n != 0 {
		t.Errorf("%d epochs are kept", n)
	}
}
