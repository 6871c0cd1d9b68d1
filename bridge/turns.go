package bridge

import (
	"context"
	"sync"
)

// turns lets those who share a key act one after the other. The zero value is
// ready for use; keys nobody holds take no memory.
type turns struct {
	mu   sync.Mutex
	held map[string]*turn
}

// turn is the place at which those who share a key wait.
type turn struct {
	free chan struct{}
	// users is guarded by turns.mu.
	users int
}

// take waits for the key's turn. done passes it on.
func (s *turns) take(ctx context.Context, key string) (done func(), err error) {
	s.mu.Lock()
	t := s.held[key]
	if t == nil {
		t = &turn{free: make(chan struct{}, 1)}
		t.free <- struct{}{}
		if s.held == nil {
			s.held = map[string]*turn{}
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

func (s *turns) leave(key string, t *turn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.users--; t.users == 0 {
		delete(s.held, key)
	}
}
