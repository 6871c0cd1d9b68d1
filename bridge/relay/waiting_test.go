package relay_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
)

// answerWith is a response without a body, as something in between gives it.
func answerWith(status int) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody}
}

// allConsumerTexts lists what consumers wrote in all conversations.
func (r *rig) allConsumerTexts() []string {
	var all []string
	for _, c := range r.sim.Conversations() {
		full, _ := r.sim.Conversation(c.ConversationID)
		all = append(all, consumerTexts(full)...)
	}
	return all
}

func count(list []string, want string) (n int) {
	for _, s := range list {
		if s == want {
			n++
		}
	}
	return n
}

// drained waits until nothing is pending and returns how long that took.
func (r *rig) drained(most time.Duration) time.Duration {
	began := time.Now()
	for r.journal.PendingCount() > 0 && time.Since(began) < most {
		time.Sleep(100 * time.Millisecond)
	}
	return time.Since(began)
}

func TestLanesThatWaitUseALimiterThatWidened(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		const threads = 1000
		for i := range threads {
			r.say(fmt.Sprint("t-", i), fmt.Sprint("first-", i), "hello")
		}
		time.Sleep(time.Minute)
		began := time.Now()
		var running, most atomic.Int64
		r.wire.fail(func(req *http.Request, body string) (*http.Response, error) {
			if !strings.Contains(body, "backlog") {
				return nil, nil
			}
			if time.Since(began) < 8*time.Second {
				return answerWith(429), nil
			}
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Second)
			running.Add(-1)
			return nil, nil
		})
		for i := range threads {
			r.say(fmt.Sprint("t-", i), fmt.Sprint("second-", i), "backlog")
		}
		took := r.drained(time.Hour)
		limit := r.bridge.Status().LivePerson.Limit
		if int(most.Load()) < limit/2 || took > time.Minute {
			t.Errorf("drained after %v with at most %d at once, the limiter widened to %d", took, most.Load(), limit)
		}
	})
}

func TestThrottlesDoNotLengthenLaterPauses(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		r.wire.restartClock()
		trouble := append(slices.Repeat([]fault{answers(429)}, 6), answers(503))
		r.wire.fail(about("precious", inTurn(trouble...)))
		r.say("t-1", "e-1", "precious")
		time.Sleep(time.Hour)
		sends := r.wire.sent("ContentEvent")
		if len(sends) != len(trouble)+1 {
			t.Fatalf("sent at %v, want %d times", sends, len(trouble)+1)
		}
		if last := sends[len(sends)-1] - sends[len(sends)-2]; last > 20*time.Second {
			t.Errorf("one 503 after six 429s: sent again after %v, want the first pause; sent at %v", last, sends)
		}
	})
}

func TestBacklogGoesOutWhenLivePersonIsBack(t *testing.T) {
	for _, threads := range []int{1, 50} {
		for _, outage := range []time.Duration{time.Minute, 10 * time.Minute, time.Hour} {
			t.Run(fmt.Sprint(threads, " threads, ", outage), func(t *testing.T) {
				inBubble(t, rigOptions{quiet: true, echoWait: defaultEchoWait}, func(t *testing.T, r *rig) {
					for i := range threads {
						r.say(fmt.Sprint("t-", i), fmt.Sprint("e-", i), "hello")
					}
					time.Sleep(time.Second)
					r.failing(503, "conversation")
					for i := range threads {
						r.say(fmt.Sprint("t-", i), fmt.Sprint("f-", i), "in the outage")
					}
					time.Sleep(outage)
					r.wire.fail(nil)
					if took := r.drained(time.Hour); took > 10*time.Second {
						t.Errorf("the last of %d messages went out %v after LivePerson was back", threads, took)
					}
				})
			})
		}
	}
}

func TestBacklogGoesOutWhenNothingWasReached(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		for i := range 50 {
			r.say(fmt.Sprint("t-", i), fmt.Sprint("e-", i), "hello")
		}
		time.Sleep(time.Second)
		var calls atomic.Int64
		r.wire.fail(counted(&calls, answers(502)))
		for i := range 50 {
			r.say(fmt.Sprint("t-", i), fmt.Sprint("f-", i), "in the outage")
		}
		time.Sleep(time.Hour)
		r.wire.fail(nil)
		if took := r.drained(time.Hour); took > 25*time.Second {
			t.Errorf("the last message went out %v after LivePerson was back", took)
		}
		// A probe every few seconds, not fifty lanes each for itself.
		if calls.Load() > 2000 {
			t.Errorf("%d calls in an hour of outage", calls.Load())
		}
	})
}

