package typing

import (
	"time"

	"lpbridge/bridge"
)

// Counts are told of what happens, for metrics. They must not block. Any
// may be nil.
type Counts struct {
	Observed func(bridge.TypingState)
	Sent     func(bridge.TypingState, End)
	Dropped  func(Drop)
	// Took is called with how long it took until a far side that was owed a state
	// had taken it.
	Took func(channel string, state bridge.TypingState, took time.Duration)
	// Failing is called for the first call of a thread that was not applied,
	// and not again before one was.
	Failing func(Call, End)
}

// Call tells the far side one state once.
type Call struct {
	Thread bridge.ThreadKey
	// Conversation is where it is shown, which the thread may have left since;
	// empty where the target is the thread.
	Conversation string
	// Agent is who types; zero where the target shows no persons.
	Agent bridge.Agent
	State bridge.TypingState
	// Trace is that of what the source said last; empty when there is none.
	Trace string
}

// Result says how a call ended.
type Result struct {
	End End
	// Pause is how long the far side asked us to wait; 0 when it did not.
	Pause time.Duration
}

// End says what a call changed at the far side.
type End uint8

const (
	// Applied means that the far side took the state.
	Applied End = iota
	// Refused means a definite no (4xx, 429 too): nothing changed there.
	Refused
	// Uncertain means that it is not known whether the state was taken, or that
	// the far side did not get it.
	Uncertain
	// Over means that the conversation, or the thread, has ended: there is nothing
	// to show and nothing to take back.
	Over
)

// String returns the end as it is written in metrics.
func (e End) String() string {
	switch e {
	case Applied:
		return "applied"
	case Refused:
		return "refused"
	case Over:
		return "over"
	default:
		return "uncertain"
	}
}

// Drop is why a composing was not sent. It is a metric label.
type Drop string

const (
	// dropEnded means that the typing was over before it could be told.
	dropEnded Drop = "ended"
	// dropStale means that it waited too long.
	dropStale Drop = "stale"
	// dropPhantom means that it came right after a message of the same person and
	// was taken back.
	dropPhantom Drop = "phantom"
	// dropThrottled means that the far side asked for a pause.
	dropThrottled Drop = "throttled"
	// dropCrowded means that too many threads are looked after already, or too many
	// typists of one.
	dropCrowded Drop = "crowded"
	// dropNowhere means that no conversation shows it.
	dropNowhere Drop = "nowhere"
	// dropUnmarked means that its mark could not be written.
	dropUnmarked Drop = "unmarked"
	// dropRefused means that an end was refused so often that what it was about
	// counts as over.
	dropRefused Drop = "refused"
	// dropShutdown means that the clock is shutting down.
	dropShutdown Drop = "shutdown"
)

func (n Counts) complete() Counts {
	if n.Observed == nil {
		n.Observed = func(bridge.TypingState) {}
	}
	if n.Sent == nil {
		n.Sent = func(bridge.TypingState, End) {}
	}
	if n.Dropped == nil {
		n.Dropped = func(Drop) {}
	}
	if n.Took == nil {
		n.Took = func(string, bridge.TypingState, time.Duration) {}
	}
	if n.Failing == nil {
		n.Failing = func(Call, End) {}
	}
	return n
}
