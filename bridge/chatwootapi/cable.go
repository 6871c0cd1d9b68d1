package chatwootapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

	"lpbridge/bridge/served"

	"github.com/coder/websocket"
	"golang.org/x/time/rate"
)

// Limits of the cable.
const (
	maxLines         = 50_000
	maxSubscriptions = 64
	// maxListeners is how many subscriptions one contact may have; one more ends the
	// line of the oldest, which a client that came back has left behind.
	maxListeners = 16
	// strangerTime is how long a line may go without a subscription to anybody.
	strangerTime = time.Minute
	// commandsEach and commandsBurst are how many commands of a line are done in a
	// second and at once; further ones wait.
	commandsEach  = 10
	commandsBurst = 100
	// maxFrame is the longest command, in bytes.
	maxFrame = 32 << 10
	// lineBacklog is how many bytes of events may wait for one reader, and
	// lineReserve how many of them every line has for itself. Beyond that all
	// lines together have cableBacklog.
	lineBacklog  = 4 << 20
	lineReserve  = 32 << 10
	cableBacklog = 64 << 20
	// contactBacklog is how many of them those of one contact may have.
	contactBacklog = cableBacklog / ownPart
	// pingInterval is Rails'; its client gives a line up after 6 s without ping.
	pingInterval = 3 * time.Second
	// maxIdentifier is the longest identifier taken, in bytes.
	maxIdentifier = 2048
	// maxRoomTyping bounds the conversations remembered as being typed in.
	maxRoomTyping = 64
)

// The subprotocols of ActionCable. Rails' own client closes a line on which its
// protocol was not echoed; hand-made ones offer none and must get none.
var cableProtocols = []string{"actioncable-v1-json", "actioncable-unsupported"}

// cable is Chatwoot's /cable: ActionCable with the RoomChannel, as far as a
// contact's client gets to see it.
type cable struct {
	log *slog.Logger
	// newLines bounds how many lines one source may open.
	newLines *served.Rates
	// listeners is how many subscriptions one contact may have.
	listeners int
	lines     *served.Sockets
	// admit says whether a token is known, presence what update_presence
	// answers. hungUp is told the conversations somebody was typing in when the
	// last line of a token went.
	admit    func(ctx context.Context, token string) (bool, error)
	presence func(ctx context.Context, token string) (any, error)
	hungUp   func(threads []int64)

	mu    sync.Mutex
	rooms map[string]*room
	// joined counts subscriptions, so that they are known by age.
	joined int64
}

// line is one WebSocket.
type line struct {
	*served.Socket
	commands *rate.Limiter
	// subscriptions by identifier, guarded by the cable's lock.
	subscriptions map[string]*subscription
}

// room is who listens to a token.
type room struct {
	members map[*subscription]struct{}
	typing  map[int64]struct{}
}

// subscription is one identifier on one line.
type subscription struct {
	line *line
	// token is empty for a subscription that was not admitted: it is remembered
	// so that repeats cost nothing.
	token string
	// nth grows from one subscription to the next.
	nth int64
	// head begins every frame of the subscription, up to the message.
	head []byte
}

func newCable(
	log *slog.Logger,
	admit func(context.Context, string) (bool, error),
	presence func(context.Context, string) (any, error),
	hungUp func([]int64),
	closed func(string),
) *cable {
	return &cable{
		log: log, admit: admit, presence: presence, hungUp: hungUp, rooms: map[string]*room{},
		lines: served.NewSockets(
			served.Limits{
				Sockets: maxLines, Frame: maxFrame, Behind: lineBacklog, Reserve: lineReserve, Shared: served.NewBudget(cableBacklog), Own: contactBacklog,
			},
			served.Manners{Protocols: cableProtocols, Heartbeat: pingInterval, Beat: pingFrame, Closed: closed}, log),
	}
}

// pingFrame is what Rails' client counts on.
func pingFrame(now time.Time) []byte {
	return append(strconv.AppendInt([]byte(`{"type":"ping","message":`), now.Unix(), 10), '}')
}

// restart makes clients come back later.
var restart = served.Reason{
	Code: websocket.StatusServiceRestart, Last: []byte(`{"type":"disconnect","reason":"server_restart","reconnect":true}`),
}

