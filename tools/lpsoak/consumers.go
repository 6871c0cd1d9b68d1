package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"lpbridge/bridge"
)

// sendTime is how long a consumer's system waits for lpbridge.
const sendTime = 10 * time.Second

// consumers is the channel's sending side: it repeats what was not answered
// with 2xx, under the same id, as every sender must.
type consumers struct {
	bridge entrance
	killer *killer
	secret string
	sign   *standardwebhooks.Webhook
	client *http.Client
	// repeated texts make echoes harder to tell apart.
	sameTexts bool

	// first is a request without typing that was accepted early, for who asks whether
	// somebody serves.
	first atomic.Pointer[request]

	accepted atomic.Int64
	retries  atomic.Int64
	late     atomic.Int64

	mu     sync.Mutex
	broken []string
}

func newConsumers(o options, secret string, e entrance, k *killer) (*consumers, error) {
	sign, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = o.threads
	return &consumers{
		bridge: e, killer: k, secret: secret, sign: sign, sameTexts: o.notifications,
		client: &http.Client{Transport: transport, Timeout: sendTime},
	}, nil
}

// consumer writes in one thread.
type consumer struct {
	all    *consumers
	rng    *rand.Rand
	thread string
	id     string
	// said are the texts in the order of their acceptance.
	said []string
	next int
}

func newConsumer(all *consumers, rng *rand.Rand, i int) *consumer {
	return &consumer{all: all, rng: rng, thread: fmt.Sprintf("thread-%d", i), id: consumerName(i)}
}

func consumerName(i int) string { return fmt.Sprintf("consumer-%d", i) }

// write says n messages, with the given time between two of them on average.
func (c *consumer) write(ctx context.Context, n int, every time.Duration) error {
	for len(c.said) < n {
		if err := pause(ctx, time.Duration(c.rng.Int64N(int64(2*every)+1))); err != nil {
			return err
		}
		if c.rng.IntN(2) == 0 {
			c.types(ctx, bridge.Composing)
		}
		if err := c.say(ctx, min(n-len(c.said), 1+c.rng.IntN(8)/7)); err != nil {
			return err
		}
		if c.rng.IntN(4) == 0 {
			c.types(ctx, []bridge.TypingState{bridge.Paused, bridge.Stopped}[c.rng.IntN(2)])
		}
	}
	// Some never say that they stopped.
	if c.rng.IntN(3) == 0 {
		c.types(ctx, bridge.Composing)
	}
	return nil
}

// say sends n messages in one request until it is answered, and sometimes once
// more when nobody expects it.
func (c *consumer) say(ctx context.Context, n int) error {
	var events []bridge.Event
	if c.rng.IntN(5) == 0 {
		events = append(events, c.event(bridge.Event{Kind: bridge.KindTyping, Typing: &bridge.Typing{State: bridge.Composing}}))
	}
	for range n {
		id := bridge.EventID(fmt.Sprintf("%s-message-%d", c.thread, c.next))
		events = append(events, c.event(bridge.Event{ID: id, Kind: bridge.KindMessage, Message: &bridge.Message{Text: c.text()}}))
		c.next++
	}
	body, err := json.Marshal(events)
	if err != nil {
		return err
	}
	if err := c.untilAccepted(ctx, body, n); err != nil {
		return err
	}
	for _, e := range events[len(events)-n:] {
		c.said = append(c.said, e.Message.Text)
	}
	c.all.accepted.Add(int64(n))
	if n == len(events) {
		c.all.first.CompareAndSwap(nil, &request{body, n})
	}
	if c.rng.IntN(10) > 0 {
		return nil
	}
	c.all.late.Add(1)
	answer, status, err := c.post(ctx, body)
	if err == nil && status == http.StatusOK && answer.Duplicates != n {
		c.all.breaks("thread %s: messages sent again after their acceptance: want %d duplicates, got %d", c.thread, n, answer.Duplicates)
	}
	return nil
}

func (c *consumer) event(e bridge.Event) bridge.Event {
	e.Thread, e.Consumer = bridge.ThreadID(c.thread), &bridge.Consumer{ID: bridge.ConsumerID(c.id), FirstName: "Ana"}
	return e
}

