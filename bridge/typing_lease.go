package bridge

import (
	"slices"
	"time"
)

// typingUnknown stands for what the far side shows after a call that was sent
// and not answered.
const typingUnknown TypingState = "unknown"

// clearTries says when an end of typing that the far side did not take is
// tried again, counted from the first try.
var clearTries = [...]time.Duration{0, 2 * time.Second, 5 * time.Second, 9 * time.Second}

// typingThread is a thread whose typing is looked after. It is guarded by its
// shard's mutex.
type typingThread struct {
	key   ThreadKey
	side  *typingSide
	shard *typingShard
	// leases has one for each person, or one in all when the target shows no
	// persons.
	leases []*lease
	// pending is how many messages are on their way.
	pending int
	// busy says that a call is under way, and calling whose it is; nil when the
	// conversation was forgotten meanwhile.
	busy    bool
	calling *lease
	// marked says that told was called with true.
	marked bool
	// failing says that the last call was not applied.
	failing bool
	waiters []chan error
	alarm   alarm
	// alarmAt is when alarm is set to; zero when it is not.
	alarmAt time.Time
	wake    func()
	gone    bool
	// queued says in which of the queues of readyThreads it stands, whose mutex
	// guards it.
	queued [2]bool
}

// lease is one indicator at the far side: what it should show and does show.
type lease struct {
	agent   Agent
	typists []typist
	// end is what the far side is told when nobody types any more.
	end TypingState
	// shown is what it was last told, or typingUnknown.
	shown TypingState
	// asked is when a composing was last heard that the far side does not know
	// of; zero when there is none.
	asked time.Time
	// dropped says that a composing was given up unsent.
	dropped bool
	// lastCall is when the last call started, lastOn the last that said
	// composing. lastLit is when the last ended that may have lit the indicator.
	lastCall, lastOn, lastLit time.Time
	// refresh is when composing is next repeated.
	refresh time.Time
	// owed says that a message is on its way that ended the typing: the far
	// side is told after it, but by clearBy, when the typing would have ended
	// without it.
	owed    bool
	clearBy time.Time
	// atOnce says that the end of typing does not wait for MinInterval and goes
	// before any newer composing.
	atOnce bool
	// tries is how often the end of typing was told in vain since firstTry, and
	// gaveUp that it is not tried again without a reason.
	tries    int
	firstTry time.Time
	gaveUp   bool
}

// typist is one person as the source sees them.
type typist struct {
	id    string
	state TypingState
	// until is when state ends by itself.
	until time.Time
	// phantom is until when a composing is not believed.
	phantom time.Time
	// behind says that composing was heard while messages were on their way, so
	// that it may not be told before them.
	behind bool
}

// want is what the source says.
func (l *lease) want() TypingState {
	want := Stopped
	for i := range l.typists {
		switch l.typists[i].state {
		case Composing:
			return Composing
		case Paused:
			want = Paused
		}
	}
	return want
}

// lit reports whether the far side shows typing, or may do so.
func (l *lease) lit(s *typingSide) bool {
	return l.shown != Stopped && l.shown != s.expired
}

func (l *lease) typist(id string) *typist {
	for i := range l.typists {
		if l.typists[i].id == id {
			return &l.typists[i]
		}
	}
	return nil
}

func (l *lease) addTypist(id string) *typist {
	if p := l.typist(id); p != nil {
		return p
	}
	l.typists = append(l.typists, typist{id: id, state: Stopped})
	return &l.typists[len(l.typists)-1]
}

// forgive lets an end of typing be tried anew.
func (l *lease) forgive() { l.tries, l.firstTry, l.gaveUp = 0, time.Time{}, false }

// retry lets an end of typing that was given up be tried anew.
func (l *lease) retry() {
	if l.gaveUp {
		l.forgive()
	}
}

func (l *lease) clearAtOnce() {
	l.owed, l.atOnce = false, true
	l.forgive()
}

func (t *typingThread) lit() bool {
	return slices.ContainsFunc(t.leases, func(l *lease) bool { return l.lit(t.side) })
}

