package lane

import (
	"context"
	"time"

	"lpbridge/bridge"
)

const (
	// sweepPage is how many lanes are read at a time.
	sweepPage = 500
	// sweepPause is how soon a sweep may follow another.
	sweepPause = time.Second
)

// sweeper finds the lanes that are in the journal only, which are those of earlier
// processes and those there was no room for.
type sweeper struct {
	set *Set

	// The lock of the set guards the rest. strays says that the journal may hold
	// entries of lanes that are not in memory, strayed that this came to be since
	// the last sweep began, oldest since when the oldest known to be there waits, by
	// channel.
	strays, strayed bool
	oldest          oldest

	// came is sent to when there are strays where there were none.
	came chan struct{}
}

// newSweeper makes one that knows nothing of what an earlier process left.
func newSweeper(s *Set) sweeper {
	return sweeper{set: s, strays: true, strayed: true, oldest: oldest{}, came: make(chan struct{}, 1)}
}

// Run finds the lanes that are in the journal only until ctx ends.
func (s *Set) Run(ctx context.Context) { s.sweeper.run(ctx) }

func (w *sweeper) run(ctx context.Context) {
	for w.sweep(ctx) && w.awaitStrays(ctx) {
	}
}

// stray notes that the journal holds entries of lanes that are not in memory,
// and of a channel since when its oldest may have waited.
func (w *sweeper) stray(channel string, since time.Time) {
	w.strays, w.strayed = true, true
	select {
	case w.came <- struct{}{}:
	default:
	}
	w.oldest.note(channel, since)
}

// sweep goes through all lanes that hold pending entries, as fast as there is
// room for them. It returns false when ctx has ended.
func (w *sweeper) sweep(ctx context.Context) bool {
	s := w.set
	s.mu.Lock()
	w.strayed = false
	s.mu.Unlock()
	var after bridge.LaneKey
	for {
		page, err := s.Journal.Lanes(ctx, after, sweepPage)
		if err != nil && ctx.Err() != nil {
			// It was asked to stop, which is no trouble of the journal's.
			return false
		}
		if err != nil {
			s.Log.Error("the journal cannot list what is pending", "far_side", s.Name, "error", err)
			if !rest(ctx, loadRetry) {
				return false
			}
			continue
		}
		for _, key := range page {
			if after = key; s.Mine(key) && !w.adopt(ctx, key) {
				return false
			}
		}
		if ctx.Err() != nil {
			return false
		}
		if len(page) < sweepPage {
			break
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if w.strays = w.strayed; !w.strays {
		clear(w.oldest)
	}
	return true
}

// adopt gives a lane of the journal's a place in memory, once there is room. While
// the far side is not well there will be none; then it stays where it is.
func (w *sweeper) adopt(ctx context.Context, key bridge.LaneKey) bool {
	s := w.set
	for {
		s.mu.Lock()
		known, full, well := s.byKey[key] != nil, len(s.byKey) >= maxLanes, s.far.health == Well
		switch {
		case known:
		case !full:
			l := s.newLane(key)
			s.enqueue(l)
			s.startWorkers()
		case !well:
			w.stray(key.Channel, time.Time{})
		}
		s.mu.Unlock()
		if known || !full || !well {
			return ctx.Err() == nil
		}
		if !rest(ctx, 10*time.Millisecond) {
			return false
		}
	}
}

// awaitStrays returns true when a sweep is worth while.
func (w *sweeper) awaitStrays(ctx context.Context) bool {
	s := w.set
	for w.awaitStray(ctx) && rest(ctx, sweepPause) {
		s.mu.Lock()
		worth := w.strays && s.far.health == Well && len(s.byKey) < maxLanes/2
		s.mu.Unlock()
		if worth {
			return true
		}
	}
	return false
}

// awaitStray returns when there are strays, and false when ctx has ended.
func (w *sweeper) awaitStray(ctx context.Context) bool {
	for {
		w.set.mu.Lock()
		strays := w.strays
		w.set.mu.Unlock()
		if strays {
			return ctx.Err() == nil
		}
		select {
		case <-w.came:
		case <-ctx.Done():
			return false
		}
	}
}

func rest(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// newLane makes a lane whose entries may be in the journal already.
func (s *Set) newLane(key bridge.LaneKey) *lane {
	l := &lane{key: key, behind: s.sweeper.strays, recovered: s.sweeper.strays}
	s.byKey[key] = l
	return l
}
