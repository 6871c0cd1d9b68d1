package journal

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"lpbridge/bridge"
)

// maxSteps is the most steps one transaction serves. More would make the first
// caller wait longer without saving a noticeable part of a flush.
const maxSteps = 512

// How long a step that nobody waits for may wait for company. A settlement
// alone would cost a flush of its own; under load another caller's transaction
// comes along long before.
const (
	settlePatience = 2 * time.Millisecond
	markPatience   = 20 * time.Millisecond
	retryPatience  = 500 * time.Millisecond
)

// seqBlock is how many seqs are set aside at a time, so that none is ever given
// twice though delivered events are deleted.
const seqBlock = 100_000

// step is one call's part of a transaction.
type step interface {
	// apply runs the step's statements. An error is one of the database and
	// undoes the whole transaction; other answers the step keeps for itself.
	apply(t *transaction) error
	// finish is called once: with nil after the commit, or with what prevented it.
	finish(err error)
	// kept reports whether the step waits for a transaction that succeeds, as
	// nobody would repeat it, instead of failing with the first.
	kept() bool
}

// wait is the part of a step whose caller waits for it.
type wait struct{ done chan error }

func newWait() wait { return wait{make(chan error, 1)} }

func (w wait) finish(err error)     { w.done <- err }
func (wait) kept() bool             { return false }
func (w wait) result() <-chan error { return w.done }

// waited is a step with a waiting caller.
type waited interface {
	step
	result() <-chan error
}

// writer owns the writing connection: one goroutine that commits everything
// that waits in one transaction.
type writer struct {
	j *Journal

	mu      sync.Mutex
	queue   []step
	urgent  bool
	due     time.Time
	last    step
	wake    chan struct{}
	stopped chan struct{}

	failed  chan struct{}
	failErr error

	// Of the goroutine alone.
	committed func([]bridge.Entry)
	tx        transaction
	seq       int64
	seqLimit  int64
	saved     int64
	uncheck   int

	commits, checkpoints atomic.Int64
}

func startWriter(j *Journal, seq int64) *writer {
	w := &writer{
		j: j, wake: make(chan struct{}, 1), stopped: make(chan struct{}), failed: make(chan struct{}),
		seq: seq, seqLimit: seq,
	}
	w.tx = transaction{w: w, places: map[bridge.ThreadKey]place{}, marks: map[bridge.ThreadKey]bool{}}
	go w.run()
	return w
}

// do runs a step and waits until it is on disk. When ctx ends first the step
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

// push queues a step, which may wait for company as long as patience.
func (w *writer) push(s step, patience time.Duration) {
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

// stop commits what is queued and then the last step, and ends the goroutine.
func (w *writer) stop(last *closeStep) error {
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
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		steps, pause, last := w.take()
		if len(steps) == 0 {
			timer.Reset(pause)
			select {
			case <-w.wake:
			case <-timer.C:
			}
			continue
		}
		w.serve(steps)
		if w.failure() != nil || last {
			return
		}
	}
}

// take returns the steps of the next transaction, or how long to wait for one,
// and whether the steps are the last ever.
func (w *writer) take() (steps []step, pause time.Duration, last bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.urgent {
		if len(w.queue) == 0 {
			return nil, time.Hour, false
		}
		if wait := time.Until(w.due); wait > 0 && len(w.queue) < maxSteps {
			return nil, wait, false
		}
	}
	if len(w.queue) == 0 && w.last != nil {
		return []step{w.last}, 0, true
	}
	n := min(len(w.queue), maxSteps)
	steps = w.queue[:n:n]
	w.queue = w.queue[n:]
	if len(w.queue) == 0 {
		w.queue = nil
		w.urgent = w.last != nil
		w.due = time.Time{}
	}
	return steps, 0, false
}

// serve runs steps in one transaction and tells their callers.
func (w *writer) serve(steps []step) {
	start := time.Now()
	err := w.commit(steps, start)
	if w.j.opts.Observe != nil {
		w.j.opts.Observe(CommitInfo{Entries: len(w.tx.fresh), Steps: len(steps), Duration: time.Since(start), Err: err})
	}
	if err != nil {
		w.refuse(steps, err)
		return
	}
	w.commits.Add(1)
	w.j.pending.Add(w.tx.pending)
	w.j.dead.Add(w.tx.dead)
	if w.committed != nil && len(w.tx.fresh) > 0 {
		w.committed(w.tx.fresh)
	}
	for _, s := range steps {
		s.finish(nil)
	}
	w.checkpoint(len(steps))
}

// commit runs the steps and commits. After an error nothing of them is left.
func (w *writer) commit(steps []step, now time.Time) error {
	t := &w.tx
	t.reset(now)
	if _, err := t.exec(begin); err != nil {
		return err
	}
	err := t.applyAll(steps)
	if err == nil {
		_, err = t.exec(commit)
	}
	if err == nil {
		w.seq, w.seqLimit = t.seq, t.seqLimit
		return nil
	}
	// SQLite may have rolled back by itself, in which case this says that there
	// is nothing to roll back. A transaction left open makes the next begin fail,
	// which is not temporary.
	_, _ = t.exec(rollback)
	return err
}

// refuse tells the callers of a transaction that was undone. Steps that can be
// kept are tried again if another transaction may succeed.
func (w *writer) refuse(steps []step, cause error) {
	err := fmt.Errorf("%w: %w", bridge.ErrStorage, cause)
	if !temporary(cause) {
		w.fail(steps, cause)
		return
	}
	w.j.log.Error("journal: a transaction was undone", "err", cause)
	var keep []step
	for _, s := range steps {
		if s.kept() {
			keep = append(keep, s)
		} else {
			s.finish(err)
		}
	}
	w.requeue(keep, err)
}

// requeue puts steps back at the head of the queue, or ends them when the
// journal is closing and would try for ever.
func (w *writer) requeue(keep []step, err error) {
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
		for _, s := range keep {
			s.finish(err)
		}
	}
}

// fail ends the writer: all that wait are told, and so is everybody after.
func (w *writer) fail(steps []step, cause error) {
	w.mu.Lock()
	w.failErr = cause
	err := w.refusal()
	steps = append(steps[:len(steps):len(steps)], w.queue...)
	w.queue = nil
	w.mu.Unlock()
	w.j.log.Error("journal: failed, the process must be restarted", "err", cause)
	close(w.failed)
	for _, s := range steps {
		s.finish(err)
	}
}

// checkpointSteps is how many steps pass between two looks at the log's
// length; each writes a few pages.
const checkpointSteps = 256

// checkpoint looks after the write-ahead log now and then.
func (w *writer) checkpoint(steps int) {
	w.uncheck += steps
	if w.uncheck < checkpointSteps {
		return
	}
	w.uncheck = 0
	done, err := w.j.store.checkpoint(context.Background())
	switch {
	case err == nil:
		if done {
			w.checkpoints.Add(1)
		}
	case temporary(err):
		// The log stays longer, nothing else.
		w.j.log.Warn("journal: the log could not be copied into the database", "err", err)
	default:
		w.fail(nil, err)
	}
}
