package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"lpbridge/bridge/console"
	"lpbridge/bridge/journal"
	"lpbridge/bridge/relay"
	"lpbridge/bridge/served"
	"lpbridge/config"
	"lpbridge/connector"
)

const (
	// headerTime ends connections that dribble their headers.
	headerTime = 5 * time.Second
	readTime   = 15 * time.Second
	writeTime  = 30 * time.Second
	idleTime   = 2 * time.Minute
	maxHeader  = 32 << 10
	// doorShare is the part of a stop's time that requests under way may take: a
	// client that dribbles its body must not cost deliveries theirs.
	doorShare = 4
	// adminTime is what an operator's last request may take; it is part of wedged.
	adminTime = time.Second
	// wedged is how much longer than its budget a stop may take before the
	// process ends itself: a supervisor can only restart what is gone.
	wedged = 5 * time.Second
)

// app is one running bridge with its listeners.
type app struct {
	settings *settings
	lp       *livePerson
	journal  *journal.Journal
	// opened is the journal once it is open: metrics may be asked before.
	opened atomic.Pointer[journal.Journal]
	// waited is why the process waits for the journal, or did; nil where it had not to.
	waited    atomic.Pointer[journal.Wait]
	bridge    *relay.Bridge
	registry  *prometheus.Registry
	refusals  *refusals
	listeners listeners
	// operating answers the admin listener; tokens guards it and those of the settings, which
	// stopRereading ends the replacing of.
	operating     *console.Console
	tokens        sync.Mutex
	stopRereading func()
	// replica is nil where the journal is not shared.
	replica  *replica
	draining atomic.Bool
	// stopping says that the process was told to stop.
	stopping atomic.Bool
	// publicTLS and adminTLS are nil where a listener speaks plain http.
	publicTLS, adminTLS *certificate
}

// newApp binds the listeners, opens the journal and puts the parts together.
// Nothing is accepted before run.
func newApp(ctx context.Context, s *settings) (*app, error) {
	a := &app{settings: s, registry: prometheus.NewRegistry(), listeners: listeners{broken: make(chan error, 3)}}
	if err := a.build(ctx); err != nil {
		a.abandon()
		return nil, err
	}
	return a, nil
}

// build gets hold of the app's parts, in an order in which the cheap and likely
// failures come first.
func (a *app) build(ctx context.Context) (err error) {
	s := a.settings
	a.refusals = newRefusals(s.log, a.registry)
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if err := a.readCertificates(); err != nil {
		return err
	}
	if a.listeners.public, err = listen("LPBRIDGE_LISTEN", s.Bridge.Listen); err != nil {
		return err
	}
	if a.listeners.admin, err = listen("LPBRIDGE_ADMIN_LISTEN", s.Bridge.AdminListen); err != nil {
		return err
	}
	if a.lp, err = newLivePerson(s); err != nil {
		return err
	}
	a.stopRereading = a.rereadOnSignal()
	registerOwner(a.registry, a.owner)
	if err := a.joinReplicas(); err != nil {
		return err
	}
	if err := a.openJournal(ctx); err != nil {
		return err
	}
	registerJournal(a.registry, a.journal)
	registerToken(a.registry, a.lp.tokens.Status, s.Bridge.MaxPending)
	return a.makeBridge()
}

// abandon releases what build got hold of before it failed.
func (a *app) abandon() {
	if a.stopRereading != nil {
		a.stopRereading()
	}
	a.listeners.close()
	if a.journal != nil {
		a.journal.Close()
	}
	if a.lp != nil {
		a.lp.close()
	}
}

func listen(variable, address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", variable, err)
	}
	return l, nil
}

func (a *app) journalOptions() journal.Options {
	b := a.settings.Bridge
	expire := map[string][]string{"": relay.ExpiringRecords()}
	var channels []string
	for _, ch := range a.settings.channels {
		expire[ch.name] = ch.history
		channels = append(channels, ch.name)
	}
	return journal.Options{
		Store: b.Store.Reveal(), Password: b.StorePassword.Reveal(), Retention: b.Retention, DedupeRetention: b.DedupeRetention,
		HistoryRetention: b.HistoryRetention, Expire: expire, MaxPending: int64(b.MaxPending), Channels: channels, Logger: a.settings.log,
		Observe: newCommits(a.registry).observe,
	}
}

