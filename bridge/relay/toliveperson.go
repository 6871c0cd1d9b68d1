package relay

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
	"lpbridge/connector"
)

// surveyPatience is how many attempts a message waits for the news of a survey
// that must be under way.
const surveyPatience = 2

// receiptsTogether says that receipts of one kind for one dialog that stand
// next to each other go in one call.
func receiptsTogether(a, b *bridge.Entry) bool {
	if a.Kind != bridge.KindReceipt || b.Kind != bridge.KindReceipt {
		return false
	}
	x, errX := a.Decoded()
	y, errY := b.Decoded()
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

// sent is where LivePerson put what was relayed.
type sent struct {
	dialog   string
	sequence int64
	// aside says that the dialog is not, or no longer, the thread's main one, so
	// that its row does not know the place.
	aside bool
}

// deliverToLivePerson makes one delivery and judges its end.
func (b *Bridge) deliverToLivePerson(ctx context.Context, batch []*bridge.Entry) lane.Verdict {
	e := batch[0]
	began := time.Now()
	place, err := b.relayToLivePerson(ctx, batch)
	outcome := connector.OutcomeOf(err)
	v := b.judge(ctx, e, outcome, err)
	v.Uncounted = v.Uncounted || errors.Is(err, errFilesBusy)
	if outcome == bridge.Delivered && e.Kind == bridge.KindMessage {
		v.Dialog, v.Sequence = place.dialog, place.sequence
		// The echo of what went aside must find that it is known.
		if b.wants(e.Lane.Channel, bridge.KindReceipt) || place.aside {
			v.Source = e.ID
		}
	}
	b.logDelivery(ctx, e, v, err, time.Since(began))
	return v
}

// wants reports whether a channel takes a kind of event.
func (b *Bridge) wants(channel string, k bridge.Kind) bool {
	for _, want := range b.channels[channel].Delivers {
		if want == k {
			return true
		}
	}
	return false
}

// relayToLivePerson makes the call or calls an event means.
func (b *Bridge) relayToLivePerson(ctx context.Context, batch []*bridge.Entry) (sent, error) {
	e := batch[0]
	ev, err := e.Decoded()
	if err != nil {
		return sent{}, &connector.Error{Op: "relay", Outcome: bridge.Invalid, Err: err}
	}
	t, err := b.threads.getOrNew(ctx, bridge.ThreadKey{Channel: e.Lane.Channel, Thread: e.Lane.Thread})
	if err != nil {
		return sent{}, &connector.Error{Op: "relay", Outcome: bridge.Retry, Err: err}
	}
	defer b.threads.put(t)
	if err := b.threads.save(ctx, t); err != nil {
		return sent{}, &connector.Error{Op: "remember the thread", Outcome: bridge.Retry, Err: err}
	}
	switch ev.Kind {
	case bridge.KindMessage:
		return b.sendMessage(ctx, t, e, ev)
	case bridge.KindReceipt:
		return sent{}, b.sendReceipt(ctx, t, batch)
	case bridge.KindClick:
		return sent{}, b.sendClick(ctx, t, ev)
	case bridge.KindClose:
		return sent{}, b.closeConversation(ctx, t)
	case bridge.KindReopen:
		_, err := b.target(ctx, t, ev)
		return sent{}, err
	case bridge.KindProfile:
		return sent{}, b.sendProfile(ctx, t, ev)
	case bridge.KindRating:
		return sent{}, b.sendRating(ctx, t, ev)
	default:
		return sent{}, &connector.Error{Op: "relay", Outcome: bridge.Invalid, Err: fmt.Errorf("kind %s does not go to LivePerson", ev.Kind)}
	}
}

// sendMessage sends a consumer's text or file, into a new conversation when there
// is none or the one we knew has ended.
func (b *Bridge) sendMessage(ctx context.Context, t *thread, e *bridge.Entry, ev *bridge.Event) (sent, error) {
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
		sequence, err := b.publish(ctx, row.Identity(), target, m)
		if err == nil {
			return sent{string(target.DialogID), int64(sequence), string(target.DialogID) != t.snapshot().Dialog}, nil
		}
		if connector.OutcomeOf(err) != bridge.Closed {
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

func metadataOf(ev *bridge.Event) json.RawMessage {
	if ev.Position == nil {
		return nil
	}
	return ev.Position.Metadata
}

// sendReceipt tells agents how far their messages got.
func (b *Bridge) sendReceipt(ctx context.Context, t *thread, batch []*bridge.Entry) error {
	row := t.snapshot()
	var dialog string
	var sequences []connector.Sequence
	var status bridge.ReceiptStatus
	for _, e := range batch {
		ev, err := e.Decoded()
		if err != nil {
			continue
		}
		status = ev.Receipt.Status
		for _, id := range ev.Receipt.MessageIDs {
			d, sequence, ok := id.Position()
			if ok && (d == row.Dialog || d == row.Survey) && (dialog == "" || d == dialog) {
				dialog = d
				sequences = append(sequences, connector.Sequence(sequence))
			}
		}
	}
	if len(sequences) == 0 || !row.Open {
		return nil
	}
	_, err := b.lp.Send(ctx, row.Identity(), row.Target(dialog), connector.AcceptStatusEvent{
		Status: acceptStatus[status], SequenceList: sequences,
	})
	return err
}

// acceptStatus are LivePerson's words for how far an agent's message got (Send
// API, Accept Status Events).
var acceptStatus = map[bridge.ReceiptStatus]connector.AcceptStatus{
	bridge.ReceiptDelivered: connector.Accept,
	bridge.ReceiptRead:      connector.Read,
	bridge.ReceiptFailed:    connector.Nack,
}

// sendClick tells LivePerson that a structured element was used.
func (b *Bridge) sendClick(ctx context.Context, t *thread, ev *bridge.Event) error {
	row := t.snapshot()
	if ev.Position == nil || len(ev.Position.Sequences) == 0 || !row.Open {
		return nil
	}
	_, err := b.lp.Send(ctx, row.Identity(), row.Target(ev.Position.Dialog), connector.AcceptStatusEvent{
		Status: connector.Action, SequenceList: []connector.Sequence{connector.Sequence(ev.Position.Sequences[0])},
		Metadata: ev.Position.Metadata,
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
	b.endTyping(ctx, t.key)
	var change connector.ConversationField = connector.ConversationStateField{}
	switch {
	case row.Survey != "":
		change = connector.Stage{}
	case b.opts.Conversation.Survey:
		change = connector.DialogChange{DialogID: connector.DialogID(row.Dialog)}
	}
	err := b.lp.UpdateConversation(ctx, row.Identity(), connector.ConversationID(row.Conversation), change)
	if o := connector.OutcomeOf(err); o != bridge.Delivered && o != bridge.Closed {
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
func (b *Bridge) sendProfile(ctx context.Context, t *thread, ev *bridge.Event) error {
	row := t.snapshot()
	if !row.Open || row.Conversation == "" || ev.Consumer == nil {
		return nil
	}
	return b.lp.SetUserProfile(ctx, row.Identity(), profileOf(ev.Consumer))
}

// sendRating reports the consumer's verdict, also after the close (Send API,
// CSAT).
func (b *Bridge) sendRating(ctx context.Context, t *thread, ev *bridge.Event) error {
	row := t.snapshot()
	if row.Conversation == "" {
		return nil
	}
	return b.lp.UpdateConversation(ctx, row.Identity(), connector.ConversationID(row.Conversation),
		connector.CSATRate{Rate: ev.Rating.Score, ResolutionConfirmation: ev.Rating.Resolved != nil && *ev.Rating.Resolved})
}
