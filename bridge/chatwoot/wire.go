package chatwoot

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"

	"lpbridge/bridge"
)

// The events of Chatwoot's webhooks that mean something here (Chatwoot,
// Webhooks: event types). An agent bot is told of a changed status in words of
// its own.
const (
	eventMessageCreated = "message_created"
	eventMessageUpdated = "message_updated"
	eventTypingOn       = "conversation_typing_on"
	eventTypingOff      = "conversation_typing_off"
	eventStatusChanged  = "conversation_status_changed"
	eventOpened         = "conversation_opened"
	eventResolved       = "conversation_resolved"
	eventContactUpdated = "contact_updated"
)

// The members of content_attributes that are ours. Chatwoot keeps any member and
// repeats it in webhooks and lists. source_id would not do for the mark: channels
// such as WhatsApp take a message that has one for sent already.
const (
	// markKey holds the id of the event which a message of ours shows.
	markKey = "lpbridge_event_id"
	// repliesKey holds the ids of the replies that a message offers, by title.
	repliesKey = "lpbridge_replies"
)

// person is a contact, a user or an agent bot. A contact has no type in
// webhooks, and type "contact" within a conversation.
type person struct {
	ID          int64
	Type        string
	Name        string
	Email       string
	PhoneNumber string
	Thumbnail   string
	AccountID   int64
}

func personOf(o object) *person {
	if !o.exists() {
		return nil
	}
	return &person{
		ID: o.number("id"), Type: o.text("type"), Name: o.text("name"), Email: o.text("email"),
		PhoneNumber: o.text("phone_number"), Thumbnail: o.text("thumbnail"), AccountID: o.object("account").number("id"),
	}
}

// isContact tells a consumer from everybody else. Ids do not: contact 7 and user
// 7 are different persons.
func (p *person) isContact() bool {
	return p != nil && p.ID > 0 && (p.Type == "" || p.Type == "contact")
}

// conversation is the webhook form of a conversation. ID is the number that
// Chatwoot shows, counted per account.
type conversation struct {
	ID        int64
	InboxID   int64
	AccountID int64
	Status    string
	// UpdatedAt is in seconds since 1970, with a fraction.
	UpdatedAt time.Time
	Sender    *person
	// Door is the contact-inbox: one contact in one inbox.
	Door struct {
		ID        int64
		ContactID int64
		Verified  bool
	}
	// Newest is the newest message when the webhook was written, which need not
	// be the one it is about.
	Newest struct {
		ID     int64
		Status string
	}
}

func conversationOf(o object) *conversation {
	c := &conversation{
		ID: o.number("id"), InboxID: o.number("inbox_id"), AccountID: o.object("account").number("id"),
		Status: o.text("status"), UpdatedAt: o.moment("updated_at"), Sender: personOf(o.object("meta").object("sender")),
	}
	door := o.object("contact_inbox")
	c.Door.ID, c.Door.ContactID = door.number("id"), door.number("contact_id")
	c.Door.Verified = door.flag("hmac_verified") || o.object("meta").flag("hmac_verified")
	if messages := o.list("messages"); len(messages) > 0 {
		newest := messages[0]
		c.Newest.ID, c.Newest.Status = newest.number("id"), newest.text("status")
		if c.AccountID == 0 {
			c.AccountID = newest.number("account_id")
		}
	}
	return c
}

// The kinds of message, as message_type names them.
const (
	typeIncoming = "incoming"
	typeOutgoing = "outgoing"
	typeTemplate = "template"
)

// messageTypes are the numbers that stand for them everywhere but in webhooks
// (Chatwoot, Application API: message).
var messageTypes = map[string]string{"0": typeIncoming, "1": typeOutgoing, "2": "activity", "3": typeTemplate}

// messagePayload is message_created and message_updated.
type messagePayload struct {
	AccountID         int64
	ID                int64
	Content           string
	ContentAttributes contentAttributes
	MessageType       string
	Private           bool
	CreatedAt         time.Time
	// Status is not there up to 4.15.
	Status       string
	Attachments  []attachment
	Sender       *person
	InboxID      int64
	Conversation *conversation
}

