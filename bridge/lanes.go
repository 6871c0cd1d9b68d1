package bridge

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

const (
	// laneWindow is the most entries of one lane kept in memory; the rest stays
	// in the journal until the lane gets there.
	laneWindow = 64
	// laneShare is how many deliveries a lane gets before another one that is
	// ready takes its worker.
	laneShare = 16
	// maxUnsettled is the most deliveries of one lane whose end is not on disk
	// yet when the next one starts. Together with that next one it bounds how
	// many deliveries of a lane a crash leaves in doubt.
	maxUnsettled = 1
	// maxInDoubt is how many entries at the head of a lane may have been
	// delivered by a process that died.
	maxInDoubt = maxUnsettled + 1
	// loadRetry is the pause after the journal could not be read.
	loadRetry = time.Second
)

// verdict is what a delivery decided about the entries it was given.
type verdict struct {
	outcome Outcome
	final   Disposition
	// next is when an entry that stays pending is tried again.
	next time.Time
	// uncounted keeps the number of attempts: the delivery was cut off by
	// shutdown or never began.
	uncounted bool
	// dialog, sequence and source are as in [Settlement].
	dialog   string
	sequence int64
	source   EventID
	follow   []Entry
}

// lanes delivers the entries of many lanes: those of one lane strictly in
// order and one at a time, those of different lanes side by side up to a limit.
// A lane that waits holds no goroutine, and one that has nothing to do holds no
// memory.
type lanes struct {
	laneWork

	mu         sync.Mutex
	byKey      map[LaneKey]*lane
	ready      []*lane
	running    int
	recovering bool
	stopping   bool
	rested     *sync.Cond
}

// laneWork is what lanes do and what they do it with.
type laneWork struct {
	journal  Journal
	schedule *schedule
	// deliver makes one delivery of one entry, or of several that go together.
	deliver func(ctx context.Context, batch []*Entry) verdict
	// together says whether b can ride in the same delivery as a.
	together func(a, b *Entry) bool
	// settled is told of every entry that leaves its lane.
	settled func(e *Entry, v verdict)
	// loaded is told of every entry accepted by an earlier process when it comes
	// into memory.
	loaded func(e *Entry)
	// inDoubt is told of an entry an earlier process may have delivered.
	inDoubt func(e *Entry)
	gate    *gate

	// boot is the last Seq given out before this process; clean says that
	// nothing was cut off then.
	boot  int64
	clean bool
}

// laneState says who moves a lane next.
type laneState uint8

const (
	// resting lanes move when an entry is added.
	resting laneState = iota
	// queued lanes wait for a worker.
	queued
	// running lanes have a worker.
	running
	// waiting lanes move when their alarm rings.
	waiting
	// unsettled lanes move when the journal has written a settlement.
	unsettled
)

// lane is the ordered queue of one thread in one direction.
type lane struct {
	key   LaneKey
	state laneState
	// queue holds the entries in memory; the first is the next to deliver.
	queue []*Entry
	// last is the highest Seq that was ever in queue.
	last int64
	// behind says that the journal holds entries after last that are not in
	// queue, and missed that more came while they were read.
	behind, missed bool
	// recovered says that nothing was loaded yet and entries of an earlier
	// process may be there.
	recovered bool
	// delivering says that the head is with deliver now.
	delivering bool
	wake       alarm
	// open are the settlements that are not on disk yet.
	open []*settling
}

// settling is a settlement on its way to disk.
type settling struct {
	sequence int64
	dialog   string
	done     chan struct{}
	err      error
}

func newLanes(w laneWork) *lanes {
	l := &lanes{laneWork: w, byKey: map[LaneKey]*lane{}, recovering: true}
	l.rested = sync.NewCond(&l.mu)
	return l
}

// add takes a newly committed entry. It is called in the order of Seq and does
// not block.
func (s *lanes) add(ctx context.Context, e *Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.byKey[e.Lane]
	if l == nil {
		l = &lane{key: e.Lane, behind: s.recovering, recovered: s.recovering}
		s.byKey[e.Lane] = l
	}
	switch {
	case e.Seq <= l.last:
		return
	case l.behind:
		l.missed = true
	case len(l.queue) >= laneWindow:
		l.behind, l.missed = true, true
	default:
		l.queue = append(l.queue, e)
		l.last = e.Seq
	}
	if l.state == resting {
		s.enqueue(ctx, l)
	}
}

// enqueue gives the lane a worker or a place in the line for one.
func (s *lanes) enqueue(ctx context.Context, l *lane) {
	if s.stopping {
		l.state = resting
		return
	}
	l.state = queued
	if s.running < s.gate.limit() {
		s.running++
		go s.work(ctx, l)
		return
	}
	s.ready = append(s.ready, l)
}

