package relay_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"lpbridge/connector/lpsim"
)

// What LivePerson itself refuses, in its own form, is taken to be refused. If it was
// applied all the same the agent has it twice; nothing else comes of that: what the
// consumer says next in the same words arrives, also when its request is lost while
// the echo of the copy is still on its way.
func TestRefusalOfWhatWasAppliedCostsNoOtherMessage(t *testing.T) {
	for name, refusal := range map[string]fault{
		"403": says(403, `{"code":"FORBIDDEN","body":{"msg":"Forbidden"},"reqId":"1"}`),
		"404": says(404, `{"code":"NOT_FOUND","body":{"msg":"Not Found"},"reqId":"1"}`),
		"410": says(410, `{"code":"GONE","body":{"msg":"Gone"},"reqId":"1"}`),
		"400": says(400, `{"code":"BAD_REQUEST","body":{"msg":"Bad Request"},"reqId":"1"}`),
		"409": says(409, `{"code":"CONFLICT","body":{"msg":"Conflict"},"reqId":"1"}`),
	} {
		for _, late := range []int{2_000, 10_000, 40_000} {
			t.Run(fmt.Sprint(name, " late by ", late), func(t *testing.T) {
				inBubble(t, rigOptions{echoWait: 35 * time.Second, quiet: true}, func(t *testing.T, r *rig) {
					r.begin("t-1")
					r.sim.SetFaults(lpsim.Faults{WebhookDelayRate: 1, WebhookDelayMinMs: late, WebhookDelayMaxMs: late, Engagement: "none"})
					r.wire.fail(about(`"yes"`, inTurn(r.appliedThen(refusal))))
					r.say("t-1", "e-1", "yes")
					time.Sleep(1500 * time.Millisecond)
					r.say("t-1", "e-2", "are you sure?")
					time.Sleep(100 * time.Millisecond)
					r.wire.fail(about(`"yes"`, inTurn(isLost)))
					r.say("t-1", "e-3", "yes")
					time.Sleep(10 * time.Minute)
					got := consumerTexts(r.conversation())
					between := slices.Index(got, "are you sure?")
					if before := count(got[:max(0, between)], "yes"); between < 0 || before < 1 || before > 2 || count(got[between:], "yes") < 1 || r.journal.PendingCount() > 0 {
						t.Errorf("LivePerson has %q, %d pending", got, r.journal.PendingCount())
					}
				})
			})
		}
	}
}
