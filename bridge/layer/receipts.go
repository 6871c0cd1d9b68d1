package layer

import (
	"context"
	"net/http"
	"strconv"

	"lpbridge/bridge"
)

// maxReadAtOnce is how many messages become read in one write. It is as many as
// one receipt may name.
const maxReadAtOnce = 500

// createReceipt answers POST /messages/UUID/receipts. One for an own message, or
// for a state the message is past, has no effect. That a message reached an app
// is for the other apps only: the bridge told agents that it arrived when it
// reached the history.
func (l *Layer) createReceipt(ctx context.Context, c *call) (answer, error) {
	var req struct {
		Type string `json:"type"`
	}
	if err := decodeBody(c.body, &req); err != nil {
		return answer{}, err
	}
	status, known := map[string]receiptStatus{"delivery": statusDelivered, "read": statusRead}[req.Type]
	if !known {
		return answer{}, invalidProperty("type", "must be read or delivery")
	}
	err := l.inTurn(ctx, c.view.person.User, func(t *turn) error {
		m, err := l.messageOf(ctx, t.user.id, c.PathValue("uuid"))
		if err != nil || m.mine() || !m.Status.before(status) {
			return err
		}
		found, err := l.conversationOf(ctx, t.user.id, m.Thread)
		if err != nil {
			return err
		}
		t.receive(found, []*message{m}, status)
		if status == statusRead {
			t.report(bridge.EventID(string(status)+":"+m.UUID), bridge.KindReceipt, found.thread()).Receipt = readReceipt(m)
		}
		return nil
	}, nil)
	return answer{status: http.StatusNoContent}, err
}

func readReceipt(messages ...*message) *bridge.Receipt {
	r := &bridge.Receipt{Status: bridge.ReceiptRead}
	for _, m := range messages {
		r.MessageIDs = append(r.MessageIDs, m.Event)
	}
	return r
}

// receive takes note of what the consumer's app got or the consumer read.
func (t *turn) receive(c *conversation, messages []*message, status receiptStatus) {
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

// reached is the step that says how far a message got with a user.
func reached(m *message, user string) step {
	return step{Do: "set", Property: "recipient_status", User: user, Value: string(m.Status)}
}

// markAllRead answers POST /conversations/UUID/mark_all_read. Without a position
// all is meant.
func (l *Layer) markAllRead(ctx context.Context, c *call) (answer, error) {
	var req struct {
		Position *int64 `json:"position"`
	}
	if err := decodeBody(c.body, &req); err != nil {
		return answer{}, err
	}
	for more := true; more; {
		err := l.inTurn(ctx, c.view.person.User, func(t *turn) error {
			found, err := l.conversationOf(ctx, t.user.id, c.PathValue("uuid"))
			if err != nil {
				return err
			}
			to := found.LastMessage
			if req.Position != nil {
				to = max(min(*req.Position, to), 0)
			}
			more, err = l.readTo(ctx, t, found, to)
			return err
		}, nil)
		if err != nil {
			return answer{}, err
		}
	}
	return answer{status: http.StatusAccepted}, nil
}

// readTo marks the agents' messages up to a position as read, the newest first,
// and reports whether there are more than it did.
func (l *Layer) readTo(ctx context.Context, t *turn, c *conversation, to int64) (more bool, err error) {
	var found []*message
	err = each(ctx, l.records, kindMessage, parentOf(c.ID), max(c.ReadTo, c.HiddenTo), to+1, func(m *message) bool {
		if !m.mine() && !m.Gone && m.Status != statusRead {
			found = append(found, m)
		}
		more = len(found) >= maxReadAtOnce
		return !more
	})
	if err != nil {
		return false, err
	}
	if !more && to > c.ReadTo {
		c.ReadTo = to
	}
	if len(found) == 0 {
		return false, nil
	}
	t.receive(c, found, statusRead)
	id := "read-to:" + string(c.thread()) + ":" + strconv.FormatInt(found[0].ID, 10)
	t.report(bridge.EventID(id), bridge.KindReceipt, c.thread()).Receipt = readReceipt(found...)
	return more, nil
}
