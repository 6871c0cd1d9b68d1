package journal

import (
	"context"
	"fmt"
	"sync"

	"lpbridge/bridge"
)

// numberBlock is how many numbers NextID sets aside at a time.
const numberBlock = 64

// counterKey names a counter.
type counterKey struct{ channel, kind string }

// numbers are those set aside for one counter and not handed out yet.
type numbers struct {
	// fetching lets one caller at a time fetch more.
	fetching chan struct{}
	// next to limit are free; the lock of counters guards them.
	next, limit int64
}

// unused is the end of a block of numbers that was not needed.
type unused struct {
	counterKey
	last, limit int64
}

// counters hand out the ids of records, some of which are set aside in memory.
type counters struct {
	// The writer takes mu within a transaction, so that whoever holds it must not
	// wait for the writer.
	mu      sync.Mutex
	numbers map[counterKey]*numbers
}

func newCounters() *counters { return &counters{numbers: map[counterKey]*numbers{}} }

// next hands out a number that nobody had, and fetches more through the writer
// when none is left.
func (c *counters) next(ctx context.Context, w *writer, k counterKey) (int64, error) {
	n := c.of(k)
	if id, ok := c.take(n); ok {
		return id, w.usable()
	}
	select {
	case n.fetching <- struct{}{}:
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	defer func() { <-n.fetching }()
	if id, ok := c.take(n); ok {
		return id, nil
	}
	s := &numberWrite{wait: newWait(), counterKey: k}
	if err := w.do(ctx, s); err != nil {
		return 0, fmt.Errorf("journal: next id: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	n.next, n.limit = s.last+2, s.last+numberBlock
	return s.last + 1, nil
}

func (c *counters) of(k counterKey) *numbers {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.numbers[k]
	if n == nil {
		n = &numbers{fetching: make(chan struct{}, 1), next: 1}
		c.numbers[k] = n
	}
	return n
}

func (c *counters) take(n *numbers) (int64, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.next > n.limit {
		return 0, false
	}
	n.next++
	return n.next - 1, true
}

// pass keeps next from returning the id of a saved record.
func (c *counters) pass(records []bridge.ChannelRecord) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range records {
		if n := c.numbers[counterKey{r.Channel, r.Kind}]; n != nil {
			n.next = max(n.next, r.ID+1)
		}
	}
}

// setAside returns the highest number that the database knows to be taken, as
// far as memory tells.
func (c *counters) setAside(k counterKey) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n := c.numbers[k]; n != nil {
		return n.limit
	}
	return 0
}

// unused returns what can be given back at the end.
func (c *counters) unused() []unused {
	c.mu.Lock()
	defer c.mu.Unlock()
	var back []unused
	for k, n := range c.numbers {
		if n.next <= n.limit {
			back = append(back, unused{k, n.next - 1, n.limit})
		}
	}
	return back
}

// numberWrite sets a block of numbers aside.
type numberWrite struct {
	wait
	counterKey
	// last is the number before the block.
	last int64
}

func (s *numberWrite) apply(t *transaction) error {
	s.last = 0
	if _, err := t.row(counterOf, []any{s.channel, s.kind}, &s.last); err != nil {
		return err
	}
	_, err := t.exec(raiseCounter, s.channel, s.kind, s.last+numberBlock)
	return err
}
