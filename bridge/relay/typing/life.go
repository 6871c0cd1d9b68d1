package typing

import (
	"fmt"
	"time"

	"lpbridge/bridge"
)

// state is where a lease stands in its life: what the far side is to be told of
// one indicator, or waits to be told.
type state uint8

// The states of a lease.
const (
	// stateDark: nothing is shown and nothing is to be told.
	stateDark state = iota
	// stateAsked: composing is to be told.
	stateAsked
	// stateDropped: a composing was given up unsent.
	stateDropped
	// stateDenied: the far side refused composing.
	stateDenied
	// stateOn: composing was told or is being told, and is kept up.
	stateOn
	// statePaused: a pause was told to a far side that shows pauses.
	statePaused
	// stateOwing: a message on its way ended the typing, which is told after it.
	stateOwing
	// stateEnding: that nobody composes is to be told.
	stateEnding
	// stateClearing: the same, but before anything else and whatever the interval.
	stateClearing
	// stateParked: the far side did not take the end; it is told later.
	stateParked
	stateCount
)

var stateNames = [stateCount]string{"dark", "asked", "dropped", "denied", "on", "paused", "owing", "ending", "clearing", "parked"}

// String returns the state as docs/typing.md writes it.
func (s state) String() string { return stateNames[s] }

// sight is what a far side shows of a lease as far as is known.
type sight uint8

const (
	showsNothing sight = iota
	showsPaused
	showsComposing
	// showsUnknown stands for a call that was made and not answered.
	showsUnknown
)

var sightNames = [...]string{"nothing", "paused", "composing", "unknown"}

// String returns the sight as docs/typing.md writes it.
func (s sight) String() string { return sightNames[s] }

// calling is the call of a lease that is under way.
type calling uint8

const (
	noCall calling = iota
	// callMark: the mark is being written, the far side hears nothing yet.
	callMark
	callOn
	callOff
)

var callNames = [...]string{"none", "mark", "on", "off"}

// String returns the call as docs/typing.md writes it.
func (c calling) String() string { return callNames[c] }

// combination is what can be true of a lease in a state: what may be shown while
// which call is under way.
type combination struct {
	state state
	call  calling
	shows []sight
}

var (
	unlit   = []sight{showsNothing}
	lit     = []sight{showsPaused, showsComposing, showsUnknown}
	before  = []sight{showsPaused, showsUnknown}
	anyhow  = []sight{showsNothing, showsPaused, showsComposing, showsUnknown}
	notOn   = []sight{showsNothing, showsPaused, showsUnknown}
	refusal = []sight{showsNothing, showsPaused}
	told    = []sight{showsComposing, showsUnknown}
	pausing = []sight{showsPaused}
)

// combinations has every combination there is. What is not here does not occur.
var combinations = []combination{
	{stateDark, noCall, unlit}, {stateDark, callMark, unlit},
	{stateAsked, noCall, notOn}, {stateAsked, callMark, notOn},
	{stateDropped, noCall, notOn}, {stateDropped, callMark, notOn},
	{stateDenied, noCall, refusal},
	{stateOn, noCall, told}, {stateOn, callOn, anyhow},
	{statePaused, noCall, pausing}, {statePaused, callMark, pausing},
	{stateOwing, noCall, lit}, {stateOwing, callMark, before}, {stateOwing, callOn, anyhow},
	{stateEnding, noCall, lit}, {stateEnding, callMark, before}, {stateEnding, callOn, anyhow}, {stateEnding, callOff, lit},
	{stateClearing, noCall, lit}, {stateClearing, callMark, before}, {stateClearing, callOn, anyhow}, {stateClearing, callOff, lit},
	{stateParked, noCall, lit},
}

// transition is one way from a state to another, and what causes it.
type transition struct {
	from, to state
	when     string
}

