package lane

import (
	"context"
	"time"

	"lpbridge/bridge"
)

// longestPause is the longest a delivery is ever put off. What is written down
// as later was written by a clock that was ahead.
const longestPause = 10 * time.Minute

// scarceWindow is how many entries of a lane are read when memory is scarce.
const scarceWindow = 8

// load reads the next window of a lane from the journal, or waits for somebody
// who does. It gives up the lock meanwhile.
func (s *Set) load(ctx context.Context, l *lane) bool {
	if reading := l.loading; reading != nil {
		s.mu.Unlock()
		defer s.mu.Lock()
		select {
		case <-reading:
			return true
		case <-ctx.Done():
			return false
		}
	}
	l.missed = false
	l.loading = make(chan struct{})
	s.mu.Unlock()
	window := laneWindow
	if s.Budget.tight() {
		window = scarceWindow
	}
	page, err := s.Journal.PendingOf(ctx, l.key, l.last, window)
	s.mu.Lock()
	close(l.loading)
	l.loading = nil
	if err != nil {
		return false
	}
	full := len(page) == window
	for i := range page {
		e := &page[i]
		if e.Seq > s.Boot && e.Seq > s.newest {
			// It is on disk and not handed over yet: it comes by itself.
			full = false
			break
		}
		e.NextTry = within(e.NextTry, longestPause)
		// The mark that was read may be about to be taken back.
		e.Begun = false
		s.Loaded(e)
		if d := e.Doubt; d != nil && d.Since.After(time.Now()) {
			// The clock was ahead.
			e.Doubt = &bridge.Doubt{Since: time.Now(), Dialogs: d.Dialogs}
		}
		s.hold(l, e)
	}
	l.recovered, l.oldest = false, time.Time{}
	l.behind = l.missed || full
	return true
}

// within brings a time from disk into this process's own reckoning, so that
// setting the clock back makes nobody wait, and cuts what lies too far ahead.
func within(t time.Time, most time.Duration) time.Time {
	if t.IsZero() {
		return t
	}
	now := time.Now()
	return now.Add(min(t.Sub(now), most))
}
