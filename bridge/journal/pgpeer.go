package journal

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"lpbridge/bridge"
)

// Wait is why a process waits to own a journal, and whose it is meanwhile.
type Wait struct {
	// Reason says it in words, for an operator.
	Reason string
	// Away says that the database did not answer: nothing is known of an owner then.
	Away bool
	// Owner is whose the journal is; its Name is empty when it is nobody's. Since is by the
	// database's clock.
	Owner Owner
	// Peer is where that process is reached; it has no address before the process serves,
	// and where it is of a release that does not say so.
	Peer bridge.Peer
}

// Announce tells other processes where the owner of a journal on PostgreSQL is reached; a
// peer without an address is not. It does not wait until they are told.
func (j *Journal) Announce(p bridge.Peer) {
	l, ok := j.db.engine.(leased)
	if !ok {
		return
	}
	l.tenure().announce(p)
}

// LocalAddress is the address from which this process reaches its database; it is not
// valid where that is a file, or is reached without an address.
func (j *Journal) LocalAddress() netip.Addr {
	l, ok := j.db.engine.(leased)
	if !ok {
		return netip.Addr{}
	}
	lease := l.tenure()
	lease.mu.Lock()
	defer lease.mu.Unlock()
	if lease.local == nil {
		return netip.Addr{}
	}
	at, err := netip.ParseAddrPort(lease.local.String())
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap()
}

func (l *lease) announce(p bridge.Peer) {
	l.mu.Lock()
	l.peer, l.announced = p, false
	l.mu.Unlock()
	select {
	case l.news <- struct{}{}:
	default:
	}
}

// tellPeers writes down where this process is reached, if that has changed.
func (l *lease) tellPeers(ctx context.Context) error {
	l.mu.Lock()
	told, p := l.announced, l.peer
	l.mu.Unlock()
	if told {
		return nil
	}
	found, err := l.session.ask(ctx, `UPDATE peer SET epoch = $1::bigint, address = $2, certificate = $3, token = $4
		WHERE part = 0 AND EXISTS (SELECT 1 FROM lease WHERE part = 0 AND epoch = $1::bigint AND owner = $5) RETURNING true`,
		[]string{strconv.FormatInt(l.epoch(), 10), p.Address, p.Certificate, string(p.Token), l.name}, new(bool))
	if err != nil {
		return fmt.Errorf("announce the peer listener: %w", err)
	}
	l.mu.Lock()
	l.announced = found && l.peer == p
	l.mu.Unlock()
	return nil
}

// pauseFor waits until the lease must be renewed, or there is something to tell.
func (l *lease) pauseFor(ctx context.Context, pause time.Duration) error {
	over := time.NewTimer(pause)
	defer over.Stop()
	select {
	case <-over.C:
	case <-l.news:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}
