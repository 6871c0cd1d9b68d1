package typing

import (
	"slices"
	"time"

	"lpbridge/bridge"
)

// lease is one indicator at the far side: what it should show and does show.
// It is guarded by its shard's mutex.
type lease struct {
	thread  *thread
	agent   bridge.Agent
	typists []typist

	state state
	shows sight
	call  calling

	// end is what the far side is told when nobody types any more.
	end bridge.TypingState
	// due belongs to the state: when it may be told at the earliest (asked, ending,
	// clearing), by when it is told at the latest (owing), when it is tried again
	// by itself (parked; zero: when the far side is well).
	due time.Time
	// owed is since when the far side is to be told something else than it was; zero
	// when it is not.
	owed time.Time
	// tries is how often the end was told in vain, and refusals how often in a row
	// the far side said a definite no to it.
	tries, refusals int
	// lastCall is when the last call started, lastOn the last that said
	// composing. lastLit is when the last ended that may have lit the indicator.
	lastCall, lastOn, lastLit time.Time
	// phantom is until when a composing may be the end of the last message.
	phantom time.Time
	// mark says durably that composing was told; nil when there is none.
	mark *Mark
}

// want is what the source says.
func (l *lease) want() bridge.TypingState {
	want := bridge.Stopped
	for i := range l.typists {
		switch l.typists[i].state {
		case bridge.Composing:
			return bridge.Composing
		case bridge.Paused:
			want = bridge.Paused
		}
	}
	return want
}

// wanted reports whether somebody composes.
func (l *lease) wanted() bool { return l.want() == bridge.Composing }

// lit reports whether the far side shows typing, or may do so.
func (l *lease) lit() bool { return l.shows != showsNothing }

// lighting reports whether it does or is just being told to.
func (l *lease) lighting() bool { return l.lit() || l.call == callOn }

func (l *lease) typist(id string) *typist {
	for i := range l.typists {
		if l.typists[i].id == id {
			return &l.typists[i]
		}
	}
	return nil
}

// ask wants composing to be told where the far side does not know of it. A
// repeat is as good as a beginning for a far side that forgets, but one that
// keeps states is not asked twice about the same burst.
func (l *lease) ask(begins bool) {
	switch l.state {
	case stateDark, statePaused, stateDropped:
		l.move(stateAsked)
	case stateDenied:
		if begins || l.thread.side.target.Refresh > 0 {
			l.move(stateAsked)
		}
	case stateEnding, stateParked:
		// What the end of the call under way says comes first.
		if l.call != callOff {
			l.again()
		}
	}
}

// again turns from an end that was not told back to composing.
func (l *lease) again() {
	l.tries, l.refusals = 0, 0
	if l.shows == showsComposing || l.call == callOn {
		l.move(stateOn)
	} else {
		l.move(stateAsked)
	}
}

// follow brings the lease in line with its typists when fewer of them type.
func (l *lease) follow(now time.Time) {
	want := l.want()
	switch l.state {
	case stateAsked, stateDropped, stateDenied:
		if want == bridge.Composing {
			return
		}
		l.withdrawn()
		if l.lit() {
			l.finishAt(now)
		} else {
			l.move(stateDark)
		}
	case stateOn:
		if want != bridge.Composing {
			l.finishAt(now)
		}
	case statePaused:
		if want == bridge.Stopped {
			l.finishAt(now)
		}
	}
}

func (l *lease) withdrawn() {
	if l.state == stateAsked {
		l.thread.clock.cfg.Counts.Dropped(dropEnded)
	}
}

// finishAt has the end of typing told, from a time on.
func (l *lease) finishAt(at time.Time) {
	l.tries, l.refusals, l.due = 0, 0, at
	l.move(stateEnding)
}

// clearAt has it told before anything else.
func (l *lease) clearAt(at time.Time) {
	l.tries, l.refusals, l.due = 0, 0, at
	l.move(stateClearing)
}

