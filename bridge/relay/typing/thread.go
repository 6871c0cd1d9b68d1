package typing

import (
	"slices"
	"sync"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/schedule"
)

// seat names what is looked after: a thread, or the typing that was left behind
// in a conversation which is no longer the thread's, or not known to be.
type seat struct {
	thread bridge.ThreadKey
	// conversation is empty for the thread itself.
	conversation string
}

type shard struct {
	mu      sync.Mutex
	threads map[seat]*thread
	// Shards are locked by different cores; none should share a cache line.
	_ [48]byte
}

// thread is a seat that is looked after. It is guarded by its shard's mutex.
type thread struct {
	clock *Clock
	seat  seat
	side  *side
	shard *shard
	// conversation is where its typing is or was last shown; empty where the
	// target is the thread.
	conversation string
	// trace is that of what the source said last.
	trace string
	// leases has one for each person, or one in all when the target shows no
	// persons.
	leases []*lease
	// pending is how many messages are on their way.
	pending int
	// calling is the call under way; nil when there is none.
	calling *call
	// failing says that the last call was not applied.
	failing bool
	waiters []chan error
	alarm   schedule.Alarm
	// alarmAt is when alarm is set to; zero when it is not.
	alarmAt time.Time
	wake    func()
	gone    bool
	// queued says in which of the queues of readyThreads it stands, whose mutex
	// guards it.
	queued [2]bool
}

// call is one call while it is under way.
type call struct {
	Call
	// lease is whose it is; nil when the conversation was forgotten meanwhile.
	lease *lease
	// left is what stays behind of the lease when the thread left the
	// conversation meanwhile.
	left *lease
	// mark is the one that stood when it began; nil when there was none.
	mark *Mark
}

func (t *thread) lit() bool {
	return slices.ContainsFunc(t.leases, func(l *lease) bool { return l.lit() })
}

// lease returns the indicator that shows who; nil when there is none.
func (t *thread) lease(who bridge.Agent) *lease {
	for _, l := range t.leases {
		if !t.side.target.PerPerson || l.agent.ID == who.ID {
			return l
		}
	}
	return nil
}

// ensureLease returns the indicator that shows who, a new one when there is none.
func (t *thread) ensureLease(who bridge.Agent) *lease {
	if l := t.lease(who); l != nil {
		return l
	}
	l := &lease{thread: t, end: bridge.Stopped}
	if t.side.target.PerPerson {
		l.agent = who
	}
	t.leases = append(t.leases, l)
	return l
}

// hear takes what the source says of a typist.
func (t *thread) hear(who bridge.Agent, state bridge.TypingState, now time.Time) {
	if state == bridge.Composing {
		t.ensureLease(who).hearComposing(who.ID, now)
		return
	}
	if l := t.lease(who); l != nil {
		l.hearLess(who.ID, state, now)
	}
}

// queue takes note of a message that is on its way.
func (t *thread) queue(who bridge.Agent, now time.Time) {
	t.pending++
	window := t.side.source.PhantomWindow
	l := t.lease(who)
	if l == nil && window > 0 {
		l = t.ensureLease(who)
	}
	if l == nil {
		return
	}
	l.queue(who, now)
	if window > 0 {
		l.phantom = now.Add(window)
	}
}

// messageSent takes note that the delivery of a message ended.
func (t *thread) messageSent(who bridge.Agent, now time.Time) {
	t.pending = max(t.pending-1, 0)
	if t.pending == 0 {
		for _, l := range t.leases {
			for i := range l.typists {
				l.typists[i].behind = false
			}
		}
	}
	if l := t.lease(who); l != nil {
		l.sent(now)
	}
}

// endAll ends the typing of everybody in the thread.
func (t *thread) endAll(end bridge.TypingState, now time.Time) {
	for _, l := range t.leases {
		l.silence(end, everybody)
		l.follow(now)
	}
}

// clear ends the typing of the thread and returns where the far side's answer
// will come; nil when there is nothing to tell.
func (t *thread) clear(now time.Time) chan error {
	t.endAll(bridge.Stopped, now)
	if !t.lit() && t.calling == nil {
		return nil
	}
	for _, l := range t.leases {
		l.clear(now)
	}
	answer := make(chan error, 1)
	t.waiters = append(t.waiters, answer)
	return answer
}

// forget drops all that is known of what the thread shows, and the marks of it.
// Messages on their way stay counted.
func (t *thread) forget(now time.Time) {
	t.endAll(bridge.Stopped, now)
	for _, l := range t.leases {
		l.unmark()
	}
	t.leases = nil
	if t.calling != nil {
		t.calling.lease = nil
	}
}

// age does what time alone does: holds run out, the far side stops showing by
// itself, what waited too long is given up, and leases at rest go.
func (t *thread) age(now time.Time) {
	for _, l := range t.leases {
		l.ageTypists(now)
		if l.call != callOn && l.call != callOff {
			l.ageShown(now)
			l.ageWait(now)
		}
		if !l.lit() && l.call == noCall && l.state != stateAsked {
			l.unmark()
		}
	}
	t.leases = slices.DeleteFunc(t.leases, func(l *lease) bool { return l.atRest(now) })
}

// next returns what is to be told now, ends of typing first, or when to look
// again; neither when only an input can change anything.
func (t *thread) next(now time.Time) (due *lease, state bridge.TypingState, look time.Time) {
	closing := t.clock.closing.Load()
	for _, l := range t.leases {
		word, at := l.next(closing)
		switch {
		case word == "":
		case at.After(now):
			look = earlier(look, at)
		case due == nil || state == bridge.Composing && word != bridge.Composing:
			due, state = l, word
		}
		look = earlier(look, l.ends(now))
	}
	return due, state, look
}

// answer tells those who wait for the end of typing.
func (t *thread) answer(err error) {
	for _, w := range t.waiters {
		w <- err
	}
	t.waiters = nil
}
