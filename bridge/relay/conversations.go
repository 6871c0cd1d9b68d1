package relay

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector"
)

// takeConversations takes the new states of conversations.
func (n *news) takeConversations(ctx context.Context, changes []connector.ConversationChange) error {
	slices.SortStableFunc(changes, func(a, b connector.ConversationChange) int { return cmp.Compare(a.LastUpdate, b.LastUpdate) })
	for i := range changes {
		if err := n.takeConversation(ctx, &changes[i]); err != nil {
			return err
		}
	}
	return nil
}

func (n *news) takeConversation(ctx context.Context, c *connector.ConversationChange) error {
	if c.Type == "DELETE" || c.BrandID != "" && c.BrandID != n.account {
		n.metrics.drop("foreign")
		return nil
	}
	release, err := n.taking.lock(ctx, string(c.ConversationID))
	if err != nil {
		return err
	}
	defer release()
	return n.follow(ctx, c)
}

// holder finds whose a conversation is: the thread that has it, the one it is
// being opened for, or the consumer's newest.
func (n *news) holder(ctx context.Context, c *connector.ConversationChange) (*bridge.Thread, error) {
	known, err := n.directory.conversation(ctx, string(c.ConversationID))
	if err != nil {
		return nil, err
	}
	if known != nil && known.Channel != "" {
		return n.directory.thread(ctx, known.Holder())
	}
	for _, id := range c.Consumers() {
		if key, ok := n.openings.threadOf(string(id)); ok {
			return n.directory.thread(ctx, key)
		}
		threads, err := n.directory.rows.ThreadsOf(ctx, string(id))
		if err != nil {
			return nil, err
		}
		if len(threads) > 0 {
			return &threads[0], nil
		}
	}
	return nil, nil
}

// follow brings a conversation up to a change, which always carries the whole
// state, and tells the channel of the difference. taking is held.
func (n *news) follow(ctx context.Context, c *connector.ConversationChange) error {
	possible := n.openings.possible()
	t, err := n.holder(ctx, c)
	if err != nil {
		return err
	}
	if t == nil {
		return n.followUnknown(ctx, c, possible)
	}
	e, err := n.directory.edit(ctx, t.ExtConsumer)
	if err != nil {
		return err
	}
	defer e.release()
	row, err := e.conversation(ctx, string(c.ConversationID))
	if err != nil {
		return err
	}
	known := row != nil
	if !known {
		row = e.add(t.Begin(string(c.ConversationID), c.StartTime))
	}
	if row.Outdates(c) {
		n.metrics.drop("stale")
		return nil
	}
	if err := n.advance(ctx, e, row, c); err != nil {
		return err
	}
	if current, err := e.take(ctx, row.Holder()); err == nil && current.Conversation == row.ID {
		n.typingAfter(row, c)
	}
	e.release()
	if row.Open {
		n.openings.known(ctx, row.LPConsumer)
		n.wake(row.Holder().Lane(bridge.ToLivePerson))
	}
	if known {
		return nil
	}
	return n.replay(ctx, row.ID)
}

// followUnknown keeps the state of a conversation that may turn out to be ours.
func (n *news) followUnknown(ctx context.Context, c *connector.ConversationChange, possible bool) error {
	if !possible {
		n.metrics.drop("foreign")
		return nil
	}
	var in intake
	if err := in.unclaimed(bridge.Unclaimed{Conversation: string(c.ConversationID)}, typeConversation, c.Raw); err != nil {
		return err
	}
	return n.append(ctx, &in)
}

// advance changes the row and tells the channel. The events come first: were the
// row written and they not, nobody would tell them again.
func (n *news) advance(ctx context.Context, e *edit, row *bridge.Conversation, c *connector.ConversationChange) error {
	var in intake
	for _, s := range row.Advance(c) {
		if err := n.announce(&in, row, c, s); err != nil {
			return err
		}
	}
	if err := n.makeCurrent(ctx, e, row); err != nil {
		return err
	}
	if err := n.append(ctx, &in); err != nil {
		return err
	}
	return e.save(ctx)
}

// makeCurrent gives an open conversation to its thread, unless that has a newer
// one: of two that look open the older one is over.
func (n *news) makeCurrent(ctx context.Context, e *edit, row *bridge.Conversation) error {
	if !row.Open {
		return nil
	}
	t, err := e.take(ctx, row.Holder())
	if err != nil {
		return err
	}
	current, err := e.conversation(ctx, t.Conversation)
	if err != nil {
		return err
	}
	if current != nil && current.Open && row.Began.Before(current.Began) {
		return nil
	}
	return e.hand(ctx, row, row.Holder())
}

// announce journals a change of a conversation for the channel.
func (n *news) announce(in *intake, row *bridge.Conversation, c *connector.ConversationChange, s bridge.State) error {
	if !n.wants(row.Channel, bridge.KindState) {
		return nil
	}
	at := time.UnixMilli(c.LastUpdate)
	if c.LastUpdate == 0 {
		at = time.Now()
	}
	ev := &bridge.Event{
		ID:   bridge.EventID(strings.Join([]string{row.ID, "state", string(s.Conversation), strconv.FormatInt(c.LastUpdate, 10)}, ":")),
		Kind: bridge.KindState, Thread: row.Thread, Time: at, State: &s,
		Position: &bridge.Position{Conversation: row.ID},
	}
	if s.Conversation == bridge.StateJoined {
		ev.Agent = &bridge.Agent{ID: row.Joined, Role: connector.RoleAssignedAgent}
	}
	return in.append(row.Holder(), bridge.ToChannel, ev)
}

// typingAfter ends the typing that the new state of a thread's conversation leaves
// no room for: the consumer's where no chat states are taken, and that of agents who are
// not there any more.
func (n *news) typingAfter(now *bridge.Conversation, c *connector.ConversationChange) {
	if !now.TakesChatStates() {
		n.consumerTyping.Forget(now.Holder(), now.ID)
	}
	if !now.Open {
		n.agentTyping.Disconnected(now.Holder())
		return
	}
	n.agentTyping.Present(now.Holder(), presence(c))
}

// presence says who is in a conversation; a change that names no participants
// says nothing of who left.
func presence(c *connector.ConversationChange) func(id string) bool {
	present := c.Participants
	if main, ok := c.MainDialog(); ok {
		present = slices.Concat(present, main.Participants)
	}
	there := map[string]bool{}
	for _, p := range present {
		there[p.ID] = there[p.ID] || p.State != "SUGGESTED"
	}
	return func(id string) bool { return len(present) == 0 || there[id] }
}
