package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"lpbridge/connector"
)

// surveyPatience is how many attempts a message waits for the news of a survey
// that must be under way.
const surveyPatience = 2

// identity is who a thread's consumer is towards LivePerson.
func (t *Thread) identity() connector.ConsumerIdentity {
	return connector.ConsumerIdentity(t.ExtConsumer)
}

// event decodes an entry's payload unless it came with the event.
func (e *Entry) event() (*Event, error) {
	if e.Event == nil {
		var ev Event
		if err := json.Unmarshal(e.Payload, &ev); err != nil {
			return nil, fmt.Errorf("decode the journal's entry %d: %w", e.Seq, err)
		}
		e.Event = &ev
	}
	return e.Event, nil
}

// receiptsTogether says that receipts of one kind for one dialog that stand
// next to each other go in one call.
func receiptsTogether(a, b *Entry) bool {
	if a.Kind != KindReceipt || b.Kind != KindReceipt {
		return false
	}
	x, errX := a.event()
	y, errY := b.event()
	if errX != nil || errY != nil || x.Receipt == nil || y.Receipt == nil || x.Receipt.Status != y.Receipt.Status {
		return false
	}
	dx, _, _ := firstOf(x.Receipt).place()
	dy, _, _ := firstOf(y.Receipt).place()
	return dx == dy
}

func firstOf(r *Receipt) EventID {
	if len(r.MessageIDs) == 0 {
		return ""
	}
	return r.MessageIDs[0]
}

// sent is where LivePerson put what was relayed.
type sent struct {
	dialog   string
	sequence int64
	// aside says that the dialog is not, or no longer, the thread's main one, so
	// that its row does not know the place.
	aside bool
}

// deliverToLivePerson makes one delivery and judges its end.
func (b *Bridge) deliverToLivePerson(ctx context.Context, batch []*Entry) verdict {
	e := batch[0]
	began := time.Now()
	place, err := b.relayToLivePerson(ctx, batch)
	outcome := connector.OutcomeOf(err)
	busy := errors.Is(err, errFilesBusy)
	if !busy {
		b.account(outcome, err)
	}
	v := b.judge(ctx, e, outcome, err)
	v.uncounted = v.uncounted || busy
	if outcome == Delivered && e.Kind == KindMessage {
		v.dialog, v.sequence = place.dialog, place.sequence
		// The echo of what went aside must find that it is known.
		if b.wants(e.Lane.Channel, KindReceipt) || place.aside {
			v.source = e.ID
		}
	}
	b.logDelivery(ctx, e, v, err, time.Since(began))
	return v
}

// account tells the gate what an outcome says of the whole account.
func (b *Bridge) account(o Outcome, err error) {
	switch o {
	case Throttled:
		b.toLivePerson.gate.throttled(retryAfter(err))
	case Delivered:
		b.toLivePerson.gate.passed()
	}
}

func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*connector.Error](err); ok {
		return e.RetryAfter
	}
	if e, ok := errors.AsType[*DeliveryError](err); ok {
		return e.RetryAfter
	}
	return 0
}

// judge decides what becomes of an entry after a delivery.
func (b *Bridge) judge(ctx context.Context, e *Entry, o Outcome, err error) verdict {
	now := time.Now()
	v := verdict{outcome: o, final: Pending}
	switch o {
	case Delivered:
		v.final = Done
		return v
	case Invalid:
		return b.giveUp(e, v)
	case Closed:
		// Only a message is worth a new conversation, and that was tried.
		if e.Kind != KindMessage {
			v.final = Done
			return v
		}
		v.next = now.Add(retryPause(e.Attempts + 1))
	case Unknown:
		v.next = now.Add(max(b.doubt(e), retryAfter(err)))
	case Throttled:
		v.next = now.Add(max(retryAfter(err), minThrottle))
	case Unauthorized:
		// A refused credential is the operator's to mend; events wait for that.
		v.next = now.Add(retryPause(e.Attempts + len(retryPauses)/2))
	default:
		v.next = now.Add(max(pauseAfter(e.Lane.Direction, e.Attempts+1), retryAfter(err)))
	}
	if ctx.Err() != nil {
		v.uncounted, v.next = true, time.Time{}
		if o == Unknown {
			v.uncounted = false
		}
		return v
	}
	if now.Sub(e.Accepted) > b.opts.DeadLetterAfter {
		return b.giveUp(e, v)
	}
	return v
}

