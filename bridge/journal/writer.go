package journal

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"lpbridge/bridge"
)

// maxWrites is the most writes one transaction serves. More would make the first
// caller wait longer without saving a noticeable part of a flush.
const maxWrites = 512

// How long a write that nobody waits for may wait for company. A settlement
// alone would cost a flush of its own; under load another caller's transaction
// comes along long before.
const (
	settlePatience = 2 * time.Millisecond
	markPatience   = 20 * time.Millisecond
	retryPatience  = 500 * time.Millisecond
)

// allotment is how many numbers are set aside at a time.
const allotment = 100_000

// write is one call's part of a transaction.
type write interface {
	// apply runs the write's statements. An error is one of the database and
	// undoes the whole transaction; other answers the write keeps for itself.
	apply(t *transaction) error
	// finish is called once: with nil after the commit, or with what prevented it.
	finish(err error)
	// kept reports whether the write waits for a transaction that succeeds, as
	// nobody would repeat it, instead of failing with the first.
	kept() bool
}

// wait is the part of a write whose caller waits for it.
type wait struct{ done chan error }

func newWait() wait { return wait{make(chan error, 1)} }

// finish answers the caller, unless it has an answer.
func (w wait) finish(err error) {
	select {
	case w.done <- err:
	default:
	}
}

func (wait) kept() bool             { return false }
func (w wait) result() <-chan error { return w.done }

// waited is a write with a waiting caller.
type waited interface {
	write
	result() <-chan error
}

// writer owns the writing connection: one goroutine that commits everything
// that waits in one transaction.
type writer struct {
	j *Journal

	mu    sync.Mutex
	queue []write
	// urgent says that somebody waits; without, the queue is served at due.
	urgent bool
	due    time.Time
	// last is served after the queue; nothing is queued once it is set.
	last    write
	failErr error

	wake            chan struct{}
	stopped, failed chan struct{}

	// The rest is the goroutine's alone.
	committed func([]bridge.Entry)
	tx        transaction
	state
	scarcity
	// gaveUp says that something nobody would repeat was not written.
	gaveUp               bool
	commits, checkpoints atomic.Int64
}

// state is what transactions change besides the database.
type state struct {
	seq, revision allotted
	unclaimed     volume
	keys          keys
	// left is how many events are pending, by whose they are.
	left map[party]int64
	// alive is when it was last noted that the process lives.
	alive time.Time
	// shift is that which was noted with it.
	shift shift
}

func newWriter(j *Journal) *writer {
	w := &writer{j: j, wake: make(chan struct{}, 1), stopped: make(chan struct{}), failed: make(chan struct{})}
	w.tx = transaction{w: w, pendingOf: map[party]int64{}}
	return w
}

// start begins work where the process before left off.
func (w *writer) start(from state) {
	w.state = from
	go w.run()
}

// do runs a write and waits until it is on disk. When ctx ends first the write
// may be committed all the same.
func (w *writer) do(ctx context.Context, s waited) error {
	w.push(s, 0)
	select {
	case err := <-s.result():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// push queues a write, which may wait for company as long as patience.
func (w *writer) push(s write, patience time.Duration) {
	w.mu.Lock()
	if w.last != nil || w.failErr != nil {
		err := w.refusal()
		w.mu.Unlock()
		s.finish(err)
		return
	}
	w.queue = append(w.queue, s)
	wake := w.hasten(patience)
	w.mu.Unlock()
	if wake {
		w.nudge()
	}
}

// hasten moves the next transaction to at most patience from now and reports
// whether the writer must be told.
func (w *writer) hasten(patience time.Duration) bool {
	if w.urgent {
		return false
	}
	if patience == 0 {
		w.urgent = true
		return true
	}
	at := time.Now().Add(patience)
	if !w.due.IsZero() && !at.Before(w.due) {
		return false
	}
	w.due = at
	return true
}

func (w *writer) nudge() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// refusal says why nothing is taken any more. The caller holds the lock.
func (w *writer) refusal() error {
	if w.failErr != nil {
		return fmt.Errorf("%w: the journal failed: %w", bridge.ErrStorage, w.failErr)
	}
	return fmt.Errorf("%w: the journal is closed", bridge.ErrStorage)
}

// failure returns why the writer failed, or nil.
func (w *writer) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failErr
}

// usable returns an error once nothing can be asked of the journal any more.
func (w *writer) usable() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.last != nil || w.failErr != nil {
		return w.refusal()
	}
	return nil
}

// stop commits what is queued and then the last write, and ends the goroutine.
func (w *writer) stop(last *closeWrite) error {
	w.mu.Lock()
	if w.failErr == nil {
		w.last = last
		w.urgent = true
	}
	w.mu.Unlock()
	w.nudge()
	<-w.stopped
	if err := w.failure(); err != nil {
		return fmt.Errorf("%w: the journal failed: %w", bridge.ErrStorage, err)
	}
	return <-last.result()
}

func (w *writer) run() {
	defer close(w.stopped)
	w.reserve()
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		writes, pause, last := w.take()
		if len(writes) == 0 {
			timer.Reset(pause)
			select {
			case <-w.wake:
			case <-timer.C:
			}
			continue
		}
		if writes = w.admit(writes); len(writes) > 0 {
			w.serve(writes)
		}
		if w.failure() != nil || last {
			return
		}
	}
}

