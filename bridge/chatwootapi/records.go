package chatwootapi

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

// The kinds of record the channel keeps.
const (
	kindContact      served.Kind[contact]      = "contact"
	kindContactInbox served.Kind[contactInbox] = "contact_inbox"
	kindConversation served.Kind[conversation] = "conversation"
	kindMessage      served.Kind[message]      = "message"
	// kindAttachment holds files a contact sent, whose bytes are behind.
	kindAttachment served.Kind[attachment] = "attachment"
	// kindAgent and kindRating only give out numbers; an agent's record is its
	// name alone.
	kindAgent  = "agent"
	kindRating = "rating"
)

// historyKinds names the kinds of record that may be deleted when they are
// older than history is kept. The others say who a person is and which
// conversations there were.
func historyKinds() []string { return []string{string(kindMessage), string(kindAttachment)} }

// contact is what is known of a person: what one contact-inbox said, or what all
// said that proved the same identifier. E-mail addresses, phone numbers and
// identifiers that were merely said are kept and told to agents, and nothing is
// looked up by them. Values in the cache are shared: copy before changing.
type contact struct {
	ID         int64          `json:"id"`
	Name       string         `json:"name"`
	Email      string         `json:"email,omitempty"`
	Phone      string         `json:"phone,omitempty"`
	Identifier string         `json:"identifier,omitempty"`
	Avatar     string         `json:"avatar,omitempty"`
	Attributes map[string]any `json:"attributes,omitempty"`
	Created    time.Time      `json:"created"`
	Updated    time.Time      `json:"updated"`
	// Changes counts updates, for the ids of profile events.
	Changes int `json:"changes,omitempty"`
	// Inbox is the contact-inbox whose word this is; 0 when the identifier is
	// proven, and in records from before contacts were kept apart.
	Inbox int64 `json:"inbox,omitempty"`
	// Proven says that this is the contact of all who prove its identifier, and
	// Tokens are those of the contact-inboxes that are verified.
	Proven bool     `json:"proven,omitempty"`
	Tokens []string `json:"tokens,omitempty"`
	// Nobody says that several contact-inboxes shared the contact without proof,
	// so that nobody can tell whose it is.
	Nobody bool `json:"nobody,omitempty"`
}

func (c *contact) Record() (bridge.Record, error) {
	return kindContact.Record(c.ID, "", c.keys(), c.Created, c)
}

func (c *contact) keys() []string {
	if !c.Proven {
		return nil
	}
	return []string{keyProven + c.Identifier}
}

// What contacts and contact-inboxes are looked up by.
const (
	keyProven = "proven:"
	keyToken  = "token:"
	keyEvent  = "event:"
	keyUUID   = "uuid:"
	keySource = "source:"
)

