package chatwoot

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/farside"
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

// author is a contact, a user or an agent bot. A contact has no type in
// webhooks, and type "contact" within a conversation.
type author struct {
	ID          int64
	Type        string
	Name        string
	Email       string
	PhoneNumber string
	Thumbnail   string
	AccountID   int64
}

func authorOf(o farside.Object) *author {
	if !o.Exists() {
		return nil
	}
	return &author{
		ID: o.Number("id"), Type: o.Text("type"), Name: o.Text("name"), Email: o.Text("email"),
		PhoneNumber: o.Text("phone_number"), Thumbnail: o.Text("thumbnail"), AccountID: o.Inner("account").Number("id"),
	}
}

// isContact tells a consumer from everybody else. Ids do not: contact 7 and user
// 7 are different persons.
func (p *author) isContact() bool {
	return p != nil && p.ID > 0 && (p.Type == "" || p.Type == "contact")
}

// conversation is the webhook form of a conversation. ID is the number that
// Chatwoot shows, counted per account.
type conversation struct {
	ID        int64
	InboxID   int64
	AccountID int64
	Status    string
	// Channel is the kind of inbox, such as Channel::WebWidget.
	Channel string
	// UpdatedAt is in seconds since 1970, with a fraction.
	UpdatedAt time.Time
	Sender    *author
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

// inbox is what conversations are routed by; empty when it is not told.
func (c *conversation) inbox() string {
	if c.InboxID <= 0 {
		return ""
	}
	return strconv.FormatInt(c.InboxID, 10)
}

// reportsClicks reports whether a choice comes back as one. Only the website widget
// and clients of the public API submit values; a messenger's button comes back as
// what its owner wrote, and elsewhere there are none.
func (c *conversation) reportsClicks() bool {
	return c.Channel == "Channel::WebWidget" || c.Channel == "Channel::Api"
}

func conversationOf(o farside.Object) *conversation {
	c := &conversation{
		ID: o.Number("id"), InboxID: o.Number("inbox_id"), AccountID: o.Inner("account").Number("id"),
		Status: o.Text("status"), Channel: o.Text("channel"), UpdatedAt: o.Moment("updated_at"), Sender: authorOf(o.Inner("meta").Inner("sender")),
	}
	door := o.Inner("contact_inbox")
	c.Door.ID, c.Door.ContactID = door.Number("id"), door.Number("contact_id")
	c.Door.Verified = door.Flag("hmac_verified") || o.Inner("meta").Flag("hmac_verified")
	if messages := o.List("messages"); len(messages) > 0 {
		newest := messages[0]
		c.Newest.ID, c.Newest.Status = newest.Number("id"), newest.Text("status")
		if c.AccountID == 0 {
			c.AccountID = newest.Number("account_id")
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
	Sender       *author
	InboxID      int64
	Conversation *conversation
}

func messageIn(o farside.Object) *messagePayload {
	p := &messagePayload{
		AccountID: o.Inner("account").Number("id"), ID: o.Number("id"), Content: o.Text("content"),
		MessageType: o.Text("message_type"), Private: o.Flag("private"), CreatedAt: o.Moment("created_at"),
		Status: o.Text("status"), Sender: authorOf(o.Inner("sender")), InboxID: o.Inner("inbox").Number("id"),
		Conversation: conversationOf(o.Inner("conversation")), ContentAttributes: attributesOf(o),
	}
	if word, ok := messageTypes[p.MessageType]; ok {
		p.MessageType = word
	}
	for _, a := range o.List("attachments") {
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
	// Located says that there are coordinates.
	Located             bool
	Latitude, Longitude float64
}

func attachmentOf(o farside.Object) attachment {
	a := attachment{
		FileType: o.Text("file_type"), ContentType: o.Text("content_type"), DataURL: o.Text("data_url"),
		FallbackTitle: strings.TrimSpace(o.Text("fallback_title")),
	}
	var north, east bool
	a.Latitude, north = o.Decimal("coordinates_lat")
	a.Longitude, east = o.Decimal("coordinates_long")
	// Zeros are what Chatwoot writes when it knows no place.
	a.Located = north && east && (a.Latitude != 0 || a.Longitude != 0)
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

// csatResponse is a rating; its score is 0 where nobody can tell what it says.
type csatResponse struct {
	Rating   int
	Feedback string
}

// attributesOf reads what it understands. Anybody with a token may put anything
// there, so nothing in it makes a webhook invalid, and nothing is odd.
func attributesOf(o farside.Object) (c contentAttributes) {
	raw, ok := o.Raw("content_attributes")
	var text string
	if json.Unmarshal(raw, &text) == nil {
		raw = json.RawMessage(text)
	}
	a, err := farside.ParseObject(raw)
	if !ok || err != nil {
		return c
	}
	c.Mark, c.Deleted = bridge.EventID(a.Text(markKey)), a.Flag("deleted")
	if replies, ok := a.Raw(repliesKey); ok && json.Unmarshal(replies, &c.Replies) != nil {
		c.Replies = nil
	}
	if rating := a.Inner("submitted_values").Inner("csat_survey_response"); rating.Exists() {
		score, _ := bridge.ParseScore(rating.Text("rating"))
		c.CSAT = &csatResponse{Rating: score, Feedback: rating.Text("feedback_message")}
	}
	for _, s := range a.List("submitted_values") {
		if value := s.Text("value"); value != "" {
			c.Submitted = append(c.Submitted, submitted{Title: s.Text("title"), Value: value})
		}
	}
	return c
}

// contactPayload is contact_updated.
type contactPayload struct {
	*author
	changed changes
}

// changes are the attributes that changed: a list of objects of one member each,
// or null.
type changes struct {
	names map[string]bool
	raw   []byte
}

func changesOf(o farside.Object) changes {
	raw, _ := o.Raw("changed_attributes")
	c := changes{names: map[string]bool{}, raw: raw}
	for _, change := range o.List("changed_attributes") {
		for _, name := range change.Names() {
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
