package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
	"lpbridge/connector"
	"lpbridge/internal/attempt"
	"lpbridge/lpauth"
)

// outcomeOfChannel reads an adapter's error; one that says nothing of the
// outcome is worth another try.
func outcomeOfChannel(err error) bridge.Outcome {
	if err == nil {
		return bridge.Delivered
	}
	if e, ok := errors.AsType[*bridge.DeliveryError](err); ok {
		return e.Outcome
	}
	return bridge.Retry
}

// receiptFor is the event that tells one side what became of a message of the
// other.
func receiptFor(thread bridge.ThreadID, message bridge.EventID, status bridge.ReceiptStatus) *bridge.Event {
	return &bridge.Event{
		ID: bridge.EventID(string(status)+partMark) + message, Kind: bridge.KindReceipt, Thread: thread,
		Receipt: &bridge.Receipt{Status: status, MessageIDs: []bridge.EventID{message}},
	}
}

// receiptOf tells agents what became of their message.
func (b *Bridge) receiptOf(e *bridge.Entry, status bridge.ReceiptStatus) []bridge.Entry {
	ev, err := e.Decode()
	if err != nil || ev.Position == nil || len(ev.Position.Sequences) == 0 {
		return nil
	}
	return b.follow(e.ThreadKey().Lane(bridge.ToLivePerson), receiptFor(ev.Thread, ev.ID, status))
}

// shownAs is what an agent is told of a message that reached its channel: one
// that only says that there was something did not.
func shownAs(e *bridge.Entry) bridge.ReceiptStatus {
	if ev, err := e.Decode(); err == nil && ev.Message != nil && ev.Message.Placeholder {
		return bridge.ReceiptFailed
	}
	return bridge.ReceiptDelivered
}

// failureOf tells a channel that a consumer's message will not arrive.
func (b *Bridge) failureOf(e *bridge.Entry) []bridge.Entry {
	if !b.wants(e.Lane.Channel, bridge.KindReceipt) || e.ID == "" {
		return nil
	}
	return b.follow(e.ThreadKey().Lane(bridge.ToChannel), receiptFor(e.Lane.Thread, wholeOf(e.ID), bridge.ReceiptFailed))
}

func (b *Bridge) follow(to bridge.LaneKey, receipt *bridge.Event) []bridge.Entry {
	entry, err := newEntry(to, receipt, time.Now())
	if err != nil {
		b.log.Error("a receipt could not be encoded", "error", err)
		return nil
	}
	return []bridge.Entry{entry}
}

// judgePanic is the end of a delivery that hit a programming error. What it
// says may quote an event, so only its type is logged, with the stack.
func (b *Bridge) judgePanic(ctx context.Context, e *bridge.Entry, reason any) lane.Verdict {
	b.log.Error("delivery panicked", "channel", e.Lane.Channel, "direction", e.Lane.Direction.String(),
		"kind", string(e.Kind), "seq", e.Seq, "panic", fmt.Sprintf("%T", reason), "stack", string(debug.Stack()))
	err := errors.New("panicked")
	v := b.judge(ctx, e, bridge.Retry, err)
	b.logDelivery(ctx, e, v, err, 0)
	return v
}

// logDelivery writes the one line of an attempt. What went well the first time
// is for the metrics and debugging; everything else an operator wants to see.
func (b *Bridge) logDelivery(ctx context.Context, e *bridge.Entry, v lane.Verdict, err error, took time.Duration) {
	b.metrics.delivered(e, v.Outcome, took)
	level := slog.LevelInfo
	switch {
	case v.Final == bridge.Dead:
		level = slog.LevelWarn
	case v.Outcome == bridge.Delivered && e.Attempts == 0, v.Outcome != bridge.Delivered && b.lanesOf(e.Lane).Health() != lane.Well:
		// An outage was said once; its probes are not news.
		level = slog.LevelDebug
	case isStalled(err) && b.stalls.repeated(e.Lane):
		// So was this.
		level = slog.LevelDebug
	}
	if !b.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("channel", e.Lane.Channel), slog.String("direction", e.Lane.Direction.String()),
		slog.String("thread", string(e.Lane.Thread)), slog.String("kind", string(e.Kind)), slog.String("event", string(e.ID)),
		slog.Int64("seq", e.Seq), slog.Int("attempt", e.Attempts+1),
		slog.String("outcome", v.Outcome.String()), slog.String("took", took.String()),
	}
	if err != nil {
		attrs = append(attrs, slog.Any("error", err))
	}
	if v.Final == bridge.Dead {
		attrs = append(attrs, slog.Bool("dead", true))
	}
	if !v.Next.IsZero() {
		attrs = append(attrs, slog.Time("next", v.Next))
	}
	b.log.LogAttrs(ctx, level, "delivery", attrs...)
}

