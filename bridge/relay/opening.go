package relay

import (
	"context"
	"errors"
	"sync"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector"
)

// openings knows which conversations are being opened, so that a notification
// that overtakes the answer can wait for it.
type openings struct {
	mu    sync.Mutex
	count int
	ended chan struct{}
}

// begin says that a conversation is being opened; the returned function, that
// its id is known or will not be.
func (o *openings) begin() (end func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended == nil {
		o.ended = make(chan struct{})
	}
	o.count++
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.count--
		close(o.ended)
		o.ended = make(chan struct{})
	}
}

// wait looks for a thread, and again after each opening that ends, until there
// is one, no opening is left, or the time is over. What an opening that ended
// leads to is in memory.
func (o *openings) wait(ctx context.Context, until time.Time, find func() (*thread, error), again func() *thread) (*thread, error) {
	// Openings are counted before looking: one that ends in between is then seen
	// either way.
	count, ended := o.underWay()
	t, err := find()
	if t != nil || err != nil || count == 0 {
		return t, err
	}
	ctx, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	for count > 0 {
		select {
		case <-ended:
		case <-ctx.Done():
			return nil, nil
		}
		count, ended = o.underWay()
		if t := again(); t != nil {
			return t, nil
		}
	}
	return nil, nil
}

func (o *openings) underWay() (count int, ended <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.count, o.ended
}

// endUnknownSurvey ends a survey we were not told of: LivePerson says that the
// conversation is open and that its main dialog is closed, so a message could
// go nowhere until the survey ends (Post Conversation Survey).
func (b *Bridge) endUnknownSurvey(ctx context.Context, row bridge.Thread) {
	err := b.lp.UpdateConversation(ctx, row.Identity(), connector.ConversationID(row.Conversation), connector.Stage{})
	if err != nil {
		b.log.Info("a survey that holds up messages was not ended", "channel", row.Channel, "error", err)
	}
}

// openTries is how often a thread opens a conversation for one message: another
// thread of the consumer may take it over at once.
const openTries = 3

// target is where the thread's next message goes. It opens a conversation when
// the thread has none.
func (b *Bridge) target(ctx context.Context, t *thread, ev *bridge.Event) (connector.Target, error) {
	for tried := 0; ; tried++ {
		if row := t.snapshot(); row.Open && row.Conversation != "" {
			dialog := row.Dialog
			if row.Survey != "" {
				dialog = row.Survey
			}
			return row.Target(dialog), nil
		}
		if tried == openTries {
			return connector.Target{}, &connector.Error{Op: "open", Outcome: bridge.Retry, Err: errors.New("another thread has the conversation")}
		}
		if err := b.open(ctx, t, ev); err != nil {
			return connector.Target{}, err
		}
	}
}

// open begins a conversation for the thread's consumer, or takes over the one
// the consumer has in another thread: LivePerson allows a consumer one, and it
// follows the thread in which the consumer writes. Threads of one consumer do
// this in turn.
func (b *Bridge) open(ctx context.Context, t *thread, ev *bridge.Event) error {
	row := t.snapshot()
	ext, err := row.ExternalConsumer(ev.Consumer)
	if err != nil {
		return err
	}
	done, err := b.turns.lock(ctx, ext)
	if err != nil {
		return &connector.Error{Op: "open", Outcome: bridge.Retry, Err: err}
	}
	defer done()
	holder, err := b.meet(ctx, t, ext, ev.Consumer)
	if err != nil {
		return err
	}
	if holder != nil {
		defer b.threads.put(holder)
		return b.takeOver(ctx, t, holder)
	}
	defer b.openings.begin()()
	id, err := b.lp.Conversation(ctx, connector.ConsumerIdentity(ext), b.conversationRequest(ev.Consumer))
	switch {
	case errors.Is(err, connector.ErrAlreadyOpen):
		return b.askForConversation(ctx, t)
	case connector.OutcomeOf(err) == bridge.Unknown:
		// Asking again is safe: a conversation that was opened is then found.
		return &connector.Error{Op: "open a conversation", Outcome: bridge.Retry, Err: err}
	case err != nil:
		return err
	}
	return b.opened(ctx, t, string(id))
}

// meet learns who the consumer is in LivePerson and remembers it before a
// conversation exists, because notifications about it may come first: they find
// this thread. It returns the consumer's other thread that holds an open
// conversation, if there is one; the caller gives it back.
func (b *Bridge) meet(ctx context.Context, t *thread, ext string, c *bridge.Consumer) (holder *thread, err error) {
	id, err := b.lp.ConsumerID(ctx, connector.ConsumerIdentity(ext))
	if err != nil {
		return nil, err
	}
	if holder, err = b.holderOf(ctx, t, string(id)); err != nil {
		return nil, err
	}
	b.threads.claim(t, string(id))
	if row := t.snapshot(); row.LPConsumer == string(id) && row.ExtConsumer == ext {
		return holder, nil
	}
	err = b.remember(ctx, t, func(row *bridge.Thread) {
		row.ExtConsumer, row.LPConsumer = ext, string(id)
		if c != nil {
			row.Consumer = c.ID
		}
	})
	if err != nil {
		b.threads.put(holder)
		return nil, err
	}
	return holder, nil
}

