package relay

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge"
)

// metrics are the bridge's counters. Labels come from closed sets only: the
// configured channels, kinds, directions and outcomes.
type metrics struct {
	accepted      *prometheus.CounterVec
	duplicates    *prometheus.CounterVec
	refusals      *prometheus.CounterVec
	deliveries    *prometheus.CounterVec
	duration      *prometheus.HistogramVec
	lag           *prometheus.HistogramVec
	notifications *prometheus.CounterVec
	dropped       *prometheus.CounterVec
	typing        *prometheus.CounterVec
	echoes        prometheus.Counter
	attachments   *prometheus.CounterVec
	leftOut       *prometheus.CounterVec
	agents        *prometheus.CounterVec
	webhookTime   prometheus.Histogram
	given         *prometheus.CounterVec
	lost          prometheus.Counter
	claimed       prometheus.Counter
	engagements   *prometheus.CounterVec
}

// latencyBuckets reach from a journal write to the longest time-out, in seconds.
var latencyBuckets = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// lagBuckets reach from a healthy relay to a day of waiting, in seconds.
var lagBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, 1, 5, 15, 60, 300, 1800, 7200, 86400}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_events_accepted_total", Help: "Events made durable, by channel, direction and kind.",
		}, []string{"channel", "direction", "kind"}),
		duplicates: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_events_duplicate_total", Help: "Events that were known already.",
		}, []string{"channel", "direction"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_events_refused_total", Help: "Requests whose events could not be stored, by reason.",
		}, []string{"channel", "reason"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_deliveries_total", Help: "Deliveries by channel, direction, kind and outcome.",
		}, []string{"channel", "direction", "kind", "outcome"}),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lpbridge_delivery_duration_seconds", Help: "How long deliveries took.", Buckets: latencyBuckets,
		}, []string{"direction"}),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lpbridge_delivery_lag_seconds", Help: "From acceptance to confirmed delivery.", Buckets: lagBuckets,
		}, []string{"direction"}),
		notifications: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_notifications_total", Help: "Requests of LivePerson's webhooks by result.",
		}, []string{"result"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_notification_changes_dropped_total", Help: "Changes in notifications that are not relayed, by reason.",
		}, []string{"reason"}),
		typing: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_typing_total", Help: "Typing by direction and what became of it.",
		}, []string{"direction", "result"}),
		echoes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lpbridge_echoes_settled_total", Help: "Deliveries without an answer that an echo proved.",
		}),
		attachments: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_attachments_total", Help: "Consumers' attachments by channel and result: uploaded, or why one went as a link.",
		}, []string{"channel", "result"}),
		leftOut: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_channel_left_out_total", Help: "What came from a channel and was not relayed, or not whole, by reason.",
		}, []string{"channel", "reason"}),
		agents: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_agent_profiles_total", Help: "Lookups of agents' public profiles by result: known, unknown, failed, or busy where none was made.",
		}, []string{"result"}),
		webhookTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lpbridge_notification_duration_seconds", Help: "How long LivePerson waited for our answer.", Buckets: latencyBuckets,
		}),
		given: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_events_given_up_total", Help: "Events that are not delivered because there is nothing left to tell, by direction, kind and reason.",
		}, []string{"direction", "kind", "reason"}),
		lost: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lpbridge_conversations_lost_total", Help: "Conversations we believed to be open and LivePerson takes nothing for.",
		}),
		claimed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lpbridge_notification_changes_claimed_total", Help: "Changes that came before it was known whose conversation they are about.",
		}),
		engagements: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_engagements_total", Help: "New conversations by what the Monitoring API said: engaged, none, or failed.",
		}, []string{"result"}),
	}
	reg.MustRegister(m.accepted, m.duplicates, m.refusals, m.deliveries, m.duration, m.lag,
		m.notifications, m.dropped, m.typing, m.echoes, m.attachments, m.leftOut, m.agents, m.webhookTime, m.given, m.lost, m.claimed, m.engagements)
	return m
}

// registerGauges adds what is read from the bridge's state at each scrape.
func registerGauges(reg prometheus.Registerer, j bridge.Journal, all func() (known, delivering int)) {
	gauge := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("lpbridge_events_pending", "Events accepted and not yet delivered.", func() float64 { return float64(j.PendingCount()) })
	gauge("lpbridge_lanes", "Lanes in memory.", func() float64 { known, _ := all(); return float64(known) })
	gauge("lpbridge_deliveries_in_flight", "Deliveries under way.", func() float64 { _, n := all(); return float64(n) })
}

func (m *metrics) refused(channel string, err error) {
	reason := "storage"
	switch {
	case errors.Is(err, bridge.ErrBusy):
		reason = "busy"
	case errors.Is(err, bridge.ErrRecordTaken):
		reason = "record"
	}
	m.refusals.WithLabelValues(channel, reason).Inc()
}

func (m *metrics) duplicate(channel string, d bridge.Direction) {
	m.duplicates.WithLabelValues(channel, d.String()).Inc()
}

func (m *metrics) delivered(e *bridge.Entry, o bridge.Outcome, took time.Duration) {
	d := e.Lane.Direction.String()
	m.deliveries.WithLabelValues(e.Lane.Channel, d, string(e.Kind), o.String()).Inc()
	m.duration.WithLabelValues(d).Observe(took.Seconds())
	if o == bridge.Delivered {
		m.lag.WithLabelValues(d).Observe(time.Since(e.Accepted).Seconds())
	}
}

// drop counts a change in a notification that is not relayed.
func (m *metrics) drop(reason string) { m.dropMany(reason, 1) }

func (m *metrics) dropMany(reason string, n int) {
	if n > 0 {
		m.dropped.WithLabelValues(reason).Add(float64(n))
	}
}

// typed counts typing and what became of it.
func (m *metrics) typed(d bridge.Direction, result string) {
	m.typing.WithLabelValues(d.String(), result).Inc()
}

// undelivered counts an event that is not delivered because there is nothing left
// to tell.
func (m *metrics) undelivered(e *bridge.Entry, reason string) {
	m.given.WithLabelValues(e.Lane.Direction.String(), string(e.Kind), reason).Inc()
}