// signOf is what the end of a delivery says of the far side as a whole. What did
// not get as far as a call, or may not have, says nothing.
func signOf(e *bridge.Entry, o bridge.Outcome, err error) lane.Sign {
	switch o {
	case bridge.Delivered:
		if e.Kind == bridge.KindMessage || e.Kind == bridge.KindState {
			return lane.SaysWell
		}
	case bridge.Invalid, bridge.Closed:
		if answered(err) {
			return lane.SaysWell
		}
	case bridge.Throttled:
		if !errors.Is(err, errFilesBusy) && !errors.Is(err, errNotYetKnown) {
			return lane.SaysThrottled
		}
	case bridge.Unauthorized:
		if failed, ok := errors.AsType[*connector.Error](err); ok && failed.Scope != connector.ScopeAccount {
			// Everything else goes on.
			return lane.SaysWell
		}
		return lane.SaysRefused
	case bridge.Unknown:
		return lane.SaysDown
	case bridge.Retry:
		if reached(err) {
			return lane.SaysDown
		}
	}
	return lane.SaysNothing
}

// answered reports whether LivePerson itself said what is wrong; of a channel's
// errors only those do that are a decision.
func answered(err error) bool {
	e, ok := errors.AsType[*connector.Error](err)
	return !ok || e.StatusCode != 0
}

// reached reports whether a call was tried: what failed in the journal or for
// another reason of our own says nothing of the far side.
func reached(err error) bool {
	if errors.Is(err, bridge.ErrStorage) || errors.Is(err, bridge.ErrBusy) || errors.Is(err, connector.ErrAlreadyOpen) {
		return false
	}
	e, ok := errors.AsType[*connector.Error](err)
	if !ok {
		_, failed := errors.AsType[*bridge.DeliveryError](err)
		return failed
	}
	_, called := errors.AsType[*connector.Error](e.Err)
	_, tried := errors.AsType[*attempt.Error](err)
	_, auth := errors.AsType[*lpauth.Error](err)
	return e.StatusCode != 0 || called || tried || auth
}

// unsent reports whether a delivery failed before a call that had the entry in it
// was answered or may have been.
func unsent(o bridge.Outcome, err error) bool {
	e, ok := errors.AsType[*connector.Error](err)
	return ok && e.StatusCode == 0 && o != bridge.Unknown
}

func retryAfter(err error) time.Duration {
	if e, ok := errors.AsType[*connector.Error](err); ok {
		return e.RetryAfter
	}
	if e, ok := errors.AsType[*bridge.DeliveryError](err); ok {
		return e.RetryAfter
	}
	return 0
}

// judge decides what becomes of an entry after a delivery. When one that stays
// is tried again, its lane knows, unless the wait is the message's own.
func (b *Bridge) judge(ctx context.Context, e *bridge.Entry, o bridge.Outcome, err error) lane.Verdict {
	now := time.Now()
	v := lane.Verdict{Outcome: o, Final: bridge.Pending, Sign: signOf(e, o, err), RetryAfter: retryAfter(err)}
	if err != nil {
		v.Reason = err.Error()
	}
	switch {
	case o == bridge.Delivered:
		v.Final = bridge.Done
		return v
	case e.Kind != bridge.KindMessage && conversationRefused(err):
		// Only a message is worth another conversation.
		b.metrics.undelivered(e, "conversation_over")
		v.Final = bridge.Done
		return v
	case o == bridge.Invalid:
		return b.giveUp(e, v)
	case v.Sign == lane.SaysNothing && v.RetryAfter > 0:
		v.Next, v.RetryAfter = now.Add(v.RetryAfter), 0
	}
	if ctx.Err() != nil {
		v.Uncounted, v.Next, v.Sign = o != bridge.Unknown, time.Time{}, lane.SaysNothing
		return v
	}
	if now.Sub(e.Accepted) > b.opts.DeadLetterAfter {
		return b.giveUp(e, v)
	}
	return v
}

// giveUp makes an entry a dead letter. An agent whose message will not arrive
// is told so; a receipt nobody wanted is not worth an operator's time.
func (b *Bridge) giveUp(e *bridge.Entry, v lane.Verdict) lane.Verdict {
	v.Final, v.Next = bridge.Dead, time.Time{}
	if e.Kind == bridge.KindReceipt || e.Kind == bridge.KindState {
		v.Final = bridge.Done
		b.metrics.undelivered(e, v.Outcome.String())
	}
	if e.Kind == bridge.KindMessage {
		v.Follow = b.tellFailure(e)
	}
	return v
}

// mayHaveArrived reports whether a failed call may have been applied.
func mayHaveArrived(err error) bool {
	e, ok := errors.AsType[*connector.Error](err)
	return !ok || e.Certainty == connector.MaybeApplied
}

// tellFailure tells whoever wrote a message that it will not arrive.
func (b *Bridge) tellFailure(e *bridge.Entry) []bridge.Entry {
	if e.Lane.Direction == bridge.ToChannel {
		return b.receiptOf(e, bridge.ReceiptFailed)
	}
	return b.failureOf(e)
}

// wants reports whether a channel takes a kind of event.
func (b *Bridge) wants(channel string, k bridge.Kind) bool {
	return slices.Contains(b.channels[channel].Delivers, k)
}

// conversationRefused reports whether LivePerson takes nothing more for the
// conversation a call was about.
func conversationRefused(err error) bool {
	e, ok := errors.AsType[*connector.Error](err)
	return ok && e.Scope == connector.ScopeConversation && e.Certainty == connector.Refused
}