func (c *consumer) text() string {
	if c.all.sameTexts && c.rng.IntN(5) == 0 {
		return "ok"
	}
	return fmt.Sprintf("message %d of %s", c.next, c.id)
}

// untilAccepted repeats a request until it is answered 2xx.
func (c *consumer) untilAccepted(ctx context.Context, body []byte, n int) error {
	for {
		call, cancel := ctx, context.CancelFunc(func() {})
		if c.rng.IntN(40) == 0 {
			// A sender that is gone before the answer.
			call, cancel = context.WithTimeout(ctx, time.Duration(c.rng.Int64N(int64(5*time.Millisecond))))
		}
		answer, status, err := c.post(call, body)
		cancel()
		switch {
		case err == nil && status == http.StatusOK:
			if got := answer.Accepted + answer.Duplicates; got < n {
				c.all.breaks("thread %s: 200 for %d messages counts only %d", c.thread, n, got)
			}
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && status < http.StatusInternalServerError:
			return fmt.Errorf("thread %s: lpbridge answered %d", c.thread, status)
		}
		c.all.retries.Add(1)
		if err := pause(ctx, 20*time.Millisecond+time.Duration(c.rng.Int64N(int64(150*time.Millisecond)))); err != nil {
			return err
		}
	}
}

// types reports typing once; nobody repeats typing.
func (c *consumer) types(ctx context.Context, state bridge.TypingState) {
	body, err := json.Marshal(c.event(bridge.Event{Kind: bridge.KindTyping, Typing: &bridge.Typing{State: state}}))
	if err == nil {
		_, _, _ = c.post(ctx, body)
	}
}

// request is one with messages.
type request struct {
	body     []byte
	messages int
}

// probeEvery is how often it is asked whether somebody serves.
const probeEvery = 50 * time.Millisecond

// probe sends an accepted request again and again until done is closed, so that somebody asks
// at any time. That it is known must survive whatever happens.
func (c *consumer) probe(ctx context.Context, done <-chan struct{}) error {
	for {
		select {
		case <-done:
			return nil
		default:
		}
		if err := pause(ctx, probeEvery); err != nil {
			return err
		}
		r := c.all.first.Load()
		if r == nil {
			continue
		}
		if answer, status, err := c.post(ctx, r.body); err == nil && status == http.StatusOK && answer.Duplicates != r.messages {
			c.all.breaks("a request sent again and again: want %d duplicates, got %d", r.messages, answer.Duplicates)
		}
	}
}

// accepted is lpbridge's answer.
type accepted struct{ Accepted, Duplicates int }

func (c *consumer) post(ctx context.Context, body []byte) (accepted, int, error) {
	var answer accepted
	address := c.all.bridge.address()
	if address == "" {
		return answer, http.StatusServiceUnavailable, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/channels/webhook", bytes.NewReader(body))
	if err != nil {
		return answer, 0, err
	}
	now, id := time.Now(), fmt.Sprintf("request-%d", c.rng.Uint64())
	signature, err := c.all.sign.Sign(id, now, body)
	if err != nil {
		return answer, 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, fmt.Sprint(now.Unix()))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	if c.rng.IntN(4) == 0 {
		defer c.dieMeanwhile()()
	}
	resp, err := c.all.client.Do(req)
	if err != nil {
		return answer, 0, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		return answer, resp.StatusCode, err
	}
	return answer, resp.StatusCode, json.Unmarshal(data, &answer)
}

// dieMeanwhile offers the killer a moment while a request is under way. The
// returned function withdraws the offer, or waits until the deed is done.
func (c *consumer) dieMeanwhile() (withdraw func()) {
	done := make(chan struct{})
	timer := time.AfterFunc(time.Duration(c.rng.Int64N(int64(3*time.Millisecond))), func() {
		c.all.killer.reached(whileAccepting)
		close(done)
	})
	return func() {
		if !timer.Stop() {
			<-done
		}
	}
}

// breaks notes a broken promise.
func (c *consumers) breaks(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = append(c.broken, fmt.Sprintf(format, args...))
}
