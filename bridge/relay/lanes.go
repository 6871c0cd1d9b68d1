package relay

import (
	"context"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
	"lpbridge/bridge/tracing"
)

// makeLanes builds the lanes of both directions. Channels get lanes of their
// own, so that one that is slow holds up none of the others.
func (b *Bridge) makeLanes(work context.Context) {
	b.shares.after = b.journal.LastSeq()
	base := lane.Work{
		Spawn:   (&workers{ctx: work}).spawn,
		Journal: b.journal, Schedule: b.schedule, Settled: b.settled, Loaded: b.messageOnItsWay, Unloaded: b.messageLeft,
		Budget:   lane.NewBudget(backlogMemory),
		Panicked: b.judgePanic, GiveUp: b.giveUp, Log: b.log,
		Boot: b.journal.LastSeq(),
	}
	lp := base
	lp.Name = livePersonSide
	lp.Mine = func(key bridge.LaneKey) bool {
		return key.Direction == bridge.ToLivePerson && b.adapters[key.Channel] != nil
	}
	lp.HealthChanged = func(h lane.Health) {
		if h == lane.Well {
			// All channels' typing goes there.
			b.consumerTyping.Well("")
		}
	}
	lp.Waited = func(e *bridge.Entry, end lane.WaitEnd, took time.Duration) {
		b.metrics.echoWaits.WithLabelValues(e.Lane.Channel, string(end)).Observe(took.Seconds())
	}
	lp.Echoes = lane.Echoes{Come: b.notified.Load, Wait: b.opts.EchoWait, Reach: b.reach}
	lp.Deliver, lp.Together, lp.Limiter = b.held(traced(b.opts.Tracer, b.deliverToLivePerson)), receiptsTogether, lane.NewLimiter(b.opts.MaxInFlight)
	lp.Sound = b.soundLivePerson
	b.toLivePerson = lane.New(lp)
	for name := range b.adapters {
		ch := base
		ch.Mine = func(key bridge.LaneKey) bool { return key.Direction == bridge.ToChannel && key.Channel == name }
		ch.HealthChanged = func(h lane.Health) {
			if h == lane.Well {
				b.agentTyping.Well(name)
			}
		}
		ch.Order = b.order
		ch.Name, ch.Deliver, ch.Limiter = name, b.held(traced(b.opts.Tracer, b.deliverToChannel)), lane.NewLimiter(b.opts.MaxInFlight)
		b.toChannel[name] = lane.New(ch)
	}
	b.laned.Store(true)
}

// heldRetry is when a delivery is tried again that found the journal another's to act on.
const heldRetry = time.Second

// held delivers only as long as no other process may act on what the journal holds, and
// cuts off what is under way then.
func (b *Bridge) held(deliver func(context.Context, []*bridge.Entry) lane.Verdict) func(context.Context, []*bridge.Entry) lane.Verdict {
	return func(ctx context.Context, batch []*bridge.Entry) lane.Verdict {
		ctx, release, err := b.journal.Hold(ctx)
		defer release()
		if err != nil {
			return lane.Verdict{
				Outcome: bridge.Retry, Final: bridge.Pending, Uncounted: true, Unsent: true, Reason: err.Error(), Next: time.Now().Add(heldRetry),
			}
		}
		return deliver(ctx, batch)
	}
}

// traced makes a span of each delivery; without a tracer it is the delivery itself.
func traced(t *tracing.Tracer, deliver func(context.Context, []*bridge.Entry) lane.Verdict) func(context.Context, []*bridge.Entry) lane.Verdict {
	if t == nil {
		return deliver
	}
	return func(ctx context.Context, batch []*bridge.Entry) lane.Verdict {
		ctx, end := t.Delivery(ctx, batch[0])
		v := deliver(ctx, batch)
		end(v.Outcome.String())
		return v
	}
}

func (b *Bridge) allLanes() []*lane.Set {
	all := []*lane.Set{b.toLivePerson}
	for _, l := range b.toChannel {
		all = append(all, l)
	}
	return all
}

func (b *Bridge) lanesOf(key bridge.LaneKey) *lane.Set {
	if key.Direction == bridge.ToLivePerson {
		return b.toLivePerson
	}
	return b.toChannel[key.Channel]
}

// begin marks the entries that will be delivered as soon as they are on disk, so
// that this needs no write of its own. Only the first of a lane can be.
func (b *Bridge) begin(entries []bridge.Entry) {
	var seen map[bridge.LaneKey]bool
	for i := range entries {
		e := &entries[i]
		if seen[e.Lane] {
			continue
		}
		if len(entries) > 1 {
			if seen == nil {
				seen = map[bridge.LaneKey]bool{}
			}
			seen[e.Lane] = true
		}
		if l := b.lanesOf(e.Lane); l != nil && e.Kind == bridge.KindMessage {
			e.Begun = l.Starts(e.Lane)
		}
	}
}

// committed is the journal's hook: it hands new entries to their lanes.
func (b *Bridge) committed(entries []bridge.Entry) {
	for i := range entries {
		e := &entries[i]
		b.metrics.accepted.WithLabelValues(e.Lane.Channel, e.Lane.Direction.String(), string(e.Kind)).Inc()
		b.messageOnItsWay(e)
		b.takeShare(e, 1)
		b.clockOf(e.Lane.Direction.Opposite()).Traffic(e.ThreadKey())
		if l := b.lanesOf(e.Lane); l != nil {
			l.Add(e)
		}
	}
}

// takeShare notes that an entry waits for LivePerson, or does no more.
func (b *Bridge) takeShare(e *bridge.Entry, by int64) {
	if b.channels[e.Lane.Channel].Served {
		b.shares.moved(e, by)
	}
}

// backlog is asked for metrics, also by a process that is about to take over.
func (b *Bridge) backlog() (known, delivering int) {
	if !b.laned.Load() {
		return 0, 0
	}
	for _, l := range b.allLanes() {
		k, d := l.Backlog()
		known, delivering = known+k, delivering+d
	}
	return known, delivering
}

// positionInDialog is where an agent's message stands in its dialog.
func positionInDialog(e *bridge.Entry) (dialog string, sequence int64, ok bool) {
	if e.Kind != bridge.KindMessage {
		return "", 0, false
	}
	ev, err := e.Decode()
	if err != nil || ev.Position == nil || len(ev.Position.Sequences) == 0 {
		return "", 0, false
	}
	return ev.Position.Dialog, ev.Position.Sequences[0], true
}
