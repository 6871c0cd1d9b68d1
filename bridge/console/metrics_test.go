package console

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
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
