package relay

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
)

// livePersonSide names LivePerson among the far sides; the others have the names
// of their channels.
const livePersonSide = "liveperson"

// Resume lets a far side be asked at once that is not well, such as one that said
// to come back much later: "liveperson" or a channel's name. Its error is
// [bridge.ErrNoFarSide] when there is none of that name.
func (b *Bridge) Resume(farSide string) error {
	if !b.ready.Load() {
		return errNotRunning
	}
	set := b.toChannel[farSide]
	if farSide == livePersonSide {
		set = b.toLivePerson
	}
	if set == nil {
		return fmt.Errorf("%w: %q", bridge.ErrNoFarSide, farSide)
	}
	set.Resume()
	return nil
}

// farSides are the metrics of the far sides, read at each scrape.
type farSides struct{ bridge *Bridge }

var (
	farSideState = prometheus.NewDesc("lpbridge_far_side_state",
		"1 for the state a far side is in: well, throttled, down, credential_refused, or stalled: LivePerson gives no tokens or conversations.", []string{"far_side", "state"}, nil)
	farSideLimit = prometheus.NewDesc("lpbridge_far_side_deliveries_limit",
		"Deliveries that may run at once, as found by the limiter.", []string{"far_side"}, nil)
	farSideOldest = prometheus.NewDesc("lpbridge_far_side_oldest_waiting_seconds",
		"How long the oldest event that is not delivered has waited.", []string{"far_side"}, nil)
	oldestPending = prometheus.NewDesc("lpbridge_events_oldest_pending_seconds",
		"How long the oldest event that is not delivered has waited, by channel and direction; 0 when none does.", []string{"channel", "direction"}, nil)
)

// Describe implements [prometheus.Collector].
func (f farSides) Describe(descs chan<- *prometheus.Desc) {
	descs <- farSideState
	descs <- farSideLimit
	descs <- farSideOldest
	descs <- oldestPending
}

// Collect implements [prometheus.Collector].
func (f farSides) Collect(metrics chan<- prometheus.Metric) {
	if !f.bridge.ready.Load() {
		return
	}
	collect(metrics, livePersonSide, f.bridge.stalls.describe(f.bridge.toLivePerson.Status()))
	waiting := f.bridge.toLivePerson.Oldest()
	for name, set := range f.bridge.toChannel {
		collect(metrics, name, set.Status())
		collectOldest(metrics, name, bridge.ToLivePerson, waiting[name])
		collectOldest(metrics, name, bridge.ToChannel, set.Oldest()[name])
	}
}

func collect(metrics chan<- prometheus.Metric, name string, status bridge.FlowStatus) {
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		metrics <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, append([]string{name}, labels...)...)
	}
	for _, state := range []string{string(lane.Well), string(lane.Throttled), string(lane.Down), string(lane.Refused), stalledState} {
		value := 0.0
		if status.State == state {
			value = 1
		}
		if state != stalledState || name == livePersonSide {
			gauge(farSideState, value, state)
		}
	}
	gauge(farSideLimit, float64(status.Limit))
	gauge(farSideOldest, age(status.OldestWaiting))
}

func collectOldest(metrics chan<- prometheus.Metric, channel string, d bridge.Direction, since time.Time) {
	metrics <- prometheus.MustNewConstMetric(oldestPending, prometheus.GaugeValue, age(since), channel, d.String())
}

// age is how long ago something was in seconds, 0 when it never was.
func age(since time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return time.Since(since).Seconds()
}
