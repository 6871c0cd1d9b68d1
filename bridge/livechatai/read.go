package livechatai

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"lpbridge/bridge"
)

// maxTold is how many things are told once in the log.
const maxTold = 64

// taken is what came of reading a conversation.
type taken struct {
	accepted bridge.Accepted
	// open and taken are as in known, after it.
	open, taken bool
	// later says that a message was left for the next reading.
	later bool
}

// fetch reads a conversation and accepts what is new in it. A conversation that
// is gone has ended.
func (l *LiveChatAI) fetch(ctx context.Context, item listed, agent string, c *cursor) (taken, error) {
	conv, failed := l.far.read(ctx, item.ID)
	switch {
	case isGone(failed):
		return l.take(ctx, conversation{ID: item.ID, IsResolved: true}, item, agent, c)
	case failed != nil:
		return taken{}, failed
	}
	l.tell(ctx, "message", conv.unread)
	return l.take(ctx, conv, item, agent, c)
}

// take accepts what is new in a conversation together with how far it was read.
// c is nil when the conversation was not found in a list.
func (l *LiveChatAI) take(ctx context.Context, conv conversation, item listed, agent string, c *cursor) (taken, error) {
	defer l.store.lock(conv.ID)()
	k, err := l.store.conversation(ctx, conv.ID)
	if err != nil {
		return taken{}, err
	}
	r := &reader{LiveChatAI: l, conv: conv, item: item, known: k}
	r.meet(agent)
	if err := r.messages(ctx, c); err != nil {
		return taken{}, err
	}
	r.close()
	result := taken{open: k.Open, taken: k.Taken, later: r.later}
	if !r.changed || k.record == 0 && len(r.events) == 0 && !r.first {
		return result, nil
	}
	record, err := l.store.recordOf(ctx, k)
	if err != nil {
		return taken{}, err
	}
	if result.accepted, err = l.core.Accept(ctx, r.events, record); err != nil {
		return taken{}, err
	}
	if result.accepted.Events > 0 {
		l.poll.traffic()
	}
	return result, nil
}

// reader turns one reading of a conversation into events.
type reader struct {
	*LiveChatAI
	conv  conversation
	item  listed
	known *known

	events []bridge.Event
	// changed says that the record must be saved, first that this is the very
	// first round, and later that a message was left for the next reading.
	changed, first, later bool
}

// meet takes down who the visitor is.
func (r *reader) meet(agent string) {
	k := r.known
	id := r.conv.ContactID
	if id == "" && r.item.Contact != nil {
		id = r.item.Contact.ID
	}
	if id != "" && id != k.Contact {
		k.Contact, r.changed = id, true
	}
	if agent != "" && agent != k.Agent {
		k.Agent, r.changed = agent, true
	}
}

// ours reports whether LivePerson answers the conversation.
func (r *reader) ours() bool { return r.conv.IsAgent || r.cfg.Conversations == all }

// messages collects the visitor's messages that were not read before. They are
// relayed when LivePerson answers the conversation; a conversation that was
// resolved before LivePerson heard of it needs no answer any more.
func (r *reader) messages(ctx context.Context, c *cursor) error {
	relay := r.ours() && (r.known.Open || !r.conv.IsResolved)
	isOld := r.begin(c)
	for _, m := range inOrder(r.conv) {
		if !r.isConsumer(m.Role) {
			r.poll.strange(ctx, m.Role)
			continue
		}
		if !r.known.fresh(m.ID, m.CreatedAt) {
			continue
		}
		if !relay || isOld(m) {
			r.note(m)
			continue
		}
		reply, err := r.store.isReply(ctx, m.ID)
		if err != nil {
			return err
		}
		if !reply && r.flight.has(r.conv.ID, m.Content) {
			// Whether it is our own reply, the answer to it will tell.
			r.later = true
			return nil
		}
		r.note(m)
		if !reply {
			r.relay(ctx, m)
		}
	}
	return nil
}

// begin notes a first round and says which messages are from before our time. Once
// LivePerson has the conversation and it was read before, none is.
func (r *reader) begin(c *cursor) func(message) bool {
	now := time.Now()
	floor := now.Add(-history)
	if c != nil {
		floor = c.floor(now)
	}
	switch {
	case r.known.Open && !r.known.Newest.IsZero():
		floor = time.Time{}
	case c != nil && !c.Begun && r.known.record == 0:
		// What is there at the very first round was answered elsewhere.
		r.first, r.changed, floor = true, true, c.Start.Add(time.Nanosecond)
	}
	return func(m message) bool { return m.CreatedAt.Before(floor) }
}

