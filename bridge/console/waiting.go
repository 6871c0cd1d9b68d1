package console

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lpbridge/bridge"
)

// waitingRetry is when who met a process that waits may come again: by then another
// one serves, or this one.
const waitingRetry = 2 * time.Second

// WaitingReport is the answer of /status of a process that waits to own the journal.
type WaitingReport struct {
	Version string `json:"version"`
	// Standby is always true, Reason what is waited for.
	Standby  bool      `json:"standby"`
	Reason   string    `json:"reason"`
	Settings []Setting `json:"settings"`
}

// NewWaiting makes the admin listener's handler of a process that waits to own the
// journal, and has no bridge yet. It lives, is not ready, and says why to operators.
func NewWaiting(o Options, reason func() string) http.Handler {
	c := &Console{version: o.Version, log: o.Logger}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.SetTokens(o.AdminToken, o.MetricsToken)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", serveHealth)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		why := "this process is a standby: it waits to own the journal"
		if c.access.admit(r) {
			why = reason()
		}
		unready(why).ServeHTTP(w, r)
	})
	mux.Handle("GET "+metricsPath, promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{CoalesceGather: true, Timeout: scrapeTimeout}))
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, WaitingReport{Version: c.version, Standby: true, Reason: reason(), Settings: o.Settings})
	})
	mux.Handle("/", unready("this process is a standby: it waits to own the journal"))
	return secure(o.Hosts, c.guard(plainErrorsAsProblems(mux)))
}

// WaitingDoors answers all requests to the front doors of a process that waits.
func WaitingDoors() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A balancer finds the one that serves with the next connection.
		w.Header().Set("Connection", "close")
		unready("this process is a standby, send it again").ServeHTTP(w, r)
	})
}

func unready(why string) *bridge.Problem {
	return &bridge.Problem{Status: http.StatusServiceUnavailable, Title: "Service Unavailable", Detail: why, RetryAfter: waitingRetry}
}
