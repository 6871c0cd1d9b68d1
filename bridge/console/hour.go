package console

import (
	"math"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

const (
	// hourInterval is how much time one point of the last hour stands for, hourPoints how
	// many there are.
	hourInterval = 10 * time.Second
	hourPoints   = int(time.Hour / hourInterval)
	// mostFlows bounds the memory of an hour: a channel has two.
	mostFlows = 64
)

// Hour is the answer of /hour: what passed in the last hour, or since the start. Lists
// have an element for each of Times, which are seconds since 1970; each stands for
// Every seconds before it.
type Hour struct {
	Every int64   `json:"every"`
	Times []int64 `json:"times"`
	// Flows are by channel and direction.
	Flows []HourFlow `json:"flows"`
	// Answers is how long LivePerson waited for answers to its notifications, in
	// seconds, 95th percentile; null where there were none.
	Answers []*float64 `json:"answers"`
}

// HourFlow is one direction of one channel.
type HourFlow struct {
	Channel   string `json:"channel"`
	Direction string `json:"direction"`
	// Accepted, Delivered and Throttled (429s) count events and deliveries, Typing
	// how often the far side was told that somebody types.
	Accepted  []float64 `json:"accepted"`
	Delivered []float64 `json:"delivered"`
	Throttled []float64 `json:"throttled"`
	Typing    []float64 `json:"typing"`
	// Lag is from acceptance to delivery in seconds, 95th percentile; null where nothing
	// was delivered.
	Lag []*float64 `json:"lag"`
}

// hour samples the metrics, so that there is something to look at without any other
// service. Its memory does not grow.
type hour struct {
	source prometheus.Gatherer
	// stopped is closed by stop when no more points are wanted.
	stopped chan struct{}
	stop    func()

	mu    sync.Mutex
	times [hourPoints]int64
	// next is where the next point goes, known how many there are.
	next, known int
	flows       map[flowKey]*flowPoints
	answers     points
	before      sample
}

type flowKey struct{ channel, direction string }

// points are as many as an hour has; NaN is none.
type points [hourPoints]float32

type flowPoints struct{ accepted, delivered, throttled, typing, lag points }

// sample is what the counters stood at.
type sample struct {
	flows   map[flowKey]*counted
	answers buckets
}

type counted struct {
	accepted, delivered, throttled, typing float64
	lag                                    buckets
}

// buckets are the cumulative counts of a histogram, by upper bound.
type buckets map[float64]uint64

func newHour(source prometheus.Gatherer) *hour {
	h := &hour{source: source, stopped: make(chan struct{}), flows: map[flowKey]*flowPoints{}}
	h.stop = sync.OnceFunc(func() { close(h.stopped) })
	return h
}

// run samples until it is stopped.
func (h *hour) run() {
	tick := time.NewTicker(hourInterval)
	defer tick.Stop()
	for h.sample(time.Now()); ; {
		select {
		case <-h.stopped:
			return
		case now := <-tick.C:
			h.sample(now)
		}
	}
}

// sample adds a point, but for the first time, which has nothing to compare with.
func (h *hour) sample(now time.Time) {
	// What cannot be gathered is left out, as in the status.
	families, _ := h.source.Gather()
	is := read(families)
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.before
	if h.before = is; was.flows == nil {
		return
	}
	at := h.next
	h.times[at] = now.Unix()
	h.answers[at] = float32(is.answers.since(was.answers).quantile(0.95))
	for key := range is.flows {
		if h.flows[key] == nil && len(h.flows) < mostFlows {
			h.flows[key] = &flowPoints{}
		}
	}
	for key, p := range h.flows {
		p.set(at, is.flow(key), was.flow(key))
	}
	h.next, h.known = (at+1)%hourPoints, min(h.known+1, hourPoints)
}

func (s *sample) flow(key flowKey) *counted {
	if c := s.flows[key]; c != nil {
		return c
	}
	return &counted{}
}

func (p *flowPoints) set(at int, is, was *counted) {
	p.accepted[at] = float32(is.accepted - was.accepted)
	p.delivered[at] = float32(is.delivered - was.delivered)
	p.throttled[at] = float32(is.throttled - was.throttled)
	p.typing[at] = float32(is.typing - was.typing)
	p.lag[at] = float32(is.lag.since(was.lag).quantile(0.95))
}

// read takes from the metrics what an hour shows.
func read(families []*dto.MetricFamily) sample {
	s := sample{flows: map[flowKey]*counted{}, answers: buckets{}}
	for _, family := range families {
		name := family.GetName()
		if name == "lpbridge_notification_duration_seconds" {
			for _, m := range family.GetMetric() {
				s.answers.add(m.GetHistogram())
			}
		}
		if !slices.Contains([]string{acceptedMetric, deliveriesMetric, "lpbridge_delivery_lag_seconds", "lpbridge_typing_change_duration_seconds"}, name) {
			continue
		}
		for _, m := range family.GetMetric() {
			s.count(name, m)
		}
	}
	return s
}

func (s *sample) count(name string, m *dto.Metric) {
	labels := map[string]string{}
	for _, l := range m.GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	key := flowKey{labels["channel"], labels["direction"]}
	c := s.flows[key]
	if c == nil {
		c = &counted{lag: buckets{}}
		s.flows[key] = c
	}
	n := m.GetCounter().GetValue()
	switch {
	case name == acceptedMetric:
		c.accepted += n
	case name == deliveriesMetric && labels["outcome"] == "delivered":
		c.delivered += n
	case name == deliveriesMetric && labels["outcome"] == "throttled":
		c.throttled += n
	case labels["change"] == "told":
		c.typing += float64(m.GetHistogram().GetSampleCount())
	case name == "lpbridge_delivery_lag_seconds":
		c.lag.add(m.GetHistogram())
	}
}

func (b buckets) add(h *dto.Histogram) {
	for _, bucket := range h.GetBucket() {
		b[bucket.GetUpperBound()] += bucket.GetCumulativeCount()
	}
	b[math.Inf(1)] += h.GetSampleCount()
}

func (b buckets) since(before buckets) buckets {
	d := buckets{}
	for bound, n := range b {
		d[bound] = n - before[bound]
	}
	return d
}

// quantile is estimated as Prometheus does, by a straight line within the bucket;
// NaN when there is nothing.
func (b buckets) quantile(q float64) float64 {
	total := b[math.Inf(1)]
	if total == 0 {
		return math.NaN()
	}
	rank, lower, below := q*float64(total), 0.0, uint64(0)
	bounds := make([]float64, 0, len(b))
	for bound := range b {
		bounds = append(bounds, bound)
	}
	slices.Sort(bounds)
	for _, bound := range bounds {
		n := b[bound]
		if float64(n) >= rank {
			if math.IsInf(bound, 1) {
				return lower
			}
			return lower + (bound-lower)*(rank-float64(below))/float64(n-below)
		}
		lower, below = bound, n
	}
	return lower
}

// last returns what is known, oldest first.
func (h *hour) last() Hour {
	h.mu.Lock()
	defer h.mu.Unlock()
	order := make([]int, h.known)
	for i := range order {
		order[i] = (h.next - h.known + i + hourPoints) % hourPoints
	}
	is := Hour{Every: int64(hourInterval.Seconds()), Times: []int64{}, Flows: []HourFlow{}, Answers: maybe(&h.answers, order)}
	for _, i := range order {
		is.Times = append(is.Times, h.times[i])
	}
	for key, p := range h.flows {
		is.Flows = append(is.Flows, HourFlow{
			Channel: key.channel, Direction: key.direction, Lag: maybe(&p.lag, order),
			Accepted: all(&p.accepted, order), Delivered: all(&p.delivered, order), Throttled: all(&p.throttled, order), Typing: all(&p.typing, order),
		})
	}
	slices.SortFunc(is.Flows, func(a, b HourFlow) int {
		// Towards LivePerson first.
		return strings.Compare(a.Channel+"\x00"+b.Direction, b.Channel+"\x00"+a.Direction)
	})
	return is
}

func all(p *points, order []int) []float64 {
	list := make([]float64, len(order))
	for i, at := range order {
		list[i] = float64(p[at])
	}
	return list
}

// maybe leaves out what is not a number, which JSON has none of.
func maybe(p *points, order []int) []*float64 {
	list := make([]*float64, len(order))
	for i, at := range order {
		if v := float64(p[at]); !math.IsNaN(v) {
			list[i] = new(math.Round(v*1e4) / 1e4)
		}
	}
	return list
}

func (c *Console) serveHour(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, c.hour.last())
}
