package relay

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector"
)

// openTries is how often a thread opens a conversation for one message: another
// thread of the consumer may take it over at once.
const openTries = 3

// opener finds the conversation a consumer's event goes to: the thread's own, one
// it takes over from another thread of the consumer, or a new one.
type opener struct {
	lp        *connector.Client
	directory *directory
	openings  *openings
	profiles  *profiles
	identity  *identity
	router    *router
	stalls    *stalls
	log       *slog.Logger
	// opening lets one delivery of a consumer at a time find or open the
	// conversation; see [directory] for the order of locks.
	opening mutexes

	// endTyping tells LivePerson that nobody types in a thread, whose conversation
	// is about to leave it.
	endTyping func(ctx context.Context, key bridge.ThreadKey)
	// claimed is told that a conversation has an owner from now on.
	claimed func(ctx context.Context, conversation string) error
}

// found is the conversation a message goes to. guessed says that LivePerson did
// not say which one is open, and that it may be this one.
type found struct {
	*bridge.Conversation
	guessed bool
}

// notOpened is why a conversation could not be had for now.
func notOpened(err error) error { return connector.NotSent("open a conversation", bridge.Retry, err) }

// find returns where the thread's next message goes. It opens a conversation when
// the thread has none.
func (o *opener) find(ctx context.Context, key bridge.ThreadKey, ev *bridge.Event) (found, error) {
	guessed := false
	for range openTries {
		_, conversation, err := o.directory.current(ctx, key)
		if err != nil {
			return found{}, notOpened(err)
		}
		if conversation.TakesMessages() {
			return found{conversation, guessed}, nil
		}
		if guessed, err = o.open(ctx, key, ev); err != nil {
			return found{}, err
		}
	}
	return found{}, notOpened(errors.New("another thread has the conversation"))
}

// errElsewhere means that the consumer has a conversation which this thread must not
// take over, see [bridge.Consumer].
var errElsewhere = errors.New("another thread has the consumer's conversation")

// open begins a conversation for the thread's consumer, or for who writes there for
// certain while another thread has the conversation of the former.
func (o *opener) open(ctx context.Context, key bridge.ThreadKey, ev *bridge.Event) (guessed bool, err error) {
	guessed, err = o.openAs(ctx, key, ev)
	if errors.Is(err, errElsewhere) {
		alone := *ev
		alone.Consumer = ev.Consumer.Alone()
		return o.openAs(ctx, key, &alone)
	}
	return guessed, err
}

// mayShare reports whether a thread may take over what another one has of the same
// consumer.
func mayShare(ev *bridge.Event) bool { return ev.Consumer == nil || ev.Consumer.Apart == "" }

// openAs begins a conversation for a consumer, or takes over the one the consumer has
// in another thread: LivePerson allows a consumer one, and it follows the thread in
// which the consumer writes.
func (o *opener) openAs(ctx context.Context, key bridge.ThreadKey, ev *bridge.Event) (guessed bool, err error) {
	c := ev.Consumer
	t, err := o.directory.thread(ctx, key)
	if err != nil {
		return false, notOpened(err)
	}
	if t == nil {
		t = &bridge.Thread{Channel: key.Channel, ID: key.Thread}
	}
	ext, err := t.ExternalConsumer(c)
	if err != nil {
		return false, connector.NotSent("open a conversation", bridge.Invalid, err)
	}
	if ext == "" {
		if ext, err = o.identity.of(ctx, key.Channel, c.ID); err != nil {
			return false, notOpened(err)
		}
	}
	release, err := o.opening.lock(ctx, ext)
	if err != nil {
		return false, notOpened(err)
	}
	defer release()
	if !o.stalls.may() {
		return false, &stalled{notOpened(errStalled)}
	}
	if !mayShare(ev) {
		if err := o.elsewhere(ctx, key, ext); err != nil {
			return false, err
		}
	}
	known := t.ExtConsumer == ext
	consumer, err := o.meet(ctx, key, ext, c)
	if err != nil {
		return false, err
	}
	held, err := o.directory.rows.HeldBy(ctx, consumer)
	switch {
	case err != nil:
		return false, notOpened(err)
	case held != nil && held.Holder() == key:
		// Somebody was faster.
		return false, o.opened(ctx, key, held.ID, false)
	case held != nil:
		return false, o.takeOver(ctx, key, held)
	}
	return o.begin(ctx, key, consumer, ev, known)
}

