package layer

import (
	"fmt"
	"strings"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

// The kinds of record the channel keeps.
const (
	kindIdentity     served.Kind[identity]     = "identity"
	kindSession      served.Kind[session]      = "session"
	kindNonceKey     served.Kind[nonceKey]     = "nonce_key"
	kindConversation served.Kind[conversation] = "conversation"
	kindMessage      served.Kind[message]      = "message"
	// kindChange holds what one transaction changed, for Event.replay.
	kindChange served.Kind[changeSet] = "change"
	// kindContent holds rich content, whose bytes are behind.
	kindContent served.Kind[content] = "content"
	kindAgent   served.Kind[agent]   = "agent"
)

// historyKinds names the kinds of record that may be deleted when they are
// older than history is kept. The others say who a person is and which
// conversations there were. Changes must be kept for 30 h at least: that is how
// far back the SDKs ask for them.
func historyKinds() []string {
	return []string{string(kindMessage), string(kindContent), string(kindChange), string(kindSession)}
}

// What records are looked up by.
const (
	keyUser     = "user:"
	keyToken    = "token:"
	keyNonce    = "nonce:"
	keyUUID     = "uuid:"
	keyDistinct = "distinct:"
	keyEvent    = "event:"
	keyOnly     = "only"
)

// identity is a consumer as the identity provider described them last.
type identity struct {
	ID          int64             `json:"id"`
	User        string            `json:"user"`
	DisplayName string            `json:"displayName,omitempty"`
	FirstName   string            `json:"firstName,omitempty"`
	LastName    string            `json:"lastName,omitempty"`
	AvatarURL   string            `json:"avatarUrl,omitempty"`
	Email       string            `json:"email,omitempty"`
	Phone       string            `json:"phone,omitempty"`
	PublicKey   string            `json:"publicKey,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
	Created     time.Time         `json:"created"`
	// Conversations is how many the person ever created.
	Conversations int `json:"conversations,omitempty"`
}

func (p *identity) Record() (bridge.Record, error) {
	return kindIdentity.Record(p.ID, "", []string{keyUser + p.User}, p.Created, p)
}

// consumer is the person as LivePerson is told.
func (p *identity) consumer() *bridge.Consumer {
	c := &bridge.Consumer{
		ID: bridge.ConsumerID(p.User), FirstName: p.FirstName, LastName: p.LastName, Email: p.Email, Phone: p.Phone, AvatarURL: p.AvatarURL,
	}
	if c.FirstName == "" && c.LastName == "" {
		c.FirstName = p.DisplayName
	}
	return c
}

// agent is an agent whose name is known, by the user id they are shown with.
type agent struct {
	ID        int64     `json:"id"`
	User      string    `json:"user"`
	Name      string    `json:"name"`
	AvatarURL string    `json:"avatarUrl,omitempty"`
	Created   time.Time `json:"created"`
}

// Record implements [served.Thing].
func (a *agent) Record() (bridge.Record, error) {
	return kindAgent.Record(a.ID, "", []string{keyUser + a.User}, a.Created, a)
}

// session is a login. It is kept after its end, so that its nonce stays used.
type session struct {
	ID      int64     `json:"id"`
	User    string    `json:"user"`
	App     string    `json:"app"`
	Created time.Time `json:"created"`
	Expires time.Time `json:"expires"`
	Ended   bool      `json:"ended,omitempty"`
	// TokenHash and NonceHash are digests, for the texts are credentials.
	TokenHash string `json:"tokenHash"`
	NonceHash string `json:"nonceHash"`
}

// app is the last part of the id of the app that logged in.
func (s *session) app() string { return s.App[strings.LastIndexByte(s.App, '/')+1:] }

func (s *session) Record() (bridge.Record, error) {
	return kindSession.Record(s.ID, s.User, []string{keyToken + s.TokenHash, keyNonce + s.NonceHash}, s.Created, s)
}

// conversation is one thread. Its record's parent is the consumer who owns it.
type conversation struct {
	ID    int64  `json:"id"`
	UUID  string `json:"uuid"` // as the client spelled it
	Owner string `json:"owner"`
	// Distinct says that a request for a distinct conversation finds this one.
	Distinct bool           `json:"distinct,omitempty"`
	Metadata map[string]any `json:"metadata,omitempty"`
	Created  time.Time      `json:"created"`
	// State is the newest state of the conversation in LivePerson.
	State bridge.ConversationState `json:"state,omitempty"`
	// Agents are the agents seen, in order; the first one is the participant.
	// Named are those of them who have a name, and with it an id of their own.
	Agents []string `json:"agents,omitempty"`
	Named  []string `json:"named,omitempty"`
	// LastMessage and LastUUID are the newest message, and LastAt its time.
	LastMessage int64     `json:"lastMessage,omitempty"`
	LastUUID    string    `json:"lastUuid,omitempty"`
	LastAt      time.Time `json:"lastAt,omitzero"`
	Total       int       `json:"total,omitempty"`
	Unread      int       `json:"unread,omitempty"`
	// ReadTo is the position up to which the consumer has read everything.
	ReadTo int64 `json:"readTo,omitempty"`
	// Gone says that the consumer left or deleted it for everybody.
	Gone bool `json:"gone,omitempty"`
	// HiddenTo is the position up to which the consumer deleted it for
	// themselves, and Hidden says that nothing was said since.
	HiddenTo int64 `json:"hiddenTo,omitempty"`
	Hidden   bool  `json:"hidden,omitempty"`
}

func (c *conversation) Record() (bridge.Record, error) {
	keys := []string{uuidKey(c.UUID)}
	if c.Distinct && !c.Gone {
		keys = append(keys, keyDistinct+c.Owner)
	}
	return kindConversation.Record(c.ID, c.Owner, keys, c.Created, c)
}

// thread is the conversation's id for the core.
func (c *conversation) thread() bridge.ThreadID { return bridge.ThreadID(strings.ToLower(c.UUID)) }

// visible reports whether the consumer sees the conversation.
func (c *conversation) visible() bool { return !c.Gone && !c.Hidden }

// message is one message. Its record's parent is the conversation, and its
// number is its position.
type message struct {
	ID           int64     `json:"id"`
	UUID         string    `json:"uuid"` // as the client spelled it
	Conversation int64     `json:"conversation"`
	Thread       string    `json:"thread"` // the conversation's UUID
	Owner        string    `json:"owner"`  // the conversation's consumer
	Sender       string    `json:"sender"`
	Parts        []part    `json:"parts,omitempty"`
	Sent         time.Time `json:"sent"`
	// Status is how far the message got on the side that did not write it.
	Status receiptStatus `json:"status"`
	// Event is the core's id of an agent's message, which becomes several when
	// there are files; Piece counts them.
	Event bridge.EventID `json:"event,omitempty"`
	Piece int            `json:"piece,omitempty"`
	// Plain is what clients get that know no message types; empty for text.
	Plain string `json:"plain,omitempty"`
	// Choices are what can be chosen in it, by id, with what choosing says.
	Choices map[string]string `json:"choices,omitempty"`
	// Summaries are what the consumer's responses to its parts come to.
	Summaries []summary `json:"summaries,omitempty"`
	// SenderName and SenderAvatar are those of the agent when known.
	SenderName   string `json:"senderName,omitempty"`
	SenderAvatar string `json:"senderAvatar,omitempty"`
	// Gone says that the consumer deleted it. Its ids stay taken.
	Gone bool `json:"gone,omitempty"`
}

// mine reports whether the consumer wrote the message.
func (m *message) mine() bool { return m.Sender == m.Owner }

func (m *message) Record() (bridge.Record, error) {
	keys := []string{uuidKey(m.UUID)}
	if m.Event != "" && m.Piece == 0 {
		keys = append(keys, keyEvent+string(m.Event))
	}
	return kindMessage.Record(m.ID, parentOf(m.Conversation), keys, m.Sent, m)
}

// part is one part of a message. The client's own id is kept as it came.
type part struct {
	UUID     string `json:"uuid"`
	MIMEType string `json:"mimeType"`
	Body     string `json:"body,omitempty"`
	Encoding string `json:"encoding,omitempty"`
	// Content is the UUID of rich content, and Size its size.
	Content string `json:"content,omitempty"`
	Size    int64  `json:"size,omitempty"`
}

// receiptStatus is how far a message got.
type receiptStatus string

// The receipt states (Client API, Receipts).
const (
	statusSent      receiptStatus = "sent"
	statusDelivered receiptStatus = "delivered"
	statusRead      receiptStatus = "read"
)

// before reports whether a message with the status can still become next.
func (s receiptStatus) before(next receiptStatus) bool {
	return s != next && s != statusRead && next != statusSent
}

func uuidKey(uuid string) string { return keyUUID + strings.ToLower(uuid) }

func parentOf(id int64) string { return fmt.Sprintf("%d", id) }
