package lpsim_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lpbridge/connector/lpsim"
)

// Late notifications that are to come in order do, also where time passes between one
// look at the clock and the next, as on a busy machine.
func TestLateNotificationsKeepTheirOrder(t *testing.T) {
	for name, faults := range map[string]lpsim.Faults{
		"one late, the others behind it": {WebhookDelayRate: 0.1, WebhookDelayMinMs: 3000, WebhookDelayMaxMs: 3000, WebhookDelayInOrder: true},
		"all equally late":               {WebhookDelayRate: 1, WebhookDelayMinMs: 3000, WebhookDelayMaxMs: 3000, WebhookDelayInOrder: true},
		"all late, each in its own way":  {WebhookDelayRate: 1, WebhookDelayMinMs: 1, WebhookDelayMaxMs: 5000, WebhookDelayInOrder: true},
		"hardly late":                    {WebhookDelayRate: 0.5, WebhookDelayMaxMs: 1, WebhookDelayInOrder: true},
	} {
		t.Run(name, func(t *testing.T) {
			listen(t, lpsim.Config{}, func(t *testing.T, w *world, r *receiver) {
				c := w.open("ana")
				w.sim.SetFaults(faults)
				var done atomic.Bool
				go func() {
					for !done.Load() {
						if err := w.sim.Advance(time.Microsecond); err != nil {
							t.Error(err)
						}
						runtime.Gosched()
					}
				}()
				said := make([]string, 400)
				for i := range said {
					said[i] = fmt.Sprintf("text %03d", i)
					c.say(said[i])
				}
				done.Store(true)
				time.Sleep(time.Minute)
				var heard []string
				for _, d := range r.all() {
					if _, text, ok := strings.Cut(d.body, `"message":"`); ok {
						heard = append(heard, text[:len(said[0])])
					}
				}
				if !slices.Equal(heard, said) {
					t.Errorf("heard %q", heard)
				}
			})
		})
	}
}
