package peers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/http/httputil"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge"
)

const (
	// dialTime and handshakeTime are how long a connection to the owner may take.
	dialTime      = time.Second
	handshakeTime = 2 * time.Second
	// answerTime is how long the owner may take to answer. Its doors take less.
	answerTime = 30 * time.Second
	// continueTime is how long a body that cannot be sent twice waits for the owner's
	// word that it takes the request.
	continueTime = 5 * time.Second
	// idleTime is shorter than the owner keeps a silent connection, so that none is closed
	// while a request is put on it.
	idleTime = time.Minute
	// idleConnections is how many silent ones are kept.
	idleConnections = 64
	// attendEvery is how often an owner is asked whether it takes requests, probeEvery how
	// often one that did not.
	attendEvery = 2 * time.Second
	probeEvery  = 250 * time.Millisecond
	// takeOverTime is how long there may be no owner before that is told as trouble: longer
	// than it takes another replica to become it.
	takeOverTime = 8 * time.Second
)

// Options are what a Forwarder is made of.
type Options struct {
	// Routes are the front doors; a request to none of them is not sent twice, unless its
	// method is safe.
	Routes []bridge.Route
	// PerChannel is how many requests of one channel may be under way, sockets included;
	// 0 for no limit.
	PerChannel int
	// Hold is how long a request may wait for an owner.
	Hold time.Duration
	// Refused is told of each request that is not handed on, by the channel of its door,
	// which is empty where it has none; may be nil.
	Refused func(channel string, p *bridge.Problem)
	Logger  *slog.Logger
	Metrics prometheus.Registerer
}

// Forwarder is the handler of a replica's public listener. It must be told who owns the
// journal by [Forwarder.Follow] and [Forwarder.Own].
type Forwarder struct {
	doors   *doors
	hold    time.Duration
	crowds  crowds
	refused func(channel string, p *bridge.Problem)
	log     *slog.Logger
	metrics *metrics
	room    *room
	bodies  *bodies
	proxy   *httputil.ReverseProxy
	// own are the front doors of this replica, once it owns the journal.
	own atomic.Pointer[http.Handler]

	mu sync.Mutex
	// owner is nil while none is known; since is when there was none to be reached for the
	// first time since there was one, zero before the first one.
	owner *owner
	since time.Time
	// named says that there is an owner, whether or not it says where it can be reached.
	named bool
	// sockets are those that go through this replica, open how many they are.
	sockets sync.WaitGroup
	open    atomic.Int64
}

// owner is the replica that owns the journal, as this one sees it.
type owner struct {
	Owner
	transport *http.Transport
	// term ends when another one owns the journal, or nobody.
	term context.Context
	end  context.CancelFunc
	// well is false from when it did not take a request until it takes one; why is what
	// happened.
	well bool
	why  string
	// doubted has it asked at once.
	doubted chan struct{}
}

// Owner is who owns the journal.
type Owner struct {
	Name  string
	Epoch int64
	bridge.Peer
}

// NewForwarder returns one that knows no owner yet.
func NewForwarder(o Options) *Forwarder {
	f := &Forwarder{
		doors: newDoors(o.Routes), hold: o.Hold, crowds: crowds{most: o.PerChannel, under: map[string]int{}}, refused: o.Refused, log: o.Logger, room: newRoom(maxHeld, maxHeldOfChannel),
		bodies: &bodies{most: maxKept},
	}
	if f.refused == nil {
		f.refused = func(string, *bridge.Problem) {}
	}
	f.metrics = newMetrics(o.Metrics, f)
	f.proxy = &httputil.ReverseProxy{
		Rewrite: rewrite, Transport: roundTripper{}, FlushInterval: -1, ModifyResponse: f.received, ErrorHandler: failed,
		ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug), BufferPool: newBuffers(),
	}
	return f
}

// Own has this replica serve what comes, and what is held, at its own front doors.
func (f *Forwarder) Own(doors http.Handler) {
	f.own.Store(&doors)
	f.Follow(Owner{})
	f.room.open(f.flowing)
}

