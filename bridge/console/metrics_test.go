package console

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
	"lpbridge/bridge/relay/lane"
	"lpbridge/connector"
)

// emptyJournal counts nothing and is asked for nothing else.
type emptyJournal struct{ bridge.Journal }

func (emptyJournal) PendingCount() int64             { return 0 }
func (emptyJournal) RecordsOf(string) bridge.Records { return nil }

func registerBridge(t *testing.T, reg prometheus.Registerer) {
	t.Helper()
	_, err := relay.New(relay.Options{
		Journal: emptyJournal{}, Client: new(connector.Client), Metrics: reg,
		VerifySignature: func(string, []byte) error { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMetricNamesAreProper(t *testing.T) {
	c, reg, _ := setup(t, fourLetters())
	request(c, "DELETE", "/deadletters/5", "")
	problems, err := testutil.GatherAndLint(reg)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}

// TestFarSidesAreMeasured: an outage can be alerted on, and how long the oldest
// event waits for its end.
func TestFarSidesAreMeasured(t *testing.T) {
	_, reg, _ := setup(t, fourLetters(), func(o *Options) {
		o.Bridge = &runningBridge{status: bridge.Status{
			LivePerson: bridge.FlowStatus{State: "down", Oldest: time.Now().Add(-time.Hour)},
			Channels:   []bridge.ChannelStatus{{Name: "webhook", Flow: bridge.FlowStatus{State: "well"}}},
		}}
	})
	want := `# HELP lpbridge_far_side_state State of LivePerson and of each channel's system: 1 for the one that holds.
# TYPE lpbridge_far_side_state gauge
lpbridge_far_side_state{far_side="liveperson",state="credential_refused"} 0
lpbridge_far_side_state{far_side="liveperson",state="down"} 1
lpbridge_far_side_state{far_side="liveperson",state="throttled"} 0
lpbridge_far_side_state{far_side="liveperson",state="well"} 0
lpbridge_far_side_state{far_side="webhook",state="credential_refused"} 0
lpbridge_far_side_state{far_side="webhook",state="down"} 0
lpbridge_far_side_state{far_side="webhook",state="throttled"} 0
lpbridge_far_side_state{far_side="webhook",state="well"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "lpbridge_far_side_state"); err != nil {
		t.Error(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "lpbridge_oldest_waiting_seconds" {
			continue
		}
		ages := []float64{f.GetMetric()[0].GetGauge().GetValue(), f.GetMetric()[1].GetGauge().GetValue()}
		if ages[0] < 3600 || ages[0] > 3700 || ages[1] != 0 {
			t.Errorf("the oldest events wait for %v s", ages)
		}
		return
	}
	t.Error("the age of the oldest event is not measured")
}

// TestStatesAreTheLanes: the words of far sides' states are those of the engine.
func TestStatesAreTheLanes(t *testing.T) {
	lanes := []lane.Health{lane.Well, lane.Throttled, lane.Down, lane.Refused}
	for i, h := range lanes {
		if len(farSideStates) != len(lanes) || farSideStates[i] != string(h) {
			t.Errorf("the console knows %v, the lanes %v", farSideStates, lanes)
		}
	}
}

func TestActionsAreCounted(t *testing.T) {
	c, reg, _ := setup(t, fourLetters())
	request(c, "DELETE", "/deadletters/5", "")
	request(c, "DELETE", "/deadletters/5", "")
	request(c, "POST", "/deadletters/replay", `{"channel":"chatwoot"}`)
	want := `# HELP lpbridge_dead_letter_actions_total Dead letters an operator replayed or discarded.
# TYPE lpbridge_dead_letter_actions_total counter
lpbridge_dead_letter_actions_total{action="discard"} 1
lpbridge_dead_letter_actions_total{action="replay"} 3
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "lpbridge_dead_letter_actions_total"); err != nil {
		t.Error(err)
	}
}

// The status repeats metrics of package bridge by name and label, which the
// compiler does not check.
func TestRepeatedMetricsAreTheBridges(t *testing.T) {
	reg := prometheus.NewRegistry()
	registerBridge(t, reg)
	descs := make(chan *prometheus.Desc, 100)
	reg.Describe(descs)
	close(descs)
	var all strings.Builder
	for d := range descs {
		all.WriteString(d.String())
	}
	for name, labels := range map[string]string{
		acceptedMetric: "channel,direction,kind", deliveriesMetric: "channel,direction,kind,outcome", typingMetric: "direction,result",
	} {
		_, rest, found := strings.Cut(all.String(), `fqName: "`+name+`"`)
		if !found {
			t.Errorf("the bridge has no metric %s", name)
			continue
		}
		if _, rest, _ = strings.Cut(rest, "variableLabels: {"); !strings.HasPrefix(rest, labels+"}") {
			t.Errorf("%s has not the labels %s: %.80s", name, labels, rest)
		}
	}
}

func TestConsoleAndBridgeShareARegistry(t *testing.T) {
	c, reg, _ := setup(t, fourLetters())
	registerBridge(t, reg)
	if got := bodyOf(t, request(c, "GET", "/metrics", "")); !strings.Contains(got, "lpbridge_events_pending 0") {
		t.Errorf("metrics lack the bridge's: %s", got)
	}
}
