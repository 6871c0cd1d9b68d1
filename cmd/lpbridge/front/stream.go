package front

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// heartbeat finds pages that are gone.
	heartbeat = 15 * time.Second
	// behind is how many events a page may be late; it comes back and begins anew.
	behind = 512
)

// stream tells every open page what happens, as server-sent events.
type stream struct {
	mu    sync.Mutex
	pages map[chan []byte]struct{}
	ended bool
}

func newStream() *stream { return &stream{pages: map[chan []byte]struct{}{}} }

func event(kind string, v any) []byte {
	// Everything that is told is made of texts, numbers and lists of them.
	data, _ := json.Marshal(v)
	return fmt.Appendf(nil, "event: %s\ndata: %s\n\n", kind, data)
}

// tell hands an event to all pages. One that reads too slowly is let go.
func (s *stream) tell(kind string, v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pages) == 0 {
		return
	}
	data := event(kind, v)
	for page := range s.pages {
		select {
		case page <- data:
		default:
			s.drop(page)
		}
	}
}

func (s *stream) drop(page chan []byte) {
	if _, open := s.pages[page]; open {
		delete(s.pages, page)
		close(page)
	}
}

func (s *stream) open() chan []byte {
	page := make(chan []byte, behind)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		close(page)
		return page
	}
	s.pages[page] = struct{}{}
	return page
}

func (s *stream) leave(page chan []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(page)
}

// close ends all streams, so that a server can stop.
func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for page := range s.pages {
		s.drop(page)
	}
}

// serve answers with everything that is so, as the event hello, and then with what
// happens. What happens between the two is told twice rather than never.
func (s *stream) serve(w http.ResponseWriter, r *http.Request, hello func() any) {
	page := s.open()
	defer s.leave(page)
	w.Header().Set("Content-Type", "text/event-stream")
	control := http.NewResponseController(w)
	send := func(data []byte) bool {
		if control.SetWriteDeadline(time.Now().Add(heartbeat)) != nil {
			return false
		}
		_, err := w.Write(data)
		return err == nil && control.Flush() == nil
	}
	if !send(append([]byte("retry: 500\n"), event("hello", hello())...)) {
		return
	}
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case data, open := <-page:
			if !open || !send(data) {
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
