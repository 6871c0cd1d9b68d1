package lane

import (
	"lpbridge/bridge"
)

// takeEarlier takes an entry accepted by an earlier process, which may have
// delivered it: when it was cut off, the first.
func (s *Set) takeEarlier(l *lane, e *bridge.Entry) {
	s.Loaded(e)
	at := len(l.queue)
	cutOff := l.recovered && !s.Clean && at == 0
	if cutOff || e.Attempts > 0 && e.Last == bridge.Unknown {
		attempts := e.Attempts
		if s.InDoubt(e); e.Attempts > attempts {
			// The next process must know even if this one ends in order. Without
			// Durable the journal does not call back.
			s.Journal.Settle(bridge.Settlement{
				Seq: e.Seq, Lane: l.key, Outcome: e.Last, Final: bridge.Pending, Attempts: e.Attempts, NextTry: e.NextTry,
			})
		}
	}
	if cutOff || e.Attempts > 0 {
		l.earlier = at + 1
	}
}

// MayHoldEarlier reports whether a lane may hold entries an earlier process
// sent.
func (s *Set) MayHoldEarlier(key bridge.LaneKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.byKey[key]
	return s.recovering || l != nil && (l.recovered || l.earlier > 0)
}

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
