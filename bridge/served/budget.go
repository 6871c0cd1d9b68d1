package served

import "sync/atomic"

// Budget bounds the bytes that many requests or connections hold together.
type Budget struct {
	most  int64
	taken atomic.Int64
}

// NewBudget returns a budget of so many bytes.
func NewBudget(most int64) *Budget { return &Budget{most: most} }

// Take reports whether n more bytes may be held. They are then taken until they
// are given back.
func (b *Budget) Take(n int64) bool {
	if b.taken.Add(n) > b.most {
		b.taken.Add(-n)
		return false
	}
	return true
}

// Give gives bytes back.
func (b *Budget) Give(n int64) { b.taken.Add(-n) }

// Taken is how many bytes are held.
func (b *Budget) Taken() int64 { return b.taken.Load() }
