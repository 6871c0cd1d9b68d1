package typing

import (
	"slices"
	"time"

	"lpbridge/bridge"
)

// held is the state of a typist whose composing came right after a message: it
// is believed when no end of it comes.
const held bridge.TypingState = "held"

// typistsMost is how many may share an indicator: a channel that makes up devices
// must not fill the memory.
const typistsMost = 32

// typist is one person, or one of a consumer's devices, as the source sees it.
// Who does not type is not remembered.
type typist struct {
	id    string
	state bridge.TypingState
	// heard is when composing was last said, until when state ends by itself.
	heard, until time.Time
	// behind says that composing was heard while messages were on their way, so
	// that it may not be told before them.
	behind bool
}

// hearComposing takes note that somebody composes.
func (l *lease) hearComposing(id string, now time.Time) {
	p := l.typist(id)
	switch {
	case p == nil && len(l.typists) >= typistsMost:
		l.thread.clock.cfg.Counts.Dropped(dropCrowded)
		return
	case p == nil && now.Before(l.phantom):
		wait := min(phantomOff, l.thread.side.source.Hold)
		l.typists = append(l.typists, typist{id: id, state: held, heard: now, until: now.Add(wait)})
		return
	case p == nil:
		l.typists = append(l.typists, typist{id: id})
		p = &l.typists[len(l.typists)-1]
	case p.state == held && now.Before(l.phantom):
		return
	}
	l.compose(p, now)
	p.until = now.Add(l.thread.side.source.Hold)
}

// compose makes a typist compose. A repeat keeps its place among the messages.
func (l *lease) compose(p *typist, now time.Time) {
	begins := p.state != bridge.Composing
	if begins {
		p.state, p.behind = bridge.Composing, l.thread.pending > 0
	}
	p.heard = now
	l.ask(begins)
}

// hearLess takes a pause or an end of a typist.
func (l *lease) hearLess(id string, state bridge.TypingState, now time.Time) {
	l.unpark(0, now)
	p := l.typist(id)
	switch {
	case p == nil:
		return
	case state == bridge.Paused && p.state != held:
		p.state, p.until = bridge.Paused, now.Add(l.thread.side.source.Hold)
	default:
		l.silence(bridge.Stopped, func(p *typist) bool { return p.id == id })
	}
	l.follow(now)
}

// silence ends what some typists do.
func (l *lease) silence(end bridge.TypingState, whose func(*typist) bool) {
	l.typists = slices.DeleteFunc(l.typists, func(p typist) bool {
		if !whose(&p) {
			return false
		}
		if p.state == held {
			l.thread.clock.cfg.Counts.Dropped(dropPhantom)
		} else {
			l.end = end
		}
		return true
	})
}

func everybody(*typist) bool { return true }

// ageTypists ends what the source said and did not renew.
func (l *lease) ageTypists(now time.Time) {
	source := &l.thread.side.source
	for i := range l.typists {
		p := &l.typists[i]
		if p.state == held && !now.Before(p.until) {
			p.until = p.heard.Add(source.Hold)
			l.compose(p, now)
		}
		if p.state == bridge.Composing && source.Repeats && !now.Before(p.until) {
			p.state, p.until = bridge.Paused, p.until.Add(source.Hold)
		}
	}
	l.silence(l.thread.side.expired, func(p *typist) bool { return !now.Before(p.until) })
	l.follow(now)
}
