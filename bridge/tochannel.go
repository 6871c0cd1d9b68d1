package bridge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"
)

const (
	// receiptLookups is how often a receipt looks for the message it is about.
	// LivePerson may report an agent's receipt before it has answered our SEND.
	receiptLookups = 3
	// receiptLookupPause is the time between two of them.
	receiptLookupPause = 500 * time.Millisecond
)

// errNotYetPlaced means that the message a receipt is about has no place in the
// dialog yet.
var errNotYetPlaced = errors.New("the message of the receipt is not known yet")

// deliverToChannel makes one delivery and judges its end.
func (b *Bridge) deliverToChannel(ctx context.Context, batch []*Entry) verdict {
	e := batch[0]
	began := time.Now()
	err := b.relayToChannel(ctx, e)
	outcome := outcomeOfChannel(err)
	gate := b.toChannel[e.Lane.Channel].gate
	switch outcome {
	case Throttled:
		if !errors.Is(err, errNotYetPlaced) {
			gate.throttled(retryAfter(err))
		}
	case Delivered:
		gate.passed()
	}
	v := b.judge(ctx, e, outcome, err)
	if outcome == Delivered && e.Kind == KindMessage {
		v.follow = b.receiptFor(e, ReceiptDelivered)
	}
	b.logDelivery(ctx, e, v, err, time.Since(began))
	return v
}

// outcomeOfChannel reads an adapter's error; one that says nothing of the
// outcome is worth another try.
func outcomeOfChannel(err error) Outcome {
	if err == nil {
		return Delivered
	}
	if e, ok := errors.AsType[*DeliveryError](err); ok {
		return e.Outcome
	}
	return Retry
}

func (b *Bridge) relayToChannel(ctx context.Context, e *Entry) error {
	ev, err := e.event()
	if err != nil {
		return &DeliveryError{Outcome: Invalid, Err: err}
	}
	adapter := b.adapters[e.Lane.Channel]
	if s, ok := adapter.(Settler); ok && e.Attempts > 0 && e.Last == Unknown {
		arrived, err := s.Settled(ctx, ev)
		if err != nil {
			// As long as it is not known, it must not be delivered again.
			return &DeliveryError{Outcome: Unknown, RetryAfter: retryAfter(err), Err: err}
		}
		if arrived {
			b.metrics.echoes.Inc()
			return nil
		}
	}
	if ev.Kind == KindReceipt && len(ev.Receipt.MessageIDs) == 0 {
		if done, err := b.resolveReceipt(ctx, e, ev); done || err != nil {
			return err
		}
	}
	return adapter.Deliver(ctx, ev)
}

// resolveReceipt finds out which of the channel's messages an agent's receipt
// is about. done says that it is about none.
func (b *Bridge) resolveReceipt(ctx context.Context, e *Entry, ev *Event) (done bool, err error) {
	ids, err := b.journal.SentAs(ctx, ev.Place.Dialog, ev.Place.Sequences)
	if err != nil {
		return false, &DeliveryError{Outcome: Retry, Err: err}
	}
	if len(ids) == 0 {
		if e.Attempts < receiptLookups && time.Since(e.Accepted) < receiptLookups*receiptLookupPause {
			return false, &DeliveryError{Outcome: Throttled, RetryAfter: receiptLookupPause, Err: errNotYetPlaced}
		}
		return true, nil
	}
	ev.Receipt.MessageIDs = ids
	return false, nil
}

// receiptFor is the event that tells agents what became of their message.
func (b *Bridge) receiptFor(e *Entry, status ReceiptStatus) []Entry {
	ev, err := e.event()
	if err != nil || ev.Place == nil || len(ev.Place.Sequences) == 0 {
		return nil
	}
	receipt := &Event{
		ID: EventID(string(status)+stepMark) + ev.ID, Kind: KindReceipt, Thread: ev.Thread,
		Receipt: &Receipt{Status: status, MessageIDs: []EventID{ev.ID}},
	}
	entry, err := newEntry(LaneKey{e.Lane.Channel, e.Lane.Thread, ToLivePerson}, receipt, time.Now())
	if err != nil {
		b.log.Error("a receipt could not be encoded", "error", err)
		return nil
	}
	return []Entry{entry}
}

