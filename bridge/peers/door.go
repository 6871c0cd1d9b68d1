package peers

import (
	"context"
	"net/http"
	"net/netip"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge/served"
)

// The headers between replicas. None of them reaches a front door or a client.
const (
	headerToken = "Lpbridge-Peer-Token" //nolint:gosec // the name of a header
	// headerRemote is who sent a request, as address and port.
	headerRemote = "Lpbridge-Peer-Remote"
	// headerProbe asks whether requests are taken, and is none itself.
	headerProbe = "Lpbridge-Peer-Probe"
	// headerPeer says in an answer whether the request was taken.
	headerPeer = "Lpbridge-Peer"

	peerTaken    = "taken"
	peerDeclined = "declined"
)

// The results of requests to the peer listener.
const (
	resultTaken    = "taken"
	resultDeclined = "declined"
	resultStranger = "stranger"
)

// Door is the handler of the peer listener: it lets replicas at the front doors of the
// owner, and nobody else. While this replica does not own the journal, or is about to
// give it away, it declines: the request was not looked at, and goes to the next owner.
type Door struct {
	identity *Identity
	// owns says whether this replica may act on the journal right now.
	owns  func() bool
	count *prometheus.CounterVec

	mu      sync.Mutex
	doors   http.Handler // nil while requests are declined
	passing int
	idle    chan struct{} // not nil while somebody waits for the last request
}

// NewDoor returns a door that declines all until [Door.Open].
func NewDoor(identity *Identity, owns func() bool, reg prometheus.Registerer) *Door {
	d := &Door{
		identity: identity, owns: owns,
		count: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lpbridge_peer_requests_total",
			Help: "Requests to the peer listener: taken from another replica, declined because this one does not own the journal, or of a stranger who proved nothing.",
		}, []string{"result"}),
	}
	reg.MustRegister(d.count)
	for _, result := range []string{resultTaken, resultDeclined, resultStranger} {
		d.count.WithLabelValues(result)
	}
	return d
}

// Open lets replicas at the front doors from now on.
func (d *Door) Open(doors http.Handler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.doors = doors
}

// Leave declines what comes from now on and waits until the requests that are under way
// have ended, sockets apart.
func (d *Door) Leave(ctx context.Context) error {
	d.mu.Lock()
	d.doors = nil
	idle := make(chan struct{})
	if d.passing == 0 {
		close(idle)
	}
	d.idle = idle
	d.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ServeHTTP implements [http.Handler]. Who proves nothing is told nothing.
func (d *Door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !d.identity.proved(r.Header.Get(headerToken)) {
		d.count.WithLabelValues(resultStranger).Inc()
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	doors, leave := d.enter(served.IsUpgrade(r))
	if doors == nil {
		d.count.WithLabelValues(resultDeclined).Inc()
		w.Header().Set(headerPeer, peerDeclined)
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer leave()
	w.Header().Set(headerPeer, peerTaken)
	if r.Header.Get(headerProbe) != "" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	from, err := netip.ParseAddrPort(r.Header.Get(headerRemote))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	d.count.WithLabelValues(resultTaken).Inc()
	as := r.WithContext(r.Context())
	as.RemoteAddr = from.String()
	for _, name := range []string{headerToken, headerRemote} {
		as.Header.Del(name)
	}
	doors.ServeHTTP(w, as)
}

// enter returns the front doors, nil when nothing is taken.
func (d *Door) enter(socket bool) (doors http.Handler, leave func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.doors == nil || !d.owns() {
		return nil, nil
	}
	if socket {
		// Its channel ends it when the bridge stops.
		return d.doors, func() {}
	}
	d.passing++
	return d.doors, d.left
}

func (d *Door) left() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.passing--
	if d.passing == 0 && d.idle != nil {
		close(d.idle)
		d.idle = nil
	}
}
