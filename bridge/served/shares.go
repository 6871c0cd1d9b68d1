package served

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"
)

// ShareLimits are what one consumer may have of what all consumers of a channel have
// together.
type ShareLimits struct {
	// AtOnce is how many requests may be under way.
	AtOnce int
	// Bytes is how many bytes of bodies may be in flight, beyond what is free of
	// each.
	Bytes int64
	// PerMinute is how many requests there may be in a minute; 0 for no limit.
	PerMinute int
}

// PartOf is how many of a channel's slots one consumer, or one source, may have: most,
// or a part of the slots where that is less. Slots are 0 where there is no bound.
func PartOf(slots, most, part int) int {
	if slots <= 0 {
		return most
	}
	return max(1, min(most, slots/part))
}

// Shares keep one consumer of a channel from leaving nothing to the others.
type Shares struct {
	limits ShareLimits
	rates  *limiters[string]
	taken  Registry[string, share]
}

// share is what one consumer has.
type share struct {
	mu       sync.Mutex
	requests int
	bytes    *Budget
}

// NewShares gives each consumer the same.
func NewShares(limits ShareLimits) *Shares {
	return &Shares{limits: limits, rates: newLimiters[string](limits.PerMinute)}
}

// ShareError means that a consumer has as much as one may. It is told with 429.
type ShareError struct {
	// RetryAfter is when there will be more.
	RetryAfter time.Duration
}

// Error implements error.
func (e *ShareError) Error() string {
	return fmt.Sprintf("this consumer has as much under way as one may; more after %s", e.RetryAfter)
}

// shareRetry is when who has too much under way is to come again.
const shareRetry = 2 * time.Second

// Enter begins a request of a consumer, which must be left again. The error is a
// *[ShareError].
func (s *Shares) Enter(ctx context.Context, consumer string) (*Share, error) {
	if err := s.Spend(ctx, consumer); err != nil {
		return nil, err
	}
	one, release := s.taken.Hold(consumer, func() *share { return &share{bytes: NewBudget(s.limits.Bytes)} })
	one.mu.Lock()
	defer one.mu.Unlock()
	if one.requests >= s.limits.AtOnce {
		release()
		return nil, &ShareError{RetryAfter: shareRetry}
	}
	one.requests++
	return &Share{one, release}, nil
}

// Spend counts a request that is answered at once, such as a frame of a socket. The
// error is a *[ShareError].
func (s *Shares) Spend(ctx context.Context, consumer string) error {
	if wait := s.rates.spend(ctx, consumer); wait > 0 {
		return &ShareError{RetryAfter: wait}
	}
	return nil
}

// Share is what a request has of its consumer's; nil is one without limits.
type Share struct {
	one     *share
	release func()
}

// Leave ends the request.
func (s *Share) Leave() {
	if s == nil {
		return
	}
	s.one.mu.Lock()
	s.one.requests--
	s.one.mu.Unlock()
	s.release()
}

// Reader reads a body within the consumer's share and the budget of all. What is free
// of them is how much everybody may hold, so that who sends little is not kept out by
// who sends much. It ends with a *[ShareError] or [ErrBudget].
func (s *Share) Reader(all *Budget, body io.Reader, free int64) *BudgetReader {
	r := all.Reader(body, free)
	if s != nil {
		r.own = s.one.bytes
	}
	return r
}
