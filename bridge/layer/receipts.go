package layer

import (
	"context"
	"net/http"
	"slices"
	"strconv"

	"lpbridge/bridge"
)

// maxReadAtOnce is how many messages become read in one write. It is as many as
// one receipt may name.
const maxReadAtOnce = 500

// createReceipt answers POST /messages/UUID/receipts. One for an own message, or
// for a state the message is past, has no effect. The SDKs send one of delivery
// by themselves: a device has the message, and agents are told so.
func (api *restAPI) createReceipt(ctx context.Context, c *call) (response, error) {
	var req struct {
		Type string `json:"type"`
	}
	if err := decodeBody(c.body, &req); err != nil {
		return response{}, err
	}
	status, known := map[string]receiptStatus{"delivery": statusDelivered, "read": statusRead}[req.Type]
	if !known {
		return response{}, invalidProperty("type", "must be read or delivery")
	}
	err := api.inTransaction(ctx, c.view.viewer.User, func(t *transaction) error {
		m, err := api.messageOf(ctx, t.user.id, c.PathValue("uuid"))
		if err != nil || m.mine() || !m.Status.before(status) {
			return err
		}
		found, err := api.conversationOf(ctx, t.user.id, m.Thread)
		if err != nil {
			return err
		}
		// What is read has arrived, though the SDKs say both at once in any order.
		if m.Status == statusSent {
			t.reportReceipt(found, statusDelivered, m)
		}
		t.receive(found, []*message{m}, status)
		if status == statusRead {
			t.reportReceipt(found, statusRead, m)
		}
		return nil
	}, nil)
	return response{status: http.StatusNoContent}, err
}

// reportReceipt tells LivePerson of one message. What one event of the agent
// became is reported once, whichever part of it a device has first.
func (t *transaction) reportReceipt(c *conversation, status receiptStatus, m *message) {
	word := map[receiptStatus]string{statusDelivered: "delivery", statusRead: "read"}[status]
	id := bridge.EventID(word + ":" + string(m.Event))
	t.report(id, bridge.KindReceipt, c.thread()).Receipt = receiptOf(reported[status], m)
}

// reported are the states that LivePerson is told.
var reported = map[receiptStatus]bridge.ReceiptStatus{statusDelivered: bridge.ReceiptDelivered, statusRead: bridge.ReceiptRead}

func receiptOf(status bridge.ReceiptStatus, messages ...*message) *bridge.Receipt {
	r := &bridge.Receipt{Status: status}
	for _, m := range messages {
		if !slices.Contains(r.MessageIDs, m.Event) {
			r.MessageIDs = append(r.MessageIDs, m.Event)
		}
	}
	return r
}

// receive takes note of what the consumer's app got or the consumer read.
func (t *transaction) receive(c *conversation, messages []*message, status receiptStatus) {
	for _, m := range messages {
		m.Status = status
		t.keep(m)
		t.tellUpdated(objectMessage, m.UUID, reached(m, c.Owner))
	}
	if status == statusRead {
		c.Unread = max(c.Unread-len(messages), 0)
		t.keep(c)
		t.tellUpdated(objectConversation, c.UUID, unread(c))
	}
}

// reached is the operation that says how far a message got with a user.
func reached(m *message, user string) operation {
	return operation{Do: "set", Property: "recipient_status", User: user, Value: string(m.Status)}
}

// markAllRead answers POST /conversations/UUID/mark_all_read. Without a position
// all is meant.
func (api *restAPI) markAllRead(ctx context.Context, c *call) (response, error) {
	var req struct {
		Position *int64 `json:"position"`
	}
	if err := decodeBody(c.body, &req); err != nil {
		return response{}, err
	}
	for more := true; more; {
		err := api.inTransaction(ctx, c.view.viewer.User, func(t *transaction) error {
			found, err := api.conversationOf(ctx, t.user.id, c.PathValue("uuid"))
			if err != nil {
				return err
			}
			to := found.LastMessage
			if req.Position != nil {
				to = max(min(*req.Position, to), 0)
			}
			more, err = api.readTo(ctx, t, found, to)
			return err
		}, nil)
		if err != nil {
			return response{}, err
		}
	}
	return response{status: http.StatusAccepted}, nil
}

// readTo marks the agents' messages up to a position as read, the newest first,
// and reports whether there are more than it did.
func (h *history) readTo(ctx context.Context, t *transaction, c *conversation, to int64) (more bool, err error) {
	var found []*message
	for m, err := range c.messages(ctx, h.records, max(c.ReadTo, c.HiddenTo), to+1) {
		if err != nil {
			return false, err
		}
		if !m.mine() && !m.Gone && m.Status != statusRead {
			found = append(found, m)
		}
		if more = len(found) >= maxReadAtOnce; more {
			break
		}
	}
	if !more && to > c.ReadTo {
		c.ReadTo = to
	}
	if len(found) == 0 {
		return false, nil
	}
	upTo := string(c.thread()) + ":" + strconv.FormatInt(found[0].ID, 10)
	if arrived := receiptOf(bridge.ReceiptDelivered, unreceived(found)...); len(arrived.MessageIDs) > 0 {
		t.report(bridge.EventID("delivered-to:"+upTo), bridge.KindReceipt, c.thread()).Receipt = arrived
	}
	t.receive(c, found, statusRead)
	id := "read-to:" + upTo
	t.report(bridge.EventID(id), bridge.KindReceipt, c.thread()).Receipt = receiptOf(bridge.ReceiptRead, found...)
	return more, nil
}

// unreceived are the messages that no app has said to have.
func unreceived(messages []*message) []*message {
	return slices.DeleteFunc(slices.Clone(messages), func(m *message) bool { return m.Status != statusSent })
}
