package peers_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"lpbridge/bridge/peers"
)

// babble accepts a socket, repeats what it hears, and ends in order when it hears "end".
func babble(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"layer-3.0"}})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	for {
		kind, text, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if string(text) == "end" {
			conn.Close(websocket.StatusPolicyViolation, "the session ended")
			return
		}
		if conn.Write(r.Context(), kind, text) != nil {
			return
		}
	}
}

func dial(t *testing.T, r *replica, path string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), r.server.URL+path, &websocket.DialOptions{Subprotocols: []string{"layer-3.0"}})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { conn.CloseNow() })
	return conn
}

func say(t *testing.T, conn *websocket.Conn, text string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func hear(t *testing.T, conn *websocket.Conn) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_, text, err := conn.Read(ctx)
	return string(text), err
}

// TestSocketsPass: a socket at a replica is one at the owner, whatever the size of what is
// said, its end by the owner included.
func TestSocketsPass(t *testing.T) {
	t.Parallel()
	r := newReplica(t, time.Minute)
	r.Follow(newOwner(t, 1, http.HandlerFunc(babble)).Owner)
	conn := dial(t, r, "/cable")
	if conn.Subprotocol() != "layer-3.0" {
		t.Errorf("subprotocol %q", conn.Subprotocol())
	}
	for _, size := range []int{0, 1, 125, 126, 127, 1 << 10, 0xffff, 1 << 16, 300_000} {
		want := strings.Repeat("x", size)
		say(t, conn, want)
		if got, err := hear(t, conn); got != want || err != nil {
			t.Fatalf("of %d bytes %d came back, error %v", size, len(got), err)
		}
	}
	if r.Sockets() != 1 {
		t.Errorf("%d sockets, want 1", r.Sockets())
	}
	say(t, conn, "end")
	_, err := hear(t, conn)
	if e, ok := errors.AsType[websocket.CloseError](err); !ok || e.Code != websocket.StatusPolicyViolation || e.Reason != "the session ended" {
		t.Errorf("ended with %v, want the owner's own word", err)
	}
	await(t, "the end of the socket", func() bool { return r.Sockets() == 0 })
}

// TestSocketsComeAgain: when the owner of a socket goes without a word, is succeeded by
// another one, or this replica stops, its client is told as by a server that restarts.
func TestSocketsComeAgain(t *testing.T) {
	t.Parallel()
	for _, of := range []struct {
		name, path, last string
		end              func(*replica, *owner)
	}{
		{"the owner dies", "/cable", `{"type":"disconnect"}`, func(_ *replica, o *owner) { o.cut() }},
		{"the owner dies, without farewell", "/layer", "", func(_ *replica, o *owner) { o.cut() }},
		{"another owner", "/cable", `{"type":"disconnect"}`, func(r *replica, _ *owner) {
			r.Follow(peers.Owner{Name: "b", Epoch: 2, Peer: peerAt("127.0.0.1:1")})
		}},
		{"this replica stops", "/cable", `{"type":"disconnect"}`, func(r *replica, _ *owner) {
			if err := r.Close(context.Background()); err != nil {
				t.Error(err)
			}
		}},
	} {
		t.Run(of.name, func(t *testing.T) {
			t.Parallel()
			r := newReplica(t, time.Minute)
			o := newOwner(t, 1, http.HandlerFunc(babble))
			r.Follow(o.Owner)
			conn := dial(t, r, of.path)
			say(t, conn, "hello")
			if _, err := hear(t, conn); err != nil {
				t.Fatal(err)
			}
			go of.end(r, o)
			if of.last != "" {
				if got, err := hear(t, conn); got != of.last || err != nil {
					t.Errorf("heard %q, error %v, want %q", got, err, of.last)
				}
			}
			_, err := hear(t, conn)
			if websocket.CloseStatus(err) != websocket.StatusServiceRestart {
				t.Errorf("ended with %v, want 1012", err)
			}
			await(t, "the end of the socket", func() bool { return r.Sockets() == 0 })
		})
	}
}

// TestSocketIsNotRepeated: a handshake that the owner refuses is the owner's answer.
func TestSocketIsNotRepeated(t *testing.T) {
	t.Parallel()
	r := newReplica(t, time.Minute)
	r.Follow(newOwner(t, 1, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) })).Owner)
	_, answer, err := websocket.Dial(t.Context(), r.server.URL+"/cable", nil)
	if err == nil || answer == nil || answer.StatusCode != http.StatusUnauthorized {
		t.Errorf("answered %v, error %v, want 401", answer, err)
	}
}
