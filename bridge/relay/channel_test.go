package relay_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"lpbridge/bridge"
)

// channel is an adapter that records.
type channel struct {
	about     bridge.Channel
	routes    []bridge.Route
	chronicle *chronicle

	mu        sync.Mutex
	delivered []bridge.Event
	cues      []bridge.TypingCue
	refuse    func(*bridge.Event) error
}

func newChannel() *channel {
	return &channel{about: bridge.Channel{
		Name:      "test",
		Reports:   []bridge.Kind{bridge.KindMessage, bridge.KindReceipt, bridge.KindClick, bridge.KindClose, bridge.KindReopen, bridge.KindProfile, bridge.KindRating},
		Delivers:  []bridge.Kind{bridge.KindMessage, bridge.KindReceipt, bridge.KindState},
		TypingIn:  bridge.TypingSource{Reported: true, Hold: 30 * time.Second},
		TypingOut: bridge.TypingTarget{Shown: true, MinInterval: time.Second, StopUnlimited: true, HasPaused: true, PerPerson: true},
	}}
}

func (c *channel) Channel() bridge.Channel { return c.about }

func (c *channel) Routes() []bridge.Route { return c.routes }

func (c *channel) Deliver(_ context.Context, e *bridge.Event) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.refuse != nil {
		if err := c.refuse(e); err != nil {
			c.chronicle.add("channel", "%s %s of %s: %v", e.Kind, e.ID, e.Thread, err)
			return err
		}
	}
	c.chronicle.add("channel", "%s %s of %s", e.Kind, e.ID, e.Thread)
	c.delivered = append(c.delivered, *e)
	return nil
}

func (c *channel) ShowTyping(_ context.Context, cue bridge.TypingCue) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.chronicle.add("channel", "typing %s of %s", cue.State, cue.Thread)
	c.cues = append(c.cues, cue)
	return nil
}

// events returns what was delivered.
func (c *channel) events() []bridge.Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.delivered)
}

// got lists what was delivered, as "message:text" and the like.
func (c *channel) got() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var lines []string
	for _, e := range c.delivered {
		switch e.Kind {
		case bridge.KindMessage:
			lines = append(lines, "message:"+e.Message.Text)
		case bridge.KindReceipt:
			lines = append(lines, fmt.Sprintf("receipt:%s:%v", e.Receipt.Status, e.Receipt.MessageIDs))
		case bridge.KindState:
			lines = append(lines, "state:"+string(e.State.Conversation))
		}
	}
	return lines
}

// messages lists the ids of delivered messages.
func (c *channel) messages() []bridge.EventID {
	c.mu.Lock()
	defer c.mu.Unlock()
	var ids []bridge.EventID
	for _, e := range c.delivered {
		if e.Kind == bridge.KindMessage {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func (c *channel) shown() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := make([]string, len(c.cues))
	for i, cue := range c.cues {
		lines[i] = string(cue.State)
	}
	return lines
}

func (c *channel) refuseWith(refuse func(*bridge.Event) error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refuse = refuse
}
