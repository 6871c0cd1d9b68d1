package chatwootapi

import (
	"bytes"
	"cmp"
	"maps"
	"strconv"
	"strings"
	"time"

	"lpbridge/bridge"
)

// accountID is the one Chatwoot account that exists here.
const accountID = 1

// isoTime is how Rails writes a time in JSON.
const isoTime = "2006-01-02T15:04:05.000Z"

func iso(t time.Time) string { return t.UTC().Format(isoTime) }

// isoOrNull writes the zero time as null.
func isoOrNull(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	s := iso(t)
	return &s
}

// unix is seconds since 1970, 0 for the zero time.
func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// floatTime is written as seconds since 1970 with a fraction that is never left
// out, as Ruby writes floats.
type floatTime time.Time

// MarshalJSON implements json.Marshaler.
func (t floatTime) MarshalJSON() ([]byte, error) {
	seconds := float64(time.Time(t).UnixMilli()) / 1000
	b := strconv.AppendFloat(nil, seconds, 'f', -1, 64)
	if !bytes.Contains(b, []byte(".")) {
		b = append(b, ".0"...)
	}
	return b, nil
}

// orEmpty writes attributes nobody set as an empty object.
func orEmpty(m map[string]any) map[string]any {
	if m == nil {
		return map[string]any{}
	}
	return m
}

// The fields below stand in the order in which Chatwoot writes them.

// sixKeys is the contact of the contact endpoints.
type sixKeys struct {
	SourceID string  `json:"source_id"`
	Token    string  `json:"pubsub_token"`
	ID       int64   `json:"id"`
	Name     string  `json:"name"`
	Email    *string `json:"email"`
	Phone    *string `json:"phone_number"`
}

// fullContact is the contact as part of a conversation.
type fullContact struct {
	ID                   int64          `json:"id"`
	Name                 string         `json:"name"`
	Email                *string        `json:"email"`
	Phone                *string        `json:"phone_number"`
	AccountID            int            `json:"account_id"`
	CreatedAt            string         `json:"created_at"`
	UpdatedAt            string         `json:"updated_at"`
	AdditionalAttributes struct{}       `json:"additional_attributes"`
	Identifier           *string        `json:"identifier"`
	CustomAttributes     map[string]any `json:"custom_attributes"`
	LastActivityAt       *string        `json:"last_activity_at"`
	ContactType          string         `json:"contact_type"`
	MiddleName           string         `json:"middle_name"`
	LastName             string         `json:"last_name"`
	Location             string         `json:"location"`
	CountryCode          string         `json:"country_code"`
	Blocked              bool           `json:"blocked"`
	CompanyID            *int           `json:"company_id"`
	Labels               []string       `json:"label_list"`
}

// updatedContact is the answer of PATCH: the keys of Chatwoot up to 4.15 and
// those of later versions.
type updatedContact struct {
	SourceID string `json:"source_id"`
	Token    string `json:"pubsub_token"`
	fullContact
}

// answers writes contacts, conversations and messages as Chatwoot's clients read
// them.
type answers struct {
	cfg     Config
	inboxes map[string]*inbox
	// publicURL has no slash at its end.
	publicURL string
}

// nullable writes an empty text as null, or as "" where an operator has clients
// that cannot take null.
func (a *answers) nullable(s string) *string {
	if s == "" && !a.cfg.EmptyStrings {
		return nil
	}
	return &s
}

func (a *answers) sixKeys(ci *contactInbox, c *contact) sixKeys {
	return sixKeys{ci.Source, ci.Token, c.ID, c.Name, a.nullable(c.Email), a.nullable(c.Phone)}
}

func (a *answers) fullContact(c *contact, active time.Time) fullContact {
	kind := "visitor"
	if c.Email != "" || c.Phone != "" {
		kind = "lead"
	}
	return fullContact{
		ID: c.ID, Name: c.Name, Email: a.nullable(c.Email), Phone: a.nullable(c.Phone), AccountID: accountID,
		CreatedAt: iso(c.Created), UpdatedAt: iso(c.Updated), Identifier: orNull(c.Identifier),
		CustomAttributes: orEmpty(c.Attributes), LastActivityAt: isoOrNull(active), ContactType: kind, Labels: []string{},
	}
}

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// conversationBody is a conversation of the public API.
type conversationBody struct {
	ID          int64         `json:"id"`
	UUID        string        `json:"uuid"`
	InboxID     int           `json:"inbox_id"`
	ContactSeen int64         `json:"contact_last_seen_at"`
	Status      string        `json:"status"`
	AgentSeen   int64         `json:"agent_last_seen_at"`
	Messages    []messageBody `json:"messages"`
	Contact     fullContact   `json:"contact"`
}

