package layer

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"lpbridge/bridge/served"

	"github.com/coder/websocket"
)

const (
	// maxFrame is the longest frame taken, in bytes. A message's parts are 2 KB
	// at most; what is longer is rich content.
	maxFrame = 256 << 10
	// maxSockets is how many connections there may be.
	maxSockets = 50_000
	// maxDevices is how many of them one user may have; one more ends the oldest, which
	// a device that came back has left behind.
	maxDevices = 16
	// socketBacklog is how many bytes may wait for one reader, which is a replay
	// and as much again; socketReserve is how many of them every connection has
	// for itself. Beyond that all connections together have layerBacklog. Who is
	// slower is closed, and gets what was missed with Event.replay.
	socketBacklog = 2*maxReplay + 1<<20
	socketReserve = 32 << 10
	layerBacklog  = 64 << 20
	// userBacklog is how many of them those of one user may have: a quarter, which is at
	// least what one reader may lag behind.
	userBacklog = max(layerBacklog/ownPart, socketBacklog)
	// pingEvery finds connections that died without a word.
	pingEvery = 30 * time.Second
)

// subprotocols are those of the API's versions, the newest first.
var subprotocols = []string{"layer-3.0", "layer-2.0", "layer-1.0"}

// protocolVersions are the versions that subprotocols stand for. A client that
// names none gets the newest.
var protocolVersions = map[string]version{"": version3, "layer-3.0": version3, "layer-2.0": version2, "layer-1.0": version1}

// The reasons for ending a socket. Layer's own are not documented.
var (
	endOfSession = served.Reason{Code: websocket.StatusPolicyViolation, Text: "the session ended"}
	restart      = served.Reason{Code: websocket.StatusServiceRestart, Text: "the server restarts"}
	ourError     = served.Reason{Code: websocket.StatusInternalError, Text: "something went wrong"}
	otherDevices = served.Reason{Code: websocket.StatusTryAgainLater, Text: "the user has too many connections", Counted: "too_many"}
	nonsense     = served.Reason{Code: websocket.StatusUnsupportedData, Text: "frames must be JSON text"}
)

func newSockets(log *slog.Logger, closed func(string)) *served.Sockets {
	return served.NewSockets(
		served.Limits{
			Sockets: maxSockets, Frame: maxFrame, Behind: socketBacklog, Reserve: socketReserve, Shared: served.NewBudget(layerBacklog), Own: userBacklog,
		},
		served.Manners{Protocols: subprotocols, Heartbeat: pingEvery, NotText: &nonsense, Closed: closed}, log)
}

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

// line is what a socket carries frames over; a [served.Socket] is one.
type line interface {
	Send(frame []byte)
	End(why served.Reason)
}

// socket is one connection. Its packets are numbered in the order in which they
// are sent.
type socket struct {
	line
	log     *slog.Logger
	user    *user
	session *session
	version version
	// device tells the sockets of a user apart. One that comes back is another
	// one: the old one may end later.
	device string

	mu      sync.Mutex
	counter int64
}

// serveSocket answers the request for a WebSocket and serves it until it ends.
func (api *socketAPI) serveSocket(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("session_token")
	if token == "" {
		token = tokenOf(r)
	}
	who, err := api.authenticate(r.Context(), token)
	if err != nil {
		return err
	}
	protocol, ok := offered(r)
	if !ok {
		return invalidHeader("Sec-WebSocket-Protocol", "must be layer-3.0, layer-2.0 or layer-1.0")
	}
	connection, err := api.sockets.Open()
	if err != nil {
		api.log.WarnContext(r.Context(), "socket not opened", "error", err)
		return errUnavailable
	}
	defer connection.Release()
	connection.Belongs(who.identity.User)
	u, release := api.users.hold(who.identity.User)
	defer release()
	s := &socket{
		line: connection, log: api.log, user: u, session: who.session, version: protocolVersions[protocol], device: rand.Text(),
	}
	// Whoever was told of the connection must not miss anything, so it is
	// joined before it is accepted.
	u.join(s)
	defer api.hangUp(context.WithoutCancel(r.Context()), s)
	// The session may have ended between the check and joining.
	if _, err := api.authenticate(r.Context(), token); err != nil {
		return err
	}
	ctx, cancel := context.WithDeadline(context.WithoutCancel(r.Context()), who.session.Expires)
	defer cancel()
	err = connection.Serve(ctx, w, r, func(ctx context.Context, frame []byte) { api.handleFrame(ctx, s, frame) })
	if err != nil {
		api.log.DebugContext(r.Context(), "socket not upgraded", "error", err)
	}
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

// enqueue numbers, encodes and queues a packet.
func (s *socket) enqueue(kind string, body func(counter int64) any) {
	encoded, err := encode(packet{kind, iso(s.user.tick()), s.counter, body(s.counter)})
	if err != nil {
		s.log.Error("a packet could not be encoded", "error", err)
		s.End(ourError)
		return
	}
	s.counter++
	s.Send(encoded)
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
