package typing

import (
	"fmt"
	"time"

	"lpbridge/bridge"
)

// referee reads the log of a life and knows what must hold. It follows what was
// said, what the far side shows, and what the clock can know of that, and has
// none of the clock's own ideas of how to get there.
type referee struct {
	life    *typingLife
	source  bridge.TypingSource
	target  bridge.TypingTarget
	expired bridge.TypingState
	threads []*seenThread
	marks   map[Mark]bool
	// over are the conversations that ended so far.
	over map[string]bool
	// pause is until when no calls are made, because of an answer at throttled.
	pause, throttled time.Duration
	// closing says that the process is told to end, and pays no heed to a pause.
	closing bool
	// line is the number of the line that is read.
	line int
}

type seenThread struct {
	number int
	// at is the conversation in which it is.
	at      string
	pending int
	// queuedAt is the line at which pending was last zero.
	queuedAt int
	// phantom is until when a composing is held.
	phantom time.Duration
	// leases has all indicators the thread had, in all conversations.
	leases []*seenLease
}

// seenLease is one indicator at the far side.
type seenLease struct {
	conversation, who string
	typists           map[string]*seenTypist
	// known is what the clock can know of what is shown, and shown the truth.
	known, shown bridge.TypingState
	// lit is when a state that expires was last told, as the clock knows and as
	// it truly arrived.
	lit, shownLit time.Duration
	calling       bridge.TypingState
	// lastCall and lastOn are when calls started; negative for never.
	lastCall, lastOn time.Duration
	// exempt says that a message was sent or a clear asked for since lastCall.
	exempt bool
	// offAt is when somebody's typing last ended; on says that somebody types.
	on    bool
	offAt time.Duration
	// onAt is when it began, seen that the far side showed it since, and clean
	// that no message stood in its way.
	onAt  time.Duration
	seen  bool
	clean bool
	// steady says that what is shown was told while no message was on its way, and
	// that nothing interrupted it since.
	steady bool
	// kept says that composing was told, so that it may be kept up while typing
	// lasts.
	kept bool
	// ons counts the composing calls of a burst.
	ons int
	// failedEnds counts ends that were told in vain since the last input, and
	// vain since the last composing. retryBy is when the next is due; zero when
	// none is.
	failedEnds, vain int
	retryBy          time.Duration
	// refused counts definite refusals of an end in a row.
	refused int
	// behind says that its end is owed whatever the thread says next.
	behind bool
}

type seenTypist struct {
	on bool
	// since is the line at which the burst began; until when it ends by itself.
	since int
	until time.Duration
	// heard is when composing was last said.
	heard time.Duration
	// heldAt is when composing was said right after a message and waits to be
	// believed; negative when none does.
	heldAt time.Duration
	// owed says that a message on its way ended a burst, which would have ended
	// by itself at owedUntil.
	owed      bool
	owedUntil time.Duration
}

const never = -time.Hour

func newReferee(life *typingLife) *referee {
	r := &referee{life: life, source: life.pair.source, target: life.pair.target, expired: life.pair.expired, marks: map[Mark]bool{}, over: map[string]bool{}}
	for i := range lifeThreads {
		r.threads = append(r.threads, &seenThread{number: i, at: life.at(i)})
	}
	return r
}

func (r *referee) lease(t *seenThread, conversation, who string) *seenLease {
	if !r.target.PerPerson {
		who = ""
	}
	for _, l := range t.leases {
		if l.conversation == conversation && l.who == who {
			return l
		}
	}
	l := &seenLease{
		conversation: conversation, who: who, typists: map[string]*seenTypist{},
		known: bridge.Stopped, shown: bridge.Stopped, lastCall: never, lastOn: never,
	}
	t.leases = append(t.leases, l)
	return l
}

// here are the indicators of the conversation in which the thread is.
func (t *seenThread) here() []*seenLease {
	var list []*seenLease
	for _, l := range t.leases {
		if l.conversation == t.at {
			list = append(list, l)
		}
	}
	return list
}

func (l *seenLease) typist(who string) *seenTypist {
	if l.typists[who] == nil {
		l.typists[who] = &seenTypist{heldAt: never}
	}
	return l.typists[who]
}

// off reports whether a state shows no typing.
func (r *referee) off(s bridge.TypingState) bool { return s == bridge.Stopped || s == r.expired }

func (r *referee) check(lines []lifeLine, end time.Duration) string {
	for i, line := range lines {
		r.line = i
		for _, t := range r.threads {
			if fault := r.pass(t, line.at); fault != "" {
				return fmt.Sprintf("before line %d: %s", i+1, fault)
			}
		}
		if fault := r.read(line); fault != "" {
			return fmt.Sprintf("line %d (%v): %s", i+1, line, fault)
		}
	}
	for _, t := range r.threads {
		if fault := r.pass(t, end); fault != "" {
			return "at the end: " + fault
		}
		for _, l := range t.leases {
			if !r.off(l.shown) {
				return "(a) at the end typing is shown"
			}
		}
	}
	return ""
}

