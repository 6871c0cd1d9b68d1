package typing

import (
	"fmt"
	"time"

	"lpbridge/bridge"
)

// State is where a lease stands in its life: what the far side is to be told of
// one indicator, or waits to be told.
type State uint8

// The states of a lease.
const (
	// Dark: nothing is shown and nothing is to be told.
	Dark State = iota
	// Asked: composing is to be told.
	Asked
	// Dropped: a composing was given up unsent.
	Dropped
	// Denied: the far side refused composing.
	Denied
	// On: composing was told or is being told, and is kept up.
	On
	// Paused: a pause was told to a far side that shows pauses.
	Paused
	// Owing: a message on its way ended the typing, which is told after it.
	Owing
	// Ending: that nobody composes is to be told.
	Ending
	// Clearing: the same, but before anything else and whatever the interval.
	Clearing
	// Parked: the far side did not take the end; it is told later.
	Parked
	stateCount
)

var stateNames = [stateCount]string{"dark", "asked", "dropped", "denied", "on", "paused", "owing", "ending", "clearing", "parked"}

// String returns the state as docs/typing.md writes it.
func (s State) String() string { return stateNames[s] }

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
	state State
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
	{Dark, noCall, unlit}, {Dark, callMark, unlit},
	{Asked, noCall, notOn}, {Asked, callMark, notOn},
	{Dropped, noCall, notOn}, {Dropped, callMark, notOn},
	{Denied, noCall, refusal},
	{On, noCall, told}, {On, callOn, anyhow},
	{Paused, noCall, pausing}, {Paused, callMark, pausing},
	{Owing, noCall, lit}, {Owing, callMark, before}, {Owing, callOn, anyhow},
	{Ending, noCall, lit}, {Ending, callMark, before}, {Ending, callOn, anyhow}, {Ending, callOff, lit},
	{Clearing, noCall, lit}, {Clearing, callMark, before}, {Clearing, callOn, anyhow}, {Clearing, callOff, lit},
	{Parked, noCall, lit},
}

// transition is one way from a state to another, and what causes it.
type transition struct {
	from, to State
	when     string
}

// life has every transition there is; [lease.move] takes no other. docs/typing.md
// shows it, and a test keeps the two equal.
var life = []transition{
	{Dark, Asked, "somebody begins to compose"},
	{Asked, On, "its call begins: interval, messages on their way and the mark allow it"},
	{Asked, Dropped, "it waited too long, or the far side asked for a pause, or nowhere shows it"},
	{Asked, Dark, "nobody composes any more, and nothing is shown"},
	{Asked, Ending, "nobody composes any more, and something may still be shown"},
	{Asked, Owing, "a message of the typist is on its way, and something may still be shown"},
	{Dropped, Asked, "the source repeats it, or somebody else begins"},
	{Dropped, Dark, "nobody composes any more, and nothing is shown"},
	{Dropped, Ending, "nobody composes any more, and something may still be shown"},
	{Dropped, Owing, "a message of the typist is on its way, and something may still be shown"},
	{Denied, Asked, "somebody begins to compose; where composing is repeated, also a repeat"},
	{Denied, Dark, "nobody composes any more, and nothing is shown"},
	{Denied, Ending, "nobody composes any more, and a pause is still shown"},
	{Denied, Owing, "a message of the typist is on its way, and a pause is still shown"},
	{On, Denied, "the far side refused it and shows no composing"},
	{On, Owing, "a message of the last typist is on its way"},
	{On, Ending, "the last typist stopped, paused, left, fell silent or was lost"},
	{Paused, Asked, "somebody begins to compose"},
	{Paused, Owing, "a message of the typist is on its way"},
	{Paused, Ending, "the pause is over"},
	{Owing, Clearing, "the message is through, or the typing would have ended by itself by now"},
	{Owing, Asked, "nothing is shown any more, and somebody composes again"},
	{Owing, Dark, "nothing is shown any more"},
	{Ending, On, "somebody composes again, and the far side was not told otherwise"},
	{Ending, Asked, "somebody composes again, and the far side may know otherwise"},
	{Ending, Dark, "the far side took the end, or stopped showing by itself"},
	{Ending, Paused, "the far side took the pause, or shows it already"},
	{Ending, Clearing, "a message of the typist is through, or the conversation is left"},
	{Ending, Parked, "the far side did not take it, four times or in the end"},
	{Clearing, On, "the call failed, somebody composes again, and composing is still shown"},
	{Clearing, Asked, "it was told, failed or is not needed, and somebody composes again"},
	{Clearing, Dark, "the far side took the end, or stopped showing by itself"},
	{Clearing, Paused, "it was told, or need not be, and the typist pauses again"},
	{Clearing, Ending, "the far side did not take it at the first try"},
	{Clearing, Parked, "the far side did not take it while we shut down"},
	{Parked, Ending, "the far side is well again, it is time for a try, or the thread is heard of"},
	{Parked, Clearing, "a message of the typist is through, or the conversation is left"},
	{Parked, On, "somebody composes again, and composing is still shown"},
	{Parked, Asked, "somebody composes again, and what is shown is not known"},
	{Parked, Dark, "the far side stopped showing by itself"},
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
func (l *lease) move(to State) {
	if l.state == to {
		return
	}
	if !lawfulMove[l.state][to] {
		l.thread.clock.cfg.fault(fmt.Sprintf("a lease went from %v to %v", l.state, to))
	}
	l.thread.clock.cfg.moved(l.state, to)
	l.owe(to)
	l.state = to
	if to == Asked {
		l.due = time.Time{}
	}
}

// owe notes since when the far side is to be told something else, as a lease comes
// into a state.
func (l *lease) owe(to State) {
	switch to {
	case Asked:
		l.owed = time.Now()
	case Ending, Clearing:
		if l.state != Ending && l.state != Clearing && l.state != Parked {
			l.owed = time.Now()
		}
	}
}

// took is how long the far side was owed what it has taken now; false for what it
// was told again, or what is not owed any more.
func (l *lease) took(state bridge.TypingState, now time.Time) (time.Duration, bool) {
	told := state == bridge.Composing
	if l.owed.IsZero() || told && l.state != On || !told && l.state != Ending && l.state != Clearing {
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
