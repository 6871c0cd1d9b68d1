package peers_test

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge"
	"lpbridge/bridge/peers"
)

// patience is how long something that must happen may take.
const patience = time.Minute

// owner is a replica that owns the journal, as others see it.
type owner struct {
	peers.Owner
	identity *peers.Identity
	door     *peers.Door
	server   *http.Server
	listener net.Listener
	owns     atomic.Bool
	conns    *conns
}

// cut ends an owner as a kill does.
func (o *owner) cut() {
	o.server.Close()
	o.conns.close()
}

// conns are the connections of a listener, sockets among them.
type conns struct {
	net.Listener
	mu  sync.Mutex
	all []net.Conn
}

func (c *conns) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.mu.Lock()
		c.all = append(c.all, conn)
		c.mu.Unlock()
	}
	return conn, err
}

func (c *conns) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.all {
		conn.Close()
	}
}

// newOwner serves doors for other replicas.
func newOwner(t *testing.T, epoch int64, doors http.Handler) *owner {
	t.Helper()
	identity, err := peers.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	o := &owner{identity: identity}
	o.owns.Store(true)
	o.door = peers.NewDoor(identity, o.owns.Load, prometheus.NewRegistry())
	o.door.Open(doors)
	if o.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	o.server = &http.Server{Handler: o.door, TLSConfig: identity.TLS(), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0), ReadHeaderTimeout: patience}
	o.conns = &conns{Listener: o.listener}
	go func() { _ = o.server.ServeTLS(o.conns, "", "") }()
	t.Cleanup(func() { o.server.Close() })
	o.Owner = peers.Owner{Name: "the owner", Epoch: epoch, Peer: identity.At(o.listener.Addr().String())}
	return o
}

// replica is one that does not own the journal.
type replica struct {
	*peers.Forwarder
	server  *httptest.Server
	metrics *prometheus.Registry
	refused chan string
}

// routes are front doors of each sort.
var routes = []bridge.Route{
	{Pattern: "POST /events", Channel: "webhook", Repeatable: true},
	{Pattern: "POST /messages", Channel: "chatwootapi"},
	{Pattern: "/cable", Channel: "chatwootapi", Farewell: []byte(`{"type":"disconnect"}`)},
}

func newForwarder(hold time.Duration) *replica { return newForwarderFor(hold, 0) }

// newForwarderFor lets each channel have so many requests under way.
func newForwarderFor(hold time.Duration, perChannel int) *replica {
	r := &replica{metrics: prometheus.NewRegistry(), refused: make(chan string, 2000)}
	r.Forwarder = peers.NewForwarder(peers.Options{
		Routes: routes, PerChannel: perChannel, Hold: hold, Logger: slog.New(slog.DiscardHandler), Metrics: r.metrics,
		Refused: func(channel string, p *bridge.Problem) { r.refused <- channel + ": " + p.Title },
	})
	return r
}

func newReplica(t *testing.T, hold time.Duration) *replica {
	t.Helper()
	r := newForwarder(hold)
	r.server = httptest.NewServer(r.Forwarder)
	t.Cleanup(func() {
		r.server.CloseClientConnections()
		r.server.Close()
	})
	return r
}

// answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
	err    error
}

// post sends a request and tells its answer later.
func (r *replica) post(t *testing.T, path, body string) chan answer {
	t.Helper()
	got := make(chan answer, 1)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		resp, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			got <- answer{err: err}
			return
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		got <- answer{resp.StatusCode, resp.Header, string(text), err}
	}()
	return got
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

func (r *replica) awaitHeld(t *testing.T, n int) {
	t.Helper()
	await(t, "requests that are held", func() bool { return r.Held() == n })
}

func next(t *testing.T, got chan answer) answer {
	t.Helper()
	select {
	case a := <-got:
		if a.err != nil {
			t.Fatal(a.err)
		}
		return a
	case <-time.After(patience):
		t.Fatal("no answer")
		return answer{}
	}
}

// echo answers with what it was sent.
func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	_, _ = w.Write(body)
}

// vanish takes a request and ends its connection without an answer.
func vanish(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		conn.Close()
	}
}

// raw sends bytes to an address and returns the first line of the answer.
func raw(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return ""
	}
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line)
}

func contextWithTimeout(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

func peerAt(address string) bridge.Peer {
	return bridge.Peer{Address: address, Certificate: "00", Token: "of a test"}
}
