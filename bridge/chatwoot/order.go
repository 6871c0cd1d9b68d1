package chatwoot

import (
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

// last is the number of what comes after all messages that wait.
const last = math.MaxInt64

// order has webhooks of one conversation handled one at a time, and messages by
// their numbers, which Chatwoot counts up per account: its webhooks are sent by
// several workers and overtake each other. Which number comes next in a
// conversation nobody can know, so each message waits a short while for smaller
// ones. It waits in the handler of its request, which Chatwoot gives 5 s.
type order struct {
	hold time.Duration

	mu    sync.Mutex
	lines map[int64]*waiting
}

// waiting are the webhooks of one conversation, the next one first.
type waiting struct {
	tickets []*ticket
	busy    bool
	// moved is closed when one is done.
	moved chan struct{}
}

type ticket struct {
	number int64
	ready  time.Time
}

// enter waits for the turn of a message in its conversation, or of something
// else with the number last. The result must be called when it is done. A context
// that ends makes it wait for nothing but those that are being handled.
func (o *order) enter(ctx context.Context, conversation, number int64) (leave func()) {
	t := &ticket{number: number, ready: time.Now()}
	if number != last {
		t.ready = t.ready.Add(o.hold)
	}
	o.mu.Lock()
	if o.lines == nil {
		o.lines = map[int64]*waiting{}
	}
	line := o.lines[conversation]
	if line == nil {
		line = &waiting{moved: make(chan struct{})}
		o.lines[conversation] = line
	}
	i, _ := slices.BinarySearchFunc(line.tickets, number+1, func(t *ticket, n int64) int {
		if t.number < n {
			return -1
		}
		return 1
	})
	if number == last {
		i = len(line.tickets)
	}
	line.tickets = slices.Insert(line.tickets, i, t)
	for line.busy || line.tickets[0] != t || time.Now().Before(t.ready) {
		moved := line.moved
		o.mu.Unlock()
		t.wait(ctx, moved)
		o.mu.Lock()
	}
	line.busy = true
	o.mu.Unlock()
	return func() { o.leave(conversation, line, t) }
}

// wait returns when something may have changed.
func (t *ticket) wait(ctx context.Context, moved <-chan struct{}) {
	var due <-chan time.Time
	done := ctx.Done()
	if pause := time.Until(t.ready); pause > 0 {
		timer := time.NewTimer(pause)
		defer timer.Stop()
		due = timer.C
	} else {
		done = nil
	}
	select {
	case <-moved:
	case <-due:
	case <-done:
		t.ready = time.Now()
	}
}

func (o *order) leave(conversation int64, line *waiting, t *ticket) {
	o.mu.Lock()
	defer o.mu.Unlock()
	line.busy = false
	line.tickets = slices.DeleteFunc(line.tickets, func(other *ticket) bool { return other == t })
	close(line.moved)
	line.moved = make(chan struct{})
	if len(line.tickets) == 0 {
		delete(o.lines, conversation)
	}
}