// lease returns the indicator that shows who; nil when there is none.
func (t *typingThread) lease(who Agent) *lease {
	for _, l := range t.leases {
		if !t.side.target.PerPerson || l.agent.ID == who.ID {
			return l
		}
	}
	return nil
}

// leaseOf returns the indicator that shows who.
func (t *typingThread) leaseOf(who Agent) *lease {
	if l := t.lease(who); l != nil {
		return l
	}
	l := &lease{end: Stopped, shown: Stopped}
	if t.side.target.PerPerson {
		l.agent = who
	}
	t.leases = append(t.leases, l)
	return l
}

// hear takes what the source says of a typist.
func (c *typingClock) hear(t *typingThread, who Agent, state TypingState, now time.Time) {
	if state == Composing {
		c.hearComposing(t, t.leaseOf(who), who, now)
		return
	}
	l := t.lease(who)
	if l == nil {
		return
	}
	l.retry()
	p := l.typist(who.ID)
	if p == nil || p.state == Stopped {
		return
	}
	if state == Paused {
		p.state, p.until = Paused, now.Add(t.side.source.Hold)
	} else {
		p.state, l.end = Stopped, Stopped
	}
	c.withdraw(l)
}

func (c *typingClock) hearComposing(t *typingThread, l *lease, who Agent, now time.Time) {
	p := l.addTypist(who.ID)
	if now.Before(p.phantom) {
		c.cfg.counts.dropped(dropPhantom)
		return
	}
	p.until = now.Add(t.side.source.Hold)
	switch {
	case p.state != Composing:
		p.state, p.behind = Composing, t.pending > 0
		l.asked, l.dropped = now, false
		l.forgive()
	case !l.asked.IsZero(), l.dropped, t.side.target.Refresh > 0 && !l.lit(t.side):
		// A repeat is as good as new for a far side that does not know yet, but
		// one that keeps states is not asked twice about the same burst.
		l.asked, l.dropped = now, false
	}
}

// withdraw takes a composing back that was not sent when nobody composes any
// more.
func (c *typingClock) withdraw(l *lease) {
	if l.want() == Composing {
		return
	}
	if !l.asked.IsZero() {
		c.cfg.counts.dropped(dropEnded)
	}
	l.asked, l.dropped = time.Time{}, false
}

// endAll ends the typing of everybody in the thread.
func (c *typingClock) endAll(t *typingThread, end TypingState) {
	for _, l := range t.leases {
		for i := range l.typists {
			if p := &l.typists[i]; p.state != Stopped {
				p.state, l.end = Stopped, end
			}
		}
		c.withdraw(l)
	}
}

// queue takes note of a message that is on its way.
func (c *typingClock) queue(t *typingThread, who Agent, now time.Time) {
	t.pending++
	l := t.lease(who)
	if l == nil {
		if t.side.source.PhantomWindow <= 0 {
			return
		}
		l = t.leaseOf(who)
	}
	l.retry()
	if window := t.side.source.PhantomWindow; window > 0 {
		l.addTypist(who.ID).phantom = now.Add(window)
	}
	p := l.typist(who.ID)
	if p == nil || p.state == Stopped {
		return
	}
	// An end that is on its way already is not held back.
	waits := p.state == Composing || l.shown == Paused
	p.state, l.end = Stopped, Stopped
	c.withdraw(l)
	if waits && l.want() != Composing && !l.owed && (l.lit(t.side) || t.calling == l) {
		l.owed, l.clearBy = true, p.until
	}
}

// messageSent takes note that the delivery of a message ended.
func (t *typingThread) messageSent(who Agent) {
	t.pending = max(t.pending-1, 0)
	if t.pending == 0 {
		for _, l := range t.leases {
			for i := range l.typists {
				l.typists[i].behind = false
			}
		}
	}
	if l := t.lease(who); l != nil && (l.owed || l.want() != Composing) {
		l.clearAtOnce()
	}
}

func (t *typingThread) retryClears() {
	for _, l := range t.leases {
		l.retry()
	}
}

