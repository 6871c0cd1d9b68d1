package chatwoot

import (
	"context"
	"errors"
	"strconv"
	"time"

	"lpbridge/bridge"
)

const (
	// ownChange is how long after this bridge changed a conversation's status a
	// report of it is taken for the effect of that. Chatwoot does not say who did
	// it.
	ownChange = 2 * time.Minute
	// echoes is how far apart reports of one change may say that it was.
	echoes = 5 * time.Second
)

// readStatus reads that a conversation ended, or that a bot has it again. With
// any other status nothing happens at LivePerson before something is said, unless
// a bot hands over what was said before.
func (r *report) readStatus(ctx context.Context) (news, error) {
	c := conversationOf(r.Object)
	if c.ID <= 0 {
		return news{}, &bridge.FieldError{Field: "id", Reason: "must be the number of a conversation"}
	}
	r.weighProof(c)
	if !r.ours(c.AccountID, c.InboxID) {
		return news{}, nil
	}
	r.next(c.ID, last)
	if c.Status == statusResolved || r.leftToBot(c) {
		return r.readEnd(ctx, c)
	}
	n, err := r.handOver(ctx, c)
	if err != nil {
		return news{}, err
	}
	r.reopened(&n, c, c.UpdatedAt)
	return n, nil
}

// readEnd ends the conversation in LivePerson, unless this bridge ended it in
// Chatwoot or the report is older than what is known.
func (r *report) readEnd(ctx context.Context, c *conversation) (news, error) {
	if r.seen.activeSince(c.ID, c.UpdatedAt) {
		return news{}, nil
	}
	if own, err := r.changedByUs(ctx, c); own || err != nil {
		return news{}, err
	}
	n := news{events: []bridge.Event{{
		ID: c.endID(r.delivery), Kind: bridge.KindClose, Thread: threadOf(c.ID), Inbox: c.inbox(), Time: c.UpdatedAt, Consumer: c.consumer(nil),
	}}}
	if c.Status == statusResolved {
		return n, r.forget(ctx, c.ID, &n)
	}
	return n, nil
}

// endID names an end by its time, which all webhooks about it share.
func (c *conversation) endID(delivery string) bridge.EventID {
	if c.UpdatedAt.IsZero() {
		return answerID(c.Status, c.ID, delivery)
	}
	return bridge.EventID(c.Status + ":" + strconv.FormatInt(c.ID, 10) + ":" + strconv.FormatInt(c.UpdatedAt.UnixMicro(), 10))
}

// reopened takes note that a conversation is going on. What somebody does to its
// status from then on is not the effect of what this bridge did before, if it
// goes on by a later time than that.
func (r *report) reopened(n *news, c *conversation, at time.Time) {
	r.seen.active(c.ID, at)
	own, known := r.seen.changed(c.ID)
	switch {
	case !known:
	case at.After(own.at), !own.reported.IsZero() && at.After(own.reported):
		n.records = append(n.records, bridge.Record{Kind: recordStatus, ID: c.ID})
		n.noted = append(n.noted, func(m *memory) { m.forgetChange(c.ID) })
	case !own.reported.IsZero():
		own.resumed = true
		r.seen.change(c.ID, own)
	}
}

// changedByUs reports whether a conversation has its status because LivePerson
// closed it. Closing for that would end a conversation which the consumer has
// meanwhile begun anew. Chatwoot's clock and ours are taken for the same, give or
// take what passes between two actions of persons.
func (c *Chatwoot) changedByUs(ctx context.Context, conv *conversation) (bool, error) {
	own, known := c.seen.changed(conv.ID)
	if !known {
		r, err := c.core.Records().Get(ctx, recordStatus, conv.ID)
		if errors.Is(err, bridge.ErrNoRecord) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if own.at, err = time.Parse(time.RFC3339Nano, string(r.Data)); err != nil {
			return false, nil
		}
	}
	switch {
	case time.Since(own.at) >= ownChange, c.seen.activeSince(conv.ID, own.at):
		return false, nil
	case own.resumed && conv.UpdatedAt.Sub(own.reported) > echoes:
		return false, nil
	}
	if own.reported.IsZero() {
		own.reported = conv.UpdatedAt
		c.seen.change(conv.ID, own)
	}
	return true, nil
}

// noteChange remembers, before it is done, that this bridge changes a status.
func (c *Chatwoot) noteChange(ctx context.Context, id int64) error {
	now := time.Now().UTC()
	err := c.core.Records().Save(ctx, bridge.Record{Kind: recordStatus, ID: id, Data: []byte(now.Format(time.RFC3339Nano))})
	if err == nil {
		c.seen.change(id, change{at: now})
	}
	return err
}
