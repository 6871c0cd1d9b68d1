package bridge

import (
	"encoding/json"
	"fmt"
)

// ThreadKey names the thread of the entry's lane.
func (e *Entry) ThreadKey() ThreadKey { return ThreadKey{e.Lane.Channel, e.Lane.Thread} }

// Author is who typed what the entry says; consumers are not told apart.
func (e *Entry) Author() Agent {
	ev, err := e.Decoded()
	if err != nil || ev.Agent == nil {
		return Agent{}
	}
	return *ev.Agent
}

// Decoded decodes an entry's payload unless it came with the event.
func (e *Entry) Decoded() (*Event, error) {
	if e.Event == nil {
		var ev Event
		if err := json.Unmarshal(e.Payload, &ev); err != nil {
			return nil, fmt.Errorf("decode the journal's entry %d: %w", e.Seq, err)
		}
		e.Event = &ev
	}
	return e.Event, nil
}
