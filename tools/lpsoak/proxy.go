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
	daemon *daemon
	killer *killer
	client *http.Client

	mu  sync.Mutex
	rng *rand.Rand
	// taken says when each agent's message was first promised to be kept.
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

// promise is the time between a request and its 200.
type promise struct{ asked, given time.Time }

func newProxy(d *daemon, k *killer, rng *rand.Rand) *proxy {
	return &proxy{daemon: d, killer: k, rng: rng, client: &http.Client{Timeout: 10 * time.Second}, taken: map[position]promise{}, echoes: map[position]time.Time{}}
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	asked := time.Now()
	status := p.forward(r, body)
	if status != http.StatusOK {
		p.mu.Lock()
		p.refused++
		p.mu.Unlock()
		w.WriteHeader(status)
		return
	}
	if p.note(body, promise{asked, time.Now()}) {
		p.killer.reached(whileNotified)
	}
	if p.forgets() {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusOK)
}

// forward passes a notification on and returns lpbridge's answer.
func (p *proxy) forward(r *http.Request, body []byte) int {
	address := p.daemon.address()
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

// note remembers the promise for each message in a notification and reports
// whether there was one of an agent.
func (p *proxy) note(body []byte, made promise) bool {
	n, err := connector.ParseNotification(body)
	if err != nil {
		return false
	}
	messages, ok := n.(*connector.MessagingEventNotification)
	if !ok {
		return false
	}
	found := false
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range messages.Changes {
		c := &messages.Changes[i]
		at := position{string(c.DialogID), int64(c.Sequence)}
		if c.Event.Type == connector.TypeChatStateEvent && !c.FromConsumer() {
			p.typed = made.given
		}
		if c.Event.Type != connector.TypeContentEvent {
			continue
		}
		if c.FromConsumer() {
			if p.echoes[at].IsZero() {
				p.echoes[at] = made.given
			}
			continue
		}
		found = true
		if _, known := p.taken[at]; !known {
			p.taken[at] = made
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
