package typing

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"lpbridge/bridge"
)

// readyThreads are the threads that have something to tell. They wait here for
// one of a bounded number of senders, ends of typing first; what exactly is
// told is decided when one is free, so that nothing old goes out.
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
	queue, queued := &r.ons, &t.queued[0]
	if end {
		queue, queued = &r.ends, &t.queued[1]
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if *queued {
		return
	}
	*queued = true
	queue.push(t)
	if r.senders < r.most {
		select {
		case r.wanted <- struct{}{}:
		default:
		}
	}
}

// hire adds senders, as many as there is work for, and returns how many to start.
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
		call, ready := c.begin(t)
		if call == nil || !ready && !c.prepare(ctx, t, call) {
			continue
		}
		r := c.call(ctx, call.Call)
		c.finish(t, call, r)
		if r.End == Applied {
			t.side.far.well(probeEvery)
		}
	}
}

func (c *Clock) call(ctx context.Context, call Call) Result {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	return c.cfg.Say(ctx, call)
}

// begin decides what a thread tells now, if still anything. A composing the far
// side does not know of is made ready first.
func (c *Clock) begin(t *thread) (next *call, ready bool) {
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	if t.gone || t.calling != nil {
		return nil, false
	}
	defer t.check()
	now := time.Now()
	t.age(now)
	l, state, _ := t.next(now)
	if l == nil {
		c.plan(t, now)
		return nil, false
	}
	t.calling = &call{
		Call:  Call{Thread: t.seat.thread, Conversation: t.conversation, Agent: l.agent, State: state, Trace: t.trace},
		lease: l, mark: l.mark,
	}
	if l.state == stateAsked {
		l.call = callMark
		return t.calling, false
	}
	l.started(state, now)
	return t.calling, true
}

// finish takes the result of a call.
func (c *Clock) finish(t *thread, call *call, r Result) {
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	now := time.Now()
	if r.Pause > 0 {
		t.side.far.pause.extend(now.Add(r.Pause))
	}
	c.cfg.Counts.Sent(call.State, r.End)
	if r.End != Applied && !t.failing {
		c.cfg.Counts.Failing(call.Call, r.End)
	}
	t.failing = r.End != Applied
	t.age(now)
	t.calling = nil
	l := call.lease
	if owed := cmp.Or(call.left, l); owed != nil && r.End == Applied {
		if took, ok := owed.took(call.State, now); ok {
			c.cfg.Counts.Took(call.Thread.Channel, call.State, took)
		}
	}
	switch {
	case call.left != nil:
		c.finishLeft(call, r, now)
	case l == nil:
	case r.End == Over:
		t.forget(now)
	default:
		l.ended(call.State, r, now)
		if call.State != bridge.Composing && r.End != Applied {
			t.answer(errNotCleared)
		}
	}
	c.plan(t, now)
}

// finishLeft takes the result of a call for what was left behind during it. Its
// shard is that of the thread.
func (c *Clock) finishLeft(call *call, r Result, now time.Time) {
	l, t := call.left, call.left.thread
	t.calling = nil
	switch {
	case !slices.Contains(t.leases, l):
	case r.End == Over:
		t.forget(now)
	default:
		l.ended(call.State, r, now)
	}
	c.plan(t, now)
}
