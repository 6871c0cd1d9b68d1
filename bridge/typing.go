package bridge

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// The numbers of the typing clock. What differs by side is in [TypingSource]
// and [TypingTarget].
const (
	// typingCallTimeout bounds one call: a later answer would tell of the past.
	typingCallTimeout = 2 * time.Second
	// typingFreshness is how old a composing may get before it is sent at the
	// latest. A far side whose own interval is longer may be told that much later.
	typingFreshness = 3 * time.Second
	// typingHold ends typing of a source that states no hold of its own.
	typingHold = 60 * time.Second
	// typingShutdown is how long [typingClock.shutdown] may take.
	typingShutdown = 2 * time.Second
	// typingRecoverPace spreads the first calls after a crash.
	typingRecoverPace = 50 * time.Millisecond
	// maxTypingThreads bounds the memory a flood of typing can take.
	maxTypingThreads = 200_000
	typingShards     = 64
)

// errTypingNotCleared says that the far side may still show typing.
var errTypingNotCleared = errors.New("typing: the far side did not confirm the end")

// typingConfig is what a typing clock works with.
type typingConfig struct {
	// source says how typing of a channel's threads is reported in this
	// direction, and target how it is shown. Both are read once per channel.
	source func(channel string) TypingSource
	target func(channel string) TypingTarget
	// expired is what the target is told when a hold ran out or the source's
	// connection was lost. When it is Paused, a target that was told Paused
	// counts as told that typing ended.
	expired TypingState
	// say makes one call. It runs on a goroutine of the clock, with a ctx that
	// ends after 2 s, and never twice at once for one thread. It may call the
	// clock, for instance to forget a conversation it found closed.
	say func(ctx context.Context, call typingCall) typingResult
	// told is called before the first composing of a thread is sent, and once
	// the thread is known to show none. It must not block. May be nil.
	told     func(key ThreadKey, composing bool)
	schedule *schedule
	// inFlight is the most calls made at once.
	inFlight int
	// maxThreads is the most threads looked after; 0 means 200,000.
	maxThreads int
	// throttlePerChannel limits a throttled call's pause to its channel.
	// Without it typing pauses for the whole account.
	throttlePerChannel bool
	counts             typingCounts
}

// typingCounts are told of what happens, for metrics. They must not block. Any
// may be nil.
type typingCounts struct {
	observed func(TypingState)
	sent     func(TypingState, typingEnd)
	dropped  func(typingDrop)
	// failing is called for the first call of a thread that was not applied,
	// and not again before one was.
	failing func(typingCall, typingEnd)
}

// typingCall tells the far side one state once.
type typingCall struct {
	Thread ThreadKey
	// Agent is who types; zero where the target shows no persons.
	Agent Agent
	State TypingState
}

// typingResult says how a call ended.
type typingResult struct {
	end typingEnd
	// pause is how long the far side asked us to wait; 0 when it did not.
	pause time.Duration
}

// typingEnd says what a call changed at the far side.
type typingEnd uint8

const (
	// typingApplied means that the far side took the state.
	typingApplied typingEnd = iota
	// typingRefused means a definite no (4xx, 429 too): nothing changed there.
	typingRefused
	// typingUncertain means that it is not known whether the state was taken.
	typingUncertain
)

// String returns the end as it is written in metrics.
func (e typingEnd) String() string {
	switch e {
	case typingApplied:
		return "applied"
	case typingRefused:
		return "refused"
	default:
		return "uncertain"
	}
}

// typingDrop is why a composing was not sent. It is a metric label.
type typingDrop string

const (
	// dropEnded means that the typing was over before it could be told.
	dropEnded typingDrop = "ended"
	// dropStale means that it waited too long.
	dropStale typingDrop = "stale"
	// dropPhantom means that it came right after a message of the same person.
	dropPhantom typingDrop = "phantom"
	// dropThrottled means that the far side asked for a pause.
	dropThrottled typingDrop = "throttled"
	// dropCrowded means that too many threads are looked after already.
	dropCrowded typingDrop = "crowded"
	// dropShutdown means that the clock is shutting down.
	dropShutdown typingDrop = "shutdown"
)

// typingClock translates typing in one direction: it knows for each thread
// what the source last said, until when that holds, and what the target was
// last told, and makes the calls that bring the two together. Nothing of it is
// stored, and threads at rest take no memory.
//
// Messages do not pass through it. The lanes tell it when one is queued and
// when it was sent, so that no composing follows the message it led to.
type typingClock struct {
	cfg     typingConfig
	seed    maphash.Seed
	shards  [typingShards]typingShard
	ready   readyThreads
	tracked atomic.Int64
	closing atomic.Bool

	sides   atomic.Pointer[map[string]*typingSide]
	sidesMu sync.Mutex
	account typingPause
}

