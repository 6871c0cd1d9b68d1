package lane

import (
	"context"
	"slices"

	"lpbridge/bridge"
)

// Sending notes that the first entry of a lane is about to be sent to a dialog.
// The returned function takes that back: it did not arrive.
func (s *Set) Sending(e *bridge.Entry, dialog string) (refused func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.byKey[e.Lane]
	if l == nil || len(l.queue) == 0 || l.queue[0] != e || slices.Contains(l.sentTo, dialog) {
		return func() {}
	}
	l.sentTo = append(l.sentTo, dialog)
	s.sentTo[dialog] = append(s.sentTo[dialog], l)
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(l.queue) > 0 && l.queue[0] == e {
			l.sentTo = slices.DeleteFunc(l.sentTo, func(d string) bool { return d == dialog })
			s.unsend(l, dialog)
		}
	}
}

func (s *Set) unsend(l *lane, dialog string) {
	left := slices.DeleteFunc(s.sentTo[dialog], func(o *lane) bool { return o == l })
	if s.sentTo[dialog] = left; len(left) == 0 {
		delete(s.sentTo, dialog)
	}
}

// Arrival is a consumer's own message as LivePerson reports it.
type Arrival struct {
	Dialog   string
	Sequence int64
	// Current says that the dialog is the one its thread writes to.
	Current bool
	// Matches compares it with an entry.
	Matches func(*bridge.Entry) bool
}

// Echo settles the entry that an arrival proves to have been delivered. It
// returns when that is on disk, and at once when no entry is in doubt.
func (s *Set) Echo(ctx context.Context, key bridge.LaneKey, a Arrival) (settledOne bool, err error) {
	s.mu.Lock()
	l, err := s.laneForEcho(ctx, key)
	if err != nil {
		s.mu.Unlock()
		return false, err
	}
	candidates := slices.Concat([]*lane{l}, s.sentTo[a.Dialog])
	for _, c := range candidates {
		if w := c.settlingAt(a); w != nil {
			s.mu.Unlock()
			return false, w.wait(ctx)
		}
	}
	l, n, err := proven(candidates, a)
	if n == 0 || err != nil {
		s.mu.Unlock()
		return false, err
	}
	settlements := s.drop(l, n, Verdict{
		Outcome: bridge.Delivered, Final: bridge.Done, Dialog: a.Dialog, Sequence: a.Sequence, Source: l.queue[n-1].ID,
	})
	w := l.open[len(l.open)-1]
	if l.state == waiting {
		s.unpark(l)
		s.Schedule.Stop(&l.wake)
		s.enqueue(l)
		s.startWorkers()
	}
	s.mu.Unlock()
	s.settle(settlements)
	return true, w.wait(ctx)
}

// proven finds the lane an arrival belongs to, and how many of its entries it
// settles. When the same text of the same consumer is under way in another
// thread, only the answer to that tells whose echo this is: LivePerson must
// send it again.
func proven(candidates []*lane, a Arrival) (l *lane, n int, err error) {
	for _, c := range candidates {
		m := c.doubtful(a)
		switch {
		case m == 0 || c == l:
		case l == nil:
			l, n = c, m
		case l.state == running || c.state == running:
			return nil, 0, bridge.ErrBusy
		}
	}
	return l, n, nil
}

// laneForEcho finds a lane, or nil. One that may hold entries of an earlier
// process is read first: the echo will not come again.
func (s *Set) laneForEcho(ctx context.Context, key bridge.LaneKey) (*lane, error) {
	l := s.byKey[key]
	if l == nil && s.recovering {
		l = &lane{key: key, behind: true, recovered: true}
		s.byKey[key] = l
		s.enqueue(l)
		s.startWorkers()
	}
	for l != nil && l.recovered {
		if !s.load(ctx, l) {
			return nil, bridge.ErrStorage
		}
	}
	return l, nil
}

// settlingAt returns the settlement of the entry that got the arrival's place.
func (l *lane) settlingAt(a Arrival) *settling {
	if l == nil {
		return nil
	}
	for _, w := range l.open {
		if w.Dialog == a.Dialog && w.Sequence == a.Sequence {
			return w
		}
	}
	return nil
}

// doubtful returns how many entries from the head on an arrival settles: those
// up to the first match, for a later entry is only ever sent after the earlier
// ones were answered.
func (l *lane) doubtful(a Arrival) int {
	if l == nil {
		return 0
	}
	for i, e := range l.queue {
		earlier, sent := i < l.earlier, i == 0 && len(l.sentTo) > 0
		if !earlier && !sent {
			return 0
		}
		there := earlier && a.Current || sent && slices.Contains(l.sentTo, a.Dialog)
		if there && a.Matches(e) {
			return i + 1
		}
	}
	return 0
}

func (w *settling) wait(ctx context.Context) error {
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
