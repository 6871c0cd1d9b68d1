package livechatai

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"
)

// typingRequest is the body of POST /conversations/{id}/typing (page "Send an
// agent is typing indicator").
type typingRequest struct {
	IsTyping bool   `json:"isTyping"`
	UserID   string `json:"userId,omitempty"`
}

// replyRequest is the body of POST /conversations/{id}/reply.
type replyRequest struct {
	Message     string `json:"message"`
	UserID      string `json:"userId,omitempty"`
	MessageType string `json:"messageType"`
}

// endRequest is the body of POST /conversations/{id}/end.
type endRequest struct {
	UserID string `json:"userId,omitempty"`
}

// The values of messageType and type.
const (
	typeText  = "TEXT"
	typeImage = "IMAGE"
)

// envelope is around every answer.
type envelope struct {
	Status string          `json:"status"`
	Data   json.RawMessage `json:"data"`
}

// statusError is the envelope's status when the call failed.
const statusError = "error"

// contact is a visitor.
type contact struct {
	ID         string                     `json:"id"`
	Name       string                     `json:"name"`
	Phone      string                     `json:"phone"`
	Email      string                     `json:"email"`
	Attributes map[string]json.RawMessage `json:"attributes"`
}

// listed is a conversation in the list.
type listed struct {
	ID              string   `json:"id"`
	IsResolved      bool     `json:"isResolved"`
	IsAgent         bool     `json:"isAgent"`
	Contact         *contact `json:"contact"`
	LastMessageDate moment   `json:"lastMessageDate"`
}

// conversation is one conversation with its messages.
type conversation struct {
	ID              string
	ContactID       string
	AgentID         string
	IsResolved      bool
	IsAgent         bool
	LastMessageDate moment
	CreatedAt       moment
	Messages        []message
}

// message is one message of a conversation.
type message struct {
	ID        string `json:"id"`
	Content   string `json:"content"`
	Role      string `json:"role"`
	Type      string `json:"type"`
	CreatedAt moment `json:"createdAt"`
}

// moment is a time as the API writes it, ISO 8601. One that cannot be read is
// zero, because it must not cost the message.
type moment struct{ time.Time }

// UnmarshalJSON implements [json.Unmarshaler]. It never fails.
func (m *moment) UnmarshalJSON(data []byte) error {
	m.Time = time.Time{}
	var text string
	if json.Unmarshal(data, &text) != nil {
		return nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05"} {
		if t, err := time.Parse(layout, text); err == nil && t.Year() > 1970 && t.Year() < 9999 {
			m.Time = t.UTC()
			return nil
		}
	}
	return nil
}

// listPage is one page of the list.
type listPage struct {
	conversations []listed
	total         int
	totalPages    int
	// spoilt is how many conversations of the page could not be read.
	spoilt int
}

// errNotUnderstood is all that is said of an answer of another form, for it may
// quote messages.
var errNotUnderstood = errors.New("the answer is not of the documented form")

// errRefused is an answer that says error with a status that says success.
var errRefused = errors.New("the answer says error")

// open takes the envelope off.
func open(body []byte) (json.RawMessage, error) {
	var e envelope
	if err := json.Unmarshal(body, &e); err != nil {
		return nil, errNotUnderstood
	}
	if e.Status == statusError {
		return nil, errRefused
	}
	return e.Data, nil
}

// decodeList reads the answer of GET /conversations. A conversation that cannot
// be read must not hide the others.
func decodeList(body []byte) (listPage, error) {
	data, err := open(body)
	if err != nil {
		return listPage{}, err
	}
	var wire struct {
		Conversations []json.RawMessage `json:"conversations"`
		Meta          struct {
			Total      int `json:"total"`
			TotalPages int `json:"totalPages"`
		} `json:"meta"`
	}
	if json.Unmarshal(data, &wire) != nil || wire.Conversations == nil {
		return listPage{}, errNotUnderstood
	}
	page := listPage{total: wire.Meta.Total, totalPages: wire.Meta.TotalPages}
	for _, raw := range wire.Conversations {
		var c listed
		if json.Unmarshal(raw, &c) != nil || c.ID == "" {
			page.spoilt++
			continue
		}
		page.conversations = append(page.conversations, c)
	}
	return page, nil
}

// decodeConversation reads the answer of GET /conversations/{id}. Messages that
// cannot be read are left out and counted.
func decodeConversation(body []byte) (c conversation, spoilt int, err error) {
	data, err := open(body)
	if err != nil {
		return conversation{}, 0, err
	}
	var wire struct {
		ID              string            `json:"id"`
		ContactID       string            `json:"contactId"`
		AgentID         string            `json:"agentId"`
		IsResolved      bool              `json:"isResolved"`
		IsAgent         bool              `json:"isAgent"`
		LastMessageDate moment            `json:"lastMessageDate"`
		CreatedAt       moment            `json:"createdAt"`
		Messages        []json.RawMessage `json:"messages"`
	}
	if json.Unmarshal(data, &wire) != nil || wire.ID == "" {
		return conversation{}, 0, errNotUnderstood
	}
	c = conversation{
		ID: wire.ID, ContactID: wire.ContactID, AgentID: wire.AgentID, IsResolved: wire.IsResolved, IsAgent: wire.IsAgent,
		LastMessageDate: wire.LastMessageDate, CreatedAt: wire.CreatedAt,
	}
	for _, raw := range wire.Messages {
		var m message
		if json.Unmarshal(raw, &m) != nil || m.ID == "" {
			spoilt++
			continue
		}
		c.Messages = append(c.Messages, m)
	}
	return c, spoilt, nil
}

// decodeReply returns the id that a reply got, empty when the answer has none.
func decodeReply(body []byte) (messageID string, err error) {
	data, err := open(body)
	if errors.Is(err, errRefused) {
		return "", err
	}
	var wire struct {
		MessageID string `json:"messageId"`
		Message   struct {
			ID string `json:"id"`
		} `json:"message"`
	}
	// The reply is there; without an id it is found by its text if need be.
	if err != nil || json.Unmarshal(data, &wire) != nil {
		return "", nil
	}
	if wire.MessageID == "" {
		return wire.Message.ID, nil
	}
	return wire.MessageID, nil
}

// strings returns a contact's attributes that are words, numbers or truths.
func (c *contact) strings() map[string]string {
	plain := map[string]string{}
	for name, raw := range c.Attributes {
		var value any
		if json.Unmarshal(raw, &value) != nil {
			continue
		}
		switch v := value.(type) {
		case string:
			plain[name] = v
		case bool:
			plain[name] = strconv.FormatBool(v)
		case float64:
			plain[name] = strings.TrimSpace(string(raw))
		}
	}
	if len(plain) == 0 {
		return nil
	}
	return plain
}
