package relay

import (
	"context"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// TestWorkersAreUsedAgain: one delivery after the other takes one goroutine.
func TestWorkersAreUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		w := &workers{ctx: ctx}
		names := map[string]bool{}
		for range 100 {
			w.spawn(func(context.Context) {
				var stack [64]byte
				name, _, _ := strings.Cut(string(stack[:runtime.Stack(stack[:], false)]), " [")
				names[name] = true
			})
			synctest.Wait()
		}
		cancel()
		if len(names) != 1 {
			t.Errorf("%d goroutines", len(names))
		}
	})
}

// TestWorkersDoAllTheyAreGiven: whoever spawns work counts on it, also while deliveries
// end; and no worker is left then.
func TestWorkersDoAllTheyAreGiven(t *testing.T) {
	for range 50 {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			w := &workers{ctx: ctx}
			const n = 3 * workersKept
			var done atomic.Int64
			for i := range n {
				if i == n/2 {
					go cancel()
				}
				w.spawn(func(context.Context) { done.Add(1) })
				if i%5 == 0 {
					runtime.Gosched()
				}
			}
			synctest.Wait()
			if done.Load() != n || len(w.idle) > 0 {
				t.Errorf("%d of %d done, %d workers rest", done.Load(), n, len(w.idle))
			}
		})
	}
}

// TestFewWorkersRest: after many deliveries at once only some are kept.
func TestFewWorkersRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := &workers{ctx: ctx}
		hold := make(chan struct{})
		for range 4 * workersKept {
			w.spawn(func(context.Context) { <-hold })
		}
		close(hold)
		synctest.Wait()
		if len(w.idle) != workersKept {
			t.Errorf("%d workers rest", len(w.idle))
		}
	})
}
