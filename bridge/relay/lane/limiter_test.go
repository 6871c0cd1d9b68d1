package lane

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lpbridge/bridge"
)

// steady sends events at a rate over many lanes for a time, and returns how many
// were delivered by its end.
func steady(r *rig, lanes, perSecond int, lasting time.Duration) int {
	random := rand.New(rand.NewPCG(1, 2))
	for began := time.Now(); time.Since(began) < lasting; time.Sleep(time.Second / time.Duration(perSecond)) {
		r.say(random.IntN(lanes))
	}
	_, delivered, _ := r.count()
	return delivered
}

// dice are rolled by several deliveries at once.
type dice struct {
	mu     sync.Mutex
	random *rand.Rand
}

func (d *dice) roll() float64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.Float64()
}

func TestFewThrottlesAndErrorsCostLittle(t *testing.T) {
	for _, latency := range []time.Duration{time.Millisecond, 60 * time.Millisecond, 200 * time.Millisecond} {
		t.Run(latency.String(), func(t *testing.T) {
			run := func(trouble bool) (delivered int) {
				chances := dice{random: rand.New(rand.NewPCG(3, 4))}
				answer := func(context.Context, *bridge.Entry) Verdict {
					time.Sleep(latency)
					switch chance := chances.roll(); {
					case trouble && chance < 0.02:
						return throttles
					case trouble && chance < 0.04:
						return isDown
					}
					return takes
				}
				inBubble(t, 512, answer, func(r *rig) {
					delivered = steady(r, 1000, 200, time.Minute)
					r.drained(5 * time.Minute)
				})
				return delivered
			}
			calm, troubled := run(false), run(true)
			if float64(troubled) < 0.9*float64(calm) {
				t.Errorf("delivered %d with 2%% of 429s and 2%% of 500s, %d without", troubled, calm)
			}
		})
	}
}

func TestSlowFarSideGetsAsManyAtOnceAsItTakes(t *testing.T) {
	answer := func(context.Context, *bridge.Entry) Verdict {
		time.Sleep(60 * time.Millisecond)
		return takes
	}
	inBubble(t, 512, answer, func(r *rig) {
		for n := range 20_000 {
			r.say(n % 2000)
		}
		took := r.drained(time.Minute)
		// 512 at once would take 2.4 s, and to get there takes three rounds.
		if _, _, most := r.count(); most < 500 || took > 2700*time.Millisecond {
			t.Errorf("20000 messages took %v with at most %d at once", took, most)
		}
	})
}

// A far side that becomes slow for reasons of its own gets as many at once as before.
func TestSlownessThatIsNotOurQueueNarrowsNothing(t *testing.T) {
	var latency atomic.Int64
	latency.Store(int64(200 * time.Microsecond))
	answer := func(context.Context, *bridge.Entry) Verdict {
		time.Sleep(time.Duration(latency.Load()))
		return takes
	}
	inBubble(t, 512, answer, func(r *rig) {
		for n := range 20_000 {
			r.say(n % 2000)
		}
		r.drained(time.Minute)
		latency.Store(int64(60 * time.Millisecond))
		for n := range 20_000 {
			r.say(n % 2000)
		}
		// 512 at once take 2.4 s, and to find out takes three rounds.
		if took := r.drained(time.Minute); took > 2700*time.Millisecond {
			t.Errorf("20000 messages took %v, with a limit of %d in the end", took, r.set.Limiter.limit())
		}
	})
}

// The far side takes twenty at once and answers 429 to all others.
func TestLimiterFindsHowManyTheFarSideTakes(t *testing.T) {
	var running, refused, passed atomic.Int64
	answer := func(context.Context, *bridge.Entry) Verdict {
		defer running.Add(-1)
		if running.Add(1) > 20 {
			refused.Add(1)
			return throttles
		}
		time.Sleep(50 * time.Millisecond)
		passed.Add(1)
		return takes
	}
	inBubble(t, 512, answer, func(r *rig) {
		for n := range 10_000 {
			r.say(n % 1000)
		}
		took := r.drained(5 * time.Minute)
		// Twenty at once take 25 s.
		if took > 40*time.Second || refused.Load() > passed.Load()/5 {
			t.Errorf("took %v with %d refusals", took, refused.Load())
		}
	})
}

// The far side takes a hundred a second and answers 429 to all others.
func TestRateLimitIsNotRunInto(t *testing.T) {
	var second, taken, refused atomic.Int64
	answer := func(context.Context, *bridge.Entry) Verdict {
		time.Sleep(2 * time.Millisecond)
		if now := time.Now().Unix(); second.Swap(now) != now {
			taken.Store(0)
		}
		if taken.Add(1) > 100 {
			refused.Add(1)
			return throttles
		}
		return takes
	}
	inBubble(t, 512, answer, func(r *rig) {
		for n := range 5_000 {
			r.say(n % 1000)
		}
		took := r.drained(10 * time.Minute)
		if took > 80*time.Second || refused.Load() > 5000 {
			t.Errorf("took %v with %d refusals, want about 50 s", took, refused.Load())
		}
	})
}

// Latency that grows with the load is a queue at the far side: more at once brings
// nothing.
func TestLimiterDoesNotBuildQueues(t *testing.T) {
	var running atomic.Int64
	answer := func(context.Context, *bridge.Entry) Verdict {
		n := running.Add(1)
		defer running.Add(-1)
		// The far side works at 80 at a time and lets the others wait.
		time.Sleep(50 * time.Millisecond * time.Duration(max(n, 80)) / 80)
		return takes
	}
	inBubble(t, 512, answer, func(r *rig) {
		for n := range 60_000 {
			r.say(n % 2000)
		}
		r.drained(5 * time.Minute)
		if limit := r.set.Limiter.limit(); limit > 300 {
			t.Errorf("the limiter widened to %d where 80 do", limit)
		}
	})
}

func TestBurstOfThrottlesNarrowsOnce(t *testing.T) {
	answer := func(_ context.Context, e *bridge.Entry) Verdict {
		time.Sleep(50 * time.Millisecond)
		return throttles
	}
	inBubble(t, 64, answer, func(r *rig) {
		for n := range 64 {
			r.say(n)
		}
		time.Sleep(60 * time.Millisecond)
		if limit := r.set.Limiter.limit(); limit < 30 {
			t.Errorf("one burst narrowed the limiter from 64 to %d", limit)
		}
	})
}
