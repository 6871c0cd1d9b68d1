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
	typingTime    *prometheus.HistogramVec
	echoWaits     *prometheus.HistogramVec
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

func newMetrics(to prometheus.Registerer) *metrics {
	reg := registry{to}
	m := &metrics{
		accepted:   reg.counters("lpbridge_events_accepted_total", "Events made durable, by channel, direction and kind.", "channel", "direction", "kind"),
		duplicates: reg.counters("lpbridge_events_duplicate_total", "Events that were known already.", "channel", "direction"),
		refusals:   reg.counters("lpbridge_events_refused_total", "Requests whose events could not be stored, by reason: busy, share (of one consumer), record, storage.", "channel", "reason"),
		deliveries: reg.counters("lpbridge_deliveries_total", "Deliveries by channel, direction, kind and outcome.", "channel", "direction", "kind", "outcome"),
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lpbridge_delivery_duration_seconds", Help: "How long deliveries took.", Buckets: latencyBuckets,
		}, []string{"direction"}),
		lag: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lpbridge_delivery_lag_seconds", Help: "From acceptance to confirmed delivery.", Buckets: lagBuckets,
		}, []string{"channel", "direction"}),
		notifications: reg.counters("lpbridge_notifications_total", "Requests of LivePerson's webhooks by result.", "result"),
		dropped:       reg.counters("lpbridge_notification_changes_dropped_total", "Changes in notifications that are not relayed, by reason.", "reason"),
		typing:        reg.counters("lpbridge_typing_total", "Typing by direction and what became of it.", "direction", "result"),
		typingTime: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lpbridge_typing_change_duration_seconds",
			Help: "From when typing began or ended until that was told or cleared at the far side, by channel and direction.", Buckets: latencyBuckets,
		}, []string{"channel", "direction", "change"}),
		echoWaits: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lpbridge_echo_wait_seconds",
			Help: "How long messages waited for the echo of a delivery without an answer, by how that ended: echoed, sent_again, not_awaited, given_up.", Buckets: lagBuckets,
		}, []string{"channel", "end"}),
		echoes:      reg.counter("lpbridge_echoes_settled_total", "Deliveries without an answer that an echo proved."),
		attachments: reg.counters("lpbridge_attachments_total", "Consumers' attachments by channel and result: uploaded, or why one went as a link.", "channel", "result"),
		leftOut:     reg.counters("lpbridge_channel_left_out_total", "What came from a channel and was not relayed, or not whole, by reason.", "channel", "reason"),
		agents:      reg.counters("lpbridge_agent_profiles_total", "Lookups of agents' public profiles by result: known, unknown, failed, or busy where none was made.", "result"),
		webhookTime: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "lpbridge_notification_duration_seconds", Help: "How long LivePerson waited for our answer.", Buckets: latencyBuckets,
		}),
		given:       reg.counters("lpbridge_events_given_up_total", "Events that are not delivered because there is nothing left to tell, by direction, kind and reason.", "direction", "kind", "reason"),
		lost:        reg.counter("lpbridge_conversations_lost_total", "Conversations we believed to be open and LivePerson takes nothing for."),
		claimed:     reg.counter("lpbridge_notification_changes_claimed_total", "Changes that came before it was known whose conversation they are about."),
		engagements: reg.counters("lpbridge_engagements_total", "New conversations by what the Monitoring API said: engaged, none, or failed.", "result"),
	}
	reg.MustRegister(m.duration, m.lag, m.webhookTime, m.typingTime, m.echoWaits)
	return m
}

// registry makes counters and registers them.
type registry struct{ prometheus.Registerer }

func (r registry) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.MustRegister(c)
	return c
}

func (r registry) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	r.MustRegister(c)
	return c
}

// registerGauges adds what is read from the bridge's state at each scrape.
func registerGauges(reg prometheus.Registerer, j bridge.Backlog, all func() (known, delivering int), stalled func() int) {
	gauge := func(name, help string, value func() float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value))
	}
	gauge("lpbridge_events_pending", "Events accepted and not yet delivered.", func() float64 { return float64(j.PendingCount()) })
	gauge("lpbridge_lanes", "Lanes in memory.", func() float64 { known, _ := all(); return float64(known) })
	gauge("lpbridge_lanes_stalled", "Lanes that wait because LivePerson gives their consumer no token or no conversation.", func() float64 { return float64(stalled()) })
	gauge("lpbridge_deliveries_in_flight", "Deliveries under way.", func() float64 { _, n := all(); return float64(n) })
}

func (m *metrics) refused(channel string, err error) {
	reason := "storage"
	switch {
	case errors.Is(err, bridge.ErrBusy):
		reason = "busy"
	case errors.Is(err, bridge.ErrShare):
		reason = "share"
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
		m.lag.WithLabelValues(e.Lane.Channel, d).Observe(time.Since(e.Accepted).Seconds())
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
