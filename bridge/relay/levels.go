package relay

import (
	"log/slog"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
)

// levels are the metrics by which an operator holds us to what we promise.
type levels struct {
	log    *slog.Logger
	dead   *prometheus.CounterVec
	poison *prometheus.CounterVec
	// polled is when a channel that is asked for news was last asked well.
	polled *prometheus.GaugeVec
}

func newLevels(reg prometheus.Registerer, log *slog.Logger) *levels {
	l := &levels{
		log: log,
		dead: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_dead_letters_total", Help: "Events that became dead letters, by channel, direction and how the last delivery ended.",
		}, []string{"channel", "direction", "outcome"}),
		poison: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_poison_total", Help: "Dead letters that always failed while others got through, by channel and direction.",
		}, []string{"channel", "direction"}),
		polled: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "lpbridge_channel_polled_timestamp_seconds", Help: "When a channel was last asked for news and answered, or else when we began to ask, in seconds since 1970.",
		}, []string{"channel"}),
	}
	reg.MustRegister(l.dead, l.poison, l.polled)
	return l
}

// died tells of an event that needs a decision.
func (l *levels) died(e *bridge.Entry, v lane.Verdict) {
	l.dead.WithLabelValues(e.Lane.Channel, e.Lane.Direction.String(), v.Outcome.String()).Inc()
	if v.Poison {
		l.poison.WithLabelValues(e.Lane.Channel, e.Lane.Direction.String()).Inc()
	}
	l.log.Warn("dead letter", "channel", e.Lane.Channel, "direction", e.Lane.Direction.String(), "thread", string(e.Lane.Thread),
		"kind", string(e.Kind), "event", string(e.ID), "seq", e.Seq, "attempts", e.Attempts+1, "outcome", v.Outcome.String(),
		"poison", v.Poison, "accepted", e.Accepted)
}
