package chatwootapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

// delivery brings to contacts and their apps what happens in LivePerson.
type delivery struct {
	*store
	*answers
	*people
	*history

	agents *served.Cache[string, int64]
	// roster is held while agents get their numbers.
	roster sync.Mutex
}

// Deliver implements [bridge.Adapter]. Everything it does is a write to the
// channel's own records, so an event it stored was delivered: apps that are not
// connected read it when they come back.
func (a *delivery) Deliver(ctx context.Context, e *bridge.Event) error {
	err := a.deliver(ctx, e)
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*bridge.DeliveryError](err); ok {
		return err
	}
	outcome := bridge.Retry
	if errors.Is(err, bridge.ErrNoRecord) {
		outcome = bridge.Invalid
	}
	return &bridge.DeliveryError{Outcome: outcome, Err: err}
}

func (a *delivery) deliver(ctx context.Context, e *bridge.Event) error {
	f, err := a.owner(ctx, e.Thread)
	if err != nil {
		return err
	}
	agent, err := a.agentNumber(ctx, e.Agent)
	if err != nil {
		return err
	}
	var do func(*transaction) error
	switch {
	case e.Kind == bridge.KindMessage && e.Message != nil:
		do = func(t *transaction) error { return a.deliverMessage(ctx, t, e, agent) }
	case e.Kind == bridge.KindReceipt && e.Receipt != nil:
		do = func(t *transaction) error { return a.deliverReceipt(ctx, t, e.Receipt) }
	case e.Kind == bridge.KindState && e.State != nil:
		do = func(t *transaction) error { return a.deliverState(ctx, t, e, agent) }
	default:
		return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: fmt.Errorf("an event of kind %s cannot be shown", e.Kind)}
	}
	return a.inThread(ctx, f.visitor, f.thread.ID, func(t *transaction) error {
		if e.Agent != nil {
			t.performer = a.agentSender(agent, e.Agent.Name, e.Agent.AvatarURL)
		}
		return do(t)
	})
}

// owner returns a thread's conversation and person.
func (a *history) owner(ctx context.Context, id bridge.ThreadID) (*found, error) {
	t, err := a.getConversation(ctx, parseID(string(id)))
	if err != nil {
		return nil, fmt.Errorf("find conversation: %w", err)
	}
	p, err := a.visitor(ctx, t.key())
	if err != nil {
		return nil, fmt.Errorf("find contact: %w", err)
	}
	return &found{t, p}, nil
}

// agentNumber returns the number that stands for one of LivePerson's agents in
// Chatwoot's JSON, 0 without an agent. It stays the same for good.
func (a *delivery) agentNumber(ctx context.Context, agent *bridge.Agent) (int64, error) {
	if agent == nil {
		return 0, nil
	}
	key := "agent:" + agent.ID
	return a.agents.Get(ctx, key, func(ctx context.Context) (int64, error) {
		a.roster.Lock()
		defer a.roster.Unlock()
		rec, err := a.records.Find(ctx, kindAgent, key)
		if !errors.Is(err, bridge.ErrNoRecord) {
			return rec.ID, err
		}
		id, err := a.records.NextID(ctx, kindAgent)
		if err != nil {
			return 0, err
		}
		return id, a.records.Save(context.WithoutCancel(ctx), bridge.Record{Kind: kindAgent, ID: id, Keys: []string{key}, Time: time.Now()})
	})
}

// deliverMessage stores an agent's message, once for each event.
func (a *delivery) deliverMessage(ctx context.Context, t *transaction, e *bridge.Event, agent int64) error {
	_, err := a.records.Find(ctx, string(kindMessage), keyEvent+string(e.ID))
	if !errors.Is(err, bridge.ErrNoRecord) {
		return err
	}
	for piece, show := range shapes(e.Message) {
		m, err := a.newMessage(ctx, t, typeOutgoing)
		if err != nil {
			return err
		}
		m.Event, m.Piece, m.Agent, m.Untaken = e.ID, piece, agent, true
		if e.Agent != nil {
			m.AgentName, m.AgentAvatar = e.Agent.Name, e.Agent.AvatarURL
		}
		show(m)
		if piece == 0 {
			if err := a.link(ctx, m, e.Message.Attachments); err != nil {
				return err
			}
		}
		t.thread.Untaken++
		t.addMessage(m, nil)
	}
	t.agentWrote()
	return nil
}

