package chatwootapi

import (
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

func TestCacheKeepsTheMostRecent(t *testing.T) {
	c := newCache[int, int](2)
	loads := 0
	load := func(v int) func() (int, error) {
		return func() (int, error) { loads++; return v, nil }
	}
	for _, key := range []int{1, 2, 1, 3} {
		if v, err := c.get(key, load(key)); v != key || err != nil {
			t.Fatalf("get(%d) = %d, %v", key, v, err)
		}
	}
	if loads != 3 {
		t.Errorf("%d loads, want 3", loads)
	}
	_, _ = c.get(1, load(1))
	_, _ = c.get(3, load(3))
	if loads != 3 {
		t.Errorf("%d loads: a recent value was dropped", loads)
	}
	_, _ = c.get(2, load(2))
	if loads != 4 || len(c.items) != 2 || c.order.Len() != 2 {
		t.Errorf("%d loads, %d items: the cache is not bounded", loads, len(c.items))
	}
}

func TestCacheDoesNotKeepErrors(t *testing.T) {
	c := newCache[int, int](2)
	if _, err := c.get(1, func() (int, error) { return 9, errors.New("away") }); err == nil {
		t.Fatal("no error")
	}
	if v, err := c.get(1, func() (int, error) { return 1, nil }); v != 1 || err != nil {
		t.Errorf("get = %d, %v", v, err)
	}
}

// TestCacheWriterWins has a write come between a reader's load and its insert.
func TestCacheWriterWins(t *testing.T) {
	for name, write := range map[string]func(c *cache[int, int]){
		"put": func(c *cache[int, int]) { c.put(1, 2) }, "forget": func(c *cache[int, int]) { c.forget(1) },
	} {
		c := newCache[int, int](2)
		if v, _ := c.get(1, func() (int, error) { write(c); return 1, nil }); v != 1 {
			t.Errorf("%s: the reader got %d", name, v)
		}
		if v, _ := c.get(1, func() (int, error) { return 2, nil }); v != 2 {
			t.Errorf("%s: the old value %d was kept", name, v)
		}
	}
}

// TestCacheNeverGoesBack has readers and writers at work: a reader that begins
// after a write ended must not see an older value.
func TestCacheNeverGoesBack(t *testing.T) {
	const keys = 40
	c := newCache[int, int64](keys / 2)
	var stored [keys]atomic.Int64
	var mu locks[int]
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 2000 {
				key := rand.IntN(keys)
				unlock := mu.lock(key)
				c.put(key, stored[key].Add(1))
				unlock()
			}
		})
		wg.Go(func() {
			for range 2000 {
				key := rand.IntN(keys)
				unlock := mu.lock(key)
				want := stored[key].Load()
				if v, err := c.get(key, func() (int64, error) { return stored[key].Load(), nil }); err != nil || v != want {
					t.Errorf("key %d: %d, want %d", key, v, want)
				}
				unlock()
			}
		})
		wg.Go(func() {
			for range 2000 {
				key := rand.IntN(keys)
				_, _ = c.get(key, func() (int64, error) { return stored[key].Load(), nil })
			}
		})
	}
	wg.Wait()
	if len(mu.held) != 0 {
		t.Errorf("%d locks are left", len(mu.held))
	}
}
