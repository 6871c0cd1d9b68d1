// Package lane delivers journalled events: those of one lane in order and one
// at a time, those of different lanes side by side, at the pace the far side
// bears. What a delivery is and what its end means, the caller says; the package
// knows when one may start, keeps its outcome, and finds what an earlier process
// left. It assumes that the journal hands entries over in the order of their
// sequence and takes settlements without blocking.
package lane

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/schedule"
)

const (
	// laneWindow is the most entries of one lane kept in memory; the rest stays
	// in the journal until the lane gets there.
	laneWindow = 32
	// laneShare is how many deliveries a lane gets before another one that is
	// ready takes its worker.
	laneShare = 16
	// LoadRetry is the pause after the journal could not be read.
	LoadRetry = time.Second
)

// Verdict is what a delivery decided about the entries it was given.
type Verdict struct {
	Outcome bridge.Outcome
	Final   bridge.Disposition
	// Next is when an entry that stays pending is tried again.
	Next time.Time
	// Uncounted keeps the number of attempts: the delivery was cut off by
	// shutdown or never began.
	Uncounted bool
	// dialog, sequence and source are as in [Settlement].
	Dialog   string
	Sequence int64
	Source   bridge.EventID
	Follow   []bridge.Entry
}

// Set delivers the entries of many lanes: those of one lane strictly in
// order and one at a time, those of different lanes side by side up to a limit.
// A lane that waits holds no goroutine, and one that has nothing to do holds no
// memory.
type Set struct {
	Work

	mu    sync.Mutex
	byKey map[bridge.LaneKey]*lane
	// sentTo finds the lanes whose first entry may lie in a dialog without our
	// knowing, for an echo may come after the conversation went to another thread.
	sentTo map[string][]*lane
	// newest is the highest Seq that was ever added.
	newest     int64
	ready      []*lane
	running    int
	recovering bool
	stopping   bool
	rested     *sync.Cond
}

// Journal is what lanes need of the journal.
type Journal interface {
	// PendingOf lists a lane's pending entries with Seq above after, in order.
	PendingOf(ctx context.Context, lane bridge.LaneKey, after int64, limit int) ([]bridge.Entry, error)
	// Settle hands over the end of a delivery without waiting.
	Settle(s bridge.Settlement)
}

// Work is what lanes do and what they do it with.
type Work struct {
	// Spawn runs a worker on a goroutine of its own with the context deliveries
	// have. Who adds an entry or settles one has another, shorter one.
	Spawn    func(work func(context.Context))
	Journal  Journal
	Schedule *schedule.Schedule
	// Deliver makes one delivery of one entry, or of several that go together.
	Deliver func(ctx context.Context, batch []*bridge.Entry) Verdict
	// Together says whether b can ride in the same delivery as a.
	Together func(a, b *bridge.Entry) bool
	// Settled is told of every entry that leaves its lane.
	Settled func(e *bridge.Entry, v Verdict)
	// Loaded is told of every entry accepted by an earlier process when it comes
	// into memory.
	Loaded func(e *bridge.Entry)
	// Panicked judges a delivery that panicked.
	Panicked func(ctx context.Context, e *bridge.Entry, reason any) Verdict
	// InDoubt is told of an entry an earlier process may have delivered: one that
	// a crash or a stop cut off.
	InDoubt func(e *bridge.Entry)
	Limiter *Limiter

	// Boot is the last Seq given out before this process; clean says that
	// nothing was cut off then.
	Boot  int64
	Clean bool
}

// state says who moves a lane next.
type state uint8

const (
	// resting lanes move when an entry is added.
	resting state = iota
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
	key   bridge.LaneKey
	state state
	// queue holds the entries in memory; the first is the next to deliver.
	queue []*bridge.Entry
	// last is the highest Seq that was ever in queue.
	last int64
	// behind says that the journal holds entries after last that are not in
	// queue, and missed that more came while they were read.
	behind, missed bool
	// recovered says that nothing was loaded yet and entries of an earlier
	// process may be there.
	recovered bool
	// loading is closed when the reading under way has ended; nil when there is
	// none.
	loading chan struct{}
	// sentTo are the dialogs in which the first entry may lie without our
	// knowing.
	sentTo []string
	// earlier is how many entries at the head an earlier process may have sent.
	earlier int
	wake    schedule.Alarm
	// open are the settlements that are not on disk yet.
	open []*settling
}

