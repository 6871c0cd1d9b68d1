package relay

import (
	"context"
	"strconv"
	"strings"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector"
)

// relayConversation takes one change of a conversation. It always carries the
// whole state, so an older one than we know is of no use
// (ExConversationChangeNotification, metaDataLastUpdateTs).
func (b *Bridge) relayConversation(ctx context.Context, c *connector.ConversationChange) error {
	if c.Type == "DELETE" || c.BrandID != "" && c.BrandID != b.opts.Account {
		b.metrics.drop("foreign")
		return nil
	}
	for {
		if moved, err := b.followConversation(ctx, c); !moved || err != nil {
			return err
		}
	}
}

// followConversation brings the conversation's thread up to a change. moved
// says that a lane gave the thread another conversation, or the conversation
// another thread, meanwhile.
func (b *Bridge) followConversation(ctx context.Context, c *connector.ConversationChange) (moved bool, err error) {
	t, err := b.threadOfConversation(ctx, c)
	if err != nil {
		return false, err
	}
	if t == nil {
		b.metrics.drop("foreign")
		return false, nil
	}
	defer b.threads.put(t)
	t.following.Lock()
	defer t.following.Unlock()
	row, moves := t.standing()
	if b.threads.heldByOther(string(c.ConversationID), t) {
		return true, nil
	}
	if row.Outdates(c) {
		b.metrics.drop("stale")
		// It may be known only because it came before and could not be kept.
		return false, b.threads.save(ctx, t)
	}
	var in intake
	if err := b.follow(&in, t, row, c, func() bool {
		moved = t.moves != moves
		return moved
	}); err != nil {
		return false, err
	}
	err = b.keepIntake(ctx, &in)
	return moved, err
}

func (b *Bridge) threadOfConversation(ctx context.Context, c *connector.ConversationChange) (*thread, error) {
	t, err := b.threads.byPlace(ctx, string(c.ConversationID), string(c.ConversationID))
	if t != nil || err != nil {
		return t, err
	}
	for _, id := range c.Consumers() {
		if t, err := b.threads.byLPConsumer(ctx, string(id)); t != nil || err != nil {
			return t, err
		}
	}
	return nil, nil
}

// follow turns the difference between what we knew of a conversation and its
// new state into state events and a change of the row. The change is worked out
// again when it is made, for a lane may have moved the row on meanwhile; when it
// moved to another conversation, there is nothing to change here. moved is
// asked while the thread is locked.
func (b *Bridge) follow(in *intake, t *thread, row bridge.Thread, c *connector.ConversationChange, moved func() bool) error {
	for _, s := range row.Advance(c) {
		if err := b.announce(in, t, c, s); err != nil {
			return err
		}
	}
	in.moves = append(in.moves, move{
		thread: t,
		change: func(row *bridge.Thread) {
			if !moved() && !row.Outdates(c) {
				row.Advance(c)
			}
		},
		after: func() { b.typingAfter(t, c) },
	})
	return nil
}

// announce journals a step in a conversation's life for the channel.
func (b *Bridge) announce(in *intake, t *thread, c *connector.ConversationChange, s bridge.State) error {
	if !b.wants(t.key.Channel, bridge.KindState) {
		return nil
	}
	at := time.UnixMilli(c.LastUpdate)
	if c.LastUpdate == 0 {
		at = time.Now()
	}
	ev := &bridge.Event{
		ID:   bridge.EventID(strings.Join([]string{string(c.ConversationID), "state", string(s.Conversation), strconv.FormatInt(c.LastUpdate, 10)}, ":")),
		Kind: bridge.KindState, Thread: t.key.Thread, Time: at, State: &s,
		Position: &bridge.Position{Conversation: string(c.ConversationID)},
	}
	if s.Conversation == bridge.StateJoined {
		ev.Agent = &bridge.Agent{ID: bridge.JoinedAgent(c, ""), Role: connector.RoleAssignedAgent}
	}
	return in.append(t, ev)
}
