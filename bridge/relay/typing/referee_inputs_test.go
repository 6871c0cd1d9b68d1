package typing

import (
	"fmt"
	"time"

	"lpbridge/bridge"
)

func (r *referee) readInput(t *seenThread, line lifeLine) {
	switch line.verb {
	case "composing":
		l := r.lease(t, t.at, line.who)
		r.readComposing(t, l, l.typist(line.who), line.at)
	case "queued":
		r.readQueued(t, line)
	case "sent":
		r.readSent(t, line)
	case "left":
		for _, l := range t.here() {
			l.less(line.at, func(who string) bool { return who == line.who })
		}
	case "lost", "clear":
		for _, l := range t.here() {
			l.less(line.at, nil)
			if line.verb == "clear" {
				l.abandon(line.at)
			}
		}
	case "forget", "leave", "back":
		r.readMove(t, line)
	case "traffic":
	case "paused":
		// A pause of somebody whose composing is not believed yet is its end too.
		fallthrough
	default:
		r.lease(t, t.at, line.who).less(line.at, func(who string) bool { return who == line.who })
	}
}

// less ends the typing of some, or of all.
func (l *seenLease) less(at time.Duration, whose func(string) bool) {
	for who, p := range l.typists {
		if whose == nil || whose(who) {
			p.on, p.heldAt = false, never
		}
	}
	l.ended(at)
}

// abandon ends what is owed, too, and does not wait for the interval.
func (l *seenLease) abandon(at time.Duration) {
	l.exempt, l.steady = true, false
	for _, p := range l.typists {
		p.on, p.owed, p.heldAt = false, false, never
	}
	l.ended(at)
}

func (r *referee) readComposing(t *seenThread, l *seenLease, p *seenTypist, at time.Duration) {
	if at < t.phantom && !p.on {
		if p.heldAt == never {
			p.heldAt = at
		}
		return
	}
	p.heldAt = never
	r.begin(t, l, p, at)
	p.until = at + r.source.Hold
}

// begin has a typist compose.
func (r *referee) begin(t *seenThread, l *seenLease, p *seenTypist, at time.Duration) {
	p.heard = at
	if !l.behind {
		l.vain = 0
	}
	if p.on {
		return
	}
	p.on, p.since = true, r.line
	l.ons, l.failedEnds = 0, 0
	if !l.on {
		l.on, l.onAt, l.seen, l.clean = true, at, false, t.pending == 0
	}
}

// author reports whether a typist wrote a message; a consumer's devices are not
// told apart there.
func (r *referee) author(line lifeLine, who string) bool { return r.life.pair.moves || who == line.who }

func (r *referee) readQueued(t *seenThread, line lifeLine) {
	if t.pending == 0 {
		t.queuedAt = r.line
	}
	t.pending++
	for _, l := range t.here() {
		l.clean, l.steady = false, false
	}
	l := r.lease(t, t.at, line.who)
	t.phantom = line.at + r.source.PhantomWindow
	for who, p := range l.typists {
		if !r.author(line, who) {
			continue
		}
		p.heldAt = never
		if p.on {
			if !p.owed {
				p.owedUntil = p.until
			}
			p.on, p.owed = false, true
		}
	}
}

func (r *referee) readSent(t *seenThread, line lifeLine) {
	t.pending--
	l := r.lease(t, t.at, line.who)
	for who, p := range l.typists {
		p.owed = p.owed && !r.author(line, who)
	}
	l.exempt = true
	l.ended(line.at)
	if t.pending > 0 || !r.source.Sticky {
		return
	}
	// Who began behind the messages is shown now, if the hold lasts.
	for _, l := range t.here() {
		if l.on && !l.seen && l.typing(line.at) {
			l.onAt, l.clean = line.at, true
		}
	}
}

// readMove has the thread leave its conversation.
func (r *referee) readMove(t *seenThread, line lifeLine) {
	for _, l := range t.here() {
		l.abandon(line.at)
		if l.calling != "" || !r.off(l.known) {
			l.known, l.behind = shownUnknown, true
		}
	}
	if line.verb == "forget" {
		r.over[t.at] = t.at != ""
		r.forget(t, t.at)
	}
	t.at = r.next(t, line)
	for _, l := range t.here() {
		// The interval counts in a conversation from when the thread came.
		l.lastCall, l.lastOn = never, never
	}
}

// next is where a thread goes, as [typingLife.move] decides it.
func (r *referee) next(t *seenThread, line lifeLine) string {
	if t.at == "" {
		return ""
	}
	var n int
	if _, err := fmt.Sscanf(t.at, fmt.Sprintf("c%d-%%d", t.number), &n); err != nil {
		return err.Error()
	}
	if line.verb == "back" && n > 0 {
		n -= 2
	}
	return fmt.Sprintf("c%d-%d", t.number, n+1)
}

// forget drops what is known of a conversation that is over.
func (r *referee) forget(t *seenThread, conversation string) {
	if conversation == t.at {
		t.phantom = 0
	}
	var rest []*seenLease
	for _, l := range t.leases {
		if l.conversation != conversation {
			rest = append(rest, l)
		}
	}
	t.leases = rest
}

// readCrash has a process die: what it knew is gone, and what it told is marked.
func (r *referee) readCrash(at time.Duration) string {
	for _, t := range r.threads {
		for _, l := range t.leases {
			mark := Mark{Thread: lifeKey(t.number), Conversation: l.conversation, Agent: l.who}
			if r.target.Expiry == 0 && !r.off(l.shown) && !r.marks[mark] {
				return "C4 a killed process leaves typing without a mark"
			}
			l.abandon(at)
			l.calling, l.known, l.kept, l.vain = "", bridge.Stopped, false, 0
			l.lastCall, l.lastOn = never, never
		}
		t.queuedAt, t.phantom = r.line, 0
		if t.pending > 0 {
			// What is on its way still is met again.
			t.phantom = at + r.source.PhantomWindow
		}
		t.forgive()
	}
	// A new process does not know of a pause.
	r.pause, r.closing = 0, false
	return ""
}

func (r *referee) readMark(t *seenThread, line lifeLine) string {
	mark := Mark{Thread: lifeKey(t.number), Conversation: line.conversation, Agent: line.who}
	r.marks[mark] = line.verb == "mark true"
	l := r.lease(t, line.conversation, line.who)
	if !r.marks[mark] && !r.off(l.shown) && r.target.Expiry == 0 && !r.over[line.conversation] {
		return "the mark is taken back while typing is shown"
	}
	return ""
}
