package lpsim_test

import (
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/connector/lpsim"
)

func TestTimeCanBeMovedAhead(t *testing.T) {
	listen(t, lpsim.Config{Webhooks: lpsim.Webhooks{URL: "http://connector.test/", MaxRetries: 1}}, func(t *testing.T, w *world, r *receiver) {
		began := time.Now()
		c := w.open("ana")
		synctest.Wait()
		r.expect(func(n int, _ delivery) (int, time.Duration) {
			if n == 1 {
				return 500, 0
			}
			return 200, 0
		})
		want(t, "said", c.say("hello").status, 200)
		synctest.Wait()
		want(t, "notifications", len(r.all()), 1)
		want(t, "half a minute", w.do("POST", "/sim/clock", `{"advance":"30s"}`).field(t, "ahead"), any("30s"))
		synctest.Wait()
		want(t, "notifications after the pause", len(r.all()), 2)
		want(t, "said before the token ends", c.say("still here").status, 200)
		want(t, "an hour", w.do("POST", "/sim/clock", `{"advance":"1h"}`).field(t, "ahead"), any("1h0m30s"))
		want(t, "said after it", c.say("too late").status, 401)
		want(t, "time that passed for others", time.Since(began), time.Duration(0))
		want(t, "back", w.do("POST", "/sim/clock", `{"advance":"-1s"}`).field(t, "field"), any("advance"))
		want(t, "no duration", w.do("POST", "/sim/clock", `{"advance":"soon"}`).status, 400)
		want(t, "too far", w.do("POST", "/sim/clock", `{"advance":"87600h"}`).status, 400)
		want(t, "clock", w.do("GET", "/sim/clock", "").field(t, "ahead"), any("1h0m30s"))
	})
}

func TestAnOutagePassesWhenTimeIsMoved(t *testing.T) {
	listen(t, lpsim.Config{}, func(t *testing.T, w *world, _ *receiver) {
		c := w.open("ana")
		if err := w.sim.SetFaults(lpsim.Faults{Outages: []lpsim.Outage{{ForMs: 300_000, Status: 503}}}); err != nil {
			t.Fatal(err)
		}
		want(t, "meanwhile", c.say("hello").status, 503)
		if err := w.sim.Advance(5 * time.Minute); err != nil {
			t.Fatal(err)
		}
		want(t, "afterwards", c.say("hello").status, 200)
	})
}
