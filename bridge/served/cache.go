package served

import (
	"context"
	"encoding/json"

	"github.com/maypok86/otter/v2"
)

// Cache keeps values of records at hand, of at most so many bytes together.
//
// What a writer puts or forgets always wins against what a reader loaded before
// the write. Values are shared and must not be changed.
type Cache[K comparable, V any] struct {
	values *otter.Cache[K, V]
}

// NewCache returns a cache for values that bytesOf measures.
func NewCache[K comparable, V any](maxBytes int, bytesOf func(V) int) *Cache[K, V] {
	return &Cache[K, V]{otter.Must(&otter.Options[K, V]{
		MaximumWeight: uint64(maxBytes),
		Weigher:       func(_ K, v V) uint32 { return uint32(min(entryBytes+bytesOf(v), maxWeight)) },
		// Evicting is cheap, and who puts a value in finds the cache bounded.
		Executor: func(evict func()) { evict() },
	})}
}

const (
	// entryBytes is about what an entry costs beside its value.
	entryBytes = 256
	maxWeight  = 1 << 30
)

// Get returns the value of a key, loading it when it is not at hand. An error
// is not kept.
func (c *Cache[K, V]) Get(ctx context.Context, key K, load func(context.Context) (V, error)) (V, error) {
	return c.values.Get(ctx, key, otter.LoaderFunc[K, V](func(ctx context.Context, _ K) (V, error) { return load(ctx) }))
}

// Put replaces the value of a key after it was written.
func (c *Cache[K, V]) Put(key K, v V) { c.values.Set(key, v) }

// Forget drops the value of a key, after a write whose end is not known.
func (c *Cache[K, V]) Forget(key K) { c.values.Invalidate(key) }

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
