package layer

import (
	"context"
	"errors"
	"iter"
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"lpbridge/bridge"
)

const (
	// maxParts is the most parts of a message, and maxBody the longest body of
	// one in bytes. Layer's own limit is 2 KB; its SDKs upload what is longer.
	maxParts = 64
	maxBody  = 64 << 10
	// maxText is the longest text that agents get, in bytes.
	maxText = 64 << 10
)

// The media types that carry a message's text.
const (
	typeText  = "application/vnd.layer.text+json"
	typePlain = "text/plain"
)

// messageRequest asks for a message, over REST or a socket.
type messageRequest struct {
	ID    string        `json:"id"`
	Parts []partRequest `json:"parts"`
}

type partRequest struct {
	ID       string  `json:"id"`
	MIMEType string  `json:"mime_type"`
	Body     *string `json:"body"`
	Encoding string  `json:"encoding"`
	Content  *struct {
		ID string `json:"id"`
	} `json:"content"`
}

// messageOf returns a message that the user sees, or [bridge.ErrNoRecord].
func (h *history) messageOf(ctx context.Context, user, uuid string) (*message, error) {
	m, err := kindMessage.Find(ctx, h.records, uuidKey(uuid))
	if err != nil {
		return nil, err
	}
	if m.Owner != user || m.Gone {
		return nil, bridge.ErrNoRecord
	}
	c, err := h.conversationOf(ctx, user, m.Thread)
	if err != nil {
		return nil, err
	}
	if m.ID <= c.HiddenTo {
		return nil, bridge.ErrNoRecord
	}
	return m, nil
}

// createMessage answers POST /conversations/UUID/messages.
func (api *restAPI) createMessage(ctx context.Context, c *call) (response, error) {
	var req messageRequest
	if err := decodeBody(c.body, &req); err != nil {
		return response{}, err
	}
	var body messageObject
	err := api.makeMessage(ctx, c.view, c.PathValue("uuid"), &req, func(made messageObject) { body = made })
	return response{status: http.StatusCreated, body: body}, err
}

// makeMessage takes a message of the consumer and hands it to done before
// anybody else is told. Message, event and changes are one durable write.
func (h *history) makeMessage(ctx context.Context, v view, conversation string, req *messageRequest, done func(messageObject)) error {
	err := h.tryMessage(ctx, v, conversation, req, true, done)
	if _, refused := errors.AsType[*bridge.FieldError](err); refused {
		// The bridge no longer knows what was offered. What choosing it says is
		// the consumer's word all the same.
		h.log.InfoContext(ctx, "a choice came too late for LivePerson", "error", err)
		err = h.tryMessage(ctx, v, conversation, req, false, done)
	}
	return err
}

// tryMessage takes a message. clicks says whether what was chosen is told as a
// click, or as words.
func (h *history) tryMessage(ctx context.Context, v view, conversation string, req *messageRequest, clicks bool, done func(messageObject)) error {
	var made *message
	return h.inTransaction(ctx, v.viewer.User, func(t *transaction) error {
		t.app = v.app
		c, err := h.conversationOf(ctx, t.user.id, conversation)
		if err != nil {
			return err
		}
		own, err := h.newMessageID(ctx, v, req.ID)
		if err != nil {
			return err
		}
		made = &message{UUID: own, Conversation: c.ID, Thread: c.UUID, Owner: c.Owner, Sender: t.user.id, Sent: t.at, Status: statusSent}
		read, err := h.takeParts(ctx, t, made, req.Parts)
		if err != nil {
			return err
		}
		t.keep(read.stored...)
		if err := h.addMessage(ctx, t, c, made); err != nil {
			return err
		}
		for _, to := range read.answered {
			t.keep(to)
			t.tellSummary(to)
		}
		t.reportMessage(c, made, read, clicks)
		return nil
	}, func(t *transaction) { done(v.message(made)) })
}

