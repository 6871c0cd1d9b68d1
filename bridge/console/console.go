package console

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/pprof"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"lpbridge/bridge"
)

// scrapeTimeout bounds one scrape; Prometheus gives up after 10 s by default.
const scrapeTimeout = 10 * time.Second

// Bridge is what the console asks of the running bridge. *relay.Bridge is
// one.
type Bridge interface {
	Status() bridge.Status
	Ready(ctx context.Context) error
	// Resume lets a far side be asked at once that is not well; its error is
	// [bridge.ErrNoFarSide] when there is none of that name.
	Resume(farSide string) error
}

// DeadLetters are the events that are not delivered by themselves any more,
// with the meaning of the methods in [bridge.Journal].
type DeadLetters interface {
	DeadLetters(ctx context.Context, after int64, limit int) ([]bridge.DeadLetter, error)
	DeadLetter(ctx context.Context, seq int64) (*bridge.DeadLetter, error)
	Revive(ctx context.Context, seq int64) (bool, error)
	Discard(ctx context.Context, seq int64) (bool, error)
}

// Setting says where the value of one environment variable came from, never
// what it is.
type Setting struct {
	Variable string `json:"variable"`
	Origin   string `json:"origin"`
}

// Refusal is one kind of request that was refused since the start.
type Refusal struct {
	Channel string `json:"channel"`
	Reason  string `json:"reason"`
	// Detail is what the last sender was told.
	Detail string    `json:"detail,omitempty"`
	Count  int64     `json:"count"`
	Last   time.Time `json:"last"`
}

// Journal is how the journal is.
type Journal struct {
	// Engine is sqlite or postgres. On PostgreSQL, Owner names the process that owns the
	// journal, Epoch counts the owners, Since is when it became one, and LeaseSeconds how
	// much longer it may act without renewing its lease.
	Engine       string    `json:"engine"`
	Owner        string    `json:"owner,omitempty"`
	Epoch        int64     `json:"epoch,omitempty"`
	Since        time.Time `json:"since,omitzero"`
	LeaseSeconds float64   `json:"leaseSeconds,omitempty"`
	// DeadLetters counts the events that are not delivered by themselves any more.
	DeadLetters int64 `json:"deadLetters"`
	// LostEvents is how many accepted events may be missing because the database's
	// log had lost its end before this process started.
	LostEvents int64 `json:"lostEvents"`
	// NoSpace says why nothing is accepted; empty while there is space.
	NoSpace       string `json:"noSpace,omitempty"`
	DatabaseBytes int64  `json:"databaseBytes"`
	LogBytes      int64  `json:"logBytes"`
}

// Options are the parts a console is made of.
type Options struct {
	// Bridge, DeadLetters and Gatherer are required.
	Bridge      Bridge
	DeadLetters DeadLetters
	// Gatherer has the metrics to serve.
	Gatherer prometheus.Gatherer
	// Registerer takes the console's own metrics; nil keeps none.
	Registerer prometheus.Registerer
	Settings   []Setting
	Version    string
	// Trace tells the way of an event or of a thread, see [bridge.Trace]; nil for
	// none.
	Trace func(ctx context.Context, channel, id string) (bridge.Trace, error)
	// Consumers shows and erases what is kept of one; nil for none.
	Consumers Consumers
	// Journal says how the journal is; nil shows nothing of it.
	Journal func() Journal
	// Replica says how the process stands to others that share its journal; it returns
	// nil, or is, where there are none.
	Replica func() *Replica
	// Refusals are the kinds of request that were refused, the newest first; nil
	// for none.
	Refusals func() []Refusal
	// AdminToken is what operators prove themselves with, MetricsToken reads
	// /metrics only; see [Console.SetTokens].
	AdminToken, MetricsToken string
	// Profiles serves those of package net/http/pprof.
	Profiles bool
	// Hosts are the domain names the console is reached by. IP addresses,
	// localhost and names without a dot always work.
	Hosts []string
	// Logger may be nil for silence.
	Logger *slog.Logger
}

// Console is the admin listener's handler. It must be closed once the listener
// has shut down.
type Console struct {
	bridge   Bridge
	letters  DeadLetters
	settings []Setting
	refusals func() []Refusal
	journal  func() Journal
	replica  func() *Replica
	trace    func(ctx context.Context, channel, id string) (bridge.Trace, error)
	// consumers is nil where nothing of them is shown.
	consumers Consumers
	version   string
	log       *slog.Logger

	access    access
	draining  atomic.Bool
	readiness *readiness
	traffic   *trafficReader
	hour      *hour
	actions   *prometheus.CounterVec
	resumes   *prometheus.CounterVec
	// consumerActions counts what was shown and erased of consumers.
	consumerActions *prometheus.CounterVec
	handler         http.Handler
	checking        sync.WaitGroup
}

