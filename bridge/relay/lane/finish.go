package lane

import (
	"slices"
	"time"

	"lpbridge/bridge"
)

// finish makes a verdict durable and moves the lane on.
func (s *Set) finish(l *lane, batch []*bridge.Entry, v Verdict, began time.Time) {
	s.mu.Lock()
	tell := s.saw(v.Sign, began, v.RetryAfter, v.Reason)
	v.Uncounted = v.Uncounted || v.Sign == SaysThrottled
	settlements := s.conclude(l, batch, v, began)
	l.news, l.delivering, l.sentTo, l.arrivedAt = false, nil, nil, position{}
	close(l.answered)
	s.endProbe(l)(v.Sign)
	s.startWorkers()
	s.mu.Unlock()
	settle(s.Journal, settlements)
	tell()
}

// conclude applies a verdict to the lane. An echo may have settled the entry
// while its answer was awaited; then there is nothing to do.
func (s *Set) conclude(l *lane, batch []*bridge.Entry, v Verdict, began time.Time) []bridge.Settlement {
	second := l.trouble.second && len(l.queue) > 1 && l.queue[1] == batch[0]
	if !second && (len(l.queue) == 0 || l.queue[0] != batch[0]) {
		return s.keepPosition(l, batch[0], v)
	}
	if second && v.Sign != SaysWell && v.Final != bridge.Pending {
		// It needed no call and proved nothing; its time comes.
		l.trouble.second = false
		return nil
	}
	if second && v.Sign == SaysWell && v.Final != bridge.Pending {
		l.trouble.opinionGiven(true)
		return s.drop(l, 1, 1, v)
	}
	if v.Final == bridge.Pending && l.trouble.suffer(v, &s.others, s.far.wellSince(began), len(l.queue)) {
		v.Poison = true
		v = s.GiveUp(batch[0], v)
	}
	if v.Final == bridge.Pending {
		return s.keep(l, batch, v)
	}
	return s.drop(l, 0, len(batch), v)
}

// keepPosition keeps the position of an entry that an echo of another position has
// settled already: that was another's with the same words, whose own comes yet.
// The lane waits until the ledger has it, for an echo of it asks there.
func (s *Set) keepPosition(l *lane, e *bridge.Entry, v Verdict) []bridge.Settlement {
	if v.Dialog == "" || l.arrivedAt == (position{v.Dialog, v.Sequence}) {
		return nil
	}
	w := &settling{done: make(chan struct{})}
	w.Settlement = bridge.Settlement{
		Seq: e.Seq, Lane: l.key, Outcome: v.Outcome, Final: bridge.Done, Dialog: v.Dialog, Sequence: v.Sequence, Source: v.Source,
		Durable: func(err error) { s.durable(l, w, err) },
	}
	l.open = append(l.open, w)
	return []bridge.Settlement{w.Settlement}
}

// keep leaves entries in the lane for another delivery.
func (s *Set) keep(l *lane, batch []*bridge.Entry, v Verdict) []bridge.Settlement {
	next := l.nextTry(v)
	l.fixed = !v.Next.IsZero() || v.RetryAfter > 0
	settlements := make([]bridge.Settlement, 0, len(batch))
	for _, e := range batch {
		if !v.Uncounted {
			e.Attempts++
		}
		e.Last, e.NextTry, e.Doubt, e.Begun = v.Outcome, next, l.doubts(e, v), false
		st := bridge.Settlement{
			Seq: e.Seq, Lane: l.key, Outcome: v.Outcome, Final: bridge.Pending, Attempts: e.Attempts, NextTry: next,
			Reason: v.Reason, Doubt: e.Doubt,
		}
		if e.Doubt != nil {
			s.keepDoubt(l, &st)
		}
		settlements = append(settlements, st)
	}
	return settlements
}

// keepDoubt remembers that an entry is in doubt for as long as the journal refuses
// to: a process that ends in order says that all it had begun is settled.
func (s *Set) keepDoubt(l *lane, st *bridge.Settlement) {
	w := &settling{}
	l.doubted = w
	st.Durable = func(err error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch {
		case l.doubted != w:
		case err == nil:
			l.doubted = nil
		default:
			w.waits = true
		}
		s.answeredAtStop()
	}
	w.Settlement = *st
}

