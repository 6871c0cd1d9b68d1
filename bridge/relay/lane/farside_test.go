package lane

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"lpbridge/bridge"
)

// outage is a far side that fails in one way for a time.
type outage struct {
	until   time.Time
	failing Verdict
	hangs   time.Duration

	mu    sync.Mutex
	calls []time.Time
}

func (o *outage) answer(ctx context.Context, _ *bridge.Entry) Verdict {
	if time.Now().Before(o.until) {
		o.mu.Lock()
		o.calls = append(o.calls, time.Now())
		o.mu.Unlock()
		select {
		case <-time.After(o.hangs):
		case <-ctx.Done():
		}
		return o.failing
	}
	time.Sleep(10 * time.Millisecond)
	return takes
}

func TestFirstSuccessAfterAnOutageReleasesAll(t *testing.T) {
	for _, lanes := range []int{1, 2, 50, 5000} {
		for _, failing := range []Verdict{isDown, refuses, says5xx} {
			for _, hangs := range []time.Duration{0, 10 * time.Second} {
				t.Run(fmt.Sprint(lanes, " lanes, ", failing.Reason, ", after ", hangs), func(t *testing.T) {
					var o outage
					inBubble(t, 512, func(ctx context.Context, e *bridge.Entry) Verdict { return o.answer(ctx, e) }, func(r *rig) {
						o.until, o.failing, o.hangs = time.Now().Add(time.Hour), failing, hangs
						for n := range lanes {
							r.say(n)
						}
						time.Sleep(time.Hour)
						if took := r.drained(time.Hour); took > 10*time.Second+hangs {
							t.Errorf("everything was out %v after the far side was back", took)
						}
						// A probe every five seconds, and what was under way when it began.
						if len(o.calls) > 3600/5+lanes+50 {
							t.Errorf("%d calls in an hour of outage", len(o.calls))
						}
						if want := []Health{Down, Well}; failing.Sign == SaysDown && !slices.Equal(r.health, want) {
							t.Errorf("told of %v, want %v", r.health, want)
						}
					})
				})
			}
		}
	}
}

func TestProbesComeAtMostTenSecondsApart(t *testing.T) {
	var o outage
	inBubble(t, 64, func(ctx context.Context, e *bridge.Entry) Verdict { return o.answer(ctx, e) }, func(r *rig) {
		o.until, o.failing, o.hangs = time.Now().Add(10*time.Minute), isDown, 30*time.Second
		for n := range 100 {
			r.say(n)
		}
		time.Sleep(10 * time.Minute)
		for i := range o.calls[1:] {
			if gap := o.calls[i+1].Sub(o.calls[i]); i > 64 && gap > 10*time.Second {
				t.Errorf("nothing was asked for %v", gap)
			}
		}
		r.drained(time.Minute)
	})
}

func TestRetryAfterIsObeyedByAllUpToMinutes(t *testing.T) {
	for said, want := range map[time.Duration]time.Duration{20 * time.Second: 20 * time.Second, 24 * time.Hour: MaxStop} {
		t.Run(said.String(), func(t *testing.T) {
			var calls []time.Duration
			var began time.Time
			asked := throttles
			asked.RetryAfter = said
			answer := func(context.Context, *bridge.Entry) Verdict {
				calls = append(calls, time.Since(began))
				if len(calls) == 1 {
					return asked
				}
				return takes
			}
			inBubble(t, 64, answer, func(r *rig) {
				began = time.Now()
				r.say(0)
				time.Sleep(100 * time.Millisecond)
				for n := range 10 {
					r.say(n)
				}
				r.drained(time.Hour)
				if calls[1] < want || calls[1] > want+time.Second {
					t.Errorf("asked to wait %v, the next call came after %v", said, calls[1])
				}
			})
		})
	}
}