type typingShard struct {
	mu      sync.Mutex
	threads map[ThreadKey]*typingThread
	// Shards are locked by different cores; none should share a cache line.
	_ [48]byte
}

// typingSide is what a clock knows of one channel.
type typingSide struct {
	source  TypingSource
	target  TypingTarget
	expired TypingState
	// fresh is how old a composing may get before it is sent.
	fresh time.Duration
	pause *typingPause
}

// works reports whether typing can be translated at all.
func (s *typingSide) works() bool { return s.source.Reported && s.target.Shown }

// typingPause is how long a throttled far side wants no typing.
type typingPause struct{ end atomic.Pointer[time.Time] }

func (p *typingPause) until() time.Time {
	if t := p.end.Load(); t != nil {
		return *t
	}
	return time.Time{}
}

// extend makes the pause last until t, unless it lasts longer already.
func (p *typingPause) extend(t time.Time) {
	for {
		old := p.end.Load()
		if old != nil && !old.Before(t) || p.end.CompareAndSwap(old, &t) {
			return
		}
	}
}

func newTypingClock(cfg typingConfig) *typingClock {
	if cfg.told == nil {
		cfg.told = func(ThreadKey, bool) {}
	}
	if cfg.maxThreads == 0 {
		cfg.maxThreads = maxTypingThreads
	}
	cfg.counts = cfg.counts.complete()
	c := &typingClock{cfg: cfg, seed: maphash.MakeSeed()}
	c.ready.init(max(cfg.inFlight, 1))
	c.sides.Store(&map[string]*typingSide{})
	for i := range c.shards {
		c.shards[i].threads = make(map[ThreadKey]*typingThread)
	}
	return c
}

func (n typingCounts) complete() typingCounts {
	if n.observed == nil {
		n.observed = func(TypingState) {}
	}
	if n.sent == nil {
		n.sent = func(TypingState, typingEnd) {}
	}
	if n.dropped == nil {
		n.dropped = func(typingDrop) {}
	}
	if n.failing == nil {
		n.failing = func(typingCall, typingEnd) {}
	}
	return n
}