// reportMessage tells LivePerson of a message: what was chosen, and what is said.
func (t *transaction) reportMessage(c *conversation, m *message, read *reading, clicks bool) {
	id := bridge.EventID(strings.ToLower(m.UUID))
	for i, choice := range read.clicks {
		event := id + bridge.EventID(":click:"+strconv.Itoa(i))
		if !clicks || strings.HasPrefix(choice.choice, saidPrefix) {
			t.report(event, bridge.KindMessage, c.thread()).Message = &bridge.Message{Text: choice.said}
			continue
		}
		t.report(event, bridge.KindClick, c.thread()).Click = &bridge.Click{MessageID: choice.message.Event, ReplyID: choice.choice}
	}
	if read.message.Text == "" && len(read.message.Attachments) == 0 {
		return
	}
	t.report(id, bridge.KindMessage, c.thread()).Message = read.message
}

// addMessage puts a message into its conversation.
func (h *history) addMessage(ctx context.Context, t *transaction, c *conversation, m *message) error {
	id, err := kindMessage.NextID(ctx, h.records)
	if err != nil {
		return err
	}
	m.ID = id
	c.LastMessage, c.LastUUID, c.LastAt = m.ID, m.UUID, m.Sent
	c.Total++
	if !m.mine() {
		c.Unread++
	}
	if c.Hidden {
		c.Hidden = false
		t.tellCreated(objectConversation, c.UUID, c)
	}
	t.keep(m, c)
	t.tellCreated(objectMessage, m.UUID, m)
	t.tellUpdated(objectConversation, c.UUID, lastMessage(c), unread(c))
	return nil
}

func lastMessage(c *conversation) operation {
	s := operation{Do: "set", Property: "last_message"}
	if c.LastUUID != "" {
		s.ID = prefixMessage + c.LastUUID
	}
	return s
}

func unread(c *conversation) operation {
	return operation{Do: "set", Property: "unread_message_count", Value: c.Unread}
}

// newMessageID is the UUID asked for, or a new one. A request repeated gets the
// message that it made before.
func (h *history) newMessageID(ctx context.Context, v view, asked string) (string, error) {
	if asked == "" {
		return uuid.NewString(), nil
	}
	own, ok := uuidOf(asked, prefixMessage)
	if !ok {
		return "", invalidProperty("id", "must be "+prefixMessage+"UUID")
	}
	taken, err := kindMessage.Find(ctx, h.records, uuidKey(own))
	switch {
	case errors.Is(err, bridge.ErrNoRecord):
		return own, nil
	case err != nil:
		return "", err
	case taken.Owner != v.viewer.User || taken.Gone:
		return "", errIDTaken
	}
	return "", idInUse(v.message(taken))
}

func checkPart(m *message, req *partRequest, field string) (*part, error) {
	p := &part{MIMEType: req.MIMEType, Encoding: req.Encoding, UUID: uuid.NewString()}
	if _, _, err := mime.ParseMediaType(req.MIMEType); err != nil || len(req.MIMEType) > maxProfileField {
		return nil, invalidProperty(field+".mime_type", "must be a media type")
	}
	if req.Encoding != "" && req.Encoding != "base64" {
		return nil, invalidProperty(field+".encoding", "must be base64 or absent")
	}
	if own, ok := partUUID(req.ID, m.UUID); ok {
		p.UUID = own
	}
	if req.Content != nil {
		own, ok := uuidOf(req.Content.ID, prefixContent)
		if !ok {
			return nil, invalidProperty(field+".content.id", "must be "+prefixContent+"UUID")
		}
		p.Content = own
		return p, nil
	}
	switch {
	case req.Body == nil:
		return nil, missingProperty(field + ".body")
	case len(*req.Body) > maxBody:
		return nil, invalidProperty(field+".body", "is longer than "+strconv.Itoa(maxBody)+" bytes")
	}
	p.Body = *req.Body
	return p, nil
}