func messageIn(o object) *messagePayload {
	p := &messagePayload{
		AccountID: o.object("account").number("id"), ID: o.number("id"), Content: o.text("content"),
		MessageType: o.text("message_type"), Private: o.flag("private"), CreatedAt: o.moment("created_at"),
		Status: o.text("status"), Sender: personOf(o.object("sender")), InboxID: o.object("inbox").number("id"),
		Conversation: conversationOf(o.object("conversation")),
	}
	if word, ok := messageTypes[p.MessageType]; ok {
		p.MessageType = word
	}
	if raw, ok := o.given("content_attributes"); ok {
		// What it does not understand it leaves.
		_ = p.ContentAttributes.UnmarshalJSON(raw)
	}
	for _, a := range o.list("attachments") {
		p.Attachments = append(p.Attachments, attachmentOf(a))
	}
	if p.InboxID == 0 {
		p.InboxID = p.Conversation.InboxID
	}
	if p.AccountID == 0 {
		p.AccountID = p.Conversation.AccountID
	}
	return p
}

// validate reports what no message can be without.
func (p *messagePayload) validate() error {
	switch {
	case p.ID <= 0:
		return &bridge.FieldError{Field: "id", Reason: "must be the number of a message"}
	case p.Conversation.ID <= 0:
		return &bridge.FieldError{Field: "conversation.id", Reason: "must be the number of a conversation"}
	}
	return nil
}

// status is how far the message got; empty when the payload does not say.
func (p *messagePayload) status() string {
	if p.Status != "" || p.Conversation.Newest.ID != p.ID {
		return p.Status
	}
	return p.Conversation.Newest.Status
}

// attachment is a file, a place or an address card.
type attachment struct {
	FileType      string
	ContentType   string
	DataURL       string
	FallbackTitle string
	// Placed says that there are coordinates.
	Placed              bool
	Latitude, Longitude float64
}

func attachmentOf(o object) attachment {
	a := attachment{
		FileType: o.text("file_type"), ContentType: o.text("content_type"), DataURL: o.text("data_url"),
		FallbackTitle: strings.TrimSpace(o.text("fallback_title")),
	}
	var north, east bool
	a.Latitude, north = o.decimal("coordinates_lat")
	a.Longitude, east = o.decimal("coordinates_long")
	// Zeros are what Chatwoot writes when it knows no place.
	a.Placed = north && east && (a.Latitude != 0 || a.Longitude != 0)
	return a
}

// contentAttributes are those that mean something here.
type contentAttributes struct {
	Mark      bridge.EventID
	Replies   map[string]string
	Deleted   bool
	Submitted []submitted
	CSAT      *csatResponse
}

// submitted is one answer to a message that offered some.
type submitted struct {
	Title string
	Value string
}

type csatResponse struct {
	Rating   int
	Feedback string
}

// UnmarshalJSON reads what it understands. Anybody with a token may put anything
// there, so nothing in it makes a webhook invalid, and nothing is odd.
func (c *contentAttributes) UnmarshalJSON(data []byte) error {
	*c = contentAttributes{}
	var text string
	if json.Unmarshal(data, &text) == nil {
		data = []byte(text)
	}
	o, err := parse(data)
	if err != nil {
		return nil
	}
	c.Mark, c.Deleted = bridge.EventID(o.text(markKey)), o.flag("deleted")
	if json.Unmarshal(o.members[repliesKey], &c.Replies) != nil {
		c.Replies = nil
	}
	if rating := o.object("submitted_values").object("csat_survey_response"); rating.exists() {
		c.CSAT = &csatResponse{Rating: int(rating.number("rating")), Feedback: rating.text("feedback_message")}
	}
	for _, s := range o.list("submitted_values") {
		if value := s.text("value"); value != "" {
			c.Submitted = append(c.Submitted, submitted{Title: s.text("title"), Value: value})
		}
	}
	return nil
}

// contactPayload is contact_updated.
type contactPayload struct {
	*person
	changed changes
}

// changes are the attributes that changed: a list of objects of one member each,
// or null.
type changes struct {
	names map[string]bool
	raw   []byte
}

func changesOf(o object) changes {
	c := changes{names: map[string]bool{}, raw: bytes.Clone(o.members["changed_attributes"])}
	for _, change := range o.list("changed_attributes") {
		for name := range change.members {
			c.names[name] = true
		}
	}
	return c
}

func (c changes) any(names []string) bool {
	for _, n := range names {
		if c.names[n] {
			return true
		}
	}
	return false
}
