package served

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	// writeTimeout is how long a client may take to read one frame.
	writeTimeout = 10 * time.Second
	// pongTimeout is how long a client may take to answer a ping.
	pongTimeout = 15 * time.Second
)

// Socket is one connection. Frames are queued by whoever sends and written by
// one goroutine.
type Socket struct {
	group *Sockets
	conn  *websocket.Conn

	mu    sync.Mutex
	queue []queued
	// behind are the bytes not yet written, shared those of them that are taken
	// out of the shared budget.
	behind, shared int64
	// own is the consumer's part of the shared budget, nil while it is not known whose
	// socket this is. disown lets it go.
	own     *Budget
	disown  func()
	ending  *Reason
	cut     context.CancelFunc // nil before the handshake
	aborted bool
	// wake tells the writer of news, drained the reader that nothing waits.
	wake, drained chan struct{}
}

// queued is a frame that waits, and what to do once it is out.
type queued struct {
	frame []byte
	sent  func() // nil for nothing
}

// Serve upgrades a request and hands what the client sends to handle, one frame
// after the other, until the connection or the context ends.
func (s *Socket) Serve(ctx context.Context, w http.ResponseWriter, r *http.Request, handle func(context.Context, []byte)) error {
	var err error
	s.conn, err = websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols: s.group.manners.Protocols,
		// Who a client is, tokens say that it sends itself. No cookie takes part,
		// so a page of another site gains nothing, and any origin may connect.
		InsecureSkipVerify: true,
	})
	if err != nil {
		// Accept has answered.
		return fmt.Errorf("upgrade: %w", err)
	}
	defer func() { _ = s.conn.CloseNow() }()
	s.conn.SetReadLimit(s.group.limits.Frame)
	ctx, cancel := context.WithCancel(ctx)
	s.opened(cancel)
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel()
	helpers.Go(func() {
		defer cancel()
		s.write(ctx)
	})
	if s.group.manners.Beat == nil {
		helpers.Go(func() { s.ping(ctx) })
	}
	s.read(ctx, handle)
	return nil
}

// Release gives back what the socket holds. Nothing may be sent to it any more.
func (s *Socket) Release() {
	s.mu.Lock()
	s.giveShared(s.shared)
	s.queue, s.behind, s.shared = nil, 0, 0
	s.aborted = true
	disown := s.disown
	s.mu.Unlock()
	if disown != nil {
		disown()
	}
	s.group.mu.Lock()
	delete(s.group.open, s)
	s.group.mu.Unlock()
	s.group.running.Done()
}

// Send queues a frame and never waits. A client that does not keep up is closed:
// it connects again and asks for what it missed.
func (s *Socket) Send(frame []byte) { s.SendThen(frame, nil) }

// SendThen queues a frame and has sent called once the client's machine took it.
// Nothing else is written meanwhile.
func (s *Socket) SendThen(frame []byte, sent func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ending != nil || s.aborted {
		return
	}
	n := int64(len(frame))
	if s.behind+n > s.group.limits.Behind || !s.account(n) {
		s.group.log.Info("a client reads too slowly and is closed", "bytes", s.behind)
		s.abandon()
		s.endLocked(tooSlow)
		return
	}
	s.queue = append(s.queue, queued{frame, sent})
	signal(s.wake)
}

// abandon drops what nobody began to write.
func (s *Socket) abandon() {
	for _, q := range s.queue {
		s.account(-int64(len(q.frame)))
	}
	s.queue = nil
}

// account notes that n bytes more are queued, or fewer, and reports whether that
// is allowed.
func (s *Socket) account(n int64) bool {
	shared := max(s.behind+n-s.group.limits.Reserve, 0)
	if more := shared - s.shared; more <= 0 {
		s.giveShared(-more)
	} else if !s.takeShared(more) {
		return false
	}
	s.behind, s.shared = s.behind+n, shared
	return true
}

// takeShared takes bytes out of the consumer's part of the shared budget.
func (s *Socket) takeShared(n int64) bool {
	if s.own != nil && !s.own.take(n) {
		return false
	}
	if s.group.limits.Shared.take(n) {
		return true
	}
	if s.own != nil {
		s.own.give(n)
	}
	return false
}

func (s *Socket) giveShared(n int64) {
	s.group.limits.Shared.give(n)
	if s.own != nil {
		s.own.give(n)
	}
}

