package lane

import (
	"slices"
	"time"
)

const (
	// firstPause and maxReplayPause are the shortest and the longest pause between
	// two tries of LivePerson's to bring a notification (Webhooks, Retry Policy: 2,
	// 4, 8 s and so on, up to 5 minutes).
	firstPause     = 2 * time.Second
	maxReplayPause = 5 * time.Minute
	// grown is after how long these pauses are as long as they get.
	grown = 3 * maxReplayPause
	// missed is how soon after an absence a try may meet nobody: a process that
	// starts is hardly there.
	missed = time.Second / 2
	// shortly is how soon a try changes nothing about how long an echo is awaited.
	shortly = 10 * time.Second
	// absencesKept is how many absences in a row are known.
	absencesKept = 64
)

// Replay is what LivePerson makes up for after absences: what happened before Back
// comes by By. It is stored, encoded as JSON.
type Replay struct {
	Back time.Time `json:"Back"`
	By   time.Time `json:"By"`
	// Next is by when LivePerson must have tried once more.
	Next time.Time `json:"Next"`
	// Away are the absences since a notification came, and what came before them was
	// told. There is none when the last one is known to have ended for LivePerson.
	Away []Absence `json:"Away,omitempty"`
}

// Absence is a time in which no process was there, as far as the journal knows.
type Absence struct {
	From time.Time `json:"From"`
	To   time.Time `json:"To"`
}

// After is the replay that an absence leads to when others may not have ended.
func (r Replay) After(from, to time.Time) Replay {
	if most := to.Add(maxReplayPause); r.By.After(most) {
		// The clock was ahead.
		r.By = most
	}
	if r.By.Before(to) {
		r.Back, r.By = time.Time{}, time.Time{}
	}
	r.Away = append(slices.Clip(r.Away), Absence{from, to})
	r.Away = r.Away[max(0, len(r.Away)-absencesKept):]
	if r.Next = r.nextTry(to); r.Next.Sub(to) > shortly {
		if r.Back = to; r.Next.After(r.By) {
			r.By = r.Next
		}
	}
	return r
}

// Met is the replay once a notification came: an absence that comes now is
// another one.
func (r Replay) Met() Replay {
	r.Away = nil
	return r
}

// nextTry is the latest time from now on at which the first try can be made, whenever
// in an absence LivePerson began to fail; zero when one of its tries would have met
// somebody.
func (r Replay) nextTry(now time.Time) (latest time.Time) {
	try := func(at time.Time, pause time.Duration) {
		if next := r.following(at, pause, now); next.After(latest) {
			latest = next
		}
	}
	for _, a := range r.Away {
		begin := a.From
		if a.To.Sub(begin) > grown {
			begin = a.To.Add(-grown)
			for at := a.To.Add(-maxReplayPause); !at.After(a.To); at = at.Add(time.Second) {
				try(at, maxReplayPause)
			}
		}
		for at := begin; !at.After(a.To); at = at.Add(time.Second / 2) {
			try(at, firstPause)
		}
	}
	return latest
}

// following is the first try from now on after one at a time, when those before met
// nobody.
func (r Replay) following(at time.Time, pause time.Duration, now time.Time) time.Time {
	for {
		at = at.Add(pause)
		switch {
		case !at.Before(now):
			return at
		case !r.away(at):
			return time.Time{}
		}
		pause = min(2*pause, maxReplayPause)
	}
}

// away reports whether a try may have met nobody.
func (r Replay) away(at time.Time) bool {
	for _, a := range r.Away {
		if !at.Before(a.From) && !at.After(a.To.Add(missed)) {
			return true
		}
	}
	return false
}