// Follow says who owns the journal, as often as one likes. One without an address cannot be
// reached. Requests that are under way at a former one are given up there.
func (f *Forwarder) Follow(o Owner) {
	f.mu.Lock()
	f.named = o.Name != ""
	former := f.owner
	if former != nil && former.Owner == o || former == nil && o.Address == "" {
		f.mu.Unlock()
		return
	}
	if o.Address == "" {
		if f.owner != nil && f.owner.well {
			f.since = time.Now()
		}
		f.owner = nil
	} else {
		f.owner = newOwner(o)
		go f.attend(f.owner)
	}
	f.mu.Unlock()
	if former != nil {
		former.leave()
	}
	if o.Address != "" {
		f.log.Info("requests are handed on to the owner of the journal", "owner", o.Name, "epoch", o.Epoch, "peer", o.Address)
		f.room.open(f.flowing)
	}
}

func newOwner(o Owner) *owner {
	made := &owner{Owner: o, well: true, doubted: make(chan struct{}, 1)}
	made.term, made.end = context.WithCancel(context.Background())
	made.transport = &http.Transport{
		DialContext:     (&net.Dialer{Timeout: dialTime}).DialContext,
		TLSClientConfig: believing(o.Certificate), TLSHandshakeTimeout: handshakeTime,
		MaxIdleConnsPerHost: idleConnections, IdleConnTimeout: idleTime,
		ResponseHeaderTimeout: answerTime, ExpectContinueTimeout: continueTime,
		// What clients and channels said of encodings stays as it is.
		DisableCompression: true,
	}
	return made
}

func (o *owner) leave() {
	o.end()
	o.transport.CloseIdleConnections()
}

// Close ends the sockets that go through this replica, for it stops, and waits for them.
// No request may come any more.
func (f *Forwarder) Close(ctx context.Context) error {
	f.Follow(Owner{})
	gone := make(chan struct{})
	go func() {
		f.sockets.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Ready is nil while requests can be handed on, or while it is to be expected that they
// soon can again.
func (f *Forwarder) Ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.owner != nil && f.owner.well, !f.since.IsZero() && time.Since(f.since) < takeOverTime:
		return nil
	case f.owner != nil:
		return fmt.Errorf("the owner of the journal, %s, takes no requests at %s: %s", f.owner.Name, f.owner.Address, f.owner.why)
	}
	return errNoOwner
}

var errNoOwner = errors.New("no process that owns the journal is known to take requests")

// unreachable reports whether there is an owner and none that takes requests.
func (f *Forwarder) unreachable() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.named && (f.owner == nil || !f.owner.well)
}

// Held is how many requests wait, and Sockets how many go through this replica.
func (f *Forwarder) Held() int { return f.room.len() }

// Sockets is how many go through this replica to the owner.
func (f *Forwarder) Sockets() int { return int(f.open.Load()) }

// Counts are the requests that came while another replica owned the journal, by how they
// ended.
func (f *Forwarder) Counts() map[string]int64 { return f.metrics.counts() }

// flowing reports whether a request that is held could be served now.
func (f *Forwarder) flowing() bool { return f.own.Load() != nil || f.reachable() != nil }

// reachable is the owner, if it takes requests as far as is known.
func (f *Forwarder) reachable() *owner {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.owner == nil || !f.owner.well {
		return nil
	}
	return f.owner
}

// doubt notes that an owner did not take a request; it is asked until it does.
func (f *Forwarder) doubt(o *owner, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.owner != o || !o.well {
		return
	}
	o.well, o.why, f.since = false, plainly(why), time.Now()
	f.log.Warn("the owner of the journal takes no requests, they are held", "owner", o.Name, "epoch", o.Epoch, "peer", o.Address, "reason", o.why)
	select {
	case o.doubted <- struct{}{}:
	default:
	}
}

// trust notes that an owner takes requests.
func (f *Forwarder) trust(o *owner) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if o.well {
		return
	}
	o.well, o.why = true, ""
	f.log.Info("the owner of the journal takes requests again", "owner", o.Name, "epoch", o.Epoch)
	f.room.open(f.flowing)
}

