package console

import (
	"encoding/json"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

// relayMetrics are those of the bridge that an hour is made of.
type relayMetrics struct {
	accepted, deliveries *prometheus.CounterVec
	lag, typing          *prometheus.HistogramVec
	answers              prometheus.Histogram
}

func newRelayMetrics(reg prometheus.Registerer) *relayMetrics {
	buckets := []float64{.1, .2, 1}
	m := &relayMetrics{
		accepted:   prometheus.NewCounterVec(prometheus.CounterOpts{Help: "as in the relay", Name: "lpbridge_events_accepted_total"}, []string{"channel", "direction", "kind"}),
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{Help: "as in the relay", Name: "lpbridge_deliveries_total"}, []string{"channel", "direction", "kind", "outcome"}),
		lag:        prometheus.NewHistogramVec(prometheus.HistogramOpts{Help: "as in the relay", Name: "lpbridge_delivery_lag_seconds", Buckets: buckets}, []string{"channel", "direction"}),
		typing:     prometheus.NewHistogramVec(prometheus.HistogramOpts{Help: "as in the relay", Name: "lpbridge_typing_change_duration_seconds", Buckets: buckets}, []string{"channel", "direction", "change"}),
		answers:    prometheus.NewHistogram(prometheus.HistogramOpts{Help: "as in the relay", Name: "lpbridge_notification_duration_seconds", Buckets: buckets}),
	}
	reg.MustRegister(m.accepted, m.deliveries, m.lag, m.typing, m.answers)
	return m
}

// TestHour: what passed is there point by point, an hour of it and no more, in memory
// that does not grow.
func TestHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reg := prometheus.NewRegistry()
		m := newRelayMetrics(reg)
		m.accepted.WithLabelValues("webhook", "to_liveperson", "message").Add(1000)
		c, _, _ := setup(t, fourLetters(), func(o *Options) { o.Gatherer = reg })
		c.Start()
		ask := func() Hour {
			var h Hour
			if err := json.Unmarshal([]byte(bodyOf(t, request(c, "GET", "/hour", ""))), &h); err != nil {
				t.Fatal(err)
			}
			return h
		}
		synctest.Wait()
		if h := ask(); len(h.Times) != 0 || len(h.Flows) != 0 {
			t.Errorf("before anything passed: %+v", h)
		}
		start := time.Now()
		time.Sleep(time.Second)
		m.accepted.WithLabelValues("webhook", "to_liveperson", "message").Add(3)
		m.accepted.WithLabelValues("webhook", "to_liveperson", "receipt").Add(2)
		m.deliveries.WithLabelValues("webhook", "to_liveperson", "message", "delivered").Add(4)
		m.deliveries.WithLabelValues("webhook", "to_liveperson", "message", "throttled").Add(7)
		m.deliveries.WithLabelValues("webhook", "to_liveperson", "message", "retry").Add(9)
		m.typing.WithLabelValues("webhook", "to_liveperson", "told").Observe(.1)
		m.typing.WithLabelValues("webhook", "to_liveperson", "cleared").Observe(.1)
		for range 100 {
			m.lag.WithLabelValues("webhook", "to_liveperson").Observe(.15)
		}
		m.answers.Observe(5)
		time.Sleep(2 * hourInterval)
		h := ask()
		want := HourFlow{
			Channel: "webhook", Direction: "to_liveperson", Accepted: []float64{5, 0}, Delivered: []float64{4, 0},
			Throttled: []float64{7, 0}, Typing: []float64{1, 0}, Lag: []*float64{new(.195), nil},
		}
		if len(h.Flows) != 1 || !cmp.Equal(want, h.Flows[0]) {
			t.Errorf("the flow is %s", cmp.Diff([]HourFlow{want}, h.Flows))
		}
		if h.Every != 10 || !cmp.Equal(h.Times, []int64{start.Add(hourInterval).Unix(), start.Add(2 * hourInterval).Unix()}) || !cmp.Equal(h.Answers, []*float64{new(1.), nil}) {
			t.Errorf("the hour is %+v", h)
		}
		for i := range 2 * mostFlows {
			m.accepted.WithLabelValues("channel-"+string(rune('a'+i%26))+string(rune('a'+i/26)), "to_channel", "message").Inc()
		}
		time.Sleep(90 * time.Minute)
		if h = ask(); len(h.Times) != hourPoints || h.Times[hourPoints-1]-h.Times[0] != int64((time.Hour-hourInterval).Seconds()) || len(h.Flows) != mostFlows {
			t.Errorf("after much longer it has %d points of %d flows", len(h.Times), len(h.Flows))
		}
		for _, flow := range h.Flows {
			if len(flow.Accepted) != hourPoints || flow.Accepted[0] != 0 {
				t.Fatalf("what is older than an hour is there: %v", flow)
			}
		}
		c.Close()
	})
}

func TestQuantile(t *testing.T) {
	for _, test := range []struct {
		name string
		b    buckets
		want float64
	}{
		{"nothing", buckets{1: 0, math.Inf(1): 0}, math.NaN()},
		{"in the first", buckets{1: 100, 2: 100, math.Inf(1): 100}, .95},
		{"between two", buckets{1: 90, 2: 100, math.Inf(1): 100}, 1.5},
		{"beyond all", buckets{1: 1, 2: 2, math.Inf(1): 100}, 2},
	} {
		if got := test.b.quantile(.95); got != test.want && !(math.IsNaN(got) && math.IsNaN(test.want)) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}