// settling is a settlement on its way to disk.
type settling struct {
	bridge.Settlement
	// refused is how often the journal did not take it.
	refused int
	again   schedule.Alarm
	done    chan struct{}
	err     error
}

// New makes a set of lanes; nothing is delivered before [Set.Add] or
// [Set.Recover].
func New(w Work) *Set {
	l := &Set{Work: w, byKey: map[bridge.LaneKey]*lane{}, sentTo: map[string][]*lane{}, recovering: true}
	l.rested = sync.NewCond(&l.mu)
	return l
}

// Add takes a newly committed entry. It is called in the order of Seq and does
// not block.
func (s *Set) Add(e *bridge.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = e.Seq
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
		if e.Event != nil {
			// The journal has the encoded form; one of the two is enough in memory.
			e.Payload = nil
		}
		l.queue = append(l.queue, e)
		l.last = e.Seq
	}
	if l.state == resting {
		s.enqueue(l)
	}
}

// enqueue gives the lane a worker or a place in the line for one.
func (s *Set) enqueue(l *lane) {
	if s.stopping {
		l.state = resting
		return
	}
	l.state = queued
	s.ready = append(s.ready, l)
	if s.running < s.Limiter.limit() {
		s.running++
		first := s.firstReady()
		s.Spawn(func(ctx context.Context) { s.work(ctx, first) })
	}
}

// firstReady takes the lane that has waited longest for a worker.
func (s *Set) firstReady() *lane {
	l := s.ready[0]
	s.ready[0] = nil
	s.ready = s.ready[1:]
	return l
}

// work serves lanes until none is ready.
func (s *Set) work(ctx context.Context, l *lane) {
	for l != nil {
		s.serve(ctx, l)
		l = s.nextReady()
	}
}

func (s *Set) nextReady() *lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopping || len(s.ready) == 0 || s.running > s.Limiter.limit() {
		s.running--
		if s.running == 0 {
			s.rested.Broadcast()
		}
		return nil
	}
	return s.firstReady()
}

// serve delivers from one lane until it must wait, is empty or had its share.
func (s *Set) serve(ctx context.Context, l *lane) {
	for range laneShare {
		batch := s.take(ctx, l)
		if batch == nil {
			return
		}
		s.finish(l, batch, s.attempt(ctx, batch))
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

// attempt makes one delivery. A panic in it must not take the other lanes down:
// it ends the attempt, and the entry is tried again as after any failure.
func (s *Set) attempt(ctx context.Context, batch []*bridge.Entry) (v Verdict) {
	defer func() {
		if r := recover(); r != nil {
			v = s.Panicked(ctx, batch[0], r)
		}
	}()
	return s.Deliver(ctx, batch)
}

// take returns what to deliver next, or nil after putting the lane aside.
func (s *Set) take(ctx context.Context, l *lane) []*bridge.Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.state = running
	for len(l.queue) == 0 && l.behind && !s.stopping {
		if !s.load(ctx, l) {
			s.wait(l, time.Now().Add(LoadRetry))
			return nil
		}
	}
	switch now := time.Now(); {
	case s.stopping, len(l.queue) == 0:
		s.rest(l)
		return nil
	case len(l.open) > 0:
		// Only what stands first in a lane can be in doubt after a crash.
		l.state = unsettled
		return nil
	case s.Limiter.closedUntil().After(now):
		s.wait(l, s.Limiter.closedUntil().Add(rand.N(50*time.Millisecond)))
		return nil
	case l.queue[0].NextTry.After(now):
		s.wait(l, l.queue[0].NextTry)
		return nil
	}
	n := 1
	for n < len(l.queue) && s.Together != nil && s.Together(l.queue[0], l.queue[n]) {
		n++
	}
	return slices.Clone(l.queue[:n])
}

// load reads the next window of a lane from the journal, or waits for somebody
// who does. It gives up the lock meanwhile.
func (s *Set) load(ctx context.Context, l *lane) bool {
	if reading := l.loading; reading != nil {
		s.mu.Unlock()
		defer s.mu.Lock()
		select {
		case <-reading:
			return true
		case <-ctx.Done():
			return false
		}
	}
	l.missed = false
	l.loading = make(chan struct{})
	s.mu.Unlock()
	page, err := s.Journal.PendingOf(ctx, l.key, l.last, laneWindow)
	s.mu.Lock()
	close(l.loading)
	l.loading = nil
	if err != nil {
		return false
	}
	full := len(page) == laneWindow
	for i := range page {
		e := &page[i]
		if e.Seq > s.Boot && e.Seq > s.newest {
			// It is on disk and not handed over yet: it comes by itself.
			full = false
			break
		}
		if e.Seq <= s.Boot {
			s.takeEarlier(l, e)
		}
		l.queue = append(l.queue, e)
		l.last = e.Seq
	}
	l.recovered = false
	l.behind = l.missed || full
	return true
}

// rest puts a lane aside that has nothing to do, and forgets it when the
// journal has all of it.
func (s *Set) rest(l *lane) {
	l.state = resting
	if len(l.queue) == 0 && !l.behind && len(l.open) == 0 {
		delete(s.byKey, l.key)
	}
}

func (s *Set) wait(l *lane, until time.Time) {
	l.state = waiting
	s.Schedule.Set(&l.wake, until, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.state == waiting {
			s.enqueue(l)
		}
	})
}

