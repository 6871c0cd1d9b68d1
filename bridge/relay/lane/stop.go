package lane

import (
	"context"
	"slices"
	"time"

	"lpbridge/bridge"
)

const (
	// At a stop what the journal refuses is handed over so many times, with a pause
	// after each: a disk that was full for a moment, or locked, costs nothing.
	stopTries = 12
	stopPause = 250 * time.Millisecond
)

// Stop lets deliveries that are under way end and starts no more. It returns
// when all ended and the journal has what became of them, or ctx ends. What the journal
// refuses is handed over again for some seconds: it is closed next.
func (s *Set) Stop(ctx context.Context) error {
	release := context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rested.Broadcast()
	})
	defer release()
	err := halt(ctx, s)
	for range stopTries {
		refused := refusedOf(s)
		if len(refused) == 0 {
			break
		}
		for _, w := range refused {
			w.again(s)
		}
		if halt(ctx, s) != nil || ctx.Err() != nil || len(refusedOf(s)) == 0 {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(stopPause):
		}
	}
	return err
}

// halt starts no more deliveries, and waits until all have ended and the journal has
// said of each whether it takes the end.
func halt(ctx context.Context, s *Set) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopping = true
	for (s.running > 0 || anyUnanswered(s.byKey)) && ctx.Err() == nil {
		s.rested.Wait()
	}
	if s.running > 0 {
		return ctx.Err()
	}
	return nil
}

// anyUnanswered reports whether the journal has yet to say what became of a settlement.
func anyUnanswered(lanes map[bridge.LaneKey]*lane) bool {
	for _, l := range lanes {
		if l.doubted != nil && !l.doubted.waits || slices.ContainsFunc(l.open, func(w *settling) bool { return !w.waits }) {
			return true
		}
	}
	return false
}

// refusedOf lists what the journal refused and still matters.
func refusedOf(s *Set) (refused []*settling) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.byKey {
		for _, w := range l.open {
			if w.waits {
				refused = append(refused, w)
			}
		}
		if w := l.doubted; w != nil && w.waits && len(l.queue) > 0 && l.queue[0].Seq == w.Seq {
			refused = append(refused, w)
		}
	}
	return refused
}
