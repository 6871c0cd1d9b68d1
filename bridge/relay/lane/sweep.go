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

// stray notes that the journal holds entries of lanes that are not in memory,
// and since when the oldest may have waited.
func (s *Set) stray(oldest time.Time) {
	s.strays, s.strayed = true, true
	if !oldest.IsZero() && (s.oldestStray.IsZero() || oldest.Before(s.oldestStray)) {
		s.oldestStray = oldest
	}
}

// Run finds the lanes that are in the journal only, which are those of earlier
// processes and those there was no room for, until ctx ends.
func (s *Set) Run(ctx context.Context) {
	for s.sweep(ctx) && s.waitForStrays(ctx) {
	}
}

// sweep goes through all lanes that hold pending entries, as fast as there is
// room for them. It returns false when ctx has ended.
func (s *Set) sweep(ctx context.Context) bool {
	s.mu.Lock()
	s.strayed = false
	s.mu.Unlock()
	var after bridge.LaneKey
	for {
		page, err := s.Journal.Lanes(ctx, after, sweepPage)
		if err != nil {
			s.Log.Error("the journal cannot list what is pending", "far_side", s.Name, "error", err)
			if !rest(ctx, LoadRetry) {
				return false
			}
			continue
		}
		for _, key := range page {
			if after = key; s.Mine(key) && !s.adopt(ctx, key) {
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
	if s.strays = s.strayed; !s.strays {
		s.oldestStray = time.Time{}
	}
	return true
}

// adopt gives a lane of the journal's a place in memory, once there is room. While
// the far side is not well there will be none; then it stays where it is.
func (s *Set) adopt(ctx context.Context, key bridge.LaneKey) bool {
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
			s.stray(time.Time{})
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

// waitForStrays returns true when a sweep is worth while.
func (s *Set) waitForStrays(ctx context.Context) bool {
	for rest(ctx, sweepPause) {
		s.mu.Lock()
		worth := s.strays && s.far.health == Well && len(s.byKey) < maxLanes/2
		s.mu.Unlock()
		if worth {
			return true
		}
	}
	return false
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
	l := &lane{key: key, behind: s.strays, recovered: s.strays}
	s.byKey[key] = l
	return l
}

// RecoveredAll reports whether everything that an earlier process may have
// delivered has been in memory.
func (s *Set) RecoveredAll() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.strays {
		return false
	}
	for _, l := range s.byKey {
		if l.recovered {
			return false
		}
	}
	return true
}
