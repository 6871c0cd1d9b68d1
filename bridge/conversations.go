package bridge

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

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
	if row.outdates(c) {
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

// outdates reports whether the thread knows something newer than the change.
func (t *Thread) outdates(c *connector.ConversationChange) bool {
	id := string(c.ConversationID)
	switch {
	case c.LastUpdate != 0 && c.LastUpdate < t.Updated:
		return true
	case c.LastUpdate != 0 && c.LastUpdate == t.Updated && id == t.Conversation:
		// The end may come in the same millisecond.
		return !c.Closed() || !t.Open && !t.Announced
	case id == t.Former && !c.Closed():
		// Late news, unless a survey keeps open what we found closed.
		return id != t.Conversation || !inSurvey(c)
	default:
		return id != t.Conversation && c.Closed()
	}
}

// inSurvey reports whether only a survey keeps a conversation open.
func inSurvey(c *connector.ConversationChange) bool {
	main, has := c.MainDialog()
	survey, follows := c.SurveyDialog()
	return has && main.Closed() && follows && !survey.Closed()
}

// follow turns the difference between what we knew of a conversation and its
// new state into state events and a change of the row. The change is worked out
// again when it is made, for a lane may have moved the row on meanwhile; when it
// moved to another conversation, there is nothing to change here. moved is
// asked while the thread is locked.
func (b *Bridge) follow(in *intake, t *thread, row Thread, c *connector.ConversationChange, moved func() bool) error {
	for _, s := range row.advance(c) {
		if err := b.announce(in, t, c, s); err != nil {
			return err
		}
	}
	in.moves = append(in.moves, move{
		thread: t,
		change: func(row *Thread) {
			if !moved() && !row.outdates(c) {
				row.advance(c)
			}
		},
		after: func() { b.typingAfter(t) },
	})
	return nil
}

// advance brings a row up to a conversation's state, which may be a new
// conversation, and returns what changed.
func (t *Thread) advance(c *connector.ConversationChange) []State {
	if t.Conversation != string(c.ConversationID) || !t.Open && !c.Closed() {
		t.begin(string(c.ConversationID))
	}
	opens := !t.Announced && !c.Closed()
	steps := t.apply(c)
	if opens {
		steps = slices.Insert(steps, 0, State{Conversation: StateOpen})
		t.Announced = true
	}
	return steps
}

// apply brings a row up to the conversation's state and returns what changed.
func (t *Thread) apply(c *connector.ConversationChange) []State {
	var steps []State
	t.Updated = max(t.Updated, c.LastUpdate)
	if main, ok := c.MainDialog(); ok {
		t.Dialog = string(main.DialogID)
	}
	agent := joinedAgent(c, t.Joined)
	switch {
	case agent != "" && agent != t.Joined:
		steps = append(steps, State{Conversation: StateJoined, By: "agent"})
	case agent == "" && t.Joined != "" && !c.Closed():
		steps = append(steps, State{Conversation: StateTransferred, By: "agent"})
	}
	if agent != "" || !c.Closed() {
		t.Joined = agent
	}
	survey, has := c.SurveyDialog()
	switch {
	case has && !survey.Closed() && t.Survey == "":
		t.Survey = string(survey.DialogID)
		steps = append(steps, State{Conversation: StateSurvey})
	case t.Survey != "" && (!has || survey.Closed()):
		t.Survey = ""
		steps = append(steps, State{Conversation: StateSurveyEnded})
	}
	if c.Closed() {
		if t.Open || t.Announced {
			steps = append(steps, State{Conversation: StateClosed, By: closer(c)})
		}
		t.Open, t.Survey, t.Former, t.Announced = false, "", t.Conversation, false
	}
	return steps
}

// joinedAgent is the agent who serves the conversation: the one we knew while
// still there, else the first.
func joinedAgent(c *connector.ConversationChange, known string) string {
	agents := c.ActiveAgents()
	if len(agents) == 0 {
		return ""
	}
	if slices.Contains(agents, known) {
		return known
	}
	return agents[0]
}

// closer says in our words who closed a conversation.
func closer(c *connector.ConversationChange) string {
	by := c.CloseReason
	if main, ok := c.MainDialog(); ok && main.ClosedBy != "" {
		by = main.ClosedBy
	}
	switch by {
	case "CONSUMER":
		return "consumer"
	case "AGENT", "ASSIGNED_AGENT", "MANAGER":
		return "agent"
	case "":
		return ""
	default:
		return "system"
	}
}

// announce journals a step in a conversation's life for the channel.
func (b *Bridge) announce(in *intake, t *thread, c *connector.ConversationChange, s State) error {
	if !b.wants(t.key.Channel, KindState) {
		return nil
	}
	at := time.UnixMilli(c.LastUpdate)
	if c.LastUpdate == 0 {
		at = time.Now()
	}
	ev := &Event{
		ID:   EventID(strings.Join([]string{string(c.ConversationID), "state", string(s.Conversation), strconv.FormatInt(c.LastUpdate, 10)}, ":")),
		Kind: KindState, Thread: t.key.Thread, Time: at, State: &s,
		Place: &Place{Conversation: string(c.ConversationID)},
	}
	if s.Conversation == StateJoined {
		ev.Agent = &Agent{ID: joinedAgent(c, ""), Role: connector.RoleAssignedAgent}
	}
	return in.append(t, ev)
}

// typingAfter ends the typing that a conversation's new state leaves no room
// for.
func (b *Bridge) typingAfter(t *thread) {
	row := t.snapshot()
	if !row.takesChatStates() {
		b.consumerTyping.forget(t.key)
	}
	if !row.Open {
		b.agentTyping.disconnected(t.key)
	}
}
