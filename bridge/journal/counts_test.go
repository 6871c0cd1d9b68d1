package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
)

// TestCountsAreThoseOfTheEvents: what is written down about what is pending is believed
// only of the process that was the last to have the journal.
func TestCountsAreThoseOfTheEvents(t *testing.T) {
	dir := memoryDir(t)
	opts := options(filepath.Join(dir, "journal.db"))
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

	// What is on disk now is what a killed process leaves.
	killed := memoryDir(t)
	for _, name := range []string{"journal.db", "journal.db-wal"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(killed, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	after := open(t, options(filepath.Join(killed, "journal.db")))
	holds(after, "killed")
	if err := after.Close(); err != nil {
		t.Error(err)
	}
	j = reopen(j, "closed in order again")
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}
