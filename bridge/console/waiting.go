package console

import (
	"log/slog"
	"net/http"
	"strconv"
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
	Standby bool   `json:"standby"`
	Reason  string `json:"reason"`
	// Ready says whether requests are handed on, NotReady why not.
	Ready    bool   `json:"ready"`
	NotReady string `json:"notReady,omitempty"`
	// Login says that there is one, and so a way to log out.
	Login bool `json:"login"`
	// Replica is how this process stands to the others.
	Replica  Replica   `json:"replica"`
	Settings []Setting `json:"settings"`
}

// The roles of a replica.
const (
	RoleOwner    = "owner"
	RoleStandby  = "standby"
	RoleStopping = "stopping"
)

// Replica is how a process stands to the others that share its journal.
type Replica struct {
	// Role is one of those above. An owner that cannot act on the journal for now is none.
	Role string `json:"role"`
	// Owner names the process that owns the journal, Epoch counts the owners, Since is when
	// it became one, and Peer where it takes requests of other replicas; all are empty
	// while nobody owns it, as far as is known.
	Owner string    `json:"owner,omitempty"`
	Epoch int64     `json:"epoch,omitempty"`
	Since time.Time `json:"since,omitzero"`
	Peer  string    `json:"peer,omitempty"`
	// Held are the requests that wait here until a process owns the journal, Sockets those
	// that go through this one to the owner.
	Held    int `json:"held"`
	Sockets int `json:"sockets"`
	// Forwarded counts requests that came here while another process owned the journal, by
	// how they ended.
	Forwarded map[string]int64 `json:"forwarded,omitempty"`
}

// Standby is what the admin listener of a process asks that waits to own the journal.
type Standby interface {
	// Reason is what is waited for.
	Reason() string
	// Ready is nil while requests are handed on.
	Ready() error
	Replica() Replica
}

// NewWaiting makes the admin listener's handler of a process that waits to own the
// journal, and has no bridge yet. It lives, is ready while it can hand requests on, and
// tells operators how it stands. It need not be closed.
func NewWaiting(o Options, s Standby) *Console {
	c := &Console{version: o.Version, log: o.Logger}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.SetTokens(o.AdminToken, o.MetricsToken)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", serveHealth)
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		answer := Readiness{Ready: true}
		status := http.StatusOK
		if err := s.Ready(); err != nil {
			answer = Readiness{NotReady: []NotReady{{Name: "owner"}}}
			if c.access.admit(r) {
				answer.NotReady[0].Reason = err.Error()
			}
			status = http.StatusServiceUnavailable
			w.Header().Set("Retry-After", strconv.Itoa(int(waitingRetry.Seconds())))
		}
		writeJSON(w, status, answer)
	})
	mux.Handle("GET "+metricsPath, promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{CoalesceGather: true, Timeout: scrapeTimeout}))
	mux.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) {
		report := WaitingReport{Version: c.version, Login: c.access.asks(), Standby: true, Reason: s.Reason(), Ready: true, Replica: s.Replica(), Settings: o.Settings}
		if err := s.Ready(); err != nil {
			report.Ready, report.NotReady = false, err.Error()
		}
		writeJSON(w, http.StatusOK, report)
	})
	mux.HandleFunc("POST /login", c.login)
	mux.HandleFunc("POST /logout", c.logout)
	for _, f := range pageFiles() {
		mux.Handle("GET "+f.path, f)
	}
	mux.Handle("/", &bridge.Problem{
		Status: http.StatusServiceUnavailable, Title: "Service Unavailable",
		Detail: "this process is a standby: ask the admin listener of the one that owns the journal, which /status names", RetryAfter: waitingRetry,
	})
	c.handler = secure(o.Hosts, c.guard(plainErrorsAsProblems(mux)))
	return c
}
