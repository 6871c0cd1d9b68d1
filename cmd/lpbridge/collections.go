package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

// A bridge keeps little and allocates much: at full load a heap of ten MiB would be
// collected ten times a second, which takes a tenth of the processor time. So while
// collections follow each other closely, at least some tens of MiB may be allocated
// between two of them; a bridge that is idle keeps no such room.
const (
	// busyRoom is how many bytes may be allocated between two collections.
	busyRoom = 32 << 20
	// busyPause is within which time the next collection makes a process a busy one.
	busyPause = time.Second
	// restPause is after how long without one a process is not busy any more. The
	// runtime collects every two minutes in any case.
	restPause = 10 * time.Second
	// usualPercent is how much the runtime lets a heap grow by default.
	usualPercent = 100
)

// pacer sets how much may be allocated until the next collection.
type pacer struct {
	mu      sync.Mutex
	last    time.Time
	percent int
	// set is debug.SetGCPercent, but in tests.
	set func(percent int) int
}

// paceCollections paces the collections of this process from now on, unless GOGC says
// how. What GOMEMLIMIT says holds in any case.
func paceCollections() {
	if os.Getenv("GOGC") != "" {
		return
	}
	p := &pacer{last: time.Now(), percent: usualPercent, set: debug.SetGCPercent}
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	p.watch(func() {
		metrics.Read(live)
		p.collected(time.Now(), live[0].Value.Uint64())
	})
}

// watch calls f after each collection.
func (p *pacer) watch(f func()) {
	type sentinel struct{ _ *byte }
	var again func(*sentinel)
	again = func(s *sentinel) {
		f()
		runtime.SetFinalizer(s, again)
	}
	runtime.SetFinalizer(&sentinel{}, again)
}

// collected says when a collection ended and how many bytes were alive then.
func (p *pacer) collected(at time.Time, live uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	since := at.Sub(p.last)
	p.last = at
	percent := p.percent
	switch {
	case since > restPause:
		percent = usualPercent
	case since < busyPause || p.percent > usualPercent:
		percent = max(usualPercent, int(busyRoom*100/max(live, 1<<20)))
	}
	// Setting it stops the world for a moment.
	if change := percent - p.percent; change > p.percent/4 || -change > p.percent/4 {
		p.percent = percent
		p.set(percent)
	}
}
