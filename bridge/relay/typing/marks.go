package typing

import (
	"context"
	"time"

	"lpbridge/bridge"
)

// Mark says durably that a far side was told, or is about to be told, that
// somebody composes.
type Mark struct {
	Thread bridge.ThreadKey
	// Conversation is where it was told; empty where the target is the thread.
	Conversation string
	// Agent is who was shown; empty where the target shows no persons.
	Agent string
}

// Marks keep marks.
type Marks interface {
	// SetMark returns once the mark is on disk.
	SetMark(ctx context.Context, m Mark) error
	// ClearMark removes a mark, in the order of the calls. It does not wait.
	ClearMark(m Mark)
}

// noMarks are for a clock that remembers nothing.
type noMarks struct{}

func (noMarks) SetMark(context.Context, Mark) error { return nil }
func (noMarks) ClearMark(Mark)                      {}

// busyPause is how long a composing waits for the end of another call about the
// same indicator before it looks again.
const busyPause = 100 * time.Millisecond

// unmark takes the lease's mark back.
func (l *lease) unmark() {
	if l.mark != nil {
		l.thread.clock.cfg.Marks.ClearMark(*l.mark)
		l.mark = nil
	}
}

// prepare makes a composing ready to be sent: it finds out where it is shown and
// has the mark on disk. Meanwhile the far side was told nothing, so typing may
// end or be overtaken; prepare reports whether the call is still to be made.
func (c *Clock) prepare(ctx context.Context, t *thread, call *call) bool {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	conversation, why := "", Drop("")
	if c.cfg.Where != nil {
		if conversation = c.cfg.Where(ctx, t.seat.thread); conversation == "" {
			why = dropNowhere
		}
	}
	ready := readiness{mark: Mark{Thread: t.seat.thread, Conversation: conversation, Agent: call.Agent.ID}, drop: why}
	if why == "" {
		ready.debt, ready.busy = c.reserve(conversation)
		c.setMark(ctx, call, &ready)
	}
	begins := c.beginPrepared(t, call, &ready)
	c.release(&ready, begins)
	return begins
}

// readiness is what became of making a call ready.
type readiness struct {
	mark Mark
	// marked says that the mark stands.
	marked bool
	// drop is why the call cannot be made; empty when it can.
	drop Drop
	// debt is what was left behind in the conversation: there is one indicator, and
	// what says composing there gets a new end to wait for. nil when nothing was
	// left. It makes no call until it is released.
	debt *lease
	// busy says that the end of that is just being told: two calls about one
	// indicator must not overtake each other.
	busy bool
}

// owns reports whether the debt has the mark of the call.
func (r *readiness) owns() bool {
	return r.debt != nil && r.debt.mark != nil && *r.debt.mark == r.mark
}

// setMark has the mark of a call on disk.
func (c *Clock) setMark(ctx context.Context, call *call, ready *readiness) {
	switch {
	case ready.busy:
		return
	case call.mark != nil && *call.mark == ready.mark, ready.owns():
	case c.cfg.Marks.SetMark(ctx, ready.mark) != nil:
		ready.drop = dropUnmarked
		return
	}
	ready.marked = true
}

// beginPrepared decides whether a call that was made ready begins.
func (c *Clock) beginPrepared(t *thread, call *call, ready *readiness) bool {
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	defer t.check()
	now := time.Now()
	l := c.attachMark(t, call, ready, now)
	if l != nil && l.begin(ready, now) {
		if ready.debt != nil && ready.debt.lit() && !l.lit() {
			l.shows, l.lastLit = showsUnknown, ready.debt.lastLit
		}
		call.Conversation = t.conversation
		l.started(bridge.Composing, now)
		return true
	}
	t.calling = nil
	if l != nil {
		l.call = noCall
		if ready.owns() {
			l.mark = nil
		}
	}
	c.plan(t, now)
	return false
}

// begin reports whether a composing that was made ready is told now.
func (l *lease) begin(ready *readiness, now time.Time) bool {
	l.thread.age(now)
	switch {
	case l.state != stateAsked:
		return false
	case ready.drop != "":
		l.drop(ready.drop)
		return false
	case ready.busy:
		l.due = now.Add(busyPause)
		return false
	}
	if debt := ready.debt; debt != nil {
		// The interval is the indicator's, not the thread's.
		l.lastCall, l.lastOn = later(l.lastCall, debt.lastCall), later(l.lastOn, debt.lastOn)
	}
	word, at := l.next(l.thread.clock.closing.Load())
	return word == bridge.Composing && !at.After(now)
}

// attachMark gives a lease the mark that was written for it; nil when the
// conversation was forgotten meanwhile.
func (c *Clock) attachMark(t *thread, call *call, ready *readiness, now time.Time) *lease {
	switch {
	case !ready.marked:
		return call.lease
	case call.lease == nil:
		if !ready.owns() {
			c.cfg.Marks.ClearMark(ready.mark)
		}
		return nil
	}
	c.arrive(t, ready.mark.Conversation, now)
	l := call.lease
	if l.mark != nil && *l.mark != ready.mark {
		l.unmark()
	}
	mark := ready.mark
	l.mark = &mark
	return l
}