// elsewhere returns errElsewhere when another thread has a conversation of the
// consumer, or may have. It is asked before the thread is tied to that consumer.
func (o *opener) elsewhere(ctx context.Context, key bridge.ThreadKey, ext string) error {
	id, err := o.lp.ConsumerID(ctx, connector.ConsumerIdentity(ext))
	if err != nil {
		return err
	}
	held, err := o.directory.rows.HeldBy(ctx, string(id))
	if err != nil {
		return notOpened(err)
	}
	opening, underWay := o.openings.threadOf(string(id))
	if held != nil && held.Holder() != key || underWay && opening != key {
		return errElsewhere
	}
	return nil
}

// meet learns who the consumer is in LivePerson and remembers it before a
// conversation exists, because notifications about it may come first: they find
// this thread.
func (o *opener) meet(ctx context.Context, key bridge.ThreadKey, ext string, c *bridge.Consumer) (consumer string, err error) {
	id, err := o.lp.ConsumerID(ctx, connector.ConsumerIdentity(ext))
	if err != nil {
		return "", err
	}
	e, err := o.directory.edit(ctx, ext)
	if err != nil {
		return "", notOpened(err)
	}
	defer e.release()
	t, err := e.take(ctx, key)
	if err != nil {
		return "", notOpened(err)
	}
	if t.LPConsumer == string(id) && t.ExtConsumer == ext {
		return string(id), nil
	}
	t.ExtConsumer, t.LPConsumer = ext, string(id)
	if c != nil {
		t.Consumer = c.ID
	}
	if err := e.save(ctx); err != nil {
		return "", notOpened(err)
	}
	return string(id), nil
}

// begin asks LivePerson for a new conversation. The thread is the consumer's; known
// says that it was before, so that it may have asked already.
func (o *opener) begin(ctx context.Context, key bridge.ThreadKey, consumer string, ev *bridge.Event, known bool) (guessed bool, err error) {
	t, err := o.directory.thread(ctx, key)
	if err != nil {
		return false, notOpened(err)
	}
	ext := t.ExtConsumer
	profile, err := o.profile(ctx, key, ev.Consumer)
	if err != nil {
		return false, err
	}
	request := o.router.request(ctx, key.Channel, ev.Inbox, ext, profile)
	o.openings.begin(consumer, key)
	id, err := o.lp.Conversation(ctx, connector.ConsumerIdentity(ext), request)
	switch {
	case err == nil:
		return false, o.settled(ctx, key, consumer, string(id), false)
	case errors.Is(err, connector.ErrAlreadyOpen) && !mayShare(ev) && !known:
		// It is none that this thread asked for, so nobody knows whose words are in it.
		o.openings.refused(consumer)
		return false, errElsewhere
	case errors.Is(err, connector.ErrAlreadyOpen):
		o.openings.doubt(ctx, consumer)
		return o.ask(ctx, key, ext, consumer)
	case mayHaveArrived(err):
		// Asking again is safe: a conversation that was opened is then found.
		o.openings.doubt(ctx, consumer)
		return false, &stalled{again(err)}
	}
	o.openings.refused(consumer)
	if connector.OutcomeOf(err) == bridge.Invalid {
		// What is wrong is how conversations are asked for, not the message.
		return false, &stalled{again(err)}
	}
	return false, err
}

// profile is all that is known of the thread's consumer.
func (o *opener) profile(ctx context.Context, key bridge.ThreadKey, c *bridge.Consumer) (whole connector.UserProfile, err error) {
	if c == nil {
		t, err := o.directory.thread(ctx, key)
		if err != nil {
			return whole, notOpened(err)
		}
		c = &bridge.Consumer{ID: t.Consumer}
	}
	err = o.profiles.merge(ctx, key.Channel, c, func(_ context.Context, p connector.UserProfile, _ bool) error {
		whole = p
		return nil
	})
	return whole, err
}