func (a *answers) conversationBody(c *conversation, p *visitor, messages []*message) conversationBody {
	return conversationBody{
		ID: c.ID, UUID: c.UUID, InboxID: a.inboxID(c.Inbox), ContactSeen: unix(c.ContactSeen), Status: c.Status,
		AgentSeen: unix(c.AgentSeen), Messages: a.messageBodies(messages, p.contact),
		Contact: a.fullContact(p.contact, c.ContactActive),
	}
}

// inboxID is 0 for an inbox that is no longer configured.
func (a *answers) inboxID(identifier string) int {
	if in := a.inboxes[identifier]; in != nil {
		return in.id
	}
	return 0
}

// messageBody is a message of the public API. Attachments and Sender are left
// out, not null, when there are none.
type messageBody struct {
	ID             int64              `json:"id"`
	Content        *string            `json:"content"`
	Type           int                `json:"message_type"`
	ContentType    string             `json:"content_type"`
	Attributes     map[string]any     `json:"content_attributes"`
	CreatedAt      int64              `json:"created_at"`
	ConversationID int64              `json:"conversation_id"`
	Attachments    []attachmentAnswer `json:"attachments,omitempty"`
	Sender         any                `json:"sender,omitempty"`
}

func (a *answers) messageBody(m *message, c *contact) messageBody {
	return messageBody{
		ID: m.ID, Content: m.Content, Type: m.Type, ContentType: m.ContentType, Attributes: orEmpty(m.Attributes),
		CreatedAt: m.Created.Unix(), ConversationID: m.Conversation,
		Attachments: a.attachmentAnswers(m), Sender: a.sender(m, c),
	}
}

func (a *answers) messageBodies(messages []*message, c *contact) []messageBody {
	out := make([]messageBody, len(messages))
	for i, m := range messages {
		out[i] = a.messageBody(m, c)
	}
	return out
}

// sender is nil for messages that nobody wrote, such as the survey's.
func (a *answers) sender(m *message, c *contact) any {
	switch m.Type {
	case typeIncoming:
		return a.contactSender(c)
	case typeOutgoing:
		return a.agentSender(m.Agent, m.AgentName, m.AgentAvatar)
	}
	return nil
}

type contactSender struct {
	AdditionalAttributes struct{}       `json:"additional_attributes"`
	CustomAttributes     map[string]any `json:"custom_attributes"`
	Email                *string        `json:"email"`
	ID                   int64          `json:"id"`
	Identifier           *string        `json:"identifier"`
	Name                 string         `json:"name"`
	Phone                *string        `json:"phone_number"`
	Thumbnail            string         `json:"thumbnail"`
	Blocked              bool           `json:"blocked"`
	Type                 string         `json:"type"`
}

func (a *answers) contactSender(c *contact) *contactSender {
	return &contactSender{
		CustomAttributes: orEmpty(c.Attributes), Email: a.nullable(c.Email), ID: c.ID, Identifier: orNull(c.Identifier),
		Name: c.Name, Phone: a.nullable(c.Phone), Thumbnail: c.Avatar, Type: "contact",
	}
}

type agentSender struct {
	ID            int64   `json:"id"`
	Name          string  `json:"name"`
	AvailableName string  `json:"available_name"`
	AvatarURL     string  `json:"avatar_url"`
	Type          string  `json:"type"`
	Availability  *string `json:"availability_status"`
	Thumbnail     string  `json:"thumbnail"`
}

func (a *answers) agentSender(number int64, name, avatar string) *agentSender {
	name = cmp.Or(name, a.cfg.AgentName)
	return &agentSender{ID: number, Name: name, AvailableName: name, AvatarURL: avatar, Thumbnail: avatar, Type: "user"}
}

type attachmentAnswer struct {
	ID          int64  `json:"id"`
	MessageID   int64  `json:"message_id"`
	FileType    string `json:"file_type"`
	AccountID   int    `json:"account_id"`
	Extension   string `json:"extension"`
	ContentType string `json:"content_type"`
	DataURL     string `json:"data_url"`
	ThumbURL    string `json:"thumb_url"`
	FileSize    int64  `json:"file_size"`
	Width       *int   `json:"width"`
	Height      *int   `json:"height"`
	// Transcribed is there for audio only.
	Transcribed *string `json:"transcribed_text,omitempty"`
}

