package layer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"lpbridge/bridge"
)

// agentNameBytes is how much of an agent's digest tells agents apart.
const agentNameBytes = 4

// errLeft means that the consumer is no longer in the conversation.
var errLeft = errors.New("the consumer left the conversation")

// Deliver implements [bridge.Adapter]. An event is delivered when it is in the
// history that the consumer's apps read; those connected are told at once.
func (l *Layer) Deliver(ctx context.Context, e *bridge.Event) error {
	c, err := kindConversation.Find(ctx, l.records, uuidKey(string(e.Thread)))
	if errors.Is(err, bridge.ErrNoRecord) {
		return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: errors.New("there is no such conversation")}
	}
	if err != nil {
		return fmt.Errorf("read the conversation: %w", err)
	}
	return l.inTransaction(ctx, c.Owner, func(t *transaction) error {
		c, err := l.conversationNamed(ctx, t.user.id, c.UUID)
		if err != nil {
			return err
		}
		return l.deliver(ctx, t, c, e)
	}, nil)
}

func (l *Layer) deliver(ctx context.Context, t *transaction, c *conversation, e *bridge.Event) error {
	switch e.Kind {
	case bridge.KindMessage:
		return l.deliverMessage(ctx, t, c, e)
	case bridge.KindReceipt:
		return l.deliverReceipt(ctx, t, c, e.Receipt)
	case bridge.KindState:
		l.setState(t, c, e.State.Conversation)
		return nil
	}
	return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: fmt.Errorf("events of kind %s do not pass", e.Kind)}
}

// deliverMessage adds an agent's message, once.
func (l *Layer) deliverMessage(ctx context.Context, t *transaction, c *conversation, e *bridge.Event) error {
	if c.Gone {
		return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: errLeft}
	}
	_, err := l.records.Find(ctx, string(kindMessage), keyEvent+string(e.ID))
	if err == nil {
		return nil
	}
	if !errors.Is(err, bridge.ErrNoRecord) {
		return fmt.Errorf("look for the message: %w", err)
	}
	return l.addMessage(ctx, t, c, &message{
		UUID: uuid.NewString(), Conversation: c.ID, Thread: c.UUID, Owner: c.Owner, Sender: l.agentUser(c, e.Agent),
		Parts: []part{{UUID: uuid.NewString(), MIMEType: typePlain, Body: plainText(e.Message)}},
		Sent:  t.at, Status: statusSent, Event: e.ID,
	})
}

// plainText is a message as every app can show it. Files are named by where they
// are, and of quick replies the titles are there to be typed.
func plainText(m *bridge.Message) string {
	var lines []string
	if m.Text != "" {
		lines = append(lines, m.Text)
	}
	for _, a := range m.Attachments {
		lines = append(lines, strings.TrimSpace(a.Name+" "+a.URL))
	}
	for _, q := range m.QuickReplies {
		lines = append(lines, "• "+q.Title)
	}
	return strings.Join(lines, "\n")
}

// deliverReceipt takes note of what agents got or read. Messages that are no
// more are passed over.
func (l *Layer) deliverReceipt(ctx context.Context, t *transaction, c *conversation, r *bridge.Receipt) error {
	status := statusDelivered
	switch r.Status {
	case bridge.ReceiptDelivered:
	case bridge.ReceiptRead:
		status = statusRead
	default:
		// Layer has no word for a message that nobody will get.
		return nil
	}
	for _, id := range r.MessageIDs {
		m, err := kindMessage.Find(ctx, l.records, uuidKey(string(id)))
		if errors.Is(err, bridge.ErrNoRecord) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read the message: %w", err)
		}
		if m.Conversation != c.ID || !m.mine() || m.Gone || !m.Status.before(status) {
			continue
		}
		m.Status = status
		t.keep(m)
		if c.visible() && m.ID > c.HiddenTo {
			t.tellUpdated(objectMessage, m.UUID, reached(m, l.cfg.AgentID))
		}
	}
	return nil
}

// ShowTyping implements [bridge.Typist]. Whoever is not connected sees nothing,
// and finds out with the next repetition after coming back.
func (l *Layer) ShowTyping(ctx context.Context, cue bridge.TypingCue) error {
	c, err := kindConversation.Find(ctx, l.records, uuidKey(string(cue.Thread)))
	if errors.Is(err, bridge.ErrNoRecord) {
		return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: errors.New("there is no such conversation")}
	}
	if err != nil {
		return fmt.Errorf("read the conversation: %w", err)
	}
	u := l.users.connected(c.Owner)
	if u == nil || !c.visible() {
		return nil
	}
	if cue.Agent.ID != "" && !slices.Contains(c.Agents, agentName(&cue.Agent)) {
		if err := l.meetAgent(ctx, c, &cue.Agent); err != nil {
			return err
		}
	}
	p, err := l.identityOf(ctx, u)
	if err != nil {
		return fmt.Errorf("read the identity: %w", err)
	}
	sender := l.agentUser(c, &cue.Agent)
	for _, s := range u.online() {
		s.push(packetSignal, view{l, s.version, p}.typing(c, sender, cue.State))
	}
	return nil
}

// meetAgent remembers an agent, so that they keep their identity in the
// conversation.
func (l *Layer) meetAgent(ctx context.Context, c *conversation, agent *bridge.Agent) error {
	return l.inTransaction(ctx, c.Owner, func(t *transaction) error {
		now, err := l.conversationNamed(ctx, c.Owner, c.UUID)
		if err != nil {
			return err
		}
		l.agentUser(now, agent)
		t.keep(now)
		c.Agents = now.Agents
		return nil
	}, nil)
}

// agentUser is the user id an agent is shown with, and makes sure that the
// conversation knows them. The first agent is the participant; further ones get
// ids of their own, because apps keep typists apart by id, and the end of one's
// typing must not hide the other's.
func (l *Layer) agentUser(c *conversation, agent *bridge.Agent) string {
	if agent == nil || agent.ID == "" {
		return l.cfg.AgentID
	}
	name := agentName(agent)
	i := slices.Index(c.Agents, name)
	if i < 0 {
		i = len(c.Agents)
		c.Agents = append(c.Agents, name)
	}
	if i == 0 {
		return l.cfg.AgentID
	}
	return l.cfg.AgentID + agentMark + name
}

// agentName tells agents apart without giving LivePerson's ids away.
func agentName(agent *bridge.Agent) string {
	sum := sha256.Sum256([]byte(agent.ID))
	return hex.EncodeToString(sum[:agentNameBytes])
}
