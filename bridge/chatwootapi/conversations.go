package chatwootapi

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"

	"lpbridge/bridge"
)

// found is the conversation of a path and its owner.
type found struct {
	thread  *conversation
	visitor *visitor
}

// locate returns the conversation of the path. A contact-inbox sees its own
// ones; with a proven identity also those the contact began elsewhere.
func (a *ChatwootAPI) locate(ctx context.Context, c *call) (*found, error) {
	p, err := a.met(ctx, c)
	if err != nil {
		return nil, err
	}
	t, err := a.getConversation(ctx, parseID(c.PathValue("conversation")))
	if err != nil {
		return nil, err
	}
	if t.ContactInbox == p.inbox.ID {
		return &found{t, p}, nil
	}
	if !p.inbox.Verified {
		return nil, errNotFound
	}
	owner, err := a.visitor(ctx, t.key())
	if err != nil {
		return nil, err
	}
	if owner.inbox.Proven != p.inbox.Proven {
		return nil, errNotFound
	}
	return &found{t, owner}, nil
}

// createConversation answers POST of a conversation.
func (a *ChatwootAPI) createConversation(ctx context.Context, c *call) (any, error) {
	p, err := a.met(ctx, c)
	if err != nil {
		return nil, err
	}
	var v invalid
	if v.addAttributes(c.params.object("custom_attributes")); v.err() != nil {
		return nil, v.err()
	}
	id, err := kindConversation.NextID(ctx, a.records)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	t := &conversation{
		ID: id, UUID: uuid.NewString(), Inbox: p.inbox.Inbox, Source: p.inbox.Source, ContactInbox: p.inbox.ID,
		Consumer: p.consumer(), Status: statusOpen, Attributes: c.params.object("custom_attributes"),
		Created: now, Updated: now, Activity: now, WaitingSince: now, recent: &window{},
	}
	if err := a.keep(ctx, nil, t); err != nil {
		return nil, err
	}
	a.conversations.Put(id, t)
	if tokens := p.tokens(); a.cable.listening(tokens) {
		a.cable.send(tokens, "conversation.created", a.pushConversation(t, p, nil))
	}
	return a.conversationBody(t, p, nil), nil
}

// showConversation answers GET of one conversation.
func (a *ChatwootAPI) showConversation(ctx context.Context, c *call) (any, error) {
	f, err := a.locate(ctx, c)
	if err != nil {
		return nil, err
	}
	c.tookAll(f.thread)
	return a.withMessages(ctx, f.thread, f.visitor)
}

// maxHistory is how many bytes of messages one answer brings, more or less: the
// newest. Chatwoot brings all; what is older the list of messages has.
const maxHistory = 4 << 20

// withMessages is a conversation with its messages, as Chatwoot answers it.
func (a *history) withMessages(ctx context.Context, t *conversation, p *visitor) (any, error) {
	room := maxHistory
	return a.withHistory(ctx, t, p, &room)
}

// withHistory is a conversation with its newest messages, as far as there is
// room for them.
func (a *history) withHistory(ctx context.Context, t *conversation, p *visitor, room *int) (any, error) {
	var messages []*message
	if *room > 0 {
		for m, err := range kindMessage.Each(ctx, a.records, formatID(t.ID), bridge.Page{Newest: true}) {
			if err != nil {
				return nil, err
			}
			messages = append(messages, m)
			if *room -= m.bytes(); *room <= 0 {
				break
			}
		}
	}
	slices.Reverse(messages)
	return a.conversationBody(t, p, messages), nil
}

