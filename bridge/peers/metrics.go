package peers

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// results are all ways in which a request ends here.
var results = []string{resultAnswered, resultOwn, resultFull, resultLate, resultLost, resultCut, resultGone}

// metrics count what passes through a replica that does not own the journal.
type metrics struct {
	requests *prometheus.CounterVec
	repeated prometheus.Counter
	// ended are the same numbers for the status.
	ended map[string]*atomic.Int64
}

func newMetrics(reg prometheus.Registerer, f *Forwarder) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_forwarded_requests_total",
			Help: "Requests to a replica that did not own the journal, by how they ended: answered by the owner, served_here because this replica became it, refused_full or refused_late when too many were under way or held, or one for too long, answer_lost or answer_cut because the owner went, client_gone.",
		}, []string{"result"}),
		repeated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lpbridge_forwarded_requests_repeated_total", Help: "Requests that were sent again because the owner went before it answered.",
		}),
		ended: map[string]*atomic.Int64{},
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	reg.MustRegister(m.requests, m.repeated,
		gauge("lpbridge_owner_unreachable", "1 while another replica owns the journal and takes no requests of this one; 0 while it does, and where none owns it.", func() float64 {
			if f.unreachable() {
				return 1
			}
			return 0
		}),
		gauge("lpbridge_forwarded_sockets", "Sockets that go through this replica to the owner of the journal.", func() float64 { return float64(f.Sockets()) }),
		gauge("lpbridge_held_requests", "Requests that wait until a replica owns the journal.", func() float64 { return float64(f.Held()) }),
		gauge("lpbridge_held_requests_limit", "How many requests may wait until a replica owns the journal.", func() float64 { return maxHeld }),
		gauge("lpbridge_kept_body_bytes", "Bytes of bodies that are kept until their requests are answered.", func() float64 { return float64(f.bodies.taken.Load()) }))
	for _, result := range results {
		m.requests.WithLabelValues(result)
		m.ended[result] = new(atomic.Int64)
	}
	return m
}

func (m *metrics) count(result string) {
	m.requests.WithLabelValues(result).Inc()
	m.ended[result].Add(1)
}

func (m *metrics) counts() map[string]int64 {
	counts := make(map[string]int64, len(m.ended))
	for result, n := range m.ended {
		counts[result] = n.Load()
	}
	return counts
}
