package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"lpbridge/bridge"
)

const (
	// typingTimeout keeps a slow receiver from having its messages wait for
	// typing that is worthless by then.
	typingTimeout = 2 * time.Second
	// maxDrain is how much of an answer is read so that its connection can be
	// used again.
	maxDrain = 16 << 10
	// maxRetryAfter bounds what a receiver may ask us to wait, for a mistaken
	// header would otherwise stop a thread for good.
	maxRetryAfter = 24 * time.Hour
)

// errNoURL is what a delivery without WEBHOOK_URL ends with. The core makes
// none, because the channel then wants no events.
var errNoURL = errors.New("WEBHOOK_URL is not set")

// receiver is the far side at WEBHOOK_URL.
type receiver struct {
	url       *url.URL
	auth      authorizer
	transport http.RoundTripper
	timeout   time.Duration
}

func newReceiver(cfg Config, auth authorizer, client *http.Client) *receiver {
	r := &receiver{url: cfg.URL, auth: auth, transport: client.Transport, timeout: cfg.timeout()}
	if r.transport == nil {
		r.transport = http.DefaultTransport
	}
	return r
}

// exposed reports whether others could read along on the way.
func (r *receiver) exposed() bool {
	if r.url.Scheme == "https" || r.url.Hostname() == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(r.url.Hostname())
	return err != nil || !ip.IsLoopback()
}

// Deliver implements [bridge.Adapter] by one POST of the event. The header
// webhook-id is the event's id and so the same when the event is sent again,
// by which the receiver knows a repetition.
func (w *Webhook) Deliver(ctx context.Context, e *bridge.Event) error {
	if w.far == nil {
		return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: errNoURL}
	}
	return w.far.post(ctx, w.far.timeout, e)
}

// ShowTyping implements [bridge.Typist]. Every call has an id of its own, so
// that no receiver takes the second composing for a repetition of the first.
func (w *Webhook) ShowTyping(ctx context.Context, cue bridge.TypingCue) error {
	if w.far == nil {
		return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: errNoURL}
	}
	e := &bridge.Event{
		ID:     bridge.EventID("typing-" + rand.Text()),
		Kind:   bridge.KindTyping,
		Thread: cue.Thread,
		Time:   time.Now().UTC().Truncate(time.Millisecond),
		Typing: &bridge.Typing{State: cue.State},
	}
	if cue.Agent.ID != "" {
		e.Agent = &cue.Agent
	}
	return w.far.post(ctx, min(w.far.timeout, typingTimeout), e)
}

func (r *receiver) post(ctx context.Context, timeout time.Duration, e *bridge.Event) error {
	body, err := json.Marshal(e)
	if err != nil || !isHeaderToken(string(e.ID)) {
		return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: errors.New("the event cannot be written as a request")}
	}
	call, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var sent atomic.Bool
	call = httptrace.WithClientTrace(call, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	req, err := r.request(call, string(e.ID), body)
	if err != nil {
		return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: err}
	}
	// The transport is asked without http.Client: that would follow redirects,
	// and quotes URL and Location in its errors.
	resp, err := r.transport.RoundTrip(req)
	if err != nil {
		return lost(ctx, call, err, sent.Load())
	}
	defer resp.Body.Close()
	// What remains of an answer does not matter; reading it only saves the
	// connection.
	_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
	return judge(resp)
}

func (r *receiver) request(ctx context.Context, id string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url.String(), bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("WEBHOOK_URL cannot be called")
	}
	if user := r.url.User; user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "lpbridge")
	req.Header.Set(headerID, id)
	return req, r.auth.authorize(req.Header, id, body)
}

// lost says how a call without an answer ended. What was sent may have arrived.
func lost(ctx, call context.Context, err error, sent bool) *bridge.DeliveryError {
	d := &bridge.DeliveryError{Outcome: bridge.Retry}
	if sent {
		d.Outcome = bridge.Unknown
	}
	switch {
	case ctx.Err() != nil:
		d.Err = ctx.Err()
	case call.Err() != nil:
		d.Err = fmt.Errorf("the receiver did not answer in time: %w", call.Err())
	default:
		d.Err = bridge.TransportError(err)
	}
	return d
}

// judge says what an answer means for the event.
func judge(resp *http.Response) error {
	outcome := outcomeOf(resp.StatusCode)
	if outcome == bridge.Delivered {
		return nil
	}
	d := &bridge.DeliveryError{Outcome: outcome, Err: fmt.Errorf("the receiver answered %d", resp.StatusCode)}
	if outcome == bridge.Throttled || outcome == bridge.Retry {
		d.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	return d
}

// outcomeOf takes a receiver at its word. 410 is Standard Webhooks' way to
// unsubscribe; as nobody but the operator can do that here, it is a refusal.
func outcomeOf(status int) bridge.Outcome {
	switch {
	case status >= 200 && status <= 299:
		return bridge.Delivered
	case status == http.StatusTooManyRequests:
		return bridge.Throttled
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return bridge.Unauthorized
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		return bridge.Retry
	}
	return bridge.Invalid
}

// retryAfter reads the header as of RFC 9110, section 10.2.3: seconds or a date.
// What cannot be read, or lies in the past, is 0.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 63); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(header); err == nil {
		return min(max(date.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
