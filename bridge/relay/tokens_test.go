package relay_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"lpbridge/connector/lpsim"
)

// Tokens expire, are forgotten and cannot be had for a while in the middle of a
// burst: every message arrives, once and in order.
func TestTokensThatExpireMidBurst(t *testing.T) {
	for name, faults := range map[string]lpsim.Faults{
		"lives of 3 s, a tenth forgotten": {
			AppJWTSeconds: 3, LatencyMinMs: 20, LatencyMaxMs: 200, UnauthorizedRate: lpsim.Everywhere(0.1),
		},
		"forgotten long before they expire": {
			LatencyMinMs: 20, LatencyMaxMs: 200, UnauthorizedRate: lpsim.Rates{lpsim.SendAPI: 0.05, lpsim.IDPAPI: 0.05, lpsim.ConversationAPI: 0.05},
		},
		"lives as short as a few calls": {
			AppJWTSeconds: 2, LatencyMinMs: 300, LatencyMaxMs: 1200, LatencyBeforeShare: 0.5,
		},
		"half of all renewals fail": {
			AppJWTSeconds: 5, LatencyMinMs: 20, LatencyMaxMs: 2000,
			ErrorRate: lpsim.Rates{lpsim.SentinelAPI: 0.5, lpsim.IDPAPI: 0.2}, ErrorStatus: 503,
		},
		"renewals are throttled": {
			AppJWTSeconds: 5, LatencyMaxMs: 100, ThrottleRate: lpsim.Rates{lpsim.SentinelAPI: 0.5, lpsim.IDPAPI: 0.2}, RetryAfterSeconds: 2,
		},
		"Sentinel is away for 20 s": {
			AppJWTSeconds: 5, LatencyMaxMs: 100, UnauthorizedRate: lpsim.Rates{lpsim.SendAPI: 0.1},
			Outages: []lpsim.Outage{{AfterMs: 4000, ForMs: 20_000}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, rigOptions{quiet: true, echoWait: 35 * time.Second}, func(t *testing.T, r *rig) {
				const threads, each = 40, 10
				r.sim.SetFaults(faults)
				for i := range threads * each {
					r.say(fmt.Sprint("t-", i%threads), fmt.Sprint("e-", i), fmt.Sprint("text ", i))
					time.Sleep(50 * time.Millisecond)
				}
				r.drained(time.Hour)
				if dead, _ := r.journal.DeadLetters(t.Context(), 0, 10); len(dead) > 0 || r.journal.PendingCount() > 0 {
					t.Errorf("%d dead letters, %d pending", len(dead), r.journal.PendingCount())
				}
				got := r.allConsumerTexts()
				if len(got) != threads*each {
					t.Errorf("LivePerson has %d messages, want %d", len(got), threads*each)
				}
				for i := range threads * each {
					text, next := fmt.Sprint("text ", i), fmt.Sprint("text ", i+threads)
					if at, then := slices.Index(got, text), slices.Index(got, next); count(got, text) != 1 || i+threads < threads*each && then < at {
						t.Errorf("%q is there %d times, at %d; the next of its thread is at %d", text, count(got, text), at, then)
					}
				}
			})
		})
	}
}
