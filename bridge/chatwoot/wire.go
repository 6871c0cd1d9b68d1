package chatwoot

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"lpbridge/bridge"
)

// The events of Chatwoot's webhooks that mean something here (Chatwoot,
// Webhooks: event types). An agent bot is told of a resolved conversation in
// words of its own.
const (
	eventMessageCreated = "message_created"
	eventMessageUpdated = "message_updated"
	eventTypingOn       = "conversation_typing_on"
	eventTypingOff      = "conversation_typing_off"
	eventStatusChanged  = "conversation_status_changed"
	eventResolved       = "conversation_resolved"
	eventContactUpdated = "contact_updated"
)

// markKey is the member of content_attributes that holds the id of the event
// which a message of ours shows. Chatwoot keeps any member and repeats it in
// webhooks and lists. source_id would not do: channels such as WhatsApp take a
// message that has one for sent already.
const markKey = "lpbridge_event_id"

// account and inbox are sub-objects that name what an event belongs to.
type (
	account struct {
		ID int64 `json:"id"`
	}
	inbox struct {
		ID int64 `json:"id"`
	}
)

// person is a contact, a user or an agent bot. A contact has no type in
// webhooks, and type "contact" within a conversation.
type person struct {
	ID          int64    `json:"id"`
	Type        string   `json:"type"`
	Name        string   `json:"name"`
	Email       string   `json:"email"`
	PhoneNumber string   `json:"phone_number"`
	Thumbnail   string   `json:"thumbnail"`
	Account     *account `json:"account"`
}

// isContact tells a consumer from everybody else. Ids do not: contact 7 and user
// 7 are different persons.
func (p *person) isContact() bool {
	return p != nil && p.ID > 0 && (p.Type == "" || p.Type == "contact")
}

// conversation is the webhook form of a conversation. ID is the number that
// Chatwoot shows, counted per account.
type conversation struct {
	ID      int64    `json:"id"`
	InboxID int64    `json:"inbox_id"`
	Account *account `json:"account"`
	Status  string   `json:"status"`
	// UpdatedAt is in seconds since 1970, with a fraction.
	UpdatedAt stamp `json:"updated_at"`
	Meta      struct {
		Sender *person `json:"sender"`
	} `json:"meta"`
	ContactInbox struct {
		ContactID int64 `json:"contact_id"`
	} `json:"contact_inbox"`
	// Messages holds the newest message when the webhook was written, which need
	// not be the one it is about.
	Messages []struct {
		ID        int64  `json:"id"`
		AccountID int64  `json:"account_id"`
		Status    string `json:"status"`
	} `json:"messages"`
}

// accountID is the account, 0 when the payload does not say.
func (c *conversation) accountID() int64 {
	switch {
	case c == nil:
		return 0
	case c.Account != nil:
		return c.Account.ID
	case len(c.Messages) > 0:
		return c.Messages[0].AccountID
	}
	return 0
}

// messagePayload is message_created and message_updated.
type messagePayload struct {
	Account           *account          `json:"account"`
	ID                int64             `json:"id"`
	Content           string            `json:"content"`
	ContentAttributes contentAttributes `json:"content_attributes"`
	MessageType       string            `json:"message_type"`
	Private           flag              `json:"private"`
	CreatedAt         stamp             `json:"created_at"`
	// Status is not there up to 4.15.
	Status       string        `json:"status"`
	Attachments  []attachment  `json:"attachments"`
	Sender       *person       `json:"sender"`
	Inbox        *inbox        `json:"inbox"`
	Conversation *conversation `json:"conversation"`
}

func (p *messagePayload) accountID() int64 {
	if p.Account != nil {
		return p.Account.ID
	}
	return p.Conversation.accountID()
}

// status is how far the message got; empty when the payload does not say.
func (p *messagePayload) status() string {
	if p.Status != "" || len(p.Conversation.Messages) == 0 || p.Conversation.Messages[0].ID != p.ID {
		return p.Status
	}
	return p.Conversation.Messages[0].Status
}

// attachment is a file, a place or an address card.
type attachment struct {
	FileType      string  `json:"file_type"`
	ContentType   string  `json:"content_type"`
	DataURL       string  `json:"data_url"`
	FallbackTitle string  `json:"fallback_title"`
	Latitude      float64 `json:"coordinates_lat"`
	Longitude     float64 `json:"coordinates_long"`
}

