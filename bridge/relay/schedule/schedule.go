// Package schedule runs short functions at stated times, a hundred thousand of
// them on one goroutine and one timer, for a lane or thread that waits must cost no
// more than its row. It assumes that none of them blocks: it would hold up all others.
package schedule

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// Schedule runs short functions at stated times, all on one goroutine and one
// timer, so that a hundred thousand threads cost no timers of their own.
type Schedule struct {
	mu     sync.Mutex
	alarms alarmHeap
	wake   chan struct{}
}

// Alarm is one time in a schedule. The zero value is not scheduled.
type Alarm struct {
	at  time.Time
	run func()
	// index is that in the heap plus one; 0 when not scheduled.
	index int
}

// New makes a schedule; alarms ring once it runs.
func New() *Schedule {
	return &Schedule{wake: make(chan struct{}, 1)}
}

// Set arranges that run is called at the given time, replacing what the alarm
// was set to before. run must not block and may call set and stop.
func (s *Schedule) Set(a *Alarm, at time.Time, run func()) {
	s.mu.Lock()
	a.at, a.run = at, run
	if a.index > 0 {
		heap.Fix(&s.alarms, a.index-1)
	} else {
		heap.Push(&s.alarms, a)
	}
	first := s.alarms[0] == a
	s.mu.Unlock()
	if first {
		s.nudge()
	}
}

// Stop takes the alarm back. An alarm that is about to run may still run.
func (s *Schedule) Stop(a *Alarm) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.index > 0 {
		heap.Remove(&s.alarms, a.index-1)
		a.run = nil
	}
}

func (s *Schedule) nudge() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run serves the schedule until ctx ends.
func (s *Schedule) Run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(s.runDue())
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-s.wake:
		}
	}
}

// runDue runs what is due and returns how long until the next alarm.
func (s *Schedule) runDue() time.Duration {
	for {
		s.mu.Lock()
		if len(s.alarms) == 0 {
			s.mu.Unlock()
			return time.Hour
		}
		wait := time.Until(s.alarms[0].at)
		if wait > 0 {
			s.mu.Unlock()
			return wait
		}
		run := heap.Pop(&s.alarms).(*Alarm).run
		s.mu.Unlock()
		run()
	}
}

// alarmHeap orders alarms by time.
type alarmHeap []*Alarm

func (h alarmHeap) Len() int           { return len(h) }
func (h alarmHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h alarmHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

func (h *alarmHeap) Push(x any) {
	a := x.(*Alarm)
	*h = append(*h, a)
	a.index = len(*h)
}

func (h *alarmHeap) Pop() any {
	old := *h
	a := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	a.index = 0
	return a
}
