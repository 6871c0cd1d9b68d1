package relay

import (
	"hash/maphash"
	"sync"

	"lpbridge/bridge"
)

// shares keep one consumer of a served channel from taking the room of all others
// there, whom nobody but themselves can tell to send less. What an earlier process
// left is not counted: its consumers begin anew.
type shares struct {
	// most is how many events of one consumer may be pending, 0 for no limit.
	most int64
	// after is the last Seq of earlier processes, known when work begins.
	after int64
	seed  maphash.Seed

	mu sync.Mutex
	// pending counts what is accepted, promised what is on its way to the journal.
	// Consumers are kept as hashes, for there may be a million.
	pending, promised map[uint64]int64
}

func newShares(most int64) *shares {
	return &shares{most: most, seed: maphash.MakeSeed(), pending: map[uint64]int64{}, promised: map[uint64]int64{}}
}

// promise holds room for entries until the returned function is called, or says
// [bridge.ErrShare]. Who has nothing pending gets in with whatever one request
// brings, for it could not be taken later either.
func (s *shares) promise(entries []bridge.Entry) (kept func(), err error) {
	if s.most <= 0 || len(entries) == 0 {
		return func() {}, nil
	}
	wants := s.byConsumer(entries)
	s.mu.Lock()
	defer s.mu.Unlock()
	for consumer, n := range wants {
		if has := s.pending[consumer] + s.promised[consumer]; has > 0 && has+n > s.most {
			return nil, bridge.ErrShare
		}
	}
	for consumer, n := range wants {
		count(s.promised, consumer, n)
	}
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for consumer, n := range wants {
			count(s.promised, consumer, -n)
		}
	}, nil
}

// moved notes that an entry became pending, or is so no more.
func (s *shares) moved(e *bridge.Entry, by int64) {
	if s.most <= 0 || e.Lane.Direction != bridge.ToLivePerson || e.Seq <= s.after {
		return
	}
	consumer := s.consumerOf(e)
	s.mu.Lock()
	defer s.mu.Unlock()
	count(s.pending, consumer, by)
}

// count is called with the lock held.
func count(of map[uint64]int64, consumer uint64, by int64) {
	if of[consumer] += by; of[consumer] <= 0 {
		delete(of, consumer)
	}
}

func (s *shares) byConsumer(entries []bridge.Entry) map[uint64]int64 {
	wants := make(map[uint64]int64, 1)
	for i := range entries {
		wants[s.consumerOf(&entries[i])]++
	}
	return wants
}

// consumerOf is whose an entry is; one that names nobody counts for its thread.
func (s *shares) consumerOf(e *bridge.Entry) uint64 {
	who := [2]string{e.Lane.Channel, "thread:" + string(e.Lane.Thread)}
	if ev, err := e.Decode(); err == nil && ev.Consumer != nil && ev.Consumer.ID != "" {
		who[1] = string(ev.Consumer.ID)
	}
	return maphash.Comparable(s.seed, who)
}
