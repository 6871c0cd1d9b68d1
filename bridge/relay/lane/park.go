package lane

import (
	"container/list"
	"time"

	"lpbridge/bridge"
)

// expectant are the lanes that go on when the far side gets well. The first is the
// one that has waited longest, or a newcomer whose message has not failed.
type expectant struct{ list list.List }

func (x *expectant) add(l *lane) {
	if l.expecting == nil {
		l.expecting = x.list.PushBack(l)
	}
}

// remove reports whether the lane was one of them.
func (x *expectant) remove(l *lane) bool {
	if l.expecting == nil {
		return false
	}
	x.list.Remove(l.expecting)
	l.expecting = nil
	return true
}

// first is nil when there is none.
func (x *expectant) first() *lane {
	if first := x.list.Front(); first != nil {
		return first.Value.(*lane)
	}
	return nil
}

func (x *expectant) toFront(l *lane) { x.list.MoveToFront(l.expecting) }

// park puts a lane aside until the far side is well.
func (s *Set) park(l *lane) {
	l.state = parked
	s.giveBack(l)
	if s.forget(l) {
		return
	}
	s.expecting.add(l)
	if s.far.due || l.trouble.failures == 0 && s.far.hears() {
		s.expecting.toFront(l)
		s.probe()
	}
}

// unpark takes a lane out of those that wait for the far side; it may go on at
// once.
func (s *Set) unpark(l *lane) {
	if s.expecting.remove(l) {
		l.now = true
		s.Schedule.Stop(&l.wake)
	}
}

// release lets everybody go on who waits for the far side.
func (s *Set) release() {
	for l := s.expecting.first(); l != nil; l = s.expecting.first() {
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
		s.expecting.add(l)
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
	case l.state == running, l.state == queued, l.state == unsettled:
		l.news = true
	case l.state == waiting && l.mayHurry():
		s.unpark(l)
		s.Schedule.Stop(&l.wake)
		l.now = true
		s.enqueue(l)
		s.startWorkers()
	}
}
