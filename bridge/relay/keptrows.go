package relay

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"lpbridge/internal/packed"
)

const (
	// rowsInUse is how many rows of each kind stay in memory as they are used.
	rowsInUse = 2048
	// rowsPacked is how many bytes those of each kind that were used before them may
	// take. A hundred thousand threads whose ids are UUIDs take two thirds of it.
	rowsPacked = 16 << 20
)

// keptRows are the rows of one kind that stay in memory: some that were used last as
// they are, and of the others as many as fit into some bytes. A row that is neither
// is read again, which takes ten times as long as to unpack it.
type keptRows[K comparable, V any] struct {
	packKey func(b []byte, key K) []byte
	pack    func(b []byte, row *V) []byte
	unpack  func(b []byte, key K) *V

	// most is how many stay as they are.
	most int

	mu     sync.Mutex
	inUse  *simplelru.LRU[K, *V]
	packed *packed.Values
	// key and row are what was packed last.
	key, row []byte
}

func newKeptRows[K comparable, V any](
	most int, packKey func([]byte, K) []byte, pack func([]byte, *V) []byte, unpack func([]byte, K) *V,
) *keptRows[K, V] {
	r := &keptRows[K, V]{packKey: packKey, pack: pack, unpack: unpack, most: most, packed: packed.New(rowsPacked)}
	var err error
	if r.inUse, err = simplelru.NewLRU[K, *V](most, nil); err != nil {
		// It has no other than that most is not positive.
		panic(err)
	}
	return r
}

// get returns a row, nil when it is not in memory.
func (r *keptRows[K, V]) get(key K) *V {
	r.mu.Lock()
	defer r.mu.Unlock()
	if row, ok := r.inUse.Get(key); ok {
		return row
	}
	b, ok := r.packed.Get(r.keyOf(key))
	if !ok {
		return nil
	}
	row := r.unpack(b, key)
	r.use(key, row)
	return row
}

// put keeps a row in the place of what was known.
func (r *keptRows[K, V]) put(key K, row *V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.packed.Drop(r.keyOf(key))
	r.use(key, row)
}

// offer keeps a row unless one is there.
func (r *keptRows[K, V]) offer(key K, row *V) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, there := r.packed.Get(r.keyOf(key)); !there && !r.inUse.Contains(key) {
		r.use(key, row)
	}
}

// drop forgets a row.
func (r *keptRows[K, V]) drop(key K) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inUse.Remove(key)
	r.packed.Drop(r.keyOf(key))
}

func (r *keptRows[K, V]) keyOf(key K) []byte {
	r.key = r.packKey(r.key[:0], key)
	return r.key
}

// use keeps a row as it is, and packs the one that makes room for it.
func (r *keptRows[K, V]) use(key K, row *V) {
	if old, oldRow, ok := r.inUse.GetOldest(); ok && r.inUse.Len() >= r.most && !r.inUse.Contains(key) {
		r.row = r.pack(r.row[:0], oldRow)
		r.packed.Put(r.keyOf(old), r.row)
	}
	r.inUse.Add(key, row)
}
