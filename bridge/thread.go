package bridge

import (
	"errors"
	"time"
)

// Key names the thread.
func (t *Thread) Key() ThreadKey { return ThreadKey{t.Channel, t.ID} }

// Lane names one of the thread's two lanes.
func (k ThreadKey) Lane(d Direction) LaneKey { return LaneKey{k.Channel, k.Thread, d} }

// ErrNoConsumer means that an event names no consumer and its thread has none.
var ErrNoConsumer = errors.New("the event names no consumer")

// ExternalConsumer is the ext_consumer_id of the thread's consumer, who is the
// one that wrote first. A channel that tells consumers apart which were one
// before names another one; a thread that needs a conversation is theirs from
// then on. Empty means that the thread has none yet for this consumer.
func (t *Thread) ExternalConsumer(c *Consumer) (string, error) {
	another := c != nil && c.ID != "" && t.Consumer != "" && c.ID != t.Consumer
	switch {
	case t.ExtConsumer != "" && !another:
		return t.ExtConsumer, nil
	case c == nil || c.ID == "":
		return "", ErrNoConsumer
	}
	return "", nil
}

// Begin makes a conversation as LivePerson opens it: its main dialog has its id
// (Send API, CONVERSATION). Whether it is open, the caller says.
func (t *Thread) Begin(id string, at time.Time) Conversation {
	return Conversation{
		ID: id, Channel: t.Channel, Thread: t.ID, ExtConsumer: t.ExtConsumer, LPConsumer: t.LPConsumer,
		Dialog: id, Dialogs: []string{id}, Began: at,
	}
}
