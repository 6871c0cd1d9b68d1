package served

import (
	"context"
	"encoding/json"
	"math"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Cache keeps values of records at hand, of at most so many bytes together.
//
// What a writer puts or forgets always wins against what a reader loaded before
// the write. Values are shared and must not be changed.
type Cache[K comparable, V any] struct {
	bytesOf func(V) int
	most    int

	mu     sync.Mutex
	values *simplelru.LRU[K, V]
	bytes  int
	// writes counts them: what was loaded before one is not kept after it.
	writes uint64
}

// NewCache returns a cache for values that bytesOf measures.
func NewCache[K comparable, V any](maxBytes int, bytesOf func(V) int) *Cache[K, V] {
	c := &Cache[K, V]{bytesOf: bytesOf, most: maxBytes}
	values, err := simplelru.NewLRU(math.MaxInt, func(_ K, v V) { c.bytes -= c.weigh(v) })
	if err != nil {
		// It has no other than that the size is not positive.
		panic(err)
	}
	c.values = values
	return c
}

// entryBytes is about what an entry costs beside its value.
const entryBytes = 256

func (c *Cache[K, V]) weigh(v V) int { return entryBytes + c.bytesOf(v) }

// Get returns the value of a key, loading it when it is not at hand. An error
// is not kept.
func (c *Cache[K, V]) Get(ctx context.Context, key K, load func(context.Context) (V, error)) (V, error) {
	c.mu.Lock()
	v, there := c.values.Get(key)
	seen := c.writes
	c.mu.Unlock()
	if there {
		return v, nil
	}
	v, err := load(ctx)
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if seen == c.writes {
		c.keep(key, v)
	}
	return v, nil
}

// Put replaces the value of a key after it was written.
func (c *Cache[K, V]) Put(key K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	c.keep(key, v)
}

// Forget drops the value of a key, after a write whose end is not known.
func (c *Cache[K, V]) Forget(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writes++
	c.values.Remove(key)
}

// keep is called with the lock held. What is too large for the whole cache does not
// stay.
func (c *Cache[K, V]) keep(key K, v V) {
	c.values.Remove(key)
	c.values.Add(key, v)
	c.bytes += c.weigh(v)
	for c.bytes > c.most {
		c.values.RemoveOldest()
	}
}

const (
	// valueBytes is about what a value of any type costs beside its content,
	// and pairBytes what a pair of a map does.
	valueBytes = 16
	pairBytes  = 64
)

// Weigh is about how many bytes of memory a decoded JSON value takes.
func Weigh(v any) int {
	switch v := v.(type) {
	case string:
		return valueBytes + len(v)
	case json.Number:
		return valueBytes + len(v)
	case map[string]any:
		sum := pairBytes
		for key, inner := range v {
			sum += pairBytes + len(key) + Weigh(inner)
		}
		return sum
	case []any:
		sum := pairBytes
		for _, inner := range v {
			sum += Weigh(inner)
		}
		return sum
	}
	return valueBytes
}
