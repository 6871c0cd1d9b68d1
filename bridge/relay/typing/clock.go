// Package typing translates typing between systems whose clocks differ. One
// clock serves one direction: it knows for each thread what the source last said
// and until when that holds, what the target was last told, and makes the calls
// that bring the two together. Only marks of what was told are stored. It assumes
// that it is told of every message before its delivery starts and after it ended.
// docs/typing.md defines it.
package typing

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/schedule"
)

// The numbers of the typing clock. What differs by side is in [bridge.TypingSource]
// and [bridge.TypingTarget].
const (
	// CallTimeout bounds one call: a later answer would tell of the past.
	CallTimeout = 2 * time.Second
	// freshness is how old a composing may get before it is sent at the
	// latest. A far side whose own interval is longer may be told that much later.
	freshness = 3 * time.Second
	// phantomOff is how long a composing right after a message waits for the end
	// that unmasks it: Chatwoot's client says off after 4 s without a key.
	phantomOff = 4500 * time.Millisecond
	// defaultHold ends typing of a source that states no hold of its own.
	defaultHold = 60 * time.Second
	// shutdownTime is how long [Clock.Shutdown] may take.
	shutdownTime = 2 * time.Second
	// recoverPace spreads the first calls after a crash.
	recoverPace = 50 * time.Millisecond
	// defaultThreads bounds the memory a flood of typing can take.
	defaultThreads = 200_000
	shardCount     = 64
)

// errNotCleared says that the far side may still show typing.
var errNotCleared = errors.New("typing: the far side did not confirm the end")

// Config is what a typing clock works with.
type Config struct {
	// Source says how typing of a channel's threads is reported in this
	// direction, and target how it is shown. Both are read once per channel.
	Source func(channel string) bridge.TypingSource
	Target func(channel string) bridge.TypingTarget
	// Expired is what the target is told when a hold ran out or the source's
	// connection was lost. When it is [bridge.Paused], a target that was told so
	// counts as told that typing ended.
	Expired bridge.TypingState
	// Say makes one call. It runs on a goroutine of the clock, with a ctx that
	// ends after 2 s, and never twice at once for one thread. It may call the
	// clock, for instance to forget a conversation it found closed.
	Say func(ctx context.Context, call Call) Result
	// Where names the conversation in which a thread's typing is shown now; empty
	// when in none. It may block until ctx ends. nil where the target is the
	// thread and not a conversation.
	Where func(ctx context.Context, key bridge.ThreadKey) string
	// Marks remember what was told. May be nil.
	Marks    Marks
	Schedule *schedule.Schedule
	// InFlight is the most calls made at once.
	InFlight int
	// maxThreads is the most threads looked after; 0 means 200,000.
	maxThreads int
	// ChannelsApart says that each channel is a far side of its own. Without it
	// all threads have one far side, and a throttled call pauses them all.
	ChannelsApart bool
	Counts        Counts
	// moved and fault are told of every transition of a lease and of those that
	// are not in the table.
	moved func(from, to state)
	fault func(what string)
}

// Clock translates typing in one direction: it knows for each thread
// what the source last said, until when that holds, and what the target was
// last told, and makes the calls that bring the two together. Threads at rest
// take no memory.
//
// Messages do not pass through it. The lanes tell it when one is queued and
// when it was sent, so that no composing follows the message it led to.
type Clock struct {
	cfg     Config
	seed    maphash.Seed
	shards  [shardCount]shard
	ready   readyThreads
	tracked atomic.Int64
	closing atomic.Bool

	sides   atomic.Pointer[map[string]*side]
	sidesMu sync.Mutex
	// account is the far side of all channels, unless each is one of its own.
	account *farSide
	// behind has what was left behind, by conversation.
	behindMu sync.Mutex
	behind   map[string]*thread
}

// New makes a clock. It makes no calls before it runs.
func New(cfg Config) *Clock {
	if cfg.Marks == nil {
		cfg.Marks = noMarks{}
	}
	if cfg.moved == nil {
		cfg.moved = func(state, state) {}
	}
	if cfg.fault == nil {
		cfg.fault = func(string) {}
	}
	if cfg.maxThreads == 0 {
		cfg.maxThreads = defaultThreads
	}
	cfg.Counts = cfg.Counts.complete()
	c := &Clock{cfg: cfg, seed: maphash.MakeSeed(), behind: make(map[string]*thread)}
	c.account = &farSide{clock: c}
	c.ready.init(max(cfg.InFlight, 1))
	c.sides.Store(&map[string]*side{})
	for i := range c.shards {
		c.shards[i].threads = make(map[seat]*thread)
	}
	return c
}

