package lpsim

import (
	"sync/atomic"
	"time"
)

// travel is how far the simulator's time is ahead of everybody else's.
type travel struct{ by atomic.Int64 }

func (t *travel) ahead() time.Duration { return time.Duration(t.by.Load()) }

// due is the time by which delays are measured. Unlike Config.Now it always moves.
func (t *travel) due() time.Time { return time.Now().Add(t.ahead()) }

const longestTravel = 10 * 365 * 24 * time.Hour

// Advance moves the simulator's time ahead, so that tokens run out, signed addresses end, outages pass, notifications are
// tried again and surveys time out without anybody waiting. What had been due meanwhile happens at once, in its order; what
// that in turn makes due later is counted from the new time. There is no way back.
func (s *Sim) Advance(by time.Duration) error {
	if by <= 0 || s.app.ahead() > longestTravel-by {
		return &FieldError{"advance", "want a duration above 0, such as 90s or 1h, and no more than ten years in all"}
	}
	s.app.by.Add(int64(by))
	nudge(s.messaging.agenda.wake)
	s.stream.publish("clock", func() any { return s.clock() })
	return nil
}

// clockState is what /sim/clock tells.
type clockState struct {
	Now   time.Time `json:"now"`
	Ahead string    `json:"ahead"`
}

func (s *Sim) clock() clockState { return clockState{s.app.Now().UTC(), s.app.ahead().String()} }

// advancing is the body of POST /sim/clock.
type advancing struct {
	Advance string `json:"advance"`
}

func (a advancing) duration() (time.Duration, error) {
	d, err := time.ParseDuration(a.Advance)
	if err != nil {
		return 0, &FieldError{"advance", "want a duration such as 90s or 1h"}
	}
	return d, nil
}
