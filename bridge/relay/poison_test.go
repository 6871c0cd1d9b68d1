package relay_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
)

// quietly is how long a message that always fails may hold its thread up where little
// else is sent, and how long amid traffic (docs/design.md, Lanes).
func quietly(others time.Duration) time.Duration {
	if others == time.Second {
		return 3 * time.Minute
	}
	return 22 * time.Minute
}

// One message that always fails, whatever way, holds its thread up for minutes, with
// the waits of the defaults, whoever else writes.
func TestPoisonHoldsItsThreadUpForMinutes(t *testing.T) {
	for name, others := range map[string]time.Duration{"nobody else writes": 0, "others each minute": time.Minute, "others each second": time.Second} {
		for way, fails := range map[string]fault{"500": answers(500), "no answer": isLost, "no answer in time": hangs, "502 in HTML": says(502, "<html>")} {
			t.Run(name+", "+way, func(t *testing.T) {
				inBubble(t, rigOptions{quiet: true, echoWait: 35 * time.Second}, func(t *testing.T, r *rig) {
					r.begin("t-1")
					r.begin("t-2")
					r.wire.fail(about("poison", fails))
					began := time.Now()
					r.say("t-1", "e-1", "poison")
					for i := range 2 {
						r.say("t-1", fmt.Sprint("f-", i), fmt.Sprint("help ", i))
					}
					passed := func() bool { return slices.Contains(r.allConsumerTexts(), "help 1") }
					for n := 0; !passed() && time.Since(began) < 24*time.Hour; n++ {
						if others > 0 {
							r.say("t-2", fmt.Sprint("o-", n), "hello")
						}
						time.Sleep(max(others, time.Second))
					}
					if took := time.Since(began); took > quietly(others) {
						t.Errorf("the messages behind it waited %v", took)
					}
				})
			})
		}
	}
}

func TestPoisonToAChannelHoldsItsThreadUpForMinutes(t *testing.T) {
	for name, others := range map[string]time.Duration{"nobody else writes": 0, "others each minute": time.Minute, "others each second": time.Second} {
		for _, outcome := range []bridge.Outcome{bridge.Retry, bridge.Unknown} {
			t.Run(name+", "+outcome.String(), func(t *testing.T) {
				inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
					first, second := r.begin("t-1"), r.begin("t-2")
					r.channel.refuseWith(func(e *bridge.Event) error {
						if e.Message != nil && strings.Contains(e.Message.Text, "poison") {
							return &bridge.DeliveryError{Outcome: outcome, Err: errors.New("status 500")}
						}
						return nil
					})
					began := time.Now()
					r.agentSays(first, "poison")
					r.agentSays(first, "help")
					for !slices.Contains(r.channel.texts(), "help") && time.Since(began) < 24*time.Hour {
						if others > 0 {
							r.agentSays(second, "hello")
						}
						time.Sleep(max(others, time.Second))
					}
					if took := time.Since(began); took > quietly(others) {
						t.Errorf("the message behind it waited %v", took)
					}
				})
			})
		}
	}
}