// contactInbox is a contact in an inbox: the source id apps know it by and the
// token its events are sent to.
type contactInbox struct {
	ID      int64  `json:"id"`
	Inbox   string `json:"inbox"`
	Source  string `json:"source"`
	Token   string `json:"token"`
	Contact int64  `json:"contact"`
	// Proven is the identifier that was proven here, and Verified is Chatwoot's
	// hmac_verified, which a call after the one that creates the contact sets.
	// Marks of former versions, which unproven merges passed on, are not read.
	Proven   string    `json:"proven,omitempty"`
	Verified bool      `json:"hmacVerified,omitempty"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
}

// sourceKey names a contact-inbox as apps do.
type sourceKey struct{ inbox, source string }

func (k sourceKey) String() string { return keySource + k.inbox + ":" + k.source }

func (ci *contactInbox) key() sourceKey { return sourceKey{ci.Inbox, ci.Source} }

func (ci *contactInbox) Record() (bridge.Record, error) {
	keys := []string{ci.key().String(), keyToken + ci.Token}
	return kindContactInbox.Record(ci.ID, formatID(ci.Contact), keys, ci.Created, ci)
}

// The states of a conversation that exist here. Pending and snoozed belong to
// Chatwoot's own bots and desk.
const (
	statusOpen     = "open"
	statusResolved = "resolved"
)

// conversation is one thread. Its record's parent is the contact-inbox.
type conversation struct {
	ID           int64  `json:"id"`
	UUID         string `json:"uuid"`
	Inbox        string `json:"inbox"`
	Source       string `json:"source"`
	ContactInbox int64  `json:"contactInbox"`
	// Consumer is who LivePerson knows: the contact if it was proven when the
	// conversation began, else the contact-inbox. It stays, so that a thread has
	// one consumer. FormerContact is what it was before that was told apart.
	Consumer      bridge.ConsumerID `json:"consumerId,omitempty"`
	FormerContact int64             `json:"consumer,omitempty"`
	Status        string            `json:"status"`
	Attributes    map[string]any    `json:"attributes,omitempty"`
	Created       time.Time         `json:"created"`
	Updated       time.Time         `json:"updated"`
	Activity      time.Time         `json:"activity"`
	// ContactActive is when the contact last wrote.
	ContactActive time.Time `json:"contactActive,omitzero"`
	ContactSeen   time.Time `json:"contactSeen,omitzero"`
	AgentSeen     time.Time `json:"agentSeen,omitzero"`
	WaitingSince  time.Time `json:"waitingSince,omitzero"`
	FirstReply    time.Time `json:"firstReply,omitzero"`
	// Assignee is the number of the agent, 0 for nobody.
	Assignee       int64  `json:"assignee,omitempty"`
	AssigneeName   string `json:"assigneeName,omitempty"`
	AssigneeAvatar string `json:"assigneeAvatar,omitempty"`
	// Untaken counts the agents' messages that no device of the contact has yet.
	Untaken int `json:"untaken,omitempty"`
	// Unread counts the contact's messages the agent has not seen.
	Unread int `json:"unread,omitempty"`
	// Closes and Reopens count, for the ids of events.
	Closes  int `json:"closes,omitempty"`
	Reopens int `json:"reopens,omitempty"`
	// Survey says that LivePerson asks its questions after the conversation.
	Survey bool `json:"survey,omitempty"`
	// LivePerson is the conversation there that is going on.
	LivePerson string `json:"livePerson,omitempty"`
	// CSAT is the id of the satisfaction survey's message, 0 before it was sent.
	CSAT int64 `json:"csat,omitempty"`
	// SeenUpTo is the newest message of an agent known as read.
	SeenUpTo int64 `json:"seenUpTo,omitempty"`

	// recent counts messages of the last minute. It is shared by all copies,
	// guarded by the conversation's lock, and lost with the process.
	recent *window
}

func (c *conversation) key() sourceKey { return sourceKey{c.Inbox, c.Source} }

func (c *conversation) Record() (bridge.Record, error) {
	return kindConversation.Record(c.ID, formatID(c.ContactInbox), []string{keyUUID + c.UUID}, c.Created, c)
}

func (c *conversation) thread() bridge.ThreadID { return bridge.ThreadID(formatID(c.ID)) }

// The types of message, as numbered by Chatwoot.
const (
	typeIncoming = 0
	typeOutgoing = 1
	typeTemplate = 3
)

// The content types that occur here.
const (
	contentText    = "text"
	contentSelect  = "input_select"
	contentCards   = "cards"
	contentArticle = "article"
	contentCSAT    = "input_csat"
)

// The states of a message.
const (
	messageSent      = "sent"
	messageDelivered = "delivered"
	messageRead      = "read"
	messageFailed    = "failed"
)

// message is one message. Its record's parent is the conversation.
type message struct {
	ID           int64          `json:"id"`
	Conversation int64          `json:"conversation"`
	Type         int            `json:"type"`
	Content      *string        `json:"content,omitempty"`
	ContentType  string         `json:"contentType"`
	Attributes   map[string]any `json:"attributes,omitempty"`
	Attachments  []attachment   `json:"attachments,omitempty"`
	Status       string         `json:"status"`
	Created      time.Time      `json:"created"`
	Updated      time.Time      `json:"updated"`
	// Agent is the number of the agent who wrote it, 0 for the contact; name and
	// picture are those the agent had then.
	Agent       int64  `json:"agent,omitempty"`
	AgentName   string `json:"agentName,omitempty"`
	AgentAvatar string `json:"agentAvatar,omitempty"`
	// Event is the event that brought an agent's message, which may become two;
	// Piece counts them.
	Event bridge.EventID `json:"event,omitempty"`
	Piece int            `json:"piece,omitempty"`
	// Untaken says that no device of the contact has the agent's message yet.
	Untaken bool `json:"untaken,omitempty"`
	// Replies are the quick replies it offers.
	Replies []bridge.QuickReply `json:"replies,omitempty"`
	// Answers counts answers to it, for the ids of events.
	Submissions int `json:"answers,omitempty"`
	// Rating is the answer to a satisfaction survey.
	Rating *rating `json:"rating,omitempty"`
}

// rating is a contact's answer to a satisfaction survey.
type rating struct {
	ID       int64     `json:"id"`
	Score    int       `json:"score"`
	Feedback *string   `json:"feedback,omitempty"`
	Assignee int64     `json:"assignee,omitempty"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
}