// settled is told of every entry that leaves its lane: the place it got is
// known from now on, and typing held back by it may go on.
func (b *Bridge) settled(e *Entry, v verdict) {
	if e.Kind != KindMessage {
		return
	}
	if v.dialog != "" {
		b.threads.place(e.threadKey(), v.dialog, v.sequence)
	}
	b.clockOf(e.Lane.Direction).messageSent(e.threadKey(), e.author())
}

// messageOnItsWay is told of every new entry, before its lane is.
func (b *Bridge) messageOnItsWay(e *Entry) {
	if e.Kind != KindMessage {
		return
	}
	b.clockOf(e.Lane.Direction).messageQueued(e.threadKey(), e.author())
}

// loaded is told of every entry of an earlier process.
func (b *Bridge) loaded(e *Entry) { b.messageOnItsWay(e) }

func (b *Bridge) clockOf(d Direction) *typingClock {
	if d == ToChannel {
		return b.agentTyping
	}
	return b.consumerTyping
}

func (e *Entry) threadKey() ThreadKey { return ThreadKey{e.Lane.Channel, e.Lane.Thread} }

// author is who typed what the entry says; consumers are not told apart.
func (e *Entry) author() Agent {
	ev, err := e.event()
	if err != nil || ev.Agent == nil {
		return Agent{}
	}
	return *ev.Agent
}

// markInDoubt treats an entry as sent and not answered, because the process
// that may have sent it ended first.
func (b *Bridge) markInDoubt(e *Entry) {
	if e.Kind != KindMessage {
		return
	}
	e.Attempts = max(e.Attempts, 1)
	e.Last = Unknown
	if e.Lane.Direction == ToLivePerson && b.notified.Load() && e.NextTry.Before(b.inDoubt) {
		e.NextTry = b.inDoubt
	}
}

// judgePanic is the end of a delivery that hit a programming error. What it
// says may quote an event, so only its type is logged, with the stack.
func (b *Bridge) judgePanic(ctx context.Context, e *Entry, reason any) verdict {
	b.log.Error("delivery panicked", "channel", e.Lane.Channel, "direction", e.Lane.Direction.String(),
		"kind", string(e.Kind), "seq", e.Seq, "panic", fmt.Sprintf("%T", reason), "stack", string(debug.Stack()))
	err := errors.New("panicked")
	v := b.judge(ctx, e, Retry, err)
	b.logDelivery(ctx, e, v, err, 0)
	return v
}

// sayToChannel makes one typing call.
func (b *Bridge) sayToChannel(ctx context.Context, call typingCall) (result typingResult) {
	defer func() {
		if r := recover(); r != nil {
			b.log.Error("typing panicked", "channel", call.Thread.Channel, "panic", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
			result = typingResult{end: typingUncertain}
		}
	}()
	typist, ok := b.adapters[call.Thread.Channel].(Typist)
	if !ok {
		return typingResult{end: typingRefused}
	}
	err := typist.ShowTyping(ctx, TypingCue{Thread: call.Thread.Thread, Agent: call.Agent, State: call.State})
	switch o := outcomeOfChannel(err); o {
	case Delivered:
		return typingResult{end: typingApplied}
	case Throttled:
		return typingResult{end: typingRefused, pause: max(retryAfter(err), minThrottle)}
	case Retry, Unknown:
		return typingResult{end: typingUncertain}
	default:
		return typingResult{end: typingRefused}
	}
}

// logDelivery writes the one line of an attempt. What went well the first time
// is for the metrics and debugging; everything else an operator wants to see.
func (b *Bridge) logDelivery(ctx context.Context, e *Entry, v verdict, err error, took time.Duration) {
	b.metrics.delivered(e, v.outcome, took)
	level := slog.LevelInfo
	switch {
	case v.final == Dead:
		level = slog.LevelWarn
	case v.outcome == Delivered && e.Attempts == 0:
		level = slog.LevelDebug
	}
	if !b.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("channel", e.Lane.Channel), slog.String("direction", e.Lane.Direction.String()),
		slog.String("kind", string(e.Kind)), slog.Int64("seq", e.Seq), slog.Int("attempt", e.Attempts+1),
		slog.String("outcome", v.outcome.String()), slog.Duration("dur", took),
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	if v.final == Dead {
		attrs = append(attrs, slog.Bool("dead", true))
	}
	if !v.next.IsZero() {
		attrs = append(attrs, slog.Time("next", v.next))
	}
	b.log.LogAttrs(ctx, level, "delivery", attrs...)
}
