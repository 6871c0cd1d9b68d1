package typing

import (
	"slices"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/schedule"
)

// shownUnknown stands for what the far side shows after a call that was sent
// and not answered.
const shownUnknown bridge.TypingState = "unknown"

// clearTries says when an end of typing that the far side did not take is
// tried again, counted from the first try.
var clearTries = [...]time.Duration{0, 2 * time.Second, 5 * time.Second, 9 * time.Second}

// thread is a thread whose typing is looked after. It is guarded by its
// shard's mutex.
type thread struct {
	key   bridge.ThreadKey
	side  *side
	shard *shard
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
	alarm   schedule.Alarm
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
	agent   bridge.Agent
	typists []typist
	// end is what the far side is told when nobody types any more.
	end bridge.TypingState
	// shown is what it was last told, or typingUnknown.
	shown bridge.TypingState
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
	state bridge.TypingState
	// until is when state ends by itself.
	until time.Time
	// phantom is until when a composing is not believed.
	phantom time.Time
	// behind says that composing was heard while messages were on their way, so
	// that it may not be told before them.
	behind bool
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

// lit reports whether the far side shows typing, or may do so.
func (l *lease) lit(s *side) bool {
	return l.shown != bridge.Stopped && l.shown != s.expired
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
	l.typists = append(l.typists, typist{id: id, state: bridge.Stopped})
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

func (t *thread) lit() bool {
	return slices.ContainsFunc(t.leases, func(l *lease) bool { return l.lit(t.side) })
}

// lease returns the indicator that shows who; nil when there is none.
func (t *thread) lease(who bridge.Agent) *lease {
	for _, l := range t.leases {
		if !t.side.target.PerPerson || l.agent.ID == who.ID {
			return l
		}
	}
	return nil
}

// leaseOf returns the indicator that shows who.
func (t *thread) leaseOf(who bridge.Agent) *lease {
	if l := t.lease(who); l != nil {
		return l
	}
	l := &lease{end: bridge.Stopped, shown: bridge.Stopped}
	if t.side.target.PerPerson {
		l.agent = who
	}
	t.leases = append(t.leases, l)
	return l
}

// hear takes what the source says of a typist.
func (c *Clock) hear(t *thread, who bridge.Agent, state bridge.TypingState, now time.Time) {
	if state == bridge.Composing {
		c.hearComposing(t, t.leaseOf(who), who, now)
		return
	}
	l := t.lease(who)
	if l == nil {
		return
	}
	l.retry()
	p := l.typist(who.ID)
	if p == nil || p.state == bridge.Stopped {
		return
	}
	if state == bridge.Paused {
		p.state, p.until = bridge.Paused, now.Add(t.side.source.Hold)
	} else {
		p.state, l.end = bridge.Stopped, bridge.Stopped
	}
	c.withdraw(l)
}

func (c *Clock) hearComposing(t *thread, l *lease, who bridge.Agent, now time.Time) {
	p := l.addTypist(who.ID)
	if now.Before(p.phantom) {
		c.cfg.Counts.Dropped(dropPhantom)
		return
	}
	p.until = now.Add(t.side.source.Hold)
	switch {
	case p.state != bridge.Composing:
		p.state, p.behind = bridge.Composing, t.pending > 0
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
func (c *Clock) withdraw(l *lease) {
	if l.want() == bridge.Composing {
		return
	}
	if !l.asked.IsZero() {
		c.cfg.Counts.Dropped(dropEnded)
	}
	l.asked, l.dropped = time.Time{}, false
}

// endAll ends the typing of everybody in the thread.
func (c *Clock) endAll(t *thread, end bridge.TypingState) {
	for _, l := range t.leases {
		for i := range l.typists {
			if p := &l.typists[i]; p.state != bridge.Stopped {
				p.state, l.end = bridge.Stopped, end
			}
		}
		c.withdraw(l)
	}
}

// queue takes note of a message that is on its way.
func (c *Clock) queue(t *thread, who bridge.Agent, now time.Time) {
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
	if p == nil || p.state == bridge.Stopped {
		return
	}
	// An end that is on its way already is not held back.
	waits := p.state == bridge.Composing || l.shown == bridge.Paused
	p.state, l.end = bridge.Stopped, bridge.Stopped
	c.withdraw(l)
	if waits && l.want() != bridge.Composing && !l.owed && (l.lit(t.side) || t.calling == l) {
		l.owed, l.clearBy = true, p.until
	}
}

// messageSent takes note that the delivery of a message ended.
func (t *thread) messageSent(who bridge.Agent) {
	t.pending = max(t.pending-1, 0)
	if t.pending == 0 {
		for _, l := range t.leases {
			for i := range l.typists {
				l.typists[i].behind = false
			}
		}
	}
	if l := t.lease(who); l != nil && (l.owed || l.want() != bridge.Composing) {
		l.clearAtOnce()
	}
}

func (t *thread) retryClears() {
	for _, l := range t.leases {
		l.retry()
	}
}

// age does what time alone does: holds run out, the far side stops showing by
// itself, what waited too long is given up, and leases at rest go.
func (c *Clock) age(t *thread, now time.Time) {
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
func (c *Clock) ageSource(s *side, l *lease, now time.Time) {
	for i := range l.typists {
		p := &l.typists[i]
		if p.state == bridge.Composing && s.source.Repeats && !now.Before(p.until) {
			p.state, p.until = bridge.Paused, p.until.Add(s.source.Hold)
		}
		if p.state != bridge.Stopped && !now.Before(p.until) {
			p.state, l.end = bridge.Stopped, s.expired
		}
	}
	l.typists = slices.DeleteFunc(l.typists, func(p typist) bool {
		return p.state == bridge.Stopped && !now.Before(p.phantom)
	})
	c.withdraw(l)
}

// ageTarget follows what the far side does by itself.
func (l *lease) ageTarget(s *side, now time.Time) {
	kept := l.want() == bridge.Composing && !l.owed && !l.atOnce
	if s.target.Expiry > 0 && l.lit(s) && !kept && !now.Before(l.lastLit.Add(s.target.Expiry)) {
		if l.shown == bridge.Paused && !l.gaveUp && !l.owed {
			// Text was left in the field and its time is over: that is told.
			l.endPaused()
		} else {
			l.shown = bridge.Stopped
		}
	}
	if !l.lit(s) {
		l.owed, l.atOnce = false, false
		l.forgive()
	}
	if l.shown == bridge.Composing && !l.owed && !l.atOnce {
		l.asked = time.Time{}
	}
}

func (l *lease) endPaused() {
	for i := range l.typists {
		if p := &l.typists[i]; p.state == bridge.Paused {
			p.state, l.end = bridge.Stopped, bridge.Stopped
		}
	}
}

// ageWait gives up what cannot be told in time.
func (c *Clock) ageWait(t *thread, l *lease, now time.Time) {
	pause := t.side.pause.until()
	paused := now.Before(pause)
	switch {
	case l.asked.IsZero():
	case paused:
		l.asked, l.dropped = time.Time{}, true
		c.cfg.Counts.Dropped(dropThrottled)
	case now.Sub(l.asked) > t.side.fresh:
		l.asked, l.dropped = time.Time{}, true
		c.cfg.Counts.Dropped(dropStale)
	}
	if paused && l.refreshes(t.side) && l.refresh.Before(pause) {
		for l.refresh.Before(pause) {
			l.refresh = l.refresh.Add(t.side.target.Refresh)
		}
		c.cfg.Counts.Dropped(dropThrottled)
	}
}

// refreshes reports whether composing is repeated while it lasts.
func (l *lease) refreshes(s *side) bool {
	return s.target.Refresh > 0 && (l.shown == bridge.Composing || l.shown == shownUnknown) && l.want() == bridge.Composing
}

// atRest reports whether nothing of the lease needs to be remembered.
func (l *lease) atRest(s *side, now time.Time) bool {
	return len(l.typists) == 0 && !l.lit(s) && !now.Before(l.free(s, bridge.Composing))
}

// free is when MinInterval next allows a state to be told.
func (l *lease) free(s *side, state bridge.TypingState) time.Time {
	switch {
	case l.lastCall.IsZero():
		return time.Time{}
	case !s.target.StopUnlimited:
		return l.lastCall.Add(s.target.MinInterval)
	case state == bridge.Composing && !l.lastOn.IsZero():
		return l.lastOn.Add(s.target.MinInterval)
	default:
		return time.Time{}
	}
}

// due is one thing to tell the far side.
type due struct {
	lease *lease
	// state is empty when there is nothing to tell.
	state bridge.TypingState
	at    time.Time
}

// next returns what is to be told now, ends of typing first, or when to look
// again; neither when only an input can change anything.
func (t *thread) next(now time.Time, closing bool) (due due, look time.Time) {
	for _, l := range t.leases {
		step := l.step(t, closing)
		switch {
		case step.state == "":
		case step.at.After(now):
			look = earlier(look, step.at)
		case due.state == "" || due.state == bridge.Composing && step.state != bridge.Composing:
			due = step
		}
		look = earlier(look, l.ends(t.side, now))
	}
	return due, look
}

// step returns what the far side is to be told next, and when.
func (l *lease) step(t *thread, closing bool) due {
	s := t.side
	want := l.want()
	switch {
	case l.owed:
		return due{l, l.word(s, bridge.Stopped), later(later(l.clearBy, l.free(s, bridge.Stopped)), s.pause.until())}
	case l.atOnce && l.lit(s), want != bridge.Composing && l.lit(s):
		return l.stepOff(s, want, closing)
	case want == bridge.Composing:
		return l.stepOn(t)
	}
	return due{}
}

func (l *lease) stepOn(t *thread) due {
	s := t.side
	// What was shown before the messages is kept up, for somebody else may
	// have written them; nothing new overtakes them.
	if t.pending > 0 && (l.shown != bridge.Composing || !l.ahead()) {
		return due{}
	}
	switch {
	case !l.asked.IsZero():
		return due{l, bridge.Composing, l.free(s, bridge.Composing)}
	case l.refreshes(s):
		return due{l, bridge.Composing, later(l.refresh, l.free(s, bridge.Composing))}
	}
	return due{}
}

// ahead reports whether somebody composes since before the messages that are
// on their way.
func (l *lease) ahead() bool {
	return slices.ContainsFunc(l.typists, func(p typist) bool { return p.state == bridge.Composing && !p.behind })
}

func (l *lease) stepOff(s *side, want bridge.TypingState, closing bool) due {
	state := l.word(s, want)
	if l.gaveUp || state == l.shown {
		return due{}
	}
	at := l.firstTry.Add(clearTries[l.tries])
	if !closing {
		at = later(at, s.pause.until())
	}
	if !l.atOnce {
		at = later(at, l.free(s, state))
	}
	return due{l, state, at}
}

// word is how the far side is told that nobody composes.
func (l *lease) word(s *side, want bridge.TypingState) bridge.TypingState {
	if want != bridge.Paused {
		want = l.end
	}
	if want == bridge.Paused && !s.target.HasPaused {
		want = bridge.Stopped
	}
	return want
}

// ends is when something of the lease next ends by itself; zero when nothing
// does.
func (l *lease) ends(s *side, now time.Time) time.Time {
	var at time.Time
	for i := range l.typists {
		p := &l.typists[i]
		if p.state != bridge.Stopped {
			at = earlier(at, p.until)
		} else {
			at = earlier(at, p.phantom)
		}
	}
	switch {
	case !l.lit(s):
		at = earlier(at, after(now, l.free(s, bridge.Composing)))
	case s.target.Expiry > 0 && l.want() != bridge.Composing:
		at = earlier(at, after(now, l.lastLit.Add(s.target.Expiry)))
	}
	return at
}

// started takes note that a call begins.
func (l *lease) started(s *side, state bridge.TypingState, now time.Time) {
	l.lastCall = now
	if state == bridge.Composing {
		l.lastOn, l.refresh, l.asked = now, now.Add(s.target.Refresh), time.Time{}
		return
	}
	if l.tries == 0 {
		l.firstTry = now
	}
	l.tries++
}

// ended takes note of how a call ended.
func (l *lease) ended(s *side, state bridge.TypingState, r Result, now time.Time, closing bool) {
	if state != bridge.Stopped && r.End != Refused {
		l.lastLit = now
	}
	switch {
	case r.End == Applied:
		l.shown = state
	case r.End == Uncertain && (state == bridge.Composing || l.lit(s)):
		l.shown = shownUnknown
	}
	switch {
	case state == bridge.Composing:
	case r.End == Applied:
		l.owed, l.atOnce = false, false
		l.forgive()
	case l.want() == bridge.Composing:
		// A newer composing speaks for itself, and has an end of its own.
		l.owed, l.atOnce = false, false
		l.forgive()
	case closing, l.tries >= len(clearTries):
		l.owed, l.atOnce, l.gaveUp = false, false, true
	default:
		l.owed, l.atOnce = false, false
		if r.Pause > 0 {
			l.firstTry = s.pause.until().Add(-clearTries[l.tries])
		}
	}
}

// answer tells those who wait for the end of typing.
func (t *thread) answer(err error) {
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
