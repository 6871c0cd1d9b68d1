package relay

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
	"lpbridge/bridge/relay/typing"
	"lpbridge/bridge/tracing"
	"lpbridge/connector"
)

const (
	// typingInFlight is how many typing calls run at once per direction. It is
	// kept apart from messages and small: typing is the first thing shed.
	typingInFlight = 16
	// livePersonHold is how long an agent's COMPOSING stands without another word:
	// no stop event is guaranteed (Webhooks, Events: chat state).
	livePersonHold = 60 * time.Second
)

// chatStates are LivePerson's words for what a consumer does (Send Chat State
// Events). PAUSE says that the consumer stopped without sending, ACTIVE that
// nothing is being written.
var chatStates = map[bridge.TypingState]connector.ChatState{
	bridge.Composing: connector.ChatComposing,
	bridge.Paused:    connector.ChatPause,
	bridge.Stopped:   connector.ChatActive,
}

// LivePersonTyping is how LivePerson wants to hear of a consumer's typing: a
// state is kept until another comes, and a message does not end it (Send Chat
// State Events).
var LivePersonTyping = bridge.TypingTarget{
	Shown: true, MinInterval: time.Second, HasPaused: true,
}

// AgentsTyping is how LivePerson tells of an agent's: once, until another state
// (Webhooks, Events: chat state).
var AgentsTyping = bridge.TypingSource{Reported: true, Hold: livePersonHold, Sticky: true}

// makeClocks makes the typing clocks of both directions.
func (b *Bridge) makeClocks() {
	b.consumerTyping = typing.New(typing.Config{
		Source:   func(channel string) bridge.TypingSource { return b.channels[channel].TypingIn },
		Target:   func(string) bridge.TypingTarget { return LivePersonTyping },
		Expired:  bridge.Paused,
		Where:    b.conversationShowing,
		Say:      tracedTyping(b.opts.Tracer, bridge.ToLivePerson, b.sayToLivePerson),
		Marks:    composingMarks{b.journal, bridge.ToLivePerson},
		Schedule: b.schedule,
		InFlight: typingInFlight,
		Counts:   b.typingCounts(bridge.ToLivePerson),
	})
	b.agentTyping = typing.New(typing.Config{
		Source:   func(string) bridge.TypingSource { return AgentsTyping },
		Target:   func(channel string) bridge.TypingTarget { return b.channels[channel].TypingOut },
		Expired:  bridge.Stopped,
		Say:      tracedTyping(b.opts.Tracer, bridge.ToChannel, b.sayToChannel),
		Marks:    composingMarks{b.journal, bridge.ToChannel},
		Schedule: b.schedule,
		InFlight: typingInFlight,
		Counts:   b.typingCounts(bridge.ToChannel),

		ChannelsApart: true,
	})
	for direction, clock := range map[bridge.Direction]*typing.Clock{bridge.ToLivePerson: b.consumerTyping, bridge.ToChannel: b.agentTyping} {
		b.opts.Metrics.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "lpbridge_typing_owed", Help: "Typing that ended and may still be shown, by direction.",
			ConstLabels: prometheus.Labels{"direction": direction.String()},
		}, func() float64 { return float64(clock.Owed()) }))
	}
}

// tracedTyping makes a span of each call; without a tracer it is the call itself.
func tracedTyping(t *tracing.Tracer, d bridge.Direction, say func(context.Context, typing.Call) typing.Result) func(context.Context, typing.Call) typing.Result {
	if t == nil {
		return say
	}
	return func(ctx context.Context, call typing.Call) typing.Result {
		ctx, end := t.Typing(ctx, call.Thread.Channel, d, call.State, call.Trace)
		r := say(ctx, call)
		end(r.End.String(), r.End == typing.Applied)
		return r
	}
}

// composingMarks are the journal's, of one direction.
type composingMarks struct {
	journal   bridge.ComposingMarks
	direction bridge.Direction
}

// SetMark implements [typing.Marks].
func (m composingMarks) SetMark(ctx context.Context, mark typing.Mark) error {
	return m.journal.SetComposing(ctx, m.row(mark))
}

// ClearMark implements [typing.Marks].
func (m composingMarks) ClearMark(mark typing.Mark) { m.journal.ClearComposing(m.row(mark)) }

func (m composingMarks) row(mark typing.Mark) bridge.ComposingMark {
	return bridge.ComposingMark{Direction: m.direction, Thread: mark.Thread, Conversation: mark.Conversation, Agent: mark.Agent}
}

// clearTypingOfEarlierProcess ends the typing that a process which died had told
// LivePerson or a channel of. Of a channel that is not configured any more
// nobody can be told, and the marks stay.
func (b *Bridge) clearTypingOfEarlierProcess(ctx context.Context) error {
	rows, err := b.journal.Composing(ctx)
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	marks := map[bridge.Direction][]typing.Mark{}
	for _, row := range rows {
		if _, attached := b.adapters[row.Thread.Channel]; !attached && row.Direction == bridge.ToChannel {
			continue
		}
		marks[row.Direction] = append(marks[row.Direction], typing.Mark{Thread: row.Thread, Conversation: row.Conversation, Agent: row.Agent})
	}
	for direction, list := range marks {
		b.clockOf(direction).Recover(list)
	}
	return nil
}