func (a *answers) attachmentAnswers(m *message) []attachmentAnswer {
	if len(m.Attachments) == 0 {
		return nil
	}
	out := make([]attachmentAnswer, len(m.Attachments))
	for i, f := range m.Attachments {
		out[i] = attachmentAnswer{
			ID: f.ID, MessageID: m.ID, FileType: fileType(f.ContentType), AccountID: accountID,
			Extension: extension(f.Name), ContentType: f.ContentType, DataURL: a.dataURL(f), FileSize: f.Size,
		}
		switch out[i].FileType {
		case "image":
			out[i].ThumbURL = a.thumbURL(f)
		case "audio":
			out[i].Transcribed = new(string)
		}
	}
	return out
}

// pushMessage is a message as the cable carries it.
type pushMessage struct {
	ID                   int64              `json:"id"`
	Content              *string            `json:"content"`
	AccountID            int                `json:"account_id"`
	InboxID              int                `json:"inbox_id"`
	ConversationID       int64              `json:"conversation_id"`
	Type                 int                `json:"message_type"`
	CreatedAt            int64              `json:"created_at"`
	UpdatedAt            string             `json:"updated_at"`
	Private              bool               `json:"private"`
	Status               string             `json:"status"`
	SourceID             *string            `json:"source_id"`
	ContentType          string             `json:"content_type"`
	Attributes           map[string]any     `json:"content_attributes"`
	SenderType           *string            `json:"sender_type"`
	SenderID             *int64             `json:"sender_id"`
	ExternalSourceIDs    struct{}           `json:"external_source_ids"`
	AdditionalAttributes struct{}           `json:"additional_attributes"`
	Processed            *string            `json:"processed_message_content"`
	Sentiment            struct{}           `json:"sentiment"`
	Conversation         pushMessageContext `json:"conversation"`
	EchoID               any                `json:"echo_id,omitempty"`
	Attachments          []attachmentAnswer `json:"attachments,omitempty"`
	Sender               any                `json:"sender,omitempty"`
	PreviousChanges      map[string][2]any  `json:"previous_changes,omitempty"`
	Performer            *agentSender       `json:"performer,omitempty"`
}

type pushMessageContext struct {
	AssigneeID   *int64     `json:"assignee_id"`
	Unread       int        `json:"unread_count"`
	LastActivity int64      `json:"last_activity_at"`
	ContactInbox pushSource `json:"contact_inbox"`
}

type pushSource struct {
	SourceID string `json:"source_id"`
}

// maxUnread is where Chatwoot stops counting unread messages.
const maxUnread = 10

func (a *answers) pushMessage(m *message, c *conversation, p *visitor) *pushMessage {
	out := &pushMessage{
		ID: m.ID, Content: m.Content, AccountID: accountID, InboxID: a.inboxID(c.Inbox), ConversationID: c.ID, Type: m.Type,
		CreatedAt: m.Created.Unix(), UpdatedAt: iso(m.Updated), Status: m.Status, ContentType: m.ContentType,
		Attributes: orEmpty(m.Attributes), Processed: m.Content,
		Conversation: pushMessageContext{numberOrNull(c.Assignee), min(c.Unread, maxUnread), c.Activity.Unix(), pushSource{c.Source}},
		Attachments:  a.attachmentAnswers(m), Sender: a.sender(m, p.contact),
	}
	switch m.Type {
	case typeIncoming:
		out.SenderType, out.SenderID = orNull("Contact"), &p.contact.ID
	case typeOutgoing:
		out.SenderType, out.SenderID = orNull("User"), &m.Agent
	}
	return out
}

func numberOrNull(n int64) *int64 {
	if n == 0 {
		return nil
	}
	return &n
}

// pushConversation is a conversation as the cable carries it. AccountID is 0
// where it is part of a typing event.
type pushConversation struct {
	AdditionalAttributes struct{}         `json:"additional_attributes"`
	CanReply             bool             `json:"can_reply"`
	Channel              string           `json:"channel"`
	ContactInbox         pushContactInbox `json:"contact_inbox"`
	ID                   int64            `json:"id"`
	InboxID              int              `json:"inbox_id"`
	Messages             []*pushMessage   `json:"messages"`
	Labels               []string         `json:"labels"`
	Meta                 pushMeta         `json:"meta"`
	Status               string           `json:"status"`
	CustomAttributes     map[string]any   `json:"custom_attributes"`
	SnoozedUntil         *string          `json:"snoozed_until"`
	Unread               int              `json:"unread_count"`
	FirstReply           *string          `json:"first_reply_created_at"`
	Priority             *string          `json:"priority"`
	WaitingSince         int64            `json:"waiting_since"`
	AgentSeen            int64            `json:"agent_last_seen_at"`
	ContactSeen          int64            `json:"contact_last_seen_at"`
	LastActivity         int64            `json:"last_activity_at"`
	Timestamp            int64            `json:"timestamp"`
	CreatedAt            int64            `json:"created_at"`
	UpdatedAt            floatTime        `json:"updated_at"`
	AccountID            int              `json:"account_id,omitempty"`
	Performer            *agentSender     `json:"performer,omitempty"`
}

