package journal_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/journal"
)

func options(path string) journal.Options { return on("sqlite:" + path) }

func on(store string) journal.Options {
	return journal.Options{Store: store, Logger: slog.New(slog.DiscardHandler)}
}

func open(t *testing.T, opts journal.Options) *journal.Journal {
	t.Helper()
	j, err := journal.Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// memoryDir makes a directory in memory where that can be had, for tests that
// flush a lot and are not about flushing.
func memoryDir(t testing.TB) string {
	t.Helper()
	const shared = "/dev/shm"
	if fi, err := os.Stat(shared); err != nil || !fi.IsDir() {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(shared, "journal")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// batch makes a batch of messages of one lane.
func batch(ids ...bridge.EventID) bridge.Batch {
	var b bridge.Batch
	for _, id := range ids {
		b.Entries = append(b.Entries, bridge.Entry{
			Lane: bridge.LaneKey{Channel: "webhook", Thread: "t"}, ID: id, Kind: bridge.KindMessage,
			Payload: []byte(strings.Repeat("x", 100)),
		})
	}
	return b
}

func TestJournal(t *testing.T) {
	for _, c := range []struct {
		name      string
		retention time.Duration
	}{{"delivered events deleted", 0}, {"delivered events kept", time.Hour}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bridgetest.TestJournal(t, func(t *testing.T) func() bridge.Journal {
				opts := options(filepath.Join(t.TempDir(), "new", "odd ?name%41", "journal.db"))
				opts.Retention = c.retention
				return func() bridge.Journal { return open(t, opts) }
			})
		})
	}
}

// TestCheckpoint writes enough for the log to be copied into the database a
// few times, in large batches and in small ones.
func TestCheckpoint(t *testing.T) {
	for _, c := range []struct{ size, total int }{{1, 2000}, {500, 10_000}} {
		t.Run(fmt.Sprint("batches of ", c.size), func(t *testing.T) {
			j := open(t, options(filepath.Join(memoryDir(t), "journal.db")))
			defer j.Close()
			for n := 0; n < c.total; n += c.size {
				ids := make([]bridge.EventID, c.size)
				for i := range ids {
					ids[i] = bridge.EventID(fmt.Sprint("m-", n+i))
				}
				b := batch(ids...)
				for i := range b.Entries {
					b.Entries[i].Payload = []byte(strings.Repeat("x", 10_000))
				}
				if _, err := j.Append(t.Context(), b); err != nil {
					t.Fatal(err)
				}
			}
			s := j.Stats()
			if n := j.Checkpoints(); n < 1 {
				t.Errorf("%d checkpoints, want some", n)
			}
			if s.LogBytes > 64<<20 {
				t.Errorf("the log takes %d bytes, want less than 64 MiB", s.LogBytes)
			}
		})
	}
}