// contentAttributes are those that mean something here.
type contentAttributes struct {
	Mark      bridge.EventID
	Deleted   bool
	Submitted []submitted
	CSAT      *csatResponse
}

// submitted is one answer to a message that offered some.
type submitted struct {
	Title string `json:"title"`
	Value string `json:"value"`
}

type csatResponse struct {
	Rating   int    `json:"rating"`
	Feedback string `json:"feedback_message"`
}

// UnmarshalJSON reads what it understands. Anybody with a token may put anything
// there, so nothing in it makes a webhook invalid.
func (c *contentAttributes) UnmarshalJSON(data []byte) error {
	*c = contentAttributes{}
	var text string
	if json.Unmarshal(data, &text) == nil {
		data = []byte(text)
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(data, &members) != nil {
		return nil
	}
	var mark string
	if json.Unmarshal(members[markKey], &mark) == nil {
		c.Mark = bridge.EventID(mark)
	}
	var deleted flag
	if json.Unmarshal(members["deleted"], &deleted) == nil {
		c.Deleted = bool(deleted)
	}
	c.readSubmitted(members["submitted_values"])
	return nil
}

// readSubmitted reads the answers: a list for choices and forms, an object for a
// rating.
func (c *contentAttributes) readSubmitted(data json.RawMessage) {
	var rating struct {
		Response *csatResponse `json:"csat_survey_response"`
	}
	if json.Unmarshal(data, &rating) == nil {
		c.CSAT = rating.Response
		return
	}
	var values []json.RawMessage
	if json.Unmarshal(data, &values) != nil {
		return
	}
	for _, v := range values {
		var s submitted
		if json.Unmarshal(v, &s) == nil && s.Value != "" {
			c.Submitted = append(c.Submitted, s)
		}
	}
}

// typingPayload is conversation_typing_on and conversation_typing_off.
type typingPayload struct {
	User         *person       `json:"user"`
	Conversation *conversation `json:"conversation"`
	IsPrivate    flag          `json:"is_private"`
}

func (p *typingPayload) accountID() int64 {
	if id := p.Conversation.accountID(); id != 0 || p.User == nil || p.User.Account == nil {
		return id
	}
	return p.User.Account.ID
}

// contactPayload is contact_updated.
type contactPayload struct {
	person
	Changed changes `json:"changed_attributes"`
}

// changes are the attributes that changed: a list of objects of one member each,
// or null.
type changes struct {
	names map[string]bool
	raw   []byte
}

// UnmarshalJSON reads what it understands.
func (c *changes) UnmarshalJSON(data []byte) error {
	*c = changes{names: map[string]bool{}, raw: bytes.Clone(data)}
	var list []map[string]json.RawMessage
	if json.Unmarshal(data, &list) != nil {
		return nil
	}
	for _, change := range list {
		for name := range change {
			c.names[name] = true
		}
	}
	return nil
}

// flag is a bool that comes as null or as a string when a caller of the API sent
// it so. Only true and "true" are true.
type flag bool

// UnmarshalJSON implements [json.Unmarshaler].
func (f *flag) UnmarshalJSON(data []byte) error {
	*f = string(data) == "true" || string(data) == `"true"`
	return nil
}

// stamp is a moment: RFC 3339 in some places of a payload and seconds since 1970
// in others. One that cannot be read is zero.
type stamp struct{ time.Time }

// UnmarshalJSON implements [json.Unmarshaler].
func (s *stamp) UnmarshalJSON(data []byte) error {
	s.Time = time.Time{}
	text := strings.Trim(string(data), `"`)
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		s.Time = t.UTC()
		return nil
	}
	const latest = 1 << 40
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds > 0 && seconds < latest {
		s.Time = time.UnixMicro(int64(seconds * 1e6)).UTC()
	}
	return nil
}

// decode reads a payload, or says which member is wrong.
func decode(body []byte, into any) error {
	err := json.Unmarshal(body, into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if wrong.Field == "" {
			return &bridge.FieldError{Field: "body", Reason: "is not a JSON object"}
		}
		return &bridge.FieldError{Field: wrong.Field, Reason: "is a " + firstWord(wrong.Value) + " where Chatwoot sends something else"}
	}
	if err != nil {
		return &bridge.FieldError{Field: "body", Reason: "is not one valid JSON text"}
	}
	return nil
}

// firstWord keeps the kind of a value and drops the value, which encoding/json
// quotes for numbers.
func firstWord(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return word
}
