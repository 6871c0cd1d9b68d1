package console

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge"
)

// farSideStates are the words of [bridge.FlowStatus]. One of them is 1 for each
// far side, the others 0, so that an alert can ask for any.
var farSideStates = []string{"well", "throttled", "down", "credential_refused"}

var (
	farSideState = prometheus.NewDesc("lpbridge_far_side_state",
		"State of LivePerson and of each channel's system: 1 for the one that holds.", []string{"far_side", "state"}, nil)
	oldestWaiting = prometheus.NewDesc("lpbridge_oldest_waiting_seconds",
		"How long ago the oldest event was accepted that waits for a far side; 0 when none does.", []string{"far_side"}, nil)
)

// farSides reads the state of all far sides at each scrape.
type farSides struct{ status func() bridge.Status }

var _ prometheus.Collector = farSides{}

// Describe implements [prometheus.Collector].
func (f farSides) Describe(to chan<- *prometheus.Desc) {
	to <- farSideState
	to <- oldestWaiting
}

// Collect implements [prometheus.Collector].
func (f farSides) Collect(to chan<- prometheus.Metric) {
	s := f.status()
	collect := func(name string, flow bridge.FlowStatus) {
		for _, state := range farSideStates {
			holds := 0.0
			if state == flow.State {
				holds = 1
			}
			to <- prometheus.MustNewConstMetric(farSideState, prometheus.GaugeValue, holds, name, state)
		}
		age := 0.0
		if !flow.Oldest.IsZero() {
			age = max(0, time.Since(flow.Oldest).Seconds())
		}
		to <- prometheus.MustNewConstMetric(oldestWaiting, prometheus.GaugeValue, age, name)
	}
	collect("liveperson", s.LivePerson)
	for _, ch := range s.Channels {
		collect(ch.Name, ch.Flow)
	}
}