// tooManyLines and stranger are why lines are ended that take room from others.
var (
	tooManyLines = served.Reason{Code: websocket.StatusTryAgainLater, Text: "the contact has too many connections", Counted: "too_many"}
	stranger     = served.Reason{Code: websocket.StatusPolicyViolation, Text: "nothing was subscribed to", Counted: "stranger"}
)

// ServeHTTP upgrades and serves one line until it ends.
func (c *cable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !served.IsUpgrade(r) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("Page not found"))
		return
	}
	if wait := c.newLines.Spend(r); wait > 0 {
		writeRefusal(w, tooMany(wait))
		return
	}
	socket, err := c.lines.Open()
	if err != nil {
		c.log.WarnContext(r.Context(), "cable not opened", "error", err)
		writeRefusal(w, errUnavailable)
		return
	}
	defer socket.Release()
	l := &line{Socket: socket, commands: rate.NewLimiter(commandsEach, commandsBurst), subscriptions: map[string]*subscription{}}
	defer c.remove(l)
	defer l.EndAfter(strangerTime, stranger, func() bool { return c.listens(l) })()
	l.Send([]byte(`{"type":"welcome"}`))
	// The request's context must not end a line: it may end with the server's
	// first stage of shutdown, before the disconnect frame is out.
	err = l.Serve(context.WithoutCancel(r.Context()), w, r, func(ctx context.Context, frame []byte) { c.handle(ctx, l, frame) })
	if err != nil {
		c.log.DebugContext(r.Context(), "cable not upgraded", "error", err)
	}
}

// listens reports whether a line is subscribed to somebody.
func (c *cable) listens(l *line) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range l.subscriptions {
		if s.token != "" {
			return true
		}
	}
	return false
}

// remove takes a line's subscriptions away.
func (c *cable) remove(l *line) {
	c.mu.Lock()
	var left []int64
	for _, s := range l.subscriptions {
		left = append(left, c.leave(s)...)
	}
	c.mu.Unlock()
	c.tellHungUp(left)
}

func (c *cable) tellHungUp(threads []int64) {
	if len(threads) > 0 {
		c.hungUp(threads)
	}
}

// leave takes a subscription out of its room and returns the conversations in
// which typing ends with it. The lock must be held.
func (c *cable) leave(s *subscription) []int64 {
	r := c.rooms[s.token]
	if r == nil {
		return nil
	}
	delete(r.members, s)
	if len(r.members) > 0 {
		return nil
	}
	delete(c.rooms, s.token)
	threads := make([]int64, 0, len(r.typing))
	for id := range r.typing {
		threads = append(threads, id)
	}
	return threads
}

// typing remembers who types while they are connected, so that typing ends with
// the connection.
func (c *cable) typing(token string, thread int64, on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.rooms[token]
	switch {
	case r == nil:
	case !on:
		delete(r.typing, thread)
	case len(r.typing) < maxRoomTyping:
		r.typing[thread] = struct{}{}
	}
}

// listening says whether anybody listens to one of the tokens.
func (c *cable) listening(tokens []string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range tokens {
		if c.rooms[t] != nil {
			return true
		}
	}
	return false
}

// broadcast is the message part of a frame.
type broadcast struct {
	Event string `json:"event"`
	Data  any    `json:"data"`
}

// send passes an event to everybody who listens to one of the tokens. It never
// waits: a line that does not keep up is ended.
func (c *cable) send(tokens []string, event string, data any) { c.sendThen(tokens, event, data, nil) }

// sendThen is send, and calls sent for every listener whose machine took it.
func (c *cable) sendThen(tokens []string, event string, data any, sent func()) {
	payload, err := json.Marshal(broadcast{event, data})
	if err != nil {
		c.log.Error("cable event not encoded", "event", event, "error", err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range tokens {
		r := c.rooms[t]
		if r == nil {
			continue
		}
		for s := range r.members {
			s.line.SendThen(s.frame(payload), sent)
		}
	}
}

func (s *subscription) frame(payload []byte) []byte {
	b := make([]byte, 0, len(s.head)+len(payload)+1)
	b = append(b, s.head...)
	b = append(b, payload...)
	return append(b, '}')
}

// close ends every line with the frame that makes clients come back later.
func (c *cable) close(ctx context.Context) error { return c.lines.Close(ctx, restart) }
