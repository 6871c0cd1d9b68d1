package lane

import (
	"time"

	"lpbridge/bridge"
)

// Busy reports whether a lane has entries to deliver or to settle.
func (s *Set) Busy(key bridge.LaneKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byKey[key] != nil
}

// Backlog reports how many lanes are known and how many deliveries run.
func (s *Set) Backlog() (known, delivering int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byKey), s.running
}

// Status is how the lanes are doing.
func (s *Set) Status() bridge.FlowStatus {
	known, delivering := s.Backlog()
	f := bridge.FlowStatus{Lanes: known, InFlight: delivering, Limit: s.Limiter.limit()}
	if until := s.Limiter.closedUntil(); until.After(time.Now()) {
		f.ThrottledUntil = until
	}
	return f
}

// Doubted is how many dialogs have a message whose answer is missing.
func (s *Set) Doubted() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sentTo)
}