func (b *Bridge) clockOf(d bridge.Direction) *typing.Clock {
	if d == bridge.ToChannel {
		return b.agentTyping
	}
	return b.consumerTyping
}

// consumerTypes hands a consumer's typing to the clock, unless there is no
// conversation it could show in and none is about to be. Typing creates
// nothing.
func (b *Bridge) consumerTypes(ctx context.Context, key bridge.ThreadKey, what *bridge.Typing) {
	lane := bridge.LaneKey{Channel: key.Channel, Thread: key.Thread, Direction: bridge.ToLivePerson}
	if !b.toLivePerson.Busy(lane) && b.conversationShowing(ctx, key) == "" {
		b.metrics.typed(bridge.ToLivePerson, "no_conversation")
		return
	}
	b.consumerTyping.Observe(key, bridge.Agent{ID: what.Device}, what.State, b.opts.Tracer.Kept(ctx))
}

// conversationShowing is the conversation that shows what a thread's consumer
// types now; empty when none does.
func (b *Bridge) conversationShowing(ctx context.Context, key bridge.ThreadKey) string {
	if _, c, err := b.directory.current(ctx, key); err == nil && c.TakesChatStates() {
		return c.ID
	}
	return ""
}

// sayToLivePerson makes one chat-state call. In a conversation that is over, or
// is not known any more, nothing is shown and nothing can be taken back.
func (b *Bridge) sayToLivePerson(ctx context.Context, call typing.Call) typing.Result {
	c, err := b.directory.conversation(ctx, call.Conversation)
	if err != nil {
		return typing.Result{End: typing.Uncertain}
	}
	if !c.TakesChatStates() {
		return typing.Result{End: typing.Over}
	}
	_, err = b.lp.Send(ctx, c.Identity(), c.Target(c.Dialog), connector.ChatStateEvent{ChatState: chatStates[call.State]})
	if err != nil {
		b.log.Debug("typing was not taken", "channel", c.Channel, "conversation", call.Conversation, "error", err)
	}
	if e, ok := errors.AsType[*connector.Error](err); ok && e.Scope == connector.ScopeConversation && e.Certainty == connector.Refused {
		return typing.Result{End: typing.Over}
	}
	return typingResult(connector.OutcomeOf(err), retryAfter(err))
}

// typingResult translates the outcome of a call for the typing clock. What did
// not reach the far side, or not in our name, is as uncertain as what was not
// answered: it says nothing of the call.
func typingResult(o bridge.Outcome, after time.Duration) typing.Result {
	switch o {
	case bridge.Delivered:
		return typing.Result{End: typing.Applied}
	case bridge.Throttled:
		return typing.Result{End: typing.Refused, Pause: max(after, lane.MinThrottle)}
	case bridge.Closed:
		return typing.Result{End: typing.Over}
	case bridge.Retry, bridge.Unknown, bridge.Unauthorized:
		return typing.Result{End: typing.Uncertain}
	default:
		return typing.Result{End: typing.Refused}
	}
}

// typingCounts are the clock's metrics of one direction.
func (b *Bridge) typingCounts(d bridge.Direction) typing.Counts {
	return typing.Counts{
		Observed: func(bridge.TypingState) { b.metrics.typed(d, "observed") },
		Sent:     func(s bridge.TypingState, end typing.End) { b.metrics.typed(d, string(s)+"_"+end.String()) },
		Dropped:  func(why typing.Drop) { b.metrics.typed(d, "dropped_"+string(why)) },
		Took: func(channel string, s bridge.TypingState, took time.Duration) {
			change := "cleared"
			if s == bridge.Composing {
				change = "told"
			}
			b.metrics.typingTime.WithLabelValues(channel, d.String(), change).Observe(took.Seconds())
		},
		Failing: func(call typing.Call, end typing.End) {
			b.log.Info("typing is not shown", "channel", call.Thread.Channel, "direction", d.String(), "end", end.String())
		},
	}
}

// sayToChannel makes one typing call.
func (b *Bridge) sayToChannel(ctx context.Context, call typing.Call) (result typing.Result) {
	defer func() {
		if r := recover(); r != nil {
			b.log.Error("typing panicked", "channel", call.Thread.Channel, "panic", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
			result = typing.Result{End: typing.Uncertain}
		}
	}()
	typist, ok := b.adapters[call.Thread.Channel].(bridge.Typist)
	if !ok {
		return typing.Result{End: typing.Over}
	}
	err := typist.ShowTyping(ctx, bridge.TypingCue{Thread: call.Thread.Thread, Agent: b.agents.lookUp(call.Agent), State: call.State})
	return typingResult(outcomeOfChannel(err), retryAfter(err))
}

// endTyping ends the typing of both sides before a thread's conversation closes
// or goes to another, and waits until LivePerson knows of the consumer's. What
// cannot be told in time stays owed to the conversation.
func (b *Bridge) endTyping(ctx context.Context, key bridge.ThreadKey) {
	b.agentTyping.Disconnected(key)
	ctx, cancel := context.WithTimeout(ctx, typing.CallTimeout)
	defer cancel()
	if err := b.consumerTyping.Clear(ctx, key); err != nil && !errors.Is(err, context.Canceled) {
		b.log.Info("typing was not confirmed to have ended", "channel", key.Channel, "error", err)
	}
	b.consumerTyping.Leave(key)
}
