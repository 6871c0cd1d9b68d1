package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// switchable is a handler that another one can take the place of while it serves.
type switchable struct{ current atomic.Pointer[http.Handler] }

func (s *switchable) set(h http.Handler) { s.current.Store(&h) }

// ServeHTTP implements [http.Handler].
func (s *switchable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	(*s.current.Load()).ServeHTTP(w, r)
}

// listeners serve a process from when it has something to say until it ends.
type listeners struct {
	public, admin net.Listener
	// peer is nil where the process shares its journal with nobody.
	peer net.Listener
	// entrance and office are the handlers of the public and the admin listener.
	entrance, office switchable

	publicServer, adminServer, peerServer *http.Server
	serving                               sync.WaitGroup
	// broken gets why a listener serves no more.
	broken chan error
}

// open serves the listeners, if it is the first time. Their handlers must be set.
func (a *app) open() {
	l := &a.listeners
	if l.publicServer != nil {
		return
	}
	most := a.settings.maxConnections()
	l.adminServer = a.server(a.refusals.watchAdmin(&l.office), a.adminTLS.config())
	l.serve(l.adminServer, l.admin)
	l.publicServer = a.server(a.leaving(&l.entrance), a.publicTLS.config())
	crowd := newConnections(l.public, most, a.settings.log, a.registry)
	l.publicServer.ConnState = crowd.heed
	l.serve(l.publicServer, crowd)
	if l.peer == nil {
		return
	}
	l.peerServer = a.server(a.replica.door, a.replica.identity.TLS())
	l.peerServer.MaxHeaderBytes = maxHeader + peerHeader
	// What is passed on may become a socket, which HTTP/2 has another way for.
	l.peerServer.Protocols = new(http.Protocols)
	l.peerServer.Protocols.SetHTTP1(true)
	// Strangers who keep connections are nobody's trouble: the silent make way.
	strangers := newConnections(l.peer, max(1, most/2), slog.New(slog.DiscardHandler), nil)
	l.peerServer.ConnState = strangers.heed
	l.serve(l.peerServer, strangers)
}

func (l *listeners) serve(s *http.Server, on net.Listener) {
	l.serving.Go(func() {
		if err := serveOn(s, on); !errors.Is(err, http.ErrServerClosed) {
			l.broken <- fmt.Errorf("serve: %w", err)
		}
	})
}

// close ends listeners and servers at once.
func (l *listeners) close() {
	for _, s := range []*http.Server{l.publicServer, l.adminServer, l.peerServer} {
		if s != nil {
			s.Close()
		}
	}
	for _, on := range []net.Listener{l.public, l.admin, l.peer} {
		if on != nil {
			on.Close()
		}
	}
}
