package relay_test

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

// measured are the histograms of a metric by their labels, "a b", as count and sum.
func measured(t *testing.T, from prometheus.Gatherer, name string) map[string]string {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, f := range families {
		if f.GetName() != name || f.GetType() != dto.MetricType_HISTOGRAM {
			continue
		}
		for _, m := range f.GetMetric() {
			labels := ""
			for _, l := range m.GetLabel() {
				labels += " " + l.GetValue()
			}
			found[labels[1:]] = fmt.Sprintf("%d in %.1f s", m.GetHistogram().GetSampleCount(), m.GetHistogram().GetSampleSum())
		}
	}
	return found
}

// TestWaitsForEchoesAreMeasured: how each ended, and how long it was.
func TestWaitsForEchoesAreMeasured(t *testing.T) {
	registry := prometheus.NewRegistry()
	adjust := func(o *relay.Options) { o.Metrics = registry }
	inBubble(t, rigOptions{quiet: true, echoWait: 20 * time.Second, adjust: adjust}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		// An echo that comes before the answer is lost ends no wait.
		r.sim.SetFaults(lpsim.Faults{WebhookDelayRate: 1, WebhookDelayMinMs: 1000, WebhookDelayMaxMs: 1000})
		lost := func(*http.Request, string) (*http.Response, error) { return nil, io.ErrUnexpectedEOF }
		r.wire.fail(about("arrived", r.appliedThen(lost)))
		r.say("t-1", "e-1", "arrived")
		time.Sleep(5 * time.Second)
		tries := 0
		r.wire.fail(about("never", func(req *http.Request, body string) (*http.Response, error) {
			if tries++; tries == 1 {
				return nil, io.ErrUnexpectedEOF
			}
			return nil, nil
		}))
		r.say("t-1", "e-2", "never")
		r.drained(time.Minute)
		got := measured(t, registry, "lpbridge_echo_wait_seconds")
		if len(got) != 2 || got["test sent_again"] != "1 in 20.0 s" || got["test echoed"][:4] != "1 in" {
			t.Errorf("waits were %v", got)
		}
	})
}

// TestTypingIsMeasured: from the key until LivePerson was told, both ways.
func TestTypingIsMeasured(t *testing.T) {
	registry := prometheus.NewRegistry()
	adjust := func(o *relay.Options) { o.Metrics = registry }
	inBubble(t, rigOptions{quiet: true, adjust: adjust}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		time.Sleep(5 * time.Second)
		r.wire.fail(about("COMPOSING", func(*http.Request, string) (*http.Response, error) {
			time.Sleep(300 * time.Millisecond)
			return nil, nil
		}))
		r.types("t-1", bridge.Composing)
		time.Sleep(3 * time.Second)
		r.types("t-1", bridge.Composing)
		time.Sleep(3 * time.Second)
		r.wire.fail(about("ACTIVE", func(*http.Request, string) (*http.Response, error) {
			time.Sleep(700 * time.Millisecond)
			return nil, nil
		}))
		r.types("t-1", bridge.Stopped)
		time.Sleep(10 * time.Second)
		got := measured(t, registry, "lpbridge_typing_change_duration_seconds")
		if got["told test to_liveperson"] != "1 in 0.3 s" || got["cleared test to_liveperson"] != "1 in 0.7 s" {
			t.Errorf("typing took %v", got)
		}
	})
}