func (c *Clock) shard(key bridge.ThreadKey) *shard {
	return &c.shards[maphash.Comparable(c.seed, key)%shardCount]
}

// change runs f on a thread that is looked after, and then does what the
// change asks for. Threads at rest are not in need of any change.
func (c *Clock) change(key bridge.ThreadKey, f func(t *thread, now time.Time)) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.threads[seat{thread: key}]; t != nil {
		now := time.Now()
		t.age(now)
		f(t, now)
		c.plan(t, now)
	}
}

// Observe takes what a source says of a typist. who is an agent, or, towards
// LivePerson, a device of the thread's one consumer, zero when devices are not
// told apart. trace is what to keep of the trace it came with, empty when there is
// none; calls that follow from it carry it. It never blocks.
func (c *Clock) Observe(key bridge.ThreadKey, who bridge.Agent, state bridge.TypingState, trace string) {
	side := c.ensureSide(key.Channel)
	if !side.works() {
		return
	}
	c.cfg.Counts.Observed(state)
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.threads[seat{thread: key}]
	if t == nil && state != bridge.Composing {
		return
	}
	if c.closing.Load() {
		c.cfg.Counts.Dropped(dropShutdown)
		return
	}
	if t == nil {
		if c.tracked.Load() >= int64(c.cfg.maxThreads) {
			c.cfg.Counts.Dropped(dropCrowded)
			return
		}
		t = c.track(s, seat{thread: key}, side)
	}
	now := time.Now()
	t.age(now)
	t.trace = trace
	t.hear(who, state, now)
	c.plan(t, now)
}

// MessageQueued says that a message of who was accepted and is on its way:
// their typing is over, and no composing from before goes out any more. Every
// MessageQueued must be followed by one MessageSent.
func (c *Clock) MessageQueued(key bridge.ThreadKey, who bridge.Agent) {
	side := c.ensureSide(key.Channel)
	if !side.works() {
		return
	}
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.threads[seat{thread: key}]
	if t == nil {
		t = c.track(s, seat{thread: key}, side)
	}
	now := time.Now()
	t.age(now)
	t.queue(who, now)
	c.plan(t, now)
}

// MessageSent says that the delivery of a message of who ended, well or not.
// The far side is then told that they do not type, at once.
func (c *Clock) MessageSent(key bridge.ThreadKey, who bridge.Agent) {
	c.change(key, func(t *thread, now time.Time) { t.messageSent(who, now) })
}

// Disconnected says that the source's connection was lost: typing ends.
func (c *Clock) Disconnected(key bridge.ThreadKey) {
	c.change(key, func(t *thread, now time.Time) { t.endAll(c.cfg.Expired, now) })
}

// Present says who is there: typing of all others ends.
func (c *Clock) Present(key bridge.ThreadKey, there func(id string) bool) {
	c.change(key, func(t *thread, now time.Time) {
		for _, l := range t.leases {
			l.silence(bridge.Stopped, func(p *typist) bool { return !there(p.id) })
			l.follow(now)
		}
	})
}

// Leave says that a thread has no longer the conversation in which its typing
// was shown: typing ends, and what is shown is taken back in that conversation,
// whatever the thread does next.
func (c *Clock) Leave(key bridge.ThreadKey) {
	c.change(key, func(t *thread, now time.Time) {
		t.endAll(bridge.Stopped, now)
		t.voidMark()
		c.leave(t, now)
	})
}

// Forget drops all that is known of the typing in a conversation that is over,
// and tells nobody. Messages on their way stay counted.
func (c *Clock) Forget(key bridge.ThreadKey, conversation string) {
	c.change(key, func(t *thread, now time.Time) {
		if t.conversation == conversation || !t.lit() {
			t.forget(now)
		}
	})
	if behind := c.leftBehind(conversation); behind != nil {
		c.forget(behind)
	}
}

func (c *Clock) forget(t *thread) {
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	now := time.Now()
	t.forget(now)
	c.plan(t, now)
}

// Traffic says that something else happened in a thread, such as an event of
// the other direction. An end of typing that the far side would not take is
// tried again.
func (c *Clock) Traffic(key bridge.ThreadKey) {
	c.change(key, func(t *thread, now time.Time) {
		for _, l := range t.leases {
			l.unpark(0, now)
		}
	})
}

