package journal

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"lpbridge/bridge"
)

// setAside is what part of all that may be pending is kept for those who have
// little: a quarter, in equal shares.
const setAside = 4

// party is who fills the journal: what goes to or comes from one channel.
type party struct {
	channel   string
	direction bridge.Direction
}

func partyOf(l bridge.LaneKey) party { return party{l.Channel, l.Direction} }

// shares keep one party from taking all the room there is: everybody has a little
// that nobody else can take, and the rest is whose who comes first.
type shares struct {
	// most is how many events may be pending, each how many are set aside for
	// each of the parties known.
	most, each int64
	known      map[party]bool

	mu sync.Mutex
	// used counts what is pending or on its way to the writer.
	used map[party]int64
}

func newShares(most int64, channels []string) *shares {
	s := &shares{most: most, known: map[party]bool{}, used: map[party]int64{}}
	for _, name := range channels {
		s.known[party{name, bridge.ToLivePerson}] = true
		s.known[party{name, bridge.ToChannel}] = true
	}
	if n := int64(len(s.known)); n > 0 {
		s.each = most / setAside / n
	}
	return s
}

// take makes room for entries, or takes none and reports false.
func (s *shares) take(entries []bridge.Entry) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(entries, 1)
	shared := s.most - s.each*int64(len(s.known))
	fits := true
	for p, used := range s.used {
		own := int64(0)
		if s.known[p] {
			own = s.each
		}
		shared -= max(0, used-own)
	}
	if shared < 0 {
		// Who stays within what is set aside for them is not held up by others.
		for i := range entries {
			p := partyOf(entries[i].Lane)
			fits = fits && s.known[p] && s.used[p] <= s.each
		}
	}
	if !fits {
		s.count(entries, -1)
	}
	return fits
}

// give returns the room of entries that are on their way no more.
func (s *shares) give(entries []bridge.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count(entries, -1)
}

// count is called with the lock held.
func (s *shares) count(entries []bridge.Entry, n int64) {
	for i := range entries {
		s.used[partyOf(entries[i].Lane)] += n
	}
}

// moved takes in by how much a transaction changed what is pending.
func (s *shares) moved(by map[party]int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, n := range by {
		s.used[p] += n
	}
}

// load takes in what an earlier process left.
func (s *shares) load(left map[party]int64) (all int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, n := range left {
		s.used[p] += n
		all += n
	}
	return all
}

// countPending counts what an earlier process left. One that closed its journal in
// order wrote it down; counting takes longer the more there is.
func countPending(ctx context.Context, db store) (map[party]int64, error) {
	st := pendingByLane
	if known, err := db.checkCounts(ctx); err != nil {
		return nil, err
	} else if known {
		st = pendingCounts
	}
	left := map[party]int64{}
	err := db.list(ctx, st, nil, func(scan func(...any) error) error {
		var name string
		var n int64
		if err := scan(&name, &n); err != nil {
			return err
		}
		lane, err := parseLane(strings.TrimPrefix(name, metaPendingOf))
		left[partyOf(lane)] += n
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("count pending events: %w", err)
	}
	return left, nil
}

// checkCounts finds out whether the process that wrote the counts down is the last that
// started: another release's may have written events and left the counts alone.
func (s store) checkCounts(ctx context.Context) (bool, error) {
	clean, _, err := s.meta(ctx, metaClean)
	if err != nil || clean == 0 {
		return false, err
	}
	epoch, _, err := s.meta(ctx, metaEpoch)
	if err != nil {
		return false, err
	}
	counted, known, err := s.meta(ctx, metaCounted)
	return known && counted == epoch, err
}

// noteCounts writes down what is pending when the journal is closed.
func (t *transaction) noteCounts() error {
	if _, err := t.exec(forgetCounts); err != nil {
		return err
	}
	for p, n := range t.w.left {
		lane := bridge.LaneKey{Channel: p.channel, Direction: p.direction}
		if _, err := t.exec(upsertMeta, metaPendingOf+laneName(lane), n); err != nil {
			return err
		}
	}
	_, err := t.exec(upsertMeta, metaCounted, t.w.j.epochs.current)
	return err
}
