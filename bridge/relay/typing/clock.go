// Package typing translates typing between systems whose clocks differ. One
// clock serves one direction: it knows for each thread what the source last said
// and until when that holds, what the target was last told, and makes the calls
// that bring the two together. Nothing of it is stored. It assumes that it is
// told of every message before its delivery starts and after it ended.
package typing

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
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

// errTypingNotCleared says that the far side may still show typing.
var errNotCleared = errors.New("typing: the far side did not confirm the end")

// Config is what a typing clock works with.
type Config struct {
	// Source says how typing of a channel's threads is reported in this
	// direction, and target how it is shown. Both are read once per channel.
	Source func(channel string) bridge.TypingSource
	Target func(channel string) bridge.TypingTarget
	// Expired is what the target is told when a hold ran out or the source's
	// connection was lost. When it is Paused, a target that was told Paused
	// counts as told that typing ended.
	Expired bridge.TypingState
	// Say makes one call. It runs on a goroutine of the clock, with a ctx that
	// ends after 2 s, and never twice at once for one thread. It may call the
	// clock, for instance to forget a conversation it found closed.
	Say func(ctx context.Context, call Call) Result
	// Told is called before the first composing of a thread is sent, and once
	// the thread is known to show none. It must not block. May be nil.
	Told     func(key bridge.ThreadKey, composing bool)
	Schedule *schedule.Schedule
	// InFlight is the most calls made at once.
	InFlight int
	// maxThreads is the most threads looked after; 0 means 200,000.
	maxThreads int
	// ThrottlePerChannel limits a throttled call's pause to its channel.
	// Without it typing pauses for the whole account.
	ThrottlePerChannel bool
	Counts             Counts
}

// Counts are told of what happens, for metrics. They must not block. Any
// may be nil.
type Counts struct {
	Observed func(bridge.TypingState)
	Sent     func(bridge.TypingState, End)
	Dropped  func(Drop)
	// Failing is called for the first call of a thread that was not applied,
	// and not again before one was.
	Failing func(Call, End)
}

// Call tells the far side one state once.
type Call struct {
	Thread bridge.ThreadKey
	// Agent is who types; zero where the target shows no persons.
	Agent bridge.Agent
	State bridge.TypingState
}

// Result says how a call ended.
type Result struct {
	End End
	// Pause is how long the far side asked us to wait; 0 when it did not.
	Pause time.Duration
}

// End says what a call changed at the far side.
type End uint8

const (
	// Applied means that the far side took the state.
	Applied End = iota
	// Refused means a definite no (4xx, 429 too): nothing changed there.
	Refused
	// Uncertain means that it is not known whether the state was taken.
	Uncertain
)

// String returns the end as it is written in metrics.
func (e End) String() string {
	switch e {
	case Applied:
		return "applied"
	case Refused:
		return "refused"
	default:
		return "uncertain"
	}
}

// Drop is why a composing was not sent. It is a metric label.
type Drop string

const (
	// dropEnded means that the typing was over before it could be told.
	dropEnded Drop = "ended"
	// dropStale means that it waited too long.
	dropStale Drop = "stale"
	// dropPhantom means that it came right after a message of the same person.
	dropPhantom Drop = "phantom"
	// dropThrottled means that the far side asked for a pause.
	dropThrottled Drop = "throttled"
	// dropCrowded means that too many threads are looked after already.
	dropCrowded Drop = "crowded"
	// dropShutdown means that the clock is shutting down.
	dropShutdown Drop = "shutdown"
)

// Clock translates typing in one direction: it knows for each thread
// what the source last said, until when that holds, and what the target was
// last told, and makes the calls that bring the two together. Nothing of it is
// stored, and threads at rest take no memory.
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
	account pause
}

type shard struct {
	mu      sync.Mutex
	threads map[bridge.ThreadKey]*thread
	// Shards are locked by different cores; none should share a cache line.
	_ [48]byte
}

// side is what a clock knows of one channel.
type side struct {
	source  bridge.TypingSource
	target  bridge.TypingTarget
	expired bridge.TypingState
	// fresh is how old a composing may get before it is sent.
	fresh time.Duration
	pause *pause
}

