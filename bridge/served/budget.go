package served

import (
	"errors"
	"io"
	"sync/atomic"
)

// Budget bounds the bytes that many requests or connections hold together.
type Budget struct {
	most  int64
	taken atomic.Int64
}

// NewBudget returns a budget of so many bytes.
func NewBudget(most int64) *Budget { return &Budget{most: most} }

// take reports whether n more bytes may be held. They are then taken until they
// are given back.
func (b *Budget) take(n int64) bool {
	if b.taken.Add(n) > b.most {
		b.taken.Add(-n)
		return false
	}
	return true
}

// give gives bytes back.
func (b *Budget) give(n int64) { b.taken.Add(-n) }

// Taken is how many bytes are held.
func (b *Budget) Taken() int64 { return b.taken.Load() }

// ErrBudget means that as many bytes are held as may be.
var ErrBudget = errors.New("too many bytes are in flight")

// Reader reads a body within the budget. What is free of it is how much everybody
// may hold, so that who sends little is not kept out by who sends much.
func (b *Budget) Reader(body io.Reader, free int64) *BudgetReader {
	return &BudgetReader{body: body, budget: b, free: free}
}

// BudgetReader is a body that is read within a budget. It must be released when
// what was read is no longer held.
type BudgetReader struct {
	body        io.Reader
	budget      *Budget
	own         *Budget // of the consumer; nil for none
	free, taken int64
}

// Read implements [io.Reader]; it ends with [ErrBudget], or a *[ShareError].
func (r *BudgetReader) Read(p []byte) (int, error) {
	n, err := r.body.Read(p)
	over := int64(n) - r.free
	r.free = max(r.free-int64(n), 0)
	if over > 0 {
		if r.own != nil && !r.own.take(over) {
			return 0, &ShareError{RetryAfter: shareRetry}
		}
		if !r.budget.take(over) {
			r.giveOwn(over)
			return 0, ErrBudget
		}
		r.taken += over
	}
	return n, err
}

// Release gives back what was read.
func (r *BudgetReader) Release() {
	r.budget.give(r.taken)
	r.giveOwn(r.taken)
	r.taken = 0
}

func (r *BudgetReader) giveOwn(n int64) {
	if r.own != nil {
		r.own.give(n)
	}
}
