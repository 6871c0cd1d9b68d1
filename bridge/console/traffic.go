package console

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge"
)

// The bridge's metrics that the status repeats.
const (
	acceptedMetric   = "lpbridge_events_accepted_total"
	deliveriesMetric = "lpbridge_deliveries_total"
	typingMetric     = "lpbridge_typing_total"
)

var repeatedMetrics = []string{acceptedMetric, deliveriesMetric, typingMetric}

// Traffic counts what passed since the process started.
type Traffic struct {
	// Channels has the flows of each channel that saw any.
	Channels map[string]Flows `json:"channels"`
	Typing   TypingCounts     `json:"typing"`
}

// Flows are the two directions of one channel.
type Flows struct {
	ToLivePerson Flow `json:"toLivePerson"`
	ToChannel    Flow `json:"toChannel"`
}

// Flow counts one direction.
type Flow struct {
	// Accepted counts events made durable.
	Accepted int64 `json:"accepted"`
	// Deliveries counts how deliveries ended, by outcome.
	Deliveries map[string]int64 `json:"deliveries"`
}

// TypingCounts say what became of typing, by direction. The words are those of
// the label "result" of lpbridge_typing_total.
type TypingCounts struct {
	ToLivePerson map[string]int64 `json:"toLivePerson"`
	ToChannel    map[string]int64 `json:"toChannel"`
}

// trafficReader takes the counters from where Prometheus takes them, so that
// the page and the metrics never disagree.
type trafficReader struct {
	source prometheus.Gatherer
}

func (t *trafficReader) read() (Traffic, error) {
	traffic := Traffic{
		Channels: map[string]Flows{},
		Typing:   TypingCounts{ToLivePerson: map[string]int64{}, ToChannel: map[string]int64{}},
	}
	// Gather returns what it could gather along with the error.
	families, err := t.source.Gather()
	for _, family := range families {
		if !slices.Contains(repeatedMetrics, family.GetName()) {
			continue
		}
		for _, m := range family.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			traffic.count(family.GetName(), labels, int64(m.GetCounter().GetValue()))
		}
	}
	return traffic, err
}

func (t *Traffic) count(metric string, labels map[string]string, n int64) {
	toChannel := labels["direction"] == bridge.ToChannel.String()
	switch metric {
	case typingMetric:
		counts := t.Typing.ToLivePerson
		if toChannel {
			counts = t.Typing.ToChannel
		}
		counts[labels["result"]] += n
	case acceptedMetric, deliveriesMetric:
		flows, known := t.Channels[labels["channel"]]
		if !known {
			flows = Flows{ToLivePerson: Flow{Deliveries: map[string]int64{}}, ToChannel: Flow{Deliveries: map[string]int64{}}}
		}
		flow := &flows.ToLivePerson
		if toChannel {
			flow = &flows.ToChannel
		}
		if metric == acceptedMetric {
			flow.Accepted += n
		} else {
			flow.Deliveries[labels["outcome"]] += n
		}
		t.Channels[labels["channel"]] = flows
	}
}
