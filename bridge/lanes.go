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
	laneWindow = 32
	// laneShare is how many deliveries a lane gets before another one that is
	// ready takes its worker.
	laneShare = 16
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

	mu    sync.Mutex
	byKey map[LaneKey]*lane
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

// laneWork is what lanes do and what they do it with.
type laneWork struct {
	// spawn runs a worker on a goroutine of its own with the context deliveries
	// have. Who adds an entry or settles one has another, shorter one.
	spawn    func(work func(context.Context))
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
	// panicked judges a delivery that panicked.
	panicked func(ctx context.Context, e *Entry, reason any) verdict
	// inDoubt is told of an entry an earlier process may have delivered: one that
	// a crash or a stop cut off.
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
	// loading is closed when the reading under way has ended; nil when there is
	// none.
	loading chan struct{}
	// sentTo are the dialogs in which the first entry may lie without our
	// knowing.
	sentTo []string
	// earlier is how many entries at the head an earlier process may have sent.
	earlier int
	wake    alarm
	// open are the settlements that are not on disk yet.
	open []*settling
}

// settling is a settlement on its way to disk.
type settling struct {
	Settlement
	// refused is how often the journal did not take it.
	refused int
	again   alarm
	done    chan struct{}
	err     error
}

func newLanes(w laneWork) *lanes {
	l := &lanes{laneWork: w, byKey: map[LaneKey]*lane{}, sentTo: map[string][]*lane{}, recovering: true}
	l.rested = sync.NewCond(&l.mu)
	return l
}

