package lane

import (
	"time"

	"lpbridge/bridge"
)

// park puts a lane aside until the far side is well.
func (s *Set) park(l *lane) {
	l.state = parked
	s.giveBack(l)
	if s.forget(l) {
		return
	}
	s.expectFarSide(l)
	if l.trouble.failures == 0 || s.far.due {
		s.newcomer(l)
	}
}

// expectFarSide enters a lane among those that go on when the far side gets well.
func (s *Set) expectFarSide(l *lane) {
	if l.place == nil {
		l.place = s.expecting.PushBack(l)
	}
}

// unpark takes a lane out of those that wait for the far side; it may go on at
// once.
func (s *Set) unpark(l *lane) {
	if l.place == nil {
		return
	}
	s.expecting.Remove(l.place)
	l.place = nil
	l.now = true
	s.Schedule.Stop(&l.wake)
}

// firstParked is the lane that has waited longest for the far side.
func (s *Set) firstParked() *lane {
	if first := s.expecting.Front(); first != nil {
		return first.Value.(*lane)
	}
	return nil
}

// release lets everybody go on who waits for the far side.
func (s *Set) release() {
	for l := s.firstParked(); l != nil; l = s.firstParked() {
		s.unpark(l)
		l.trouble.pauses = 0
		s.enqueue(l)
	}
}

// wait puts a lane aside until a time. One that may be hurried goes on earlier
// when the far side gets well.
func (s *Set) wait(l *lane, until time.Time, hurried bool) {
	l.state = waiting
	s.giveBack(l)
	if hurried {
		s.expectFarSide(l)
	}
	s.Schedule.Set(&l.wake, until, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.state == waiting {
			s.unpark(l)
			s.enqueue(l)
			s.startWorkers()
		}
	})
}

// Wake lets a lane go on that waits: there is news of what it waits for. A doubt
// is not ended by that, see [Set.Echo].
func (s *Set) Wake(key bridge.LaneKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.byKey[key]
	switch {
	case l == nil:
	case l.state == running:
		l.news = true
	case l.state == waiting && l.mayHurry():
		s.unpark(l)
		s.Schedule.Stop(&l.wake)
		l.now = true
		s.enqueue(l)
		s.startWorkers()
	}
}