func (m *message) Record() (bridge.Record, error) {
	var keys []string
	if m.Event != "" && m.Piece == 0 {
		keys = []string{keyEvent + string(m.Event)}
	}
	return kindMessage.Record(m.ID, formatID(m.Conversation), keys, m.Created, m)
}

func formatID(id int64) string { return strconv.FormatInt(id, 10) }

// parseID reads a numeric id of a path; 0 for anything else, which no record has.
func parseID(s string) int64 {
	id, err := strconv.ParseInt(s, 10, 64)
	if err != nil || id < 1 {
		return 0
	}
	return id
}

// store reads and writes the channel's records, and keeps at hand, decoded, those
// that every request needs.
type store struct {
	core    bridge.Core
	records bridge.Records
	log     *slog.Logger

	contacts       *served.Cache[int64, *contact]
	contactInboxes *served.Cache[sourceKey, *contactInbox]
	conversations  *served.Cache[int64, *conversation]
}

func newStore(core bridge.Core, log *slog.Logger) *store {
	return &store{
		core: core, records: core.Records(), log: log,
		contacts:       served.NewCache[int64](contactCache, (*contact).bytes),
		contactInboxes: served.NewCache[sourceKey](contactInboxCache, (*contactInbox).bytes),
		conversations:  served.NewCache[int64](conversationCache, (*conversation).bytes),
	}
}

// findContactInbox returns a contact-inbox by the name apps know it by. Where names of
// inboxes have colons the same key may be another inbox's.
func (a *store) findContactInbox(ctx context.Context, key sourceKey) (*contactInbox, error) {
	return a.contactInboxes.Get(ctx, key, func(ctx context.Context) (*contactInbox, error) {
		ci, err := kindContactInbox.Find(ctx, a.records, key.String())
		if err == nil && ci.key() != key {
			return nil, bridge.ErrNoRecord
		}
		return ci, err
	})
}

func (a *store) getContact(ctx context.Context, id int64) (*contact, error) {
	return a.contacts.Get(ctx, id, func(ctx context.Context) (*contact, error) {
		return kindContact.Get(ctx, a.records, id)
	})
}

func (a *store) getConversation(ctx context.Context, id int64) (*conversation, error) {
	return a.conversations.Get(ctx, id, func(ctx context.Context) (*conversation, error) {
		c, err := kindConversation.Get(ctx, a.records, id)
		if err == nil {
			c.recent = &window{}
		}
		return c, err
	})
}

// keep makes events and things durable.
func (a *store) keep(ctx context.Context, events []bridge.Event, things ...served.Thing) error {
	return served.Keep(ctx, a.core, events, things...)
}

// How much of memory decoded records may take, in bytes.
const (
	contactCache      = 32 << 20
	contactInboxCache = 16 << 20
	conversationCache = 32 << 20
	agentCache        = 2 << 20
)

func (c *contact) bytes() int {
	sum := len(c.Name) + len(c.Email) + len(c.Phone) + len(c.Identifier) + len(c.Avatar) + served.Weigh(c.Attributes)
	for _, token := range c.Tokens {
		sum += len(token)
	}
	return sum
}

func (m *message) bytes() int {
	const fixed = 512
	sum := fixed + served.Weigh(m.Attributes)
	if m.Content != nil {
		sum += len(*m.Content)
	}
	for _, f := range m.Attachments {
		sum += fixed + len(f.Name) + len(f.URL)
	}
	return sum
}

func (ci *contactInbox) bytes() int { return len(ci.Inbox) + len(ci.Source) + len(ci.Token) }

// bytes has room for the times of the last minute's messages.
func (c *conversation) bytes() int {
	return len(c.UUID) + len(c.Inbox) + len(c.Source) + served.Weigh(c.Attributes) + 8*floodLimit
}
