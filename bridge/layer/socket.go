package layer

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	// maxFrame is the longest frame taken, in bytes. A message's parts are 2 KB
	// at most; what is longer is rich content.
	maxFrame = 256 << 10
	// maxQueue is how many packets may wait for a reader. Who is slower is
	// dropped, and gets what was missed with Event.replay.
	maxQueue = 512
	// writeTimeout is how long one packet may take.
	writeTimeout = 10 * time.Second
	// pingEvery finds connections that died without a word.
	pingEvery   = 30 * time.Second
	pingTimeout = 15 * time.Second
)

// subprotocols are those of the API's versions, the newest first.
var subprotocols = []string{"layer-3.0", "layer-2.0", "layer-1.0"}

// protocolVersions are the versions that subprotocols stand for. A client that
// names none gets the newest.
var protocolVersions = map[string]version{"": version3, "layer-3.0": version3, "layer-2.0": version2, "layer-1.0": version1}

// dropReason is why we end a socket.
type dropReason struct {
	code websocket.StatusCode
	text string
}

// The reasons. Layer's own are not documented.
var (
	dropSession  = dropReason{websocket.StatusPolicyViolation, "the session ended"}
	dropRestart  = dropReason{websocket.StatusServiceRestart, "the server restarts"}
	dropSlow     = dropReason{websocket.StatusTryAgainLater, "the client reads too slowly"}
	dropError    = dropReason{websocket.StatusInternalError, "something went wrong"}
	dropNonsense = dropReason{websocket.StatusUnsupportedData, "frames must be JSON text"}
)

// The types of packet a client gets.
const (
	packetResponse = "response"
	packetChange   = "change"
	packetSignal   = "signal"
)

// packet is what a client gets. Counter grows by one with each packet of a
// connection, whatever its type; a gap makes the SDKs replay.
type packet struct {
	Type      string `json:"type"`
	Timestamp string `json:"timestamp"`
	Counter   int64  `json:"counter"`
	Body      any    `json:"body"`
}

// socket is one connection. Packets are numbered and encoded when they are
// queued, and written by one goroutine.
type socket struct {
	ws      *websocket.Conn
	log     *slog.Logger
	user    *user
	session *session
	version version

	mu      sync.Mutex
	counter int64
	queue   [][]byte
	// allowed is how long the queue may get: more than maxQueue only while it
	// holds a replay, which the client asked for.
	allowed int
	dropped *dropReason
	cut     context.CancelFunc // nil before the handshake
	aborted bool
	// wake tells the writer of packets, drained the reader that they are gone.
	wake, drained chan struct{}
}

// serveSocket answers the request for a WebSocket and serves it until it ends.
func (l *Layer) serveSocket(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("session_token")
	if token == "" {
		token = tokenOf(r)
	}
	who, err := l.authenticate(r.Context(), token)
	if err != nil {
		return err
	}
	protocol, ok := offered(r)
	if !ok {
		return invalidHeader("Sec-WebSocket-Protocol", "must be layer-3.0, layer-2.0 or layer-1.0")
	}
	u, release := l.users.hold(who.person.User)
	defer release()
	s := newSocket(l.log, u, who.session, protocolVersions[protocol])
	// Whoever was told of the connection must not miss anything, so it is
	// joined before it is accepted.
	if !l.users.join(s) {
		return errUnavailable
	}
	defer func() {
		for _, thread := range l.users.part(s) {
			l.core.Disconnected(thread)
		}
	}()
	// The session may have ended between the check and joining.
	if _, err := l.authenticate(r.Context(), token); err != nil {
		return err
	}
	// No cookie takes part, so that another site cannot use somebody's login,
	// and any origin may ask.
	s.ws, err = websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{protocol}, InsecureSkipVerify: true})
	if err != nil {
		// Accept has answered.
		return nil
	}
	l.runSocket(context.WithoutCancel(r.Context()), s)
	return nil
}