// doubt is how long an entry waits after a delivery whose answer was lost.
func (b *Bridge) doubt(e *Entry) time.Duration {
	switch {
	case e.Lane.Direction == ToChannel:
		return pauseAfter(ToChannel, e.Attempts+1)
	case e.Kind == KindMessage && b.notified.Load():
		return b.opts.EchoWait
	case e.Attempts == 0:
		return 0
	default:
		return retryPause(e.Attempts)
	}
}

// giveUp makes an entry a dead letter. An agent whose message will not arrive
// is told so; a receipt nobody wanted is not worth an operator's time.
func (b *Bridge) giveUp(e *Entry, v verdict) verdict {
	v.final = Dead
	if e.Kind == KindReceipt || e.Kind == KindState {
		v.final = Done
	}
	if e.Lane.Direction == ToChannel && e.Kind == KindMessage {
		v.follow = b.receiptFor(e, ReceiptFailed)
	}
	return v
}

// wants reports whether a channel takes a kind of event.
func (b *Bridge) wants(channel string, k Kind) bool {
	for _, want := range b.channels[channel].Delivers {
		if want == k {
			return true
		}
	}
	return false
}

// relayToLivePerson makes the call or calls an event means.
func (b *Bridge) relayToLivePerson(ctx context.Context, batch []*Entry) (sent, error) {
	e := batch[0]
	ev, err := e.event()
	if err != nil {
		return sent{}, &connector.Error{Op: "relay", Outcome: Invalid, Err: err}
	}
	t, err := b.threads.getOrNew(ctx, ThreadKey{e.Lane.Channel, e.Lane.Thread})
	if err != nil {
		return sent{}, &connector.Error{Op: "relay", Outcome: Retry, Err: err}
	}
	defer b.threads.put(t)
	if err := b.threads.save(ctx, t); err != nil {
		return sent{}, &connector.Error{Op: "remember the thread", Outcome: Retry, Err: err}
	}
	switch ev.Kind {
	case KindMessage:
		return b.sendMessage(ctx, t, e, ev)
	case KindReceipt:
		return sent{}, b.sendReceipt(ctx, t, batch)
	case KindClick:
		return sent{}, b.sendClick(ctx, t, ev)
	case KindClose:
		return sent{}, b.closeConversation(ctx, t)
	case KindReopen:
		_, err := b.target(ctx, t, ev)
		return sent{}, err
	case KindProfile:
		return sent{}, b.sendProfile(ctx, t, ev)
	case KindRating:
		return sent{}, b.sendRating(ctx, t, ev)
	default:
		return sent{}, &connector.Error{Op: "relay", Outcome: Invalid, Err: fmt.Errorf("kind %s does not go to LivePerson", ev.Kind)}
	}
}

// sendMessage sends a consumer's text or file, into a new conversation when there
// is none or the one we knew has ended.
func (b *Bridge) sendMessage(ctx context.Context, t *thread, e *Entry, ev *Event) (sent, error) {
	m, release, err := b.prepare(ctx, e, ev)
	if err != nil {
		return sent{}, err
	}
	defer release()
	for reopened := false; ; reopened = true {
		target, err := b.target(ctx, t, ev)
		if err != nil {
			return sent{}, err
		}
		row := t.snapshot()
		sequence, err := b.publish(ctx, row.identity(), target, m)
		if err == nil {
			return sent{string(target.DialogID), int64(sequence), string(target.DialogID) != t.snapshot().Dialog}, nil
		}
		if connector.OutcomeOf(err) != Closed {
			return sent{}, err
		}
		if reopened {
			if e.Attempts >= surveyPatience {
				b.endUnknownSurvey(ctx, row)
			}
			return sent{}, err
		}
		if err := b.ended(ctx, t, string(target.ConversationID), string(target.DialogID)); err != nil {
			return sent{}, err
		}
	}
}

