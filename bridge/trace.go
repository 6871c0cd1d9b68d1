package bridge

import (
	"strings"
	"time"
)

// PartMark sets the number of a part off from the id of its event, and the status
// of a receipt off from the message it is about. Ids from outside do not hold it.
const PartMark = "\x1f"

// Trace is what the journal knows of the way of an event or of all of a thread.
// It holds ids only.
type Trace struct {
	// Events are in the order of acceptance, receipts about them included. Those
	// that were delivered are known for as long as their content is kept.
	Events []TracedEvent `json:"events"`
	// Threads are theirs, with the conversations each had.
	Threads []TracedThread `json:"threads"`
	// Older says that there are more events than are listed, before them.
	Older bool `json:"older,omitempty"`
}

// TracedEvent is one entry of the journal.
type TracedEvent struct {
	Seq       int64    `json:"seq"`
	Channel   string   `json:"channel"`
	Thread    ThreadID `json:"thread"`
	Direction string   `json:"direction"`
	Kind      Kind     `json:"kind"`
	ID        EventID  `json:"id,omitempty"`
	// Part names the part of the event, and About the receipt's status.
	Part     string    `json:"part,omitempty"`
	Accepted time.Time `json:"accepted"`
	// State is "pending", "done" or "dead", Settled when it became so.
	State   string    `json:"state"`
	Settled time.Time `json:"settled,omitzero"`
	// Failures counts deliveries that failed; Last is how the last of them ended
	// and Answer what the far side said.
	Failures int    `json:"failures"`
	Last     string `json:"last,omitempty"`
	Answer   string `json:"answer,omitempty"`
	// NextTry is when the next delivery may start.
	NextTry time.Time `json:"nextTry,omitzero"`
	// InDoubtSince says that it may have arrived, and since when that is known.
	InDoubtSince time.Time `json:"inDoubtSince,omitzero"`
	// Dialog and Sequence are where LivePerson has it; by its answer or by its echo.
	Dialog   string `json:"dialog,omitempty"`
	Sequence *int64 `json:"sequence,omitempty"`
}

// TracedThread is a thread and the conversations it had.
type TracedThread struct {
	Channel     string   `json:"channel"`
	Thread      ThreadID `json:"thread"`
	ExtConsumer string   `json:"extConsumer"`
	LPConsumer  string   `json:"lpConsumer,omitempty"`
	// Conversations are LivePerson's, the one that began last first.
	Conversations []TracedConversation `json:"conversations"`
}

// TracedConversation is one of LivePerson's conversations.
type TracedConversation struct {
	ID    string    `json:"id"`
	Open  bool      `json:"open"`
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
}

// Whole takes the id of a part, or of the receipt that is made of a message's id,
// apart: the event's own id, and what sets it off.
func (id EventID) Whole() (event EventID, part string) {
	before, after, marked := strings.Cut(string(id), PartMark)
	switch {
	case !marked:
		return id, ""
	case before == string(ReceiptDelivered), before == string(ReceiptFailed), before == string(ReceiptRead):
		return EventID(after), before
	}
	return EventID(before), after
}
