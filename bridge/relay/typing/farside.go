package typing

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/schedule"
)

// probeEvery is how often one of the ends that wait for a far side is tried
// while nothing says that it is well, and the least time between two tries of
// one that failed before.
const probeEvery = 10 * time.Second

// side is what a clock knows of one channel.
type side struct {
	source  bridge.TypingSource
	target  bridge.TypingTarget
	expired bridge.TypingState
	// fresh is how old a composing may get before it is sent.
	fresh time.Duration
	far   *farSide
}

// works reports whether typing can be translated at all.
func (s *side) works() bool { return s.source.Reported && s.target.Shown }

// ensureSide returns what is known of a channel, and begins to know it. It is on the
// way of every event, so reading takes no lock.
func (c *Clock) ensureSide(channel string) *side {
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
		expired: c.cfg.Expired, far: c.account,
	}
	if c.cfg.ChannelsApart {
		s.far = &farSide{clock: c}
	}
	if s.source.Hold <= 0 {
		s.source.Hold = defaultHold
	}
	s.fresh = max(freshness, s.target.MinInterval)
	return s
}

// sightOf is what a state that was taken looks like.
func (s *side) sightOf(state bridge.TypingState) sight {
	switch state {
	case bridge.Composing:
		return showsComposing
	case bridge.Stopped, s.expired:
		return showsNothing
	default:
		return showsPaused
	}
}

// farSide is what the typing of several threads goes to: LivePerson, or one
// channel. It keeps the threads whose ends it did not take.
type farSide struct {
	clock *Clock
	pause pause

	mu      sync.Mutex
	parked  []*thread
	alarm   schedule.Alarm
	ringing bool
	waiting atomic.Int64
}

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

// park keeps a thread until the far side is well. The thread's shard is locked.
func (f *farSide) park(t *thread, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.parked = append(f.parked, t)
	f.waiting.Store(int64(len(f.parked)))
	f.ring(now)
}

// ring has one thread probe the far side in a while.
func (f *farSide) ring(now time.Time) {
	if !f.ringing {
		f.ringing = true
		f.clock.cfg.Schedule.Set(&f.alarm, now.Add(probeEvery), f.probe)
	}
}

// probe lets the thread that waits longest try.
func (f *farSide) probe() {
	now := time.Now()
	for t := f.pop(now); t != nil && !t.tryParked(now, probeEvery); t = f.pop(now) {
	}
}

// pop takes the thread that waits longest; it may wait no more. As long as there
// are others the next probe comes.
func (f *farSide) pop(now time.Time) *thread {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ringing = false
	if len(f.parked) == 0 {
		return nil
	}
	first := f.parked[0]
	f.parked[0] = nil
	f.parked = f.parked[1:]
	f.waiting.Store(int64(len(f.parked)))
	if len(f.parked) > 0 {
		f.ring(now)
	}
	return first
}

// well lets all threads try whose last try is long enough ago; least says how
// long.
func (f *farSide) well(least time.Duration) {
	if f.waiting.Load() == 0 {
		return
	}
	f.mu.Lock()
	parked := f.parked
	f.parked = nil
	f.waiting.Store(0)
	f.mu.Unlock()
	now := time.Now()
	for _, t := range parked {
		t.tryParked(now, least)
	}
}

// tryParked has the ends of a thread tried that wait for the far side, each once
// and least after its last try. It reports whether there are any.
func (t *thread) tryParked(now time.Time, least time.Duration) (any bool) {
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	if t.gone {
		return false
	}
	for _, l := range t.leases {
		if l.state == stateParked && l.due.IsZero() {
			l.unpark(len(clearPauses), later(now, l.lastCall.Add(least)))
			any = true
		}
	}
	t.clock.plan(t, now)
	return any
}
