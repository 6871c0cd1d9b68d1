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
	mark := Mark{Thread: t.seat.thread, Conversation: conversation, Agent: call.Agent.ID}
	stands := call.mark != nil && *call.mark == mark
	if why == "" && !stands && c.cfg.Marks.SetMark(ctx, mark) != nil {
		why = dropUnmarked
	}
	debt, busy := c.takeOver(conversation)
	return c.prepared(t, call, mark, why, debt, busy)
}

// prepared decides whether a call that was made ready begins. debt is what was
// left behind in its conversation, and busy that the end of it is just being
// told: two calls about one indicator must not overtake each other.
func (c *Clock) prepared(t *thread, call *call, mark Mark, why Drop, debt *lease, busy bool) bool {
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	now := time.Now()
	if l := c.marked(t, call, mark, why, now); l != nil {
		t.age(now)
		if l.state == Asked && why != "" {
			l.drop(why)
		}
		if busy {
			l.due = now.Add(busyPause)
		}
		if word, at := l.next(c.closing.Load()); l.state == Asked && word == bridge.Composing && !at.After(now) {
			l.inherit(debt)
			call.Conversation = t.conversation
			l.started(bridge.Composing, now)
			return true
		}
		l.call = noCall
	}
	t.calling = nil
	c.owe(t, debt, now)
	c.plan(t, now)
	return false
}

// marked gives a lease the mark that was written for it; nil when the
// conversation was forgotten meanwhile.
func (c *Clock) marked(t *thread, call *call, mark Mark, why Drop, now time.Time) *lease {
	switch {
	case why != "":
		return call.lease
	case call.lease == nil:
		c.cfg.Marks.ClearMark(mark)
		return nil
	}
	c.arrive(t, mark.Conversation, now)
	l := call.lease
	if l.mark != nil && *l.mark != mark {
		l.unmark()
	}
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
			left.due = now.Add(CallTimeout)
			t.calling.lease = nil
		}
	}
	for i, l := range t.leases {
		if l.lighting() {
			t.leases[i] = l.anew()
		}
	}
}

// remain makes the lease that stays behind for another.
func (c *Clock) remain(s *shard, at seat, l *lease) *lease {
	behind := s.threads[at]
	if behind == nil {
		behind = c.track(s, at, l.thread.side)
	}
	left := behind.leaseOf(l.agent)
	left.state, left.shows, left.end = Ending, showsUnknown, bridge.Stopped
	left.lastCall, left.lastLit = l.lastCall, l.lastLit
	if l.mark != nil {
		left.mark = l.mark
	}
	c.wakeAt(behind, time.Now())
	return left
}

// anew is the lease without what the far side shows.
func (l *lease) anew() *lease {
	fresh := &lease{thread: l.thread, agent: l.agent, typists: l.typists, end: l.end, phantom: l.phantom}
	if fresh.wanted() {
		fresh.state = Asked
	}
	if l.call == callMark {
		fresh.call = callMark
		l.thread.calling.lease = fresh
	}
	return fresh
}

// takeOver takes what was left behind in the conversation in which a thread is
// about to say composing: there is one indicator, and it gets a new end to wait
// for. busy reports that its end is just being told.
func (c *Clock) takeOver(conversation string) (debt *lease, busy bool) {
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
	debt, behind.leases = behind.leases[0], nil
	behind.answer(nil)
	c.plan(behind, time.Now())
	return debt, false
}

// inherit makes what was left behind the lease's own.
func (l *lease) inherit(debt *lease) {
	if debt == nil {
		return
	}
	if debt.mark != nil && *debt.mark != *l.mark {
		l.thread.clock.cfg.Marks.ClearMark(*debt.mark)
	}
	if !l.lit() {
		l.shows, l.lastLit = showsUnknown, debt.lastLit
	}
}

// owe puts back what was taken over for a call that is not made. It stays in the
// shard of the thread that took it.
func (c *Clock) owe(t *thread, debt *lease, now time.Time) {
	if debt != nil {
		c.remain(t.shard, seat{t.seat.thread, debt.thread.seat.conversation}, debt).due = now
	}
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
		side := c.side(m.Thread.Channel)
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
	l := t.leaseOf(bridge.Agent{ID: m.Agent})
	l.mark = &m
	now := time.Now()
	if !l.lighting() {
		l.shows, l.end, l.lastLit = showsUnknown, side.expired, now
		l.state, l.due = Ending, at
	}
	c.plan(t, now)
}
