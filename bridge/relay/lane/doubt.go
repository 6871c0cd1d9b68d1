package lane

import (
	"context"
	"slices"
	"time"

	"lpbridge/bridge"
)

// Echoes says when the far side tells us of what arrived although we were not
// answered. The zero value stands for one that never does.
type Echoes struct {
	// Come reports whether it tells us at all. Nil means that it does not.
	Come func() bool
	// Wait is how long after a message arrived it has told us.
	Wait time.Duration
	// Reach says what holds up what it tells. Nil stands for nothing.
	Reach *Reach
}

// until is when an entry in doubt has not arrived if no echo came by then. It
// follows from when the doubt began, however often the process started since.
// heard, when not zero, is when the conversation's news after that came.
func (x *Echoes) until(d *bridge.Doubt, heard time.Time) time.Time {
	if x.Come == nil || !x.Come() {
		return time.Time{}
	}
	until := d.Since
	if x.Reach != nil {
		until = x.Reach.until(d.Since)
	}
	if !heard.IsZero() && heard.After(d.Since) && heard.Before(until) {
		until = heard
	}
	return until.Add(x.Wait)
}

// Reached lets lanes in doubt look again how long they have to wait: the far side
// tells us again of what happens.
func (s *Set) Reached() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.byKey {
		if l.state == waiting && len(l.queue) > 0 && l.queue[0].Doubt != nil {
			s.lookAgain(l)
		}
	}
	s.startWorkers()
}

// lookAgain has a lane that waits find out for what, without letting anything go
// before its time.
func (s *Set) lookAgain(l *lane) {
	s.unpark(l)
	s.Schedule.Stop(&l.wake)
	l.now = false
	s.enqueue(l)
}

// Heard says that the far side told us of something in a lane's conversation that
// happened at a time: what happened there before has been told as well, for the
// order within a conversation is kept (Webhooks, Retry Policy).
func (s *Set) Heard(key bridge.LaneKey, happened time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.byKey[key]
	if l == nil || len(l.queue) == 0 || l.queue[0].Doubt == nil || !l.heard.IsZero() || !happened.After(l.queue[0].Doubt.Since) {
		return
	}
	l.heard = time.Now()
	if l.state == waiting {
		s.lookAgain(l)
		s.startWorkers()
	}
}

// doubts is the doubt a delivery leaves: a new one when its answer was lost, or
// the one there was, for that an earlier delivery was lost stays true.
func (l *lane) doubts(e *bridge.Entry, v Verdict) *bridge.Doubt {
	if v.Outcome != bridge.Unknown || !doubtful(e) {
		return e.Doubt
	}
	d := &bridge.Doubt{Since: time.Now()}
	switch {
	case e != l.delivering || len(l.sentTo) == 0, e.Doubt != nil && len(e.Doubt.Dialogs) == 0:
		// It may lie in any dialog of its consumer.
	case e.Doubt != nil:
		d.Dialogs = slices.Clone(e.Doubt.Dialogs)
		fallthrough
	default:
		for _, dialog := range l.sentTo {
			if !slices.Contains(d.Dialogs, dialog) {
				d.Dialogs = append(d.Dialogs, dialog)
			}
		}
	}
	return d
}

// WaitEnd says how the wait for an echo ended. It is a metric label.
type WaitEnd string

// The ends.
const (
	// Echoed says that the echo came, SentAgain that it did not in time, and
	// NotAwaited that none ever comes.
	Echoed     WaitEnd = "echoed"
	SentAgain  WaitEnd = "sent_again"
	NotAwaited WaitEnd = "not_awaited"
	// GivenUp says that the entry became a dead letter meanwhile.
	GivenUp WaitEnd = "given_up"
)

// waitEnded tells, once for each doubt, how the wait for an echo ended. The channels'
// lanes wait for none.
func (l *lane) waitEnded(s *Set, e *bridge.Entry, end WaitEnd) {
	if e.Doubt == nil || e.Doubt == l.overcome || s.Waited == nil || l.key.Direction != bridge.ToLivePerson {
		return
	}
	l.overcome = e.Doubt
	s.Waited(e, end, time.Since(e.Doubt.Since))
}

// doubtful says that delivering an entry twice would be seen.
func doubtful(e *bridge.Entry) bool { return e.Kind == bridge.KindMessage }

// begin makes durable that an entry's delivery begins, unless that is so
// already. It gives up the lock meanwhile.
func (s *Set) begin(ctx context.Context, e *bridge.Entry) error {
	if e.Begun || !doubtful(e) {
		return nil
	}
	done := make(chan error, 1)
	s.mu.Unlock()
	defer s.mu.Lock()
	s.Journal.Begin(e.Seq, func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Abandon stores doubt for the deliveries that do not end although their context
// did: the journal is closed next.
func (s *Set) Abandon() {
	s.mu.Lock()
	var settlements []bridge.Settlement
	for _, l := range s.byKey {
		if e := l.delivering; e != nil {
			v := Verdict{Outcome: bridge.Unknown, Final: bridge.Pending}
			settlements = append(settlements, bridge.Settlement{
				Seq: e.Seq, Lane: l.key, Outcome: v.Outcome, Final: v.Final, Attempts: e.Attempts + 1, Doubt: l.doubts(e, v),
			})
		}
	}
	s.mu.Unlock()
	settle(s.Journal, settlements)
}

// Starts reports whether an entry that is appended to a lane now would be
// delivered at once: it can be marked as begun in the same write.
func (s *Set) Starts(key bridge.LaneKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byKey[key] == nil && !s.sweeper.strays && !s.stopping && s.far.health == Well && len(s.ready) == 0 && s.running < s.Limiter.limit()
}