// attend asks an owner whether it takes requests as long as it is the owner, so that it
// is known without any.
func (f *Forwarder) attend(o *owner) {
	for {
		pause := attendEvery
		if err := o.ask(); err != nil {
			f.doubt(o, err)
			pause = probeEvery
		} else {
			f.trust(o)
		}
		over := time.NewTimer(pause)
		select {
		case <-over.C:
		case <-o.doubted:
			if pause == probeEvery {
				// By what was just heard.
				<-over.C
			}
		case <-o.term.Done():
			over.Stop()
			return
		}
		over.Stop()
	}
}

// ask finds out whether an owner takes requests.
func (o *owner) ask() error {
	ctx, cancel := context.WithTimeout(o.term, dialTime+handshakeTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+o.Address+"/", http.NoBody)
	if err != nil {
		return err
	}
	r.Header.Set(headerToken, string(o.Token))
	r.Header.Set(headerProbe, "1")
	answer, err := o.transport.RoundTrip(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.Header.Get(headerPeer) != peerTaken {
		return errDeclined
	}
	return nil
}

// errDeclined means that the owner did not look at a request: it is about to give the
// journal away, or cannot act on it now.
var errDeclined = errors.New("it declines them for now")

// plainly says in a few words what went wrong, without what a request said.
func plainly(err error) string {
	if errors.Is(err, errDeclined) || errors.Is(err, errAnotherPeer) {
		return err.Error()
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return "it does not answer in time"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Op + ": " + op.Err.Error()
	}
	return "the connection ended"
}

// attempt is one try to hand a request on.
type attempt struct {
	request *request
	to      *owner
	// sent says that the owner may have got something of it.
	sent atomic.Bool
	// switched says that the answer has made a socket of the connection.
	switched bool
	// err is why there is no answer; nil when there is one.
	err error
}

type attemptKey struct{}

func attemptOf(r *http.Request) *attempt { return r.Context().Value(attemptKey{}).(*attempt) }

// try hands a request on and reports how that ended.
func (f *Forwarder) try(to *owner, q *request) *attempt {
	a := &attempt{request: q, to: to}
	ctx, cancel := context.WithCancel(context.WithValue(q.Context(), attemptKey{}, a))
	defer cancel()
	defer context.AfterFunc(to.term, cancel)()
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { a.sent.Store(true) }})
	in := q.WithContext(ctx)
	q.body.rewind(in)
	whole := false
	defer func() {
		if !whole {
			// The proxy cuts the client off when the owner goes in the middle of an answer.
			f.metrics.count(resultCut)
		}
	}()
	f.proxy.ServeHTTP(client{q.w}, in)
	whole = true
	return a
}

// rewrite makes the owner's request of a client's: as it came, but for where it goes and
// what proves whom it comes from.
func rewrite(p *httputil.ProxyRequest) {
	a := attemptOf(p.In)
	p.Out.URL.Scheme, p.Out.URL.Host = "https", a.to.Address
	p.Out.URL.RawQuery = p.In.URL.RawQuery
	p.Out.Host = p.In.Host
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values, there := p.In.Header[name]; there {
			p.Out.Header[name] = values
		}
	}
	p.Out.Header.Set(headerToken, string(a.to.Token))
	p.Out.Header.Set(headerRemote, p.In.RemoteAddr)
	p.Out.Header.Del(headerProbe)
	p.Out.Header.Del("Expect")
	if !a.request.body.whole {
		// Nothing of it is sent before the owner takes the request.
		p.Out.Header.Set("Expect", "100-continue")
	}
}

// roundTripper sends each request to its own owner.
type roundTripper struct{}

func (roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	return attemptOf(r).to.transport.RoundTrip(r)
}

// received looks at an answer before the client gets any of it.
func (f *Forwarder) received(answer *http.Response) error {
	a := attemptOf(answer.Request)
	if answer.Header.Get(headerPeer) != peerTaken {
		return errDeclined
	}
	answer.Header.Del(headerPeer)
	if answer.StatusCode == http.StatusSwitchingProtocols {
		f.watchSocket(a, answer)
	}
	return nil
}

// failed notes why there is no answer; who called decides what becomes of it.
func failed(_ http.ResponseWriter, r *http.Request, err error) { attemptOf(r).err = err }