// listMessages answers GET /conversations/UUID/messages.
func (api *restAPI) listMessages(ctx context.Context, c *call) (response, error) {
	query, err := c.listQuery(prefixMessage)
	if err != nil {
		return response{}, err
	}
	found, err := api.conversationOf(ctx, c.view.viewer.User, c.PathValue("uuid"))
	if err != nil {
		return response{}, err
	}
	var before int64
	if query.from != "" {
		from, err := kindMessage.Find(ctx, api.records, uuidKey(query.from))
		if errors.Is(err, bridge.ErrNoRecord) || err == nil && from.Conversation != found.ID {
			return response{}, invalidProperty("from_id", "is not a message of the conversation")
		}
		if err != nil {
			return response{}, err
		}
		before = from.ID
	}
	shown := []messageObject{}
	for m, err := range found.messages(ctx, api.records, found.HiddenTo, before) {
		if err != nil {
			return response{}, err
		}
		if !m.Gone {
			shown = append(shown, c.view.message(m))
		}
		if len(shown) >= query.size {
			break
		}
	}
	return response{status: http.StatusOK, body: shown, count: &found.Total}, nil
}

// showMessage answers GET /messages/UUID.
func (api *restAPI) showMessage(ctx context.Context, c *call) (response, error) {
	m, err := api.messageOf(ctx, c.view.viewer.User, c.PathValue("uuid"))
	if err != nil {
		return response{}, err
	}
	return response{status: http.StatusOK, body: c.view.message(m)}, nil
}

// deleteMessage answers DELETE /messages/UUID. What LivePerson has is not taken
// back: its API knows no way.
func (api *restAPI) deleteMessage(ctx context.Context, c *call) (response, error) {
	mode := c.URL.Query().Get("mode")
	if mode != modeAll && mode != modeMine {
		return response{}, invalidProperty("mode", "must be all_participants or my_devices")
	}
	err := api.inTransaction(ctx, c.view.viewer.User, func(t *transaction) error {
		m, err := api.messageOf(ctx, t.user.id, c.PathValue("uuid"))
		if err != nil {
			return err
		}
		found, err := api.conversationOf(ctx, t.user.id, m.Thread)
		if err != nil {
			return err
		}
		return api.removeMessage(ctx, t, found, m, mode)
	}, nil)
	return response{status: http.StatusNoContent}, err
}

// removeMessage empties a message and leaves its ids taken, so that neither side
// can make it again.
func (h *history) removeMessage(ctx context.Context, t *transaction, c *conversation, m *message, mode string) error {
	wasUnread := !m.mine() && m.Status != statusRead
	m.Gone, m.Parts = true, nil
	c.Total = max(c.Total-1, 0)
	var news []operation
	if wasUnread {
		c.Unread = max(c.Unread-1, 0)
		news = append(news, unread(c))
	}
	if c.LastMessage == m.ID {
		if err := h.findLast(ctx, c); err != nil {
			return err
		}
		news = append(news, lastMessage(c))
	}
	t.keep(m, c)
	t.tellDeleted(objectMessage, m.UUID, mode)
	if len(news) > 0 {
		t.tellUpdated(objectConversation, c.UUID, news...)
	}
	return nil
}

// findLast finds the newest message below the one that was the newest.
func (h *history) findLast(ctx context.Context, c *conversation) error {
	before := c.LastMessage
	c.LastMessage, c.LastUUID = 0, ""
	for m, err := range c.messages(ctx, h.records, c.HiddenTo, before) {
		if err != nil {
			return err
		}
		if !m.Gone {
			c.LastMessage, c.LastUUID, c.LastAt = m.ID, m.UUID, m.Sent
			break
		}
	}
	return nil
}

// messages goes through a conversation, the newest first, between two positions
// that are not part of it; 0 is no bound.
func (c *conversation) messages(ctx context.Context, records bridge.RecordReader, after, before int64) iter.Seq2[*message, error] {
	return kindMessage.Each(ctx, records, parentOf(c.ID), bridge.Page{After: after, Before: before, Newest: true})
}
