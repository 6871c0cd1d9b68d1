package typing

import (
	"time"

	"lpbridge/bridge"
)

// clearPauses are the pauses after the first tries of an end that the far side
// did not take: it is told at 0, 2, 5 and 9 s.
var clearPauses = [...]time.Duration{2 * time.Second, 3 * time.Second, 4 * time.Second}

const (
	// refusedPause is how long an end that the far side refused four times waits
	// for the next try; the wait doubles up to refusedPauseMost.
	refusedPause     = 30 * time.Second
	refusedPauseMost = time.Hour
	// refusalsMost is how often in a row, over about ten hours, the far side may
	// refuse an end before what it was about counts as over.
	refusalsMost = 20
)

// started takes note that a call begins.
func (l *lease) started(state bridge.TypingState, now time.Time) {
	l.lastCall = now
	if state == bridge.Composing {
		l.lastOn, l.call = now, callOn
		l.move(stateOn)
		return
	}
	l.call = callOff
	l.tries++
}

// ended takes note of how a call ended.
func (l *lease) ended(state bridge.TypingState, r Result, now time.Time) {
	l.call = noCall
	if state != bridge.Stopped && r.End != Refused {
		l.lastLit = now
	}
	switch {
	case r.End == Applied:
		l.shows = l.thread.side.sightOf(state)
	case r.End == Uncertain && (state == bridge.Composing || l.lit()):
		l.shows = showsUnknown
	}
	switch {
	case state == bridge.Composing:
		l.onEnded()
	case r.End == Applied:
		l.offApplied(now)
	default:
		l.offFailed(r, now)
	}
}

// onEnded takes note that a call that said composing ended.
func (l *lease) onEnded() {
	switch {
	case l.state == stateOn && l.shows != showsComposing && l.shows != showsUnknown:
		l.move(stateDenied)
	case !l.lit():
		l.dark()
	case l.state == stateEnding && l.shows == showsPaused && l.want() == bridge.Paused:
		l.move(statePaused)
	}
}

// offApplied takes note that the far side took an end or a pause.
func (l *lease) offApplied(now time.Time) {
	l.tries, l.refusals = 0, 0
	want := l.want()
	switch {
	case !l.lit():
		l.dark()
	case want == bridge.Composing:
		l.move(stateAsked)
	case want == bridge.Paused:
		l.move(statePaused)
	default:
		l.due = now
	}
}

// offFailed takes note that it did not, or may not have.
func (l *lease) offFailed(r Result, now time.Time) {
	definite := r.End == Refused && r.Pause == 0
	if definite {
		l.refusals++
	} else {
		l.refusals = 0
	}
	switch {
	case l.wanted():
		// A newer composing speaks for itself, and has an end of its own.
		l.again()
	case l.thread.clock.closing.Load():
		l.due = time.Time{}
		l.move(stateParked)
	case l.tries <= len(clearPauses):
		l.due = now
		// With no tries there was a new reason meanwhile; a pause has its own time.
		if l.tries > 0 && r.Pause == 0 {
			l.due = l.lastCall.Add(clearPauses[l.tries-1])
		}
		l.move(stateEnding)
	case l.refusals >= refusalsMost:
		l.thread.clock.cfg.Counts.Dropped(dropRefused)
		l.shows = showsNothing
		l.move(stateEnding)
		l.move(stateDark)
	default:
		l.park(definite, now)
	}
}

// park has an end wait until the far side is well, or, when it is and does not
// want it, for a time.
func (l *lease) park(definite bool, now time.Time) {
	l.due = time.Time{}
	l.move(stateEnding)
	l.move(stateParked)
	if definite {
		l.due = now.Add(min(refusedPause<<min(max(l.refusals-len(clearPauses)-1, 0), 10), refusedPauseMost))
		return
	}
	l.thread.side.far.park(l.thread, now)
}