func (r *reader) note(m message) {
	r.known.note(m.ID, m.CreatedAt)
	r.changed = true
}

func (r *reader) relay(ctx context.Context, m message) {
	e, ok := r.event(ctx, m)
	if !ok {
		return
	}
	r.events = append(r.events, e)
	r.known.Open, r.known.Wrote = true, time.Now()
	r.known.Taken = r.known.Taken || r.conv.IsAgent
}

// close ends the conversation in LivePerson when it was resolved in LiveChatAI or
// given back to the AI.
func (r *reader) close() {
	k := r.known
	givenBack := k.Taken && !r.ours()
	if k.Open && !r.later && (r.conv.IsResolved || givenBack) {
		r.events = append(r.events, k.close(time.Now()))
		r.changed = true
	}
	if k.Open && r.conv.IsAgent && !k.Taken {
		k.Taken, r.changed = true, true
	}
}

// event makes the event of a visitor's message. One that no event can be made of,
// such as one without words, is left out: it must not hold up the others.
func (r *reader) event(ctx context.Context, m message) (bridge.Event, bool) {
	e := bridge.Event{
		ID: bridge.EventID(m.ID), Kind: bridge.KindMessage, Thread: bridge.ThreadID(r.conv.ID), Inbox: r.known.Agent, Time: m.CreatedAt,
		Consumer: visitor(r.known.consumer(), r.item.Contact), Message: content(m.Type, m.Content),
	}
	if err := e.Validate(); err != nil {
		field := "event"
		if f, ok := errors.AsType[*bridge.FieldError](err); ok {
			field = f.Field
		}
		r.core.LeftOut("message")
		r.log.WarnContext(ctx, "a visitor's message cannot be relayed", "field", field, "thread", r.conv.ID, "message", m.ID)
		return bridge.Event{}, false
	}
	return e, true
}

// visitor describes the person to LivePerson. LiveChatAI has one name only.
func visitor(id bridge.ConsumerID, c *contact) *bridge.Consumer {
	if c == nil {
		return &bridge.Consumer{ID: id}
	}
	return &bridge.Consumer{ID: id, FirstName: c.Name, Email: c.Email, Phone: c.Phone, Attributes: c.strings()}
}

// content is what a message says. The content of an image is its address, as far
// as we know; where it is not, it is passed on as words. LiveChatAI's replies have no
// buttons, so words are how visitors choose.
func content(kind, text string) *bridge.Message {
	if kind == typeImage && isWebAddress(text) {
		return &bridge.Message{Attachments: []bridge.Attachment{{URL: text}}}
	}
	return &bridge.Message{Text: text, TypedChoice: true}
}

// inOrder returns a conversation's messages as they were written. LiveChatAI
// documents no order. A message without a time goes with the one before it.
func inOrder(c conversation) []message {
	messages := slices.Clone(c.Messages)
	at := c.CreatedAt
	for i := range messages {
		if messages[i].CreatedAt.IsZero() {
			messages[i].CreatedAt = at
		}
		at = messages[i].CreatedAt
	}
	slices.SortStableFunc(messages, func(a, b message) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return messages
}

// tell counts what could not be read, and names each kind of it once in the log:
// conversations are read again and again.
func (l *LiveChatAI) tell(ctx context.Context, thing string, u unread) {
	for range u.things {
		l.core.LeftOut(thing)
	}
	if u.things > 0 && l.poll.told.add("thing "+thing) {
		l.log.WarnContext(ctx, "what has no id that can be read is left out", "what", thing, "count", u.things)
	}
	for _, member := range u.members {
		l.core.LeftOut("member")
		if l.poll.told.add("member " + member) {
			l.log.WarnContext(ctx, "a member of an answer cannot be read and is left out", "member", member)
		}
	}
}

// strange tells once of each role that is not the visitor's, for the vendor names
// only one. What does not look like a name is not repeated.
func (p *poller) strange(ctx context.Context, role string) {
	word := roleWord(role)
	if !p.told.add(word) {
		return
	}
	p.log.InfoContext(ctx, "messages of a role that is not the visitor's are not relayed", "role", word)
}

// words are the words told in the log so far, at most maxTold.
type words struct {
	mu   sync.Mutex
	told map[string]bool
}

// add reports whether the word is to be told.
func (w *words) add(word string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.told[word] || len(w.told) >= maxTold {
		return false
	}
	if w.told == nil {
		w.told = map[string]bool{}
	}
	w.told[word] = true
	return true
}

func roleWord(role string) string {
	const longest = 32
	if len(role) > longest {
		return "malformed"
	}
	for _, c := range role {
		if !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c == '-') {
			return "malformed"
		}
	}
	return cmp.Or(role, "none")
}
