package lane

import (
	"sync"
	"time"
)

// Reach is what is known of whether LivePerson's notifications reach this process:
// one that was refused holds back all others (Webhooks, Retry Policy), and so does
// one that found nobody. All methods may be called at once.
type Reach struct {
	mu sync.Mutex
	// replay is that of the absence before the process started.
	replay Replay
	// met is when the first notification was taken since the start, or since the
	// last one that was refused; zero while none was.
	met time.Time
	// failing and refused are when the first and the last one of a row were refused.
	failing, refused time.Time
}

// NewReach is the reach of a process that starts after an absence.
func NewReach(r Replay) *Reach { return &Reach{replay: r} }

// Taken notes that a notification was taken, and reports whether it is the first
// after a time in which none was.
func (r *Reach) Taken() (first bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if first = r.met.IsZero(); first {
		r.met = time.Now()
	}
	return first
}

// Refused notes that a notification was refused, and returns what the next process
// must know; news is false where it knows that already.
func (r *Reach) Refused() (left Replay, news bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if r.failing.IsZero() || !r.met.IsZero() && r.met.After(r.refused) {
		r.failing = now
		if r.met.IsZero() && len(r.replay.Away) > 0 {
			r.failing = r.replay.Away[0].From
		}
	}
	news = now.Sub(r.refused) >= time.Second
	r.refused, r.met = now, time.Time{}
	left = Replay{Back: r.replay.Back, By: r.replay.By, Away: []Absence{{r.failing, now}}}
	return left, news
}

// nextTry is by when LivePerson tries again after the last refusal.
func (r *Reach) nextTry() time.Time {
	return r.refused.Add(min(max(2*r.refused.Sub(r.failing), firstPause), maxReplayPause))
}

// until is by when LivePerson has tried to tell of what happened at a time, or that
// time itself where nothing holds it back.
func (r *Reach) until(happened time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	until := happened
	later := func(by time.Time) {
		if by.After(until) {
			until = by
		}
	}
	met := func(by time.Time) time.Time {
		if !r.met.IsZero() && r.met.Before(by) {
			return r.met
		}
		return by
	}
	switch by := r.replay.By; {
	case !happened.After(r.replay.Back):
		later(by)
	default:
		// What happened since waits behind it, until LivePerson tries.
		later(met(by))
	}
	if !r.refused.IsZero() {
		later(met(r.nextTry()))
	}
	return until
}
