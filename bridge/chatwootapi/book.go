package chatwootapi

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"lpbridge/bridge"
)

// The kinds of record the channel keeps.
const (
	kindContact      = "contact"
	kindContactInbox = "contact_inbox"
	kindConversation = "conversation"
	kindMessage      = "message"
	// kindAttachment holds files a contact sent: one line of JSON, then the bytes.
	kindAttachment = "attachment"
	kindAgent      = "agent"
	kindRating     = "rating"
)

// HistoryKinds names the kinds of record that may be deleted when they are
// older than history is kept. The others say who a person is and which
// conversations there were.
func HistoryKinds() []string { return []string{kindMessage, kindAttachment} }

// contact is a person. Values in the cache are shared: copy before changing.
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
	// Verified are the tokens of the contact-inboxes that proved the identity.
	Verified []string `json:"verified,omitempty"`
	// MergedInto is the contact this one became part of, 0 while it stands alone.
	MergedInto int64 `json:"mergedInto,omitempty"`
}

func (c *contact) record() (bridge.Record, error) {
	return recordOf(kindContact, c.ID, "", c.keys(), c.Created, c)
}

func (c *contact) keys() []string {
	var keys []string
	for _, k := range []struct{ kind, value string }{
		{keyIdentifier, c.Identifier}, {keyEmail, c.Email}, {keyPhone, c.Phone},
	} {
		if k.value != "" {
			keys = append(keys, k.kind+k.value)
		}
	}
	return keys
}

// What contacts and contact-inboxes are looked up by.
const (
	keyIdentifier = "identifier:"
	keyEmail      = "email:"
	keyPhone      = "phone:"
	keyToken      = "token:"
	keyEvent      = "event:"
	keyUUID       = "uuid:"
	keySource     = "source:"
)

// contactInbox is a contact in an inbox: the source id apps know it by and the
// token its events are sent to.
type contactInbox struct {
	ID       int64     `json:"id"`
	Inbox    string    `json:"inbox"`
	Source   string    `json:"source"`
	Token    string    `json:"token"`
	Contact  int64     `json:"contact"`
	Verified bool      `json:"verified,omitempty"`
	Created  time.Time `json:"created"`
	Updated  time.Time `json:"updated"`
}

// sourceKey names a contact-inbox as apps do.
type sourceKey struct{ inbox, source string }

func (k sourceKey) String() string { return keySource + k.inbox + ":" + k.source }

func (ci *contactInbox) key() sourceKey { return sourceKey{ci.Inbox, ci.Source} }