// holderOf finds the consumer's other thread that holds an open conversation.
func (b *Bridge) holderOf(ctx context.Context, t *thread, lpConsumer string) (*thread, error) {
	other, err := b.threads.byLPConsumer(ctx, lpConsumer)
	if err != nil {
		return nil, &connector.Error{Op: "find the open conversation", Outcome: bridge.Retry, Err: err}
	}
	if other == nil {
		return nil, nil
	}
	if held := other.snapshot(); other == t || !held.Open || held.Conversation == "" {
		b.threads.put(other)
		return nil, nil
	}
	return other, nil
}

// remember makes a change of the thread durable; failing to do so is worth
// another try of the event.
func (b *Bridge) remember(ctx context.Context, t *thread, fn func(*bridge.Thread)) error {
	if err := b.threads.change(ctx, t, fn); err != nil {
		return &connector.Error{Op: "remember the thread", Outcome: bridge.Retry, Err: err}
	}
	return nil
}

// opened notes a thread's new conversation, whose main dialog has its id (Send
// API, CONVERSATION). A notification may have given it to another thread of the
// consumer before.
func (b *Bridge) opened(ctx context.Context, t *thread, conversation string) error {
	holder := b.threads.placedIn(conversation, "")
	defer b.threads.put(holder)
	if holder != nil && holder != t && holder.snapshot().Conversation == conversation {
		return b.takeOver(ctx, t, holder)
	}
	return b.remember(ctx, t, func(row *bridge.Thread) {
		if row.Conversation == conversation && row.Open {
			return
		}
		row.Begin(conversation)
	})
}

// ended notes that a dialog takes no more messages, and with it the
// conversation, unless a survey has begun meanwhile.
func (b *Bridge) ended(ctx context.Context, t *thread, conversation, dialog string) error {
	b.consumerTyping.Forget(t.key, conversation)
	return b.remember(ctx, t, func(row *bridge.Thread) {
		if row.Conversation == conversation && (row.Survey == "" || row.Survey == dialog) {
			row.Open, row.Survey, row.Former = false, "", conversation
		}
	})
}

// takeOver moves the consumer's conversation from another thread to this one.
// Typing there ends first, for afterwards nobody could say so.
func (b *Bridge) takeOver(ctx context.Context, t, from *thread) error {
	b.endTyping(ctx, from.key)
	// News of the conversation waits until it is known whose it is.
	from.following.Lock()
	defer from.following.Unlock()
	held, before := from.snapshot(), t.snapshot()
	t.inherit(from)
	// The new holder comes first: were there none in between, an agent's message
	// would find nobody.
	err := b.remember(ctx, t, func(row *bridge.Thread) {
		row.Begin(held.Conversation)
		row.Dialog, row.Survey, row.Sequence = held.Dialog, held.Survey, held.Sequence
		row.Updated, row.Joined = held.Updated, held.Joined
	})
	if err != nil {
		// The message is tried again, and that must find the holder.
		_ = b.remember(ctx, t, func(row *bridge.Thread) { *row = before })
		_ = b.remember(ctx, from, func(*bridge.Thread) {})
		return err
	}
	err = b.remember(ctx, from, func(row *bridge.Thread) {
		if row.Conversation == held.Conversation {
			row.Open, row.Conversation, row.Dialog, row.Survey, row.Announced = false, "", "", "", false
		}
	})
	// A message of the other thread may have got its place meanwhile.
	t.inherit(from)
	return err
}

// askForConversation asks the Monitoring API for the id of a conversation that
// LivePerson says is open and we do not know.
func (b *Bridge) askForConversation(ctx context.Context, t *thread) error {
	// A notification may have named it meanwhile.
	if row := t.snapshot(); row.Open && row.Conversation != "" {
		return nil
	}
	row := t.snapshot()
	found, err := b.lp.Engagement(ctx, connector.EngagementRequest{ConsumerID: string(row.Identity())})
	if err != nil || found.ConversationID == "" {
		return &connector.Error{Op: "find the open conversation", Outcome: bridge.Retry, Err: errors.Join(connector.ErrAlreadyOpen, err)}
	}
	holder, err := b.threads.byPlace(ctx, string(found.ConversationID), "")
	if err != nil {
		return &connector.Error{Op: "find the open conversation", Outcome: bridge.Retry, Err: err}
	}
	defer b.threads.put(holder)
	return b.opened(ctx, t, string(found.ConversationID))
}

// conversationRequest says who the consumer is and where the conversation goes.
func (b *Bridge) conversationRequest(c *bridge.Consumer) connector.ConversationRequest {
	d := b.opts.Conversation
	req := connector.ConversationRequest{
		SkillID:      d.SkillID,
		CampaignInfo: connector.CampaignInfo{CampaignID: d.CampaignID, EngagementID: d.EngagementID},
	}
	if c != nil {
		req.Profile = profileOf(c)
	}
	return req
}

// profileOf is what agents see of the consumer. The attribute customerType has
// a place of its own among LivePerson's engagement attributes.
func profileOf(c *bridge.Consumer) connector.UserProfile {
	p := connector.UserProfile{
		FirstName: c.FirstName, LastName: c.LastName, AvatarURL: c.AvatarURL, Email: c.Email, Phone: c.Phone,
	}
	if kind := c.Attributes["customerType"]; kind != "" {
		p.CustomerInfo = &connector.CustomerInfo{CType: kind}
	}
	return p
}