// New makes a console. It panics when metrics of the same names are registered
// already, as [prometheus.Registerer] does.
func New(o Options) *Console {
	c := &Console{
		bridge: o.Bridge, letters: o.DeadLetters, version: o.Version,
		settings: append([]Setting{}, o.Settings...),
		log:      o.Logger, refusals: o.Refusals, journal: o.Journal, replica: o.Replica, trace: o.Trace, consumers: o.Consumers,
		traffic: &trafficReader{source: o.Gatherer}, hour: newHour(o.Gatherer),
		actions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_dead_letter_actions_total", Help: "Dead letters an operator replayed or discarded.",
		}, []string{"action"}),
		resumes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_resumes_total", Help: "How often an operator let a far side be asked at once, by far side.",
		}, []string{"far_side"}),
		consumerActions: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_consumer_actions_total", Help: "How often an operator exported or erased what is kept of a consumer.",
		}, []string{"action"}),
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.readiness = newReadiness(o.Bridge.Ready, &c.checking, c.log)
	c.register(o.Registerer)
	c.SetTokens(o.AdminToken, o.MetricsToken)
	c.handler = secure(o.Hosts, c.guard(plainErrorsAsProblems(c.routes(o))))
	return c
}

// Start begins to keep the last hour. The metrics must be ready to be asked: those of
// the bridge are once it runs.
func (c *Console) Start() { c.checking.Go(func() { c.hour.run() }) }

func (c *Console) register(reg prometheus.Registerer) {
	if reg == nil {
		return
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "lpbridge_build_info", Help: "Always 1; the label says which version runs.",
		ConstLabels: prometheus.Labels{"version": c.version},
	})
	build.Set(1)
	reg.MustRegister(build, c.actions, c.resumes, c.consumerActions)
}

func (c *Console) routes(o Options) *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", serveHealth)
	mux.HandleFunc("GET /readyz", c.serveReady)
	mux.HandleFunc("POST /login", c.login)
	mux.HandleFunc("POST /logout", c.logout)
	mux.Handle("GET "+metricsPath, promhttp.HandlerFor(o.Gatherer, promhttp.HandlerOpts{
		Registry: o.Registerer, EnableOpenMetrics: true, CoalesceGather: true,
		ErrorLog: slog.NewLogLogger(c.log.Handler(), slog.LevelWarn), Timeout: scrapeTimeout,
	}))
	mux.HandleFunc("GET /status", c.serveStatus)
	mux.HandleFunc("GET /hour", c.serveHour)

	if c.trace != nil {
		mux.HandleFunc("GET /trace", c.serveTrace)
	}
	if c.consumers != nil {
		mux.HandleFunc("POST /consumers/export", c.exportConsumer)
		mux.HandleFunc("POST /consumers/erase", c.eraseConsumer)
	}
	mux.HandleFunc("GET /deadletters", c.list)
	mux.HandleFunc("GET /deadletters/export", c.export)
	mux.HandleFunc("GET /deadletters/{seq}", c.show)
	mux.HandleFunc("POST /deadletters/{seq}/replay", c.one(replay))
	mux.HandleFunc("DELETE /deadletters/{seq}", c.one(discard))
	mux.HandleFunc("POST /deadletters/replay", c.matching(replay))
	mux.HandleFunc("POST /deadletters/discard", c.matching(discard))

	mux.HandleFunc("POST /farsides/{name}/resume", c.resume)
	if o.Profiles {
		serveProfiles(mux)
	}
	for _, f := range pageFiles() {
		mux.Handle("GET "+f.path, f)
	}
	return mux
}

// serveProfiles serves them to whoever asks from here: making one costs time, and
// a page elsewhere could have a browser ask for many.
func serveProfiles(mux *http.ServeMux) {
	for pattern, handler := range map[string]http.HandlerFunc{
		"GET /debug/pprof/": pprof.Index, "GET /debug/pprof/cmdline": pprof.Cmdline, "GET /debug/pprof/profile": pprof.Profile,
		"GET /debug/pprof/symbol": pprof.Symbol, "POST /debug/pprof/symbol": pprof.Symbol, "GET /debug/pprof/trace": pprof.Trace,
	} {
		mux.Handle(pattern, handler)
	}
}

// ServeHTTP implements [http.Handler].
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.handler.ServeHTTP(w, r) }

// Close waits for readiness checks that still run and ends the sampling of the last
// hour. No request may be served any more.
func (c *Console) Close() {
	c.hour.stop()
	c.checking.Wait()
}