func (ci *contactInbox) record() (bridge.Record, error) {
	keys := []string{ci.key().String(), keyToken + ci.Token}
	return recordOf(kindContactInbox, ci.ID, formatID(ci.Contact), keys, ci.Created, ci)
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
	// Consumer is the contact's id when the conversation began. It stays when
	// contacts are merged, so that a thread has one consumer.
	Consumer   int64          `json:"consumer"`
	Status     string         `json:"status"`
	Attributes map[string]any `json:"attributes,omitempty"`
	Created    time.Time      `json:"created"`
	Updated    time.Time      `json:"updated"`
	Activity   time.Time      `json:"activity"`
	// ContactActive is when the contact last wrote.
	ContactActive time.Time `json:"contactActive,omitzero"`
	ContactSeen   time.Time `json:"contactSeen,omitzero"`
	AgentSeen     time.Time `json:"agentSeen,omitzero"`
	WaitingSince  time.Time `json:"waitingSince,omitzero"`
	FirstReply    time.Time `json:"firstReply,omitzero"`
	// Assignee is the number of the agent, 0 for nobody.
	Assignee int64 `json:"assignee,omitempty"`
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

func (c *conversation) record() (bridge.Record, error) {
	return recordOf(kindConversation, c.ID, formatID(c.ContactInbox), []string{keyUUID + c.UUID}, c.Created, c)
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
	contentText   = "text"
	contentSelect = "input_select"
	contentCSAT   = "input_csat"
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
	// Agent is the number of the agent who wrote it, 0 for the contact.
	Agent int64 `json:"agent,omitempty"`
	// Event is the event that brought an agent's message.
	Event bridge.EventID `json:"event,omitempty"`
	// Replies are the quick replies it offers.
	Replies []bridge.QuickReply `json:"replies,omitempty"`
	// Answers counts answers to it, for the ids of events.
	Answers int `json:"answers,omitempty"`
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

func (m *message) record() (bridge.Record, error) {
	var keys []string
	if m.Event != "" {
		keys = []string{keyEvent + string(m.Event)}
	}
	return recordOf(kindMessage, m.ID, formatID(m.Conversation), keys, m.Created, m)
}

// recordable is a thing with a record.
type recordable interface{ record() (bridge.Record, error) }

// recordsOf returns the records of several things.
func recordsOf(things ...recordable) ([]bridge.Record, error) {
	records := make([]bridge.Record, len(things))
	for i, t := range things {
		var err error
		if records[i], err = t.record(); err != nil {
			return nil, err
		}
	}
	return records, nil
}

func recordOf(kind string, id int64, parent string, keys []string, at time.Time, v any) (bridge.Record, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return bridge.Record{}, fmt.Errorf("encode %s: %w", kind, err)
	}
	return bridge.Record{Kind: kind, ID: id, Parent: parent, Keys: keys, Data: data, Time: at}, nil
}

// decode reads a record back, keeping numbers in free attributes as they were.
func decode[T any](rec bridge.Record) (*T, error) {
	v := new(T)
	if err := decodeNumbers(rec.Data, v); err != nil {
		return nil, fmt.Errorf("decode %s %d: %w", rec.Kind, rec.ID, err)
	}
	return v, nil
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

// findContactInbox returns a contact-inbox by the name apps know it by.
func (a *ChatwootAPI) findContactInbox(ctx context.Context, key sourceKey) (*contactInbox, error) {
	return a.contactInboxes.get(key, func() (*contactInbox, error) {
		rec, err := a.records.Find(ctx, kindContactInbox, key.String())
		if err != nil {
			return nil, err
		}
		return decode[contactInbox](rec)
	})
}

func (a *ChatwootAPI) getContact(ctx context.Context, id int64) (*contact, error) {
	return a.contacts.get(id, func() (*contact, error) {
		rec, err := a.records.Get(ctx, kindContact, id)
		if err != nil {
			return nil, err
		}
		return decode[contact](rec)
	})
}

func (a *ChatwootAPI) getConversation(ctx context.Context, id int64) (*conversation, error) {
	return a.conversations.get(id, func() (*conversation, error) {
		rec, err := a.records.Get(ctx, kindConversation, id)
		if err != nil {
			return nil, err
		}
		c, err := decode[conversation](rec)
		if err == nil {
			c.recent = &window{}
		}
		return c, err
	})
}

// pageSize is how many records are read at a time.
const pageSize = 100

// each calls visit with every record of a parent, from the lowest id above
// after upwards, until visit says stop.
func each[T any](ctx context.Context, records bridge.Records, kind, parent string, after int64, visit func(*T) (stop bool)) error {
	for {
		page, err := records.List(ctx, kind, parent, bridge.Page{After: after, Limit: pageSize})
		if err != nil {
			return err
		}
		for _, rec := range page {
			v, err := decode[T](rec)
			if err != nil {
				return err
			}
			if visit(v) {
				return nil
			}
			after = rec.ID
		}
		if len(page) < pageSize {
			return nil
		}
	}
}

// all returns every record of a parent, oldest first.
func all[T any](ctx context.Context, records bridge.Records, kind, parent string) ([]*T, error) {
	out := []*T{}
	err := each(ctx, records, kind, parent, 0, func(v *T) bool {
		out = append(out, v)
		return false
	})
	return out, err
}

// newest returns up to limit records of a parent with ids below before, oldest
// of them first. A before of 0 means no bound.
func newest[T any](ctx context.Context, records bridge.Records, kind, parent string, before int64, limit int) ([]*T, error) {
	page, err := records.List(ctx, kind, parent, bridge.Page{Before: before, Limit: limit, Newest: true})
	if err != nil {
		return nil, err
	}
	out := make([]*T, len(page))
	for i, rec := range page {
		if out[len(page)-1-i], err = decode[T](rec); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// accept makes events and records durable. It does not end with the request: a
// write given up half-way would leave the cache and the journal of two minds.
func (a *ChatwootAPI) accept(ctx context.Context, events []bridge.Event, things ...recordable) error {
	records, err := recordsOf(things...)
	if err != nil {
		return err
	}
	_, err = a.core.Accept(context.WithoutCancel(ctx), events, records...)
	return err
}