func (a *app) makeBridge() (err error) {
	s, c := a.settings, a.settings.LivePerson
	a.bridge, err = relay.New(relay.Options{
		Account: connector.AccountID(c.AccountID), ClientID: c.ClientID, Journal: a.journal, Archive: a.journal.Archive(), Client: a.lp.client,
		VerifySignature: func(header string, body []byte) error { return a.lp.secrets.Verify(header, body) },
		TryCredential:   a.lp.tryCredential,
		Notifications:   relay.Notifications(c.Notifications), EchoWait: s.Bridge.EchoWait, UnclaimedFor: s.Bridge.UnclaimedFor,
		DeadLetterAfter: s.Bridge.DeadletterAfter, MaxInFlight: s.Bridge.MaxInFlight, ConsumerShare: s.Bridge.ConsumerShare(),
		ConsumerKey: []byte(s.Bridge.ConsumerKey.Reveal()), PublicURL: s.Bridge.PublicURL, Attachments: relay.AttachmentHandling(s.Bridge.Attachments), Documents: c.Documents,
		AttachmentPrivateNetworks: s.Bridge.AttachmentPrivateNetworks, AttachmentsOfOurOwn: s.contained, AgentProfiles: c.AgentProfiles, UserAgent: userAgent(),
		Slots: s.channelSlots(), Routing: routing(c), Survey: slices.Contains(a.lp.features, connector.FeatureMultiDialog),
		Logger: s.log, Metrics: a.registry, Tracer: s.tracer,
	})
	if err != nil {
		return err
	}
	for _, ch := range s.channels {
		adapter, err := ch.build(a.bridge.Core(ch.name))
		if err != nil {
			return err
		}
		if err := a.bridge.Attach(adapter); err != nil {
			return err
		}
	}
	return nil
}

// run serves until ctx ends or the journal fails, then stops in order: no new
// requests, deliveries under way end, typing is cleared, the journal closes.
func (a *app) run(ctx context.Context) error {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	stopWatching := a.watchJournal(ctx, fail)
	defer stopWatching()
	operating := a.console()
	defer operating.Close()
	defer a.stopRereading()
	relaying, endRelaying := context.WithCancel(context.WithoutCancel(ctx))
	defer endRelaying()
	budget := a.settings.Bridge.ShutdownTimeout
	closing := budget / doorShare
	relayed := make(chan error, 1)
	started := make(chan struct{})
	go func() {
		relayed <- a.bridge.Run(relaying, budget-closing, func() { close(started) })
	}()
	var err error
	select {
	case err = <-relayed:
		a.abandon()
		return err
	case <-started:
	}
	operating.Start()
	a.takeOver()
	a.listeners.office.set(operating)
	a.open()
	a.sayStarted()
	paceCollections()
	<-ctx.Done()
	a.drain(ctx, operating)
	a.settings.log.Info("stopping")
	defer endBy(budget + wedged).Stop()
	a.closeDoors(ctx, closing)
	endRelaying()
	err = <-relayed
	a.shutDown(ctx, adminTime, "admin", a.listeners.adminServer)
	a.endCalls(ctx)
	err = errors.Join(err, a.journal.Close())
	a.listeners.close()
	a.listeners.serving.Wait()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	a.settings.log.Info("stopped")
	return err
}

// closeDoors takes nothing more and lets requests under way end.
func (a *app) closeDoors(ctx context.Context, within time.Duration) {
	var closing sync.WaitGroup
	closing.Go(func() {
		bound, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
		defer cancel()
		a.leavePeers(bound)
	})
	a.shutDown(ctx, within, "public", a.listeners.publicServer)
	closing.Wait()
}

// endCalls ends what goes on towards LivePerson, and sends the last spans.
func (a *app) endCalls(ctx context.Context) {
	a.lp.close()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminTime)
	defer cancel()
	if err := a.settings.endTracing(ctx); err != nil {
		a.settings.log.Warn("the last traces were not exported", "error", safeExportError(err))
	}
}

// endBy ends the process with all its goroutines' traces unless it is stopped.
func endBy(limit time.Duration) *time.Timer {
	return time.AfterFunc(limit, func() {
		debug.SetTraceback("all")
		panic("the stop took longer than LPBRIDGE_SHUTDOWN_TIMEOUT allows")
	})
}

// drain makes /readyz say no and serves on for as long as balancers may need to
// notice. A journal that failed serves nobody, so that nothing is waited for then.
func (a *app) drain(ctx context.Context, operating *console.Console) {
	a.stopping.Store(true)
	operating.Drain()
	delay := a.settings.Bridge.DrainDelay
	if delay == 0 || !errors.Is(context.Cause(ctx), context.Canceled) {
		return
	}
	a.draining.Store(true)
	a.settings.log.Info("draining", "for", delay.String())
	select {
	case <-time.After(delay):
	case <-a.journal.Failed():
	}
}

