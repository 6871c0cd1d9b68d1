package lane

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"time"

	"lpbridge/bridge"
)

// heap is how many bytes are in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// During an outage a backlog stays in the journal, however it is spread over
// lanes, and all of it goes out afterwards in order.
func TestBacklogStaysInTheJournal(t *testing.T) {
	for _, lanes := range []int{100, 20_000} {
		var o outage
		var mu sync.Mutex
		last := map[bridge.LaneKey]int64{}
		answer := func(ctx context.Context, e *bridge.Entry) Verdict {
			v := o.answer(ctx, e)
			mu.Lock()
			defer mu.Unlock()
			if v.Sign == SaysWell {
				if e.Seq < last[e.Lane] {
					t.Errorf("entry %d went out after %d", e.Seq, last[e.Lane])
				}
				last[e.Lane] = e.Seq
			}
			return v
		}
		inBubble(t, 1, answer, func(r *rig) {
			const total = 60_000
			o.begin(time.Hour, isDown, 0)
			payload := make([]byte, 600)
			before := heap()
			for n := range total {
				e := bridge.Entry{Lane: laneKey(n % lanes), Kind: bridge.KindMessage}
				added := r.store.append(e)[0]
				added.Payload = payload[: len(payload)-1 : len(payload)]
				r.announced.Add(1)
				r.set.Add(added)
			}
			time.Sleep(time.Minute)
			stored := heap()
			r.set.mu.Lock()
			known, held := len(r.set.byKey), r.set.Budget.used.Load()
			r.set.mu.Unlock()
			if known > maxLanes || held > defaultBudget {
				t.Errorf("%d lanes: %d are in memory with %d bytes", lanes, known, held)
			}
			if n := r.announced.Load(); n > total/4 {
				t.Errorf("%d lanes: %d entries are announced", lanes, n)
			}
			t.Logf("%d lanes: %d known, %d MiB held, heap %d MiB of which the test's journal is most", lanes, known, held>>20, (stored-before)>>20)
			if lanes == 100 {
				r.set.mu.Lock()
				r.set.Limiter = NewLimiter(64)
				r.set.mu.Unlock()
				o.end()
				r.drained(time.Hour)
				if n := r.announced.Load(); n != 0 {
					t.Errorf("%d entries are announced after everything went out", n)
				}
				if used := r.set.Budget.used.Load(); used != 0 {
					t.Errorf("%d bytes are held for nothing", used)
				}
			}
		})
	}
}

func TestLanesBeyondMemoryAreFoundAgain(t *testing.T) {
	var o outage
	inBubble(t, 512, o.answer, func(r *rig) {
		const lanes = maxLanes + 5000
		o.begin(time.Minute, isDown, 0)
		for n := range lanes {
			r.say(n)
		}
		time.Sleep(time.Minute)
		if known, _ := r.set.Backlog(); known > maxLanes {
			t.Errorf("%d lanes are in memory", known)
		}
		r.drained(5 * time.Minute)
		if n := r.announced.Load(); n != 0 {
			t.Errorf("%d entries are announced after everything went out", n)
		}
		time.Sleep(10 * time.Second)
		if known, _ := r.set.Backlog(); known != 0 || !r.set.recoveredAll() {
			t.Errorf("%d lanes are left", known)
		}
	})
}

// recoveredAll reports whether everything that an earlier process may have
// delivered has been in memory.
func (s *Set) recoveredAll() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sweeper.strays {
		return false
	}
	for _, l := range s.byKey {
		if l.recovered {
			return false
		}
	}
	return true
}