func TestOperatorResumesAFarSideThatAskedToWait(t *testing.T) {
	calls := 0
	asked := throttles
	asked.RetryAfter = time.Hour
	inBubble(t, 64, func(context.Context, *bridge.Entry) Verdict {
		if calls++; calls == 1 {
			return asked
		}
		return takes
	}, func(r *rig) {
		r.say(0)
		time.Sleep(100 * time.Millisecond)
		r.say(1)
		r.set.Resume()
		time.Sleep(100 * time.Millisecond)
		if r.set.Health() != Well {
			t.Errorf("the far side is %s after a resume that got through", r.set.Health())
		}
		r.drained(10 * time.Minute)
	})
}

func TestNewLaneFindsOutThatOnlyAnothersMessageFails(t *testing.T) {
	answer := func(_ context.Context, e *bridge.Entry) Verdict {
		if e.Lane == laneKey(0) {
			return isDown
		}
		return takes
	}
	inBubble(t, 64, answer, func(r *rig) {
		r.say(0)
		time.Sleep(20 * time.Second)
		e := r.say(1)
		time.Sleep(1500 * time.Millisecond)
		if !slices.Contains(r.delivered, e.Seq) {
			t.Error("a message waits for another's failures")
		}
		r.set.Stop(r.t.Context())
	})
}

func TestPoisonIsGivenUpWithinMinutes(t *testing.T) {
	for name, others := range map[string]bool{"others write": true, "nobody else writes": false} {
		t.Run(name, func(t *testing.T) {
			var poison int64
			answer := func(_ context.Context, e *bridge.Entry) Verdict {
				if e.Seq == poison {
					return says5xx
				}
				return takes
			}
			inBubble(t, 64, answer, func(r *rig) {
				for range 5 {
					r.say(0)
				}
				r.drained(time.Minute)
				poison = r.say(0).Seq
				behind := r.say(0)
				began := time.Now()
				for n := 1; !slices.Contains(r.delivered, behind.Seq) && time.Since(began) < time.Hour; n++ {
					if others {
						r.say(n)
					}
					time.Sleep(5 * time.Second)
				}
				if took := time.Since(began); took < poisonTime || took > 15*time.Minute {
					t.Errorf("what stands behind poison waited %v", took)
				}
				time.Sleep(5 * time.Minute)
				dead := slices.IndexFunc(r.store.settled, func(s bridge.Settlement) bool { return s.Seq == poison && s.Final == bridge.Dead })
				if dead < 0 {
					t.Error("the poison is no dead letter")
				}
			})
		})
	}
}

// At a share of failures at which messages may fail several times by chance, no
// message is taken for poison.
func TestManyErrorsMakeNoPoison(t *testing.T) {
	tries := map[int64]int{}
	answer := func(_ context.Context, e *bridge.Entry) Verdict {
		tries[e.Seq]++
		// Half of all fail, some seven times in a row.
		if n := e.Seq % 128; tries[e.Seq] <= 7 && n>>(7-tries[e.Seq])&1 == 1 {
			return isDown
		}
		return takes
	}
	inBubble(t, 1, answer, func(r *rig) {
		for n := range 2000 {
			r.say(n % 200)
			time.Sleep(100 * time.Millisecond)
		}
		r.drained(12 * time.Hour)
		for _, s := range r.store.settled {
			if s.Final == bridge.Dead {
				t.Errorf("entry %d was given up after %d tries", s.Seq, s.Attempts)
			}
		}
	})
}

func TestWakeEndsAWait(t *testing.T) {
	calls := 0
	inBubble(t, 64, func(context.Context, *bridge.Entry) Verdict {
		if calls++; calls == 1 {
			return Verdict{Outcome: bridge.Retry}
		}
		return takes
	}, func(r *rig) {
		r.say(0)
		time.Sleep(10 * time.Millisecond)
		r.set.Wake(laneKey(0))
		time.Sleep(10 * time.Millisecond)
		if calls != 2 {
			t.Errorf("%d calls after news, want 2", calls)
		}
	})
}
