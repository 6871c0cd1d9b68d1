package lane

import (
	"context"
	"log/slog"
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
	// loadRetry is the pause after the journal could not be read.
	loadRetry = time.Second
)

// Set delivers the entries of many lanes: those of one lane strictly in
// order and one at a time, those of different lanes side by side up to a limit.
// A lane that waits holds no goroutine, and one that has nothing to do holds no
// memory.
type Set struct {
	Work

	mu    sync.Mutex
	byKey map[bridge.LaneKey]*lane
	// newest is the highest Seq that was ever added.
	newest int64
	ready  readyLanes
	// expecting are the lanes that go on when the far side gets well.
	expecting expectant
	far       farSide
	running   int
	stopping  bool
	rested    *sync.Cond
	sweeper   sweeper

	others others
}

// Journal is what lanes need of the journal.
type Journal interface {
	// Lanes lists lanes that hold pending entries, in a stable order.
	Lanes(ctx context.Context, after bridge.LaneKey, limit int) ([]bridge.LaneKey, error)
	// PendingOf lists a lane's pending entries with Seq above after, in order.
	PendingOf(ctx context.Context, lane bridge.LaneKey, after int64, limit int) ([]bridge.Entry, error)
	// Settle hands over the end of a delivery without waiting.
	Settle(s bridge.Settlement)
	// Begin marks an entry as begun and calls durable once that is on disk.
	Begin(seq int64, durable func(error))
}

// Work is what lanes do and what they do it with.
type Work struct {
	// Name is the far side's, for logs.
	Name string
	Log  *slog.Logger
	// Spawn runs a worker on a goroutine that does nothing else meanwhile, with the
	// context deliveries have. It does not block. Who adds an entry or settles one has another, shorter one.
	Spawn    func(work func(context.Context))
	Journal  Journal
	Schedule *schedule.Schedule
	// Deliver makes one delivery of one entry, or of several that go together.
	Deliver func(ctx context.Context, batch []*bridge.Entry) Verdict
	// Sound asks the far side how it is with a call that does no harm and goes the way
	// of an entry, which is not risked while it is down. [SaysNothing] says that there
	// is no such call. May be nil.
	Sound func(ctx context.Context, e *bridge.Entry) Sounding
	// GiveUp makes a dead letter of an entry whose deliveries always fail.
	GiveUp func(e *bridge.Entry, v Verdict) Verdict
	// Together says whether b can ride in the same delivery as a.
	Together func(a, b *bridge.Entry) bool
	// Waited is told how the wait for an entry's echo ended, and how long it was. May
	// be nil.
	Waited func(e *bridge.Entry, end WaitEnd, took time.Duration)
	// Settled is told of every entry that leaves its lane.
	Settled func(e *bridge.Entry, v Verdict)
	// Loaded is told of every entry that comes into memory from the journal, and
	// Unloaded of every one that leaves it undelivered or is not kept when added.
	Loaded   func(e *bridge.Entry)
	Unloaded func(e *bridge.Entry)
	// Mine says whether a lane belongs to the set.
	Mine func(bridge.LaneKey) bool
	// Panicked judges a delivery that panicked.
	Panicked func(ctx context.Context, e *bridge.Entry, reason any) Verdict
	// Echoes says how a doubt ends.
	Echoes Echoes
	// HealthChanged is told when the far side gets well or stops to be. It must
	// not block. May be nil.
	HealthChanged func(Health)
	Limiter       *Limiter
	// Order brings events in the order of their numbers. Nil leaves them as they
	// came.
	Order *Order
	// Budget may be shared by several sets. There is one when it is nil.
	Budget *Budget

	// Boot is the last Seq given out before this process.
	Boot int64
}

// New makes a set of lanes; nothing is delivered before [Set.Add] or
// [Set.Run].
func New(w Work) *Set {
	if w.Budget == nil {
		w.Budget = NewBudget(defaultBudget)
	}
	l := &Set{
		Work: w, byKey: map[bridge.LaneKey]*lane{},
	}
	l.rested = sync.NewCond(&l.mu)
	l.sweeper = newSweeper(l)
	l.far = newFarSide(l)
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
		if len(s.byKey) >= maxLanes {
			s.sweeper.stray(e.Lane.Channel, e.Accepted)
			s.Unloaded(e)
			return
		}
		l = s.newLane(e.Lane)
	}
	switch {
	case e.Seq <= l.last:
		return
	case l.behind:
		l.missed = true
		s.Unloaded(e)
	case len(l.queue) >= laneWindow, s.Budget.spent(), s.far.health != Well && s.Budget.tight():
		l.behind, l.missed = true, true
		l.waitsSince(e)
		s.Unloaded(e)
	default:
		s.hold(l, e)
	}
	if l.state == resting || l.state == waiting && l.waitedFor != 0 && len(l.queue) > 0 && l.queue[0] == e {
		s.Schedule.Stop(&l.wake)
		s.enqueue(l)
		s.startWorkers()
	}
}

