package journal

import (
	"context"
	"fmt"
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

// load counts what an earlier process left, all of it and by party.
func (s *shares) load(ctx context.Context, db *database) (all int64, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	err = db.each(ctx, pendingByLane, nil, func(scan func(...any) error) error {
		var name string
		var n int64
		if err := scan(&name, &n); err != nil {
			return err
		}
		lane, err := parseLane(name)
		s.used[partyOf(lane)] += n
		all += n
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("count pending events: %w", err)
	}
	return all, nil
}