// works reports whether typing can be translated at all.
func (s *side) works() bool { return s.source.Reported && s.target.Shown }

// pause is how long a throttled far side wants no typing.
type pause struct{ end atomic.Pointer[time.Time] }

func (p *pause) until() time.Time {
	if t := p.end.Load(); t != nil {
		return *t
	}
	return time.Time{}
}

// extend makes the pause last until t, unless it lasts longer already.
func (p *pause) extend(t time.Time) {
	for {
		old := p.end.Load()
		if old != nil && !old.Before(t) || p.end.CompareAndSwap(old, &t) {
			return
		}
	}
}

// New makes a clock. It makes no calls before it runs.
func New(cfg Config) *Clock {
	if cfg.Told == nil {
		cfg.Told = func(bridge.ThreadKey, bool) {}
	}
	if cfg.maxThreads == 0 {
		cfg.maxThreads = defaultThreads
	}
	cfg.Counts = cfg.Counts.complete()
	c := &Clock{cfg: cfg, seed: maphash.MakeSeed()}
	c.ready.init(max(cfg.InFlight, 1))
	c.sides.Store(&map[string]*side{})
	for i := range c.shards {
		c.shards[i].threads = make(map[bridge.ThreadKey]*thread)
	}
	return c
}

func (n Counts) complete() Counts {
	if n.Observed == nil {
		n.Observed = func(bridge.TypingState) {}
	}
	if n.Sent == nil {
		n.Sent = func(bridge.TypingState, End) {}
	}
	if n.Dropped == nil {
		n.Dropped = func(Drop) {}
	}
	if n.Failing == nil {
		n.Failing = func(Call, End) {}
	}
	return n
}

// side returns what is known of a channel. It is on the way of every event, so
// reading takes no lock.
func (c *Clock) side(channel string) *side {
	if s := (*c.sides.Load())[channel]; s != nil {
		return s
	}
	c.sidesMu.Lock()
	defer c.sidesMu.Unlock()
	if s := (*c.sides.Load())[channel]; s != nil {
		return s
	}
	s := c.newSide(channel)
	sides := maps.Clone(*c.sides.Load())
	sides[channel] = s
	c.sides.Store(&sides)
	return s
}

func (c *Clock) newSide(channel string) *side {
	s := &side{
		source: c.cfg.Source(channel), target: c.cfg.Target(channel),
		expired: c.cfg.Expired, pause: &c.account,
	}
	if c.cfg.ThrottlePerChannel {
		s.pause = new(pause)
	}
	if s.source.Hold <= 0 {
		s.source.Hold = defaultHold
	}
	s.fresh = max(freshness, s.target.MinInterval)
	return s
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
	if t := s.threads[key]; t != nil {
		now := time.Now()
		c.age(t, now)
		f(t, now)
		c.plan(t, now)
	}
}

// Observe takes what a source says of a typist. who is zero towards
// LivePerson, where a thread has one consumer. It never blocks.
func (c *Clock) Observe(key bridge.ThreadKey, who bridge.Agent, state bridge.TypingState) {
	side := c.side(key.Channel)
	if !side.works() {
		return
	}
	c.cfg.Counts.Observed(state)
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.threads[key]
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
		t = c.track(s, key, side)
	}
	now := time.Now()
	c.age(t, now)
	c.hear(t, who, state, now)
	c.plan(t, now)
}

// MessageQueued says that a message of who was accepted and is on its way:
// their typing is over, and no composing from before goes out any more. Every
// messageQueued must be followed by one messageSent.
func (c *Clock) MessageQueued(key bridge.ThreadKey, who bridge.Agent) {
	side := c.side(key.Channel)
	if !side.works() {
		return
	}
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.threads[key]
	if t == nil {
		t = c.track(s, key, side)
	}
	now := time.Now()
	c.age(t, now)
	c.queue(t, who, now)
	c.plan(t, now)
}

