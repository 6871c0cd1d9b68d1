package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
)

// TestCountsAreThoseOfTheEvents: what is written down about what is pending is believed
// only of the process that was the last to have the journal.
func TestCountsAreThoseOfTheEvents(t *testing.T) { journal.OnEngines(t, countsAreThoseOfTheEventsOn) }

func countsAreThoseOfTheEventsOn(t *testing.T, store string) {
	opts := on(store)
	n := 0
	add := func(j *journal.Journal, events int) {
		t.Helper()
		for range events {
			n++
			e := bridge.Entry{Lane: bridge.LaneKey{Channel: "webhook", Thread: "t"}, ID: bridge.EventID(fmt.Sprint(n)), Kind: bridge.KindMessage, Payload: []byte("{}")}
			if _, err := j.Append(t.Context(), bridge.Batch{Entries: []bridge.Entry{e}}); err != nil {
				t.Fatal(err)
			}
		}
	}
	start := func(j *journal.Journal) {
		t.Helper()
		if err := j.Start(func([]bridge.Entry) {}); err != nil {
			t.Fatal(err)
		}
	}
	holds := func(j *journal.Journal, how string) {
		t.Helper()
		if got := j.PendingCount(); got != int64(n) {
			t.Errorf("%s: %d are pending, %d were accepted", how, got, n)
		}
	}
	reopen := func(j *journal.Journal, how string) *journal.Journal {
		t.Helper()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		j = open(t, opts)
		holds(j, how)
		return j
	}

	j := open(t, opts)
	start(j)
	add(j, 3)
	j = reopen(j, "closed in order")
	add(j, 2)
	j = reopen(j, "accepted before the start")
	start(j)
	add(j, 4)

	if path, file := strings.CutPrefix(store, "sqlite:"); file {
		after := open(t, options(asKilled(t, path)))
		holds(after, "killed")
		if err := after.Close(); err != nil {
			t.Error(err)
		}
	}
	j = reopen(j, "closed in order again")
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// asKilled copies what is on disk now, which is what a killed process leaves.
func asKilled(t *testing.T, path string) string {
	t.Helper()
	killed := filepath.Join(memoryDir(t), "journal.db")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(killed+suffix, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return killed
}