// side returns what is known of a channel. It is on the way of every event, so
// reading takes no lock.
func (c *typingClock) side(channel string) *typingSide {
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

func (c *typingClock) newSide(channel string) *typingSide {
	s := &typingSide{
		source: c.cfg.source(channel), target: c.cfg.target(channel),
		expired: c.cfg.expired, pause: &c.account,
	}
	if c.cfg.throttlePerChannel {
		s.pause = new(typingPause)
	}
	if s.source.Hold <= 0 {
		s.source.Hold = typingHold
	}
	s.fresh = max(typingFreshness, s.target.MinInterval)
	return s
}

func (c *typingClock) shard(key ThreadKey) *typingShard {
	return &c.shards[maphash.Comparable(c.seed, key)%typingShards]
}

// change runs f on a thread that is looked after, and then does what the
// change asks for. Threads at rest are not in need of any change.
func (c *typingClock) change(key ThreadKey, f func(t *typingThread, now time.Time)) {
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

// observe takes what a source says of a typist. who is zero towards
// LivePerson, where a thread has one consumer. It never blocks.
func (c *typingClock) observe(key ThreadKey, who Agent, state TypingState) {
	side := c.side(key.Channel)
	if !side.works() {
		return
	}
	c.cfg.counts.observed(state)
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.threads[key]
	if t == nil && state != Composing {
		return
	}
	if c.closing.Load() {
		c.cfg.counts.dropped(dropShutdown)
		return
	}
	if t == nil {
		if c.tracked.Load() >= int64(c.cfg.maxThreads) {
			c.cfg.counts.dropped(dropCrowded)
			return
		}
		t = c.track(s, key, side)
	}
	now := time.Now()
	c.age(t, now)
	c.hear(t, who, state, now)
	c.plan(t, now)
}

// messageQueued says that a message of who was accepted and is on its way:
// their typing is over, and no composing from before goes out any more. Every
// messageQueued must be followed by one messageSent.
func (c *typingClock) messageQueued(key ThreadKey, who Agent) {
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

// messageSent says that the delivery of a message of who ended, well or not.
// The far side is then told that they do not type, at once.
func (c *typingClock) messageSent(key ThreadKey, who Agent) {
	c.change(key, func(t *typingThread, _ time.Time) { t.messageSent(who) })
}

// traffic says that something else happened in a thread, such as an event of
// the other direction. An end of typing that the far side would not take is
// tried again.
func (c *typingClock) traffic(key ThreadKey) {
	c.change(key, func(t *typingThread, _ time.Time) { t.retryClears() })
}

// disconnected says that the source's connection was lost: typing ends.
func (c *typingClock) disconnected(key ThreadKey) {
	c.change(key, func(t *typingThread, _ time.Time) { c.endAll(t, c.cfg.expired) })
}

// forget drops all that is known of a conversation that was closed, and tells
// nobody. Messages on their way stay counted.
func (c *typingClock) forget(key ThreadKey) {
	c.change(key, func(t *typingThread, _ time.Time) {
		c.endAll(t, Stopped)
		t.leases, t.calling = nil, nil
	})
}

// clear ends the typing of a thread and, when the far side shows some or may
// do so, tells it and waits until it confirmed, failed to, or ctx ended. It is
// for the moment before a conversation is closed or its dialog changes; when
// no typing may be told afterwards, forget must follow.
func (c *typingClock) clear(ctx context.Context, key ThreadKey) error {
	var answer chan error
	c.change(key, func(t *typingThread, _ time.Time) { answer = c.clearNow(t) })
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
func (c *typingClock) clearNow(t *typingThread) chan error {
	c.endAll(t, Stopped)
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

// recover takes the threads that LivePerson may show as composing because an
// earlier process ended without saying otherwise. Each is told once that
// nobody types, one after the other. For targets without persons only.
func (c *typingClock) recover(keys []ThreadKey) {
	start := time.Now()
	for i, key := range keys {
		side := c.side(key.Channel)
		if !side.target.Shown {
			c.cfg.told(key, false)
			continue
		}
		c.recoverThread(key, side, start.Add(time.Duration(i)*typingRecoverPace))
	}
}

func (c *typingClock) recoverThread(key ThreadKey, side *typingSide, at time.Time) {
	s := c.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.threads[key]
	if t == nil {
		t = c.track(s, key, side)
	}
	t.marked = true
	if l := t.leaseOf(Agent{}); !l.lit(side) {
		l.shown, l.end, l.firstTry = typingUnknown, c.cfg.expired, at
	}
	c.plan(t, time.Now())
}

// shutdown ends all typing, tells it where it is or may be shown, and waits
// for that at most 2 s. Nothing is observed any more. Run must still be
// running. The error says how many threads may still show typing.
func (c *typingClock) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, typingShutdown)
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
		return fmt.Errorf("%w in %d threads", errTypingNotCleared, failed)
	}
	return nil
}

func (c *typingClock) clearAll() []chan error {
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
func (c *typingClock) track(s *typingShard, key ThreadKey, side *typingSide) *typingThread {
	t := &typingThread{key: key, side: side, shard: s}
	t.wake = func() { c.look(t) }
	s.threads[key] = t
	c.tracked.Add(1)
	return t
}

// drop ends looking after a thread.
func (c *typingClock) drop(t *typingThread) {
	c.cfg.schedule.stop(&t.alarm)
	t.gone = true
	delete(t.shard.threads, t.key)
	c.tracked.Add(-1)
}

// look is what a thread's alarm does.
func (c *typingClock) look(t *typingThread) {
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	t.alarmAt = time.Time{}
	c.plan(t, time.Now())
}

// plan does what a thread needs next: a call now, a look later, or nothing, in
// which case the thread is dropped. The shard is locked.
func (c *typingClock) plan(t *typingThread, now time.Time) {
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
		c.ready.push(t, step.state != Composing)
	case !look.IsZero():
		c.wakeAt(t, look)
	case t.pending == 0 && len(t.leases) == 0:
		c.drop(t)
	}
}

// wakeAt makes sure that t is looked at by the given time. An earlier alarm is
// left alone: it costs one look, and moving it would cost every repeat of a
// source that repeats.
func (c *typingClock) wakeAt(t *typingThread, at time.Time) {
	if !t.alarmAt.IsZero() && !at.Before(t.alarmAt) {
		return
	}
	t.alarmAt = at
	c.cfg.schedule.set(&t.alarm, at, t.wake)
}

func (c *typingClock) unmark(t *typingThread) {
	if t.marked {
		t.marked = false
		c.cfg.told(t.key, false)
	}
}