// Belongs says whose socket it is, so that one consumer whose sockets are slow leaves
// room for others. Only the first word counts.
func (s *Socket) Belongs(consumer string) {
	if s.group.limits.Own <= 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own != nil || s.aborted {
		return
	}
	s.own, s.disown = s.group.owns.Hold(consumer, func() *Budget { return NewBudget(s.group.limits.Own) })
	// What waits already is theirs, whether there is room or not.
	s.own.give(-s.shared)
}

// End ends the connection after what is queued.
func (s *Socket) End(why Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.endLocked(why)
}

// EndAfter ends the connection after a time, unless it is of use by then. What it returns
// calls that off.
func (s *Socket) EndAfter(d time.Duration, why Reason, ofUse func() bool) (callOff func() bool) {
	return time.AfterFunc(d, func() {
		if !ofUse() {
			s.End(why)
		}
	}).Stop
}

func (s *Socket) endLocked(why Reason) {
	if s.ending == nil {
		s.ending = &why
		signal(s.wake)
		if closed := s.group.manners.Closed; closed != nil && why.Counted != "" {
			closed(why.Counted)
		}
	}
}

// abort cuts the connection off. A context that ends does so even while a
// handshake waits for the client, which CloseNow does not.
func (s *Socket) abort() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aborted = true
	if s.cut != nil {
		s.cut()
	}
}

// opened says how the connection can be cut off.
func (s *Socket) opened(cut context.CancelFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = cut
	if s.aborted {
		cut()
	}
}

// read takes frames until the connection ends.
func (s *Socket) read(ctx context.Context, handle func(context.Context, []byte)) {
	for {
		kind, frame, err := s.conn.Read(ctx)
		if err != nil {
			return
		}
		switch notText := s.group.manners.NotText; {
		case kind == websocket.MessageText:
			handle(ctx, frame)
		case notText != nil:
			s.End(*notText)
		}
		if !s.waitForRoom(ctx) {
			return
		}
	}
}

// waitForRoom keeps a client from asking for more than it reads. It reports
// false when the connection ended.
func (s *Socket) waitForRoom(ctx context.Context) bool {
	for s.crowded() {
		select {
		case <-s.drained:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (s *Socket) crowded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.behind > s.group.limits.Behind/2
}

// write sends what is queued, until the connection ends or is ended.
func (s *Socket) write(ctx context.Context) {
	beats := s.beats()
	defer beats.Stop()
	for {
		next, ending := s.take()
		if next.frame != nil {
			if !s.writeOne(ctx, next.frame) {
				_ = s.conn.CloseNow()
				return
			}
			s.written(next)
		} else if ending != nil {
			s.sayGoodbye(ctx, ending)
			return
		} else {
			signal(s.drained)
		}
		select {
		case <-s.wake:
		case now := <-beats.C:
			if !s.writeOne(ctx, s.group.manners.Beat(now)) {
				_ = s.conn.CloseNow()
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// beats ticks when a beat is due; without a Beat never.
func (s *Socket) beats() *time.Ticker {
	if s.group.manners.Beat == nil {
		return &time.Ticker{}
	}
	return time.NewTicker(s.group.manners.Heartbeat)
}

// take returns the next frame to write, or none and why the connection ends.
func (s *Socket) take() (queued, *Reason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return queued{}, s.ending
	}
	next := s.queue[0]
	s.queue[0], s.queue = queued{}, s.queue[1:]
	signal(s.wake)
	return next, nil
}

// written notes that a frame is out.
func (s *Socket) written(q queued) {
	s.mu.Lock()
	s.account(-int64(len(q.frame)))
	s.mu.Unlock()
	if q.sent != nil {
		q.sent()
	}
}

// writeOne has its own time: a context that ends closes the connection.
func (s *Socket) writeOne(ctx context.Context, frame []byte) bool {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	return s.conn.Write(ctx, websocket.MessageText, frame) == nil
}

func (s *Socket) sayGoodbye(ctx context.Context, why *Reason) {
	if why.Last != nil && !s.writeOne(ctx, why.Last) {
		return
	}
	_ = s.conn.Close(why.Code, why.Text)
}

// ping ends a connection whose other end no longer answers.
func (s *Socket) ping(ctx context.Context) {
	ticks := time.NewTicker(s.group.manners.Heartbeat)
	defer ticks.Stop()
	for {
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return
		}
		pong, cancel := context.WithTimeout(ctx, pongTimeout)
		err := s.conn.Ping(pong)
		cancel()
		if err != nil {
			_ = s.conn.CloseNow()
			return
		}
	}
}

// signal wakes who waits on a channel of one.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
