package served

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// Limits are what the sockets of a channel may cost.
type Limits struct {
	// Sockets is how many may be open at once.
	Sockets int
	// Frame is the longest frame taken, in bytes.
	Frame int64
	// Behind is how many bytes may wait for one reader.
	Behind int64
	// Reserve is how many of them every socket has for itself; what is more
	// comes out of Shared.
	Reserve int64
	Shared  *Budget
	// Own is how many bytes of Shared the sockets of one consumer may have together.
	Own int64
}

// Manners are how a channel's protocol treats a connection.
type Manners struct {
	// Protocols are the subprotocols spoken.
	Protocols []string
	// Heartbeat is how often a quiet line is tried. Beat is the frame for it;
	// without one it is a ping of WebSocket, and who does not answer it is cut
	// off.
	Heartbeat time.Duration
	Beat      func(now time.Time) []byte
	// NotText is why who sends what is no text is closed; nil to ignore it.
	NotText *Reason
	// Closed is told of every socket that is closed to leave room for others, with what
	// that is counted as. It must not wait.
	Closed func(reason string)
}

// Reason is why we end a socket.
type Reason struct {
	Code websocket.StatusCode
	Text string
	// Last is sent before the end; nil for nothing.
	Last []byte
	// Counted is the reason in a word, for an end that leaves room for others.
	Counted string
}

// tooSlow is why a reader is closed who does not keep up.
var tooSlow = Reason{Code: websocket.StatusTryAgainLater, Text: "the client reads too slowly", Counted: "too_slow"}

// Errors of [Sockets.Open].
var (
	ErrClosing = errors.New("no more connections are taken, for the process ends")
	ErrCrowded = errors.New("there are as many connections as may be")
)

// Sockets are all sockets of a channel.
type Sockets struct {
	limits  Limits
	manners Manners
	log     *slog.Logger

	mu      sync.Mutex
	closing bool
	open    map[*Socket]struct{}
	// owns are what single consumers have of the shared budget.
	owns Registry[string, Budget]
	// running is waited for at the end.
	running sync.WaitGroup
}

// NewSockets returns a channel's sockets.
func NewSockets(limits Limits, manners Manners, logger *slog.Logger) *Sockets {
	return &Sockets{limits: limits, manners: manners, log: logger, open: map[*Socket]struct{}{}}
}

// IsUpgrade reports whether a request asks for a WebSocket.
func IsUpgrade(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// Open returns a new socket, to which may be sent before it is served, so that
// nothing is missed in between. It must be released.
func (g *Sockets) Open() (*Socket, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.closing:
		return nil, ErrClosing
	case len(g.open) >= g.limits.Sockets:
		return nil, ErrCrowded
	}
	s := &Socket{group: g, wake: make(chan struct{}, 1), drained: make(chan struct{}, 1)}
	g.open[s] = struct{}{}
	g.running.Add(1)
	return s, nil
}

// Len is how many are open.
func (g *Sockets) Len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.open)
}

// Close ends all sockets and waits for them. Those that do not take leave in
// time are cut off.
func (g *Sockets) Close(ctx context.Context, why Reason) error {
	g.mu.Lock()
	g.closing = true
	g.mu.Unlock()
	g.each(func(s *Socket) { s.End(why) })
	gone := make(chan struct{})
	go func() {
		g.running.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
	}
	g.each((*Socket).abort)
	<-gone
	return ctx.Err()
}

func (g *Sockets) each(do func(*Socket)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for s := range g.open {
		do(s)
	}
}