// shapes are the messages that an agent's message becomes: with its words, or as
// cards; what is offered beside cards is a message of its own.
func shapes(m *bridge.Message) []func(*message) {
	content := served.ContentOf(m)
	words := func(to *message) { to.Content = orNull(m.Text) }
	switch {
	case content.Cards == nil:
		return []func(*message){func(to *message) { words(to); to.offer(content.Replies) }}
	case len(content.Replies) == 0:
		return []func(*message){func(to *message) { words(to); to.show(content.Cards) }}
	}
	return []func(*message){
		func(to *message) { words(to); to.show(content.Cards) },
		func(to *message) { to.offer(content.Replies) },
	}
}

// assign makes an agent the conversation's.
func (t *transaction) assign(number int64, agent *bridge.Agent) {
	t.thread.Assignee, t.thread.AssigneeName, t.thread.AssigneeAvatar = number, "", ""
	if agent != nil {
		t.thread.AssigneeName, t.thread.AssigneeAvatar = agent.Name, agent.AvatarURL
	}
}

// offer makes quick replies the choices of an input_select.
func (m *message) offer(replies []bridge.QuickReply) {
	if len(replies) == 0 {
		return
	}
	items := make([]any, len(replies))
	for i, r := range replies {
		items[i] = map[string]any{"title": r.Name(), "value": choiceValue(replies, r)}
	}
	m.ContentType, m.Replies, m.Attributes = contentSelect, replies, map[string]any{"items": items}
}

// show makes cards what Chatwoot has for them: an article where they only lead
// somewhere, else cards.
func (m *message) show(cards []served.Card) {
	if !slices.ContainsFunc(cards, func(c served.Card) bool { return !leadsOnly(c) }) {
		items := make([]any, len(cards))
		for i, c := range cards {
			items[i] = map[string]any{"title": cmp.Or(c.Title, c.Buttons[0].Title), "description": c.Text, "link": c.Buttons[0].Link}
		}
		m.ContentType, m.Attributes = contentArticle, map[string]any{"items": items}
		return
	}
	for _, c := range cards {
		for i, b := range c.Buttons {
			if b.Reply == "" && b.Link == "" {
				c.Buttons[i].Reply = saidPrefix + b.Said()
			}
			if c.Buttons[i].Reply != "" {
				m.Replies = append(m.Replies, bridge.QuickReply{ID: c.Buttons[i].Reply, Title: b.Title, Text: b.Says})
			}
		}
	}
	items := make([]any, len(cards))
	for i, c := range cards {
		items[i] = map[string]any{
			"title": c.Title, "description": strings.TrimSpace(c.Text + "\n" + c.Caption), "media_url": c.Image, "actions": m.actions(c.Buttons),
		}
	}
	m.ContentType, m.Attributes = contentCards, map[string]any{"items": items}
}

// leadsOnly reports whether a card is nothing but words and one link.
func leadsOnly(c served.Card) bool {
	return c.Image == "" && len(c.Buttons) == 1 && c.Buttons[0].Link != "" && c.Buttons[0].Reply == "" && c.Buttons[0].Says == ""
}

// actions are the buttons of a card. A click comes back with their payload.
func (m *message) actions(buttons []served.Button) []any {
	out := []any{}
	for _, b := range buttons {
		if b.Reply == "" {
			out = append(out, map[string]any{"type": "link", "text": b.Title, "uri": b.Link})
			continue
		}
		reply := bridge.QuickReply{ID: b.Reply, Title: b.Title, Text: b.Says}
		out = append(out, map[string]any{"type": "postback", "text": b.Title, "payload": choiceValue(m.Replies, reply)})
	}
	return out
}

// saidPrefix begins the ids of what only says something when it is chosen.
const saidPrefix = "say:"

// choiceValue is what an answer brings back for a reply: what choosing it says,
// because some apps send the value as a message, or its id where that could
// mean two replies.
func choiceValue(replies []bridge.QuickReply, r bridge.QuickReply) string {
	said := cmp.Or(r.Text, r.Title)
	for _, other := range replies {
		if other.ID != r.ID && cmp.Or(other.Text, other.Title) == said {
			return r.ID
		}
	}
	return cmp.Or(said, r.ID)
}

// link adds an agent's files, which stay where they are.
func (a *delivery) link(ctx context.Context, m *message, files []bridge.Attachment) error {
	for _, f := range files {
		id, err := kindAttachment.NextID(ctx, a.records)
		if err != nil {
			return err
		}
		media, _, _ := strings.Cut(f.ContentType, ";")
		m.Attachments = append(m.Attachments, attachment{
			ID: id, Name: f.Name, ContentType: cmp.Or(strings.ToLower(strings.TrimSpace(media)), "application/octet-stream"), URL: f.URL,
		})
	}
	return nil
}

