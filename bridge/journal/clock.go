package journal

import (
	"sync"
	"time"
)

// Times in the database are those of a clock that never jumps. It runs with the
// machine's, and when that jumps it goes on from where it was: what was to be
// tried again in a minute is, and what was to be kept for a month is, however
// wrong the machine's clock was when either was written down. Times are
// translated when they are written and read, so that who uses the journal sees
// the machine's time, corrected: an event that was accepted a minute before the
// clock jumped a year ahead was accepted a minute ago.
//
// While the process runs, a jump is where the machine's clock and its count of
// elapsed time part. Across a restart only a clock that went backwards can be
// told from time that passed, so that no more than maxAbsence is taken to have
// passed.

const (
	// jump is how far both clocks must part. Less is what keeping a clock right
	// looks like, and is followed.
	jump = time.Minute
	// maxAbsence is how much time passes at most while no process runs.
	maxAbsence = 12 * time.Hour
)

// steadyClock translates between the machine's time and the database's.
type steadyClock struct {
	// wall reads the machine's clock, elapsed how much time really passed since
	// some moment of the process.
	wall    func() time.Time
	elapsed func() time.Duration

	mu sync.Mutex
	// offset is how far the machine's clock is ahead of the database's.
	offset time.Duration
	// Both clocks agreed when they were last looked at.
	lastWall    time.Time
	lastElapsed time.Duration
}

func newSteadyClock(wall func() time.Time, elapsed func() time.Duration) *steadyClock {
	return &steadyClock{wall: wall, elapsed: elapsed}
}

// machineClock is how the clock is read outside of tests.
func machineClock() (wall func() time.Time, elapsed func() time.Duration) {
	began := time.Now()
	// Without its reading of elapsed time the wall clock's jumps show.
	return func() time.Time { return time.Now().Round(0) }, func() time.Duration { return time.Since(began) }
}

// resume sets the clock going where a process before left it: its offset, and
// what the machine's clock said when it last wrote, zero for never.
func (c *steadyClock) resume(offset time.Duration, lastWrote time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now, elapsed := c.wall(), c.elapsed()
	c.offset, c.lastWall, c.lastElapsed = offset, now, elapsed
	if lastWrote.IsZero() {
		return
	}
	switch away := now.Sub(lastWrote); {
	case away < -jump:
		c.offset += away
	case away > maxAbsence:
		c.offset += away - maxAbsence
	}
	c.offset = c.offset.Truncate(time.Microsecond)
}

// read returns the machine's time, after the clock was set back or forward to
// match it.
func (c *steadyClock) read() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.look()
}

func (c *steadyClock) look() time.Time {
	now, elapsed := c.wall(), c.elapsed()
	parted := now.Sub(c.lastWall) - (elapsed - c.lastElapsed)
	if parted > jump || parted < -jump {
		c.offset += parted.Truncate(time.Microsecond)
	}
	c.lastWall, c.lastElapsed = now, elapsed
	return now
}

// shift is how far the machine's clock is ahead of the database's now.
func (c *steadyClock) shift() shift {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	return shift(c.offset)
}

// shift translates times at one moment.
type shift time.Duration

// steady writes a time as it stands in the database.
func (s shift) steady(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return micros(t.Add(-time.Duration(s)))
}

// read reads what steady wrote.
func (s shift) read(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return fromMicros(n).Add(time.Duration(s))
}

// past reads a time that cannot lie ahead.
func (s shift) past(n int64, now time.Time) time.Time {
	t := s.read(n)
	if t.After(now) {
		return now.UTC().Truncate(time.Microsecond)
	}
	return t
}
