package served

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

// harness serves sockets over pipes, so that all of it runs in fake time.
type harness struct {
	t       *testing.T
	sockets *Sockets
	shared  *Budget
	opened  chan *Socket
	conns   chan net.Conn
}

var goodbye = Reason{Code: websocket.StatusServiceRestart, Text: "restart", Last: []byte("bye")}

func newHarness(t *testing.T, change ...func(*Limits, *Manners)) *harness {
	h := &harness{t: t, opened: make(chan *Socket, 16), conns: make(chan net.Conn), shared: NewBudget(10_000)}
	limits := Limits{Sockets: 4, Frame: 100, Behind: 1000, Reserve: 100, Shared: h.shared}
	manners := Manners{Protocols: []string{"one", "two"}, Heartbeat: 30 * time.Second}
	for _, c := range change {
		c(&limits, &manners)
	}
	h.sockets = NewSockets(limits, manners, slog.New(slog.DiscardHandler))
	server := &http.Server{Handler: http.HandlerFunc(h.serve), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(h)
	}()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Second)
		defer cancel()
		_ = h.sockets.Close(ctx, goodbye)
		_ = server.Close()
		<-done
		if left := h.shared.Taken(); left != 0 {
			t.Errorf("%d bytes were never given back", left)
		}
	})
	return h
}

func (h *harness) serve(w http.ResponseWriter, r *http.Request) {
	s, err := h.sockets.Open()
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer s.Release()
	s.Send([]byte("hello"))
	h.opened <- s
	_ = s.Serve(context.WithoutCancel(r.Context()), w, r, func(_ context.Context, frame []byte) { s.Send(append([]byte("re:"), frame...)) })
}

// Accept, Close and Addr make the harness a listener.
func (h *harness) Accept() (net.Conn, error) {
	c, ok := <-h.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (h *harness) Close() error   { close(h.conns); return nil }
func (h *harness) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (h *harness) dial(protocols ...string) (*websocket.Conn, *Socket) {
	h.t.Helper()
	client := &http.Client{Transport: &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		h.conns <- far
		return near, nil
	}}}
	c, _, err := websocket.Dial(h.t.Context(), "ws://pipe/", &websocket.DialOptions{HTTPClient: client, Subprotocols: protocols})
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { _ = c.CloseNow() })
	return c, <-h.opened
}

func (h *harness) read(c *websocket.Conn) string {
	h.t.Helper()
	_, frame, err := c.Read(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return string(frame)
}

func TestSocketKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		c, s := h.dial("two")
		if c.Subprotocol() != "two" {
			t.Errorf("subprotocol %q", c.Subprotocol())
		}
		s.Send([]byte("a"))
		s.Send([]byte("b"))
		for _, want := range []string{"hello", "a", "b"} {
			if got := h.read(c); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		if err := c.Write(t.Context(), websocket.MessageText, []byte("q")); err != nil {
			t.Fatal(err)
		}
		if got := h.read(c); got != "re:q" {
			t.Errorf("%q", got)
		}
	})
}

// TestSlowReaderIsClosedWithAReason sends more than a reader may lag behind.
func TestSlowReaderIsClosedWithAReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		c, s := h.dial()
		for range 20 {
			s.Send([]byte(strings.Repeat("x", 90)))
		}
		if !s.isEnding() {
			t.Fatal("a reader of nothing is kept")
		}
		if got := s.behind; got > 200 {
			t.Errorf("%d bytes still wait for it", got)
		}
		for {
			_, _, err := c.Read(t.Context())
			if err == nil {
				continue
			}
			if got := websocket.CloseStatus(err); got != websocket.StatusTryAgainLater {
				t.Errorf("closed with %v (%v)", got, err)
			}
			return
		}
	})
}

// TestReaderThatStopsIsCutOff reads nothing at all, not even the close.
func TestReaderThatStopsIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		_, s := h.dial()
		s.Send([]byte("x"))
		time.Sleep(writeTimeout + time.Second)
		if n := h.sockets.Len(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
	})
}

// TestSharedBudgetBoundsAllReadersTogether has many readers lag a little.
func TestSharedBudgetBoundsAllReadersTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, func(l *Limits, _ *Manners) { l.Shared = NewBudget(500) })
		var all []*Socket
		for range 4 {
			_, s := h.dial()
			all = append(all, s)
		}
		synctest.Wait()
		for range 4 {
			for _, s := range all {
				s.Send([]byte(strings.Repeat("x", 80)))
			}
		}
		waiting, ended := int64(0), 0
		for _, s := range all {
			s.mu.Lock()
			waiting += s.behind
			s.mu.Unlock()
			if s.isEnding() {
				ended++
			}
		}
		if waiting > 500+4*100 {
			t.Errorf("%d bytes wait", waiting)
		}
		if ended == 0 || ended == len(all) {
			t.Errorf("%d of %d were closed", ended, len(all))
		}
	})
}

func TestAskingMoreThanOneReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		c, s := h.dial()
		asked := make(chan int)
		go func() {
			n := 0
			for range 200 {
				if c.Write(t.Context(), websocket.MessageText, []byte(strings.Repeat("y", 50))) != nil {
					break
				}
				n++
			}
			asked <- n
		}()
		synctest.Wait()
		if s.isEnding() {
			t.Error("a client that asks a lot is closed instead of being made to wait")
		}
		for range 201 {
			h.read(c)
		}
		if n := <-asked; n != 200 {
			t.Errorf("%d of 200 questions were taken", n)
		}
	})
}