// again is a failure of what does no harm when it is repeated.
func again(err error) error {
	if failed, ok := errors.AsType[*connector.Error](err); ok {
		repeat := *failed
		repeat.Outcome, repeat.Scope, repeat.Certainty = bridge.Retry, connector.ScopeAccount, connector.NotApplied
		return &repeat
	}
	return notOpened(err)
}

// ask asks the Monitoring API for the id of a conversation that LivePerson says
// is open and we do not know. Where that does not say, the last one that was
// known is the best guess.
func (o *opener) ask(ctx context.Context, key bridge.ThreadKey, ext, consumer string) (guessed bool, err error) {
	// A notification may have named it meanwhile.
	_, last, err := o.directory.current(ctx, key)
	if err != nil {
		return false, notOpened(err)
	}
	if last.TakesMessages() {
		return false, nil
	}
	engagement, err := o.lp.Engagement(ctx, connector.EngagementRequest{ConsumerID: ext})
	switch {
	case err == nil && engagement.ConversationID != "":
		return false, o.settled(ctx, key, consumer, string(engagement.ConversationID), true)
	case last != nil:
		return true, o.opened(ctx, key, last.ID, true)
	}
	return false, notOpened(errors.Join(connector.ErrAlreadyOpen, err))
}

// settled notes what came of an opening; still is as in opened.
func (o *opener) settled(ctx context.Context, key bridge.ThreadKey, consumer, id string, still bool) error {
	o.stalls.through(key.Lane(bridge.ToLivePerson))
	if err := o.opened(ctx, key, id, still); err != nil {
		// It is open, and nobody will know until it is asked for again.
		o.openings.doubt(ctx, consumer)
		return err
	}
	o.openings.known(ctx, consumer)
	return nil
}

// opened notes a thread's conversation. A notification may have brought it to
// another thread of the consumer before, or said that it has ended: that is later
// than the answer to who began it. still says that LivePerson was asked later still,
// and that it is open.
func (o *opener) opened(ctx context.Context, key bridge.ThreadKey, id string, still bool) error {
	t, err := o.directory.thread(ctx, key)
	if err != nil {
		return notOpened(err)
	}
	e, err := o.directory.edit(ctx, t.ExtConsumer)
	if err != nil {
		return notOpened(err)
	}
	defer e.release()
	c, err := e.conversation(ctx, id)
	if err != nil {
		return notOpened(err)
	}
	known := c != nil
	if !known {
		c = e.add(t.Begin(id, time.Now()))
	}
	c.ExtConsumer, c.LPConsumer = t.ExtConsumer, t.LPConsumer
	if still || c.Ended.IsZero() {
		c.Reopen()
	}
	if err := e.hand(ctx, c, key); err != nil {
		return notOpened(err)
	}
	if err := e.save(ctx); err != nil {
		return notOpened(err)
	}
	e.release()
	if known {
		return nil
	}
	return o.claimed(ctx, id)
}

// takeOver moves the consumer's conversation from another thread to this one.
// Typing there ends first, for afterwards nobody could say so.
func (o *opener) takeOver(ctx context.Context, key bridge.ThreadKey, held *bridge.Conversation) error {
	o.endTyping(ctx, held.Holder())
	e, err := o.directory.edit(ctx, held.ExtConsumer)
	if err != nil {
		return notOpened(err)
	}
	defer e.release()
	c, err := e.conversation(ctx, held.ID)
	if err != nil {
		return notOpened(err)
	}
	if !c.TakesMessages() {
		return nil
	}
	if err := e.hand(ctx, c, key); err != nil {
		return notOpened(err)
	}
	if err := e.save(ctx); err != nil {
		return notOpened(err)
	}
	return nil
}

// ended notes that a dialog takes no more messages.
func (o *opener) ended(ctx context.Context, c *bridge.Conversation, dialog string) error {
	e, err := o.directory.edit(ctx, c.ExtConsumer)
	if err != nil {
		return notOpened(err)
	}
	defer e.release()
	now, err := e.conversation(ctx, c.ID)
	if err != nil || now == nil {
		return err
	}
	now.End(dialog, time.Now())
	if err := e.save(ctx); err != nil {
		return notOpened(err)
	}
	return nil
}
