package relay

import (
	"context"
	"sync"
)

// mutexes lets those who share a key act one after the other. The zero value is
// ready for use; keys nobody holds take no memory.
type mutexes struct {
	mu   sync.Mutex
	held map[string]*mutex
}

// mutex is what those who share a key wait for.
type mutex struct {
	free chan struct{}
	// users is guarded by mutexes.mu.
	users int
}

// lock waits until nobody else holds the key. done gives it up.
func (s *mutexes) lock(ctx context.Context, key string) (done func(), err error) {
	s.mu.Lock()
	t := s.held[key]
	if t == nil {
		t = &mutex{free: make(chan struct{}, 1)}
		t.free <- struct{}{}
		if s.held == nil {
			s.held = map[string]*mutex{}
		}
		s.held[key] = t
	}
	t.users++
	s.mu.Unlock()
	select {
	case <-t.free:
		return func() {
			t.free <- struct{}{}
			s.leave(key, t)
		}, nil
	case <-ctx.Done():
		s.leave(key, t)
		return nil, ctx.Err()
	}
}

func (s *mutexes) leave(key string, t *mutex) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(s.held, key)
	}
}