// queue takes note that a message of who is on its way, which ends what they
// type; a consumer's message does not say on which device, and ends it on all.
func (l *lease) queue(who bridge.Agent, now time.Time) {
	l.unpark(0, now)
	author := func(p *typist) bool { return who.ID == "" || p.id == who.ID }
	composing, paused := l.latest(bridge.Composing, author), l.latest(bridge.Paused, author)
	l.silence(bridge.Stopped, author)
	if composing.IsZero() && paused.IsZero() {
		return
	}
	// An end that is on its way already is not held back.
	waits := !composing.IsZero() || l.shows == showsPaused
	if l.wanted() || !waits || !l.lighting() {
		l.follow(now)
		return
	}
	switch l.state {
	case stateAsked, stateDropped, stateDenied, stateOn, statePaused:
		l.withdrawn()
		l.due = composing
		if composing.IsZero() {
			l.due = paused
		}
		l.move(stateOwing)
	}
}

// latest is when the last of some typists in a state ends by itself; zero when
// none is in it.
func (l *lease) latest(state bridge.TypingState, whose func(*typist) bool) (at time.Time) {
	for i := range l.typists {
		if p := &l.typists[i]; p.state == state && whose(p) {
			at = later(at, p.until)
		}
	}
	return at
}

// sent takes note that the delivery of a message of the lease's typist ended.
func (l *lease) sent(now time.Time) {
	switch l.state {
	case stateOwing, stateEnding, stateClearing, stateParked:
		l.clearAt(now)
	}
}

// clear has whatever is shown or may be shown taken back at once.
func (l *lease) clear(now time.Time) {
	if l.lighting() {
		l.clearAt(now)
	}
}

// unpark has an end that waits for the far side tried once the earliest time
// has come; tries is how many of its tries are used up.
func (l *lease) unpark(tries int, earliest time.Time) {
	if l.state != stateParked {
		return
	}
	l.tries, l.due = tries, earliest
	l.move(stateEnding)
}

// ageShown follows what the far side does by itself.
func (l *lease) ageShown(now time.Time) {
	expiry := l.thread.side.target.Expiry
	if expiry > 0 && l.lit() && l.state != stateOn && !now.Before(l.lastLit.Add(expiry)) {
		l.expire(now)
	}
	if l.state == stateOwing && !now.Before(l.due) {
		l.clearAt(l.free(bridge.Stopped))
	}
	if (l.state == stateEnding || l.state == stateClearing) && l.shows == showsPaused && l.want() == bridge.Paused {
		l.move(statePaused)
	}
	if l.state == stateParked && !l.due.IsZero() && !now.Before(l.due) {
		l.unpark(len(clearPauses), now)
	}
}

// expire takes note that the far side stopped showing. Text that was left in the
// field is an exception: that its time is over is told.
func (l *lease) expire(now time.Time) {
	switch l.state {
	case statePaused:
		l.silence(bridge.Stopped, everybody)
		l.follow(now)
		return
	case stateEnding, stateClearing:
		if l.shows == showsPaused {
			return
		}
	}
	l.shows = showsNothing
	l.dark()
}

// dark brings a lease of which nothing is shown into its state.
func (l *lease) dark() {
	l.tries, l.refusals = 0, 0
	switch {
	case l.state == stateAsked, l.state == stateDropped, l.state == stateDenied:
	case l.wanted():
		l.move(stateAsked)
	default:
		l.move(stateDark)
	}
}

// ageWait gives up what cannot be told in time.
func (l *lease) ageWait(now time.Time) {
	if l.state != stateAsked {
		return
	}
	switch {
	case now.Before(l.thread.side.far.pause.until()):
		l.drop(dropThrottled)
	case !l.thread.side.source.Sticky && now.Sub(l.heard()) > l.thread.side.fresh:
		l.drop(dropStale)
	}
}

// heard is when composing was last said by somebody who still composes.
func (l *lease) heard() time.Time {
	var at time.Time
	for i := range l.typists {
		if p := &l.typists[i]; p.state == bridge.Composing {
			at = later(at, p.heard)
		}
	}
	return at
}