// work serves lanes until none is ready.
func (s *lanes) work(ctx context.Context, l *lane) {
	for l != nil {
		s.serve(ctx, l)
		l = s.nextReady()
	}
}

func (s *lanes) nextReady() *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping || len(s.ready) == 0 || s.running > s.gate.limit() {
		s.running--
		if s.running == 0 {
			s.rested.Broadcast()
		}
		return nil
	}
	l := s.ready[0]
	s.ready[0] = nil
	s.ready = s.ready[1:]
	return l
}

// serve delivers from one lane until it must wait, is empty or had its share.
func (s *lanes) serve(ctx context.Context, l *lane) {
	for range laneShare {
		batch := s.take(ctx, l)
		if batch == nil {
			return
		}
		s.finish(ctx, l, batch, s.deliver(ctx, batch))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping {
		l.state = resting
		return
	}
	l.state = queued
	s.ready = append(s.ready, l)
}

// take returns what to deliver next, or nil after putting the lane aside.
func (s *lanes) take(ctx context.Context, l *lane) []*Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.state = running
	for len(l.queue) == 0 && l.behind && !s.stopping {
		if !s.load(ctx, l) {
			s.wait(ctx, l, time.Now().Add(loadRetry))
			return nil
		}
	}
	switch now := time.Now(); {
	case s.stopping, len(l.queue) == 0:
		s.rest(l)
		return nil
	case len(l.open) > maxUnsettled:
		l.state = unsettled
		return nil
	case s.gate.closedUntil().After(now):
		s.wait(ctx, l, s.gate.closedUntil().Add(rand.N(50*time.Millisecond)))
		return nil
	case l.queue[0].NextTry.After(now):
		s.wait(ctx, l, l.queue[0].NextTry)
		return nil
	}
	n := 1
	for n < len(l.queue) && s.together != nil && s.together(l.queue[0], l.queue[n]) {
		n++
	}
	l.delivering = true
	return slices.Clone(l.queue[:n])
}

// load reads the next window of a lane from the journal. It gives up the lock
// meanwhile.
func (s *lanes) load(ctx context.Context, l *lane) bool {
	l.missed = false
	s.mu.Unlock()
	page, err := s.journal.PendingOf(ctx, l.key, l.last, laneWindow)
	s.mu.Lock()
	if err != nil {
		return false
	}
	for i := range page {
		e := &page[i]
		if e.Seq <= s.boot {
			s.loaded(e)
			if l.recovered && !s.clean && i < maxInDoubt {
				s.inDoubt(e)
			}
		}
		l.queue = append(l.queue, e)
		l.last = e.Seq
	}
	l.recovered = false
	l.behind = l.missed || len(page) == laneWindow
	return true
}

// rest puts a lane aside that has nothing to do, and forgets it when the
// journal has all of it.
func (s *lanes) rest(l *lane) {
	l.state = resting
	if len(l.queue) == 0 && !l.behind && len(l.open) == 0 {
		delete(s.byKey, l.key)
	}
}

func (s *lanes) wait(ctx context.Context, l *lane, until time.Time) {
	l.state = waiting
	s.schedule.set(&l.wake, until, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.state == waiting {
			s.enqueue(ctx, l)
		}
	})
}

// finish makes a verdict durable and moves the lane on.
func (s *lanes) finish(ctx context.Context, l *lane, batch []*Entry, v verdict) {
	s.mu.Lock()
	l.delivering = false
	// An echo may have settled the entry while its answer was awaited.
	if len(l.queue) == 0 || l.queue[0] != batch[0] {
		s.mu.Unlock()
		return
	}
	if v.final == Pending {
		settlements := s.keep(l, batch, v)
		s.mu.Unlock()
		s.settle(settlements)
		return
	}
	settlements := s.drop(ctx, l, len(batch), v)
	s.mu.Unlock()
	s.settle(settlements)
}

// keep leaves entries in the lane for another delivery.
func (s *lanes) keep(l *lane, batch []*Entry, v verdict) []Settlement {
	settlements := make([]Settlement, 0, len(batch))
	for _, e := range batch {
		if !v.uncounted {
			e.Attempts++
		}
		e.Last, e.NextTry = v.outcome, v.next
		settlements = append(settlements, Settlement{
			Seq: e.Seq, Lane: l.key, Outcome: v.outcome, Final: Pending, Attempts: e.Attempts, NextTry: v.next,
		})
	}
	return settlements
}