// offered is the newest of our subprotocols that a client offers; none is well
// if it offers none at all.
func offered(r *http.Request) (string, bool) {
	header := strings.ToLower(strings.Join(r.Header.Values("Sec-WebSocket-Protocol"), ","))
	if header == "" {
		return "", true
	}
	names := strings.FieldsFunc(header, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' })
	for _, ours := range subprotocols {
		if slices.Contains(names, ours) {
			return ours, true
		}
	}
	return "", false
}

func newSocket(log *slog.Logger, u *user, s *session, v version) *socket {
	return &socket{
		log: log, user: u, session: s, version: v, allowed: maxQueue,
		wake: make(chan struct{}, 1), drained: make(chan struct{}, 1),
	}
}

// runSocket serves a connection until it ends, at the latest with its session.
func (l *Layer) runSocket(ctx context.Context, s *socket) {
	defer s.ws.CloseNow()
	s.ws.SetReadLimit(maxFrame)
	ctx, cancel := context.WithDeadline(ctx, s.session.Expires)
	s.opened(cancel)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel()
	helpers.Go(func() {
		defer cancel()
		s.write(ctx)
	})
	helpers.Go(func() { s.keepAlive(ctx) })
	l.read(ctx, s)
}

// read takes frames until the connection ends.
func (l *Layer) read(ctx context.Context, s *socket) {
	for {
		kind, frame, err := s.ws.Read(ctx)
		if err != nil {
			return
		}
		if kind != websocket.MessageText {
			s.drop(dropNonsense)
			continue
		}
		l.handleFrame(ctx, s, frame)
		if !s.waitForRoom(ctx) {
			return
		}
	}
}

// write sends what is queued, until the connection ends or is dropped.
func (s *socket) write(ctx context.Context) {
	for {
		packets, dropped := s.take()
		for _, p := range packets {
			if !s.writeOne(ctx, p) {
				_ = s.ws.CloseNow()
				return
			}
		}
		if dropped != nil {
			_ = s.ws.Close(dropped.code, dropped.text)
			return
		}
		if len(packets) > 0 {
			continue
		}
		signalTo(s.drained)
		select {
		case <-s.wake:
		case <-ctx.Done():
			return
		}
	}
}

// writeOne has its own time: a context that ends closes the connection.
func (s *socket) writeOne(ctx context.Context, p []byte) bool {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return s.ws.Write(ctx, websocket.MessageText, p) == nil
}

// take returns what is to be written. Nothing more is written to a client that
// is dropped for being slow.
func (s *socket) take() ([][]byte, *dropReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	packets := s.queue
	s.queue, s.allowed = nil, maxQueue
	if s.dropped != nil && *s.dropped == dropSlow {
		packets = nil
	}
	return packets, s.dropped
}

// keepAlive ends a connection whose other end no longer answers.
func (s *socket) keepAlive(ctx context.Context) {
	ticks := time.NewTicker(pingEvery)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
		ping, cancel := context.WithTimeout(ctx, pingTimeout)
		err := s.ws.Ping(ping)
		cancel()
		if err != nil {
			_ = s.ws.CloseNow()
			return
		}
	}
}

// waitForRoom keeps a client from asking for more than it reads. It reports
// false when the connection ended.
func (s *socket) waitForRoom(ctx context.Context) bool {
	for s.waiting() > maxQueue/2 {
		select {
		case <-s.drained:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (s *socket) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue)
}

// push queues a packet that was not asked for.
func (s *socket) push(kind string, body any) {
	s.pushNumbered(kind, func(int64) any { return body })
}

// pushNumbered queues a packet whose body depends on its counter.
func (s *socket) pushNumbered(kind string, body func(counter int64) any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.enqueue(kind, body)
}

// pushReplay queues changes that were asked for, however many they are.
func (s *socket) pushReplay(changes []json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed += len(changes)
	for _, c := range changes {
		s.enqueue(packetChange, func(int64) any { return c })
	}
}

// enqueue numbers, encodes and queues a packet.
func (s *socket) enqueue(kind string, body func(counter int64) any) {
	if s.dropped != nil {
		return
	}
	if len(s.queue) >= s.allowed {
		s.dropLocked(dropSlow)
		return
	}
	encoded, err := encode(packet{kind, iso(s.user.now()), s.counter, body(s.counter)})
	if err != nil {
		s.log.Error("a packet could not be encoded", "err", err)
		s.dropLocked(dropError)
		return
	}
	s.counter++
	s.queue = append(s.queue, encoded)
	signalTo(s.wake)
}

// drop ends the connection after what is queued.
func (s *socket) drop(why dropReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.dropLocked(why)
}

// opened says how the connection can be cut off.
func (s *socket) opened(cut context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = cut
	if s.aborted {
		cut()
	}
}

// abort cuts the connection off. A context that ends does so even while a
// handshake waits for the client, which CloseNow does not.
func (s *socket) abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aborted = true
	if s.cut != nil {
		s.cut()
	}
}

func (s *socket) dropLocked(why dropReason) {
	if s.dropped == nil {
		s.dropped = &why
		signalTo(s.wake)
	}
}

// signalTo wakes who waits on a channel of one.
func signalTo(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// encode writes JSON as clients of Layer know it, without escaping what needs
// none.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// isUpgrade reports whether a request asks for a WebSocket.
func isUpgrade(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}
