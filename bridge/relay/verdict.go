package relay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
	"lpbridge/connector"
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

// receiptFor is the event that tells agents what became of their message.
func (b *Bridge) receiptFor(e *bridge.Entry, status bridge.ReceiptStatus) []bridge.Entry {
	ev, err := e.Decoded()
	if err != nil || ev.Position == nil || len(ev.Position.Sequences) == 0 {
		return nil
	}
	receipt := &bridge.Event{
		ID: bridge.EventID(string(status)+stepMark) + ev.ID, Kind: bridge.KindReceipt, Thread: ev.Thread,
		Receipt: &bridge.Receipt{Status: status, MessageIDs: []bridge.EventID{ev.ID}},
	}
	entry, err := newEntry(bridge.LaneKey{Channel: e.Lane.Channel, Thread: e.Lane.Thread, Direction: bridge.ToLivePerson}, receipt, time.Now())
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
	case v.Outcome == bridge.Delivered && e.Attempts == 0:
		level = slog.LevelDebug
	}
	if !b.log.Enabled(ctx, level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("channel", e.Lane.Channel), slog.String("direction", e.Lane.Direction.String()),
		slog.String("kind", string(e.Kind)), slog.Int64("seq", e.Seq), slog.Int("attempt", e.Attempts+1),
		slog.String("outcome", v.Outcome.String()), slog.Duration("dur", took),
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

// account tells the limiter what an outcome says of the whole account.
func (b *Bridge) account(o bridge.Outcome, err error) {
	switch o {
	case bridge.Throttled:
		b.toLivePerson.Limiter.Throttled(retryAfter(err))
	case bridge.Delivered:
		b.toLivePerson.Limiter.Passed()
	}
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

// judge decides what becomes of an entry after a delivery.
func (b *Bridge) judge(ctx context.Context, e *bridge.Entry, o bridge.Outcome, err error) lane.Verdict {
	now := time.Now()
	v := lane.Verdict{Outcome: o, Final: bridge.Pending}
	switch o {
	case bridge.Delivered:
		v.Final = bridge.Done
		return v
	case bridge.Invalid:
		return b.giveUp(e, v)
	case bridge.Closed:
		// Only a message is worth a new conversation, and that was tried.
		if e.Kind != bridge.KindMessage {
			v.Final = bridge.Done
			return v
		}
		v.Next = now.Add(lane.RetryPause(e.Attempts + 1))
	case bridge.Unknown:
		wait := max(b.doubt(e), retryAfter(err))
		if answered(err) {
			// A far side that is up but unwell is given the time it asks for too.
			wait = max(wait, lane.PauseAfter(e.Lane.Direction, e.Attempts+1))
		}
		v.Next = now.Add(wait)
	case bridge.Throttled:
		v.Next = now.Add(max(retryAfter(err), lane.MinThrottle))
	case bridge.Unauthorized:
		// A refused credential is the operator's to mend; events wait for that.
		v.Next = now.Add(lane.RetryPause(e.Attempts + len(lane.RetryPauses)/2))
	default:
		v.Next = now.Add(max(lane.PauseAfter(e.Lane.Direction, e.Attempts+1), retryAfter(err)))
	}
	if ctx.Err() != nil {
		v.Uncounted, v.Next = true, time.Time{}
		if o == bridge.Unknown {
			v.Uncounted = false
		}
		return v
	}
	if now.Sub(e.Accepted) > b.opts.DeadLetterAfter {
		return b.giveUp(e, v)
	}
	return v
}

// doubt is how long an entry waits after a delivery whose answer was lost.
func (b *Bridge) doubt(e *bridge.Entry) time.Duration {
	switch {
	case e.Lane.Direction == bridge.ToChannel:
		return lane.PauseAfter(bridge.ToChannel, e.Attempts+1)
	case e.Kind == bridge.KindMessage && b.notified.Load():
		return b.opts.EchoWait
	case e.Attempts == 0:
		return 0
	default:
		return lane.RetryPause(e.Attempts)
	}
}

// giveUp makes an entry a dead letter. An agent whose message will not arrive
// is told so; a receipt nobody wanted is not worth an operator's time.
func (b *Bridge) giveUp(e *bridge.Entry, v lane.Verdict) lane.Verdict {
	v.Final = bridge.Dead
	if e.Kind == bridge.KindReceipt || e.Kind == bridge.KindState {
		v.Final = bridge.Done
	}
	if e.Lane.Direction == bridge.ToChannel && e.Kind == bridge.KindMessage {
		v.Follow = b.receiptFor(e, bridge.ReceiptFailed)
	}
	return v
}

// answered reports whether LivePerson, or something before it, answered at all.
func answered(err error) bool {
	e, ok := errors.AsType[*connector.Error](err)
	return ok && e.StatusCode != 0
}

// mayHaveArrived reports whether a failed call may have been applied.
func mayHaveArrived(err error) bool {
	e, ok := errors.AsType[*connector.Error](err)
	return !ok || e.Certainty == connector.MaybeApplied
}
