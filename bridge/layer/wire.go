package layer

import (
	"cmp"
	"fmt"
	"maps"
	"strconv"
	"time"

	"lpbridge/bridge"
)

// version is the major version of the client API.
type version int

// The versions. From 2.0 on people are identities, before they were user ids;
// from 3.0 on message parts have ids of their own.
const (
	version1 version = 1 + iota
	version2
	version3
)

// timeFormat is ISO 8601 in UTC with milliseconds, as JavaScript writes it.
const timeFormat = "2006-01-02T15:04:05.000Z"

func iso(t time.Time) string { return t.UTC().Format(timeFormat) }

// basicIdentity is an identity within other objects.
type basicIdentity struct {
	ID          string  `json:"id"`
	URL         string  `json:"url"`
	UserID      string  `json:"user_id"`
	DisplayName string  `json:"display_name"`
	AvatarURL   *string `json:"avatar_url"`
}

// fullIdentity is an identity by itself. The SDKs take one without the key
// metadata for a basic one.
type fullIdentity struct {
	basicIdentity
	FirstName    *string           `json:"first_name"`
	LastName     *string           `json:"last_name"`
	PhoneNumber  *string           `json:"phone_number"`
	EmailAddress *string           `json:"email_address"`
	PublicKey    *string           `json:"public_key"`
	Metadata     map[string]string `json:"metadata"`
	IdentityType string            `json:"identity_type"`
	Type         string            `json:"type"` // where web-xdk looks for it
}

// oldSender is a sender in API 1.0.
type oldSender struct {
	UserID string  `json:"user_id"`
	Name   *string `json:"name"`
}

type conversationObject struct {
	ID           string         `json:"id"`
	URL          string         `json:"url"`
	MessagesURL  string         `json:"messages_url"`
	CreatedAt    string         `json:"created_at"`
	LastMessage  *messageObject `json:"last_message"`
	Participants any            `json:"participants"`
	Distinct     bool           `json:"distinct"`
	Unread       int            `json:"unread_message_count"`
	Total        int            `json:"total_message_count"`
	Metadata     map[string]any `json:"metadata"`
}

// reference names an object within another.
type reference struct {
	Type string `json:"type,omitempty"`
	ID   string `json:"id"`
	URL  string `json:"url"`
}

type messageObject struct {
	ID              string                   `json:"id"`
	URL             string                   `json:"url"`
	ReceiptsURL     string                   `json:"receipts_url"`
	Position        int64                    `json:"position"`
	Conversation    reference                `json:"conversation"`
	Parts           []partObject             `json:"parts"`
	SentAt          string                   `json:"sent_at"`
	ReceivedAt      string                   `json:"received_at"`
	Sender          any                      `json:"sender"`
	IsUnread        bool                     `json:"is_unread"`
	RecipientStatus map[string]receiptStatus `json:"recipient_status"`
	UpdatedAt       *string                  `json:"updated_at"`
	Notification    *notification            `json:"notification,omitempty"`
}

// notification is what a device may show. web-xdk tells its app of a new message
// (messages:notify) only if there is one.
type notification struct {
	Title string `json:"title"`
	Text  string `json:"text"`
}

type partObject struct {
	ID       string         `json:"id"`
	MIMEType string         `json:"mime_type"`
	Body     *string        `json:"body,omitempty"`
	Encoding string         `json:"encoding,omitempty"`
	Content  *contentObject `json:"content,omitempty"`
}

// contentObject is rich content. UploadURL is there while nothing was uploaded.
type contentObject struct {
	ID          string `json:"id"`
	UploadURL   string `json:"upload_url,omitempty"`
	DownloadURL string `json:"download_url"`
	RefreshURL  string `json:"refresh_url"`
	Expiration  string `json:"expiration"`
	Size        int64  `json:"size"`
}

// view shows objects to one client.
type view struct {
	history *history
	version version
	// viewer is the consumer whose client it is, app the app it is.
	viewer *identity
	app    string
}