// arrive says in which conversation a thread's typing is shown from now on. What
// is shown in another is left behind there.
func (c *Clock) arrive(t *thread, conversation string, now time.Time) {
	if t.conversation == conversation {
		return
	}
	c.leave(t, now)
	t.conversation = conversation
}

// voidMark lets a mark that is being written be of no use: it is for a
// conversation that the thread has left.
func (t *thread) voidMark() {
	if call := t.calling; call != nil && call.lease != nil && call.lease.call == callMark {
		call.lease.call, call.lease = noCall, nil
	}
}

// leave makes what a thread shows in its conversation an affair of its own,
// which ends as soon as it can be told.
func (c *Clock) leave(t *thread, now time.Time) {
	if t.conversation == "" {
		return
	}
	for _, l := range t.leases {
		if !l.lighting() {
			continue
		}
		left := c.remain(t.shard, seat{t.seat.thread, t.conversation}, l)
		left.due = now
		if l.call == callOn || l.call == callOff {
			// Two calls about one indicator must not overtake each other.
			t.calling.lease, t.calling.left = nil, left
			left.thread.calling = t.calling
		}
	}
	for i, l := range t.leases {
		if l.lighting() {
			t.leases[i] = l.renew()
		}
	}
}

// remain makes the lease that stays behind for another.
func (c *Clock) remain(s *shard, at seat, l *lease) *lease {
	behind := s.threads[at]
	if behind == nil {
		behind = c.track(s, at, l.thread.side)
	}
	left := behind.ensureLease(l.agent)
	left.state, left.shows, left.end = stateEnding, showsUnknown, bridge.Stopped
	left.lastCall, left.lastOn, left.lastLit = l.lastCall, l.lastOn, l.lastLit
	if l.mark != nil {
		left.mark = l.mark
	}
	c.wakeAt(behind, time.Now())
	return left
}

// renew makes the lease anew, without what the far side shows.
func (l *lease) renew() *lease {
	fresh := &lease{thread: l.thread, agent: l.agent, typists: l.typists, end: l.end, phantom: l.phantom}
	if fresh.wanted() {
		fresh.state = stateAsked
	}
	if l.call == callMark {
		fresh.call = callMark
		l.thread.calling.lease = fresh
	}
	return fresh
}

// reserve keeps what was left behind in a conversation from making calls. busy
// reports that it makes one.
func (c *Clock) reserve(conversation string) (debt *lease, busy bool) {
	behind := c.leftBehind(conversation)
	if behind == nil {
		return nil, false
	}
	behind.shard.mu.Lock()
	defer behind.shard.mu.Unlock()
	switch {
	case behind.gone || len(behind.leases) == 0:
		return nil, false
	case behind.calling != nil:
		return nil, true
	}
	behind.calling = new(call)
	return behind.leases[0], false
}

// release ends that. When somebody else took the debt over, it is gone, and so
// is its mark, unless that is the new one.
func (c *Clock) release(ready *readiness, taken bool) {
	if ready.debt == nil {
		return
	}
	behind := ready.debt.thread
	behind.shard.mu.Lock()
	defer behind.shard.mu.Unlock()
	now := time.Now()
	behind.calling = nil
	if taken {
		if ready.owns() {
			ready.debt.mark = nil
		}
		behind.forget(now)
	}
	c.plan(behind, now)
}

// leftBehind is what was left behind in a conversation.
func (c *Clock) leftBehind(conversation string) *thread {
	if conversation == "" {
		return nil
	}
	c.behindMu.Lock()
	defer c.behindMu.Unlock()
	return c.behind[conversation]
}

// Recover takes what an earlier process marked and did not take back. Each is
// told once that nobody types, one after the other.
func (c *Clock) Recover(marks []Mark) {
	start := time.Now()
	for i, m := range marks {
		side := c.ensureSide(m.Thread.Channel)
		if !side.target.Shown {
			c.cfg.Marks.ClearMark(m)
			continue
		}
		c.recoverMark(m, side, start.Add(time.Duration(i)*recoverPace))
	}
}

func (c *Clock) recoverMark(m Mark, side *side, at time.Time) {
	where := seat{m.Thread, m.Conversation}
	s := c.shard(m.Thread)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.threads[where]
	if t == nil {
		t = c.track(s, where, side)
	}
	l := t.ensureLease(bridge.Agent{ID: m.Agent})
	l.mark = &m
	now := time.Now()
	if !l.lighting() {
		l.shows, l.end, l.lastLit = showsUnknown, side.expired, now
		l.state, l.due = stateEnding, at
	}
	c.plan(t, now)
}
