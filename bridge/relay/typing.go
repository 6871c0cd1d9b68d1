package relay

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
	"lpbridge/bridge/relay/typing"
	"lpbridge/connector"
)

// chatStates are LivePerson's words for what a consumer does (Send Chat State
// Events). PAUSE says that the consumer stopped without sending, ACTIVE that
// nothing is being written.
var chatStates = map[bridge.TypingState]connector.ChatState{
	bridge.Composing: connector.ChatComposing,
	bridge.Paused:    connector.ChatPause,
	bridge.Stopped:   connector.ChatActive,
}

// consumerTypes hands a consumer's typing to the clock, unless there is no
// conversation it could show in and none is about to be. Typing creates
// nothing.
func (b *Bridge) consumerTypes(ctx context.Context, key bridge.ThreadKey, state bridge.TypingState) {
	if b.toLivePerson.Busy(bridge.LaneKey{Channel: key.Channel, Thread: key.Thread, Direction: bridge.ToLivePerson}) {
		b.consumerTyping.Observe(key, bridge.Agent{}, state)
		return
	}
	t, err := b.threads.get(ctx, key)
	if err != nil || t == nil {
		b.metrics.typed(bridge.ToLivePerson, "no_conversation")
		return
	}
	defer b.threads.put(t)
	if row := t.snapshot(); !row.TakesChatStates() {
		b.metrics.typed(bridge.ToLivePerson, "no_conversation")
		return
	}
	b.consumerTyping.Observe(key, bridge.Agent{}, state)
}

// sayToLivePerson makes one chat-state call.
func (b *Bridge) sayToLivePerson(ctx context.Context, call typing.Call) typing.Result {
	t, err := b.threads.get(ctx, call.Thread)
	if err != nil || t == nil {
		return typing.Result{End: typing.Refused}
	}
	defer b.threads.put(t)
	row := t.snapshot()
	if !row.TakesChatStates() {
		return typing.Result{End: typing.Refused}
	}
	_, err = b.lp.Send(ctx, row.Identity(), connector.Target{
		ConversationID: connector.ConversationID(row.Conversation), DialogID: connector.DialogID(row.Dialog),
	}, connector.ChatStateEvent{ChatState: chatStates[call.State]})
	return b.typingEnd(err, row.Channel)
}

// typingEnd translates the end of a call for the typing clock.
func (b *Bridge) typingEnd(err error, channel string) typing.Result {
	switch connector.OutcomeOf(err) {
	case bridge.Delivered:
		return typing.Result{End: typing.Applied}
	case bridge.Throttled:
		var after typing.Result
		if e, ok := errors.AsType[*connector.Error](err); ok {
			after.Pause = max(e.RetryAfter, lane.MinThrottle)
		}
		after.End = typing.Refused
		return after
	case bridge.Retry, bridge.Unknown:
		return typing.Result{End: typing.Uncertain}
	default:
		b.log.Debug("typing was refused", "channel", channel, "outcome", connector.OutcomeOf(err))
		return typing.Result{End: typing.Refused}
	}
}

// typingCounts are the clock's metrics of one direction.
func (b *Bridge) typingCounts(d bridge.Direction) typing.Counts {
	return typing.Counts{
		Observed: func(bridge.TypingState) { b.metrics.typed(d, "observed") },
		Sent:     func(s bridge.TypingState, end typing.End) { b.metrics.typed(d, string(s)+"_"+end.String()) },
		Dropped:  func(why typing.Drop) { b.metrics.typed(d, "dropped_"+string(why)) },
		Failing: func(call typing.Call, end typing.End) {
			b.log.Info("typing is not shown", "channel", call.Thread.Channel, "direction", d.String(), "end", end.String())
		},
	}
}

// LivePersonHold is how long an agent's COMPOSING stands without another word:
// no stop event is guaranteed (Webhooks, Events: chat state).
const LivePersonHold = 60 * time.Second

// livePersonTyping is how LivePerson wants to hear of a consumer's typing: a
// state is kept until another comes, and a message does not end it (Send Chat
// State Events).
var livePersonTyping = bridge.TypingTarget{
	Shown: true, MinInterval: time.Second, HasPaused: true,
}

// typingAfter ends the typing that a conversation's new state leaves no room
// for.
func (b *Bridge) typingAfter(t *thread) {
	row := t.snapshot()
	if !row.TakesChatStates() {
		b.consumerTyping.Forget(t.key)
	}
	if !row.Open {
		b.agentTyping.Disconnected(t.key)
	}
}

// typingOf translates a chat state; one we do not know is never typing.
func typingOf(s connector.ChatState) bridge.TypingState {
	switch s {
	case connector.ChatComposing:
		return bridge.Composing
	case connector.ChatPause:
		return bridge.Paused
	default:
		return bridge.Stopped
	}
}

func (b *Bridge) clockOf(d bridge.Direction) *typing.Clock {
	if d == bridge.ToChannel {
		return b.agentTyping
	}
	return b.consumerTyping
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
		return typing.Result{End: typing.Refused}
	}
	err := typist.ShowTyping(ctx, bridge.TypingCue{Thread: call.Thread.Thread, Agent: call.Agent, State: call.State})
	switch o := outcomeOfChannel(err); o {
	case bridge.Delivered:
		return typing.Result{End: typing.Applied}
	case bridge.Throttled:
		return typing.Result{End: typing.Refused, Pause: max(retryAfter(err), lane.MinThrottle)}
	case bridge.Retry, bridge.Unknown:
		return typing.Result{End: typing.Uncertain}
	default:
		return typing.Result{End: typing.Refused}
	}
}

// endTyping tells LivePerson that the consumer of a thread does not type, if it
// was told otherwise, and forgets what was typed.
func (b *Bridge) endTyping(ctx context.Context, key bridge.ThreadKey) error {
	ctx, cancel := context.WithTimeout(ctx, typing.CallTimeout)
	defer cancel()
	err := b.consumerTyping.Clear(ctx, key)
	if err != nil {
		b.log.Info("typing was not confirmed to have ended", "channel", key.Channel, "error", err)
	}
	b.consumerTyping.Forget(key)
	return err
}
