package lpauth

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// flightTimeout bounds one lookup with all its repeats.
const flightTimeout = 45 * time.Second

// flights runs at most one lookup per key for any number of callers. A lookup
// outlives the caller who started it: that caller's cancellation must not fail
// the others.
type flights[K comparable, V any] struct {
	mu      sync.Mutex
	running map[K]*flight[V]
	closed  bool
	wg      sync.WaitGroup
}

type flight[V any] struct {
	done   chan struct{}
	cancel context.CancelFunc
	value  V
	err    error
}

// start joins the lookup of key that is under way, or starts one.
func (g *flights[K, V]) start(ctx context.Context, key K, lookup func(context.Context) (V, error)) *flight[V] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if f, ok := g.running[key]; ok {
		return f
	}
	f := &flight[V]{done: make(chan struct{})}
	if g.closed {
		f.err = ErrClosed
		close(f.done)
		return f
	}
	ctx, f.cancel = context.WithTimeout(context.WithoutCancel(ctx), flightTimeout)
	if g.running == nil {
		g.running = make(map[K]*flight[V])
	}
	g.running[key] = f
	g.wg.Go(func() {
		defer f.cancel()
		f.value, f.err = guarded(ctx, lookup)
		g.mu.Lock()
		delete(g.running, key)
		g.mu.Unlock()
		close(f.done)
	})
	return f
}

// under tells whether a lookup of key is under way.
func (g *flights[K, V]) under(key K) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.running[key]
	return ok
}

// wait gives the lookup's result, or the caller's own cancellation.
func (f *flight[V]) wait(ctx context.Context) (V, error) {
	select {
	case <-f.done:
		return f.value, f.err
	default:
	}
	select {
	case <-f.done:
		return f.value, f.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// close cancels what is under way and waits for it.
func (g *flights[K, V]) close() {
	g.mu.Lock()
	g.closed = true
	for _, f := range g.running {
		f.cancel()
	}
	g.mu.Unlock()
	g.wg.Wait()
}

func guarded[V any](ctx context.Context, lookup func(context.Context) (V, error)) (value V, err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case runtime.Error:
			err = fmt.Errorf("panicked: %w", r)
		default:
			// The value may hold anything, a token included.
			err = fmt.Errorf("panicked with a %T", r)
		}
	}()
	return lookup(ctx)
}