// listConversations answers GET of the contact's conversations.
func (a *ChatwootAPI) listConversations(ctx context.Context, c *call) (any, error) {
	p, err := a.met(ctx, c)
	if err != nil {
		return nil, err
	}
	threads, err := a.visible(ctx, p)
	if err != nil {
		return nil, err
	}
	room := maxHistory
	answers := make([]any, len(threads))
	for i, t := range threads {
		c.tookAll(t)
		if answers[i], err = a.withHistory(ctx, t, p, &room); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// visible returns the conversations a person may see.
func (a *ChatwootAPI) visible(ctx context.Context, p *visitor) ([]*conversation, error) {
	if !p.inbox.Verified {
		return kindConversation.All(ctx, a.records, formatID(p.inbox.ID))
	}
	inboxes, err := kindContactInbox.All(ctx, a.records, formatID(p.contact.ID))
	if err != nil {
		return nil, err
	}
	var threads []*conversation
	for _, ci := range inboxes {
		if ci.Proven != p.inbox.Proven {
			continue
		}
		some, err := kindConversation.All(ctx, a.records, formatID(ci.ID))
		if err != nil {
			return nil, err
		}
		threads = append(threads, some...)
	}
	return threads, nil
}

// resolveConversation answers toggle_status, which only ever resolves.
func (a *ChatwootAPI) resolveConversation(ctx context.Context, c *call) (any, error) {
	f, err := a.locate(ctx, c)
	if err != nil {
		return nil, err
	}
	err = a.inThread(ctx, f.visitor, f.thread.ID, func(t *transaction) error {
		if t.thread.Status == statusResolved {
			return nil
		}
		t.thread.Closes++
		t.report(eventID("close", t.thread.ID, int64(t.thread.Closes)), bridge.KindClose)
		return a.resolve(ctx, t)
	})
	if err != nil {
		return nil, err
	}
	t, err := a.getConversation(ctx, f.thread.ID)
	if err != nil {
		return nil, err
	}
	return a.withMessages(ctx, t, f.visitor)
}

// resolve ends a conversation and asks for the contact's opinion, once.
func (a *history) resolve(ctx context.Context, t *transaction) error {
	t.thread.Status = statusResolved
	t.thread.WaitingSince = time.Time{}
	t.touch()
	if !a.cfg.CSAT || t.thread.CSAT != 0 {
		return nil
	}
	m, err := a.newMessage(ctx, t, typeTemplate)
	if err != nil {
		return err
	}
	m.Content, m.ContentType = orNull(csatText), contentCSAT
	m.Attributes = map[string]any{"display_type": csatDisplay}
	t.thread.CSAT = m.ID
	t.addMessage(m, nil)
	return nil
}

// seenLimit is the most messages one call of update_last_seen marks as read.
// What is left is marked by the next call.
const seenLimit = 1000

// updateLastSeen answers update_last_seen: the contact has read what agents
// wrote so far.
func (a *ChatwootAPI) updateLastSeen(ctx context.Context, c *call) (any, error) {
	f, err := a.locate(ctx, c)
	if err != nil {
		return nil, err
	}
	err = a.inThread(ctx, f.visitor, f.thread.ID, func(t *transaction) error {
		t.thread.ContactSeen = t.now
		t.touch()
		return a.markSeen(ctx, t)
	})
	return emptyBody{}, err
}

func (a *history) markSeen(ctx context.Context, t *transaction) error {
	var seen []bridge.EventID
	visited := 0
	for m, err := range kindMessage.Each(ctx, a.records, formatID(t.thread.ID), bridge.Page{After: t.thread.SeenUpTo}) {
		if err != nil {
			return err
		}
		t.thread.SeenUpTo = m.ID
		if m.Type == typeOutgoing && m.Status != messageRead {
			before := *m
			m.Status = messageRead
			t.taken(m)
			t.changeMessage(&before, m)
			seen = append(seen, m.Event)
		}
		if visited++; visited >= seenLimit {
			break
		}
	}
	if len(seen) == 0 {
		return nil
	}
	t.report(eventID("seen", t.thread.ID, t.thread.SeenUpTo), bridge.KindReceipt).Receipt = &bridge.Receipt{
		Status: bridge.ReceiptRead, MessageIDs: seen,
	}
	return nil
}

// toggleTyping answers toggle_typing. Other words than on and off have no
// effect and are no error.
func (a *ChatwootAPI) toggleTyping(ctx context.Context, c *call) (any, error) {
	f, err := a.locate(ctx, c)
	if err != nil {
		return nil, err
	}
	word, _ := c.params.text("typing_status")
	state := map[string]bridge.TypingState{"on": bridge.Composing, "off": bridge.Stopped}[word]
	if state == "" {
		return emptyBody{}, nil
	}
	typing := event("", bridge.KindTyping, f.thread, f.visitor, time.Now())
	typing.Typing = &bridge.Typing{State: state}
	a.cable.typing(f.visitor.inbox.Token, f.thread.ID, state == bridge.Composing)
	return emptyBody{}, a.keep(ctx, []bridge.Event{typing})
}

// hungUp is told by the cable that the last socket of a contact is gone.
func (a *ChatwootAPI) hungUp(threads []int64) {
	for _, id := range threads {
		a.core.Disconnected(bridge.ThreadID(formatID(id)))
	}
}

// admit says whether a token of the cable is known.
func (a *ChatwootAPI) admit(ctx context.Context, token string) (bool, error) {
	_, err := a.contactInboxOf(ctx, token)
	if errors.Is(err, bridge.ErrNoRecord) {
		return false, nil
	}
	return err == nil, err
}

func (a *ChatwootAPI) contactInboxOf(ctx context.Context, token string) (*contactInbox, error) {
	if len(token) > maxShortText {
		return nil, bridge.ErrNoRecord
	}
	return kindContactInbox.Find(ctx, a.records, keyToken+token)
}

// presence answers update_presence: the agents of the contact's open
// conversations. LivePerson does not tell who is online, only who was assigned.
func (a *ChatwootAPI) presence(ctx context.Context, token string) (any, error) {
	ci, err := a.contactInboxOf(ctx, token)
	if err != nil {
		return nil, err
	}
	threads, err := kindConversation.All(ctx, a.records, formatID(ci.ID))
	if err != nil {
		return nil, err
	}
	users := map[string]string{}
	for _, t := range threads {
		if t.Status == statusOpen && t.Assignee != 0 {
			users[formatID(t.Assignee)] = "online"
		}
	}
	return presencePush{accountID, users}, nil
}
