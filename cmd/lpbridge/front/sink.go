package front

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// mostHeard is how many events of the webhook channel are kept for pages that come
	// later.
	mostHeard = 2000
	// mostEvent is the largest event taken.
	mostEvent = 1 << 20
	// composingHolds is how long composing stands without being repeated, as the
	// channel's documentation tells its receivers.
	composingHolds = 15 * time.Second
)

// heardEvent is what the sink must know of an event of the webhook channel; the page
// gets the event as it came.
type heardEvent struct {
	ID     string `json:"id"`
	Type   string `json:"type"`
	Thread string `json:"thread"`
	Typing struct {
		State string `json:"state"`
	} `json:"typing"`
	LivePerson struct {
		DialogID  string  `json:"dialogId"`
		Sequences []int64 `json:"sequences"`
	} `json:"liveperson"`
}

// sink is the system behind the generic webhook: it takes what the bridge POSTs, once
// each, and gives it to the page.
type sink struct {
	watch *Watch

	mu    sync.Mutex
	seen  map[string]bool
	heard []json.RawMessage
	// composing is when an agent was last said to type, by thread.
	composing map[string]time.Time
}

func newSink(watch *Watch) *sink {
	return &sink{watch: watch, seen: map[string]bool{}, composing: map[string]time.Time{}}
}

// ServeHTTP takes one event.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostEvent))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		problem(w, http.StatusRequestEntityTooLarge, "the event is larger than "+strconv.Itoa(mostEvent)+" bytes", "")
		return
	}
	var e heardEvent
	if err != nil || json.Unmarshal(body, &e) != nil || e.ID == "" || e.Thread == "" {
		problem(w, http.StatusBadRequest, "want one event of the generic webhook, with id and thread", "")
		return
	}
	if s.take(&e, body) {
		s.note(&e)
		s.watch.stream.tell("webhook", json.RawMessage(body))
	}
	w.WriteHeader(http.StatusNoContent)
}

// take keeps an event and says whether it is a new one.
func (s *sink) take(e *heardEvent, body []byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Type == "typing" {
		delete(s.composing, e.Thread)
		if e.Typing.State == "composing" {
			s.composing[e.Thread] = time.Now()
		}
		return true
	}
	if s.seen[e.ID] {
		return false
	}
	if e.Type == "message" {
		delete(s.composing, e.Thread)
	}
	if len(s.heard) >= mostHeard {
		s.heard, s.seen = nil, map[string]bool{}
	}
	s.seen[e.ID] = true
	s.heard = append(s.heard, body)
	return true
}

func (s *sink) note(e *heardEvent) {
	switch e.Type {
	case "typing":
		s.watch.shownTyping("webhook", e.Typing.State == "composing")
	case "message":
		s.watch.shownTyping("webhook", false)
		for _, sequence := range e.LivePerson.Sequences {
			s.watch.shown(&position{e.LivePerson.DialogID, sequence}, "")
		}
	}
}

// thread is what was heard of a thread.
func (s *sink) thread(id string) []json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := []json.RawMessage{}
	for _, body := range s.heard {
		var e heardEvent
		if json.Unmarshal(body, &e) == nil && e.Thread == id {
			found = append(found, body)
		}
	}
	return found
}

// left is in how many threads an agent is still said to type by a bridge that
// neither repeated it nor ended it.
func (s *sink) left() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, since := range s.composing {
		if time.Since(since) > composingHolds {
			n++
		}
	}
	return n
}
