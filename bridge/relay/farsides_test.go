package relay_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
)

func TestOperatorSeesThatLivePersonIsDown(t *testing.T) {
	registry := prometheus.NewRegistry()
	adjust := func(o *relay.Options) { o.Metrics = registry }
	inBubble(t, rigOptions{quiet: true, adjust: adjust}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		r.failing(503, "conversation")
		accepted := time.Now()
		for i := range 10 {
			r.say(fmt.Sprint("t-", i), fmt.Sprint("e-", i), "in the outage")
		}
		time.Sleep(time.Minute)
		flow := r.bridge.Status().LivePerson
		if flow.State != "down" || !flow.OldestWaiting.Equal(accepted) || !strings.Contains(flow.LastError, "503") || flow.Since.Sub(accepted) > 10*time.Second {
			t.Errorf("in an outage of a minute the status is %+v", flow)
		}
		want := `# HELP lpbridge_far_side_oldest_waiting_seconds How long the oldest event that is not delivered has waited.
# TYPE lpbridge_far_side_oldest_waiting_seconds gauge
lpbridge_far_side_oldest_waiting_seconds{far_side="liveperson"} 60
lpbridge_far_side_oldest_waiting_seconds{far_side="test"} 0
# HELP lpbridge_far_side_state 1 for the state a far side is in: well, throttled, down, credential_refused, or stalled: LivePerson gives no tokens or conversations.
# TYPE lpbridge_far_side_state gauge
lpbridge_far_side_state{far_side="liveperson",state="credential_refused"} 0
lpbridge_far_side_state{far_side="liveperson",state="down"} 1
lpbridge_far_side_state{far_side="liveperson",state="stalled"} 0
lpbridge_far_side_state{far_side="liveperson",state="throttled"} 0
lpbridge_far_side_state{far_side="liveperson",state="well"} 0
lpbridge_far_side_state{far_side="test",state="credential_refused"} 0
lpbridge_far_side_state{far_side="test",state="down"} 0
lpbridge_far_side_state{far_side="test",state="throttled"} 0
lpbridge_far_side_state{far_side="test",state="well"} 1
`
		want += `# HELP lpbridge_events_oldest_pending_seconds How long the oldest event that is not delivered has waited, by channel and direction; 0 when none does.
# TYPE lpbridge_events_oldest_pending_seconds gauge
lpbridge_events_oldest_pending_seconds{channel="test",direction="to_channel"} 0
lpbridge_events_oldest_pending_seconds{channel="test",direction="to_liveperson"} 60
`
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want), "lpbridge_far_side_oldest_waiting_seconds", "lpbridge_far_side_state", "lpbridge_events_oldest_pending_seconds"); err != nil {
			t.Error(err)
		}
		r.wire.fail(nil)
		r.drained(time.Minute)
		if flow := r.bridge.Status().LivePerson; flow.State != "well" || flow.LastError != "" || !flow.OldestWaiting.IsZero() {
			t.Errorf("after the outage the status is %+v", flow)
		}
	})
}

func TestResumeNamesTheFarSide(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		for _, name := range []string{"liveperson", "test"} {
			if err := r.bridge.Resume(name); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if err := r.bridge.Resume("nobody"); !errors.Is(err, bridge.ErrNoFarSide) {
			t.Errorf("resume of an unknown far side: %v", err)
		}
	})
}

// TestMetricsAreReadWhileTheBridgeStarts: a replica that takes over is asked for its
// metrics all the time.
func TestMetricsAreReadWhileTheBridgeStarts(t *testing.T) {
	for range 5 {
		registry := prometheus.NewRegistry()
		synctest.Test(t, func(t *testing.T) {
			var reading sync.WaitGroup
			reading.Go(func() {
				for range 200 {
					if _, err := registry.Gather(); err != nil {
						t.Error(err)
					}
				}
			})
			r := newRig(t, rigOptions{quiet: true, adjust: func(o *relay.Options) { o.Metrics = registry }})
			reading.Wait()
			r.shutDown()
			r.sim.Close()
		})
	}
}
