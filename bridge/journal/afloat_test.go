package journal_test

import (
	"database/sql"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
)

// An entry may come and end, or be settled before it comes, in one transaction.
// What is afloat afterwards is what waits.
func TestAfloatIsWhatWaits(t *testing.T) {
	done := func(seq int64, follow ...bridge.Entry) bridge.Settlement {
		return bridge.Settlement{Seq: seq, Outcome: bridge.Delivered, Final: bridge.Done, Follow: follow}
	}
	follower := bridge.Entry{Lane: bridge.LaneKey{Channel: "webhook", Thread: "u"}, ID: "m-2", Kind: bridge.KindMessage, Begun: true}
	later := done(2)
	later.Outcome, later.Final = bridge.Retry, bridge.Pending
	for _, c := range []struct {
		name    string
		settled []bridge.Settlement
		waits   []bridge.LaneKey
	}{
		{"comes", []bridge.Settlement{done(1, follower)}, []bridge.LaneKey{follower.Lane}},
		{"comes and ends", []bridge.Settlement{done(1, follower), done(2)}, nil},
		{"comes and waits", []bridge.Settlement{done(1, follower), later}, []bridge.LaneKey{follower.Lane}},
		{"comes, waits and ends", []bridge.Settlement{done(1, follower), later, done(2)}, nil},
		{"settled before it comes", []bridge.Settlement{done(2), done(1, follower)}, []bridge.LaneKey{follower.Lane}},
	} {
		t.Run(c.name, func(t *testing.T) {
			journal.OnEngines(t, func(t *testing.T, store string) {
				j := open(t, on(store))
				defer j.Close()
				// While the writer is here, what is handed over waits for one transaction.
				committing, handedOver := make(chan struct{}, 2), make(chan struct{})
				err := j.Start(func([]bridge.Entry) {
					committing <- struct{}{}
					<-handedOver
				})
				if err != nil {
					t.Fatal(err)
				}
				first := batch("m-1")
				first.Entries[0].Begun = true
				appended := make(chan error, 1)
				go func() {
					_, err := j.Append(t.Context(), first)
					appended <- err
				}()
				<-committing
				for _, s := range c.settled {
					j.Settle(s)
				}
				close(handedOver)
				if err := <-appended; err != nil {
					t.Fatal(err)
				}
				if err := j.Check(t.Context()); err != nil {
					t.Fatal(err)
				}
				lanes, err := j.Lanes(t.Context(), bridge.LaneKey{}, 10)
				if err != nil || !slices.Equal(lanes, c.waits) || int(j.PendingCount()) != len(c.waits) {
					t.Errorf("lanes %v, %d entries, error %v; want %v", lanes, j.PendingCount(), err, c.waits)
				}
				for _, key := range c.waits {
					if list, err := j.PendingOf(t.Context(), key, 0, 10); err != nil || len(list) != 1 || list[0].ID != follower.ID {
						t.Errorf("waiting %v, error %v; want the follower", list, err)
					}
				}
			})
		})
	}
}

// TestCloseLandsAll: what was afloat when the journal was closed is found by the next
// process, which need not look through all that came since.
func TestCloseLandsAll(t *testing.T) {
	opts := options(filepath.Join(t.TempDir(), "journal.db"))
	j := open(t, opts)
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	first := batch("m-1")
	first.Entries[0].Begun = true
	for _, b := range []bridge.Batch{first, batch("m-2")} {
		if _, err := j.Append(t.Context(), b); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(opts.Store, "sqlite:"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var unlisted, low int
	if err := db.QueryRow(`SELECT (SELECT count(*) FROM events WHERE listed = 0), (SELECT value FROM meta WHERE name = 'afloat')`).Scan(&unlisted, &low); err != nil {
		t.Fatal(err)
	}
	if unlisted != 0 || low != 3 {
		t.Errorf("%d events are in no index, and the next process looks from %d on; want none, from 3", unlisted, low)
	}
	j = open(t, opts)
	defer j.Close()
	list, err := j.PendingOf(t.Context(), first.Entries[0].Lane, 0, 10)
	if err != nil || len(list) != 2 || list[0].ID != "m-1" {
		t.Errorf("pending %v, error %v", list, err)
	}
}
