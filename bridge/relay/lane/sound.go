package lane

import (
	"context"
	"slices"
	"time"

	"lpbridge/bridge"
)

// riskEvery is how often a message is risked all the same: it may be that the harmless
// calls alone fail.
const riskEvery = 5 * time.Minute

// Sounding is what a call that does no harm says of the far side.
type Sounding struct {
	Sign       Sign
	RetryAfter time.Duration
	Reason     string
}

// trySounding reports whether a lane may go on with an entry. A far side that is down and
// answers may do what it is asked all the same: a message that asked it how it is
// would be in doubt, and wait for its echo when all others go out. So it is asked
// otherwise where that is possible. The lock is given up meanwhile.
func (l *lane) trySounding(ctx context.Context, s *Set, e *bridge.Entry) bool {
	began := time.Now()
	if s.Sound == nil || !doubtful(e) || !s.far.weighRisk(l, e, began) {
		return true
	}
	s.mu.Unlock()
	said := s.Sound(ctx, e)
	s.mu.Lock()
	switch {
	case s.stopping || !slices.Contains(l.queue, e):
		// An echo came meanwhile, or the end.
		s.putAside(l, func() { s.enqueue(l) })
		return false
	case said.Sign == SaysNothing || said.Sign == SaysWell:
		return true
	}
	tell := s.far.saw(said.Sign, began, said.RetryAfter, said.Reason)
	over := s.endProbe(l)
	l.parkAgain(s, max(min(said.RetryAfter, MaxStop), probeFirst))
	over(said.Sign)
	s.mu.Unlock()
	tell()
	s.mu.Lock()
	return false
}

// weighRisk reports whether a message had better not be sent to find out how the far side
// is: it is down, or the last that was heard of it is that it failed with this one.
func (f *farSide) weighRisk(l *lane, e *bridge.Entry, now time.Time) bool {
	switch {
	case f.health == Well:
		return f.failed > 0 && e.Doubt != nil
	case f.health != Down || !l.probe:
		return false
	case now.Sub(f.since) >= riskEvery && now.Sub(f.risked) >= riskEvery:
		f.risked = now
		return false
	}
	return true
}

// parkAgain puts a lane aside that asked in vain how the far side is. It is no newcomer
// that would be worth another probe at once. A far side that still counts as well is
// asked again after a pause.
func (l *lane) parkAgain(s *Set, pause time.Duration) {
	if s.far.health == Well {
		s.wait(l, time.Now().Add(pause), l.mayHurry())
		return
	}
	l.state = parked
	s.giveBack(l)
	if s.forget(l) {
		return
	}
	s.expecting.add(l)
	if s.far.due {
		s.probe()
	}
}
