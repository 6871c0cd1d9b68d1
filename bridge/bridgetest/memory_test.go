package bridgetest_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
)

func TestMemoryJournal(t *testing.T) {
	bridgetest.TestJournal(t, func(t *testing.T) func() bridge.Journal {
		j := bridgetest.NewJournal()
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		return func() bridge.Journal {
			j = j.Reopen()
			return j
		}
	})
}

// TestMemoryJournalInBubble runs a journal in fake time: it would hang here if
// it did any real input or output, or left its goroutine behind.
func TestMemoryJournalInBubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := bridgetest.NewJournal()
		var seen []bridge.Entry
		if err := j.Start(func(e []bridge.Entry) { seen = append(seen, e...) }); err != nil {
			t.Fatal(err)
		}
		entry := bridge.Entry{Lane: bridge.LaneKey{Channel: "webhook", Thread: "t"}, ID: "m"}
		if _, err := j.Append(t.Context(), bridge.Batch{Entries: []bridge.Entry{entry}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if len(seen) != 1 {
			t.Errorf("the hook saw %d entries, want 1", len(seen))
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

func TestMemoryJournalCrash(t *testing.T) {
	j := bridgetest.NewJournal()
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	bridgetest.TestJournalCrash(t, bridgetest.CrashStore{
		Kill: func(t *testing.T, life string) {
			j = j.Reopen()
			if err := bridgetest.CrashLives[life](j); err != nil {
				t.Fatal(err)
			}
		},
		Open: func(*testing.T) bridge.Journal {
			j = j.Reopen()
			return j
		},
	})
}

func TestMemoryJournalRefuses(t *testing.T) {
	j := bridgetest.NewJournal()
	defer j.Close()
	entry := func(id bridge.EventID) bridge.Batch {
		return bridge.Batch{Entries: []bridge.Entry{{Lane: bridge.LaneKey{Channel: "webhook", Thread: "t"}, ID: id}}}
	}
	j.LimitPending(1)
	if _, err := j.Append(t.Context(), entry("m-1")); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), entry("m-2")); !errors.Is(err, bridge.ErrBusy) {
		t.Errorf("error %v, want ErrBusy", err)
	}
	j.LimitPending(0)
	j.LimitUnclaimed(1)
	change := bridge.Batch{Unclaimed: []bridge.Unclaimed{{Conversation: "c-1"}, {Conversation: "c-2"}}}
	if _, err := j.Append(t.Context(), change); !errors.Is(err, bridge.ErrUnclaimedFull) {
		t.Errorf("error %v, want ErrUnclaimedFull", err)
	}
	j.Break(errors.New("disk"))
	if _, err := j.Append(t.Context(), entry("m-2")); !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("error %v, want ErrStorage", err)
	}
	j.Break(nil)
	seqs, err := j.Append(t.Context(), entry("m-2"))
	if err != nil || seqs[0] == 0 {
		t.Errorf("seqs %v, error %v, want what was refused to be new", seqs, err)
	}
}
