package front

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/connector/lpsim"
)

// TestSwitches turns every switch and looks at the simulator's knobs.
func TestSwitches(t *testing.T) {
	s := newStand(t, nil)
	for body, wrong := range map[string]func(lpsim.Faults) bool{
		`{"lostAnswers":true}`: func(f lpsim.Faults) bool { return f.LostAnswerRate[lpsim.SendAPI] == 0 },
		`{"throttling":true}`:  func(f lpsim.Faults) bool { return f.ThrottleRate[lpsim.SendAPI] == 0 || f.RetryAfterSeconds == 0 },
		`{"outage":true}`:      func(f lpsim.Faults) bool { return len(f.Outages) != 1 || f.Outages[0].Status != 503 },
		`{"webhooks":true}`: func(f lpsim.Faults) bool {
			return f.WebhookDuplicateRate == 0 || f.WebhookReorderRate == 0 || f.LostAnswerRate != nil
		},
	} {
		status, _, answer := s.ask(t, http.MethodPut, "/sandbox/faults", body)
		if status != http.StatusOK || wrong(s.sim.Faults()) || !strings.Contains(answer, `"on":true`) {
			t.Errorf("%s: %d %s: %+v", body, status, answer, s.sim.Faults())
		}
	}
	if status, _, answer := s.ask(t, http.MethodPut, "/sandbox/faults", `{}`); status != http.StatusOK || !strings.Contains(answer, `"on":false`) {
		t.Errorf("all off: %d %s", status, answer)
	}
	if diff := cmp.Diff((lpsim.Faults{}).WithDefaults(), s.sim.Faults()); diff != "" {
		t.Errorf("with all switches off the simulator has (-want +got):\n%s", diff)
	}
	for _, body := range []string{`{"lostAnswer":true}`, `{"outage":"yes"}`, `[]`, ``} {
		if status, _, answer := s.ask(t, http.MethodPut, "/sandbox/faults", body); status != http.StatusBadRequest {
			t.Errorf("%q: %d %s", body, status, answer)
		}
	}
	// The simulator's own knobs count for the badge.
	if err := s.sim.SetFaults(lpsim.Faults{ErrorRate: lpsim.Everywhere(1)}); err != nil {
		t.Fatal(err)
	}
	if _, _, answer := s.ask(t, http.MethodGet, "/sandbox/faults", ""); !strings.Contains(answer, `"on":true`) {
		t.Errorf("a knob that was turned elsewhere: %s", answer)
	}
}

// TestOutageEnds: an outage is over after a minute, whatever else is switched in the
// meantime.
func TestOutageEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sim := lpsim.New(lpsim.Config{})
		defer sim.Close()
		var told atomic.Pointer[FaultState]
		f := &faults{sim: sim, changed: func(s FaultState) { told.Store(&s) }}
		defer f.stop()
		if err := f.set(Switches{Outage: true}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(40 * time.Second)
		if err := f.set(Switches{Outage: true, Webhooks: true}); err != nil {
			t.Fatal(err)
		}
		if got := sim.Faults().Outages[0].ForMs; got != 20_000 {
			t.Errorf("%d ms of the outage are left, want 20000", got)
		}
		time.Sleep(outageTime - 40*time.Second + time.Millisecond)
		synctest.Wait()
		if s := f.state(); s.Outage || !s.Webhooks || len(sim.Faults().Outages) > 0 {
			t.Errorf("after a minute: %+v, %+v", s, sim.Faults().Outages)
		}
		if last := told.Load(); last.Outage {
			t.Errorf("nobody was told of the end: %+v", last)
		}
	})
}
