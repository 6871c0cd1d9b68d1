package journal_test

import (
	"errors"
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

// TestUnaccompanied has settlements and marks come alone: with no transaction
// to ride along with they are committed by themselves.
func TestUnaccompanied(t *testing.T) { journal.OnEngines(t, unaccompaniedOn) }

func unaccompaniedOn(t *testing.T, store string) {
	opts := on(store)
	commits := make(chan journal.CommitInfo, 100)
	opts.Observe = func(c journal.CommitInfo) { commits <- c }
	j := open(t, opts)
	defer j.Close()
	mark := bridge.ComposingMark{Thread: bridge.ThreadKey{Channel: "webhook", Thread: "t"}}
	if err := j.SetComposing(t.Context(), mark); err != nil {
		t.Fatal(err)
	}
	seqs, err := j.Append(t.Context(), batch("m-1"))
	if err != nil {
		t.Fatal(err)
	}
	<-commits
	if c := <-commits; c.Entries != 1 || c.Duration <= 0 || c.Err != nil {
		t.Errorf("commit %+v, want one write with one entry", c)
	}

	j.ClearComposing(mark)
	<-commits
	list, err := j.Composing(t.Context())
	if err != nil || len(list) != 0 {
		t.Errorf("marks %v, error %v, want none", list, err)
	}
	j.Settle(bridge.Settlement{Seq: seqs[0], Final: bridge.Done})
	<-commits
	if n := j.PendingCount(); n != 0 {
		t.Errorf("pending count %d, want 0", n)
	}
}

func TestCloseTwice(t *testing.T) { journal.OnEngines(t, closeTwiceOn) }

func closeTwiceOn(t *testing.T, store string) {
	j := open(t, on(store))
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("error %v, want ErrStorage", err)
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