// leaving has clients open their next connection elsewhere while the bridge
// drains: a balancer that was told keeps the connections it has.
func (a *app) leaving(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		next.ServeHTTP(w, r)
	})
}

// watchJournal ends the process when the journal cannot be trusted any more, or a
// listener serves no more.
func (a *app) watchJournal(ctx context.Context, fail context.CancelCauseFunc) (stop func()) {
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		select {
		case err := <-a.listeners.broken:
			fail(err)
		case <-a.journal.Failed():
			fail(fmt.Errorf("the journal failed, what was accepted is on disk: %w", a.journal.Err()))
		case <-done:
		case <-ctx.Done():
		}
	})
	return func() {
		close(done)
		watching.Wait()
	}
}

// shutDown lets requests under way end in the given time and cuts the others.
func (a *app) shutDown(ctx context.Context, within time.Duration, name string, s *http.Server) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		a.settings.log.Warn("connections were cut", "listener", name, "error", err)
		s.Close()
	}
}

func (a *app) server(h http.Handler, c *tls.Config) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: headerTime, ReadTimeout: readTime, WriteTimeout: writeTime, IdleTimeout: idleTime,
		MaxHeaderBytes: maxHeader, ErrorLog: quiet(a.settings.log), TLSConfig: c,
	}
}

// serveOn speaks TLS where there is a certificate.
func serveOn(s *http.Server, l net.Listener) error {
	if s.TLSConfig != nil {
		return s.ServeTLS(l, "", "")
	}
	return s.Serve(l)
}

func (a *app) publicHandler() http.Handler {
	mux := http.NewServeMux()
	shares, most := map[string]*share{}, a.settings.channelSlots()
	bounded := map[string]bool{}
	for _, ch := range a.bridge.Channels() {
		bounded[ch.Name] = ch.Served
	}
	for _, r := range a.bridge.Routes() {
		if shares[r.Channel] == nil {
			shares[r.Channel] = &share{slots: make(chan struct{}, most)}
			if !bounded[r.Channel] {
				shares[r.Channel].bodies = served.NewBudget(doorBodies)
			}
			a.refusals.expect(r.Channel)
		}
		mux.Handle(r.Pattern, a.settings.tracer.Door(r.Channel, r.Pattern, a.refusals.watch(r.Channel, shares[r.Channel].before(r.Handler))))
	}
	return plainPaths(mux, problems(mux, a.refusals))
}

// console makes the handler of the admin listener.
func (a *app) console() *console.Console {
	return a.operate(func(d config.Doors) *console.Console {
		return console.New(console.Options{
			Bridge: a.bridge, DeadLetters: a.journal, Settings: a.origins(), Version: version(), Hosts: a.settings.Bridge.AdminHosts,
			Refusals: a.refusals.list, Journal: a.journalStatus, Replica: a.replicaStatus, Trace: a.journal.Trace, Consumers: a.bridge.Consumers(), Profiles: d.AdminProfiles,
			AdminToken: d.AdminToken.Reveal(), MetricsToken: d.MetricsToken.Reveal(),
			Gatherer: a.registry, Registerer: a.registry, Logger: a.settings.log,
		})
	})
}

// origins says where each setting came from.
func (a *app) origins() []console.Setting {
	settings := make([]console.Setting, 0, len(a.settings.report.Settings))
	for _, s := range a.settings.report.Settings {
		settings = append(settings, console.Setting{Variable: s.Variable, Origin: string(s.Origin)})
	}
	return settings
}

// sayStarted writes the one line an operator looks for.
func (a *app) sayStarted() {
	names := make([]string, len(a.settings.channels))
	for i, ch := range a.settings.channels {
		names[i] = ch.name
	}
	a.settings.log.Info("started", "version", version(), "account", a.settings.LivePerson.AccountID, "channels", names,
		"listen", a.listeners.public.Addr().String(), "admin", a.listeners.admin.Addr().String(),
		"tls", a.publicTLS != nil, "admin_tls", a.adminTLS != nil)
	for _, ch := range a.bridge.Channels() {
		a.settings.log.Info("channel", "channel", ch.Name, "reports", ch.Reports, "delivers", ch.Delivers,
			"typing_in", ch.TypingIn.Reported, "typing_out", ch.TypingOut.Shown)
	}
}