// drop gives a composing up unsent, unless it is kept up anyhow because it may
// be shown already.
func (l *lease) drop(why Drop) {
	l.thread.clock.cfg.Counts.Dropped(why)
	if l.shows == showsUnknown && l.thread.side.target.Refresh > 0 {
		l.move(stateOn)
	} else {
		l.move(stateDropped)
	}
}

// atRest reports whether nothing of the lease needs to be remembered.
func (l *lease) atRest(now time.Time) bool {
	return l.state == stateDark && l.call == noCall && len(l.typists) == 0 && l.mark == nil &&
		!now.Before(l.free(bridge.Composing)) && !now.Before(l.phantom)
}

// free is when MinInterval next allows a state to be told.
func (l *lease) free(state bridge.TypingState) time.Time {
	target := &l.thread.side.target
	switch {
	case l.lastCall.IsZero():
		return time.Time{}
	case !target.StopUnlimited:
		return l.lastCall.Add(target.MinInterval)
	case state == bridge.Composing && !l.lastOn.IsZero():
		return l.lastOn.Add(target.MinInterval)
	default:
		return time.Time{}
	}
}

// next returns what the far side is to be told next, and when; no state when
// there is nothing to tell.
func (l *lease) next(closing bool) (state bridge.TypingState, at time.Time) {
	pause := l.thread.side.far.pause.until()
	if closing {
		pause = time.Time{}
	}
	switch l.state {
	case stateAsked:
		// Nothing new overtakes a message.
		if l.thread.pending == 0 {
			return bridge.Composing, later(l.due, l.free(bridge.Composing))
		}
	case stateOn:
		// What was shown before the messages is kept up, for somebody else may have
		// written them.
		if l.thread.side.target.Refresh > 0 && (l.thread.pending == 0 || l.shows == showsComposing && l.ahead()) {
			return bridge.Composing, later(l.refresh(), l.free(bridge.Composing))
		}
	case stateEnding:
		word := l.word()
		return word, later(later(l.due, l.free(word)), pause)
	case stateClearing:
		return l.word(), later(l.due, pause)
	}
	return "", time.Time{}
}

// refresh is when composing is next repeated. Repeats keep their cadence over a
// pause.
func (l *lease) refresh() time.Time {
	every := l.thread.side.target.Refresh
	at := l.lastOn
	if at.IsZero() {
		// An earlier process told it.
		at = l.lastLit
	}
	at = at.Add(every)
	if missed := l.thread.side.far.pause.until().Sub(at); missed > 0 {
		at = at.Add((missed + every - 1) / every * every)
	}
	return at
}

// ahead reports whether somebody composes since before the messages that are
// on their way.
func (l *lease) ahead() bool {
	return slices.ContainsFunc(l.typists, func(p typist) bool { return p.state == bridge.Composing && !p.behind })
}

// word is how the far side is told that nobody composes.
func (l *lease) word() bridge.TypingState {
	word := l.want()
	if word != bridge.Paused {
		word = l.end
	}
	if word == bridge.Paused && !l.thread.side.target.HasPaused {
		word = bridge.Stopped
	}
	return word
}

// ends is when something of the lease next ends by itself; zero when nothing
// does.
func (l *lease) ends(now time.Time) time.Time {
	var at time.Time
	for i := range l.typists {
		at = earlier(at, l.typists[i].until)
	}
	switch l.state {
	case stateDark:
		at = earlier(earlier(at, after(now, l.phantom)), after(now, l.free(bridge.Composing)))
	case stateOwing, stateParked:
		at = earlier(at, after(now, l.due))
	}
	if expiry := l.thread.side.target.Expiry; expiry > 0 && l.lit() && l.state != stateOn {
		at = earlier(at, after(now, l.lastLit.Add(expiry)))
	}
	return at
}

// earlier returns the earlier of two times, of which a zero one does not count.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// after returns at when it is still to come, and zero otherwise.
func after(now, at time.Time) time.Time {
	if at.After(now) {
		return at
	}
	return time.Time{}
}