// age does what time alone does: holds run out, the far side stops showing by
// itself, what waited too long is given up, and leases at rest go.
func (c *typingClock) age(t *typingThread, now time.Time) {
	for _, l := range t.leases {
		c.ageSource(t.side, l, now)
		if t.busy && t.calling == l {
			continue
		}
		l.ageTarget(t.side, now)
		c.ageWait(t, l, now)
	}
	t.leases = slices.DeleteFunc(t.leases, func(l *lease) bool {
		return l.atRest(t.side, now) && t.calling != l
	})
}

// ageSource ends what the source said and did not renew.
func (c *typingClock) ageSource(s *typingSide, l *lease, now time.Time) {
	for i := range l.typists {
		p := &l.typists[i]
		if p.state == Composing && s.source.Repeats && !now.Before(p.until) {
			p.state, p.until = Paused, p.until.Add(s.source.Hold)
		}
		if p.state != Stopped && !now.Before(p.until) {
			p.state, l.end = Stopped, s.expired
		}
	}
	l.typists = slices.DeleteFunc(l.typists, func(p typist) bool {
		return p.state == Stopped && !now.Before(p.phantom)
	})
	c.withdraw(l)
}

// ageTarget follows what the far side does by itself.
func (l *lease) ageTarget(s *typingSide, now time.Time) {
	kept := l.want() == Composing && !l.owed && !l.atOnce
	if s.target.Expiry > 0 && l.lit(s) && !kept && !now.Before(l.lastLit.Add(s.target.Expiry)) {
		if l.shown == Paused && !l.gaveUp {
			// Text was left in the field and its time is over: that is told.
			l.endPaused()
		} else {
			l.shown = Stopped
		}
	}
	if !l.lit(s) {
		l.owed, l.atOnce = false, false
		l.forgive()
	}
	if l.shown == Composing && !l.owed && !l.atOnce {
		l.asked = time.Time{}
	}
}

func (l *lease) endPaused() {
	for i := range l.typists {
		if p := &l.typists[i]; p.state == Paused {
			p.state, l.end = Stopped, Stopped
		}
	}
}

// ageWait gives up what cannot be told in time.
func (c *typingClock) ageWait(t *typingThread, l *lease, now time.Time) {
	pause := t.side.pause.until()
	paused := now.Before(pause)
	switch {
	case l.asked.IsZero():
	case paused:
		l.asked, l.dropped = time.Time{}, true
		c.cfg.counts.dropped(dropThrottled)
	case now.Sub(l.asked) > t.side.fresh:
		l.asked, l.dropped = time.Time{}, true
		c.cfg.counts.dropped(dropStale)
	}
	if paused && l.refreshes(t.side) && l.refresh.Before(pause) {
		for l.refresh.Before(pause) {
			l.refresh = l.refresh.Add(t.side.target.Refresh)
		}
		c.cfg.counts.dropped(dropThrottled)
	}
}

// refreshes reports whether composing is repeated while it lasts.
func (l *lease) refreshes(s *typingSide) bool {
	return s.target.Refresh > 0 && (l.shown == Composing || l.shown == typingUnknown) && l.want() == Composing
}

// atRest reports whether nothing of the lease needs to be remembered.
func (l *lease) atRest(s *typingSide, now time.Time) bool {
	return len(l.typists) == 0 && !l.lit(s) && !now.Before(l.free(s, Composing))
}

// free is when MinInterval next allows a state to be told.
func (l *lease) free(s *typingSide, state TypingState) time.Time {
	switch {
	case l.lastCall.IsZero():
		return time.Time{}
	case !s.target.StopUnlimited:
		return l.lastCall.Add(s.target.MinInterval)
	case state == Composing && !l.lastOn.IsZero():
		return l.lastOn.Add(s.target.MinInterval)
	default:
		return time.Time{}
	}
}

// typingStep is one thing to tell the far side.
type typingStep struct {
	lease *lease
	// state is empty when there is nothing to tell.
	state TypingState
	at    time.Time
}

// next returns what is to be told now, ends of typing first, or when to look
// again; neither when only an input can change anything.
func (t *typingThread) next(now time.Time, closing bool) (due typingStep, look time.Time) {
	for _, l := range t.leases {
		step := l.step(t, closing)
		switch {
		case step.state == "":
		case step.at.After(now):
			look = earlier(look, step.at)
		case due.state == "" || due.state == Composing && step.state != Composing:
			due = step
		}
		look = earlier(look, l.ends(t.side, now))
	}
	return due, look
}

