package lpsim

import (
	"container/heap"
	"context"
	"sync"
	"time"
)

// agenda does things later: one goroutine and one timer for all of a simulator's delays. What it does must not
// block.
type agenda struct {
	*travel
	mu    sync.Mutex
	items appointments
	count int // breaks ties, so that things due at one instant happen in the order they were asked for
	wake  chan struct{}
}

type appointment struct {
	due   time.Time
	order int
	do    func()
}

func newAgenda(t *travel) *agenda { return &agenda{travel: t, wake: make(chan struct{}, 1)} }

func (a *agenda) after(d time.Duration, do func()) {
	a.mu.Lock()
	a.count++
	heap.Push(&a.items, appointment{a.due().Add(d), a.count, do})
	first := a.items[0].order == a.count
	a.mu.Unlock()
	if first {
		nudge(a.wake)
	}
}

func nudge(wake chan<- struct{}) {
	select {
	case wake <- struct{}{}:
	default:
	}
}

func (a *agenda) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		timer.Reset(a.doDue())
		select {
		case <-timer.C:
		case <-a.wake:
		case <-ctx.Done():
			return
		}
	}
}

// doDue does everything due and tells how long until the next.
func (a *agenda) doDue() time.Duration {
	for {
		a.mu.Lock()
		if len(a.items) == 0 {
			a.mu.Unlock()
			return time.Hour
		}
		if wait := a.items[0].due.Sub(a.due()); wait > 0 {
			a.mu.Unlock()
			return wait
		}
		next := heap.Pop(&a.items).(appointment)
		a.mu.Unlock()
		next.do()
	}
}

type appointments []appointment

func (a appointments) Len() int      { return len(a) }
func (a appointments) Swap(i, j int) { a[i], a[j] = a[j], a[i] }
func (a appointments) Less(i, j int) bool {
	if a[i].due.Equal(a[j].due) {
		return a[i].order < a[j].order
	}
	return a[i].due.Before(a[j].due)
}
func (a *appointments) Push(x any) { *a = append(*a, x.(appointment)) }
func (a *appointments) Pop() any {
	last := (*a)[len(*a)-1]
	(*a)[len(*a)-1] = appointment{}
	*a = (*a)[:len(*a)-1]
	return last
}
