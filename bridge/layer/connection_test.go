package layer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
)

func TestRefusedSockets(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	for _, bad := range []string{"", "other", strings.Repeat("x", 10*maxToken)} {
		if _, err := w.dial(bad, "layer-3.0"); err == nil {
			t.Errorf("connected with token %q", bad)
		}
	}
	a := w.must(401, "", "GET", "/?session_token=other", "", "Connection", "Upgrade", "Upgrade", "websocket",
		"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "MDEyMzQ1Njc4OWFiY2RlZg==")
	if a.has("data", "nonce") == nil || a.header.Get("Access-Control-Allow-Origin") != testOrigin {
		t.Errorf("refused with %v", a.body)
	}
	if _, err := w.dial(token, "layer-9.0"); err == nil {
		t.Error("connected with an unknown subprotocol")
	}
}

func TestNonsense(t *testing.T) {
	for name, send := range map[string]func(a *app) error{
		"no JSON":   func(a *app) error { return a.ws.Write(a.t.Context(), websocket.MessageText, []byte("{")) },
		"no UTF-8":  func(a *app) error { return a.ws.Write(a.t.Context(), websocket.MessageText, []byte("\"\xff\"")) },
		"binary":    func(a *app) error { return a.ws.Write(a.t.Context(), websocket.MessageBinary, []byte("{}")) },
		"too large": func(a *app) error { return a.ws.Write(a.t.Context(), websocket.MessageText, make([]byte, maxFrame+1)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.connect(w.login("consumer-1"), "layer-3.0")
			// The server may close before it has read all of it.
			_ = send(a)
			a.ended()
		})
	}
}

// TestSlowReader checks that a client that does not read is dropped, and that
// nobody waits for it.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.login("consumer-1")
		w.converse(token)
		w.connect(token, "layer-3.0")
		began := time.Now()
		for i := range socketBacklog/maxText + 2 {
			w.deliver(agentSays(fmt.Sprintf("dialog-1:%d", i), strings.Repeat("x", maxText)))
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("deliveries waited %s for the reader", took)
		}
		time.Sleep(time.Minute)
		if n := w.known(); n != 0 {
			t.Errorf("%d users are still connected", n)
		}
		w.stop()
	})
}

// TestLongReplay asks for more than may wait for a reader.
func TestLongReplay(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	const messages = 60
	for i := range messages {
		w.deliver(agentSays(fmt.Sprintf("dialog-1:%d", i), strings.Repeat("x", maxReplay/messages*4/10)))
	}
	a := w.connect(token, "layer-3.0")
	asked := make(chan struct{})
	go func() {
		// The second one is not even read before the first one's answer is.
		defer close(asked)
		for i := range 3 {
			a.request(fmt.Sprint(i), "Event.replay", "", `{"from_timestamp":"2020-01-01T00:00:00.000Z"}`)
		}
	}()
	n := 0
	for range 3 {
		for p := a.read(); p["type"] == packetChange; p = a.read() {
			n++
		}
	}
	<-asked
	if want := 3 * (2*messages + 1); n != want {
		t.Errorf("%d changes, want %d", n, want)
	}
}

// TestDeadConnection checks that typing ends when a client is gone without a
// word.
func TestDeadConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.login("consumer-1")
		w.converse(token)
		a := w.connect(token, "layer-3.0")
		a.signal(conversation1, "started")
		a.sync()
		time.Sleep(pingEvery + 16*time.Second) // nobody reads, so no pong
		synctest.Wait()
		if len(w.core.DisconnectedThreads()) != 1 {
			t.Error("the connection is still thought to be alive")
		}
		_ = a.ws.CloseNow()
		w.stop()
	})
}

func TestClose(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	a := w.connect(token, "layer-3.0")
	code := make(chan websocket.StatusCode)
	go func() { code <- a.ended() }()
	if err := w.layer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := <-code; c != websocket.StatusServiceRestart {
		t.Errorf("closed with %d", c)
	}
	if _, err := w.dial(token, "layer-3.0"); err == nil {
		t.Error("connected after the end")
	}
}

// TestCloseSilent checks that a client that does not take leave does not hold up
// the end.
func TestCloseSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.connect(w.login("consumer-1"), "layer-3.0")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := w.layer.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close says %v of a client that was cut off", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("closing took %s", took)
		}
		w.stop()
	})
}

// TestRawClient speaks to the socket by hand, to see the handshake's answer.
func TestRawClient(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	conn, err := w.client.Transport.(*http.Transport).DialContext(t.Context(), "tcp", "pipe:80")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		_, _ = io.WriteString(conn, "GET /layer/?session_token="+token+"&client-id=V HTTP/1.1\r\nHost: pipe\r\nOrigin: https://elsewhere.example\r\n"+
			"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"+
			"Sec-WebSocket-Protocol: layer-3.0\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n")
	}()
	answer := readHead(t, conn)
	if !strings.HasPrefix(answer, "HTTP/1.1 101") || !strings.Contains(answer, "Sec-Websocket-Protocol: layer-3.0\r\n") {
		t.Errorf("answered %s", answer)
	}
}

func readHead(t *testing.T, conn net.Conn) string {
	var head strings.Builder
	one := make([]byte, 1)
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		if _, err := conn.Read(one); err != nil {
			t.Fatal(err)
		}
		head.Write(one)
	}
	return head.String()
}
