package scenario

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/netip"
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
	spoil Spoil
	seen  map[string]bool
	shown []shown
	// refused were answered 410, and doubtful taken without an answer; how often each.
	refused, doubtful map[shown]int
	// typing holds the last word about each thread's agent.
	typing map[string]string
}

func newChannel(url, token string) *channel {
	return &channel{
		url: url, token: token, client: &http.Client{Timeout: 30 * time.Second},
		seen: map[string]bool{}, typing: map[string]string{}, refused: map[shown]int{}, doubtful: map[shown]int{},
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
	case !c.admits(r):
		http.Error(w, "want the bearer token of LPSIM_CHANNEL_TOKEN; without one, events are taken from this machine only", http.StatusUnauthorized)
		return
	case c.down.Load():
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&e) != nil:
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	status := c.take(e)
	if status == answerLost {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(status)
}

// admits lets in who has the token or, where there is none, who is on this machine and no page of another site.
func (c *channel) admits(r *http.Request) bool {
	if c.token != "" {
		return subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+c.token)) == 1
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && from.Addr().Unmap().IsLoopback() && http.NewCrossOriginProtection().Check(r) == nil
}

// answerLost is no status: the connection is closed without one.
const answerLost = 0

// take notes an event and gives the status of the answer. An event with a known id is noted once. One without an id can only be
// told by its words: after an answer that was lost, the same words in the same thread are the repetition.
func (c *channel) take(e event) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Type == "typing" && e.Typing != nil {
		c.typing[e.Thread] = e.Typing.State
	}
	if e.Type != "message" || e.Message == nil {
		return http.StatusNoContent
	}
	said := shown{e.Thread, strings.TrimSpace(e.Message.Text)}
	spoil := c.nextSpoil()
	switch {
	case spoil.Status == http.StatusGone:
		c.refused[said]++
	case spoil.Status == 0:
		c.show(e.ID, said, spoil.Lost)
	}
	switch {
	case spoil.Lost:
		return answerLost
	case spoil.Status != 0:
		return spoil.Status
	}
	return http.StatusNoContent
}

// show puts a message before the consumer, unless it is one that is there already.
func (c *channel) show(id string, said shown, lost bool) {
	known := id != "" && c.seen[id] || id == "" && c.doubtful[said] > 0
	if id == "" && known {
		c.doubtful[said]--
	}
	if lost && id == "" {
		c.doubtful[said]++
	}
	if known {
		return
	}
	c.seen[id] = true
	c.shown = append(c.shown, said)
	delete(c.typing, said.thread)
}

// nextSpoil is how the message at hand is answered wrongly, zero if it is not. The lock is held.
func (c *channel) nextSpoil() Spoil {
	if c.spoil.Times == 0 {
		return Spoil{}
	}
	c.spoil.Times--
	return c.spoil
}

func (c *channel) misbehave(s Spoil) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s.Times = max(s.Times, 1)
	c.spoil = s
}

// gone tells whether a message was answered 410, and how often it came.
func (c *channel) gone(said shown) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.refused[said]
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
