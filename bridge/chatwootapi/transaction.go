package chatwootapi

import (
	"context"
	"slices"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

// transaction is one change of a conversation, made while its lock is held: what is
// stored and what LivePerson is told becomes durable in one write, and then the
// contact's apps are told.
type transaction struct {
	visitor *visitor
	now     time.Time
	// was is the conversation before, thread the copy to change.
	was, thread *conversation
	events      []bridge.Event
	stored      []served.Thing
	news        []messageNews
	// performer is the agent who caused it, nil for the contact.
	performer *agentSender
	// dirty says that the conversation itself changed.
	dirty bool
}

// messageNews is a new or changed message to tell apps of.
type messageNews struct {
	message *message
	// before is the message as it was, nil for a new one.
	before *message
	// echo is the client's echo_id, of the type it came as, nil for none: clients
	// compare it strictly with what they sent.
	echo any
}

// history is the conversations with their messages: each change of one is a
// transaction, of which LivePerson and the contact's apps are told.
type history struct {
	*store
	*answers
	*people

	cable *cable
	// threads are held while a conversation or its messages change.
	threads served.Mutexes[int64]
}

// inThread makes a change of a conversation. When do changes nothing, nothing
// is written.
func (a *history) inThread(ctx context.Context, p *visitor, id int64, do func(*transaction) error) error {
	unlock := a.threads.Lock(id)
	defer unlock()
	was, err := a.getConversation(ctx, id)
	if err != nil {
		return err
	}
	next := *was
	t := &transaction{visitor: p, now: time.Now(), was: was, thread: &next}
	if err := do(t); err != nil {
		return err
	}
	if len(t.events) == 0 && len(t.stored) == 0 && !t.dirty {
		return nil
	}
	next.Updated = t.now
	if err := a.keep(ctx, t.events, append(t.stored, &next)...); err != nil {
		a.conversations.Forget(id)
		return err
	}
	a.conversations.Put(id, &next)
	t.count()
	a.announce(ctx, t)
	return nil
}

// report adds an event for LivePerson.
func (t *transaction) report(id bridge.EventID, kind bridge.Kind) *bridge.Event {
	t.events = append(t.events, event(id, kind, t.thread, t.visitor, t.now))
	return &t.events[len(t.events)-1]
}

// touch says that the conversation itself changed.
func (t *transaction) touch() { t.dirty = true }

// addMessage stores a new message.
func (t *transaction) addMessage(m *message, echo any) {
	t.thread.Activity = t.now
	t.stored = append(t.stored, m)
	t.news = append(t.news, messageNews{message: m, echo: echo})
}

// changeMessage stores a message that changed.
func (t *transaction) changeMessage(before, m *message) {
	m.Updated = t.now
	t.stored = append(t.stored, m)
	t.news = append(t.news, messageNews{message: m, before: before})
}

// announce tells the contact's apps what the transaction did.
func (a *history) announce(ctx context.Context, t *transaction) {
	tokens := t.visitor.tokens()
	if !a.cable.listening(tokens) {
		return
	}
	if t.was.Status != t.thread.Status {
		a.sayConversation(ctx, tokens, "conversation.status_changed", t)
	}
	for _, n := range t.news {
		a.sayMessage(tokens, t, n)
	}
	if t.deskChanged() {
		a.sayConversation(ctx, tokens, "conversation.updated", t)
	}
}

// deskChanged says whether something changed that Chatwoot sends
// conversation.updated for.
func (t *transaction) deskChanged() bool {
	was, is := t.was, t.thread
	return was.Status != is.Status || was.Assignee != is.Assignee || !was.WaitingSince.Equal(is.WaitingSince) ||
		!was.FirstReply.Equal(is.FirstReply)
}

func (a *history) sayMessage(tokens []string, t *transaction, n messageNews) {
	m := a.pushMessage(n.message, t.thread, t.visitor)
	m.EchoID, m.Performer = n.echo, t.performer
	if n.before == nil {
		a.cable.sendThen(tokens, "message.created", m, a.afterSending(n.message))
		return
	}
	m.PreviousChanges = changesOf(n.before, n.message)
	a.cable.send(tokens, "message.updated", m)
}

// afterSending is what to do when a device got a message; nil for nothing.
func (a *history) afterSending(m *message) func() {
	if !m.Untaken {
		return nil
	}
	taken := takenMessages{m.Conversation, m.ID}
	return func() { a.deviceTook(context.Background(), taken) }
}

// changesOf names what changed in a message, with the values before and after.
func changesOf(before, after *message) map[string][2]any {
	changes := map[string][2]any{"updated_at": {iso(before.Updated), iso(after.Updated)}}
	if before.Status != after.Status {
		changes["status"] = [2]any{before.Status, after.Status}
	}
	if before.Submissions != after.Submissions {
		changes["content_attributes"] = [2]any{orEmpty(before.Attributes), orEmpty(after.Attributes)}
	}
	return changes
}

func (a *history) sayConversation(ctx context.Context, tokens []string, name string, t *transaction) {
	push := a.pushConversation(t.thread, t.visitor, a.newestOf(ctx, t))
	push.Performer = t.performer
	a.cable.send(tokens, name, push)
}

// newestOf returns the newest message after the transaction, nil when there is none.
func (a *history) newestOf(ctx context.Context, t *transaction) *message {
	for _, v := range slices.Backward(t.news) {
		if v.before == nil {
			return v.message
		}
	}
	return a.newestMessage(ctx, t.thread.ID)
}

func (a *store) newestMessage(ctx context.Context, id int64) *message {
	last, err := kindMessage.Newest(ctx, a.records, formatID(id), 0, 1)
	if err != nil {
		a.log.WarnContext(ctx, "event sent without its newest message", "thread", id, "error", err)
	}
	if len(last) == 0 {
		return nil
	}
	return last[0]
}

// floodLimit is the most messages of one conversation in one minute before the
// contact is refused, as Chatwoot has it.
const floodLimit = 200

// count remembers the messages that were added.
func (t *transaction) count() {
	for _, n := range t.news {
		if n.before == nil {
			t.thread.recent.add(t.now)
		}
	}
}

// window counts the messages of the last minute.
type window struct {
	// times are in milliseconds since 1970, oldest first.
	times []int64
}

func (w *window) add(now time.Time) {
	w.trim(now)
	// An agent is never refused, so the count may pass the limit; what is kept
	// may not.
	if len(w.times) < floodLimit {
		w.times = append(w.times, now.UnixMilli())
	}
}

func (w *window) full(now time.Time) bool { return len(w.times)-w.past(now) >= floodLimit }

func (w *window) trim(now time.Time) { w.times = slices.Delete(w.times, 0, w.past(now)) }

// past counts those that are older than a minute.
func (w *window) past(now time.Time) int {
	n, _ := slices.BinarySearch(w.times, now.Add(-time.Minute).UnixMilli())
	return n
}
