package journal

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lpbridge/bridge"
)

// TestLogThatLostItsEnd opens copies of a journal at work, as a disk leaves them
// that did not write all it said it had.
func TestLogThatLostItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j, err := Open(t.Context(), Options{Store: "sqlite:" + path, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	const events = 10
	lane := bridge.LaneKey{Channel: "webhook", Thread: "t"}
	for n := range events {
		_, err := j.Append(t.Context(), bridge.Batch{Entries: []bridge.Entry{{Lane: lane, ID: bridge.EventID(fmt.Sprint(n))}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name  string
		keep  func(log int64) int64
		lost  bool
		names []string
	}{
		{"whole", func(log int64) int64 { return log }, false, []string{"", "-wal", ".lock"}},
		{"last page missing", func(log int64) int64 { return log - pageSize }, true, []string{"", "-wal", ".lock"}},
		{"no log", func(int64) int64 { return 0 }, true, []string{"", ".lock"}},
		{"no log and no note", func(int64) int64 { return 0 }, false, []string{""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			copied := filepath.Join(t.TempDir(), "journal.db")
			for _, suffix := range c.names {
				content, err := os.ReadFile(path + suffix)
				if err != nil {
					t.Fatal(err)
				}
				if suffix == "-wal" {
					content = content[:c.keep(int64(len(content)))]
				}
				if err := os.WriteFile(copied+suffix, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var log bytes.Buffer
			j, err := Open(t.Context(), Options{Store: "sqlite:" + copied, Logger: slog.New(slog.NewTextHandler(&log, nil))})
			if err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			lost := j.Stats().Lost
			if (lost > 0) != c.lost || lost > events {
				t.Errorf("%d events may be lost, want some: %v", lost, c.lost)
			}
			if told := strings.Contains(log.String(), "lost its end"); told != c.lost {
				t.Errorf("told %v: %s", told, log.String())
			}
			if lost+j.PendingCount() != events && c.name != "no log and no note" {
				t.Errorf("%d lost and %d there, want %d", lost, j.PendingCount(), events)
			}
			seqs, err := j.Append(t.Context(), bridge.Batch{Entries: []bridge.Entry{{Lane: lane, ID: "new"}}})
			if err != nil {
				t.Fatal(err)
			}
			if c.lost && seqs[0] <= events {
				t.Errorf("seq %d was given before", seqs[0])
			}
		})
	}
}

// TestLifeWithoutEventsLostNone: a process that was killed leaves numbers that
// were set aside, and the next one may be killed before it gives any to an event.
func TestLifeWithoutEventsLostNone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	live := func(path string, events int) *bytes.Buffer {
		var log bytes.Buffer
		j, err := Open(t.Context(), Options{Store: "sqlite:" + path, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = j.Close() })
		if err := j.Start(func([]bridge.Entry) {}); err != nil {
			t.Fatal(err)
		}
		for n := range events {
			e := bridge.Entry{Lane: bridge.LaneKey{Channel: "webhook", Thread: "t"}, ID: bridge.EventID(fmt.Sprint(n))}
			if _, err := j.Append(t.Context(), bridge.Batch{Entries: []bridge.Entry{e}}); err != nil {
				t.Fatal(err)
			}
		}
		return &log
	}
	live(path, 3)
	for n := range 2 {
		killed := filepath.Join(t.TempDir(), "journal.db")
		for _, suffix := range []string{"", "-wal", ".lock"} {
			content, err := os.ReadFile(path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(killed+suffix, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		path = killed
		if log := live(path, 0); strings.Contains(log.String(), "lost its end") {
			t.Errorf("start %d after a kill: %s", n+1, log)
		}
	}
}
