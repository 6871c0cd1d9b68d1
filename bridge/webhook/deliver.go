package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/farside"

	"github.com/go-json-experiment/json/jsontext"
)

// typingTimeout keeps a slow receiver from having its messages wait for typing
// that is worthless by then.
const typingTimeout = 2 * time.Second

// Deliver implements [bridge.Adapter] by one POST of the event. The header
// webhook-id is the event's id and so the same when the event is sent again,
// by which the receiver knows a repetition.
func (w *Webhook) Deliver(ctx context.Context, e *bridge.Event) error {
	return w.post(ctx, e, w.far.Timeout)
}

// ShowTyping implements [bridge.Typist]. Every call has an id of its own, so
// that no receiver takes the second composing for a repetition of the first.
func (w *Webhook) ShowTyping(ctx context.Context, cue bridge.TypingCue) error {
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
	return w.post(ctx, e, min(typingTimeout, w.far.Timeout))
}

func (w *Webhook) post(ctx context.Context, e *bridge.Event, timeout time.Duration) error {
	body, err := encode(e)
	if err != nil || !farside.FitsHeader(string(e.ID)) || w.url == nil {
		return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: errors.New("the event cannot be written as a request to WEBHOOK_URL")}
	}
	header := http.Header{"Content-Type": {"application/json"}}
	header.Set(headerID, string(e.ID))
	if err := w.auth.authorize(header, string(e.ID), body); err != nil {
		return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: err}
	}
	_, err = w.far.Do(ctx, farside.Request{Method: http.MethodPost, URL: w.url, Header: header, Body: bytes.NewReader(body), Timeout: timeout})
	return err
}

// encode writes an event. What LivePerson attached is passed on as it came, and
// so may hold bytes and surrogates that no strict receiver takes.
func encode(e *bridge.Event) ([]byte, error) {
	body, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	return jsontext.AppendFormat(nil, body, jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))
}

// refusal reads the one status by which a receiver ends deliveries (Standard
// Webhooks, "Delivering and responding to webhooks": 410). All other refusals are
// failures to repeat.
func refusal(r *farside.Response) (farside.Refusal, bool) {
	if r.Status == http.StatusGone {
		return farside.Refusal{Outcome: bridge.Invalid, Reason: "the receiver wants no more events"}, true
	}
	return farside.Refusal{}, true
}

// Check implements [bridge.Checker]. The receiver is connected to and sent
// nothing: any request, whatever its method, might be taken for a delivery.
func (w *Webhook) Check(ctx context.Context) []bridge.Finding {
	f := bridge.Finding{Subject: "WEBHOOK_URL", Detail: "not set: messages of agents do not reach the channel", Danger: w.url == nil}
	if w.url != nil {
		f.Detail, f.Err = w.far.Reach(ctx, w.url)
		f.Danger = farside.Exposed(w.url)
	}
	words, challenge := w.auth.describe()
	return []bridge.Finding{{Subject: "authentication", Detail: words, Danger: challenge == ""}, f}
}
