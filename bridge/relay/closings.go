package relay

import (
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// closingsPause is how long one kind of closing is not told again.
const closingsPause = time.Minute

// closings are the connections of consumers that channels closed to leave room for
// others. It is safe for concurrent use, and calls nobody back.
type closings struct {
	log     *slog.Logger
	counter *prometheus.CounterVec

	mu    sync.Mutex
	kinds map[closingKind]*closing
}

type closingKind struct{ channel, reason string }

// closing is what is known of one kind.
type closing struct {
	untold int64
	said   time.Time
}

func newClosings(reg prometheus.Registerer, log *slog.Logger) *closings {
	c := &closings{
		log: log, kinds: map[closingKind]*closing{},
		counter: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_channel_connections_closed_total",
			Help: "Connections of consumers that were closed to leave room for others, by channel and reason.",
		}, []string{"channel", "reason"}),
	}
	reg.MustRegister(c.counter)
	return c
}

// note counts one, and tells of the first of its kind and then of one a minute.
func (c *closings) note(channel, reason string) {
	c.counter.WithLabelValues(channel, reason).Inc()
	c.mu.Lock()
	defer c.mu.Unlock()
	kind := closingKind{channel, reason}
	k := c.kinds[kind]
	if k == nil {
		k = &closing{}
		c.kinds[kind] = k
	}
	k.untold++
	if now := time.Now(); k.said.IsZero() || now.Sub(k.said) >= closingsPause {
		c.log.Warn("connections of consumers are closed to leave room for others", "channel", channel, "reason", reason, "count", k.untold)
		k.said, k.untold = now, 0
	}
}