func TestBacklogGoesOutWhenTheCredentialIsMended(t *testing.T) {
	for _, threads := range []int{1, 20} {
		t.Run(fmt.Sprint(threads, " threads"), func(t *testing.T) {
			inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
				for i := range threads {
					r.say(fmt.Sprint("t-", i), fmt.Sprint("e-", i), "hello")
				}
				time.Sleep(time.Second)
				r.failing(401, "")
				for i := range threads {
					r.say(fmt.Sprint("t-", i), fmt.Sprint("f-", i), "hello")
				}
				time.Sleep(10 * time.Minute)
				r.wire.fail(nil)
				if took := r.drained(time.Hour); took > 10*time.Second {
					t.Errorf("the last of %d messages went out %v after the credential was mended", threads, took)
				}
			})
		})
	}
}

// CONVERSATION's answer is lost; the notification names the conversation at once, which
// may be while the answer is still awaited.
func TestNewsOfTheConversationWakesTheLane(t *testing.T) {
	for _, awaited := range []time.Duration{0, time.Second} {
		t.Run(awaited.String(), func(t *testing.T) {
			inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
				r.wire.fail(about("ConsumerRequestConversation", inTurn(r.appliedThen(isLostAfter(awaited)))))
				r.say("t-1", "e-1", "hello")
				began := time.Now()
				time.Sleep(50 * time.Millisecond)
				if got := r.channel.got(); !slices.Contains(got, "state:open") {
					t.Fatal(got)
				}
				for len(r.allConsumerTexts()) == 0 {
					time.Sleep(10 * time.Millisecond)
				}
				if took := time.Since(began); took > awaited+time.Second {
					t.Errorf("the conversation was known after 50 ms, the message went out after %v", took)
				}
			})
		})
	}
}

func TestPoisonDoesNotHoldUpItsThread(t *testing.T) {
	for _, others := range []bool{false, true} {
		t.Run(fmt.Sprint("others write: ", others), func(t *testing.T) {
			inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
				r.begin("t-1")
				r.failing(500, "poison")
				r.say("t-1", "e-1", "poison")
				r.say("t-1", "e-2", "help me please")
				began := time.Now()
				for n := 0; count(r.allConsumerTexts(), "help me please") == 0 && time.Since(began) < 48*time.Hour; n++ {
					if others {
						r.say("t-2", fmt.Sprint("o-", n), "hello")
					}
					time.Sleep(20 * time.Second)
				}
				if took := time.Since(began); took > 10*time.Minute {
					t.Errorf("the message behind it waited %v", took)
				}
				time.Sleep(5 * time.Minute)
				dead, err := r.journal.DeadLetters(t.Context(), 0, 10)
				if err != nil || len(dead) != 1 || dead[0].ID != "e-1" {
					t.Errorf("dead letters %v, %v; want e-1", dead, err)
				}
			})
		})
	}
}

func TestOutageMakesNoDeadLetters(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		r.failing(500, "conversation")
		for i := range 3 {
			r.say("t-1", fmt.Sprint("e-", i), fmt.Sprint("text ", i))
		}
		time.Sleep(12 * time.Hour)
		r.wire.fail(nil)
		r.drained(time.Hour)
		if got := r.allConsumerTexts(); !slices.Equal(got, []string{"hello", "text 0", "text 1", "text 2"}) {
			t.Errorf("LivePerson has %q", got)
		}
	})
}

func TestClockSetBackDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{quiet: true})
		r.begin("t-1")
		r.failing(503, "")
		r.say("t-1", "e-1", "precious")
		time.Sleep(time.Second)
		// The clock was ahead when a pause was written down.
		page, err := r.journal.PendingOf(t.Context(), bridge.LaneKey{Channel: "test", Thread: "t-1", Direction: bridge.ToLivePerson}, 0, 10)
		if err != nil || len(page) != 1 {
			t.Fatal(page, err)
		}
		r.journal.Settle(bridge.Settlement{Seq: page[0].Seq, Lane: page[0].Lane, Outcome: bridge.Retry, Final: bridge.Pending, Attempts: 1, NextTry: time.Now().Add(10 * time.Hour)})
		time.Sleep(time.Second)
		r.stop()
		<-r.stopped
		r.close()
		r.journal.Close()
		r = newRig(t, rigOptions{journal: r.journal.Reopen(), sim: r.sim, door: r.door, channel: r.channel, quiet: true})
		if took := r.drained(24 * time.Hour); took > 15*time.Minute {
			t.Errorf("the message waited %v", took)
		}
		r.shutDown()
		r.sim.Close()
	})
}