// agentWrote changes the conversation as an agent's message does.
func (t *transaction) agentWrote() {
	c := t.thread
	c.WaitingSince = time.Time{}
	if c.FirstReply.IsZero() {
		c.FirstReply = t.now
	}
}

// deliverReceipt passes on how far the contact's messages got.
func (a *delivery) deliverReceipt(ctx context.Context, t *transaction, r *bridge.Receipt) error {
	status := map[bridge.ReceiptStatus]string{
		bridge.ReceiptDelivered: messageDelivered, bridge.ReceiptRead: messageRead, bridge.ReceiptFailed: messageFailed,
	}[r.Status]
	if status == "" {
		return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: errors.New("the receipt has an unknown status")}
	}
	for _, id := range r.MessageIDs {
		if err := a.setStatus(ctx, t, id, status); err != nil {
			return err
		}
	}
	if status == messageRead {
		t.thread.AgentSeen, t.thread.Unread = t.now, 0
		t.touch()
	}
	return nil
}

// setStatus changes one message. One that history no longer keeps is left out.
func (a *delivery) setStatus(ctx context.Context, t *transaction, id bridge.EventID, status string) error {
	number, ours := strings.CutPrefix(string(id), messageEventPrefix)
	if !ours {
		return nil
	}
	m, err := a.messageOf(ctx, t.thread, parseID(number))
	if errors.Is(err, bridge.ErrNoRecord) || errors.Is(err, errNotFound) {
		return nil
	}
	if err != nil || !advances(m.Status, status) || t.changes(m.ID) {
		return err
	}
	before := *m
	m.Status = status
	t.changeMessage(&before, m)
	return nil
}

// changes says whether the transaction already changes a message: a receipt may name
// one twice.
func (t *transaction) changes(id int64) bool {
	for _, n := range t.news {
		if n.message.ID == id {
			return true
		}
	}
	return false
}

// advances says whether a message's status may become next: it never falls
// back, and what arrived did not fail.
func advances(status, next string) bool {
	order := map[string]int{messageSent: 0, messageFailed: 1, messageDelivered: 2, messageRead: 3}
	return order[next] > order[status]
}

// deliverState follows the conversation in LivePerson.
func (a *delivery) deliverState(ctx context.Context, t *transaction, e *bridge.Event, agent int64) error {
	switch e.State.Conversation {
	case bridge.StateJoined, bridge.StateTransferred:
		t.assign(agent, e.Agent)
	case bridge.StateSurvey:
		t.thread.Survey = true
	case bridge.StateSurveyEnded:
		t.thread.Survey = false
	case bridge.StateClosed:
		return a.deliverClosed(ctx, t, e)
	case bridge.StateOpen:
		t.thread.LivePerson = heldIn(e)
	}
	t.touch()
	return nil
}

// heldIn is LivePerson's conversation of an event, empty when it is not told.
func heldIn(e *bridge.Event) string {
	if e.Position == nil {
		return ""
	}
	return e.Position.Conversation
}

// deliverClosed resolves the conversation. What the consumer closed was
// resolved when the app asked for it, and may be open again by now; so may one
// that had ended when the consumer wrote once more.
func (a *delivery) deliverClosed(ctx context.Context, t *transaction, e *bridge.Event) error {
	c := t.thread
	if former := heldIn(e); former != "" && c.LivePerson != "" && former != c.LivePerson {
		return nil
	}
	c.Survey = false
	t.touch()
	if c.Status == statusResolved || e.State.By == "consumer" && c.Closes > 0 {
		return nil
	}
	return a.resolve(ctx, t)
}

// ShowTyping implements [bridge.Typist]. Apps that are not connected miss it.
func (a *delivery) ShowTyping(ctx context.Context, cue bridge.TypingCue) error {
	f, err := a.owner(ctx, cue.Thread)
	if err != nil {
		return err
	}
	tokens := f.visitor.tokens()
	if !a.cable.listening(tokens) {
		return nil
	}
	agent, err := a.agentNumber(ctx, &cue.Agent)
	if err != nil {
		return err
	}
	name := "conversation.typing_off"
	if cue.State == bridge.Composing {
		name = "conversation.typing_on"
	}
	push := a.pushConversation(f.thread, f.visitor, a.newestMessage(ctx, f.thread.ID))
	push.AccountID = 0
	sender := a.agentSender(agent, cue.Agent.Name, cue.Agent.AvatarURL)
	a.cable.send(tokens, name, typingPush{Conversation: push, User: sender, AccountID: accountID, Performer: sender})
	return nil
}