// enqueue puts a lane in the line for a worker, or aside when it would only wait
// for the far side.
func (s *Set) enqueue(l *lane) {
	switch {
	case s.stopping:
		l.state = resting
	case s.far.health != Well:
		s.park(l)
	default:
		l.state = queued
		s.ready = append(s.ready, l)
	}
}

// startWorkers gives lanes that are ready as many workers as the limiter allows.
// It is called whenever lanes got ready or the limiter may have widened.
func (s *Set) startWorkers() {
	if len(s.ready) == 0 || s.stopping {
		return
	}
	for limit := s.Limiter.limit(); len(s.ready) > 0 && s.running < limit; {
		s.running++
		l := s.ready.pop()
		s.Spawn(func(ctx context.Context) { s.work(ctx, l) })
	}
}

// readyLanes wait for a worker.
type readyLanes []*lane

// pop takes the lane that has waited longest.
func (r *readyLanes) pop() *lane {
	l := (*r)[0]
	(*r)[0] = nil
	*r = (*r)[1:]
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
	return s.ready.pop()
}

// serve delivers from one lane until it must wait, is empty or had its share.
func (s *Set) serve(ctx context.Context, l *lane) {
	for range laneShare {
		batch := s.take(ctx, l)
		if batch == nil {
			return
		}
		began := time.Now()
		s.finish(l, batch, s.attempt(ctx, batch), began)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueue(l)
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
	// What came since the last delivery ended must not wait for the next.
	l.now, l.news = l.now || l.news, false
	for len(l.queue) == 0 && l.behind && !s.stopping {
		if !s.load(ctx, l) {
			s.putAside(l, func() { s.wait(l, time.Now().Add(loadRetry), false) })
			return nil
		}
	}
	if aside := s.obstacle(l); aside != nil {
		s.putAside(l, aside)
		return nil
	}
	batch := s.next(l)
	if !l.trySounding(ctx, s, batch[0]) {
		return nil
	}
	if err := s.begin(ctx, batch[0]); err != nil {
		s.putAside(l, func() { s.wait(l, time.Now().Add(loadRetry), false) })
		return nil
	}
	if s.stopping || !slices.Contains(l.queue, batch[0]) {
		// An echo came meanwhile, or the end.
		s.putAside(l, func() { s.enqueue(l) })
		return nil
	}
	s.Order.gapEnded(l)
	if s.Echoes.Come != nil && s.Echoes.Come() {
		l.waitEnded(s, batch[0], SentAgain)
	} else {
		l.waitEnded(s, batch[0], NotAwaited)
	}
	batch[0].Begun = true
	l.now, l.delivering, l.answered = false, batch[0], make(chan struct{})
	return batch
}

// next are the entries to deliver together.
func (s *Set) next(l *lane) []*bridge.Entry {
	if l.trouble.second {
		return slices.Clone(l.queue[1:2])
	}
	n := 1
	for n < len(l.queue) && s.Together != nil && s.Together(l.queue[0], l.queue[n]) {
		n++
	}
	return slices.Clone(l.queue[:n])
}

// obstacle says what to do with a lane that cannot deliver now; nil when it can.
func (s *Set) obstacle(l *lane) (aside func()) {
	if s.stopping || len(l.queue) == 0 {
		return func() { s.rest(l) }
	}
	if len(l.open) > 0 {
		// Only what stands first in a lane may be begun.
		return func() { l.state = unsettled }
	}
	if l.trouble.second {
		return nil
	}
	first := l.queue[0]
	if first.Doubt != nil {
		if until := s.Echoes.until(first.Doubt, l.heard); until.After(time.Now()) {
			return func() { s.wait(l, until, false) }
		}
	}
	if until := s.Order.gap(l); !until.IsZero() {
		return func() { s.wait(l, until, false) }
	}
	hurried := l.mayHurry()
	if first.NextTry.After(time.Now()) && !(l.now && hurried) {
		return func() { s.wait(l, first.NextTry, hurried) }
	}
	if s.far.health != Well && !l.probe {
		return func() { s.park(l) }
	}
	return nil
}

// putAside moves a lane away from its worker. A probe that came to nothing is
// made up for by another lane.
func (s *Set) putAside(l *lane, aside func()) {
	over := s.endProbe(l)
	aside()
	over(SaysNothing)
}

// rest puts a lane aside that has nothing to do, and forgets it when the
// journal has all of it.
func (s *Set) rest(l *lane) {
	l.state = resting
	if len(l.queue) == 0 && !l.behind && len(l.open) == 0 {
		delete(s.byKey, l.key)
	}
}
