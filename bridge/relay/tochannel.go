package relay

import (
	"context"
	"errors"
	"slices"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
)

const (
	// receiptLookups is how often a receipt looks for the message it is about.
	// LivePerson may report an agent's receipt before it has answered our SEND.
	receiptLookups = 3
	// receiptLookupPause is the time between two of them.
	receiptLookupPause = 500 * time.Millisecond
)

// errNotYetKnown means that the position of the message a receipt is about is not
// known yet.
var errNotYetKnown = errors.New("the message of the receipt is not known yet")

// deliverToChannel makes one delivery and judges its end.
func (b *Bridge) deliverToChannel(ctx context.Context, batch []*bridge.Entry) lane.Verdict {
	e := batch[0]
	began := time.Now()
	err := b.relayToChannel(ctx, e)
	outcome := outcomeOfChannel(err)
	v := b.judge(ctx, e, outcome, err)
	if outcome == bridge.Delivered && e.Kind == bridge.KindMessage {
		// A channel that hears of devices says itself when one has the message.
		if status := shownAs(e); status != bridge.ReceiptDelivered || !b.adapters[e.Lane.Channel].Channel().ReportsDelivery {
			v.Follow = b.receiptOf(e, status)
		}
	}
	b.logDelivery(ctx, e, v, err, time.Since(began))
	return v
}

func (b *Bridge) relayToChannel(ctx context.Context, e *bridge.Entry) error {
	ev, err := e.Decode()
	if err != nil {
		return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: err}
	}
	adapter := b.adapters[e.Lane.Channel]
	if s, ok := adapter.(bridge.Settler); ok && e.Doubt != nil {
		arrived, err := s.Settled(ctx, ev)
		if err != nil {
			// As long as it is not known, it must not be delivered again.
			return &bridge.DeliveryError{Outcome: bridge.Unknown, RetryAfter: retryAfter(err), Err: err}
		}
		if arrived {
			b.metrics.echoes.Inc()
			return nil
		}
	}
	if ev.Kind == bridge.KindReceipt && len(ev.Receipt.MessageIDs) == 0 {
		if done, err := b.resolveReceipt(ctx, e, ev); done || err != nil {
			return err
		}
	}
	return adapter.Deliver(ctx, b.agents.introduce(ctx, ev))
}

// resolveReceipt finds out which of the channel's messages an agent's receipt
// is about. done says that it is about none.
func (b *Bridge) resolveReceipt(ctx context.Context, e *bridge.Entry, ev *bridge.Event) (done bool, err error) {
	known, err := b.journal.MessagesAt(ctx, ev.Position.Dialog, ev.Position.Sequences)
	if err != nil {
		return false, &bridge.DeliveryError{Outcome: bridge.Retry, Err: err}
	}
	if len(known) == 0 {
		if e.Attempts < receiptLookups && time.Since(e.Accepted) < receiptLookups*receiptLookupPause {
			return false, &bridge.DeliveryError{Outcome: bridge.Throttled, RetryAfter: receiptLookupPause, Err: errNotYetKnown}
		}
		return true, nil
	}
	ev.Receipt.MessageIDs = idsIn(known, e.ThreadKey())
	return len(ev.Receipt.MessageIDs) == 0, nil
}

// idsIn lists the channel's own ids of messages of one thread: parts of a message
// are not told apart.
func idsIn(known []bridge.LedgerEntry, key bridge.ThreadKey) []bridge.EventID {
	var ids []bridge.EventID
	for i := range known {
		id := wholeOf(known[i].Source)
		if known[i].Channel == key.Channel && known[i].Thread == key.Thread && id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}

// settled is told of every entry that leaves its lane: typing held back by it may
// go on.
func (b *Bridge) settled(e *bridge.Entry, v lane.Verdict) {
	b.messageLeft(e)
	b.takeShare(e, -1)
	if v.Final == bridge.Dead {
		b.levels.died(e, v)
	}
}

// messageLeft is told of every entry that does not wait in memory any more: the
// clock does not keep its typing for it.
func (b *Bridge) messageLeft(e *bridge.Entry) {
	if e.Kind == bridge.KindMessage {
		b.clockOf(e.Lane.Direction).MessageSent(e.ThreadKey(), e.DecodeAuthor())
	}
}

// messageOnItsWay is told of every new entry, before its lane is.
func (b *Bridge) messageOnItsWay(e *bridge.Entry) {
	if e.Kind != bridge.KindMessage {
		return
	}
	b.clockOf(e.Lane.Direction).MessageQueued(e.ThreadKey(), e.DecodeAuthor())
}
