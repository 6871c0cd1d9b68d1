package chatwoot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/farside"
)

// typingTimeout keeps a slow Chatwoot from having messages wait for typing that
// is worthless by then.
const typingTimeout = 2 * time.Second

const (
	// settlePages is how many pages of messages are searched for one that may
	// have arrived; a page has 20.
	settlePages = 10
	// settleSlack is how far clocks may differ when a message is older than the
	// one that is looked for.
	settleSlack = 10 * time.Minute
)

// Deliver implements [bridge.Adapter]. Chatwoot has no idempotency key: a
// message carries the event's id so that [Chatwoot.Settled] finds it. All else
// may be repeated without harm.
func (c *Chatwoot) Deliver(ctx context.Context, e *bridge.Event) error {
	id, err := numberOf(e.Thread)
	if err != nil {
		return err
	}
	switch e.Kind {
	case bridge.KindMessage:
		return c.post(ctx, id, e)
	case bridge.KindState:
		return c.follow(ctx, id, e.State)
	case bridge.KindReceipt:
		return c.mark(ctx, id, e.Receipt)
	}
	return invalid(fmt.Sprintf("kind %s does not go to Chatwoot", e.Kind))
}

// numberOf reads the number back that became the thread's id.
func numberOf(thread bridge.ThreadID) (int64, error) {
	id, err := strconv.ParseInt(string(thread), 10, 64)
	if err != nil || id < 1 {
		return 0, invalid("the thread is not the number of a conversation")
	}
	return id, nil
}

func invalid(why string) error {
	return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: errors.New(why)}
}

// follow has Chatwoot's conversation go the way of LivePerson's. One that the
// consumer's side closed was resolved in Chatwoot to begin with, and may be open
// again by now.
func (c *Chatwoot) follow(ctx context.Context, id int64, s *bridge.State) error {
	switch s.Conversation {
	case bridge.StateOpen, bridge.StateJoined:
		if c.onOpen == leave {
			return nil
		}
		return c.toggle(ctx, id, statusOpen)
	case bridge.StateClosed:
		if c.onClose == leave || s.By == "consumer" {
			return nil
		}
		if err := c.noteChange(ctx, id); err != nil {
			return &bridge.DeliveryError{Outcome: bridge.Retry, Err: fmt.Errorf("note that a conversation is ended: %w", err)}
		}
		if c.onClose == onCloseBot {
			return c.toggle(ctx, id, statusPending)
		}
		return c.toggle(ctx, id, statusResolved)
	}
	return nil
}

func (c *Chatwoot) toggle(ctx context.Context, id int64, status string) error {
	return c.far.call(ctx, request{
		method: http.MethodPost, path: c.far.ofConversation(id, "toggle_status"),
	}, map[string]string{"status": status}, nil)
}

// mark sets how far the consumer's messages got. Chatwoot refuses it with 403
// for inboxes that are not API inboxes, which is no fault of the token.
func (c *Chatwoot) mark(ctx context.Context, id int64, r *bridge.Receipt) error {
	body := map[string]string{"status": string(r.Status)}
	if r.Status == bridge.ReceiptFailed {
		body["external_error"] = "not delivered to LivePerson"
	}
	done := map[int64]bool{}
	for _, event := range r.MessageIDs {
		message, ok := messageOfID(event)
		if !ok || done[message] {
			continue
		}
		done[message] = true
		err := c.far.call(ctx, request{
			method: http.MethodPatch, path: c.far.ofConversation(id, "messages", strconv.FormatInt(message, 10)),
		}, body, nil)
		if isUnauthorized(err) && farside.StatusOf(err) == http.StatusForbidden {
			return invalid("only messages of API inboxes have a status that can be set")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func isUnauthorized(err error) bool {
	d, ok := errors.AsType[*bridge.DeliveryError](err)
	return ok && d.Outcome == bridge.Unauthorized
}

// ShowTyping implements [bridge.Typist]. Chatwoot shows it under the name of the
// token's owner.
func (c *Chatwoot) ShowTyping(ctx context.Context, cue bridge.TypingCue) error {
	id, err := numberOf(cue.Thread)
	if err != nil {
		return err
	}
	status := "off"
	if cue.State == bridge.Composing {
		status = "on"
	}
	return c.far.call(ctx, request{
		method: http.MethodPost, path: c.far.ofConversation(id, "toggle_typing_status"), timeout: min(typingTimeout, c.far.side.Timeout),
	}, map[string]any{"typing_status": status, "is_private": false}, nil)
}

// listed is a message in a list (Chatwoot, Application API: Get messages).
type listed struct {
	id   int64
	at   time.Time
	mark bridge.EventID
}

// Settled implements [bridge.Settler]: it looks for the event's id among the
// messages of the conversation. A bot may not list messages and so cannot tell;
// what is no message may be repeated.
func (c *Chatwoot) Settled(ctx context.Context, e *bridge.Event) (bool, error) {
	if e.Kind != bridge.KindMessage || c.tokenKind == kindBot {
		return false, nil
	}
	id, err := numberOf(e.Thread)
	if err != nil {
		return false, err
	}
	before := int64(0)
	for range settlePages {
		page, err := c.list(ctx, id, before)
		if err != nil {
			return false, err
		}
		oldest, found := search(page, e.ID)
		if found || oldest == nil {
			return found, nil
		}
		older := !e.Time.IsZero() && oldest.at.Before(e.Time.Add(-settleSlack))
		if older || before != 0 && oldest.id >= before {
			return false, nil
		}
		before = oldest.id
	}
	return false, nil
}

func (c *Chatwoot) list(ctx context.Context, id, before int64) ([]listed, error) {
	r := request{method: http.MethodGet, path: c.far.ofConversation(id, "messages")}
	if before > 0 {
		r.query = url.Values{"before": {strconv.FormatInt(before, 10)}}
	}
	var answer json.RawMessage
	if err := c.far.call(ctx, r, nil, &answer); err != nil {
		return nil, err
	}
	page, err := farside.ParseObject(answer)
	if err != nil || !slices.Contains(page.Names(), "payload") {
		return nil, &bridge.DeliveryError{Outcome: bridge.Unknown, Err: errors.New("the answer lists no messages")}
	}
	var messages []listed
	for _, m := range page.List("payload") {
		messages = append(messages, listed{m.Number("id"), m.Moment("created_at"), attributesOf(m).Mark})
	}
	return messages, nil
}

// search returns the oldest message of a page, nil when it is empty, and whether
// one of them shows the event.
func search(page []listed, event bridge.EventID) (oldest *listed, found bool) {
	for i := range page {
		if page[i].mark == event {
			return &page[i], true
		}
		if oldest == nil || page[i].id < oldest.id {
			oldest = &page[i]
		}
	}
	return oldest, false
}
