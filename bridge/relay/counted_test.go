package relay_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

// hasCounted compares a metric with what it should be.
func hasCounted(t *testing.T, from prometheus.Gatherer, name, help, want string) {
	t.Helper()
	text := fmt.Sprintf("# HELP %s %s\n# TYPE %s counter\n%s\n", name, help, name, want)
	if err := testutil.GatherAndCompare(from, strings.NewReader(text), name); err != nil {
		t.Error(err)
	}
}

// More changes than may be kept unclaimed cost those changes and nothing else:
// LivePerson would repeat a notification that is refused and hold back all others.
func TestTooMuchUnclaimedIsCountedAndNotRefused(t *testing.T) {
	registry := prometheus.NewRegistry()
	var said bytes.Buffer
	adjust := func(o *relay.Options) {
		o.Metrics, o.Logger = registry, slog.New(slog.NewTextHandler(&said, nil))
	}
	inBubble(t, rigOptions{quiet: true, adjust: adjust}, func(t *testing.T, r *rig) {
		known := r.begin("t-0")
		r.journal.LimitUnclaimed(2)
		r.sim.SetFaults(lpsim.Faults{LatencyMinMs: 5000, LatencyMaxMs: 5000})
		r.say("t-1", "e-1", "hello")
		time.Sleep(time.Second)
		for i := range 5 {
			if status := r.notify(words("other", "other-dialog", i, "of another connector"), nil); status != 200 {
				t.Errorf("change %d was answered %d", i, status)
			}
		}
		if status := r.notify(words(known, known, 40, "for us"), nil); status != 200 {
			t.Errorf("what is ours was answered %d", status)
		}
		time.Sleep(100 * time.Millisecond)
		r.wantMessage("for us")
		hasCounted(t, registry, "lpbridge_notification_changes_dropped_total", "Changes in notifications that are not relayed, by reason.",
			`lpbridge_notification_changes_dropped_total{reason="own"} 1
lpbridge_notification_changes_dropped_total{reason="unclaimed_full"} 3`)
		for i := 2; i < 5; i++ {
			if want := fmt.Sprintf("conversation=other dialog=other-dialog sequence=%d", i); !strings.Contains(said.String(), want) {
				t.Errorf("the log does not say %s", want)
			}
		}
		if strings.Contains(said.String(), "of another connector") {
			t.Error("the log says what somebody wrote")
		}
		r.sim.SetFaults(lpsim.Faults{})
		time.Sleep(time.Minute)
	})
}

// A message that always gets 500 is a dead letter whose cause is counted.
func TestPoisonIsCounted(t *testing.T) {
	registry := prometheus.NewRegistry()
	adjust := func(o *relay.Options) { o.Metrics = registry }
	inBubble(t, rigOptions{quiet: true, adjust: adjust}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		r.failing(500, "poison")
		r.say("t-1", "e-1", "poison")
		for n := range 30 {
			r.say("t-2", fmt.Sprint("o-", n), "hello")
			time.Sleep(20 * time.Second)
		}
		hasCounted(t, registry, "lpbridge_poison_total", "Dead letters that always failed while others got through, by channel and direction.",
			`lpbridge_poison_total{channel="test",direction="to_liveperson"} 1`)
		hasCounted(t, registry, "lpbridge_dead_letters_total", "Events that became dead letters, by channel, direction and how the last delivery ended.",
			`lpbridge_dead_letters_total{channel="test",direction="to_liveperson",outcome="unknown"} 1`)
	})
}
