package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"lpbridge/bridge"
)

// How often the channel misbehaves. A 429 stops all deliveries to it for a
// second.
const (
	channelErrors    = 0.02
	channelThrottles = 0.0005
	channelLost      = 0.02
	channelAborts    = 0.01
	channelLatency   = 20 * time.Millisecond
)

// channel is the third-party system: it takes what lpbridge delivers and, as
// Standard Webhooks says, knows a repetition by its id.
type channel struct {
	killer *killer
	verify *standardwebhooks.Webhook

	mu      sync.Mutex
	rng     *rand.Rand
	calm    bool
	seen    map[string]bool
	threads map[string]*channelThread
	// repeats of messages were dropped, lost answers withheld, unsigned refused.
	repeats, lost, unsigned int
	typing                  int
}

// channelThread is what the consumer's screen shows of one thread.
type channelThread struct {
	messages []arrival
	// typing has who is shown as typing, since when.
	typing map[string]time.Time
}

// arrival is an agent's message on the consumer's screen.
type arrival struct {
	id       string
	text     string
	position position
}

func newChannel(secret string, k *killer, rng *rand.Rand) (*channel, error) {
	verify, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, err
	}
	return &channel{killer: k, verify: verify, rng: rng, seen: map[string]bool{}, threads: map[string]*channelThread{}}, nil
}

// whim is how one call goes wrong.
type whim int

const (
	behaves whim = iota
	fails
	throttles
	loses
	aborts
)

func (c *channel) whim() (whim, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	wait := time.Duration(c.rng.Int64N(int64(channelLatency)))
	if c.calm {
		return behaves, wait
	}
	roll := c.rng.Float64()
	for _, odds := range []struct {
		share float64
		whim  whim
	}{{channelErrors, fails}, {channelThrottles, throttles}, {channelLost, loses}, {channelAborts, aborts}} {
		if roll < odds.share {
			return odds.whim, wait
		}
		roll -= odds.share
	}
	return behaves, wait
}

func (c *channel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var e bridge.Event
	if c.verify.Verify(body, r.Header) != nil || json.Unmarshal(body, &e) != nil {
		c.mu.Lock()
		c.unsigned++
		c.mu.Unlock()
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	whim, wait := c.whim()
	if pause(r.Context(), wait) != nil {
		return
	}
	switch whim {
	case fails:
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	case throttles:
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return
	case aborts:
		panic(http.ErrAbortHandler)
	}
	c.take(r.Header.Get(standardwebhooks.HeaderWebhookID), &e)
	if e.Kind == bridge.KindMessage {
		c.killer.reached(whileDelivering)
	}
	if whim == loses {
		c.mu.Lock()
		c.lost++
		c.mu.Unlock()
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusOK)
}

// take shows an event unless it was shown before.
func (c *channel) take(id string, e *bridge.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen[id] {
		if e.Kind == bridge.KindMessage {
			c.repeats++
		}
		return
	}
	c.seen[id] = true
	t := c.ensureThread(string(e.Thread))
	switch e.Kind {
	case bridge.KindMessage:
		a := arrival{id: id, text: e.Message.Text}
		if e.Position != nil && len(e.Position.Sequences) > 0 {
			a.position = position{e.Position.Dialog, e.Position.Sequences[0]}
		}
		t.messages = append(t.messages, a)
		if e.Agent != nil {
			delete(t.typing, e.Agent.ID)
		}
	case bridge.KindTyping:
		c.typing++
		t.show(e)
	}
}

// typingKept is how long composing stands that is not repeated, as the generic
// channel documents it.
const typingKept = 15 * time.Second

// show follows typing as the generic channel documents it: the last word holds
// until another or a message comes.
func (t *channelThread) show(e *bridge.Event) {
	who := ""
	if e.Agent != nil {
		who = e.Agent.ID
	}
	if e.Typing.State == bridge.Composing {
		t.typing[who] = time.Now()
		return
	}
	delete(t.typing, who)
}

// ensureThread returns what is shown of a thread, and begins to show it.
func (c *channel) ensureThread(id string) *channelThread {
	t := c.threads[id]
	if t == nil {
		t = &channelThread{typing: map[string]time.Time{}}
		c.threads[id] = t
	}
	return t
}

// calmDown ends the misbehaviour.
func (c *channel) calmDown() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calm = true
}

// shownTyping returns the threads in which somebody is shown as typing.
func (c *channel) shownTyping() (typing []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, t := range c.threads {
		for _, since := range t.typing {
			if time.Since(since) < typingKept {
				typing = append(typing, fmt.Sprintf("%s, last told %.0f s ago", id, time.Since(since).Seconds()))
			}
		}
	}
	return typing
}
