package relay_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/connector/lpsim"
)

// keptForDays has LivePerson keep what it cannot tell.
func (r *rig) keptForDays() {
	r.sim.SetWebhooks(lpsim.Webhooks{URL: "http://bridge.test/webhooks/liveperson", RetentionSeconds: 259200})
}

// wantOnce wants a text to be in LivePerson once, and nothing left to do.
func (r *rig) wantOnce(text string) {
	r.t.Helper()
	if n := count(r.allConsumerTexts(), text); n != 1 || r.journal.PendingCount() > 0 {
		r.t.Errorf("LivePerson has the message %d times, %d pending; want it once", n, r.journal.PendingCount())
	}
	r.shutDown()
	r.sim.Close()
}

// What is sent after an absence, before LivePerson tries again, is told of behind
// all that it kept.
func TestMessageBeforeLivePersonsNextTryIsSentOnce(t *testing.T) {
	for _, after := range []time.Duration{0, time.Second, time.Minute, 4 * time.Minute, 6 * time.Minute} {
		t.Run(after.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := rigOptions{echoWait: 35 * time.Second, quiet: true}
				r := newRig(t, o)
				r.begin("t-1")
				r.keptForDays()
				j := r.crash()
				r.agentSays(r.conversation().ConversationID, "where are you")
				time.Sleep(30 * time.Hour)
				o.journal, o.sim, o.door, o.channel = j, r.sim, r.door, r.channel
				r = newRig(t, o)
				time.Sleep(after)
				r.loseAnswer("precious")
				r.say("t-1", "e-1", "precious")
				time.Sleep(20 * time.Minute)
				r.wantOnce("precious")
			})
		})
	}
}

// After a minute's absence a life may be too short for LivePerson's next try, and the
// one after that comes when LivePerson's pauses have doubled once more.
func TestLifeBetweenTwoTriesOfLivePersonIsPartOfTheAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := rigOptions{echoWait: 35 * time.Second, quiet: true}
		r := newRig(t, o)
		r.begin("t-1")
		r.keptForDays()
		r.door.lead(nil)
		r.agentSays(r.conversation().ConversationID, "where are you")
		o.sim, o.door, o.channel = r.sim, r.door, r.channel
		for _, life := range []struct{ away, lasts time.Duration }{{65 * time.Second, 20 * time.Second}, {20 * time.Second, 0}, {20 * time.Second, 40 * time.Second}} {
			o.journal = r.crash()
			time.Sleep(life.away)
			r = newRig(t, o)
			if life.lasts == 20*time.Second {
				r.loseAnswer("precious")
				r.say("t-1", "e-1", "precious")
			}
			time.Sleep(life.lasts)
		}
		time.Sleep(20 * time.Minute)
		r.wantOnce("precious")
	})
}

// A balancer that asks whether the bridge is ready answers LivePerson in its stead while
// it is not, so that the bridge hears nothing of what is refused.
func TestMessageWhileABalancerRefusesNotificationsIsSentOnce(t *testing.T) {
	for _, full := range []time.Duration{5 * time.Second, 90 * time.Second, 200 * time.Second, time.Hour} {
		t.Run(full.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{echoWait: 35 * time.Second, quiet: true})
				r.begin("t-1")
				r.keptForDays()
				balancing, end := context.WithCancel(t.Context())
				var balancer sync.WaitGroup
				balancer.Go(func() {
					for ; balancing.Err() == nil; time.Sleep(500 * time.Millisecond) {
						if r.bridge.Ready(balancing) != nil {
							r.door.lead(nil)
						} else {
							r.door.lead(r.handler)
						}
					}
				})
				r.wire.fail(about("precious", inTurn(func(req *http.Request, body string) (*http.Response, error) {
					r.journal.Break(errors.New("disk full"))
					r.door.lead(nil)
					return r.appliedThen(isLost)(req, body)
				})))
				r.say("t-1", "e-1", "precious")
				time.Sleep(full)
				r.journal.Break(nil)
				time.Sleep(20 * time.Minute)
				end()
				balancer.Wait()
				r.wantOnce("precious")
			})
		})
	}
}

// A full disk has lpbridge refuse what LivePerson tells, whose pauses grow; then
// there is room again.
func TestMessageWhileNotificationsAreRefusedIsSentOnce(t *testing.T) {
	for name, tc := range map[string]struct {
		full     time.Duration
		restarts bool
	}{
		"for seconds":                        {5 * time.Second, false},
		"for a minute":                       {time.Minute, false},
		"for minutes":                        {200 * time.Second, false},
		"for an hour":                        {time.Hour, false},
		"for minutes, and a restart follows": {200 * time.Second, true},
		"for half an hour, and one follows":  {30 * time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{echoWait: 35 * time.Second, quiet: true})
				r.begin("t-1")
				r.keptForDays()
				r.wire.fail(about("precious", inTurn(func(req *http.Request, body string) (*http.Response, error) {
					r.journal.Break(errors.New("disk full"))
					return r.appliedThen(isLost)(req, body)
				})))
				r.say("t-1", "e-1", "precious")
				time.Sleep(tc.full)
				r.journal.Break(nil)
				time.Sleep(time.Second)
				if tc.restarts {
					r = r.restart(rigOptions{echoWait: 35 * time.Second, quiet: true})
				}
				time.Sleep(20 * time.Minute)
				r.wantOnce("precious")
			})
		})
	}
}
