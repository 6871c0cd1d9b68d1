package chatwootapi

import (
	"context"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

// The clocks and queues of a line.
const (
	// pingInterval is Rails'; its client gives a line up after 6 s without ping.
	pingInterval = 3 * time.Second
	writeTimeout = 10 * time.Second
	// maxQueued and maxQueuedBytes are how far a reader may lag behind.
	maxQueued      = 256
	maxQueuedBytes = 4 << 20
)

// line is one WebSocket.
type line struct {
	conn *websocket.Conn
	// cancel ends the context of both goroutines, and with it the connection.
	cancel   context.CancelFunc
	out      chan []byte
	queued   atomic.Int64
	stopping chan struct{}
	stop     func()
	// subscriptions by identifier, guarded by the cable's lock.
	subscriptions map[string]*subscription
}

func newLine(conn *websocket.Conn, cancel context.CancelFunc) *line {
	l := &line{
		conn: conn, cancel: cancel, out: make(chan []byte, maxQueued), stopping: make(chan struct{}),
		subscriptions: map[string]*subscription{},
	}
	l.stop = sync.OnceFunc(func() { close(l.stopping) })
	return l
}

// end cuts the line off.
func (l *line) end() {
	l.cancel()
	// The connection is gone either way.
	_ = l.conn.CloseNow()
}

// enqueue never waits. A line whose queue is full is ended: its client connects
// again and reads what it missed over REST.
func (l *line) enqueue(frame []byte) {
	if l.queued.Add(int64(len(frame))) > maxQueuedBytes {
		l.cancel()
		return
	}
	select {
	case l.out <- frame:
	default:
		l.cancel()
	}
}

// write sends queued frames and pings until the line ends.
func (l *line) write(ctx context.Context) {
	defer l.end()
	pings := time.NewTicker(pingInterval)
	defer pings.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-l.stopping:
			l.sayGoodbye(ctx)
			return
		case frame := <-l.out:
			err = l.send(ctx, frame)
		case now := <-pings.C:
			err = l.put(ctx, []byte(`{"type":"ping","message":`+strconv.FormatInt(now.Unix(), 10)+`}`))
		}
		if err != nil {
			return
		}
	}
}

// send writes a queued frame.
func (l *line) send(ctx context.Context, frame []byte) error {
	defer l.queued.Add(-int64(len(frame)))
	return l.put(ctx, frame)
}

func (l *line) put(ctx context.Context, frame []byte) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return l.conn.Write(ctx, websocket.MessageText, frame)
}

// sayGoodbye sends what is queued, then tells the client to come back later.
func (l *line) sayGoodbye(ctx context.Context) {
	for len(l.out) > 0 {
		if l.send(ctx, <-l.out) != nil {
			return
		}
	}
	if l.put(ctx, []byte(`{"type":"disconnect","reason":"server_restart","reconnect":true}`)) == nil {
		// A client that does not answer the close is cut off by end.
		_ = l.conn.Close(websocket.StatusServiceRestart, "")
	}
}
