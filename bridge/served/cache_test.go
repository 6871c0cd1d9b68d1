package served

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func intCache() *Cache[int, int64] { return NewCache[int](1<<20, func(int64) int { return 8 }) }

// TestCacheIsBoundedByBytes has values of very different sizes come and go.
func TestCacheIsBoundedByBytes(t *testing.T) {
	const most = 1 << 20
	c := NewCache[int](most, func(s string) int { return len(s) })
	for i := range 1000 {
		c.Put(i, strings.Repeat("x", rand.IntN(50_000)))
		if got := c.bytes; got > most {
			t.Fatalf("%d bytes are kept, more than %d", got, most)
		}
	}
	if got := c.bytes; got < most/2 {
		t.Errorf("%d bytes are kept: the cache keeps next to nothing", got)
	}
}

func TestCacheDoesNotKeepErrors(t *testing.T) {
	c := intCache()
	away := errors.New("away")
	if _, err := c.Get(t.Context(), 1, func(context.Context) (int64, error) { return 9, away }); !errors.Is(err, away) {
		t.Fatalf("error %v", err)
	}
	if v, err := c.Get(t.Context(), 1, func(context.Context) (int64, error) { return 1, nil }); v != 1 || err != nil {
		t.Errorf("Get = %d, %v", v, err)
	}
}

// TestCacheWriterWins has a write come between a reader's load and its keeping
// what it loaded.
func TestCacheWriterWins(t *testing.T) {
	for name, write := range map[string]func(c *Cache[int, int64]){
		"put":    func(c *Cache[int, int64]) { c.Put(1, 2) },
		"forget": func(c *Cache[int, int64]) { c.Forget(1) },
	} {
		c := intCache()
		var stored atomic.Int64
		stored.Store(1)
		loads := 0
		_, err := c.Get(t.Context(), 1, func(context.Context) (int64, error) {
			was := stored.Load()
			if loads++; loads == 1 {
				stored.Store(2)
				done := make(chan struct{})
				go func() {
					write(c)
					close(done)
				}()
				<-done
			}
			return was, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		v, err := c.Get(t.Context(), 1, func(context.Context) (int64, error) { return stored.Load(), nil })
		if err != nil || v != 2 {
			t.Errorf("%s: the old value %d was kept (%v)", name, v, err)
		}
	}
}

// TestCacheNeverGoesBack has readers and writers at work: a reader that begins
// after a write ended must not see an older value.
func TestCacheNeverGoesBack(t *testing.T) {
	const keys = 40
	c := NewCache[int](keys/2*(entryBytes+8), func(int64) int { return 8 })
	var stored [keys]atomic.Int64
	var mutexes Mutexes[int]
	load := func(key int) func(context.Context) (int64, error) {
		return func(context.Context) (int64, error) { return stored[key].Load(), nil }
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 2000 {
				key := rand.IntN(keys)
				unlock := mutexes.Lock(key)
				c.Put(key, stored[key].Add(1))
				unlock()
			}
		})
		wg.Go(func() {
			for range 2000 {
				key := rand.IntN(keys)
				unlock := mutexes.Lock(key)
				want := stored[key].Load()
				if v, err := c.Get(t.Context(), key, load(key)); err != nil || v != want {
					t.Errorf("key %d: %d, want %d (%v)", key, v, want, err)
				}
				unlock()
			}
		})
		wg.Go(func() {
			for range 2000 {
				key := rand.IntN(keys)
				_, _ = c.Get(t.Context(), key, load(key))
			}
		})
	}
	wg.Wait()
	if n := mutexes.Len(); n != 0 {
		t.Errorf("%d mutexes are left", n)
	}
}

func TestWeighCountsWhatIsInside(t *testing.T) {
	long := strings.Repeat("x", 1000)
	for name, v := range map[string]any{
		"text": long, "list": []any{long}, "value": map[string]any{"k": long}, "key": map[string]any{long: true},
		"deep": map[string]any{"a": []any{map[string]any{"b": long}}},
	} {
		if got := Weigh(v); got < 1000 || got > 2000 {
			t.Errorf("%s weighs %d", name, got)
		}
	}
	many := map[string]any{}
	for i := range 1000 {
		many[strings.Repeat("k", i%7)+string(rune('a'+i))] = nil
	}
	if got := Weigh(many); got < 1000*valueBytes {
		t.Errorf("a thousand empty values weigh %d", got)
	}
}
