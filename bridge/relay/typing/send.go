package typing

import (
	"context"
	"sync"
	"time"

	"lpbridge/bridge"
)

// readyThreads are the threads that have something to tell. They wait here for
// one of a bounded number of senders, ends of typing first; what exactly is
// told is decided when their turn comes, so that nothing old goes out.
type readyThreads struct {
	mu      sync.Mutex
	ends    threadQueue
	ons     threadQueue
	most    int
	senders int
	wanted  chan struct{}
}

func (r *readyThreads) init(most int) {
	r.most, r.wanted = most, make(chan struct{}, 1)
}

// push adds a thread that has a call to make.
func (r *readyThreads) push(t *thread, end bool) {
	queue, place := &r.ons, &t.queued[0]
	if end {
		queue, place = &r.ends, &t.queued[1]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if *place {
		return
	}
	*place = true
	queue.push(t)
	if r.senders < r.most {
		select {
		case r.wanted <- struct{}{}:
		default:
		}
	}
}

// hire returns how many senders to start.
func (r *readyThreads) hire() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(r.most-r.senders, r.ends.len()+r.ons.len())
	r.senders += n
	return n
}

// pop returns the next thread, or nil, with which the sender is gone.
func (r *readyThreads) pop(ctx context.Context) *thread {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() == nil {
		if t := r.ends.pop(); t != nil {
			t.queued[1] = false
			return t
		}
		if t := r.ons.pop(); t != nil {
			t.queued[0] = false
			return t
		}
	}
	r.senders--
	return nil
}

// threadQueue is a first-in first-out queue.
type threadQueue struct {
	threads []*thread
	head    int
}

func (q *threadQueue) len() int { return len(q.threads) - q.head }

func (q *threadQueue) push(t *thread) { q.threads = append(q.threads, t) }

func (q *threadQueue) pop() *thread {
	if q.len() == 0 {
		return nil
	}
	t := q.threads[q.head]
	q.threads[q.head] = nil
	q.head++
	if q.head == len(q.threads) {
		// A flood should not keep its memory once it is over.
		q.threads, q.head = nil, 0
	}
	return t
}

// Run makes the calls until ctx ends, and waits for those under way.
func (c *Clock) Run(ctx context.Context) {
	var senders sync.WaitGroup
	defer senders.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.ready.wanted:
		}
		for range c.ready.hire() {
			senders.Go(func() { c.serve(ctx) })
		}
	}
}

// serve is a sender: it works while there is work.
func (c *Clock) serve(ctx context.Context) {
	for t := c.ready.pop(ctx); t != nil; t = c.ready.pop(ctx) {
		if call, ok := c.begin(t); ok {
			c.finish(t, call, c.call(ctx, call))
		}
	}
}

func (c *Clock) call(ctx context.Context, call Call) Result {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	return c.cfg.Say(ctx, call)
}

// begin decides what a thread tells now, if still anything.
func (c *Clock) begin(t *thread) (Call, bool) {
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	if t.gone || t.busy {
		return Call{}, false
	}
	now := time.Now()
	c.age(t, now)
	step, _ := t.next(now, c.closing.Load())
	if step.state == "" {
		c.plan(t, now)
		return Call{}, false
	}
	t.busy, t.calling = true, step.lease
	step.lease.started(t.side, step.state, now)
	if step.state == bridge.Composing && !t.marked {
		t.marked = true
		c.cfg.Told(t.key, true)
	}
	return Call{Thread: t.key, Agent: step.lease.agent, State: step.state}, true
}

// finish takes the result of a call.
func (c *Clock) finish(t *thread, call Call, r Result) {
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	now := time.Now()
	if r.Pause > 0 {
		t.side.pause.extend(now.Add(r.Pause))
	}
	c.cfg.Counts.Sent(call.State, r.End)
	if r.End != Applied && !t.failing {
		c.cfg.Counts.Failing(call, r.End)
	}
	t.failing = r.End != Applied
	c.age(t, now)
	l := t.calling
	t.busy, t.calling = false, nil
	if l != nil {
		l.ended(t.side, call.State, r, now, c.closing.Load())
		if call.State != bridge.Composing && r.End != Applied {
			t.answer(errNotCleared)
		}
	}
	c.plan(t, now)
}