// take returns the writes of the next transaction, or how long to wait for one,
// and whether the writes are the last ever.
func (w *writer) take() (writes []write, pause time.Duration, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.urgent {
		if len(w.queue) == 0 {
			return nil, time.Hour, false
		}
		if wait := time.Until(w.due); wait > 0 && len(w.queue) < maxWrites {
			return nil, wait, false
		}
	}
	if len(w.queue) == 0 && w.last != nil {
		return []write{w.last}, 0, true
	}
	n := min(len(w.queue), maxWrites)
	writes = w.queue[:n:n]
	w.queue = w.queue[n:]
	if len(w.queue) == 0 {
		w.queue = nil
		w.urgent = w.last != nil
		w.due = time.Time{}
	}
	return writes, 0, false
}

// serve runs writes in one transaction and tells their callers.
func (w *writer) serve(writes []write) {
	start := time.Now()
	err := w.commit(writes)
	if err == nil {
		w.commits.Add(1)
		w.j.pending.Add(w.tx.pending)
		w.j.shares.moved(w.tx.pendingOf)
		for p, n := range w.tx.pendingOf {
			w.left[p] += n
		}
		w.j.dead.Add(w.tx.dead)
	}
	if w.j.opts.Observe != nil {
		w.j.opts.Observe(CommitInfo{Entries: len(w.tx.fresh), Duration: time.Since(start), Err: err})
	}
	if err != nil {
		w.refuse(writes, err)
		return
	}
	if w.committed != nil && len(w.tx.fresh) > 0 {
		w.committed(w.tx.fresh)
	}
	for _, s := range writes {
		s.finish(nil)
	}
	w.lookAfter(writes)
	w.closeRun(w.j.opts.runKeys)
	w.j.ledger.move(w.j.opts.ledgerBatch, math.MinInt64)
}

// commit runs the writes and commits. After an error nothing of them is left.
func (w *writer) commit(writes []write) error {
	t := &w.tx
	t.reset()
	if _, err := t.exec(begin); err != nil {
		return err
	}
	err := t.applyAll(writes)
	if err == nil {
		if _, err = t.exec(commit); errors.Is(err, errUnanswered) {
			err = w.awaitFate(writes, err)
		}
	}
	if err == nil {
		w.seq, w.revision, w.alive, w.shift = t.seq, t.revision, t.alive, t.shift
		w.settleAfloat()
		w.j.ledger.enter(t.entered)
		if n := len(t.fresh); n > 0 {
			w.j.db.note(t.fresh[n-1].Seq)
		}
		w.unclaimed.add(t.unclaimed)
		return nil
	}
	// SQLite may have rolled back by itself, in which case this says that there
	// is nothing to roll back. A transaction left open makes the next begin fail,
	// which is not temporary.
	_, _ = t.exec(rollback)
	w.keys.forget()
	return err
}

// settleAfloat notes which entries are afloat after a commit.
func (w *writer) settleAfloat() {
	for i := range w.tx.fresh {
		if e := &w.tx.fresh[i]; w.tx.floats(e) {
			w.j.afloat.add(e.Lane, e.Seq)
		}
	}
	// Last, for what came may have landed in the same transaction.
	w.j.afloat.remove(w.tx.landed)
}

// refuse deals with the writes of a transaction that was undone.
func (w *writer) refuse(writes []write, cause error) {
	err := fmt.Errorf("%w: %w", bridge.ErrStorage, cause)
	switch w.j.db.severityOf(cause) {
	case broken:
		w.fail(writes, cause)
	case later:
		w.complain(cause)
		w.requeue(finishWaited(writes, err), err)
	case full:
		w.complain(cause)
		if rest := w.makeRoom(writes, err); len(rest) == len(writes) {
			w.requeue(finishWaited(rest, err), err)
		} else if len(rest) > 0 && w.failure() == nil {
			w.serve(rest)
		}
	case faulty:
		if len(writes) == 1 {
			w.j.log.Error("journal: a call was refused by the database", "error", cause)
			writes[0].finish(err)
			return
		}
		w.serveEach(writes)
	}
}

// finishWaited ends the writes that somebody waits for and returns the others,
// to be tried again.
func finishWaited(writes []write, err error) (kept []write) {
	for _, s := range writes {
		if s.kept() {
			kept = append(kept, s)
		} else {
			s.finish(err)
		}
	}
	return kept
}

// serveEach serves writes one by one, so that one the database will not take
// does no harm to the others.
func (w *writer) serveEach(writes []write) {
	for i := range writes {
		w.serve(writes[i : i+1])
		if w.failure() != nil {
			err := w.usable()
			for _, s := range writes[i+1:] {
				s.finish(err)
			}
			return
		}
	}
}

// requeue puts writes back at the head of the queue, or ends them when the
// journal is closing and would try for ever.
func (w *writer) requeue(keep []write, err error) {
	if len(keep) == 0 {
		return
	}
	w.mu.Lock()
	closing := w.last != nil
	if !closing {
		if len(w.queue) == 0 {
			w.urgent = false
			w.due = time.Now().Add(retryPatience)
		}
		w.queue = append(keep, w.queue...)
	}
	w.mu.Unlock()
	if closing {
		w.gaveUp = true
		for _, s := range keep {
			s.finish(err)
		}
	}
}

// fail ends the writer: all that wait are told, and so is everybody after.
func (w *writer) fail(writes []write, cause error) {
	w.mu.Lock()
	w.failErr = cause
	err := w.refusal()
	writes = append(slices.Clip(writes), w.queue...)
	w.queue = nil
	w.mu.Unlock()
	w.j.log.Error("journal: failed, the process must be restarted", "error", cause)
	close(w.failed)
	for _, s := range writes {
		s.finish(err)
	}
}