// add takes a newly committed entry. It is called in the order of Seq and does
// not block.
func (s *lanes) add(e *Entry) {
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
func (s *lanes) enqueue(l *lane) {
	if s.stopping {
		l.state = resting
		return
	}
	l.state = queued
	s.ready = append(s.ready, l)
	if s.running < s.gate.limit() {
		s.running++
		first := s.firstReady()
		s.spawn(func(ctx context.Context) { s.work(ctx, first) })
	}
}

// firstReady takes the lane that has waited longest for a worker.
func (s *lanes) firstReady() *lane {
	l := s.ready[0]
	s.ready[0] = nil
	s.ready = s.ready[1:]
	return l
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
	return s.firstReady()
}

// serve delivers from one lane until it must wait, is empty or had its share.
func (s *lanes) serve(ctx context.Context, l *lane) {
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
func (s *lanes) attempt(ctx context.Context, batch []*Entry) (v verdict) {
	defer func() {
		if r := recover(); r != nil {
			v = s.panicked(ctx, batch[0], r)
		}
	}()
	return s.deliver(ctx, batch)
}

// take returns what to deliver next, or nil after putting the lane aside.
func (s *lanes) take(ctx context.Context, l *lane) []*Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.state = running
	for len(l.queue) == 0 && l.behind && !s.stopping {
		if !s.load(ctx, l) {
			s.wait(l, time.Now().Add(loadRetry))
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
	case s.gate.closedUntil().After(now):
		s.wait(l, s.gate.closedUntil().Add(rand.N(50*time.Millisecond)))
		return nil
	case l.queue[0].NextTry.After(now):
		s.wait(l, l.queue[0].NextTry)
		return nil
	}
	n := 1
	for n < len(l.queue) && s.together != nil && s.together(l.queue[0], l.queue[n]) {
		n++
	}
	return slices.Clone(l.queue[:n])
}

// load reads the next window of a lane from the journal, or waits for somebody
// who does. It gives up the lock meanwhile.
func (s *lanes) load(ctx context.Context, l *lane) bool {
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
	page, err := s.journal.PendingOf(ctx, l.key, l.last, laneWindow)
	s.mu.Lock()
	close(l.loading)
	l.loading = nil
	if err != nil {
		return false
	}
	full := len(page) == laneWindow
	for i := range page {
		e := &page[i]
		if e.Seq > s.boot && e.Seq > s.newest {
			// It is on disk and not handed over yet: it comes by itself.
			full = false
			break
		}
		if e.Seq <= s.boot {
			s.takeEarlier(l, e)
		}
		l.queue = append(l.queue, e)
		l.last = e.Seq
	}
	l.recovered = false
	l.behind = l.missed || full
	return true
}

// takeEarlier takes an entry accepted by an earlier process, which may have
// delivered it: when it was cut off, the first.
func (s *lanes) takeEarlier(l *lane, e *Entry) {
	s.loaded(e)
	at := len(l.queue)
	cutOff := l.recovered && !s.clean && at == 0
	if cutOff || e.Attempts > 0 && e.Last == Unknown {
		attempts := e.Attempts
		if s.inDoubt(e); e.Attempts > attempts {
			// The next process must know even if this one ends in order. Without
			// Durable the journal does not call back.
			s.journal.Settle(Settlement{
				Seq: e.Seq, Lane: l.key, Outcome: e.Last, Final: Pending, Attempts: e.Attempts, NextTry: e.NextTry,
			})
		}
	}
	if cutOff || e.Attempts > 0 {
		l.earlier = at + 1
	}
}

// rest puts a lane aside that has nothing to do, and forgets it when the
// journal has all of it.
func (s *lanes) rest(l *lane) {
	l.state = resting
	if len(l.queue) == 0 && !l.behind && len(l.open) == 0 {
		delete(s.byKey, l.key)
	}
}

func (s *lanes) wait(l *lane, until time.Time) {
	l.state = waiting
	s.schedule.set(&l.wake, until, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if l.state == waiting {
			s.enqueue(l)
		}
	})
}

// finish makes a verdict durable and moves the lane on.
func (s *lanes) finish(l *lane, batch []*Entry, v verdict) {
	s.mu.Lock()
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
	settlements := s.drop(l, len(batch), v)
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
func (s *lanes) drop(l *lane, n int, v verdict) []Settlement {
	settlements := make([]Settlement, 0, n)
	for i, e := range l.queue[:n] {
		s.settled(e, v)
		st := Settlement{Seq: e.Seq, Lane: l.key, Outcome: v.outcome, Final: v.final, Attempts: e.Attempts}
		if v.final == Dead {
			st.Attempts++
		}
		if i == n-1 {
			st.Dialog, st.Sequence, st.Source, st.Follow = v.dialog, v.sequence, v.source, v.follow
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
func (s *lanes) settle(settlements []Settlement) {
	for _, st := range settlements {
		s.journal.Settle(st)
	}
}

// durable is told that a settlement is on disk, or that the journal refused it:
// then it is handed over again, for otherwise the entry would be delivered once
// more after a restart.
func (s *lanes) durable(l *lane, w *settling, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil && !s.stopping {
		w.refused++
		s.schedule.set(&w.again, time.Now().Add(retryPause(w.refused)), func() { s.journal.Settle(w.Settlement) })
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

// sending notes that the first entry of a lane is about to be sent to a dialog.
// The returned function takes that back: it did not arrive.
func (s *lanes) sending(e *Entry, dialog string) (refused func()) {
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

func (s *lanes) unsend(l *lane, dialog string) {
	left := slices.DeleteFunc(s.sentTo[dialog], func(o *lane) bool { return o == l })
	if s.sentTo[dialog] = left; len(left) == 0 {
		delete(s.sentTo, dialog)
	}
}

// arrival is a consumer's own message as LivePerson reports it.
type arrival struct {
	dialog   string
	sequence int64
	// current says that the dialog is the one its thread writes to.
	current bool
	// matches compares it with an entry.
	matches func(*Entry) bool
}

// echo settles the entry that an arrival proves to have been delivered. It
// returns when that is on disk, and at once when no entry is in doubt.
func (s *lanes) echo(ctx context.Context, key LaneKey, a arrival) (settledOne bool, err error) {
	s.mu.Lock()
	l, err := s.laneForEcho(ctx, key)
	if err != nil {
		s.mu.Unlock()
		return false, err
	}
	candidates := slices.Concat([]*lane{l}, s.sentTo[a.dialog])
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
	settlements := s.drop(l, n, verdict{
		outcome: Delivered, final: Done, dialog: a.dialog, sequence: a.sequence, source: l.queue[n-1].ID,
	})
	w := l.open[len(l.open)-1]
	if l.state == waiting {
		s.schedule.stop(&l.wake)
		s.enqueue(l)
	}
	s.mu.Unlock()
	s.settle(settlements)
	return true, w.wait(ctx)
}

// mayHoldEarlier reports whether a lane may hold entries an earlier process
// sent.
func (s *lanes) mayHoldEarlier(key LaneKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.byKey[key]
	return s.recovering || l != nil && (l.recovered || l.earlier > 0)
}

// proven finds the lane an arrival belongs to, and how many of its entries it
// settles. When the same text of the same consumer is under way in another
// thread, only the answer to that tells whose echo this is: LivePerson must
// send it again.
func proven(candidates []*lane, a arrival) (l *lane, n int, err error) {
	for _, c := range candidates {
		m := c.doubtful(a)
		switch {
		case m == 0 || c == l:
		case l == nil:
			l, n = c, m
		case l.state == running || c.state == running:
			return nil, 0, ErrBusy
		}
	}
	return l, n, nil
}

// laneForEcho finds a lane, or nil. One that may hold entries of an earlier
// process is read first: the echo will not come again.
func (s *lanes) laneForEcho(ctx context.Context, key LaneKey) (*lane, error) {
	l := s.byKey[key]
	if l == nil && s.recovering {
		l = &lane{key: key, behind: true, recovered: true}
		s.byKey[key] = l
		s.enqueue(l)
	}
	for l != nil && l.recovered {
		if !s.load(ctx, l) {
			return nil, ErrStorage
		}
	}
	return l, nil
}

// settlingAt returns the settlement of the entry that got the arrival's place.
func (l *lane) settlingAt(a arrival) *settling {
	if l == nil {
		return nil
	}
	for _, w := range l.open {
		if w.Dialog == a.dialog && w.Sequence == a.sequence {
			return w
		}
	}
	return nil
}

// doubtful returns how many entries from the head on an arrival settles: those
// up to the first match, for a later entry is only ever sent after the earlier
// ones were answered.
func (l *lane) doubtful(a arrival) int {
	if l == nil {
		return 0
	}
	for i, e := range l.queue {
		earlier, sent := i < l.earlier, i == 0 && len(l.sentTo) > 0
		if !earlier && !sent {
			return 0
		}
		there := earlier && a.current || sent && slices.Contains(l.sentTo, a.dialog)
		if there && a.matches(e) {
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
func (s *lanes) recover(key LaneKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byKey[key] != nil {
		return
	}
	l := &lane{key: key, behind: true, recovered: true}
	s.byKey[key] = l
	s.enqueue(l)
}

// recoveryDone says that every lane with entries of an earlier process is known.
func (s *lanes) recoveryDone() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.recovering = false
}

// recoveredAll reports whether every entry of an earlier process that may have
// been delivered was looked at.
func (s *lanes) recoveredAll() bool {
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
