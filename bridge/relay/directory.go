package relay

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"lpbridge/bridge"
)

// dialogsKept is how many dialogs are known by name whose name is not that of their
// conversation, as surveys have it.
const dialogsKept = 4096

// rows is what the directory needs of the journal.
type rows interface {
	bridge.ThreadMap
	bridge.ConversationMap
}

// directory knows whose is what: threads, LivePerson's conversations and their
// dialogs, as they are on disk, with the busy part in memory. Rows it hands out
// are never changed; a change is made with [directory.edit].
//
// Four locks order what happens to one consumer. Who takes several takes them in
// this order:
//
//  1. opener.opening, by ext_consumer_id: one delivery at a time finds or opens
//     the consumer's conversation. Held across calls to LivePerson, by
//     deliveries only.
//  2. news.taking, by conversation: one notification at a time. Held across
//     writes.
//  3. directory.editing, by ext_consumer_id: one change of rows at a time. Held
//     across one write.
//  4. The maps in memory and the openings under way; held across nothing.
type directory struct {
	rows    rows
	editing mutexes

	// writes counts what was saved, so that a row that was read before is not put
	// into memory after it.
	writes        atomic.Uint64
	threads       *keptRows[bridge.ThreadKey, bridge.Thread]
	conversations *keptRows[string, bridge.Conversation]
	dialogs       *lru.Cache[string, string]
}

func newDirectory(r rows) *directory {
	return &directory{
		rows:          r,
		threads:       newKeptRows(rowsInUse, packThreadKey, packThread, unpackThread),
		conversations: newKeptRows(rowsInUse, packConversationKey, packConversation, unpackConversation),
		dialogs:       lastUsed[string, string](dialogsKept),
	}
}

// lastUsed makes a cache that keeps so many of those used last.
func lastUsed[K comparable, V any](most int) *lru.Cache[K, V] {
	c, err := lru.New[K, V](most)
	if err != nil {
		// It has no other than that most is not positive.
		panic(err)
	}
	return c
}

// thread returns a thread, nil when it is not known.
func (d *directory) thread(ctx context.Context, key bridge.ThreadKey) (*bridge.Thread, error) {
	if t := d.threads.get(key); t != nil {
		return t, nil
	}
	seen := d.writes.Load()
	t, err := d.rows.Thread(ctx, key)
	if t != nil && err == nil && seen == d.writes.Load() {
		d.threads.offer(key, t)
	}
	return t, err
}

// conversation returns a conversation by its id, nil when it is not known.
func (d *directory) conversation(ctx context.Context, id string) (*bridge.Conversation, error) {
	if id == "" {
		return nil, nil
	}
	if c := d.conversations.get(id); c != nil {
		return c, nil
	}
	seen := d.writes.Load()
	c, err := d.rows.Conversation(ctx, id)
	if c != nil && err == nil && seen == d.writes.Load() {
		d.conversations.offer(id, c)
	}
	return c, err
}

// conversationOf returns the conversation of that id, or else the one that ever
// had the dialog.
func (d *directory) conversationOf(ctx context.Context, id, dialog string) (*bridge.Conversation, error) {
	c, err := d.conversation(ctx, id)
	if c != nil || err != nil || dialog == "" {
		return c, err
	}
	if c := d.conversations.get(dialog); c != nil && slices.Contains(c.Dialogs, dialog) {
		return c, nil
	}
	if owner, ok := d.dialogs.Get(dialog); ok {
		return d.conversation(ctx, owner)
	}
	seen := d.writes.Load()
	c, err = d.rows.ConversationOfDialog(ctx, dialog)
	if c != nil && err == nil && seen == d.writes.Load() {
		d.dialogs.PeekOrAdd(dialog, c.ID)
	}
	return c, err
}

// current returns a thread and its current conversation, which may have ended;
// nil for what there is not.
func (d *directory) current(ctx context.Context, key bridge.ThreadKey) (*bridge.Thread, *bridge.Conversation, error) {
	t, err := d.thread(ctx, key)
	if t == nil || err != nil {
		return nil, nil, err
	}
	c, err := d.conversation(ctx, t.Conversation)
	return t, c, err
}

