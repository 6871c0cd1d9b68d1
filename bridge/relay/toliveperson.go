package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
	"lpbridge/connector"
)

const (
	// surveyPatience is how many attempts a message waits for the news of a survey
	// that must be under way.
	surveyPatience = 2
	// guessPatience is how many attempts a message waits to learn which
	// conversation is open where only a guess is at hand.
	guessPatience = 3
)

// sent is where LivePerson put what was relayed.
type sent struct {
	dialog   string
	sequence int64
}

// sender takes consumers' events to LivePerson, one call or a few for each.
type sender struct {
	lp        *connector.Client
	opener    *opener
	directory *directory
	profiles  *profiles
	uploads   *uploads
	copies    *copies
	// order is told of the numbers that what is sent got.
	order *lane.Order
	// survey lets a survey follow a close by the channel.
	survey bool
	// notified reports whether LivePerson's webhooks reach us.
	notified func() bool
	log      *slog.Logger
	metrics  *metrics
	// endTyping is as in opener; forgetTyping drops what is known of typing in a
	// conversation that is over.
	endTyping    func(ctx context.Context, key bridge.ThreadKey)
	forgetTyping func(key bridge.ThreadKey, conversation string)
}

// deliverToLivePerson makes one delivery and judges its end.
func (b *Bridge) deliverToLivePerson(ctx context.Context, batch []*bridge.Entry) lane.Verdict {
	e := batch[0]
	began := time.Now()
	at, err := b.sender.relay(ctx, batch)
	outcome := outcomeOfLivePerson(e, err)
	v := b.judge(ctx, e, outcome, err)
	v.Uncounted = v.Uncounted || errors.Is(err, errFilesBusy)
	v.Unsent = unsent(outcome, err)
	v = b.unstall(ctx, e, v, err)
	if v.Final == bridge.Dead && outcome == bridge.Unknown {
		b.sender.leftInDoubt(ctx, e)
	}
	if outcome == bridge.Delivered && e.Kind == bridge.KindMessage {
		v.Dialog, v.Sequence, v.Source = at.dialog, at.sequence, e.ID
	}
	b.logDelivery(ctx, e, v, err, time.Since(began))
	return v
}

// unstall has a delivery whose consumer got no token or conversation wait for that
// alone. While others fail as well it is one more sign that LivePerson is down.
func (b *Bridge) unstall(ctx context.Context, e *bridge.Entry, v lane.Verdict, err error) lane.Verdict {
	switch {
	case v.Final == bridge.Dead:
		b.stalls.forget(e.Lane)
		return v
	case ctx.Err() != nil:
		return v
	case !isStalled(err):
		b.stalls.sent(v.Sign)
		if err == nil || answered(err) {
			b.stalls.over(e.Lane)
		}
		return v
	}
	pause := b.stalls.stall(e.Lane, err)
	v.Uncounted, v.Unsent = true, true
	switch {
	case errors.Is(err, errStalled) && b.toLivePerson.Health() != lane.Well:
		// Nobody was asked, so it was no probe, and the same lane is none for a while.
		v.Sign, v.Next, v.RetryAfter = lane.SaysNothing, time.Now().Add(pause), 0
	case b.toLivePerson.Health() == lane.Well && !b.stalls.othersFail():
		v.Sign, v.Next, v.RetryAfter = lane.SaysNothing, time.Now().Add(max(pause, v.RetryAfter)), 0
	}
	return v
}

// outcomeOfLivePerson reads the end of a call. A message that may have arrived is
// not sent again before that is known, whoever answered.
func outcomeOfLivePerson(e *bridge.Entry, err error) bridge.Outcome {
	o := connector.OutcomeOf(err)
	if o == bridge.Retry && e.Kind == bridge.KindMessage && mayHaveArrived(err) {
		return bridge.Unknown
	}
	return o
}

// receiptsTogether says that receipts of one kind for one dialog that stand
// next to each other go in one call.
func receiptsTogether(a, b *bridge.Entry) bool {
	if a.Kind != bridge.KindReceipt || b.Kind != bridge.KindReceipt {
		return false
	}
	x, errX := a.Decode()
	y, errY := b.Decode()
	if errX != nil || errY != nil || x.Receipt == nil || y.Receipt == nil || x.Receipt.Status != y.Receipt.Status {
		return false
	}
	dx, _, _ := firstOf(x.Receipt).Position()
	dy, _, _ := firstOf(y.Receipt).Position()
	return dx == dy
}

func firstOf(r *bridge.Receipt) bridge.EventID {
	if len(r.MessageIDs) == 0 {
		return ""
	}
	return r.MessageIDs[0]
}

