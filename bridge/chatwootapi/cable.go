package chatwootapi

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"sync"

	"github.com/coder/websocket"
)

// Limits of the cable.
const (
	maxLines         = 50_000
	maxSubscriptions = 64
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
//
// Every line has two goroutines, the reader, which is the request's own, and
// the writer. close ends both and waits.
type cable struct {
	log *slog.Logger
	// admit says whether a token is known, presence what update_presence
	// answers. hungUp is told the conversations somebody was typing in when the
	// last line of a token went.
	admit    func(ctx context.Context, token string) (bool, error)
	presence func(ctx context.Context, token string) (any, error)
	hungUp   func(threads []int64)

	running sync.WaitGroup

	mu      sync.Mutex
	closing bool
	lines   map[*line]struct{}
	rooms   map[string]*room
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
	// head begins every frame of the subscription, up to the message.
	head []byte
}

func newCable(
	log *slog.Logger,
	admit func(context.Context, string) (bool, error),
	presence func(context.Context, string) (any, error),
	hungUp func([]int64),
) *cable {
	return &cable{
		log: log, admit: admit, presence: presence, hungUp: hungUp,
		lines: map[*line]struct{}{}, rooms: map[string]*room{},
	}
}

// ServeHTTP upgrades and serves one line until it ends.
func (c *cable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !isUpgrade(r) {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("Page not found"))
		return
	}
	if !c.enter() {
		writeRefusal(w, errUnavailable)
		return
	}
	defer c.running.Done()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: cableProtocols,
		// The token is in the frames and there is no cookie, so a foreign origin
		// gains nothing; Chatwoot takes any.
		InsecureSkipVerify: true,
	})
	if err != nil {
		c.log.DebugContext(r.Context(), "cable not upgraded", "err", err)
		return
	}
	// The request's context must not end a line: it may end with the server's
	// first stage of shutdown, before the disconnect frame is out.
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.Context()))
	l := newLine(conn, cancel)
	defer l.end()
	if !c.add(l) {
		return
	}
	defer c.remove(l)
	c.running.Go(func() { l.write(ctx) })
	c.read(ctx, l)
}

func isUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// enter counts a line in, unless the cable is closing or full.
func (c *cable) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing || len(c.lines) >= maxLines {
		return false
	}
	c.running.Add(1)
	return true
}

func (c *cable) add(l *line) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return false
	}
	l.enqueue([]byte(`{"type":"welcome"}`))
	c.lines[l] = struct{}{}
	return true
}

// remove takes a line and its subscriptions away.
func (c *cable) remove(l *line) {
	c.mu.Lock()
	var left []int64
	for _, s := range l.subscriptions {
		left = append(left, c.leave(s)...)
	}
	delete(c.lines, l)
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
func (c *cable) send(tokens []string, event string, data any) {
	payload, err := json.Marshal(broadcast{event, data})
	if err != nil {
		c.log.Error("cable event not encoded", "event", event, "err", err)
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
			s.line.enqueue(s.frame(payload))
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
func (c *cable) close(ctx context.Context) error {
	c.mu.Lock()
	c.closing = true
	for l := range c.lines {
		l.stop()
	}
	c.mu.Unlock()

	done := make(chan struct{})
	go func() {
		c.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	c.mu.Lock()
	for l := range c.lines {
		l.end()
	}
	c.mu.Unlock()
	<-done
	return ctx.Err()
}
