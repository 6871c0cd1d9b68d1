package lpsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	heartbeat     = 15 * time.Second
	streamBacklog = 512
)

// stream is everything that happens, for whoever watches. A watcher that falls behind is dropped: it may come back
// and read the present state.
type stream struct {
	watchers atomic.Int64 // lets publish cost nothing while nobody watches

	mu     sync.Mutex
	subs   map[*subscriber]struct{}
	number int64
	ended  bool
}

type subscriber struct {
	events chan []byte // closed when dropped
}

func newStream() *stream { return &stream{subs: map[*subscriber]struct{}{}} }

// publish writes an event at once, since what describe reads may change afterwards.
func (s *stream) publish(kind string, describe func() any) {
	if s.watchers.Load() == 0 {
		return
	}
	data, err := json.Marshal(describe())
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	event := fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", s.number, kind, data)
	for sub := range s.subs {
		select {
		case sub.events <- event:
		default:
			s.drop(sub)
		}
	}
}

func (s *stream) drop(sub *subscriber) {
	if _, ok := s.subs[sub]; ok {
		delete(s.subs, sub)
		s.watchers.Add(-1)
		close(sub.events)
	}
}

func (s *stream) subscribe() *subscriber {
	sub := &subscriber{make(chan []byte, streamBacklog)}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		close(sub.events)
		return sub
	}
	s.subs[sub] = struct{}{}
	s.watchers.Add(1)
	return sub
}

func (s *stream) unsubscribe(sub *subscriber) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(sub)
}

func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for sub := range s.subs {
		s.drop(sub)
	}
}

// serve is GET /sim/events.
func (s *stream) serve(w http.ResponseWriter, r *http.Request) {
	sub := s.subscribe()
	defer s.unsubscribe(sub)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no")
	control := http.NewResponseController(w)
	send := func(data []byte) bool {
		// A server-wide write timeout would end every stream; a reader that is stuck must still be noticed.
		control.SetWriteDeadline(time.Now().Add(heartbeat))
		_, err := w.Write(data)
		return err == nil && control.Flush() == nil
	}
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	if !send([]byte("retry: 1000\nevent: hello\ndata: {}\n\n")) {
		return
	}
	for {
		select {
		case event, ok := <-sub.events:
			if !ok || !send(event) {
				return
			}
		case <-tick.C:
			if !send([]byte(": still here\n\n")) {
				return
			}
		case <-r.Context().Done():
			return
		}
	}
}
