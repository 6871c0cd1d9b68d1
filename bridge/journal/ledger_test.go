package journal

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"

	"lpbridge/bridge"
)

// TestLedgerIsSorted enters messages of many dialogs and finds each at every
// moment: while entries are sorted in, after that, and after a restart.
func TestLedgerIsSorted(t *testing.T) { OnEngines(t, ledgerIsSortedOn) }

func ledgerIsSortedOn(t *testing.T, store string) {
	const batch, dialogs, each = 600, 50, 40
	open := func() *Journal {
		j, err := Open(t.Context(), Options{Store: store, Logger: slog.New(slog.DiscardHandler), ledgerBatch: batch})
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Start(func([]bridge.Entry) {}); err != nil {
			t.Fatal(err)
		}
		return j
	}
	dialog := func(d int) string { return fmt.Sprint("d-", d) }
	check := func(j *Journal, when string, entered, every int) {
		t.Helper()
		for d := entered % every; d < dialogs; d += every {
			if last, err := j.LastOf(t.Context(), dialog(d)); err != nil || last != int64(entered-1) {
				t.Fatalf("%s: last of dialog %d is %d, error %v, want %d", when, d, last, err, entered-1)
			}
			var sequences []int64
			for n := range entered {
				sequences = append(sequences, int64(n))
			}
			list, err := j.MessagesAt(t.Context(), dialog(d), sequences)
			if err != nil || len(list) != entered {
				t.Fatalf("%s: %d messages of dialog %d, error %v, want %d", when, len(list), d, err, entered)
			}
			for n, e := range list {
				want := bridge.LedgerEntry{
					Sequence: int64(n), Channel: "webhook", Thread: bridge.ThreadID(dialog(d)), Source: bridge.EventID(fmt.Sprint(d, "-", n)),
				}
				if e != want {
					t.Fatalf("%s: %+v, want %+v", when, e, want)
				}
			}
		}
	}
	j := open()
	for n := range each {
		var all sync.WaitGroup
		for d := range dialogs {
			all.Add(1)
			j.Settle(bridge.Settlement{
				Lane:   bridge.LaneKey{Channel: "webhook", Thread: bridge.ThreadID(dialog(d))},
				Dialog: dialog(d), Sequence: int64(n), Source: bridge.EventID(fmt.Sprint(d, "-", n)),
				Durable: func(err error) {
					if err != nil {
						t.Error(err)
					}
					all.Done()
				},
			})
		}
		all.Wait()
		check(j, "while entries are sorted", n+1, 7)
	}
	j.background.Wait()
	check(j, "after that", each, 1)
	if sorted := j.count(t, "ledger"); sorted < batch {
		t.Errorf("%d entries are sorted, want %d or more", sorted, batch)
	}
	if sorted, rest := j.count(t, "ledger"), j.count(t, "positions"); sorted+rest != dialogs*each {
		t.Errorf("%d entries are sorted and %d are not, want %d", sorted, rest, dialogs*each)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open()
	defer j.Close()
	check(j, "after a restart", each, 1)
}
