package main

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"lpbridge/connector"
)

// forgottenAnswers is the share of notifications whose acceptance LivePerson
// never hears of and so repeats.
const forgottenAnswers = 0.002

// proxy stands where LivePerson's webhooks go, because lpbridge is elsewhere
// after each start. It knows when lpbridge promised to keep which message.
type proxy struct {
	bridge entrance
	killer *killer
	client *http.Client

	mu  sync.Mutex
	rng *rand.Rand
	// asked says when lpbridge was first asked to keep each message, taken when it first
	// promised to keep an agent's.
	asked map[position]time.Time
	taken map[position]promise
	// echoes says when lpbridge first took the echo of a consumer's message.
	echoes map[position]time.Time
	// typed is when it last took what an agent types. LivePerson puts no time on that.
	typed time.Time
	// refused and forgotten count answers.
	refused, forgotten int
}

// position is where LivePerson put a message.
type position struct {
	dialog   string
	sequence int64
}

// promise is the time between the first request with a message and the first 200 to
// one: it may be in the journal since a request that was never answered.
type promise struct{ asked, given time.Time }

func newProxy(e entrance, k *killer, rng *rand.Rand) *proxy {
	return &proxy{bridge: e, killer: k, rng: rng, client: &http.Client{Timeout: 10 * time.Second}, asked: map[position]time.Time{}, taken: map[position]promise{}, echoes: map[position]time.Time{}}
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	messages := messagesIn(body)
	p.ask(messages)
	status := p.forward(r, body)
	if status != http.StatusOK {
		p.mu.Lock()
		p.refused++
		p.mu.Unlock()
		w.WriteHeader(status)
		return
	}
	if p.note(messages, time.Now()) {
		p.killer.reached(whileNotified)
	}
	if p.forgets() {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusOK)
}

// forward passes a notification on and returns lpbridge's answer.
func (p *proxy) forward(r *http.Request, body []byte) int {
	address := p.bridge.address()
	if address == "" {
		return http.StatusBadGateway
	}
	req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "http://"+address+r.URL.Path, bytes.NewReader(body))
	if err != nil {
		return http.StatusBadGateway
	}
	req.Header = r.Header.Clone()
	resp, err := p.client.Do(req)
	if err != nil {
		return http.StatusBadGateway
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// messagesIn are the messaging events of a notification, none where it has none.
func messagesIn(body []byte) []connector.MessagingChange {
	n, err := connector.ParseNotification(body)
	if err != nil {
		return nil
	}
	messages, ok := n.(*connector.MessagingEventNotification)
	if !ok {
		return nil
	}
	return messages.Changes
}

// ask remembers when lpbridge was first asked to keep each message. What becomes of an
// answer that does not come is not known: it may keep it since then.
func (p *proxy) ask(messages []connector.MessagingChange) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range messages {
		at := position{string(messages[i].DialogID), int64(messages[i].Sequence)}
		if messages[i].Event.Type == connector.TypeContentEvent && p.asked[at].IsZero() {
			p.asked[at] = time.Now()
		}
	}
}

// note remembers the promise for each message in a notification and reports
// whether there was one of an agent.
func (p *proxy) note(messages []connector.MessagingChange, given time.Time) bool {
	found := false
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range messages {
		c := &messages[i]
		at := position{string(c.DialogID), int64(c.Sequence)}
		if c.Event.Type == connector.TypeChatStateEvent && !c.FromConsumer() {
			p.typed = given
		}
		if c.Event.Type != connector.TypeContentEvent {
			continue
		}
		if c.FromConsumer() {
			if p.echoes[at].IsZero() {
				p.echoes[at] = given
			}
			continue
		}
		found = true
		if _, known := p.taken[at]; !known {
			p.taken[at] = promise{p.asked[at], given}
		}
	}
	return found
}

// heardTyping is when lpbridge last took what an agent types.
func (p *proxy) heardTyping() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.typed
}

func (p *proxy) forgets() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	forgets := p.rng.Float64() < forgottenAnswers
	if forgets {
		p.forgotten++
	}
	return forgets
}
