package config

import (
	"errors"
	"net"
	"strconv"
	"strings"
	"time"
)

// maxHold is less than a listener gives a request in all.
const maxHold = 25 * time.Second

// Replica is how a process that shares its journal on PostgreSQL with others gets on with them.
type Replica struct {
	PeerListen  string        `env:"PEER_LISTEN,default=:0" desc:"Address (host:port, host may be empty) of the peer listener, on which a process that owns a journal on PostgreSQL takes requests from the other replicas, encrypted and from nobody else. Port 0 is any that is free. Not used on SQLite."`
	PeerAddress string        `env:"PEER_ADDRESS" desc:"Address, or address and port, under which other replicas reach the peer listener, where that is another than this process can find out, as behind published ports of containers. Without it: the host of LPBRIDGE_PEER_LISTEN, or the address from which the process reaches PostgreSQL."`
	HoldFor     time.Duration `env:"HOLD_FOR,default=12s" min:"0s" desc:"How long a request waits at a replica while no replica owns the journal, before it is answered 503; 25s at most. A take-over after a kill takes some five seconds."`
}

// Validate reports what no single variable shows.
func (r Replica) Validate() error {
	errs := []error{checkAddress("PEER_LISTEN", r.PeerListen), r.checkPeerAddress()}
	if r.HoldFor > maxHold {
		errs = append(errs, errors.New("HOLD_FOR: must be 25s at most: a request and its answer have half a minute in all"))
	}
	return errors.Join(errs...)
}

func (r Replica) checkPeerAddress() error {
	if r.PeerAddress == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(r.PeerAddress)
	if err != nil {
		host = strings.Trim(r.PeerAddress, "[]")
		if net.ParseIP(host) == nil && strings.Contains(host, ":") {
			return errors.New("PEER_ADDRESS: is " + quote(r.PeerAddress) + ": must be a host, or host:port")
		}
		return nil
	}
	if host == "" || !isPort(port) {
		return errors.New("PEER_ADDRESS: is " + quote(r.PeerAddress) + ": must name a host, and a port number up to 65535 if any")
	}
	return nil
}

// Advertised is the address that other replicas are told of a peer listener on a port, whose host was found to be reachable
// at an address.
func (r Replica) Advertised(port int, found string) string {
	if r.PeerAddress != "" {
		if host, named, err := net.SplitHostPort(r.PeerAddress); err == nil {
			return net.JoinHostPort(host, named)
		}
		return net.JoinHostPort(strings.Trim(r.PeerAddress, "[]"), strconv.Itoa(port))
	}
	return net.JoinHostPort(found, strconv.Itoa(port))
}
