package lane

import (
	"sync"
	"time"
)

const (
	//  minInFlight is the fewest concurrent deliveries the limiter narrows to.
	minInFlight = 4
	// narrowEvery is the least time between two narrowings: one burst of 429s
	// that were under way together counts once.
	narrowEvery = time.Second
	// MinThrottle is the shortest pause after 429 (LivePerson, Retry Policy
	// Recommendations: at least one second between retries).
	MinThrottle = time.Second
)

// Limiter slows down everything that goes to one far side. LivePerson limits
// concurrent requests of the whole account, so a 429 on one lane closes the
// limiter for all, halves how many deliveries may run at once, and success opens
// it again little by little.
type Limiter struct {
	mu       sync.Mutex
	most     int
	now      int
	grown    int
	until    time.Time
	narrowed time.Time
}

// NewLimiter makes a limiter that lets at most so many deliveries run at once.
func NewLimiter(most int) *Limiter {
	return &Limiter{most: max(most, 1), now: max(most, 1)}
}

// limit is how many deliveries may run at once.
func (g *Limiter) limit() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

// closedUntil is when the next delivery may start.
func (g *Limiter) closedUntil() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.until
}

// Throttled closes the limiter for the stated time, at least a second.
func (g *Limiter) Throttled(after time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if until := now.Add(max(after, MinThrottle)); until.After(g.until) {
		g.until = until
	}
	if now.Sub(g.narrowed) >= narrowEvery {
		g.narrowed = now
		g.grown = 0
		g.now = max(g.now/2, min(minInFlight, g.most))
	}
}

// Passed says that a delivery got through.
func (g *Limiter) Passed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.now == g.most {
		return
	}
	if g.grown++; g.grown >= g.now {
		g.grown = 0
		g.now++
	}
}
