package journal

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"lpbridge/bridge"
)

// TestRunsOfKeys keeps every key known while runs are written, after they were,
// and after a restart, and takes none for another.
func TestRunsOfKeys(t *testing.T) { OnEngines(t, runsOfKeysOn) }

func runsOfKeysOn(t *testing.T, store string) {
	lane := bridge.LaneKey{Channel: "webhook", Thread: "t"}
	const short, page, pages = 2048, 512, 2*2048/512 + 3
	open := func() *Journal {
		j, err := Open(t.Context(), Options{Store: store, Logger: slog.New(slog.DiscardHandler), runKeys: short})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Start(func([]bridge.Entry) {}); err != nil {
			t.Fatal(err)
		}
		return j
	}
	// known appends a page of events and reports how many were known.
	known := func(j *Journal, prefix string, n int) (old int) {
		t.Helper()
		var b bridge.Batch
		for i := range page {
			b.Entries = append(b.Entries, bridge.Entry{Lane: lane, ID: bridge.EventID(fmt.Sprint(prefix, n, "-", i)), Kind: "message"})
		}
		seqs, err := j.Append(t.Context(), b)
		if err != nil {
			t.Fatal(err)
		}
		for _, seq := range seqs {
			if seq == 0 {
				old++
			} else {
				j.Settle(bridge.Settlement{Seq: seq, Lane: lane, Final: bridge.Done})
			}
		}
		return old
	}
	j := open()
	for n := range pages {
		if old := known(j, "m-", n); old != 0 {
			t.Errorf("%d new events are known", old)
		}
	}
	written := func() {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); j.count(t, "key_runs") < 2; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%d runs, want 2", j.count(t, "key_runs"))
			}
			// A run is closed by the transaction after the one before is written.
			if err := j.Check(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	all := func(when string) {
		t.Helper()
		for n := range pages {
			if old := known(j, "m-", n); old != page {
				t.Errorf("%s: %d of %d events are known", when, old, page)
			}
		}
	}
	all("while runs are written")
	written()
	all("after that")
	if n := j.count(t, "key_parts"); n < 2*short/partKeys {
		t.Errorf("%d parts", n)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open()
	defer j.Close()
	all("after a restart")
	if old := known(j, "other-", 0); old != 0 {
		t.Errorf("%d new events are known after a restart", old)
	}
	// Their events may go, and stand in for nothing any more.
	for deadline := time.Now().Add(20 * time.Second); j.count(t, "events") > 2*short; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d events are kept", j.count(t, "events"))
		}
	}
	all("after their events are gone")
}

// TestKeysOfARunBeingWritten are known from the moment on in which they are taken for
// the run, while it waits for a transaction to come along.
func TestKeysOfARunBeingWritten(t *testing.T) { OnEngines(t, keysOfARunBeingWrittenOn) }

func keysOfARunBeingWrittenOn(t *testing.T, store string) {
	lane := bridge.LaneKey{Channel: "webhook", Thread: "t"}
	j, err := Open(t.Context(), Options{Store: store, Logger: slog.New(slog.DiscardHandler), runKeys: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		b := bridge.Batch{Entries: []bridge.Entry{{Lane: lane, ID: bridge.EventID(fmt.Sprint("m-", i)), Kind: "message"}}}
		for again := range 4 {
			seqs, err := j.Append(t.Context(), b)
			if err != nil {
				t.Fatal(err)
			}
			if isNew := seqs[0] != 0; isNew != (again == 0) {
				t.Fatalf("event %d, time %d: new is %v", i, again, isNew)
			}
		}
	}
}

// TestFilter asks a run's filter for keys it has and keys it does not have.
func TestFilter(t *testing.T) {
	var scratch []byte
	lane := bridge.LaneKey{Channel: "webhook"}
	key := func(n int) keyHash { return hashKey(&scratch, lane, bridge.EventID(fmt.Sprint(n))) }
	for _, size := range []int{1, partKeys, 5000} {
		set := map[keyHash]struct{}{}
		for n := range size {
			set[key(n)] = struct{}{}
		}
		r := newRun(set)
		vain := 0
		for n := range size {
			k := key(n)
			if i := r.part(k); !r.mayHold(k) || i < 0 || !holds(r.parts[i], k) {
				t.Fatalf("of %d keys, number %d is not found", size, n)
			}
			other := key(n + size)
			if r.mayHold(other) {
				vain++
			}
			if i := r.part(other); i >= 0 && holds(r.parts[i], other) {
				t.Fatalf("of %d keys, one is found that is none", size)
			}
		}
		if vain*500 > size+500 {
			t.Errorf("of %d keys %d are looked for in vain", size, vain)
		}
	}
}
