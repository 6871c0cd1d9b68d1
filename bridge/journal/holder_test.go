package journal

import (
	"testing"
	"time"

	"lpbridge/bridge"
)

// Who holds a consumer's conversation is what was saved last, also where the clock was a
// day ahead when the former holder was.
func TestHolderIsTheLastSavedWhateverTheClockSays(t *testing.T) {
	for _, jump := range []time.Duration{-24 * time.Hour, 24 * time.Hour, -365 * 24 * time.Hour} {
		t.Run(jump.String(), func(t *testing.T) {
			OnEngines(t, func(t *testing.T, store string) { holderIsTheLastSaved(t, store, jump) })
		})
	}
}

func holderIsTheLastSaved(t *testing.T, store string, jump time.Duration) {
	m := &machine{wall: time.Now()}
	holds := func(j *Journal, thread bridge.ThreadID) {
		t.Helper()
		other := map[bridge.ThreadID]bridge.ThreadID{"former": "next", "next": "former"}[thread]
		err := j.Save(t.Context(), bridge.Standing{
			Threads: []bridge.Thread{
				{Channel: "webhook", ID: thread, Consumer: "u", ExtConsumer: "e", LPConsumer: "c", Conversation: "x"},
				{Channel: "webhook", ID: other, Consumer: "u", ExtConsumer: "e", LPConsumer: "c"},
			},
			Conversations: []bridge.Conversation{
				{ID: "x", Channel: "webhook", Thread: thread, Dialog: "x", ExtConsumer: "e", LPConsumer: "c", Open: true},
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		held, err := j.HeldBy(t.Context(), "c")
		if err != nil || held == nil || held.Thread != thread {
			t.Errorf("%+v holds it, %v; want %s", held, err, thread)
		}
	}
	j := m.open(t, store)
	holds(j, "former")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	m.set(jump)
	j = m.open(t, store)
	defer func() { j.Close() }()
	holds(j, "next")
	m.set(2 * jump)
	holds(j, "former")
}
