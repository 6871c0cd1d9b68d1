package main

import (
	"container/list"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

const (
	// fileShare is the part of the files a process may open that connections of
	// the public listener may be: the rest is for operators, the journal, and calls
	// to LivePerson and the channels.
	fileShare = 2
	// channelShare is the part of the connections whose requests one channel may
	// have under way.
	channelShare = 2
	// crowdedPause is how long it is not told again that there are too many.
	crowdedPause = time.Minute
	// crowdedRetry is when who found no slot is to come again.
	crowdedRetry = 2 * time.Second
)

// connections are those of the public listener: as many as may be, and no more.
// One that is needed for another client is taken from who is silent for longest.
type connections struct {
	net.Listener
	most int
	log  *slog.Logger

	mu    sync.Mutex
	freed *sync.Cond
	// open are all, as *[countedConn]; those without a request under way in the order in
	// which they fell silent.
	open   *list.List
	closed bool
	said   time.Time
	full   prometheus.Counter
}

// newConnections bounds those of a listener; without a registry it counts for itself alone.
func newConnections(l net.Listener, most int, log *slog.Logger, reg prometheus.Registerer) *connections {
	c := &connections{
		Listener: l, most: most, log: log, open: list.New(),
		full: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "lpbridge_connections_full_total", Help: "How often a connection to the public listener waited because there were as many as may be.",
		}),
	}
	c.freed = sync.NewCond(&c.mu)
	if reg == nil {
		return c
	}
	reg.MustRegister(c.full,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "lpbridge_connections", Help: "Connections of the public listener."}, func() float64 {
			c.mu.Lock()
			defer c.mu.Unlock()
			return float64(c.open.Len())
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "lpbridge_connections_limit", Help: "How many connections the public listener may have."},
			func() float64 { return float64(c.most) }))
	return c
}

// Accept implements [net.Listener]. It takes nobody while there is no slot; who
// comes then waits in the system's queue.
func (c *connections) Accept() (net.Conn, error) {
	c.awaitSlot()
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	counted := &countedConn{Conn: conn, of: c}
	c.mu.Lock()
	defer c.mu.Unlock()
	counted.at = c.open.PushBack(counted)
	return counted, nil
}

// awaitSlot waits until there is a slot, and takes one from who is silent.
func (c *connections) awaitSlot() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open.Len() >= c.most {
		c.full.Inc()
		c.tell()
	}
	for c.open.Len() >= c.most && !c.closed {
		oldest := c.longestSilent()
		if oldest == nil {
			c.freed.Wait()
			continue
		}
		oldest.silent = false
		c.mu.Unlock()
		// Closing calls back.
		oldest.Close()
		c.mu.Lock()
	}
}

// longestSilent is nil when all have requests under way. It is called with the lock
// held.
func (c *connections) longestSilent() *countedConn {
	for at := c.open.Front(); at != nil; at = at.Next() {
		if conn := at.Value.(*countedConn); conn.silent {
			return conn
		}
	}
	return nil
}

// tell is called with the lock held.
func (c *connections) tell() {
	if now := time.Now(); now.Sub(c.said) >= crowdedPause {
		c.said = now
		c.log.Warn("the public listener has as many connections as may be, others wait", "limit", c.most, "variable", "LPBRIDGE_MAX_CONNECTIONS")
	}
}

// Close implements [net.Listener].
func (c *connections) Close() error {
	c.mu.Lock()
	c.closed = true
	c.freed.Broadcast()
	c.mu.Unlock()
	return c.Listener.Close()
}

// heed is the server's hook: it is told what a connection is doing.
func (c *connections) heed(conn net.Conn, state http.ConnState) {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		// With TLS the server sees what is around ours.
		conn = wrapped.NetConn()
	}
	counted, ours := conn.(*countedConn)
	if !ours {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	counted.silent = state == http.StateIdle && counted.at != nil
	if counted.silent {
		c.open.MoveToBack(counted.at)
		c.freed.Signal()
	}
}

// countedConn gives its slot back when it is closed.
type countedConn struct {
	net.Conn
	of *connections
	// at is its place among those that are open, nil once it is closed; silent says that
	// it has no request under way.
	at     *list.Element
	silent bool
}

// Close implements [net.Conn].
func (c *countedConn) Close() error {
	c.of.mu.Lock()
	if c.at != nil {
		c.of.open.Remove(c.at)
		c.at, c.silent = nil, false
	}
	c.of.freed.Signal()
	c.of.mu.Unlock()
	return c.Conn.Close()
}

const (
	// doorBodies is how many bytes of bodies the doors of a channel hold at once, beyond
	// freeBody of each request: a signature is known to be wrong only when all is read.
	doorBodies = 32 << 20
	freeBody   = 64 << 10
)

// share lets a channel have so many requests under way, sockets included: one
// whose clients are slow, or many, must not take the slots of all. The same goes for
// what they send.
type share struct {
	slots chan struct{}
	// bodies is nil for a channel that bounds them itself.
	bodies *served.Budget
}

// before makes requests pass through the share.
func (s *share) before(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case s.slots <- struct{}{}:
		default:
			noSlot.ServeHTTP(w, r)
			return
		}
		defer func() { <-s.slots }()
		if s.bodies != nil && r.Body != nil {
			held := s.bodies.Reader(r.Body, freeBody)
			defer held.Release()
			// The server's own request keeps its body: by that it knows that a client still
			// sends, and lets it read the answer instead of resetting the connection.
			bounded := r.WithContext(r.Context())
			bounded.Body = boundedBody{held, r.Body}
			r = bounded
		}
		next.ServeHTTP(w, r)
	})
}

// boundedBody is a body that is read within the budget of its door.
type boundedBody struct {
	held *served.BudgetReader
	io.Closer
}

// Read implements [io.Reader].
func (b boundedBody) Read(p []byte) (int, error) {
	n, err := b.held.Read(p)
	if errors.Is(err, served.ErrBudget) {
		err = bridge.ErrBodies
	}
	return n, err
}

var noSlot = &bridge.Problem{
	Status: http.StatusServiceUnavailable, Title: "Service Unavailable", Detail: "as many requests of this channel are under way as may be",
	RetryAfter: crowdedRetry,
}

// maxConnections is how many the public listener may have.
func (s *settings) maxConnections() int {
	if n := s.Bridge.Doors.MaxConnections; n > 0 {
		return n
	}
	return max(1, openFiles()/fileShare)
}

// channelSlots is how many requests of one channel may be under way.
func (s *settings) channelSlots() int { return max(1, s.maxConnections()/channelShare) }
