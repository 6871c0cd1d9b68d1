package scenario

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// event is what goes to the connector and comes from it; whatever else it has is ignored.
type event struct {
	ID       string    `json:"id,omitempty"`
	Type     string    `json:"type"`
	Thread   string    `json:"thread"`
	Consumer *consumer `json:"consumer,omitempty"`
	Message  *message  `json:"message,omitempty"`
	Typing   *typing   `json:"typing,omitempty"`
}

type consumer struct {
	ID string `json:"id"`
}

type message struct {
	Text string `json:"text"`
}

type typing struct {
	State string `json:"state"`
}

// shown is a message that reached the channel.
type shown struct {
	thread, text string
}

// channel is what the consumers have in hand.
type channel struct {
	url, token string
	client     *http.Client
	down       atomic.Bool

	mu    sync.Mutex
	seen  map[string]bool
	shown []shown
	// typing holds the last word about each thread's agent.
	typing map[string]string
}

func newChannel(url, token string) *channel {
	return &channel{
		url: url, token: token, client: &http.Client{Timeout: 30 * time.Second},
		seen: map[string]bool{}, typing: map[string]string{},
	}
}

// repeatEvery is the pause before an event is sent again that was not taken.
const repeatEvery = 500 * time.Millisecond

// send gives an event to the connector until it is taken.
func (c *channel) send(ctx context.Context, e event) error {
	e.ID = uuid.NewString()
	body, err := json.Marshal(e)
	if err != nil {
		return err
	}
	for {
		answer, err := c.post(ctx, body)
		if err == nil && answer/100 == 2 {
			return nil
		}
		if err == nil {
			err = fmt.Errorf("it answered %d", answer)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the connector did not take a %s: %w", e.Type, err)
		case <-time.After(repeatEvery):
		}
	}
}

func (c *channel) post(ctx context.Context, body []byte) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	return resp.StatusCode, err
}

// ServeHTTP takes what the connector brings from LivePerson.
func (c *channel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var e event
	switch {
	case c.down.Load():
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case c.token != "" && r.Header.Get("Authorization") != "Bearer "+c.token:
		w.WriteHeader(http.StatusUnauthorized)
		return
	case json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&e) != nil:
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	c.take(e)
	w.WriteHeader(http.StatusNoContent)
}

// take notes an event, and one with a known id once.
func (c *channel) take(e event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.ID != "" && c.seen[e.ID] {
		return
	}
	c.seen[e.ID] = true
	switch {
	case e.Type == "message" && e.Message != nil:
		c.shown = append(c.shown, shown{e.Thread, strings.TrimSpace(e.Message.Text)})
		delete(c.typing, e.Thread)
	case e.Type == "typing" && e.Typing != nil:
		c.typing[e.Thread] = e.Typing.State
	}
}

// state is what the consumers see.
func (c *channel) state() (all []shown, composing []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for thread, state := range c.typing {
		if state == "composing" {
			composing = append(composing, thread)
		}
	}
	return append(all, c.shown...), composing
}
