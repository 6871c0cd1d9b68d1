package lane

import (
	"time"

	"lpbridge/bridge"
)

// Busy reports whether a lane may have entries to deliver or to settle.
func (s *Set) Busy(key bridge.LaneKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byKey[key] != nil || s.sweeper.strays
}

// Backlog reports how many lanes are known and how many deliveries run.
func (s *Set) Backlog() (known, delivering int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byKey), s.running
}

// Status is how the lanes and their far side are doing.
func (s *Set) Status() bridge.FlowStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := bridge.FlowStatus{
		Lanes: len(s.byKey), InFlight: s.running, Limit: s.Limiter.limit(),
		State: string(s.far.health), Since: s.far.since, OldestWaiting: s.oldestWaiting(),
	}
	if s.far.health != Well {
		f.LastError = s.far.reason
	}
	if s.far.until.After(time.Now()) {
		f.ThrottledUntil = s.far.until
	}
	return f
}

// oldestWaiting is when the oldest entry was accepted that is known to wait.
func (s *Set) oldestWaiting() time.Time {
	oldest := s.sweeper.oldest
	for _, l := range s.byKey {
		waits := l.oldest
		if len(l.queue) > 0 {
			waits = l.queue[0].Accepted
		}
		if !waits.IsZero() && (oldest.IsZero() || waits.Before(oldest)) {
			oldest = waits
		}
	}
	return oldest
}

// Health is the state of the far side.
func (s *Set) Health() Health {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.far.health
}

// Doubted is how many entries in memory may have arrived without our knowing.
func (s *Set) Doubted() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.byKey {
		for _, e := range l.queue {
			if e.Doubt != nil {
				n++
			}
		}
	}
	return n
}
