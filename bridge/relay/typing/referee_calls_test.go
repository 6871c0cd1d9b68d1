package typing

import (
	"time"

	"lpbridge/bridge"
)

func (r *referee) readBegin(t *seenThread, l *seenLease, line lifeLine) string {
	if l.calling != "" {
		return "a second call about one indicator"
	}
	fault := r.checkRate(l, line)
	if fault == "" {
		if line.state == bridge.Composing {
			fault = r.checkOn(t, l, line.at)
		} else {
			fault = r.checkOff(t, l, line)
		}
	}
	l.calling, l.lastCall, l.exempt = line.state, line.at, false
	l.retryBy = 0
	if line.state == bridge.Composing {
		l.lastOn = line.at
	}
	return fault
}

// checkRate holds the calls of a lease apart, and all calls to a pause.
func (r *referee) checkRate(l *seenLease, line lifeLine) string {
	// What began while the answer came could not know of it.
	if line.at < r.pause && line.at > r.throttled && !r.closing {
		return "C11 a call in the pause of a throttled account"
	}
	if line.state == bridge.Composing && line.at < l.lastOn+r.target.MinInterval {
		return "C8 composing too soon after composing"
	}
	if r.target.StopUnlimited || line.state != bridge.Composing && l.exempt {
		return ""
	}
	if line.at < l.lastCall+r.target.MinInterval {
		return "C8 a call too soon after another"
	}
	return ""
}

// heard is when composing was last said by somebody who still composes.
func (l *seenLease) heard(at time.Duration) time.Duration {
	last := time.Duration(never)
	for _, p := range l.typists {
		if p.on && at < p.until {
			last = max(last, p.heard)
		}
	}
	return last
}

// checkOn checks a call that says composing.
func (r *referee) checkOn(t *seenThread, l *seenLease, at time.Duration) string {
	l.ons++
	ahead := l.ahead(t)
	refresh := r.target.Refresh > 0 && l.kept
	mark := Mark{Thread: lifeKey(t.number), Conversation: l.conversation, Agent: l.who}
	switch {
	case l.conversation != t.at:
		return "composing in a conversation that was left"
	case r.over[l.conversation]:
		// Nobody sees it; that it is over is found out.
		return ""
	case !l.typing(at):
		return "(d) composing although nobody types"
	case t.pending > 0 && !(ahead && refresh):
		return "(d) composing overtakes a message"
	case !refresh && !r.source.Sticky && at > l.heard(at)+max(freshness, r.target.MinInterval):
		return "C13 a stale composing"
	case r.target.Refresh == 0 && l.known == bridge.Composing:
		return "C6 composing repeated to a side that keeps it"
	case r.target.Refresh == 0 && l.ons > 1 && len(l.typists) == 1:
		return "a composing was tried again"
	case !r.marks[mark]:
		return "C4 composing without the mark"
	}
	return ""
}

// checkOff checks a call that ends typing.
func (r *referee) checkOff(t *seenThread, l *seenLease, line lifeLine) string {
	switch {
	case r.off(l.known):
		return "C10 an end of what is not shown"
	case line.state == l.known:
		return "C10 the same state again"
	case line.state == bridge.Paused && !r.target.HasPaused:
		return "paused to a side that does not know it"
	case l.failedEnds > len(clearPauses) && line.at < l.lastCall+probeEvery:
		return "an end was tried too often"
	case !r.life.faulty && l.known == bridge.Composing && l.owed() && !l.exempt && len(l.typists) == 1:
		return "C20 an end before its message"
	case !r.life.faulty && l.ahead(t) && !l.owed() && l.typing(line.at) && !l.exempt && l.conversation == t.at && l.known != shownUnknown:
		return "(b) an end while typing lasts"
	}
	return ""
}

// ahead reports whether somebody types since before the messages on their way.
func (l *seenLease) ahead(t *seenThread) bool {
	for _, p := range l.typists {
		if p.on && (t.pending == 0 || p.since < t.queuedAt) {
			return true
		}
	}
	return false
}

func (l *seenLease) owed() bool {
	for _, p := range l.typists {
		if p.owed {
			return true
		}
	}
	return false
}

func (r *referee) readEnd(t *seenThread, line lifeLine) {
	f := line.fate
	if f.pause > 0 {
		r.pause, r.throttled = max(r.pause, line.at+f.pause), line.at
	}
	l := r.lease(t, line.conversation, line.who)
	if l.calling == "" {
		// The call began in a conversation that was forgotten since.
		return
	}
	l.calling = ""
	if f.end == Over {
		r.forget(t, line.conversation)
		return
	}
	if f.end == Applied || f.took {
		l.shown, l.shownLit = line.state, line.at
		l.steady = line.state == bridge.Composing && t.pending == 0 && l.on
	}
	if line.state != bridge.Stopped && f.end != Refused {
		l.lit = line.at
	}
	switch {
	case f.end == Applied:
		l.known = line.state
	case f.end == Uncertain && (line.state == bridge.Composing || !r.off(l.known)):
		l.known = shownUnknown
	}
	if line.state == bridge.Composing {
		l.failedEnds, l.behind = 0, false
		l.kept = l.kept || f.end != Refused
		return
	}
	l.failedEnds++
	l.vain++
	l.refused++
	if f.end != Refused || f.pause > 0 {
		l.refused = 0
	}
	if f.end == Applied {
		l.failedEnds, l.vain, l.kept, l.behind = 0, 0, false, false
		return
	}
	if l.typing(line.at) && !l.behind {
		// The end of what is typed now is counted anew.
		l.failedEnds, l.vain = 0, 0
		return
	}
	if r.target.Expiry == 0 {
		l.retryBy = max(line.at+r.patience(l, f), r.pause) + r.target.MinInterval + 2*CallTimeout
	}
}

// patience is how long the next try of an end may take: who waits for a far side
// that is down takes its chance among the others, and who was refused waits
// ever longer.
func (r *referee) patience(l *seenLease, f fate) time.Duration {
	if f.end == Refused && f.pause == 0 {
		return min(refusedPause<<max(l.refused-len(clearPauses)-1, 0), refusedPauseMost)
	}
	waiting := 2 * probeEvery
	for _, t := range r.threads {
		for _, other := range t.leases {
			if !r.off(other.known) {
				waiting += probeEvery
			}
		}
	}
	return waiting
}