// pass lets time pass until now, and finds what should have happened before.
func (r *referee) pass(t *seenThread, now time.Duration) string {
	for _, l := range t.leases {
		r.passHeld(t, l, now)
		if fault := r.passTarget(t, l, now); fault != "" {
			return fault
		}
		r.passSource(l, now)
		if fault := r.passOff(l, now); fault != "" {
			return fault
		}
		if fault := r.passOn(l, now); fault != "" {
			return fault
		}
		if l.retryBy > 0 && !l.on && now > max(l.retryBy, max(l.offAt, r.pause)+2*CallTimeout) && !r.off(l.known) {
			return "the end that failed was not tried again"
		}
	}
	return ""
}

// passHeld believes a composing after a message whose end did not come.
func (r *referee) passHeld(t *seenThread, l *seenLease, now time.Duration) {
	for _, p := range l.typists {
		if p.heldAt == never || now < p.heldAt+phantomOff {
			continue
		}
		said := p.heldAt
		p.heldAt = never
		r.begin(t, l, p, said+phantomOff)
		p.until = said + r.source.Hold
	}
}

// passTarget lets the far side forget what it forgets by itself.
func (r *referee) passTarget(t *seenThread, l *seenLease, now time.Duration) string {
	if r.target.Expiry == 0 {
		return ""
	}
	dark := l.shownLit + r.target.Expiry
	if !r.off(l.shown) && now >= dark {
		if l.shown == bridge.Composing && !r.life.faulty && l.steady && l.typing(dark) && t.pending == 0 {
			return fmt.Sprintf("(b) the far side stopped showing at %v while typing lasts", dark)
		}
		l.shown = bridge.Stopped
	}
	// A call under way may have changed it.
	if now >= l.lit+r.target.Expiry && l.known != bridge.Paused && l.calling == "" {
		l.known = bridge.Stopped
		l.kept = l.kept && l.on
	}
	return ""
}

// typing reports whether somebody types at a time.
func (l *seenLease) typing(at time.Duration) bool {
	for _, p := range l.typists {
		if p.on && at < p.until {
			return true
		}
	}
	return false
}

// passSource ends what the source said and did not renew.
func (r *referee) passSource(l *seenLease, now time.Duration) {
	for _, p := range l.typists {
		if p.on && now >= p.until {
			p.on = false
			l.ended(p.until)
		}
		if p.owed && now >= p.owedUntil {
			p.owed = false
			l.ended(p.owedUntil)
		}
	}
}

// ended takes note of the end of somebody's typing.
func (l *seenLease) ended(at time.Duration) {
	// Ends that passed unseen come in no order.
	l.offAt = max(l.offAt, at)
	for _, p := range l.typists {
		if p.on || p.owed {
			return
		}
	}
	l.on = false
}

func (r *referee) slack() time.Duration {
	return r.target.MinInterval + 3*maxGoodLatency + 3*maxGoodDisk + 2*busyPause
}

// passOff finds typing that is shown although it ended.
func (r *referee) passOff(l *seenLease, now time.Duration) string {
	if !r.life.faulty && !l.on && l.shown == bridge.Composing && now > l.offAt+r.slack() {
		return fmt.Sprintf("(a) composing is shown although typing ended at %v", l.offAt)
	}
	return ""
}

// passOn finds typing that should be shown and is not.
func (r *referee) passOn(l *seenLease, now time.Duration) string {
	if l.shown == bridge.Composing {
		l.seen = true
	}
	by := l.onAt + r.slack()
	if !r.life.faulty && l.on && l.clean && !l.seen && now > by && l.typing(by) && !r.over[l.conversation] {
		return fmt.Sprintf("typing since %v is not shown", l.onAt)
	}
	return ""
}

func (r *referee) read(line lifeLine) string {
	t := r.threads[line.thread]
	switch line.verb {
	case "begin":
		return r.readBegin(t, r.lease(t, line.conversation, line.who), line)
	case "end":
		r.readEnd(t, line)
	case "mark true", "mark false":
		return r.readMark(t, line)
	case "restart":
		r.closing = true
		for _, t := range r.threads {
			for _, l := range t.leases {
				l.abandon(line.at)
			}
			t.forgive()
		}
	case "blocked":
		return "(e) an input had to wait"
	case "crashed":
		return r.readCrash(line.at)
	case "recover":
		l := r.lease(t, line.conversation, line.who)
		l.known, l.lit, l.behind = shownUnknown, line.at, r.life.pair.moves
		r.marks[Mark{Thread: lifeKey(t.number), Conversation: line.conversation, Agent: line.who}] = true
	case "gone":
		r.over[line.conversation] = true
	case "heal":
	case "well":
		for _, t := range r.threads {
			t.forgive()
		}
	default:
		r.readInput(t, line)
		t.forgive()
	}
	return ""
}

// shownUnknown stands for what is shown after a call that was not answered.
const shownUnknown bridge.TypingState = "unknown"

// forgive counts tries of an end anew: something happened that is a reason.
func (t *seenThread) forgive() {
	for _, l := range t.leases {
		l.failedEnds, l.retryBy = 0, 0
		if l.calling != "" {
			// The call under way belongs to what was before.
			l.failedEnds = -1
		}
	}
}
