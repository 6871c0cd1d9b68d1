package main

import (
	"cmp"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge"
	"lpbridge/bridge/console"
)

// refusalPause is how long one kind of refusal is not told again: whoever
// scans a port must not fill the log.
const refusalPause = time.Minute

// nobody stands for the channel of a request that no front door takes.
const nobody = "none"

// refusals sees every request of the public listener that was refused. Chatwoot
// and others send once: without this the words would be gone and all be green.
type refusals struct {
	log     *slog.Logger
	counter *prometheus.CounterVec

	mu    sync.Mutex
	kinds map[refusalKind]*refusal
}

// refusalKind has labels from closed sets only.
type refusalKind struct{ channel, reason string }

// refusal is what is known of one kind.
type refusal struct {
	count, told int64 // told of them in the log
	last, said  time.Time
	detail      string
}

func newRefusals(log *slog.Logger, reg prometheus.Registerer) *refusals {
	r := &refusals{
		log: log, kinds: map[refusalKind]*refusal{},
		counter: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_requests_refused_total", Help: "Requests that were refused, by channel (liveperson, none and admin besides) and reason.",
		}, []string{"channel", "reason"}),
	}
	reg.MustRegister(r.counter)
	return r
}

// expect makes the counters of a channel, for an alert sees no growth in one that
// begins with its first refusal.
func (r *refusals) expect(channel string) {
	for _, reason := range reasons {
		r.counter.WithLabelValues(channel, reason)
	}
	r.counter.WithLabelValues(channel, "internal")
}

// watch passes requests of a channel on and notes those that were refused.
func (r *refusals) watch(channel string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen := &watchedResponse{ResponseWriter: w}
		next.ServeHTTP(seen, req)
		if reason := reasonOf(seen.status); reason != "" {
			r.note(channel, reason, seen.detail)
		}
	})
}

// adminDoor is the channel of requests of the admin listener.
const adminDoor = "admin"

// watchAdmin notes who was not let in at the admin listener; what operators get
// wrong is their own business.
func (r *refusals) watchAdmin(next http.Handler) http.Handler {
	r.expect(adminDoor)
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen := &watchedResponse{ResponseWriter: w}
		next.ServeHTTP(seen, req)
		switch seen.status {
		case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests, http.StatusMisdirectedRequest:
			r.note(adminDoor, reasonOf(seen.status), seen.detail)
		}
	})
}

// reasons are the words for the statuses that refuse; others are the business
// of the channel's own protocol.
var reasons = map[int]string{
	http.StatusBadRequest: "invalid", http.StatusUnauthorized: "unauthorized", http.StatusForbidden: "forbidden",
	http.StatusNotFound: "not_found", http.StatusMethodNotAllowed: "method", http.StatusRequestTimeout: "timeout",
	http.StatusConflict: "conflict", http.StatusGone: "gone", http.StatusRequestEntityTooLarge: "too_large",
	http.StatusUnsupportedMediaType: "media_type", http.StatusUnprocessableEntity: "invalid",
	http.StatusMisdirectedRequest: "host", http.StatusTooManyRequests: "too_many", http.StatusServiceUnavailable: "unavailable",
}

func reasonOf(status int) string {
	switch {
	case status < http.StatusBadRequest:
		return ""
	case status >= http.StatusInternalServerError:
		return cmp.Or(reasons[status], "internal")
	}
	return cmp.Or(reasons[status], "other")
}

// note counts a refusal, and tells of the first of its kind and then of one a
// minute.
func (r *refusals) note(channel, reason, detail string) {
	r.counter.WithLabelValues(channel, reason).Inc()
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	kind := refusalKind{channel, reason}
	k := r.kinds[kind]
	if k == nil {
		k = &refusal{}
		r.kinds[kind] = k
	}
	k.count++
	k.last, k.detail = now, detail
	if !k.said.IsZero() && now.Sub(k.said) < refusalPause {
		return
	}
	r.log.Warn("requests are refused", "channel", channel, "reason", reason, "detail", detail, "count", k.count-k.told)
	k.said, k.told = now, k.count
}

// list is what the console shows, the newest first.
func (r *refusals) list() []console.Refusal {
	r.mu.Lock()
	defer r.mu.Unlock()
	list := make([]console.Refusal, 0, len(r.kinds))
	for kind, k := range r.kinds {
		list = append(list, console.Refusal{Channel: kind.channel, Reason: kind.reason, Detail: k.detail, Count: k.count, Last: k.last})
	}
	slices.SortFunc(list, func(a, b console.Refusal) int { return b.Last.Compare(a.Last) })
	return list
}

// watchedResponse remembers how a request was answered.
type watchedResponse struct {
	http.ResponseWriter
	status int
	detail string
}

var _ bridge.Refused = (*watchedResponse)(nil)

// WriteHeader implements [http.ResponseWriter].
func (w *watchedResponse) WriteHeader(status int) {
	// What is informational comes before the answer.
	if w.status < http.StatusOK {
		w.status = status
	}
	if status == http.StatusRequestEntityTooLarge {
		// The server would do it, but does not see through this writer.
		w.Header().Set("Connection", "close")
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap is for [http.ResponseController] and for upgrades to WebSocket.
func (w *watchedResponse) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Refused implements [bridge.Refused].
func (w *watchedResponse) Refused(p *bridge.Problem) { w.detail = cmp.Or(p.Detail, p.Title) }