type pushContactInbox struct {
	ID        int64  `json:"id"`
	ContactID int64  `json:"contact_id"`
	InboxID   int    `json:"inbox_id"`
	SourceID  string `json:"source_id"`
	CreatedAt string `json:"created_at"`
	UpdatedAt string `json:"updated_at"`
	Verified  bool   `json:"hmac_verified"`
	Token     string `json:"pubsub_token"`
}

type pushMeta struct {
	Sender       *contactSender `json:"sender"`
	Assignee     *agentSender   `json:"assignee"`
	AssigneeType *string        `json:"assignee_type"`
	Team         *struct{}      `json:"team"`
	Verified     bool           `json:"hmac_verified"`
}

// pushConversation needs the newest message, or nil when there is none.
func (a *answers) pushConversation(c *conversation, p *visitor, last *message) *pushConversation {
	ci := p.inbox
	out := &pushConversation{
		CanReply: true, Channel: "Channel::Api",
		ContactInbox: pushContactInbox{
			ci.ID, ci.Contact, a.inboxID(ci.Inbox), ci.Source, iso(ci.Created), iso(ci.Updated), ci.Verified, ci.Token,
		},
		ID: c.ID, InboxID: a.inboxID(c.Inbox), Messages: []*pushMessage{}, Labels: []string{},
		Meta: pushMeta{Sender: a.contactSender(p.contact), Verified: ci.Verified}, Status: c.Status,
		CustomAttributes: orEmpty(c.Attributes), Unread: min(c.Unread, maxUnread), FirstReply: isoOrNull(c.FirstReply),
		WaitingSince: unix(c.WaitingSince), AgentSeen: unix(c.AgentSeen), ContactSeen: unix(c.ContactSeen),
		LastActivity: c.Activity.Unix(), Timestamp: c.Activity.Unix(), CreatedAt: c.Created.Unix(),
		UpdatedAt: floatTime(c.Updated), AccountID: accountID,
	}
	if c.Assignee != 0 {
		out.Meta.Assignee, out.Meta.AssigneeType = a.agentSender(c.Assignee, c.AssigneeName, c.AssigneeAvatar), orNull("User")
	}
	if last != nil {
		out.Messages = append(out.Messages, a.pushMessage(last, c, p))
	}
	return out
}

// typingPush is the data of conversation.typing_on and conversation.typing_off.
type typingPush struct {
	Conversation *pushConversation `json:"conversation"`
	User         *agentSender      `json:"user"`
	Private      bool              `json:"is_private"`
	AccountID    int               `json:"account_id"`
	Performer    *agentSender      `json:"performer"`
}

// presencePush is the data of presence.update.
type presencePush struct {
	AccountID int               `json:"account_id"`
	Users     map[string]string `json:"users"`
}

// consumer is the contact as LivePerson is told of it.
func (c *contact) consumer(id bridge.ConsumerID) *bridge.Consumer {
	first, last, _ := strings.Cut(strings.TrimSpace(c.Name), " ")
	return &bridge.Consumer{
		ID: id, FirstName: first, LastName: strings.TrimSpace(last), Email: c.Email, Phone: c.Phone,
		AvatarURL: c.Avatar, Attributes: flatAttributes(c),
	}
}

// What consumers are called: a contact that is proven, and else a contact-inbox.
const (
	contactConsumer = "contact-"
	inboxConsumer   = "source-"
)

func consumerID(contact int64) bridge.ConsumerID {
	return bridge.ConsumerID(contactConsumer + formatID(contact))
}

// flatAttributes are the custom attributes that are plain values, and the
// identifier.
func flatAttributes(c *contact) map[string]string {
	out := map[string]string{}
	for name, v := range c.Attributes {
		if b, ok := v.(bool); ok {
			out[name] = strconv.FormatBool(b)
		} else if s, ok := scalar(v); ok {
			out[name] = s
		}
	}
	if c.Identifier != "" {
		out["identifier"] = c.Identifier
	}
	if len(out) == 0 {
		return nil
	}
	return out
}

// mergeDeep returns a with b laid over it; objects on both sides are merged.
func mergeDeep(a, b map[string]any) map[string]any {
	if len(b) == 0 {
		return a
	}
	out := maps.Clone(orEmpty(a))
	for k, v := range b {
		below, okBelow := out[k].(map[string]any)
		above, okAbove := v.(map[string]any)
		if okBelow && okAbove {
			v = mergeDeep(below, above)
		}
		out[k] = v
	}
	return out
}
