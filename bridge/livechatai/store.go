package livechatai

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"lpbridge/bridge"
)

// The kinds of record of this channel.
const (
	// replyRecords remember the ids of our own replies. They are history: an old
	// one is of no use.
	replyRecords = "reply"
	// conversationRecords say how far a conversation was read. They are deleted
	// some time after the conversation ended.
	conversationRecords = "conversation"
	// cursorRecords say how far an AI agent's list was read.
	cursorRecords = "cursor"
)

// The parents of conversation records.
const (
	parentOpen   = "open"
	parentClosed = "closed"
)

// maxSeen is the most message ids a conversation record keeps.
const maxSeen = 512

// known is the data of a conversation record.
type known struct {
	ID string `json:"id"`
	// Agent is the AI agent in whose list it was; empty when only pushes told.
	Agent   string `json:"agent,omitempty"`
	Contact string `json:"contact,omitempty"`
	// Newest is when the visitor's newest message that was read was written; zero
	// when the conversation was never read.
	Newest time.Time `json:"newest,omitzero"`
	// Seen are the ids of the visitor's messages within the overlap before Newest.
	Seen []seen `json:"seen,omitempty"`
	// Listed is the lastMessageDate up to which the conversation was read for
	// sure.
	Listed time.Time `json:"listed,omitzero"`
	// Open says that LivePerson has messages of it and was not told of its end.
	Open bool `json:"open,omitempty"`
	// Taken says that a person had taken it over when it was read.
	Taken bool `json:"taken,omitempty"`
	// Closings counts the ends, for their ids.
	Closings int `json:"closings,omitempty"`
	// Wrote is by our clock when a visitor's message was last accepted.
	Wrote time.Time `json:"wrote,omitzero"`
	// Ended is by our clock when it was closed.
	Ended time.Time `json:"ended,omitzero"`

	// record is the record's id; 0 for one that was not saved yet.
	record int64
}

// seen is a message that was read.
type seen struct {
	ID string    `json:"id"`
	At time.Time `json:"at"`
}

// fresh reports whether a message was not read yet.
func (k *known) fresh(id string, at time.Time) bool {
	if !k.Newest.IsZero() && at.Before(k.Newest.Add(-overlap)) {
		return false
	}
	return !slices.ContainsFunc(k.Seen, func(s seen) bool { return s.ID == id })
}

// note remembers a message as read.
func (k *known) note(id string, at time.Time) {
	if at.After(k.Newest) {
		k.Newest = at
	}
	k.Seen = append(k.Seen, seen{id, at})
	k.Seen = slices.DeleteFunc(k.Seen, func(s seen) bool { return s.At.Before(k.Newest.Add(-overlap)) })
	if extra := len(k.Seen) - maxSeen; extra > 0 {
		k.Seen = slices.Delete(k.Seen, 0, extra)
	}
}

// close ends the conversation and returns the event that says so.
func (k *known) close(now time.Time) bridge.Event {
	k.Closings++
	k.end(now)
	return bridge.Event{
		ID: bridge.EventID(fmt.Sprintf("close:%s:%d", k.ID, k.Closings)), Kind: bridge.KindClose,
		Thread: bridge.ThreadID(k.ID), Consumer: &bridge.Consumer{ID: k.consumer()},
	}
}

func (k *known) end(now time.Time) { k.Open, k.Taken, k.Ended = false, false, now }

// consumer is who the visitor is. One that LiveChatAI does not know is only
// known by the conversation.
func (k *known) consumer() bridge.ConsumerID {
	if k.Contact == "" {
		return bridge.ConsumerID(k.ID)
	}
	return bridge.ConsumerID(k.Contact)
}

// cursor is the data of a cursor record.
type cursor struct {
	Agent string `json:"agent"`
	// Start is when the agent's list was first read; older messages are not taken.
	Start time.Time `json:"start,omitzero"`
	// Begun says that the first round was made.
	Begun bool `json:"begun,omitempty"`
	// Newest is the newest lastMessageDate up to which everything was read.
	Newest time.Time `json:"newest,omitzero"`
	// Read is by our clock when that was so.
	Read time.Time `json:"read,omitzero"`

	record int64
	// held is since when rounds could not read everything; zero when the last
	// one did.
	held time.Time
}

// store keeps the channel's records.
type store struct {
	core    bridge.Core
	seed    maphash.Seed
	stripes [64]sync.Mutex
}

func newStore(c bridge.Core) *store { return &store{core: c, seed: maphash.MakeSeed()} }

// records asks the core only when they are needed: an adapter whose abilities are
// all that is wanted is made with a core that has none.
func (b *store) records() bridge.Records { return b.core.Records() }