// relay makes the call or calls an event means.
func (s *sender) relay(ctx context.Context, batch []*bridge.Entry) (sent, error) {
	e := batch[0]
	ev, err := e.Decode()
	if err != nil {
		return sent{}, connector.NotSent("relay", bridge.Invalid, err)
	}
	s.profiles.account(e, ev.Consumer)
	switch ev.Kind {
	case bridge.KindMessage:
		if ev.Position != nil && ev.Position.Conversation != "" {
			return s.sendRemark(ctx, e, ev)
		}
		return s.sendMessage(ctx, e, ev)
	case bridge.KindReceipt:
		return sent{}, s.sendReceipt(ctx, batch)
	case bridge.KindClick:
		return sent{}, s.sendClick(ctx, e, ev)
	case bridge.KindClose:
		return sent{}, s.close(ctx, e)
	case bridge.KindReopen:
		_, err := s.opener.find(ctx, e.ThreadKey(), ev)
		return sent{}, err
	case bridge.KindProfile:
		return sent{}, s.sendProfile(ctx, e, ev)
	case bridge.KindRating:
		return sent{}, s.sendRating(ctx, e, ev)
	default:
		return sent{}, connector.NotSent("relay", bridge.Invalid, fmt.Errorf("kind %s does not go to LivePerson", ev.Kind))
	}
}

// sendMessage sends a consumer's text or file, into another conversation when
// there is none or LivePerson no longer takes it where we believed it to go.
func (s *sender) sendMessage(ctx context.Context, e *bridge.Entry, ev *bridge.Event) (sent, error) {
	m, release, err := s.uploads.prepare(ctx, e, ev)
	if err != nil {
		return sent{}, err
	}
	defer release()
	doubted := doubtedSince(e)
	for again := false; ; again = true {
		to, err := s.opener.find(ctx, e.ThreadKey(), ev)
		if err != nil {
			return sent{}, err
		}
		if err := s.expectCopy(ctx, e, to.LPConsumer, doubted); err != nil {
			return sent{}, err
		}
		s.introduce(ctx, e, ev.Consumer, to.Conversation)
		dialog := to.Writes()
		m.again = again
		sequence, err := s.uploads.publish(ctx, to.Identity(), to.Target(dialog), m)
		switch {
		case err == nil:
			s.order.Saw(dialog, int64(sequence))
			at := sent{dialog, int64(sequence)}
			if !doubted.IsZero() {
				s.copies.answered(ctx, to.LPConsumer, e.ID, at)
			}
			return at, nil
		case !conversationRefused(err):
			return sent{}, err
		case again:
			return sent{}, s.refusedAgain(ctx, e, to, err)
		}
		if connector.OutcomeOf(err) != bridge.Closed && doubted.IsZero() {
			// LivePerson said no, and its webhook may say yes all the same.
			doubted = time.Now()
		}
		if err := s.leave(ctx, to.Conversation, dialog, err); err != nil {
			return sent{}, err
		}
	}
}

// leave gives a conversation up that LivePerson does not take events for.
func (s *sender) leave(ctx context.Context, c *bridge.Conversation, dialog string, why error) error {
	if connector.OutcomeOf(why) == bridge.Closed {
		s.forgetTyping(c.Holder(), c.ID)
	} else {
		s.metrics.lost.Inc()
		s.log.Warn("LivePerson does not take a message for a conversation we believed to be open; another is found or opened",
			"channel", c.Channel, "conversation", c.ID, "error", why)
	}
	return s.opener.ended(ctx, c, dialog)
}

// refusedAgain is what a refusal means in a conversation that LivePerson has just
// said to be open: it is about the message, unless there is more to know.
func (s *sender) refusedAgain(ctx context.Context, e *bridge.Entry, to found, err error) error {
	failed, _ := errors.AsType[*connector.Error](err)
	switch {
	case failed == nil:
		return err
	case failed.Outcome == bridge.Closed:
		if e.Attempts >= surveyPatience {
			s.endUnknownSurvey(ctx, to.Conversation)
		}
		return err
	case to.guessed && e.Attempts < guessPatience:
		return notOpened(errors.Join(connector.ErrAlreadyOpen, err))
	}
	about := *failed
	about.Scope = connector.ScopeMessage
	if failed.Outcome == bridge.Unauthorized {
		about.Scope = connector.ScopeAccount
	}
	return &about
}

// endUnknownSurvey ends a survey we were not told of: LivePerson says that the
// conversation is open and that its main dialog is closed, so a message could
// go nowhere until the survey ends (Post Conversation Survey).
func (s *sender) endUnknownSurvey(ctx context.Context, c *bridge.Conversation) {
	if err := s.lp.UpdateConversation(ctx, c.Identity(), connector.ConversationID(c.ID), connector.Stage{}); err != nil {
		s.log.Info("a survey that holds up messages was not ended", "channel", c.Channel, "error", err)
	}
}

func metadataOf(ev *bridge.Event) json.RawMessage {
	if ev.Position == nil {
		return nil
	}
	return ev.Position.Metadata
}
