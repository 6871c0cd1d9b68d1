package layer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

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
	sender, err := l.agentUser(ctx, t, c, e.Agent)
	if err != nil {
		return err
	}
	for piece, s := range l.sheets(c.Owner, e.Message) {
		m := &message{
			UUID: uuid.NewString(), Conversation: c.ID, Thread: c.UUID, Owner: c.Owner, Sender: sender,
			Parts: s.parts, Choices: s.choices, Sent: t.at, Status: statusSent, Event: e.ID, Piece: piece,
		}
		if s.parts[0].MIMEType != typePlain {
			m.Plain = s.plain
		}
		if e.Agent != nil {
			m.SenderName, m.SenderAvatar = e.Agent.Name, e.Agent.AvatarURL
		}
		if err := l.addMessage(ctx, t, c, m); err != nil {
			return err
		}
	}
	return nil
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
	if cue.Agent.ID != "" && !c.knows(&cue.Agent) {
		if err := l.meetAgent(ctx, c, &cue.Agent); err != nil {
			return err
		}
	}
	p, err := l.identityOf(ctx, u)
	if err != nil {
		return fmt.Errorf("read the identity: %w", err)
	}
	sender := l.shownAs(c, &cue.Agent)
	for _, s := range u.online() {
		s.push(packetSignal, view{l.history, s.version, p, s.session.app()}.typing(c, sender, &cue))
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
		if _, err := l.agentUser(ctx, t, now, agent); err != nil {
			return err
		}
		t.keep(now)
		c.Agents, c.Named = now.Agents, now.Named
		return nil
	}, nil)
}

// knows reports whether the conversation knows an agent, and that they have a
// name if they have one.
func (c *conversation) knows(a *bridge.Agent) bool {
	name := agentName(a)
	return slices.Contains(c.Agents, name) && (a.Name == "" || slices.Contains(c.Named, name))
}

// agentUser is the user id an agent is shown with, and makes sure that the
// conversation knows them and that their name can be asked for.
func (l *Layer) agentUser(ctx context.Context, t *transaction, c *conversation, a *bridge.Agent) (string, error) {
	if a == nil || a.ID == "" {
		return l.cfg.AgentID, nil
	}
	name := agentName(a)
	if !slices.Contains(c.Agents, name) {
		c.Agents = append(c.Agents, name)
	}
	if a.Name == "" {
		return l.shownAs(c, a), nil
	}
	if !slices.Contains(c.Named, name) {
		c.Named = append(c.Named, name)
	}
	user := l.shownAs(c, a)
	return user, l.rememberAgent(ctx, t, user, a)
}

// rememberAgent keeps an agent's name, if it is another than before.
func (l *Layer) rememberAgent(ctx context.Context, t *transaction, user string, a *bridge.Agent) error {
	known, err := kindAgent.Find(ctx, l.records, keyUser+user)
	if errors.Is(err, bridge.ErrNoRecord) {
		known = &agent{User: user, Created: t.at}
		known.ID, err = kindAgent.NextID(ctx, l.records)
	}
	if err != nil {
		return err
	}
	if known.Name != a.Name || known.AvatarURL != a.AvatarURL {
		known.Name, known.AvatarURL = a.Name, a.AvatarURL
		t.keep(known)
	}
	return nil
}

// shownAs is the user id of an agent. The first one is the participant; further
// ones get ids of their own, because apps keep typists apart by id, and the end
// of one's typing must not hide the other's. So do those who have a name, for
// the participant is the same in all conversations.
func (l *Layer) shownAs(c *conversation, a *bridge.Agent) string {
	name := agentName(a)
	if a.ID == "" || slices.Index(c.Agents, name) == 0 && !slices.Contains(c.Named, name) {
		return l.cfg.AgentID
	}
	return l.cfg.AgentID + agentMark + name
}

// agentName tells agents apart without giving LivePerson's ids away.
func agentName(agent *bridge.Agent) string {
	sum := sha256.Sum256([]byte(agent.ID))
	return hex.EncodeToString(sum[:agentNameBytes])
}