// Well says that the far side of a channel takes calls again: ends of typing it
// did not take are told at once.
func (c *Clock) Well(channel string) { c.ensureSide(channel).far.well(0) }

// Clear ends the typing of a thread and, when the far side shows some or may
// do so, tells it and waits until it confirmed, failed to, or ctx ended. It is
// for the moment before a conversation is closed or its dialog changes; when
// no typing may be told afterwards, Forget or Leave must follow.
func (c *Clock) Clear(ctx context.Context, key bridge.ThreadKey) error {
	var answer chan error
	c.change(key, func(t *thread, now time.Time) { answer = t.clear(now) })
	if answer == nil {
		return nil
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("typing: clear: %w", ctx.Err())
	}
}

// Shutdown ends all typing, tells it where it is or may be shown, and waits
// for that at most 2 s. Nothing is observed any more. Run must still be
// running. The error says how many threads may still show typing.
func (c *Clock) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, shutdownTime)
	defer cancel()
	c.closing.Store(true)
	failed := 0
	for _, answer := range c.clearAll() {
		select {
		case err := <-answer:
			if err != nil {
				failed++
			}
		case <-ctx.Done():
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%w in %d threads", errNotCleared, failed)
	}
	return nil
}

func (c *Clock) clearAll() []chan error {
	var answers []chan error
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		now := time.Now()
		for _, t := range s.threads {
			if answer := t.clear(now); answer != nil {
				answers = append(answers, answer)
			}
			c.plan(t, now)
		}
		s.mu.Unlock()
	}
	return answers
}

// track begins to look after a seat.
func (c *Clock) track(s *shard, at seat, side *side) *thread {
	t := &thread{clock: c, seat: at, side: side, shard: s, conversation: at.conversation}
	t.wake = func() { c.look(t) }
	s.threads[at] = t
	c.tracked.Add(1)
	if at.conversation != "" {
		c.behindMu.Lock()
		c.behind[at.conversation] = t
		c.behindMu.Unlock()
	}
	return t
}

// drop ends looking after a seat.
func (c *Clock) drop(t *thread) {
	c.cfg.Schedule.Stop(&t.alarm)
	t.gone = true
	delete(t.shard.threads, t.seat)
	c.tracked.Add(-1)
	if t.seat.conversation != "" {
		c.behindMu.Lock()
		if c.behind[t.seat.conversation] == t {
			delete(c.behind, t.seat.conversation)
		}
		c.behindMu.Unlock()
	}
}

// look is what a thread's alarm does.
func (c *Clock) look(t *thread) {
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	t.alarmAt = time.Time{}
	c.plan(t, time.Now())
}

// plan does what a thread needs next: a call now, a look later, or nothing, in
// which case the thread is dropped. The shard is locked.
func (c *Clock) plan(t *thread, now time.Time) {
	defer t.check()
	// While a call is under way its end will plan.
	if t.gone || t.calling != nil {
		return
	}
	t.age(now)
	if !t.lit() {
		t.answer(nil)
	}
	due, state, look := t.next(now)
	switch {
	case due != nil:
		c.ready.push(t, state != bridge.Composing)
	case !look.IsZero():
		c.wakeAt(t, look)
	case t.pending == 0 && len(t.leases) == 0:
		c.drop(t)
	}
}

// wakeAt makes sure that t is looked at by the given time. An earlier alarm is
// left alone: it costs one look, and moving it would cost every repeat of a
// source that repeats.
func (c *Clock) wakeAt(t *thread, at time.Time) {
	if !t.alarmAt.IsZero() && !at.Before(t.alarmAt) {
		return
	}
	t.alarmAt = at
	c.cfg.Schedule.Set(&t.alarm, at, t.wake)
}

// Owed is how many indicators may show typing that ended.
func (c *Clock) Owed() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, t := range s.threads {
			for _, l := range t.leases {
				if l.lit() && (l.state == stateEnding || l.state == stateClearing || l.state == stateParked) {
					n++
				}
			}
		}
		s.mu.Unlock()
	}
	return n
}

// Pending is how many messages the clock believes to be on their way. At rest it
// is none: every message that was queued was reported as sent.
func (c *Clock) Pending() int {
	n := 0
	for i := range c.shards {
		s := &c.shards[i]
		s.mu.Lock()
		for _, t := range s.threads {
			n += t.pending
		}
		s.mu.Unlock()
	}
	return n
}
