package bridge

import (
	"sync"
	"time"
)

const (
	// minInFlight is the fewest concurrent deliveries the gate narrows to.
	minInFlight = 4
	// narrowEvery is the least time between two narrowings: one burst of 429s
	// that were under way together counts once.
	narrowEvery = time.Second
	// minThrottle is the shortest pause after 429 (LivePerson, Retry Policy
	// Recommendations: at least one second between retries).
	minThrottle = time.Second
)

// gate slows down everything that goes to one far side. LivePerson limits
// concurrent requests of the whole account, so a 429 on one lane closes the
// gate for all, halves how many deliveries may run at once, and success opens
// it again little by little.
type gate struct {
	mu       sync.Mutex
	most     int
	now      int
	grown    int
	until    time.Time
	narrowed time.Time
}

func newGate(most int) *gate {
	return &gate{most: max(most, 1), now: max(most, 1)}
}

// limit is how many deliveries may run at once.
func (g *gate) limit() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now
}

// closedUntil is when the next delivery may start.
func (g *gate) closedUntil() time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.until
}

// throttled closes the gate for the stated time, at least a second.
func (g *gate) throttled(after time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if until := now.Add(max(after, minThrottle)); until.After(g.until) {
		g.until = until
	}
	if now.Sub(g.narrowed) >= narrowEvery {
		g.narrowed = now
		g.grown = 0
		g.now = max(g.now/2, min(minInFlight, g.most))
	}
}

// passed says that a delivery got through.
func (g *gate) passed() {
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