// endUnknownSurvey ends a survey we were not told of: LivePerson says that the
// conversation is open and that its main dialog is closed, so a message could
// go nowhere until the survey ends (Post Conversation Survey).
func (b *Bridge) endUnknownSurvey(ctx context.Context, row Thread) {
	err := b.lp.UpdateConversation(ctx, row.identity(), connector.ConversationID(row.Conversation), connector.Stage{})
	if err != nil {
		b.log.Info("a survey that holds up messages was not ended", "channel", row.Channel, "error", err)
	}
}

// mayHaveArrived reports whether a failed call may have been applied.
func mayHaveArrived(err error) bool {
	e, ok := errors.AsType[*connector.Error](err)
	return !ok || e.Uncertain
}

func metadataOf(ev *Event) json.RawMessage {
	if ev.Place == nil {
		return nil
	}
	return ev.Place.Metadata
}

// openTries is how often a thread opens a conversation for one message: another
// thread of the consumer may take it over at once.
const openTries = 3

// target is where the thread's next message goes. It opens a conversation when
// the thread has none.
func (b *Bridge) target(ctx context.Context, t *thread, ev *Event) (connector.Target, error) {
	for tried := 0; ; tried++ {
		if row := t.snapshot(); row.Open && row.Conversation != "" {
			dialog := row.Dialog
			if row.Survey != "" {
				dialog = row.Survey
			}
			return row.targetOf(dialog), nil
		}
		if tried == openTries {
			return connector.Target{}, &connector.Error{Op: "open", Outcome: Retry, Err: errors.New("another thread has the conversation")}
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
func (b *Bridge) open(ctx context.Context, t *thread, ev *Event) error {
	row := t.snapshot()
	ext, err := row.externalConsumer(ev.Consumer)
	if err != nil {
		return err
	}
	done, err := b.turns.take(ctx, ext)
	if err != nil {
		return &connector.Error{Op: "open", Outcome: Retry, Err: err}
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
	case connector.OutcomeOf(err) == Unknown:
		// Asking again is safe: a conversation that was opened is then found.
		return &connector.Error{Op: "open a conversation", Outcome: Retry, Err: err}
	case err != nil:
		return err
	}
	return b.opened(ctx, t, string(id))
}

// externalConsumer is the ext_consumer_id of the thread's consumer, who is the
// one that wrote first.
func (t *Thread) externalConsumer(c *Consumer) (string, error) {
	switch {
	case t.ExtConsumer != "":
		return t.ExtConsumer, nil
	case c == nil:
		return "", &connector.Error{Op: "open", Outcome: Invalid, Err: errors.New("the event names no consumer")}
	}
	return extConsumerID(t.Channel, c.ID), nil
}

// meet learns who the consumer is in LivePerson and remembers it before a
// conversation exists, because notifications about it may come first: they find
// this thread. It returns the consumer's other thread that holds an open
// conversation, if there is one; the caller gives it back.
func (b *Bridge) meet(ctx context.Context, t *thread, ext string, c *Consumer) (holder *thread, err error) {
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
	err = b.remember(ctx, t, func(row *Thread) {
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
		return nil, &connector.Error{Op: "find the open conversation", Outcome: Retry, Err: err}
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
func (b *Bridge) remember(ctx context.Context, t *thread, fn func(*Thread)) error {
	if err := b.threads.change(ctx, t, fn); err != nil {
		return &connector.Error{Op: "remember the thread", Outcome: Retry, Err: err}
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
	return b.remember(ctx, t, func(row *Thread) {
		if row.Conversation == conversation && row.Open {
			return
		}
		row.begin(conversation)
	})
}

// begin makes a conversation the thread's own. One that it had before goes on.
func (t *Thread) begin(conversation string) {
	t.Open = true
	if t.Former == conversation {
		t.Former = ""
	}
	if t.Conversation == conversation {
		return
	}
	t.Conversation, t.Dialog, t.Survey = conversation, conversation, ""
	t.Sequence, t.Joined, t.Announced = -1, "", false
}

// ended notes that a dialog takes no more messages, and with it the
// conversation, unless a survey has begun meanwhile.
func (b *Bridge) ended(ctx context.Context, t *thread, conversation, dialog string) error {
	b.consumerTyping.forget(t.key)
	return b.remember(ctx, t, func(row *Thread) {
		if row.Conversation == conversation && (row.Survey == "" || row.Survey == dialog) {
			row.Open, row.Survey, row.Former = false, "", conversation
		}
	})
}

// takeOver moves the consumer's conversation from another thread to this one.
// Typing there ends first, for afterwards nobody could say so.
func (b *Bridge) takeOver(ctx context.Context, t, from *thread) error {
	typing := b.endTyping(ctx, from.key)
	// News of the conversation waits until it is known whose it is.
	from.following.Lock()
	defer from.following.Unlock()
	held, before := from.snapshot(), t.snapshot()
	t.inherit(from)
	// The new holder comes first: were there none in between, an agent's message
	// would find nobody.
	err := b.remember(ctx, t, func(row *Thread) {
		row.begin(held.Conversation)
		row.Dialog, row.Survey, row.Sequence = held.Dialog, held.Survey, held.Sequence
		row.Updated, row.Joined = held.Updated, held.Joined
	})
	if err != nil {
		// The message is tried again, and that must find the holder.
		_ = b.remember(ctx, t, func(row *Thread) { *row = before })
		_ = b.remember(ctx, from, func(*Thread) {})
		return err
	}
	err = b.remember(ctx, from, func(row *Thread) {
		if row.Conversation == held.Conversation {
			row.Open, row.Conversation, row.Dialog, row.Survey, row.Announced = false, "", "", "", false
		}
	})
	// A message of the other thread may have got its place meanwhile.
	t.inherit(from)
	if typing != nil {
		b.consumerTyping.recover([]ThreadKey{t.key})
	}
	return err
}

// endTyping tells LivePerson that the consumer of a thread does not type, if it
// was told otherwise, and forgets what was typed.
func (b *Bridge) endTyping(ctx context.Context, key ThreadKey) error {
	ctx, cancel := context.WithTimeout(ctx, typingCallTimeout)
	defer cancel()
	err := b.consumerTyping.clear(ctx, key)
	if err != nil {
		b.log.Info("typing was not confirmed to have ended", "channel", key.Channel, "error", err)
	}
	b.consumerTyping.forget(key)
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
	found, err := b.lp.Engagement(ctx, connector.EngagementRequest{ConsumerID: string(row.identity())})
	if err != nil || found.ConversationID == "" {
		return &connector.Error{Op: "find the open conversation", Outcome: Retry, Err: errors.Join(connector.ErrAlreadyOpen, err)}
	}
	holder, err := b.threads.byPlace(ctx, string(found.ConversationID), "")
	if err != nil {
		return &connector.Error{Op: "find the open conversation", Outcome: Retry, Err: err}
	}
	defer b.threads.put(holder)
	return b.opened(ctx, t, string(found.ConversationID))
}

// conversationRequest says who the consumer is and where the conversation goes.
func (b *Bridge) conversationRequest(c *Consumer) connector.ConversationRequest {
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
func profileOf(c *Consumer) connector.UserProfile {
	p := connector.UserProfile{
		FirstName: c.FirstName, LastName: c.LastName, AvatarURL: c.AvatarURL, Email: c.Email, Phone: c.Phone,
	}
	if kind := c.Attributes["customerType"]; kind != "" {
		p.CustomerInfo = &connector.CustomerInfo{CType: kind}
	}
	return p
}

// sendReceipt tells agents how far their messages got.
func (b *Bridge) sendReceipt(ctx context.Context, t *thread, batch []*Entry) error {
	row := t.snapshot()
	var dialog string
	var sequences []connector.Sequence
	var status ReceiptStatus
	for _, e := range batch {
		ev, err := e.event()
		if err != nil {
			continue
		}
		status = ev.Receipt.Status
		for _, id := range ev.Receipt.MessageIDs {
			d, sequence, ok := id.place()
			if ok && (d == row.Dialog || d == row.Survey) && (dialog == "" || d == dialog) {
				dialog = d
				sequences = append(sequences, connector.Sequence(sequence))
			}
		}
	}
	if len(sequences) == 0 || !row.Open {
		return nil
	}
	_, err := b.lp.Send(ctx, row.identity(), row.targetOf(dialog), connector.AcceptStatusEvent{
		Status: acceptStatus[status], SequenceList: sequences,
	})
	return err
}

// acceptStatus are LivePerson's words for how far an agent's message got (Send
// API, Accept Status Events).
var acceptStatus = map[ReceiptStatus]connector.AcceptStatus{
	ReceiptDelivered: connector.Accept,
	ReceiptRead:      connector.Read,
	ReceiptFailed:    connector.Nack,
}

func (t *Thread) targetOf(dialog string) connector.Target {
	return connector.Target{ConversationID: connector.ConversationID(t.Conversation), DialogID: connector.DialogID(dialog)}
}

// sendClick tells LivePerson that a structured element was used.
func (b *Bridge) sendClick(ctx context.Context, t *thread, ev *Event) error {
	row := t.snapshot()
	if ev.Place == nil || len(ev.Place.Sequences) == 0 || !row.Open {
		return nil
	}
	_, err := b.lp.Send(ctx, row.identity(), row.targetOf(ev.Place.Dialog), connector.AcceptStatusEvent{
		Status: connector.Action, SequenceList: []connector.Sequence{connector.Sequence(ev.Place.Sequences[0])},
		Metadata: ev.Place.Metadata,
	})
	return err
}

// closeConversation closes for the consumer. Typing ends first, because a
// closed conversation takes no chat states.
func (b *Bridge) closeConversation(ctx context.Context, t *thread) error {
	row := t.snapshot()
	if !row.Open || row.Conversation == "" {
		return nil
	}
	// A close is not held up by typing that cannot be told.
	_ = b.endTyping(ctx, t.key)
	var change connector.ConversationField = connector.ConversationStateField{}
	switch {
	case row.Survey != "":
		change = connector.Stage{}
	case b.opts.Conversation.Survey:
		change = connector.DialogChange{DialogID: connector.DialogID(row.Dialog)}
	}
	err := b.lp.UpdateConversation(ctx, row.identity(), connector.ConversationID(row.Conversation), change)
	if o := connector.OutcomeOf(err); o != Delivered && o != Closed {
		return err
	}
	if b.opts.Conversation.Survey && row.Survey == "" && b.notified.Load() {
		// Whether a survey follows, the next notification says.
		return nil
	}
	return b.ended(ctx, t, row.Conversation, row.Survey)
}

// sendProfile changes what agents see of the consumer. Without a conversation
// there is nothing to change: the next one brings the profile along.
func (b *Bridge) sendProfile(ctx context.Context, t *thread, ev *Event) error {
	row := t.snapshot()
	if !row.Open || row.Conversation == "" || ev.Consumer == nil {
		return nil
	}
	return b.lp.SetUserProfile(ctx, row.identity(), profileOf(ev.Consumer))
}

// sendRating reports the consumer's verdict, also after the close (Send API,
// CSAT).
func (b *Bridge) sendRating(ctx context.Context, t *thread, ev *Event) error {
	row := t.snapshot()
	if row.Conversation == "" {
		return nil
	}
	return b.lp.UpdateConversation(ctx, row.identity(), connector.ConversationID(row.Conversation),
		connector.CSATRate{Rate: ev.Rating.Score, ResolutionConfirmation: ev.Rating.Resolved != nil && *ev.Rating.Resolved})
}