func (v view) identity(user string) basicIdentity {
	i := basicIdentity{ID: identityID(user), URL: v.history.base + "/identities/" + escapeUser(user), UserID: user}
	if user == v.viewer.User {
		i.DisplayName, i.AvatarURL = v.viewer.DisplayName, orNull(v.viewer.AvatarURL)
	} else {
		i.DisplayName, i.AvatarURL = v.history.cfg.AgentName, orNull(v.history.cfg.avatar())
	}
	return i
}

func (v view) fullIdentity(user string) fullIdentity {
	i := fullIdentity{basicIdentity: v.identity(user), Metadata: map[string]string{}, IdentityType: "user", Type: "user"}
	if p := v.viewer; user == p.User {
		i.FirstName, i.LastName = orNull(p.FirstName), orNull(p.LastName)
		i.PhoneNumber, i.EmailAddress, i.PublicKey = orNull(p.Phone), orNull(p.Email), orNull(p.PublicKey)
		maps.Copy(i.Metadata, p.Metadata)
	}
	return i
}

// name is what a user is called in keys of maps.
func (v view) name(user string) string {
	if v.version == version1 {
		return user
	}
	return identityID(user)
}

func (v view) participants() any {
	users := []string{v.viewer.User, v.history.cfg.AgentID}
	if v.version == version1 {
		return users
	}
	return []basicIdentity{v.identity(users[0]), v.identity(users[1])}
}

// conversation shows a conversation. last is its newest message, nil when there
// is none any more.
func (v view) conversation(c *conversation, last *message) conversationObject {
	a := conversationObject{
		ID: prefixConversation + c.UUID, URL: v.history.conversationURL(c.UUID), MessagesURL: v.history.conversationURL(c.UUID) + "/messages",
		CreatedAt: iso(c.Created), Participants: v.participants(), Distinct: c.Distinct,
		Unread: c.Unread, Total: c.Total, Metadata: v.history.metadataOf(c),
	}
	if c.Gone {
		a.Participants = []string{}
	}
	if last != nil {
		shown := v.message(last)
		a.LastMessage = &shown
	}
	return a
}

// metadataOf is a conversation's metadata with its state.
func (h *history) metadataOf(c *conversation) map[string]any {
	metadata := maps.Clone(c.Metadata)
	if metadata == nil {
		metadata = map[string]any{}
	}
	if c.State != "" {
		metadata[h.cfg.StateKey] = string(c.State)
	}
	return metadata
}

func (v view) message(m *message) messageObject {
	a := messageObject{
		ID: prefixMessage + m.UUID, URL: v.history.messageURL(m.UUID), ReceiptsURL: v.history.messageURL(m.UUID) + "/receipts",
		Position:     m.ID,
		Conversation: reference{ID: prefixConversation + m.Thread, URL: v.history.conversationURL(m.Thread)},
		SentAt:       iso(m.Sent), ReceivedAt: iso(m.Sent), Sender: v.senderOf(m),
		IsUnread:        !m.mine() && m.Status != statusRead,
		RecipientStatus: v.recipientStatus(m),
	}
	parts := v.partsOf(m)
	a.Parts = make([]partObject, len(parts))
	for i := range parts {
		a.Parts[i] = v.part(m, parts, i)
	}
	if a.IsUnread && len(parts) > 0 {
		a.Notification = &notification{cmp.Or(m.SenderName, v.history.cfg.AgentName), cmp.Or(m.Plain, parts[0].Body)}
	}
	return a
}

// partsOf are the parts a client gets. The message types came with API 3.0; who
// speaks an older one gets their words.
func (v view) partsOf(m *message) []part {
	if m.Plain == "" || v.version >= version3 || len(m.Parts) == 0 {
		return m.withSummaries()
	}
	return []part{{UUID: m.Parts[0].UUID, MIMEType: typePlain, Body: m.Plain}}
}

// senderOf is the sender of a message, with the name the agent has there.
func (v view) senderOf(m *message) any {
	who, ok := v.sender(m.Sender).(basicIdentity)
	if !ok || m.SenderName == "" {
		return v.sender(m.Sender)
	}
	return who.named(m.SenderName, m.SenderAvatar)
}

