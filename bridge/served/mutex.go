package served

import "sync"

// Registry holds a value per key for as long as somebody wants it.
type Registry[K comparable, V any] struct {
	mu   sync.Mutex
	held map[K]*holding[V]
}

type holding[V any] struct {
	value *V
	wants int
}

// Hold returns the value of a key, made now if nobody held it, and the function
// that lets it go.
func (r *Registry[K, V]) Hold(key K, create func() *V) (value *V, release func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := r.held[key]
	if h == nil {
		if r.held == nil {
			r.held = map[K]*holding[V]{}
		}
		h = &holding[V]{value: create()}
		r.held[key] = h
	}
	h.wants++
	return h.value, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if h.wants--; h.wants == 0 {
			delete(r.held, key)
		}
	}
}

// Held returns the value of a key, nil while nobody holds it.
func (r *Registry[K, V]) Held(key K) *V {
	r.mu.Lock()
	defer r.mu.Unlock()
	if h := r.held[key]; h != nil {
		return h.value
	}
	return nil
}

// Len is how many keys are held.
func (r *Registry[K, V]) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.held)
}

// Mutexes are mutexes by key, which exist only while somebody wants them. The
// zero value is ready.
type Mutexes[K comparable] struct {
	registry Registry[K, sync.Mutex]
}

// Lock waits for the key and returns the function that lets it go.
func (m *Mutexes[K]) Lock(key K) (unlock func()) {
	mu, release := m.registry.Hold(key, func() *sync.Mutex { return &sync.Mutex{} })
	mu.Lock()
	return func() {
		mu.Unlock()
		release()
	}
}

// Len is how many keys are locked or waited for.
func (m *Mutexes[K]) Len() int { return m.registry.Len() }
