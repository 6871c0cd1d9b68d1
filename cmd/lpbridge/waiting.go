package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge/console"
	"lpbridge/bridge/journal"
)

// openJournal opens the journal. While that waits, because another process owns it or
// its database does not answer, both listeners say so.
func (a *app) openJournal(ctx context.Context) error {
	w := &waiting{app: a}
	opts := a.journalOptions()
	opts.Waiting = w.because
	var err error
	a.journal, err = journal.Open(ctx, opts)
	w.end()
	if err != nil {
		return fmt.Errorf("LPBRIDGE_STORE: %w", err)
	}
	a.opened.Store(a.journal)
	return nil
}

// owner says whose the journal is.
func (a *app) owner() journal.Owner {
	if j := a.opened.Load(); j != nil {
		return j.Owner()
	}
	return journal.Owner{}
}

// waiting serves the listeners of a process that has no journal yet.
type waiting struct {
	app     *app
	reason  atomic.Pointer[string]
	servers []*http.Server
	serving sync.WaitGroup
}

// because says why the process waits; the first time it opens the listeners.
func (w *waiting) because(reason string) {
	if w.reason.Swap(&reason) != nil {
		return
	}
	a := w.app
	a.settings.log.Info("standby", "reason", reason, "listen", a.public.Addr().String(), "admin", a.admin.Addr().String())
	settings := a.origins()
	room := console.NewWaiting(console.Options{
		Settings: settings, Version: version(), Hosts: a.settings.Bridge.AdminHosts, Gatherer: a.registry, Logger: a.settings.log,
		AdminToken: a.settings.Bridge.Doors.AdminToken.Reveal(), MetricsToken: a.settings.Bridge.Doors.MetricsToken.Reveal(),
	}, func() string { return *w.reason.Load() })
	w.serve(a.server(a.refusals.watchAdmin(room), a.adminTLS), a.admin)
	w.serve(a.server(console.WaitingDoors(), a.publicTLS), a.public)
}

func (w *waiting) serve(s *http.Server, l net.Listener) {
	w.servers = append(w.servers, s)
	w.serving.Go(func() {
		if err := serveOn(s, &lent{Listener: l}); !errors.Is(err, http.ErrServerClosed) {
			w.app.settings.log.Warn("a listener does not tell that the process waits", "error", err)
		}
	})
}

// end gives the listeners to those who serve from now on. Connections that come
// meanwhile wait.
func (w *waiting) end() {
	for _, s := range w.servers {
		ctx, cancel := context.WithTimeout(context.Background(), adminTime)
		if err := s.Shutdown(ctx); err != nil {
			s.Close()
		}
		cancel()
	}
	w.serving.Wait()
	for _, l := range []net.Listener{w.app.public, w.app.admin} {
		if tcp, ok := l.(*net.TCPListener); ok && len(w.servers) > 0 {
			_ = tcp.SetDeadline(time.Time{})
		}
	}
}

// lent is a listener that stays open when its server closes it.
type lent struct{ net.Listener }

// Close ends Accept and nothing else.
func (l *lent) Close() error {
	if tcp, ok := l.Listener.(*net.TCPListener); ok {
		return tcp.SetDeadline(time.Unix(1, 0))
	}
	return l.Listener.Close()
}

// registerOwner adds whose the journal is, as far as this process knows.
func registerOwner(reg prometheus.Registerer, owner func() journal.Owner) {
	gauge := func(name, help string, value func(journal.Owner) float64) {
		reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(owner()) }))
	}
	gauge("lpbridge_journal_owner", "1 while this process may act on the journal, 0 on a standby and where the lease has ended.", func(o journal.Owner) float64 {
		if o.Holds() {
			return 1
		}
		return 0
	})
	gauge("lpbridge_journal_lease_seconds", "How much longer this process may act on a journal on PostgreSQL without renewing its lease; 0 on SQLite.",
		func(o journal.Owner) float64 { return o.Left.Seconds() })
	gauge("lpbridge_journal_epoch", "How many processes have owned the journal on PostgreSQL, with this one; 0 on SQLite and on a standby.",
		func(o journal.Owner) float64 { return float64(o.Epoch) })
}