// lock keeps others from changing a conversation's record.
func (b *store) lock(conversation string) (unlock func()) {
	m := &b.stripes[maphash.String(b.seed, conversation)%uint64(len(b.stripes))]
	m.Lock()
	return m.Unlock
}

// conversation returns what is known of a conversation; its record is 0 when
// nothing is.
func (b *store) conversation(ctx context.Context, id string) (*known, error) {
	r, err := b.records().Find(ctx, conversationRecords, id)
	if errors.Is(err, bridge.ErrNoRecord) {
		return &known{ID: id}, nil
	}
	if err != nil {
		return nil, err
	}
	return decodeKnown(r)
}

func decodeKnown(r bridge.Record) (*known, error) {
	k := &known{}
	if err := json.Unmarshal(r.Data, k); err != nil {
		return nil, fmt.Errorf("read the record of a conversation: %w", err)
	}
	k.record = r.ID
	return k, nil
}

// recordOf encodes what is known of a conversation.
func (b *store) recordOf(ctx context.Context, k *known) (bridge.Record, error) {
	if k.record == 0 {
		id, err := b.records().NextID(ctx, conversationRecords)
		if err != nil {
			return bridge.Record{}, err
		}
		k.record = id
	}
	data, err := json.Marshal(k)
	if err != nil {
		return bridge.Record{}, err
	}
	parent := parentClosed
	if k.Open {
		parent = parentOpen
	}
	return bridge.Record{Kind: conversationRecords, ID: k.record, Parent: parent, Keys: []string{k.ID}, Data: data}, nil
}

// save writes what is known of a conversation.
func (b *store) save(ctx context.Context, k *known) error {
	r, err := b.recordOf(ctx, k)
	if err != nil {
		return err
	}
	return b.records().Save(ctx, r)
}

// page lists conversations below a parent, at most limit, whose records come
// after the one given.
func (b *store) page(ctx context.Context, parent string, after int64, limit int) ([]*known, error) {
	records, err := b.records().List(ctx, conversationRecords, parent, bridge.Page{After: after, Limit: limit})
	if err != nil {
		return nil, err
	}
	list := make([]*known, len(records))
	for i, r := range records {
		if list[i], err = decodeKnown(r); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// cursor returns how far an AI agent's list was read; its record is 0 when it
// never was.
func (b *store) cursor(ctx context.Context, agent string) (*cursor, error) {
	r, err := b.records().Find(ctx, cursorRecords, agent)
	if errors.Is(err, bridge.ErrNoRecord) {
		return &cursor{Agent: agent}, nil
	}
	if err != nil {
		return nil, err
	}
	c := &cursor{}
	if err := json.Unmarshal(r.Data, c); err != nil {
		return nil, fmt.Errorf("read the record of a cursor: %w", err)
	}
	c.record = r.ID
	return c, nil
}

func (b *store) saveCursor(ctx context.Context, c *cursor) error {
	if c.record == 0 {
		id, err := b.records().NextID(ctx, cursorRecords)
		if err != nil {
			return err
		}
		c.record = id
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return b.records().Save(ctx, bridge.Record{Kind: cursorRecords, ID: c.record, Keys: []string{c.Agent}, Data: data})
}

// The keys of a reply record: which part of which event it is, and its id at
// LiveChatAI.
func replyKey(event bridge.EventID, part int) string { return fmt.Sprintf("e:%s#%d", event, part) }

func replyIDKey(messageID string) string { return "m:" + messageID }

// replied reports whether a part of an event was written to the conversation.
func (b *store) replied(ctx context.Context, event bridge.EventID, part int) (bool, error) {
	return b.hasReply(ctx, replyKey(event, part))
}

// isReply reports whether a message of LiveChatAI's is a reply of ours.
func (b *store) isReply(ctx context.Context, messageID string) (bool, error) {
	return b.hasReply(ctx, replyIDKey(messageID))
}

func (b *store) hasReply(ctx context.Context, key string) (bool, error) {
	_, err := b.records().Find(ctx, replyRecords, key)
	if errors.Is(err, bridge.ErrNoRecord) {
		return false, nil
	}
	return err == nil, err
}

// keepReply remembers a reply that is there. messageID may be empty.
func (b *store) keepReply(ctx context.Context, event bridge.EventID, part int, conversation, messageID string) error {
	id, err := b.records().NextID(ctx, replyRecords)
	if err != nil {
		return err
	}
	keys := []string{replyKey(event, part)}
	if messageID != "" {
		keys = append(keys, replyIDKey(messageID))
	}
	return b.records().Save(ctx, bridge.Record{Kind: replyRecords, ID: id, Parent: conversation, Keys: keys})
}
