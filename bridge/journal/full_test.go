package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"lpbridge/bridge"
)

// limitPages lets the database grow to at most n pages, as a disk without
// space would, or again without limit for 0, and returns how many it has.
func (j *Journal) limitPages(t *testing.T, n int) int {
	t.Helper()
	if n == 0 {
		n = 1 << 30
	}
	limit := &pageLimit{wait: newWait(), w: j.w, most: n}
	if err := j.w.do(t.Context(), limit); err != nil {
		t.Fatal(err)
	}
	return limit.pages
}

// pageLimit is set by the writer, whose connection it is, between two transactions.
type pageLimit struct {
	wait
	w           *writer
	most, pages int
}

func (*pageLimit) apply(*transaction) error { return nil }

// finish sets it also when the transaction found no space.
func (s *pageLimit) finish(error) {
	ctx := context.Background()
	conn := sqliteOf(s.w.j).conn
	_, err := conn.ExecContext(ctx, "PRAGMA max_page_count = "+strconv.Itoa(s.most))
	if err == nil {
		err = conn.QueryRowContext(ctx, "PRAGMA page_count").Scan(&s.pages)
	}
	s.wait.finish(err)
}

// TestDiskFull takes the journal's space away and gives it back.
func TestDiskFull(t *testing.T) {
	var commits []CommitInfo
	j, err := Open(t.Context(), Options{
		Store: "sqlite:" + filepath.Join(t.TempDir(), "journal.db"), Logger: slog.New(slog.DiscardHandler),
		Observe: func(c CommitInfo) { commits = append(commits, c) },
	})
	if err != nil {
		t.Fatal(err)
	}
	var hook []bridge.Entry
	if err := j.Start(func(e []bridge.Entry) { hook = append(hook, e...) }); err != nil {
		t.Fatal(err)
	}
	lane := bridge.LaneKey{Channel: "webhook", Thread: "t"}
	large := func(id bridge.EventID) bridge.Batch {
		return bridge.Batch{Entries: []bridge.Entry{{Lane: lane, ID: id, Payload: []byte(strings.Repeat("x", 1<<20))}}}
	}
	seqs, err := j.Append(t.Context(), bridge.Batch{Entries: []bridge.Entry{{Lane: lane, ID: "m-1"}}})
	if err != nil {
		t.Fatal(err)
	}

	j.limitPages(t, 1)
	if _, err := j.Append(t.Context(), large("m-2")); !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("append without space: error %v, want ErrStorage", err)
	}
	if n := j.PendingCount(); n != 1 {
		t.Errorf("pending count %d, want the one that was stored", n)
	}
	durable := make(chan error, 1)
	j.Settle(bridge.Settlement{
		Seq: seqs[0], Lane: lane, Final: bridge.Done, Follow: large("f-1").Entries,
		Durable: func(err error) { durable <- err },
	})
	// The settlement is tried again with others, and hinders them until it fits.
	if err := j.Check(t.Context()); !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("check without space: error %v, want ErrStorage", err)
	}
	select {
	case <-j.Failed():
		t.Fatalf("a full disk counts as failed: %v", j.Err())
	case err := <-durable:
		t.Fatalf("the settlement was given up: %v", err)
	default:
	}
	if list, err := j.PendingOf(t.Context(), lane, 0, 10); err != nil || len(list) != 1 {
		t.Errorf("read without space: %d entries, error %v", len(list), err)
	}

	j.limitPages(t, 0)
	if err := <-durable; err != nil {
		t.Errorf("settlement after there was space again: %v", err)
	}
	seqs, err = j.Append(t.Context(), bridge.Batch{Entries: []bridge.Entry{{Lane: lane, ID: "m-1"}, {Lane: lane, ID: "m-2"}}})
	if err != nil {
		t.Fatal(err)
	}
	if seqs[0] != 0 || seqs[1] == 0 {
		t.Errorf("seqs %v, want what was refused to be new", seqs)
	}
	var ids []bridge.EventID
	for _, e := range hook {
		ids = append(ids, e.ID)
	}
	if got := fmt.Sprint(ids); got != "[m-1 f-1 m-2]" {
		t.Errorf("the hook was given %s, want [m-1 f-1 m-2]", got)
	}
	if n := j.PendingCount(); n != 2 {
		t.Errorf("pending count %d, want 2", n)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	failed := 0
	for _, c := range commits {
		if c.Err != nil {
			failed++
		}
	}
	if failed < 2 {
		t.Errorf("%d failed commits were observed, want 2 or more", failed)
	}
}

// TestCloseOnFullDisk has Close give up what cannot be written instead of
// trying for ever.
func TestCloseOnFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	opts := Options{Store: "sqlite:" + path, Logger: slog.New(slog.DiscardHandler)}
	j, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	j.limitPages(t, 1)
	durable := make(chan error, 1)
	j.Settle(bridge.Settlement{
		Follow:  []bridge.Entry{{ID: "f-1", Payload: []byte(strings.Repeat("x", 1<<20))}},
		Durable: func(err error) { durable <- err },
	})
	if err := j.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if err := <-durable; !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("settlement: error %v, want ErrStorage", err)
	}
}