// nextTry is when an entry that stays is tried again, unless it is in doubt for
// longer.
func (l *lane) nextTry(v Verdict) time.Time {
	now := time.Now()
	asked := min(v.RetryAfter, MaxStop)
	switch {
	case l.news && v.Unsent && v.Uncounted && v.RetryAfter == 0:
		// It was not sent for want of a token or a conversation, and the news may be that.
		return now
	case !v.Next.IsZero():
		return v.Next
	case v.Sign == SaysThrottled:
		return now.Add(max(asked, MinThrottle))
	case l.news:
		return now.Add(asked)
	case v.Outcome == bridge.Unknown && l.key.Direction == bridge.ToLivePerson && l.trouble.pauses <= 1:
		// In doubt it waits for that alone; where no echo comes, for nothing.
		return now.Add(asked)
	default:
		return now.Add(max(asked, pauseAfter(l.key.Direction, l.trouble.pauses)))
	}
}

// drop takes n entries off the lane, done or dead. The last of them gets the
// verdict's position and followers; the first that is left is begun with it.
func (s *Set) drop(l *lane, at, n int, v Verdict) []bridge.Settlement {
	settlements := make([]bridge.Settlement, 0, n)
	for i, e := range l.queue[at : at+n] {
		if v.Final == bridge.Dead {
			l.waitEnded(s, e, GivenUp)
		}
		s.Settled(e, v)
		st := bridge.Settlement{Seq: e.Seq, Lane: l.key, Outcome: v.Outcome, Final: v.Final, Attempts: e.Attempts, Reason: v.Reason, Doubt: e.Doubt}
		if v.Final == bridge.Dead {
			st.Attempts++
			st.Doubt = l.doubts(e, v)
		}
		w := &settling{done: make(chan struct{})}
		if i == n-1 {
			st.Dialog, st.Sequence, st.Source, st.Follow = v.Dialog, v.Sequence, v.Source, v.Follow
			st.Next, w.next = s.beginsNext(l, at, n)
		}
		st.Durable = func(err error) { s.durable(l, w, err) }
		w.Settlement = st
		l.open = append(l.open, w)
		settlements = append(settlements, st)
	}
	s.unhold(l, n)
	l.queue = slices.Delete(l.queue, at, at+n)
	if at == 0 {
		l.trouble, l.heard, l.fixed = trouble{}, time.Time{}, false
	}
	return settlements
}

// beginsNext is the entry whose delivery starts once those before it are settled,
// if that is known now.
func (s *Set) beginsNext(l *lane, at, n int) (seq int64, e *bridge.Entry) {
	if at > 0 || len(l.queue) == n || s.stopping || s.far.health != Well {
		return 0, nil
	}
	e = l.queue[n]
	if e.Begun || !doubtful(e) || e.Doubt != nil || e.NextTry.After(time.Now()) {
		return 0, nil
	}
	return e.Seq, e
}

// settle hands settlements to the journal. The set's lock must not be held: the
// journal calls back.
func settle(j Journal, settlements []bridge.Settlement) {
	for _, st := range settlements {
		j.Settle(st)
	}
}

// durable is told that a settlement is on disk, or that the journal refused it:
// then it is handed over again, for otherwise the entry would be delivered once
// more after a restart.
func (s *Set) durable(l *lane, w *settling, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer s.answeredAtStop()
	if err != nil {
		w.refused++
		w.waits = true
		if !s.stopping {
			s.Schedule.Set(&w.alarm, time.Now().Add(RetryPause(w.refused)), func() { w.again(s) })
		}
		return
	}
	if w.next != nil {
		w.next.Begun = true
	}
	close(w.done)
	l.open = slices.DeleteFunc(l.open, func(o *settling) bool { return o == w })
	switch l.state {
	case unsettled:
		s.enqueue(l)
		s.startWorkers()
	case resting:
		if s.byKey[l.key] == l {
			s.rest(l)
		}
	}
}

// answeredAtStop lets a stop look again whether the journal has said all.
func (s *Set) answeredAtStop() {
	if s.stopping {
		s.rested.Broadcast()
	}
}

// again hands a refused settlement over once more, unless somebody did.
func (w *settling) again(s *Set) {
	s.mu.Lock()
	waits := w.waits
	w.waits = false
	s.mu.Unlock()
	if waits {
		s.Journal.Settle(w.Settlement)
	}
}
