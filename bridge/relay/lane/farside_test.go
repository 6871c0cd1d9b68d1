package lane

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
)

// outage is a far side that fails in one way for a time.
type outage struct {
	mu      sync.Mutex
	until   time.Time
	failing Verdict
	hangs   time.Duration
	calls   []time.Time
}

// begin makes the far side fail from now on, each time after it hung.
func (o *outage) begin(lasting time.Duration, failing Verdict, hangs time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.until, o.failing, o.hangs = time.Now().Add(lasting), failing, hangs
}

// end makes it well before its time.
func (o *outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.until = time.Now()
}

// asked is when it was asked in vain.
func (o *outage) asked() []time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.calls)
}

// isOn reports whether the far side fails now, and how.
func (o *outage) isOn() (failing Verdict, hangs time.Duration, on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if on = time.Now().Before(o.until); on {
		o.calls = append(o.calls, time.Now())
	}
	return o.failing, o.hangs, on
}

func (o *outage) answer(ctx context.Context, _ *bridge.Entry) Verdict {
	failing, hangs, on := o.isOn()
	if !on {
		time.Sleep(10 * time.Millisecond)
		return takes
	}
	select {
	case <-time.After(hangs):
	case <-ctx.Done():
	}
	return failing
}

func TestFirstSuccessAfterAnOutageReleasesAll(t *testing.T) {
	for _, lanes := range []int{1, 2, 50, 5000} {
		for _, failing := range []Verdict{isDown, refuses, says5xx} {
			for _, hangs := range []time.Duration{0, 10 * time.Second} {
				t.Run(fmt.Sprint(lanes, " lanes, ", failing.Reason, ", after ", hangs), func(t *testing.T) {
					var o outage
					inBubble(t, 512, o.answer, func(r *rig) {
						o.begin(time.Hour, failing, hangs)
						for n := range lanes {
							r.say(n)
						}
						time.Sleep(time.Hour)
						if took := r.drained(time.Hour); took > 10*time.Second+hangs {
							t.Errorf("everything was out %v after the far side was back", took)
						}
						// A probe every five seconds, and what was under way when it began.
						if calls := len(o.asked()); calls > 3600/5+lanes+50 {
							t.Errorf("%d calls in an hour of outage", calls)
						}
						if want := []Health{Down, Well}; failing.Sign == SaysDown && !slices.Equal(r.told(), want) {
							t.Errorf("told of %v, want %v", r.told(), want)
						}
					})
				})
			}
		}
	}
}

func TestProbesComeAtMostTenSecondsApart(t *testing.T) {
	var o outage
	inBubble(t, 64, o.answer, func(r *rig) {
		o.begin(10*time.Minute, isDown, 30*time.Second)
		for n := range 100 {
			r.say(n)
		}
		time.Sleep(10 * time.Minute)
		calls := o.asked()
		for i := range calls[1:] {
			if gap := calls[i+1].Sub(calls[i]); i > 64 && gap > 10*time.Second {
				t.Errorf("nothing was asked for %v", gap)
			}
		}
		r.drained(time.Minute)
	})
}

func TestRetryAfterIsObeyedByAllUpToMinutes(t *testing.T) {
	for said, want := range map[time.Duration]time.Duration{20 * time.Second: 20 * time.Second, 24 * time.Hour: MaxStop} {
		t.Run(said.String(), func(t *testing.T) {
			asked := throttles
			asked.RetryAfter = said
			inBubble(t, 64, inTurn(asked, takes), func(r *rig) {
				began := time.Now()
				r.say(0)
				time.Sleep(100 * time.Millisecond)
				for n := range 10 {
					r.say(n)
				}
				r.drained(time.Hour)
				if next := r.asked()[1].Sub(began); next < want || next > want+time.Second {
					t.Errorf("asked to wait %v, the next call came after %v", said, next)
				}
			})
		})
	}
}

func TestOperatorResumesAFarSideThatAskedToWait(t *testing.T) {
	asked := throttles
	asked.RetryAfter = time.Hour
	inBubble(t, 64, inTurn(asked, takes), func(r *rig) {
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
		if !r.took(e.Seq) {
			t.Error("a message waits for another's failures")
		}
		r.set.Stop(r.t.Context())
	})
}

func TestPoisonIsGivenUpWithinMinutes(t *testing.T) {
	for name, others := range map[string]bool{"others write": true, "nobody else writes": false} {
		t.Run(name, func(t *testing.T) {
			answer := func(_ context.Context, e *bridge.Entry) Verdict {
				if string(e.Payload) == "poison" {
					return says5xx
				}
				return takes
			}
			inBubble(t, 64, answer, func(r *rig) {
				for range 5 {
					r.say(0)
				}
				r.drained(time.Minute)
				poison := r.saying(0, "poison")
				behind := r.say(0)
				began := time.Now()
				for n := 1; !r.took(behind.Seq) && time.Since(began) < time.Hour; n++ {
					if others {
						r.say(n)
					}
					time.Sleep(5 * time.Second)
				}
				if took := time.Since(began); took < poisonTime || took > 15*time.Minute {
					t.Errorf("what stands behind poison waited %v", took)
				}
				time.Sleep(5 * time.Minute)
				if dead := r.store.deadLetters(); len(dead) != 1 || dead[0].Seq != poison.Seq {
					t.Errorf("dead letters are %v, want the poison alone", dead)
				}
			})
		})
	}
}

