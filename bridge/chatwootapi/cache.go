package chatwootapi

import (
	"container/list"
	"hash/maphash"
	"sync"
)

// cacheSize is how many contacts, contact-inboxes and conversations are kept
// decoded each. A busy instance serves a few thousand people at a time.
const cacheSize = 16384

// cacheStripes is how many counters tell apart what changed while a reader was
// loading.
const cacheStripes = 256

// cache keeps the newest values of records near at hand, at most max of them.
//
// A value put by a writer always wins against one that a reader loaded before
// the write: a reader notes the stripe's counter before it loads, and what it
// loaded is kept only if no writer came by meanwhile. Values are shared and
// must not be changed.
type cache[K comparable, V any] struct {
	max  int
	seed maphash.Seed

	mu      sync.Mutex
	order   *list.List // of *cached[K, V], most recently used first
	items   map[K]*list.Element
	changes [cacheStripes]uint64
}

type cached[K comparable, V any] struct {
	key   K
	value V
}

func newCache[K comparable, V any](size int) *cache[K, V] {
	return &cache[K, V]{max: size, seed: maphash.MakeSeed(), order: list.New(), items: map[K]*list.Element{}}
}

// get returns the value of key, loading it when it is not at hand.
func (c *cache[K, V]) get(key K, load func() (V, error)) (V, error) {
	v, seen, ok := c.peek(key)
	if ok {
		return v, nil
	}
	v, err := load()
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.changes[c.stripe(key)] == seen {
		c.insert(key, v)
	}
	return v, nil
}

func (c *cache[K, V]) peek(key K) (v V, seen uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, found := c.items[key]; found {
		c.order.MoveToFront(e)
		return e.Value.(*cached[K, V]).value, 0, true
	}
	return v, c.changes[c.stripe(key)], false
}

// put replaces the value after it was written.
func (c *cache[K, V]) put(key K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes[c.stripe(key)]++
	c.insert(key, v)
}

// forget drops the value, after a write whose end is not known.
func (c *cache[K, V]) forget(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.changes[c.stripe(key)]++
	if e, ok := c.items[key]; ok {
		c.order.Remove(e)
		delete(c.items, key)
	}
}

func (c *cache[K, V]) insert(key K, v V) {
	if e, ok := c.items[key]; ok {
		e.Value.(*cached[K, V]).value = v
		c.order.MoveToFront(e)
		return
	}
	c.items[key] = c.order.PushFront(&cached[K, V]{key, v})
	if c.order.Len() > c.max {
		oldest := c.order.Back()
		c.order.Remove(oldest)
		delete(c.items, oldest.Value.(*cached[K, V]).key)
	}
}

func (c *cache[K, V]) stripe(key K) uint64 {
	return maphash.Comparable(c.seed, key) % cacheStripes
}

// locks are mutexes by key that exist only while somebody wants them.
type locks[K comparable] struct {
	mu   sync.Mutex
	held map[K]*keyLock
}

type keyLock struct {
	mu    sync.Mutex
	wants int
}

// lock waits for the key and returns the function that lets it go.
func (l *locks[K]) lock(key K) (unlock func()) {
	l.mu.Lock()
	if l.held == nil {
		l.held = map[K]*keyLock{}
	}
	k := l.held[key]
	if k == nil {
		k = &keyLock{}
		l.held[key] = k
	}
	k.wants++
	l.mu.Unlock()

	k.mu.Lock()
	return func() {
		k.mu.Unlock()
		l.mu.Lock()
		defer l.mu.Unlock()
		if k.wants--; k.wants == 0 {
			delete(l.held, key)
		}
	}
}