// edit is a change of one consumer's rows: nobody else changes them until it is
// released. Nothing is changed before it is saved.
type edit struct {
	directory     *directory
	release       func()
	threads       map[bridge.ThreadKey]*bridge.Thread
	conversations map[string]*bridge.Conversation
}

// edit begins a change of a consumer's rows. The caller must release it.
func (d *directory) edit(ctx context.Context, extConsumer string) (*edit, error) {
	release, err := d.editing.lock(ctx, extConsumer)
	if err != nil {
		return nil, err
	}
	return &edit{
		directory: d, release: sync.OnceFunc(release),
		threads: map[bridge.ThreadKey]*bridge.Thread{}, conversations: map[string]*bridge.Conversation{},
	}, nil
}

// take returns a thread to change, a new one when it is not known.
func (e *edit) take(ctx context.Context, key bridge.ThreadKey) (*bridge.Thread, error) {
	if t := e.threads[key]; t != nil {
		return t, nil
	}
	known, err := e.directory.thread(ctx, key)
	if err != nil {
		return nil, err
	}
	t := &bridge.Thread{Channel: key.Channel, ID: key.Thread}
	if known != nil {
		*t = *known
	}
	e.threads[key] = t
	return t, nil
}

// conversation returns a conversation to change, nil when it is not known.
func (e *edit) conversation(ctx context.Context, id string) (*bridge.Conversation, error) {
	if c := e.conversations[id]; c != nil {
		return c, nil
	}
	known, err := e.directory.conversation(ctx, id)
	if known == nil || err != nil {
		return nil, err
	}
	c := *known
	e.conversations[id] = &c
	return &c, nil
}

// add makes a new conversation part of the change.
func (e *edit) add(c bridge.Conversation) *bridge.Conversation {
	e.conversations[c.ID] = &c
	return &c
}

// hand gives a conversation to a thread as its current one. What the thread had
// before is over: LivePerson allows a consumer one.
func (e *edit) hand(ctx context.Context, c *bridge.Conversation, to bridge.ThreadKey) error {
	t, err := e.take(ctx, to)
	if err != nil {
		return err
	}
	if t.Conversation != "" && t.Conversation != c.ID {
		former, err := e.conversation(ctx, t.Conversation)
		if err != nil {
			return err
		}
		if former != nil && former.Open {
			former.End(former.Writes(), time.Now())
		}
	}
	if from := c.Holder(); from != to {
		if err := e.leave(ctx, c, from); err != nil {
			return err
		}
		c.Channel, c.Thread, c.Announced = to.Channel, to.Thread, false
	}
	t.Conversation = c.ID
	return nil
}

// leave takes a conversation from the thread that has it, if one does.
func (e *edit) leave(ctx context.Context, c *bridge.Conversation, from bridge.ThreadKey) error {
	if from.Channel == "" {
		return nil
	}
	holder, err := e.take(ctx, from)
	if err != nil {
		return err
	}
	if holder.Conversation == c.ID {
		holder.Conversation = ""
	}
	return nil
}

// save makes the change durable, all or nothing.
func (e *edit) save(ctx context.Context) error {
	var s bridge.Standing
	for _, t := range e.threads {
		s.Threads = append(s.Threads, *t)
	}
	for _, c := range e.conversations {
		s.Conversations = append(s.Conversations, *c)
	}
	err := e.directory.rows.Save(ctx, s)
	e.directory.writes.Add(1)
	if err != nil {
		// It may be on disk all the same.
		e.directory.forget(s)
		return err
	}
	e.directory.keep(s)
	return nil
}

func (d *directory) keep(s bridge.Standing) {
	for i := range s.Threads {
		d.threads.put(s.Threads[i].Key(), &s.Threads[i])
	}
	for i := range s.Conversations {
		c := &s.Conversations[i]
		c.Dialogs = slices.Clip(c.Dialogs)
		d.conversations.put(c.ID, c)
		for _, dialog := range c.Dialogs {
			if dialog != c.ID {
				d.dialogs.Add(dialog, c.ID)
			}
		}
	}
}

func (d *directory) forget(s bridge.Standing) {
	for i := range s.Threads {
		d.threads.drop(s.Threads[i].Key())
	}
	for i := range s.Conversations {
		d.conversations.drop(s.Conversations[i].ID)
	}
}
