package journal

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"lpbridge/bridge"
)

// machine is a machine whose clock can be set.
type machine struct {
	mu    sync.Mutex
	wall  time.Time
	count time.Duration
}

func (m *machine) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wall
}

func (m *machine) elapsed() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.count
}

// pass lets time pass.
func (m *machine) pass(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wall, m.count = m.wall.Add(d), m.count+d
}

// set moves the clock and nothing else.
func (m *machine) set(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wall = m.wall.Add(d)
}

func (m *machine) open(t *testing.T, store string) *Journal {
	t.Helper()
	j, err := Open(t.Context(), Options{
		Store: store, Logger: slog.New(slog.DiscardHandler), Retention: 24 * time.Hour,
		HistoryRetention: 30 * 24 * time.Hour, Expire: map[string][]string{"layer": {"message"}},
		clock: func() (func() time.Time, func() time.Duration) {
			return m.now, m.elapsed
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	return j
}

// TestClockJumps sets the machine's clock while the journal is open and while
// it is not, either way, by hours and by years, and looks at what waits and at
// what is kept.
func TestClockJumps(t *testing.T) {
	const year = 365 * 24 * time.Hour
	lane := bridge.LaneKey{Channel: "webhook", Thread: "t"}
	for _, jump := range []time.Duration{5 * time.Hour, -5 * time.Hour, year, -year} {
		for _, closed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v closed=%v", jump, closed), func(t *testing.T) {
				OnEngines(t, func(t *testing.T, store string) { clockJumps(t, store, lane, jump, closed) })
			})
		}
	}
}

func clockJumps(t *testing.T, store string, lane bridge.LaneKey, jump time.Duration, closed bool) {
	m := &machine{wall: time.Now()}
	j := m.open(t, store)
	seqs, err := j.Append(t.Context(), bridge.Batch{
		Entries: []bridge.Entry{
			{Lane: lane, ID: "waits", NextTry: m.now().Add(time.Minute)}, {Lane: lane, ID: "done"},
			{Lane: lane, ID: "doubtful"},
		},
		Records: []bridge.ChannelRecord{{Channel: "layer", Record: bridge.Record{Kind: "message", ID: 1}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	j.Settle(bridge.Settlement{Seq: seqs[1], Lane: lane, Final: bridge.Done, Dialog: "d", Sequence: 1})
	j.Settle(bridge.Settlement{Seq: seqs[2], Lane: lane, Outcome: bridge.Unknown, Attempts: 1, Doubt: &bridge.Doubt{}})
	if err := j.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if closed {
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		m.set(jump)
		j = m.open(t, store)
	} else {
		m.set(jump)
	}
	defer func() { j.Close() }()
	m.pass(time.Second)

	// Across a restart, time that passed looks like a clock that jumped
	// ahead.
	var late time.Duration
	if closed {
		late = min(max(jump, 0), maxAbsence)
	}
	near := func(what string, got time.Time, want time.Duration) {
		t.Helper()
		if d := got.Sub(m.now()) - want; d < -2*time.Second || d > 2*time.Second {
			t.Errorf("%s is %v from now, want %v", what, got.Sub(m.now()), want)
		}
	}
	list, err := j.PendingOf(t.Context(), lane, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	near("the next try", list[0].NextTry, time.Minute-late)
	near("the acceptance", list[0].Accepted, -late)
	near("the doubt", list[1].Doubt.Since, -late)
	if from, to := j.Absence(); closed && jump < 0 && to.Sub(from) != maxAbsence {
		t.Errorf("absent for %v, want the longest where nobody knows", to.Sub(from))
	}

	kept := func(want int) {
		t.Helper()
		var have []int
		for _, table := range []string{"events WHERE state = 1", "(SELECT 1 FROM ledger UNION ALL SELECT 1 FROM positions)", "records"} {
			have = append(have, j.count(t, table))
		}
		if got := fmt.Sprint(have); got != fmt.Sprint([]int{want, want, want}) {
			t.Errorf("rows delivered, in the ledger and of history %s, want %d of each", got, want)
		}
	}
	purge := func() {
		t.Helper()
		if err := j.purger.purge(t.Context(), j.clock.shift().steady(m.now()), true); err != nil {
			t.Fatal(err)
		}
		// What may be written of keys now is written when this returns.
		j.background.Wait()
		if err := j.Check(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	known := func() bool {
		t.Helper()
		seqs, err := j.Append(t.Context(), bridge.Batch{Entries: []bridge.Entry{{Lane: lane, ID: "done"}}})
		if err != nil {
			t.Fatal(err)
		}
		return seqs[0] == 0
	}
	for _, d := range []time.Duration{0, 10 * time.Hour} {
		m.pass(d)
		purge()
		kept(1)
		if !known() {
			t.Error("a key is forgotten early")
		}
	}
	for range 40 {
		m.pass(24 * time.Hour)
		purge()
	}
	kept(0)
	if known() {
		t.Error("a key is never forgotten")
	}
}