func TestHeartbeat(t *testing.T) {
	t.Run("frame", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t, func(_ *Limits, m *Manners) {
				m.Heartbeat, m.Beat = 3*time.Second, func(now time.Time) []byte { return []byte(now.UTC().Format(time.TimeOnly)) }
			})
			c, _ := h.dial()
			for _, want := range []string{"hello", "00:00:03", "00:00:06"} {
				if got := h.read(c); got != want {
					t.Errorf("%q, want %q", got, want)
				}
			}
		})
	})
	t.Run("ping", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHarness(t)
			silent, _ := h.dial()
			h.read(silent)
			alive, _ := h.dial()
			h.read(alive)
			// Pongs are sent by who reads.
			alive.CloseRead(t.Context())
			time.Sleep(50 * time.Second)
			if n := h.sockets.Len(); n != 1 {
				t.Errorf("%d sockets are left, want the one that answers", n)
			}
		})
	})
}

func TestSocketsClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		c, s := h.dial()
		s.Send([]byte("last words"))
		closed := make(chan error)
		go func() { closed <- h.sockets.Close(t.Context(), goodbye) }()
		for _, want := range []string{"hello", "last words", "bye"} {
			if got := h.read(c); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
		if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != goodbye.Code {
			t.Errorf("closed with %v", err)
		}
		if err := <-closed; err != nil {
			t.Error(err)
		}
		if _, err := h.sockets.Open(); !errors.Is(err, ErrClosing) {
			t.Errorf("a socket was opened after Close: %v", err)
		}
	})
}

func TestSocketsCloseCutsOffTheDeaf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.dial()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := h.sockets.Close(ctx, goodbye); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close: %v", err)
		}
		if n := h.sockets.Len(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
	})
}

func TestSocketsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, func(l *Limits, _ *Manners) { l.Sockets = 1 })
		c, _ := h.dial()
		h.read(c)
		if _, err := h.sockets.Open(); !errors.Is(err, ErrCrowded) {
			t.Errorf("a second socket: %v", err)
		}
		_ = c.CloseNow()
		synctest.Wait()
		s, err := h.sockets.Open()
		if err != nil {
			t.Fatal(err)
		}
		s.Release()
	})
}

func TestTooLongAFrameEndsTheSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		c, _ := h.dial()
		h.read(c)
		if err := c.Write(t.Context(), websocket.MessageText, []byte(strings.Repeat("x", 101))); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusMessageTooBig {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestFramesThatAreNoText(t *testing.T) {
	nonsense := Reason{Code: websocket.StatusUnsupportedData, Text: "text only"}
	for name, why := range map[string]*Reason{"ignored": nil, "closed": &nonsense} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, func(_ *Limits, m *Manners) { m.NotText = why })
				c, _ := h.dial()
				h.read(c)
				_ = c.Write(t.Context(), websocket.MessageBinary, []byte{1})
				_ = c.Write(t.Context(), websocket.MessageText, []byte("q"))
				_, frame, err := c.Read(t.Context())
				switch {
				case why == nil && string(frame) != "re:q":
					t.Errorf("%q, %v", frame, err)
				case why != nil && websocket.CloseStatus(err) != why.Code:
					t.Errorf("%q, %v", frame, err)
				}
			})
		})
	}
}

func TestIsUpgrade(t *testing.T) {
	for name, tc := range map[string]struct {
		method, upgrade string
		want            bool
	}{
		"yes": {"GET", "WebSocket", true}, "plain": {"GET", "", false}, "h2c": {"GET", "h2c", false}, "post": {"POST", "websocket", false},
	} {
		r, err := http.NewRequestWithContext(t.Context(), tc.method, "http://pipe/", io.Reader(nil))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Upgrade", tc.upgrade)
		if got := IsUpgrade(r); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// isEnding reports whether the socket is being closed.
func (s *Socket) isEnding() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ending != nil
}

// TestOneConsumersSocketsLeaveRoomForOthers has all sockets of one consumer lag, one of
// them before it was known whose they are: another consumer's may lag all the same.
func TestOneConsumersSocketsLeaveRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed []string
		h := newHarness(t, func(l *Limits, m *Manners) {
			l.Sockets, l.Shared, l.Own = 8, NewBudget(1000), 250
			m.Closed = func(reason string) { closed = append(closed, reason) }
		})
		h.shared = h.sockets.limits.Shared
		lag := func(s *Socket, bytes int) { s.Send([]byte(strings.Repeat("x", bytes))) }
		quietClient, quiet := h.dial()
		quiet.Belongs("quiet")
		var noisy []*Socket
		var clients []*websocket.Conn
		for range 5 {
			c, s := h.dial()
			noisy, clients = append(noisy, s), append(clients, c)
		}
		synctest.Wait()
		// Of these, 100 are the socket's own.
		lag(noisy[0], 300)
		for _, s := range noisy {
			s.Belongs("noisy")
			s.Belongs("somebody else")
		}
		for _, s := range noisy[1:] {
			lag(s, 150)
		}
		if len(closed) != 4 || closed[0] != "too_slow" || noisy[0].isEnding() {
			t.Errorf("closed %v, the first of them: %t", closed, noisy[0].isEnding())
		}
		lag(quiet, 300)
		if quiet.isEnding() {
			t.Error("another consumer's socket was closed")
		}
		for _, c := range append(clients, quietClient) {
			_ = c.CloseNow()
		}
		synctest.Wait()
		if n := h.sockets.owns.Len(); n != 0 {
			t.Errorf("%d consumers have a part still", n)
		}
		if left := h.shared.Taken(); left != 0 {
			t.Errorf("%d bytes are taken", left)
		}
	})
}
