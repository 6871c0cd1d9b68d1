package lane

import (
	"sync"
	"time"
)

const (
	// startWidth is how many deliveries run at once before anything is known of
	// the far side, and leastWidth the fewest a limiter narrows to.
	startWidth = 64
	leastWidth = 4
	// MinThrottle is the shortest pause after 429 (LivePerson, Retry Policy
	// Recommendations: at least one second between retries).
	MinThrottle = time.Second
	// memory is how many ends of deliveries the shares are taken over.
	memory = 256
	// noise is the share of 429s that is no sign of too much at once, and
	// crowded the share at which everybody must pause.
	noise, crowded = 0.04, 1.0 / 3
	// slack and stretch say when latency has grown because of us: beyond so many
	// times the shortest there was lately, and so much more.
	slack   = 5 * time.Millisecond
	stretch = 2
	// baseline is after how long what counts as quick may rise by a tenth.
	baseline = 10 * time.Second
)

// Limiter bounds how many deliveries to one far side run at once. LivePerson
// limits concurrent requests of the whole account and does not say to how many,
// so the limiter looks for it: the width grows by one with each round that passed
// while it was used up, faster the longer all is quiet, for as long as latency
// does not grow with it; a burst of 429s narrows it once, by half of their share
// among recent deliveries. The share makes it converge: two in a hundred that are
// throttled at random cost nothing, nine in ten halve it. Latency that suddenly is
// another may be a queue of our making or the far side's own affair; one narrow round
// tells, and if it is as slow the width is what it was.
type Limiter struct {
	mu    sync.Mutex
	most  int
	width float64
	// round counts deliveries that passed since the width last grew, and quiet
	// the rounds since the last 429.
	round, quiet int
	// full says that the width was used up during this round.
	full bool
	// roof is the width below which it grows by one with each delivery: so many
	// were fine before an outage, and before the first sign of too much who knows.
	roof      float64
	narrowed  time.Time
	throttled share
	latency   latency
	// trial is under way while its width is not 0, and queued is when one last found
	// that latency had grown because of us.
	trial  trial
	queued time.Time
}

// trial finds out whether latency grew because of us: the limiter is narrow for one
// round of deliveries that began after it was.
type trial struct {
	// width is what it was before, latency the quickest of the round that made the
	// trial necessary, and began when the limiter was narrowed.
	width   float64
	latency time.Duration
	began   time.Time
}

// NewLimiter makes a limiter that lets at most so many deliveries run at once.
func NewLimiter(most int) *Limiter {
	most = max(most, 1)
	return &Limiter{most: most, width: float64(min(startWidth, most)), roof: float64(most)}
}

// limit is how many deliveries may run at once.
func (g *Limiter) limit() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return int(g.width)
}

// throttle narrows the limiter after a 429 and reports whether so many are
// throttled that everybody should pause.
func (g *Limiter) throttle(began time.Time) (pause bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.throttled.add(true)
	g.quiet, g.round, g.full, g.trial = 0, 0, false, trial{}
	// What began before the last narrowing belongs to the burst that caused it.
	if began.Before(g.narrowed) {
		return g.throttled.of() > crowded
	}
	g.narrowed = time.Now()
	if excess := g.throttled.of() - noise; excess > 0 {
		g.width = max(g.width*(1-excess/2), float64(min(leastWidth, g.most)))
		g.roof = 0
	}
	return g.throttled.of() > crowded
}

// pass says that a delivery got through, and how many were under way then.
func (g *Limiter) pass(began time.Time, running int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.throttled.add(false)
	if began.Before(g.trial.began) {
		return
	}
	g.latency.add(time.Since(began))
	g.full = g.full || running >= int(g.width)
	g.round++
	if g.full && g.width < g.roof && g.trial.width == 0 {
		g.widen(1)
	}
	if g.round < int(g.width) {
		return
	}
	if g.width <= startWidth {
		// So few make no queue: that is what it takes now.
		g.latency.base = g.latency.round
	}
	switch stretched := g.latency.stretched(g.latency.round); {
	case g.trial.width > 0:
		g.endTrial()
	case stretched && time.Since(g.queued) < baseline:
		g.shrink()
	case stretched:
		g.trial = trial{width: g.width, latency: g.latency.round, began: time.Now()}
		g.width = startWidth
	case g.full:
		g.quiet++
		g.widen(float64(g.quiet))
	}
	g.round, g.full, g.latency.round = 0, false, 0
}

// endTrial goes back to the width there was unless that was what made it slow.
func (g *Limiter) endTrial() {
	before := g.trial
	g.width, g.trial = before.width, trial{}
	if g.latency.stretched(before.latency) {
		g.queued = time.Now()
		g.shrink()
	}
}

// shrink narrows a little, as latency has grown because of us.
func (g *Limiter) shrink() { g.width, g.roof = max(g.width*(1-1.0/16), startWidth), 0 }

func (g *Limiter) widen(by float64) {
	g.width = min(g.width+by, float64(g.most))
}

// restart begins small after an outage: what comes back is not to be run over.
func (g *Limiter) restart() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.roof = max(g.roof, g.width, g.trial.width)
	g.width = min(g.width, 2*leastWidth)
	g.round, g.full, g.trial = 0, false, trial{}
}

// share is how large a part of recent ends is of one kind.
type share struct{ those, all float64 }

func (s *share) add(one bool) {
	if s.all >= memory {
		s.those, s.all = s.those/2, s.all/2
	}
	s.all++
	if one {
		s.those++
	}
}

func (s *share) of() float64 {
	if s.all == 0 {
		return 0
	}
	return s.those / s.all
}

// latency compares the quickest delivery of a round with the quickest there was
// lately: whatever the kinds of deliveries, a queue at the far side delays all.
type latency struct {
	// base is the quickest lately, least of this period, round of this round.
	base, least, round time.Duration
	began              time.Time
}

func (l *latency) add(took time.Duration) {
	took = max(took, time.Nanosecond)
	l.base, l.least, l.round = shorter(l.base, took), shorter(l.least, took), shorter(l.round, took)
	if now := time.Now(); now.Sub(l.began) > baseline {
		// It rises slowly: the queue that our own width makes must not become the
		// measure of what is quick.
		l.base, l.least, l.began = shorter(l.least, l.base+l.base/10), 0, now
	}
}

func (l *latency) stretched(took time.Duration) bool { return took > stretch*l.base+slack }

// shorter is the shorter of two times of which 0 is unknown.
func shorter(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}
