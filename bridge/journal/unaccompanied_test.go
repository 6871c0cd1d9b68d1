package journal_test

import (
	"errors"
	"testing"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
)

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