// The README says so: a far side that gets well just when the message behind is tried
// in the stead of the first has them in that order, and both of them.
func TestTwoMessagesAreExchangedOnlyByAFarSideThatGetsWellDuringASecondOpinion(t *testing.T) {
	var well atomic.Bool
	inBubble(t, 64, func(_ context.Context, e *bridge.Entry) Verdict {
		if e.Seq == 2 {
			well.Store(true)
		}
		if well.Load() {
			return takes
		}
		return isDown
	}, func(r *rig) {
		r.saying(0, "first")
		r.saying(0, "second")
		took := r.drained(time.Hour)
		if got := r.payloads(); !slices.Equal(got, []string{"second", "first"}) || len(r.store.deadLetters()) > 0 || took < time.Minute {
			t.Errorf("arrived %q after %v, dead are %v", got, took, r.store.deadLetters())
		}
	})
}

// The echo of what is tried in the poison's stead may come before its answer.
func TestEchoBeforeTheAnswerGivesTheSecondOpinion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, store: newStore()}
		answer := func(ctx context.Context, e *bridge.Entry) Verdict {
			r.set.Sending(e, "d")
			if string(e.Payload) == "poison" {
				return says5xx
			}
			_, err := r.set.Echo(ctx, []bridge.LaneKey{e.Lane}, Arrival{
				Dialog: "d", Sequence: e.Seq, Known: unknown, Matches: func(o *bridge.Entry) bool { return o == e },
			})
			if err != nil {
				t.Error(err)
			}
			v := takes
			v.Dialog, v.Sequence = "d", e.Seq
			return v
		}
		r.startWith(64, answer, Echoes{Come: func() bool { return true }, Wait: 15 * time.Second})
		poison, behind := r.saying(0, "poison"), r.say(0)
		began := time.Now()
		for r.store.pending() == 2 && time.Since(began) < time.Hour {
			time.Sleep(time.Second)
		}
		if took := time.Since(began); !r.took(behind.Seq) || took > 15*time.Minute {
			t.Errorf("what stands behind poison waited %v", took)
		}
		r.drained(15 * time.Minute)
		if dead := r.store.deadLetters(); len(dead) != 1 || dead[0].Seq != poison.Seq {
			t.Errorf("dead letters are %v, want the poison alone", dead)
		}
		r.stop()
	})
}

// A delivery that began before the far side got well and ends afterwards says
// nothing of how it is now: its message does not wait longer for it.
func TestFailureFromBeforeLengthensNoPause(t *testing.T) {
	var asked atomic.Int64
	answer := func(context.Context, *bridge.Entry) Verdict {
		switch asked.Add(1) {
		case 1, 2:
			return refuses
		case 3:
			time.Sleep(10 * time.Second)
			return refuses
		default:
			return takes
		}
	}
	inBubble(t, 64, answer, func(r *rig) {
		r.say(0)
		time.Sleep(time.Millisecond)
		r.say(1)
		// The first probe fails ten seconds after it began. The second, of the other
		// lane, gets through meanwhile.
		if took := r.drained(time.Minute); took > 11*time.Second+retryPauses[0]*6/5+100*time.Millisecond {
			t.Errorf("the message that was under way when the far side got well went out after %v", took)
		}
	})
}

// At a share of failures at which messages may fail several times by chance, no
// message is taken for poison.
func TestManyErrorsMakeNoPoison(t *testing.T) {
	var mu sync.Mutex
	tries := map[int64]int{}
	answer := func(_ context.Context, e *bridge.Entry) Verdict {
		mu.Lock()
		defer mu.Unlock()
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
		for _, s := range r.store.deadLetters() {
			t.Errorf("entry %d was given up after %d tries", s.Seq, s.Attempts)
		}
	})
}

func TestWakeEndsAWait(t *testing.T) {
	inBubble(t, 64, inTurn(Verdict{Outcome: bridge.Retry}, takes), func(r *rig) {
		r.say(0)
		time.Sleep(10 * time.Millisecond)
		r.set.Wake(laneKey(0))
		time.Sleep(10 * time.Millisecond)
		if calls, _, _ := r.count(); calls != 2 {
			t.Errorf("%d calls after news, want 2", calls)
		}
	})
}

// What comes after a delivery has ended and before its lane is put aside is news
// as well.
func TestNewsBeforeTheWaitEndsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rig{t: t, store: newStore()}
		r.store.handed = func(s bridge.Settlement) {
			if s.Final == bridge.Pending {
				r.set.Wake(s.Lane)
			}
		}
		r.start(64, inTurn(Verdict{Outcome: bridge.Retry}, takes))
		r.say(0)
		time.Sleep(20 * time.Millisecond)
		if calls, _, _ := r.count(); calls != 2 {
			t.Errorf("%d calls after news, want 2", calls)
		}
		r.drained(time.Minute)
		r.stop()
	})
}

// TestProbesThatSayNothingEndUntilTheNextAlarm: all lanes of a far side that is down
// find at once that there is nothing to ask it. Another lane makes up for such a probe,
// and must not do so for ever.
func TestProbesThatSayNothingEndUntilTheNextAlarm(t *testing.T) {
	const tooMany = 10_000
	var asked atomic.Int64
	saysNothing := func(context.Context, *bridge.Entry) Verdict {
		switch n := asked.Add(1); {
		case n <= downAfter:
			return isDown
		case n > tooMany:
			return takes
		}
		return Verdict{Outcome: bridge.Retry, Uncounted: true}
	}
	inBubble(t, 64, saysNothing, func(r *rig) {
		for n := range 20 {
			r.say(n)
		}
		time.Sleep(time.Minute)
		if n := asked.Load(); n > downAfter+silentAtMost*30 {
			t.Errorf("%d deliveries in a minute", n)
		}
		asked.Store(tooMany)
		r.drained(time.Minute)
	})
}