// drop takes the first n entries off the lane, done or dead. The last of them
// gets the verdict's place and followers.
func (s *lanes) drop(ctx context.Context, l *lane, n int, v verdict) []Settlement {
	settlements := make([]Settlement, 0, n)
	for i, e := range l.queue[:n] {
		s.settled(e, v)
		st := Settlement{Seq: e.Seq, Lane: l.key, Outcome: v.outcome, Final: v.final, Attempts: e.Attempts}
		w := &settling{done: make(chan struct{})}
		if i == n-1 {
			st.Dialog, st.Sequence, st.Source, st.Follow = v.dialog, v.sequence, v.source, v.follow
			w.dialog, w.sequence = v.dialog, v.sequence
		}
		st.Durable = func(err error) { s.durable(ctx, l, w, err) }
		l.open = append(l.open, w)
		settlements = append(settlements, st)
	}
	clear(l.queue[:n])
	l.queue = l.queue[n:]
	return settlements
}

// settle hands settlements to the journal. The lock must not be held: the
// journal calls back.
func (s *lanes) settle(settlements []Settlement) {
	for _, st := range settlements {
		s.journal.Settle(st)
	}
}

// durable is told that a settlement is on disk.
func (s *lanes) durable(ctx context.Context, l *lane, w *settling, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.err = err
	close(w.done)
	l.open = slices.DeleteFunc(l.open, func(o *settling) bool { return o == w })
	switch l.state {
	case unsettled:
		s.enqueue(ctx, l)
	case resting:
		if s.byKey[l.key] == l {
			s.rest(l)
		}
	}
}

// echo settles the entry that a consumer's own event, reported by LivePerson,
// proves to have arrived. It returns when that is on disk, and at once when no
// entry is in doubt. matches compares an entry with the reported event.
func (s *lanes) echo(ctx context.Context, key LaneKey, dialog string, sequence int64, matches func(*Entry) bool) (settledOne bool, err error) {
	s.mu.Lock()
	l := s.byKey[key]
	if l == nil && s.recovering {
		l = &lane{key: key, behind: true, recovered: true, state: queued}
		s.byKey[key] = l
		if !s.load(ctx, l) {
			s.enqueue(ctx, l)
			s.mu.Unlock()
			return false, ErrStorage
		}
		s.enqueue(ctx, l)
	}
	if l == nil {
		s.mu.Unlock()
		return false, nil
	}
	for _, w := range l.open {
		if w.dialog == dialog && w.sequence == sequence {
			s.mu.Unlock()
			return false, w.wait(ctx)
		}
	}
	n := l.doubtful(matches)
	if n == 0 {
		s.mu.Unlock()
		return false, nil
	}
	settlements := s.drop(ctx, l, n, verdict{outcome: Delivered, final: Done, dialog: dialog, sequence: sequence, source: l.queue[n-1].ID})
	w := l.open[len(l.open)-1]
	if l.state == waiting {
		s.schedule.stop(&l.wake)
		s.enqueue(ctx, l)
	}
	s.mu.Unlock()
	s.settle(settlements)
	return true, w.wait(ctx)
}

// doubtful returns how many entries from the head on an echo settles: those up
// to the first match, for a later entry is only ever sent after the earlier
// ones were answered.
func (l *lane) doubtful(matches func(*Entry) bool) int {
	for i, e := range l.queue[:min(len(l.queue), maxInDoubt)] {
		tried := e.Attempts > 0 || (i == 0 && l.delivering)
		if !tried {
			return 0
		}
		if matches(e) {
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

// recover starts the lanes that hold entries of an earlier process.
func (s *lanes) recover(ctx context.Context, key LaneKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[key] != nil {
		return
	}
	l := &lane{key: key, behind: true, recovered: true}
	s.byKey[key] = l
	s.enqueue(ctx, l)
}

// recoveryDone says that every lane with entries of an earlier process is known.
func (s *lanes) recoveryDone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recovering = false
}

// stop lets deliveries that are under way end and starts no more. It returns
// when all ended or ctx ends.
func (s *lanes) stop(ctx context.Context) error {
	release := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rested.Broadcast()
	})
	defer release()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	for s.running > 0 && ctx.Err() == nil {
		s.rested.Wait()
	}
	if s.running > 0 {
		return ctx.Err()
	}
	return nil
}

// busy reports whether a lane has entries to deliver or to settle.
func (s *lanes) busy(key LaneKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byKey[key] != nil
}

// backlog reports how many lanes are known and how many deliveries run.
func (s *lanes) backlog() (known, delivering int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.byKey), s.running
}
