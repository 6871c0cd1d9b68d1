package chatwootapi

import (
	"context"
	"strconv"
	"unicode/utf8"

	"lpbridge/bridge"
)

const (
	// maxContent is the longest content of a message, in characters.
	maxContent = 150_000
	// listLength is how many messages one list has.
	listLength = 20
)

// listMessages answers GET of messages: the newest, or those before an id,
// oldest first.
func (a *ChatwootAPI) listMessages(ctx context.Context, c *call) (any, error) {
	f, err := a.locate(ctx, c)
	if err != nil {
		return nil, err
	}
	var before int64
	if s := c.params.present("before"); s != "" {
		if before = leadingInt(s); before <= 0 {
			return []messageBody{}, nil
		}
	}
	messages, err := kindMessage.Newest(ctx, a.records, formatID(f.thread.ID), before, listLength)
	if err != nil {
		return nil, err
	}
	if len(messages) > 0 {
		c.took(f.thread, messages[len(messages)-1].ID)
	}
	return a.messageBodies(messages, f.visitor.contact), nil
}

// createMessage answers POST of a message. It may be empty; then there is
// nothing to tell LivePerson, and it is history only.
func (a *ChatwootAPI) createMessage(ctx context.Context, c *call) (any, error) {
	f, err := a.locate(ctx, c)
	if err != nil {
		return nil, err
	}
	uploads, err := uploadsOf(c.params)
	if err != nil {
		return nil, err
	}
	var content *string
	if text, given := c.params.text("content"); given {
		content = &text
	}
	if err := validateContent(content); err != nil {
		return nil, err
	}
	echo := c.params["echo_id"]
	if text, ok := scalar(echo); !ok || isBlank(text) || echo == false {
		echo = nil
	}
	a.cable.typing(f.visitor.inbox.Token, f.thread.ID, false)
	var m *message
	err = a.inThread(ctx, f.visitor, f.thread.ID, func(t *transaction) error {
		if t.thread.recent.full(t.now) {
			return errFlood
		}
		if m, err = a.newMessage(ctx, t, typeIncoming); err != nil {
			return err
		}
		m.Content = content
		if err := a.attach(ctx, t, m, uploads); err != nil {
			return err
		}
		t.contactWrote()
		t.addMessage(m, echo)
		a.reportMessage(t, m)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return a.messageBody(m, f.visitor.contact), nil
}

func validateContent(content *string) error {
	var v invalid
	// Bytes first: most messages are short, and counting runes is not free.
	if content != nil && len(*content) > maxContent && utf8.RuneCountInString(*content) > maxContent {
		v.add("content", "Content is too long (maximum is "+strconv.Itoa(maxContent)+" characters)")
	}
	return v.err()
}

func (a *history) newMessage(ctx context.Context, t *transaction, messageType int) (*message, error) {
	id, err := kindMessage.NextID(ctx, a.records)
	return &message{
		ID: id, Conversation: t.thread.ID, Type: messageType, ContentType: contentText, Status: messageSent,
		Created: t.now, Updated: t.now,
	}, err
}

// contactWrote changes the conversation as a contact's message does: it waits
// for an answer, and a resolved one opens again, unless what is being answered
// is LivePerson's survey.
func (t *transaction) contactWrote() {
	c := t.thread
	c.Unread++
	c.ContactActive = t.now
	if c.Survey {
		return
	}
	if c.WaitingSince.IsZero() {
		c.WaitingSince = t.now
	}
	if c.Status != statusOpen {
		c.Status = statusOpen
		c.Reopens++
		t.report(eventID("reopen", c.ID, int64(c.Reopens)), bridge.KindReopen)
	}
}

func (a *history) reportMessage(t *transaction, m *message) {
	out := &bridge.Message{}
	if m.Content != nil {
		out.Text = *m.Content
	}
	for _, f := range m.Attachments {
		out.Attachments = append(out.Attachments, bridge.Attachment{URL: a.dataURL(f), ContentType: f.ContentType, Name: f.Name})
	}
	if out.Text != "" || len(out.Attachments) > 0 {
		t.report(messageEventID(m.ID), bridge.KindMessage).Message = out
	}
}

// messageEventPrefix begins the ids of message events; receipts refer to them.
const messageEventPrefix = "msg-"

func messageEventID(id int64) bridge.EventID {
	return bridge.EventID(messageEventPrefix + formatID(id))
}
