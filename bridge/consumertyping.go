package bridge

import (
	"context"
	"errors"
	"fmt"

	"lpbridge/connector"
)

// chatStates are LivePerson's words for what a consumer does (Send Chat State
// Events). PAUSE says that the consumer stopped without sending, ACTIVE that
// nothing is being written.
var chatStates = map[TypingState]connector.ChatState{
	Composing: connector.ChatComposing,
	Paused:    connector.ChatPause,
	Stopped:   connector.ChatActive,
}

// consumerTypes hands a consumer's typing to the clock, unless there is no
// conversation it could show in and none is about to be. Typing creates
// nothing.
func (b *Bridge) consumerTypes(ctx context.Context, key ThreadKey, state TypingState) {
	if b.toLivePerson.busy(LaneKey{key.Channel, key.Thread, ToLivePerson}) {
		b.consumerTyping.observe(key, Agent{}, state)
		return
	}
	t, err := b.threads.get(ctx, key)
	if err != nil || t == nil {
		b.metrics.typed(ToLivePerson, "no_conversation")
		return
	}
	defer b.threads.put(t)
	if row := t.snapshot(); !row.takesChatStates() {
		b.metrics.typed(ToLivePerson, "no_conversation")
		return
	}
	b.consumerTyping.observe(key, Agent{}, state)
}

// takesChatStates reports whether the thread's conversation shows chat states;
// survey dialogs reject them.
func (t *Thread) takesChatStates() bool {
	return t.Open && t.Conversation != "" && t.Survey == ""
}

// sayToLivePerson makes one chat-state call.
func (b *Bridge) sayToLivePerson(ctx context.Context, call typingCall) typingResult {
	t, err := b.threads.get(ctx, call.Thread)
	if err != nil || t == nil {
		return typingResult{end: typingRefused}
	}
	defer b.threads.put(t)
	row := t.snapshot()
	if !row.takesChatStates() {
		return typingResult{end: typingRefused}
	}
	_, err = b.lp.Send(ctx, row.identity(), connector.Target{
		ConversationID: connector.ConversationID(row.Conversation), DialogID: connector.DialogID(row.Dialog),
	}, connector.ChatStateEvent{ChatState: chatStates[call.State]})
	return b.typingEnd(err, row.Channel)
}

// typingEnd translates the end of a call for the typing clock.
func (b *Bridge) typingEnd(err error, channel string) typingResult {
	switch connector.OutcomeOf(err) {
	case Delivered:
		return typingResult{end: typingApplied}
	case Throttled:
		var after typingResult
		if e, ok := errors.AsType[*connector.Error](err); ok {
			after.pause = max(e.RetryAfter, minThrottle)
		}
		after.end = typingRefused
		return after
	case Retry, Unknown:
		return typingResult{end: typingUncertain}
	default:
		b.log.Debug("typing was refused", "channel", channel, "outcome", connector.OutcomeOf(err))
		return typingResult{end: typingRefused}
	}
}

// clearTypingOfEarlierProcess ends the typing that a process which died had
// told LivePerson of.
func (b *Bridge) clearTypingOfEarlierProcess(ctx context.Context) error {
	marked, err := b.journal.ComposingThreads(ctx)
	if err != nil {
		return fmt.Errorf("read the journal: %w", err)
	}
	keys := make([]ThreadKey, len(marked))
	for i := range marked {
		keys[i] = ThreadKey{marked[i].Channel, marked[i].ID}
	}
	b.consumerTyping.recover(keys)
	return nil
}

// typingCounts are the clock's metrics of one direction.
func (b *Bridge) typingCounts(d Direction) typingCounts {
	return typingCounts{
		observed: func(TypingState) { b.metrics.typed(d, "observed") },
		sent:     func(s TypingState, end typingEnd) { b.metrics.typed(d, string(s)+"_"+end.String()) },
		dropped:  func(why typingDrop) { b.metrics.typed(d, "dropped_"+string(why)) },
		failing: func(call typingCall, end typingEnd) {
			b.log.Info("typing is not shown", "channel", call.Thread.Channel, "direction", d.String(), "end", end.String())
		},
	}
}