// finish makes a verdict durable and moves the lane on.
func (s *Set) finish(l *lane, batch []*bridge.Entry, v Verdict) {
	s.mu.Lock()
	// An echo may have settled the entry while its answer was awaited.
	if len(l.queue) == 0 || l.queue[0] != batch[0] {
		s.mu.Unlock()
		return
	}
	if v.Final == bridge.Pending {
		settlements := s.keep(l, batch, v)
		s.mu.Unlock()
		s.settle(settlements)
		return
	}
	settlements := s.drop(l, len(batch), v)
	s.mu.Unlock()
	s.settle(settlements)
}

// keep leaves entries in the lane for another delivery.
func (s *Set) keep(l *lane, batch []*bridge.Entry, v Verdict) []bridge.Settlement {
	settlements := make([]bridge.Settlement, 0, len(batch))
	for _, e := range batch {
		if !v.Uncounted {
			e.Attempts++
		}
		e.Last, e.NextTry = v.Outcome, v.Next
		settlements = append(settlements, bridge.Settlement{
			Seq: e.Seq, Lane: l.key, Outcome: v.Outcome, Final: bridge.Pending, Attempts: e.Attempts, NextTry: v.Next,
		})
	}
	return settlements
}

// drop takes the first n entries off the lane, done or dead. The last of them
// gets the verdict's place and followers.
func (s *Set) drop(l *lane, n int, v Verdict) []bridge.Settlement {
	settlements := make([]bridge.Settlement, 0, n)
	for i, e := range l.queue[:n] {
		s.Settled(e, v)
		st := bridge.Settlement{Seq: e.Seq, Lane: l.key, Outcome: v.Outcome, Final: v.Final, Attempts: e.Attempts}
		if v.Final == bridge.Dead {
			st.Attempts++
		}
		if i == n-1 {
			st.Dialog, st.Sequence, st.Source, st.Follow = v.Dialog, v.Sequence, v.Source, v.Follow
		}
		w := &settling{done: make(chan struct{})}
		st.Durable = func(err error) { s.durable(l, w, err) }
		w.Settlement = st
		l.open = append(l.open, w)
		settlements = append(settlements, st)
	}
	clear(l.queue[:n])
	l.queue = l.queue[n:]
	l.earlier = max(l.earlier-n, 0)
	for _, dialog := range l.sentTo {
		s.unsend(l, dialog)
	}
	l.sentTo = nil
	return settlements
}

// settle hands settlements to the journal. The lock must not be held: the
// journal calls back.
func (s *Set) settle(settlements []bridge.Settlement) {
	for _, st := range settlements {
		s.Journal.Settle(st)
	}
}

// durable is told that a settlement is on disk, or that the journal refused it:
// then it is handed over again, for otherwise the entry would be delivered once
// more after a restart.
func (s *Set) durable(l *lane, w *settling, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && !s.stopping {
		w.refused++
		s.Schedule.Set(&w.again, time.Now().Add(RetryPause(w.refused)), func() { s.Journal.Settle(w.Settlement) })
		return
	}
	w.err = err
	close(w.done)
	l.open = slices.DeleteFunc(l.open, func(o *settling) bool { return o == w })
	switch l.state {
	case unsettled:
		s.enqueue(l)
	case resting:
		if s.byKey[l.key] == l {
			s.rest(l)
		}
	}
}

// Stop lets deliveries that are under way end and starts no more. It returns
// when all ended or ctx ends.
func (s *Set) Stop(ctx context.Context) error {
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
