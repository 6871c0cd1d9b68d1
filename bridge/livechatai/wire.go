package livechatai

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"lpbridge/bridge/farside"
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

// statusFailed is the envelope's status when the call failed.
const statusFailed = "error"

// contact is a visitor. Attributes are as they came.
type contact struct {
	ID         string
	Name       string
	Phone      string
	Email      string
	Attributes map[string]json.RawMessage
}

func contactOf(o farside.Object) *contact {
	if !o.Exists() {
		return nil
	}
	c := &contact{ID: o.Text("id"), Name: o.Text("name"), Phone: o.Text("phone"), Email: o.Text("email")}
	attributes := o.Inner("attributes")
	for _, name := range attributes.Names() {
		if raw, ok := attributes.Raw(name); ok {
			if c.Attributes == nil {
				c.Attributes = map[string]json.RawMessage{}
			}
			c.Attributes[name] = raw
		}
	}
	return c
}

// listed is a conversation in the list.
type listed struct {
	ID              string
	IsResolved      bool
	IsAgent         bool
	Contact         *contact
	LastMessageDate time.Time
}

func listedOf(o farside.Object) listed {
	return listed{
		ID: o.Text("id"), IsResolved: o.Flag("isResolved"), IsAgent: o.Flag("isAgent"),
		Contact: contactOf(o.Inner("contact")), LastMessageDate: o.Moment("lastMessageDate"),
	}
}

// conversation is one conversation with its messages.
type conversation struct {
	ID              string
	ContactID       string
	AgentID         string
	IsResolved      bool
	IsAgent         bool
	LastMessageDate time.Time
	CreatedAt       time.Time
	Messages        []message
	// unread says what of the answer could not be read.
	unread unread
}

// message is one message of a conversation.
type message struct {
	ID        string
	Content   string
	Role      string
	Type      string
	CreatedAt time.Time
}

func messageOf(o farside.Object) message {
	return message{
		ID: o.Text("id"), Content: o.Text("content"), Role: o.Text("role"), Type: o.Text("type"), CreatedAt: o.Moment("createdAt"),
	}
}

// unread is what could not be read of an answer: whole things of a list, and
// single members of others.
type unread struct {
	things  int
	members []string
}

// listPage is one page of the list.
type listPage struct {
	conversations []listed
	total         int
	totalPages    int
	unread        unread
}

// errNotUnderstood is all that is said of an answer of another form, for it may
// quote messages.
var errNotUnderstood = errors.New("the answer is not of the documented form")

// errRefused is an answer that says error with a status that says success.
var errRefused = errors.New("the answer says error")

// open takes the envelope off.
func open(body []byte) (farside.Object, error) {
	e, err := farside.ParseObject(body)
	switch {
	case err != nil:
		return farside.Object{}, errNotUnderstood
	case e.Text("status") == statusFailed:
		return farside.Object{}, errRefused
	}
	return e.Inner("data"), nil
}

// decodeList reads the answer of GET /conversations. A conversation that cannot
// be read must not hide the others.
func decodeList(body []byte) (listPage, error) {
	data, err := open(body)
	if err != nil {
		return listPage{}, err
	}
	if !data.IsList("conversations") {
		return listPage{}, errNotUnderstood
	}
	meta := data.Inner("meta")
	page := listPage{total: int(meta.Number("total")), totalPages: int(meta.Number("totalPages"))}
	for _, o := range data.List("conversations") {
		if c := listedOf(o); c.ID != "" {
			page.conversations = append(page.conversations, c)
		} else {
			page.unread.things++
		}
	}
	page.unread.members = data.Odd()
	return page, nil
}

// decodeConversation reads the answer of GET /conversations/{id}. Messages that
// cannot be read are left out and counted.
func decodeConversation(body []byte) (conversation, error) {
	data, err := open(body)
	if err != nil {
		return conversation{}, err
	}
	c := conversation{
		ID: data.Text("id"), ContactID: data.Text("contactId"), AgentID: data.Text("agentId"),
		IsResolved: data.Flag("isResolved"), IsAgent: data.Flag("isAgent"),
		LastMessageDate: data.Moment("lastMessageDate"), CreatedAt: data.Moment("createdAt"),
	}
	if c.ID == "" {
		return conversation{}, errNotUnderstood
	}
	for _, o := range data.List("messages") {
		if m := messageOf(o); m.ID != "" {
			c.Messages = append(c.Messages, m)
		} else {
			c.unread.things++
		}
	}
	c.unread.members = data.Odd()
	return c, nil
}

// decodeReply returns the id that a reply got, empty when the answer has none:
// the reply is there, and is found by its text if need be.
func decodeReply(body []byte) (messageID string, err error) {
	data, err := open(body)
	if errors.Is(err, errRefused) {
		return "", err
	}
	if id := data.Text("messageId"); err != nil || id != "" {
		return id, nil
	}
	return data.Inner("message").Text("id"), nil
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