// MessageSent says that the delivery of a message of who ended, well or not.
// The far side is then told that they do not type, at once.
func (c *Clock) MessageSent(key bridge.ThreadKey, who bridge.Agent) {
	c.change(key, func(t *thread, _ time.Time) { t.messageSent(who) })
}

// Traffic says that something else happened in a thread, such as an event of
// the other direction. An end of typing that the far side would not take is
// tried again.
func (c *Clock) Traffic(key bridge.ThreadKey) {
	c.change(key, func(t *thread, _ time.Time) { t.retryClears() })
}

// Disconnected says that the source's connection was lost: typing ends.
func (c *Clock) Disconnected(key bridge.ThreadKey) {
	c.change(key, func(t *thread, _ time.Time) { c.endAll(t, c.cfg.Expired) })
}

// Forget drops all that is known of a conversation that was closed, and tells
// nobody. Messages on their way stay counted.
func (c *Clock) Forget(key bridge.ThreadKey) {
	c.change(key, func(t *thread, _ time.Time) {
		c.endAll(t, bridge.Stopped)
		t.leases, t.calling = nil, nil
	})
}

// Clear ends the typing of a thread and, when the far side shows some or may
// do so, tells it and waits until it confirmed, failed to, or ctx ended. It is
// for the moment before a conversation is closed or its dialog changes; when
// no typing may be told afterwards, forget must follow.
func (c *Clock) Clear(ctx context.Context, key bridge.ThreadKey) error {
	var answer chan error
	c.change(key, func(t *thread, _ time.Time) { answer = c.clearNow(t) })
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

// clearNow ends the typing of a thread and returns where the far side's answer
// will come; nil when there is nothing to tell.
func (c *Clock) clearNow(t *thread) chan error {
	c.endAll(t, bridge.Stopped)
	if !t.lit() && !t.busy {
		return nil
	}
	for _, l := range t.leases {
		l.clearAtOnce()
	}
	answer := make(chan error, 1)
	t.waiters = append(t.waiters, answer)
	return answer
}

// Recover takes the threads that LivePerson may show as composing because an
// earlier process ended without saying otherwise. Each is told once that
// nobody types, one after the other. For targets without persons only.
func (c *Clock) Recover(keys []bridge.ThreadKey) {
	start := time.Now()
	for i, key := range keys {
		side := c.side(key.Channel)
		if !side.target.Shown {
			c.cfg.Told(key, false)
			continue
		}
		c.recoverThread(key, side, start.Add(time.Duration(i)*recoverPace))
	}
}

func (c *Clock) recoverThread(key bridge.ThreadKey, side *side, at time.Time) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.threads[key]
	if t == nil {
		t = c.track(s, key, side)
	}
	t.marked = true
	if l := t.leaseOf(bridge.Agent{}); !l.lit(side) {
		l.shown, l.end, l.firstTry = shownUnknown, c.cfg.Expired, at
	}
	c.plan(t, time.Now())
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
			if answer := c.clearNow(t); answer != nil {
				answers = append(answers, answer)
			}
			c.plan(t, now)
		}
		s.mu.Unlock()
	}
	return answers
}

// track begins to look after a thread.
func (c *Clock) track(s *shard, key bridge.ThreadKey, side *side) *thread {
	t := &thread{key: key, side: side, shard: s}
	t.wake = func() { c.look(t) }
	s.threads[key] = t
	c.tracked.Add(1)
	return t
}

// drop ends looking after a thread.
func (c *Clock) drop(t *thread) {
	c.cfg.Schedule.Stop(&t.alarm)
	t.gone = true
	delete(t.shard.threads, t.key)
	c.tracked.Add(-1)
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
	// While a call is under way its end will plan.
	if t.gone || t.busy {
		return
	}
	c.age(t, now)
	if !t.lit() {
		c.unmark(t)
		t.answer(nil)
	}
	step, look := t.next(now, c.closing.Load())
	switch {
	case step.state != "":
		c.ready.push(t, step.state != bridge.Composing)
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

func (c *Clock) unmark(t *thread) {
	if t.marked {
		t.marked = false
		c.cfg.Told(t.key, false)
	}
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
