package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge/console"
	"lpbridge/bridge/journal"
	"lpbridge/bridge/peers"
	"lpbridge/config"
)

// openJournal opens the journal. While that waits, because another process owns it or
// its database does not answer, the process is a standby: it hands on what comes.
func (a *app) openJournal(ctx context.Context) error {
	w := &waiting{app: a, over: make(chan struct{})}
	opts := a.journalOptions()
	opts.Waiting, opts.Abstain = w.because, w.retiring.Load
	opening, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	// A standby that is told to stop hands on until nothing comes to it any more.
	var retiring sync.WaitGroup
	retiring.Add(1)
	unwatch := context.AfterFunc(ctx, func() {
		defer retiring.Done()
		w.retire(ctx)
		cancel()
	})
	opened, err := journal.Open(opening, opts)
	close(w.over)
	if !unwatch() {
		retiring.Wait()
		if err == nil {
			err = errors.Join(opened.Close(), context.Cause(ctx))
		}
	}
	if err != nil {
		return fmt.Errorf("LPBRIDGE_STORE: %w", err)
	}
	if a.replica != nil {
		// Whoever owned it before does no more.
		a.replica.forwarder.Follow(peers.Owner{})
	}
	a.journal = opened
	a.opened.Store(opened)
	return nil
}

// owner says whose the journal is.
func (a *app) owner() journal.Owner {
	if j := a.opened.Load(); j != nil {
		return j.Owner()
	}
	if w := a.waited.Load(); w != nil {
		return w.Owner
	}
	return journal.Owner{}
}

// waiting is a process that has no journal yet.
type waiting struct {
	app      *app
	retiring atomic.Bool
	// opening is held while the listeners are opened.
	opening sync.Mutex
	// over is closed when the process waits no more.
	over chan struct{}
}

var _ console.Standby = (*waiting)(nil)

// because says why the process waits, and for whom; the first time it opens the
// listeners.
func (w *waiting) because(why journal.Wait) {
	a := w.app
	if !why.Away {
		a.replica.forwarder.Follow(peers.Owner{Name: why.Owner.Name, Epoch: why.Owner.Epoch, Peer: why.Peer})
	}
	w.opening.Lock()
	defer w.opening.Unlock()
	if a.waited.Swap(&why) != nil || w.retiring.Load() {
		return
	}
	a.settings.log.Info("standby", "reason", why.Reason, "listen", a.listeners.public.Addr().String(), "admin", a.listeners.admin.Addr().String())
	a.listeners.office.set(a.operate(func(d config.Doors) *console.Console {
		return console.NewWaiting(console.Options{
			Settings: a.origins(), Version: version(), Hosts: a.settings.Bridge.AdminHosts, Gatherer: a.registry, Logger: a.settings.log,
			AdminToken: d.AdminToken.Reveal(), MetricsToken: d.MetricsToken.Reveal(),
		}, w)
	}))
	a.open()
}

// Reason implements [console.Standby].
func (w *waiting) Reason() string { return w.app.waited.Load().Reason }

var errStopping = errors.New("the process was told to stop")

// Ready implements [console.Standby].
func (w *waiting) Ready() error {
	if w.retiring.Load() {
		return errStopping
	}
	return w.app.replica.forwarder.Ready()
}

// Replica implements [console.Standby].
func (w *waiting) Replica() console.Replica {
	role := console.RoleStandby
	if w.retiring.Load() {
		role = console.RoleStopping
	}
	last := w.app.waited.Load()
	return w.app.replica.standing(role, last.Owner, last.Peer.Address)
}

// retire ends a standby in order: balancers notice, then what goes through it ends.
func (w *waiting) retire(ctx context.Context) {
	w.retiring.Store(true)
	w.opening.Lock()
	public := w.app.listeners.publicServer
	w.opening.Unlock()
	if public == nil {
		return
	}
	a := w.app
	if delay := a.settings.Bridge.DrainDelay; delay > 0 {
		a.draining.Store(true)
		a.settings.log.Info("draining", "for", delay.String())
		select {
		case <-time.After(delay):
		case <-w.over:
		}
	}
	a.settings.log.Info("stopping")
	budget := a.settings.Bridge.ShutdownTimeout
	a.shutDown(ctx, budget, "public", public)
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), adminTime)
	defer cancel()
	if err := a.replica.forwarder.Close(within); err != nil {
		a.settings.log.Warn("sockets were cut", "error", err)
	}
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
	gauge("lpbridge_journal_epoch", "How many processes have owned the journal on PostgreSQL, with the one that does now; 0 on SQLite and where nobody is known to.",
		func(o journal.Owner) float64 { return float64(o.Epoch) })
	gauge("lpbridge_journal_owned_since_timestamp_seconds", "When the process that owns the journal on PostgreSQL became its owner, in seconds since 1970; 0 on SQLite and where nobody is known to.",
		func(o journal.Owner) float64 {
			if o.Since.IsZero() {
				return 0
			}
			return float64(o.Since.Unix())
		})
}