// step returns what the far side is to be told next, and when.
func (l *lease) step(t *typingThread, closing bool) typingStep {
	s := t.side
	want := l.want()
	switch {
	case l.owed:
		return typingStep{l, l.word(s, Stopped), later(later(l.clearBy, l.free(s, Stopped)), s.pause.until())}
	case l.atOnce && l.lit(s), want != Composing && l.lit(s):
		return l.stepOff(s, want, closing)
	case want == Composing:
		return l.stepOn(t)
	}
	return typingStep{}
}

func (l *lease) stepOn(t *typingThread) typingStep {
	s := t.side
	// What was shown before the messages is kept up, for somebody else may
	// have written them; nothing new overtakes them.
	if t.pending > 0 && (l.shown != Composing || !l.ahead()) {
		return typingStep{}
	}
	switch {
	case !l.asked.IsZero():
		return typingStep{l, Composing, l.free(s, Composing)}
	case l.refreshes(s):
		return typingStep{l, Composing, later(l.refresh, l.free(s, Composing))}
	}
	return typingStep{}
}

// ahead reports whether somebody composes since before the messages that are
// on their way.
func (l *lease) ahead() bool {
	return slices.ContainsFunc(l.typists, func(p typist) bool { return p.state == Composing && !p.behind })
}

func (l *lease) stepOff(s *typingSide, want TypingState, closing bool) typingStep {
	state := l.word(s, want)
	if l.gaveUp || state == l.shown {
		return typingStep{}
	}
	at := l.firstTry.Add(clearTries[l.tries])
	if !closing {
		at = later(at, s.pause.until())
	}
	if !l.atOnce {
		at = later(at, l.free(s, state))
	}
	return typingStep{l, state, at}
}

// word is how the far side is told that nobody composes.
func (l *lease) word(s *typingSide, want TypingState) TypingState {
	if want != Paused {
		want = l.end
	}
	if want == Paused && !s.target.HasPaused {
		want = Stopped
	}
	return want
}

// ends is when something of the lease next ends by itself; zero when nothing
// does.
func (l *lease) ends(s *typingSide, now time.Time) time.Time {
	var at time.Time
	for i := range l.typists {
		p := &l.typists[i]
		if p.state != Stopped {
			at = earlier(at, p.until)
		} else {
			at = earlier(at, p.phantom)
		}
	}
	switch {
	case !l.lit(s):
		at = earlier(at, after(now, l.free(s, Composing)))
	case s.target.Expiry > 0 && l.want() != Composing:
		at = earlier(at, after(now, l.lastLit.Add(s.target.Expiry)))
	}
	return at
}

// started takes note that a call begins.
func (l *lease) started(s *typingSide, state TypingState, now time.Time) {
	l.lastCall = now
	if state == Composing {
		l.lastOn, l.refresh, l.asked = now, now.Add(s.target.Refresh), time.Time{}
		return
	}
	if l.tries == 0 {
		l.firstTry = now
	}
	l.tries++
}

// ended takes note of how a call ended.
func (l *lease) ended(s *typingSide, state TypingState, r typingResult, now time.Time, closing bool) {
	if state != Stopped && r.end != typingRefused {
		l.lastLit = now
	}
	switch {
	case r.end == typingApplied:
		l.shown = state
	case r.end == typingUncertain && (state == Composing || l.lit(s)):
		l.shown = typingUnknown
	}
	switch {
	case state == Composing:
	case r.end == typingApplied:
		l.owed, l.atOnce = false, false
		l.forgive()
	case closing, l.tries >= len(clearTries):
		l.owed, l.atOnce, l.gaveUp = false, false, true
	default:
		// Trying again is no hurry, and a newer composing speaks for itself.
		l.owed, l.atOnce = false, false
		if r.pause > 0 {
			l.firstTry = s.pause.until().Add(-clearTries[l.tries])
		}
	}
}

// answer tells those who wait for the end of typing.
func (t *typingThread) answer(err error) {
	for _, w := range t.waiters {
		w <- err
	}
	t.waiters = nil
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
