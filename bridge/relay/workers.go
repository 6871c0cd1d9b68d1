package relay

import (
	"context"
	"slices"
	"sync"
)

// workersKept is how many workers without work are kept.
const workersKept = 128

// workers run deliveries on goroutines that are used again: a new one grows its
// stack, step by step and by copying, to what a call takes, for every message anew.
type workers struct {
	ctx context.Context

	mu   sync.Mutex
	idle []chan func(context.Context)
}

// spawn runs work on a goroutine of its own, with the context of all deliveries. It
// does not block.
func (w *workers) spawn(work func(context.Context)) {
	w.mu.Lock()
	last := len(w.idle) - 1
	if last < 0 {
		w.mu.Unlock()
		go w.serve(work)
		return
	}
	// Who rested last has its stack still in the processor's memory.
	next := w.idle[last]
	w.idle = w.idle[:last]
	w.mu.Unlock()
	next <- work
}

func (w *workers) serve(work func(context.Context)) {
	next := make(chan func(context.Context), 1)
	for work != nil {
		work(w.ctx)
		work = w.await(next)
	}
}

// await rests until there is work again, and returns nil when there are enough others
// or deliveries have ended.
func (w *workers) await(next chan func(context.Context)) func(context.Context) {
	w.mu.Lock()
	if len(w.idle) >= workersKept || w.ctx.Err() != nil {
		w.mu.Unlock()
		return nil
	}
	w.idle = append(w.idle, next)
	w.mu.Unlock()
	select {
	case work := <-next:
		return work
	case <-w.ctx.Done():
	}
	w.mu.Lock()
	at := slices.Index(w.idle, next)
	if at >= 0 {
		w.idle = slices.Delete(w.idle, at, at+1)
	}
	w.mu.Unlock()
	if at >= 0 {
		return nil
	}
	// It was called meanwhile, and who called counts on it.
	return <-next
}
