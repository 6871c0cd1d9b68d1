package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"lpbridge/bridge"
)

// Kept calls show with everything the journal keeps of a person that was
// identified, but for records, and ends with its first error.
func (j *Archive) Kept(ctx context.Context, p *bridge.Person, show func(bridge.Kept) error) error {
	j.sortLedger(ctx, p)
	for _, part := range []func(context.Context, *bridge.Person, func(bridge.Kept) error) error{
		j.keptConsumers, j.keptThreads, j.keptConversations, j.keptEvents, j.keptRest,
	} {
		if err := part(ctx, p, show); err != nil {
			return fmt.Errorf("journal: what is kept of a consumer: %w", err)
		}
	}
	return nil
}

// kept is one row as it is shown.
func kept(what, id string, at time.Time, data any) (bridge.Kept, error) {
	text, err := json.Marshal(data)
	return bridge.Kept{What: what, ID: id, Time: at, Data: text}, err
}

// shown hands a row on.
func shown(show func(bridge.Kept) error, what, id string, at time.Time, data any) error {
	k, err := kept(what, id, at, data)
	if err != nil {
		return err
	}
	return show(k)
}

func (j *Archive) keptConsumers(ctx context.Context, p *bridge.Person, show func(bridge.Kept) error) error {
	for _, id := range p.Consumers {
		row, err := j.Consumer(ctx, p.Channel, id)
		if err != nil {
			return err
		}
		if row == nil {
			continue
		}
		data := struct {
			ExtConsumer string          `json:"extConsumer"`
			LPConsumer  string          `json:"lpConsumer,omitempty"`
			Profile     json.RawMessage `json:"profile,omitempty"`
		}{row.ExtConsumer, row.LPConsumer, readable(row.Profile)}
		if err := shown(show, "consumer", string(id), time.Time{}, data); err != nil {
			return err
		}
	}
	return nil
}

func (j *Archive) keptThreads(ctx context.Context, p *bridge.Person, show func(bridge.Kept) error) error {
	for _, id := range p.Threads {
		t, err := j.Thread(ctx, bridge.ThreadKey{Channel: p.Channel, Thread: id})
		if err != nil {
			return err
		}
		if t == nil {
			continue
		}
		data := struct {
			Consumer     bridge.ConsumerID `json:"consumer"`
			ExtConsumer  string            `json:"extConsumer"`
			LPConsumer   string            `json:"lpConsumer,omitempty"`
			Conversation string            `json:"conversation,omitempty"`
		}{t.Consumer, t.ExtConsumer, t.LPConsumer, t.Conversation}
		if err := shown(show, "thread", string(id), time.Time{}, data); err != nil {
			return err
		}
	}
	return nil
}

func (j *Archive) keptConversations(ctx context.Context, p *bridge.Person, show func(bridge.Kept) error) error {
	for _, id := range p.Conversations {
		c, err := j.Conversation(ctx, id)
		if err != nil {
			return err
		}
		if c == nil {
			continue
		}
		data := struct {
			Thread bridge.ThreadID `json:"thread,omitempty"`
			Open   bool            `json:"open"`
			Agent  string          `json:"agent,omitempty"`
			Dialog []string        `json:"dialogs"`
			Ended  time.Time       `json:"ended,omitzero"`
		}{c.Thread, c.Open, c.Joined, c.Dialogs, c.Ended}
		if err := shown(show, "conversation", id, c.Began, data); err != nil {
			return err
		}
	}
	return nil
}

// keptEvent is an event as it is shown.
type keptEvent struct {
	Seq       int64           `json:"seq"`
	Thread    bridge.ThreadID `json:"thread"`
	Direction string          `json:"direction"`
	Kind      bridge.Kind     `json:"kind"`
	State     string          `json:"state"`
	Attempts  int             `json:"attempts,omitempty"`
	Answer    string          `json:"answer,omitempty"`
	Event     json.RawMessage `json:"event,omitempty"`
}

func (j *Archive) keptEvents(ctx context.Context, p *bridge.Person, show func(bridge.Kept) error) error {
	var seqs []int64
	err := j.eachEvent(ctx, []byte{0}, func(seq int64, lane bridge.LaneKey, _ bool) {
		if lane.Channel == p.Channel && slices.Contains(p.Threads, lane.Thread) {
			seqs = append(seqs, seq)
		}
	})
	if err != nil {
		return err
	}
	for _, seq := range seqs {
		e, row, err := j.eventAt(ctx, seq)
		if err != nil {
			return err
		}
		if e == nil {
			continue
		}
		data := keptEvent{
			Seq: seq, Thread: e.Lane.Thread, Direction: e.Lane.Direction.String(), Kind: e.Kind, State: states[row.state],
			Attempts: e.Attempts, Answer: e.Reason, Event: readable(e.Payload),
		}
		if err := shown(show, "event", string(e.ID), e.Accepted, data); err != nil {
			return err
		}
	}
	return nil
}

// states are the words for the numbers of events' states.
var states = []string{"pending", "done", "dead"}

func (j *Archive) keptRest(ctx context.Context, p *bridge.Person, show func(bridge.Kept) error) error {
	positions, err := j.positionsOf(ctx, p)
	if err != nil {
		return err
	}
	for _, at := range positions {
		data := struct {
			Dialog   string `json:"dialog"`
			Sequence int64  `json:"sequence"`
		}{at.dialog, at.sequence}
		if err := shown(show, "position", at.source, at.saved, data); err != nil {
			return err
		}
	}
	err = j.eachUnclaimed(ctx, p, func(u *bridge.Unclaimed) error {
		return shown(show, "unclaimed", number(u.ID), u.Received, readable(u.Body))
	})
	if err != nil {
		return err
	}
	marks, err := j.Composing(ctx)
	for _, m := range marks {
		if m.Thread.Channel != p.Channel || !slices.Contains(p.Threads, m.Thread.Thread) {
			continue
		}
		if err := shown(show, "composing", string(m.Thread.Thread), m.Since, struct {
			Conversation string `json:"conversation,omitempty"`
		}{m.Conversation}); err != nil {
			return err
		}
	}
	return err
}

// readable is what can be shown as JSON; what cannot is shown as text.
func readable(text []byte) json.RawMessage {
	if len(text) == 0 {
		return nil
	}
	if json.Valid(text) {
		return text
	}
	quoted, err := json.Marshal(string(text))
	if err != nil {
		return nil
	}
	return quoted
}
