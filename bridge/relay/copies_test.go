package relay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/connector/lpsim"
)

// A message was sent again, for its echo did not come in time. When the echoes of
// both copies do come, the second one says nothing of the message behind.
func TestEchoOfACopySettlesNoOtherMessage(t *testing.T) {
	for name, restarts := range map[string]bool{"in one life": false, "in the next life": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{echoWait: 35 * time.Second})
				r.begin("t-1")
				r.sim.SetFaults(lpsim.Faults{WebhookDelayRate: 1, WebhookDelayMinMs: 60_000, WebhookDelayMaxMs: 60_000})
				seven := about("seven", inTurn(r.appliedThen(isLost), r.appliedThen(isLost)))
				eight := about("eight", inTurn(isLost))
				r.wire.fail(seven)
				r.say("t-1", "e-7", "seven")
				time.Sleep(70 * time.Second)
				if restarts {
					r = r.restart(rigOptions{echoWait: 35 * time.Second})
				}
				r.wire.fail(eight)
				r.say("t-1", "e-8", "eight")
				time.Sleep(10 * time.Minute)
				texts := r.allConsumerTexts()
				if count(texts, "seven") != 2 || count(texts, "eight") != 1 || r.journal.PendingCount() != 0 {
					t.Errorf("LivePerson has %q, %d pending; want seven twice and eight once", texts, r.journal.PendingCount())
				}
				r.shutDown()
				r.sim.Close()
			})
		})
	}
}
