package journal

import (
	"context"
	"errors"
	"fmt"
	"time"

	"lpbridge/bridge"
)

// A database that is not in this process may carry out a commit whose answer is lost. Then
// nothing is written before it is known whether it took place, for what is in memory
// must be what is on disk: numbers that were given, keys that were learned, counts. Who
// waits for an event to be accepted is told at once that it is not known to be; the
// sender repeats it and meets its key. All others wait for the truth.

// closingPatience is how long a stop waits for it.
const closingPatience = 3 * time.Second

var (
	// errAway means that the database does not answer: nothing was changed.
	errAway = errors.New("PostgreSQL does not answer")
	// errUnanswered means that nobody knows yet whether a commit took place.
	errUnanswered = errors.New("the answer to a commit was lost")
)

// uncertain is an engine whose commits may go unanswered.
type uncertain interface {
	// fate says whether the transaction took place whose answer was lost.
	fate(ctx context.Context) (committed bool, err error)
}

// awaitFate finds out how a commit ended, and returns nil if it took place.
func (w *writer) awaitFate(writes []write, cause error) error {
	asked, able := w.j.db.engine.(uncertain)
	if !able {
		return cause
	}
	var closing time.Time
	for {
		committed, err := asked.fate(context.Background())
		switch {
		case err == nil && committed:
			return nil
		case err == nil:
			return fmt.Errorf("%w: a transaction did not take place", errAway)
		case w.j.db.severityOf(err) == broken:
			return err
		}
		w.complain(err)
		if w.sendAway(writes, fmt.Errorf("%w: %w", bridge.ErrStorage, err)) {
			closing = firstTime(closing)
		}
		if !closing.IsZero() && time.Since(closing) > closingPatience {
			return cause
		}
		// A journal that is closed meanwhile waits for this too.
		<-time.After(retryPatience / 2)
	}
}

func firstTime(t time.Time) time.Time {
	if t.IsZero() {
		return time.Now()
	}
	return t
}

// sendAway answers those who wait to be accepted with writes whose fate is unknown, and
// those who came since. It reports whether the journal is closing.
func (w *writer) sendAway(unknown []write, err error) (closing bool) {
	for _, s := range unknown {
		if a, ok := s.(*appendWrite); ok {
			a.wait.finish(err)
		}
	}
	w.mu.Lock()
	came := w.queue
	w.queue = nil
	closing = w.last != nil
	w.mu.Unlock()
	kept := finishWaited(came, err)
	w.mu.Lock()
	w.queue = append(kept, w.queue...)
	w.mu.Unlock()
	return closing
}
