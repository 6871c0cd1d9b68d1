package lane

import (
	"lpbridge/bridge"
)

// Recover starts the lanes that hold entries of an earlier process.
func (s *Set) Recover(key bridge.LaneKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[key] != nil {
		return
	}
	l := &lane{key: key, behind: true, recovered: true}
	s.byKey[key] = l
	s.enqueue(l)
	s.startWorkers()
}

// RecoveryDone says that every lane with entries of an earlier process is known.
func (s *Set) RecoveryDone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recovering = false
}

// RecoveredAll reports whether every entry of an earlier process that may have
// been delivered was looked at.
func (s *Set) RecoveredAll() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.recovering {
		return false
	}
	for _, l := range s.byKey {
		if l.recovered {
			return false
		}
	}
	return true
}