// life has every transition there is; [lease.move] takes no other. docs/typing.md
// shows it, and a test keeps the two equal.
var life = []transition{
	{stateDark, stateAsked, "somebody begins to compose"},
	{stateAsked, stateOn, "its call begins: interval, messages on their way and the mark allow it"},
	{stateAsked, stateDropped, "it waited too long, or the far side asked for a pause, or nowhere shows it"},
	{stateAsked, stateDark, "nobody composes any more, and nothing is shown"},
	{stateAsked, stateEnding, "nobody composes any more, and something may still be shown"},
	{stateAsked, stateOwing, "a message of the typist is on its way, and something may still be shown"},
	{stateDropped, stateAsked, "the source repeats it, or somebody else begins"},
	{stateDropped, stateDark, "nobody composes any more, and nothing is shown"},
	{stateDropped, stateEnding, "nobody composes any more, and something may still be shown"},
	{stateDropped, stateOwing, "a message of the typist is on its way, and something may still be shown"},
	{stateDenied, stateAsked, "somebody begins to compose; where composing is repeated, also a repeat"},
	{stateDenied, stateDark, "nobody composes any more, and nothing is shown"},
	{stateDenied, stateEnding, "nobody composes any more, and a pause is still shown"},
	{stateDenied, stateOwing, "a message of the typist is on its way, and a pause is still shown"},
	{stateOn, stateDenied, "the far side refused it and shows no composing"},
	{stateOn, stateOwing, "a message of the last typist is on its way"},
	{stateOn, stateEnding, "the last typist stopped, paused, left, fell silent or was lost"},
	{statePaused, stateAsked, "somebody begins to compose"},
	{statePaused, stateOwing, "a message of the typist is on its way"},
	{statePaused, stateEnding, "the pause is over"},
	{stateOwing, stateClearing, "the message is through, or the typing would have ended by itself by now"},
	{stateOwing, stateAsked, "nothing is shown any more, and somebody composes again"},
	{stateOwing, stateDark, "nothing is shown any more"},
	{stateEnding, stateOn, "somebody composes again, and the far side was not told otherwise"},
	{stateEnding, stateAsked, "somebody composes again, and the far side may know otherwise"},
	{stateEnding, stateDark, "the far side took the end, or stopped showing by itself"},
	{stateEnding, statePaused, "the far side took the pause, or shows it already"},
	{stateEnding, stateClearing, "a message of the typist is through, or the conversation is left"},
	{stateEnding, stateParked, "the far side did not take it, four times or in the end"},
	{stateClearing, stateOn, "the call failed, somebody composes again, and composing is still shown"},
	{stateClearing, stateAsked, "it was told, failed or is not needed, and somebody composes again"},
	{stateClearing, stateDark, "the far side took the end, or stopped showing by itself"},
	{stateClearing, statePaused, "it was told, or need not be, and the typist pauses again"},
	{stateClearing, stateEnding, "the far side did not take it at the first try"},
	{stateClearing, stateParked, "the far side did not take it while we shut down"},
	{stateParked, stateEnding, "the far side is well again, it is time for a try, or the thread is heard of"},
	{stateParked, stateClearing, "a message of the typist is through, or the conversation is left"},
	{stateParked, stateOn, "somebody composes again, and composing is still shown"},
	{stateParked, stateAsked, "somebody composes again, and what is shown is not known"},
	{stateParked, stateDark, "the far side stopped showing by itself"},
}

var (
	lawfulMove  [stateCount][stateCount]bool
	lawfulSight [stateCount][callOff + 1][showsUnknown + 1]bool
)

func init() {
	for _, t := range life {
		lawfulMove[t.from][t.to] = true
	}
	for _, c := range combinations {
		for _, s := range c.shows {
			lawfulSight[c.state][c.call][s] = true
		}
	}
}

// move brings a lease into another state. A transition that is not in the table
// is a fault of this package: it is reported, and made all the same, for typing
// that is wrong is better than typing that hangs.
func (l *lease) move(to state) {
	if l.state == to {
		return
	}
	if !lawfulMove[l.state][to] {
		l.thread.clock.cfg.fault(fmt.Sprintf("a lease went from %v to %v", l.state, to))
	}
	l.thread.clock.cfg.moved(l.state, to)
	l.owe(to)
	l.state = to
	if to == stateAsked {
		l.due = time.Time{}
	}
}

// owe notes since when the far side is to be told something else, as a lease comes
// into a state.
func (l *lease) owe(to state) {
	switch to {
	case stateAsked:
		l.owed = time.Now()
	case stateEnding, stateClearing:
		if l.state != stateEnding && l.state != stateClearing && l.state != stateParked {
			l.owed = time.Now()
		}
	}
}

// took is how long the far side was owed what it has taken now; false for what it
// was told again, or what is not owed any more.
func (l *lease) took(state bridge.TypingState, now time.Time) (time.Duration, bool) {
	told := state == bridge.Composing
	if l.owed.IsZero() || told && l.state != stateOn || !told && l.state != stateEnding && l.state != stateClearing {
		return 0, false
	}
	since := now.Sub(l.owed)
	l.owed = time.Time{}
	return since, true
}

// check reports what is true of a lease and not in the table.
func (t *thread) check() {
	for _, l := range t.leases {
		if !lawfulSight[l.state][l.call][l.shows] {
			t.clock.cfg.fault(fmt.Sprintf("a lease is %v while %v is shown and the call is %v", l.state, l.shows, l.call))
		}
	}
}
