package bridge

import (
	"encoding/json"
	"fmt"
)

// ThreadKey names the thread of the entry's lane.
func (e *Entry) ThreadKey() ThreadKey { return ThreadKey{e.Lane.Channel, e.Lane.Thread} }

// DecodeAuthor returns who typed what the entry says; consumers are not told apart.
func (e *Entry) DecodeAuthor() Agent {
	ev, err := e.Decode()
	if err != nil || ev.Agent == nil {
		return Agent{}
	}
	return *ev.Agent
}

// Decode returns the event, and decodes the payload the first time unless the event
// came with it.
func (e *Entry) Decode() (*Event, error) {
	if e.Event == nil {
		var ev Event
		if err := json.Unmarshal(e.Payload, &ev); err != nil {
			return nil, fmt.Errorf("decode the journal's entry %d: %w", e.Seq, err)
		}
		e.Event = &ev
	}
	return e.Event, nil
}
