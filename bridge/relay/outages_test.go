package relay_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector/lpsim"
)

// outage is one kind of call that LivePerson answers nobody for a time.
type outage struct {
	api  lpsim.API
	lost bool
}

func (o outage) String() string {
	if o.lost {
		return string(o.api) + " is not reached"
	}
	return string(o.api) + " answers 503"
}

func (o outage) faults() lpsim.Faults {
	if o.lost {
		return lpsim.Faults{LostRequestRate: lpsim.Rates{o.api: 1}}
	}
	return lpsim.Faults{ErrorRate: lpsim.Rates{o.api: 1}, ErrorStatus: 503}
}

// day is how long an outage of nearly a day lasts: no message gets too old.
const day = 23*time.Hour + 50*time.Minute

// Each of the calls that a message needs fails for seconds, an hour or nearly a day,
// with nothing known from before. Everything is out within ten seconds after that. Only
// what was sent when the outage began, and the one that is risked every five minutes,
// may wait for an echo.
func TestBacklogGoesOutAfterAnOutageOfEachCall(t *testing.T) {
	for _, api := range []lpsim.API{lpsim.DomainAPI, lpsim.SentinelAPI, lpsim.IDPAPI, lpsim.ConversationAPI, lpsim.SendAPI} {
		for _, c := range []struct {
			lost    bool
			lasts   time.Duration
			threads int
		}{{false, 5 * time.Second, 12}, {true, 5 * time.Second, 12}, {false, time.Hour, 12}, {true, time.Hour, 12}, {false, day, 2}} {
			o := outage{api, c.lost}
			t.Run(fmt.Sprint(o, " for ", c.lasts), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { backlogGoesOut(t, o, c.lasts, c.threads) })
			})
		}
	}
}

func backlogGoesOut(t *testing.T, o outage, lasts time.Duration, threads int) {
	options := rigOptions{quiet: true, echoWait: defaultEchoWait}
	r := newRig(t, options)
	r.keptForDays()
	for i := range threads {
		r.say(fmt.Sprint("t-", i), fmt.Sprint("e-", i), "hello")
	}
	time.Sleep(time.Second)
	r.sim.SetFaults(o.faults())
	r = r.restart(options)
	for i := range threads {
		r.say(fmt.Sprint("t-", i), fmt.Sprint("f-", i), "in the outage")
		r.say(fmt.Sprint("n-", i), fmt.Sprint("n-", i), "from somebody new")
	}
	time.Sleep(lasts)
	r.sim.SetFaults(lpsim.Faults{})
	time.Sleep(10 * time.Second)
	waits, mayWait := int(r.journal.PendingCount()), 0
	if o.api == lpsim.SendAPI {
		mayWait = 1
		if lasts < defaultEchoWait {
			mayWait = 2 * threads
		}
	}
	if waits > mayWait {
		t.Errorf("%d messages wait 10 s after LivePerson was well", waits)
	}
	if took := r.drained(time.Hour); took > defaultEchoWait {
		t.Errorf("the last message went out %v later", took)
	}
	got := r.allConsumerTexts()
	if dead, _ := r.journal.DeadLetters(t.Context(), 0, 10); len(dead) > 0 || count(got, "in the outage") != threads || count(got, "from somebody new") != threads {
		t.Errorf("%d dead letters, %d and %d of %d arrived", len(dead), count(got, "in the outage"), count(got, "from somebody new"), threads)
	}
	r.shutDown()
	r.sim.Close()
}

// The same towards a channel.
func TestBacklogGoesOutAfterAnOutageOfAChannel(t *testing.T) {
	for _, outcome := range []bridge.Outcome{bridge.Retry, bridge.Unknown, bridge.Unauthorized, bridge.Throttled} {
		for _, lasts := range []time.Duration{5 * time.Second, time.Hour, day} {
			t.Run(fmt.Sprint(outcome, " for ", lasts), func(t *testing.T) {
				inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
					const threads = 10
					ids := make([]string, threads)
					for i := range ids {
						ids[i] = r.begin(fmt.Sprint("t-", i))
					}
					r.channel.refuseWith(func(*bridge.Event) error {
						return &bridge.DeliveryError{Outcome: outcome, Err: errors.New("away")}
					})
					for _, id := range ids {
						r.agentSays(id, "in the outage")
					}
					time.Sleep(lasts)
					r.channel.refuseWith(nil)
					if took := r.drained(time.Hour); took > 10*time.Second {
						t.Errorf("the last message went out %v after the channel was well", took)
					}
					if n := count(r.channel.texts(), "in the outage"); n != threads {
						t.Errorf("%d of %d arrived", n, threads)
					}
				})
			})
		}
	}
}