func (i basicIdentity) named(name, avatar string) basicIdentity {
	i.DisplayName = cmp.Or(name, i.DisplayName)
	if avatar != "" {
		i.AvatarURL = &avatar
	}
	return i
}

// recipientStatus says how far the message got with both participants. Who wrote
// it has read it (Client API, Receipts).
func (v view) recipientStatus(m *message) map[string]receiptStatus {
	me, agent := v.name(m.Owner), v.name(v.history.cfg.AgentID)
	if m.mine() {
		return map[string]receiptStatus{me: statusRead, agent: m.Status}
	}
	return map[string]receiptStatus{me: m.Status, agent: statusRead}
}

func (v view) sender(user string) any {
	if v.version == version1 {
		return oldSender{UserID: user}
	}
	return v.identity(user)
}

// part shows a part. Before 3.0 parts were numbered.
func (v view) part(m *message, parts []part, i int) partObject {
	p := parts[i]
	own := p.UUID
	if v.version < version3 {
		own = strconv.Itoa(i)
	}
	a := partObject{ID: fmt.Sprintf("%s%s/parts/%s", prefixMessage, m.UUID, own), MIMEType: p.MIMEType, Encoding: p.Encoding}
	if p.Content == "" {
		a.Body = &p.Body
		return a
	}
	content := v.history.contentObject(p.Content, p.Size)
	a.Content = &content
	return a
}

// signal is typing on the wire.
type signal struct {
	Type   string    `json:"type"`
	Object reference `json:"object"`
	Data   any       `json:"data"`
}

// actions are Layer's words for the states of typing.
var actions = map[bridge.TypingState]string{
	bridge.Composing: "started",
	bridge.Paused:    "paused",
	bridge.Stopped:   "finished",
}

// stateOf is the state that an action means.
func stateOf(action string) (bridge.TypingState, bool) {
	for state, word := range actions {
		if word == action {
			return state, true
		}
	}
	return "", false
}

// typing shows an agent's typing.
func (v view) typing(c *conversation, user string, cue *bridge.TypingCue) signal {
	s := signal{Type: "typing_indicator", Object: v.history.refer(objectConversation, c.UUID)}
	if v.version == version1 {
		s.Data = map[string]string{"user_id": user, "action": actions[cue.State]}
		return s
	}
	s.Data = struct {
		Sender basicIdentity `json:"sender"`
		Action string        `json:"action"`
	}{v.identity(user).named(cue.Agent.Name, cue.Agent.AvatarURL), actions[cue.State]}
	return s
}

// The types of object that changes are about.
const (
	objectConversation = "Conversation"
	objectMessage      = "Message"
	// objectAnswered is a message that is known, with what was answered. Only changes
	// have it, and clients of an API without message types are not told.
	objectAnswered = "AnsweredMessage"
)

// refer names an object of ours.
func (a *addresses) refer(object, uuid string) reference {
	if object == objectMessage || object == objectAnswered {
		return reference{objectMessage, prefixMessage + uuid, a.messageURL(uuid)}
	}
	return reference{object, prefixConversation + uuid, a.conversationURL(uuid)}
}

func (a *addresses) conversationURL(uuid string) string { return a.base + "/conversations/" + uuid }

func (a *addresses) messageURL(uuid string) string { return a.base + "/messages/" + uuid }

func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// operationObject is one operation of a layer-patch list on the wire.
type operationObject struct {
	Operation string `json:"operation"`
	Property  string `json:"property"`
	Value     any    `json:"value,omitempty"`
	ID        string `json:"id,omitempty"`
}

// operations shows the operations of a change.
func (v view) operations(list []operation) []operationObject {
	shown := make([]operationObject, len(list))
	for i, s := range list {
		shown[i] = operationObject{Operation: s.Do, Property: s.Property, Value: s.Value, ID: s.ID}
		if s.User != "" {
			shown[i].Property += "." + escapeKey(v.name(s.User))
		}
	}
	return shown
}
