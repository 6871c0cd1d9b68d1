package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"

	"lpbridge/bridge"
	"lpbridge/bridge/console"
	"lpbridge/bridge/journal"
	"lpbridge/bridge/peers"
	"lpbridge/bridge/relay"
	"lpbridge/config"
)

// peerHeader is how much longer a header may be that another replica passes on.
const peerHeader = 4 << 10

// replica is what a process has that shares its journal with others.
type replica struct {
	identity  *peers.Identity
	door      *peers.Door
	forwarder *peers.Forwarder
	// address is what the others were told when this one became the owner.
	address string
}

// joinReplicas makes the process one of several where its journal is on PostgreSQL: it
// takes everything that comes, whoever owns the journal.
func (a *app) joinReplicas() (err error) {
	s := a.settings
	if s.Bridge.Store.Path() != "" {
		return nil
	}
	if a.listeners.peer, err = listen("LPBRIDGE_PEER_LISTEN", s.Bridge.Replica.PeerListen); err != nil {
		return err
	}
	identity, err := peers.NewIdentity()
	if err != nil {
		return err
	}
	routes, err := s.routes()
	if err != nil {
		return err
	}
	a.replica = &replica{
		identity: identity, door: peers.NewDoor(identity, func() bool { return a.owner().Holds() }, a.registry),
		forwarder: peers.NewForwarder(peers.Options{
			Routes: routes, PerChannel: max(1, s.maxConnections()/channelShare), Hold: s.Bridge.Replica.HoldFor, Refused: a.noteNotHandedOn, Logger: s.log, Metrics: a.registry,
		}),
	}
	for _, ch := range s.channels {
		a.refusals.expect(ch.name)
	}
	a.listeners.entrance.set(a.replica.forwarder)
	return nil
}

// noteNotHandedOn notes a request that this replica refused itself.
func (a *app) noteNotHandedOn(channel string, p *bridge.Problem) {
	if channel == "" {
		channel = nobody
	}
	a.refusals.note(channel, reasonOf(p.Status), p.Detail)
}

// routes are the front doors as settings make them, without anybody behind them.
func (s *settings) routes() ([]bridge.Route, error) {
	routes := relay.OwnRoutes()
	for _, ch := range s.channels {
		// What there is to warn of, the adapter that serves does.
		build := ch.load(config.NewLoader(s.lookup), bridge.Parts{
			Transport: http.DefaultTransport, UserAgent: userAgent(), Log: slog.New(slog.DiscardHandler), PublicURL: s.Bridge.PublicURL,
		})
		adapter, err := build(unusedCore{})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", ch.name, err)
		}
		for _, r := range adapter.Routes() {
			r.Channel = ch.name
			routes = append(routes, r)
		}
	}
	return routes, nil
}

// takeOver has this replica serve what comes to it and to the others, for it owns the
// journal. Elsewhere it only opens the front doors.
func (a *app) takeOver() {
	doors := a.publicHandler()
	if a.replica == nil {
		a.listeners.entrance.set(doors)
		return
	}
	a.replica.door.Open(doors)
	a.replica.forwarder.Own(doors)
	a.announce()
}

// announce tells the other replicas where this one takes requests.
func (a *app) announce() {
	at := a.listeners.peer.Addr().(*net.TCPAddr)
	address := a.settings.Bridge.Replica.Advertised(at.Port, reachableAt(at.AddrPort().Addr(), a.journal.LocalAddress()).String())
	a.replica.address = address
	a.settings.log.Info("other replicas hand requests on to this one", "peer", address)
	a.journal.Announce(a.replica.identity.At(address))
}

// reachableAt is where other machines reach a listener: at its own address, or where it
// listens at all of them at the one that the database sees. A database on this machine says
// nothing, for replicas may be on others.
func reachableAt(listening, database netip.Addr) netip.Addr {
	listening = listening.Unmap()
	if listening.IsValid() && !listening.IsUnspecified() {
		return listening
	}
	if database.IsValid() && !database.IsLoopback() {
		return database
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		addresses = nil
	}
	for _, a := range addresses {
		if network, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(network.IP); ok && ip.Unmap().IsGlobalUnicast() {
				return ip.Unmap()
			}
		}
	}
	return netip.AddrFrom4([4]byte{127, 0, 0, 1})
}

// leavePeers has other replicas hold what they would hand on, for this one is about to
// give the journal away, and lets end what they did.
func (a *app) leavePeers(ctx context.Context) {
	if a.replica == nil {
		return
	}
	if err := a.replica.door.Leave(ctx); err != nil {
		a.settings.log.Warn("requests of other replicas were cut", "error", err)
	}
}

// replicaStatus is what the status of an owner says of replicas; nil where there are none.
func (a *app) replicaStatus() *console.Replica {
	if a.replica == nil {
		return nil
	}
	role := console.RoleOwner
	o := a.journal.Owner()
	switch {
	case a.stopping.Load():
		role = console.RoleStopping
	case !o.Holds():
		role = console.RoleStandby
	}
	standing := a.replica.standing(role, o, a.replica.address)
	return &standing
}

// standing is how a replica stands to the others.
func (r *replica) standing(role string, o journal.Owner, peer string) console.Replica {
	return console.Replica{
		Role: role, Owner: o.Name, Epoch: o.Epoch, Since: o.Since, Peer: peer,
		Held: r.forwarder.Held(), Sockets: r.forwarder.Sockets(), Forwarded: r.forwarder.Counts(),
	}
}
