package chatwootapi

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"
)

// pipes is a listener whose connections stay within a synctest bubble.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{make(chan net.Conn), make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { close(p.done); return nil }

func (p *pipes) Addr() net.Addr { return &net.TCPAddr{} }

func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// site is a world with a server in front of it, all in fake time.
type site struct {
	*world
	client *http.Client
	close  func()
}

func newServed(t *testing.T, change ...func(*Config)) *site {
	t.Helper()
	w := newWorld(t, change...)
	p := newPipes()
	server := &http.Server{Handler: w.mux}
	transport := &http.Transport{DialContext: p.dial}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(p)
	}()
	s := &site{world: w, client: &http.Client{Transport: transport}}
	s.close = func() {
		if err := w.api.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("Close: %v", err)
		}
		transport.CloseIdleConnections()
		_ = server.Close()
		<-done
	}
	return s
}

// line dials the cable and reads the welcome.
func (s *site) line(protocols ...string) *testLine {
	s.t.Helper()
	conn, resp, err := websocket.Dial(s.t.Context(), "ws://bridge.example/cable", &websocket.DialOptions{
		HTTPClient: s.client, Subprotocols: protocols, HTTPHeader: http.Header{"Origin": {"https://shop.example"}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	l := &testLine{t: s.t, conn: conn, header: resp.Header}
	l.want(`{"type":"welcome"}`)
	return l
}

// testLine is a client's end of a line.
type testLine struct {
	t interface {
		Helper()
		Errorf(string, ...any)
		Fatalf(string, ...any)
		Context() context.Context
	}
	conn   *websocket.Conn
	header http.Header
}

func (l *testLine) say(frame string) {
	l.t.Helper()
	if err := l.conn.Write(l.t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		l.t.Fatalf("write: %v", err)
	}
}

// next returns the next frame that is no ping.
func (l *testLine) next() string {
	l.t.Helper()
	for {
		_, frame, err := l.conn.Read(l.t.Context())
		if err != nil {
			l.t.Fatalf("read: %v", err)
		}
		if !strings.HasPrefix(string(frame), `{"type":"ping"`) {
			return string(frame)
		}
	}
}

func (l *testLine) want(frame string) {
	l.t.Helper()
	if diff := cmp.Diff(frame, scrub(l.next())); diff != "" {
		l.t.Errorf("frame (-want +got):\n%s", diff)
	}
}

// silent says that nothing but pings comes for a while.
func (l *testLine) silent() {
	l.t.Helper()
	l.say(`{"command":"subscribe","identifier":"{\"channel\":\"RoomChannel\",\"pubsub_token\":\"probe\"}"}`)
	// Reading until the second ping, so that whatever was on the way is here.
	for range 2 {
		_, frame, err := l.conn.Read(l.t.Context())
		if err != nil {
			l.t.Fatalf("read: %v", err)
		}
		if !strings.HasPrefix(string(frame), `{"type":"ping"`) {
			l.t.Errorf("not silent: %s", frame)
		}
	}
}

// subscribe subscribes and reads confirmation and presence.
func (l *testLine) subscribe(token string) string {
	l.t.Helper()
	id := `{"channel":"RoomChannel","pubsub_token":"` + token + `"}`
	quoted := quote(id)
	l.say(`{"command":"subscribe","identifier":` + quoted + `}`)
	if got, want := l.next(), `{"identifier":`+quoted+`,"type":"confirm_subscription"}`; got != want {
		l.t.Errorf("confirmation %s, want %s", got, want)
	}
	if got := l.next(); !strings.Contains(got, `"event":"presence.update"`) {
		l.t.Errorf("after the confirmation came %s", got)
	}
	return quoted
}

func quote(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}

func (w *world) token(source string) string {
	w.t.Helper()
	var c struct {
		Token string `json:"pubsub_token"`
	}
	decodeInto(w.t, w.must("GET", base+"/contacts/"+source, "").body, &c)
	return c.Token
}

// inBubble runs a test with a server in fake time.
func inBubble(t *testing.T, run func(t *testing.T, s *site), change ...func(*Config)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newServed(t, change...)
		defer s.close()
		run(t, s)
	})
}
