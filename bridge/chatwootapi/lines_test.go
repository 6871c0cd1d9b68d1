package chatwootapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
)

func TestLostLineEndsTyping(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		at := s.conversation()
		first, second := s.line(), s.line()
		first.subscribe(s.token("s1"))
		second.subscribe(s.token("s1"))
		s.must("POST", at+"/toggle_typing?typing_status=on", "")
		_ = first.conn.CloseNow()
		synctest.Wait()
		if got := s.core.DisconnectedThreads(); len(got) != 0 {
			t.Errorf("disconnected %v while a line is left", got)
		}
		_ = second.conn.CloseNow()
		synctest.Wait()
		if diff := cmp.Diff([]bridge.ThreadID{"1"}, s.core.DisconnectedThreads()); diff != "" {
			t.Errorf("disconnected (-want +got):\n%s", diff)
		}
	})
}

func TestLostLineAfterTypingEnded(t *testing.T) {
	for name, end := range map[string]request{
		"off": {"POST", "/toggle_typing?typing_status=off", ""}, "message": {"POST", "/messages", "content=x"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *site) {
				at := s.conversation()
				l := s.line()
				l.subscribe(s.token("s1"))
				s.must("POST", at+"/toggle_typing?typing_status=on", "")
				s.must(end.method, at+end.path, end.body)
				_ = l.conn.CloseNow()
				synctest.Wait()
				if got := s.core.DisconnectedThreads(); len(got) != 0 {
					t.Errorf("disconnected %v", got)
				}
			})
		})
	}
}

func TestSlowReaderIsDropped(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		s.conversation()
		slow, good := s.line(), s.line()
		good.conn.SetReadLimit(1 << 20)
		slow.subscribe(s.token("s1"))
		good.subscribe(s.token("s1"))
		for i := range 2 * lineBacklog / maxContent {
			s.deliver(agentSays(bridge.EventID(fmt.Sprint("a-", i)), strings.Repeat("x", maxContent)))
			good.events(1)
			if i == 0 {
				good.events(1) // conversation.updated
			}
		}
		// Less than it takes to give up on the good one, which no longer reads either.
		time.Sleep(11 * time.Second)
		if lines := s.api.cable.lines.Len(); lines != 1 {
			t.Errorf("%d lines are left, want the good one", lines)
		}
	})
}

func TestLargeBacklogIsBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		s.conversation()
		slow := s.line()
		slow.subscribe(s.token("s1"))
		for i := range 2 * lineBacklog / maxContent {
			s.deliver(agentSays(bridge.EventID(fmt.Sprint("a-", i)), strings.Repeat("x", maxContent)))
		}
		time.Sleep(time.Minute)
		if s.api.cable.listening([]string{s.token("s1")}) {
			t.Error("a line with megabytes waiting is still there")
		}
	})
}

func TestCloseTellsClientsToComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServed(t)
		s.conversation()
		l := s.line()
		l.subscribe(s.token("s1"))
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.close()
		}()
		l.want(`{"type":"disconnect","reason":"server_restart","reconnect":true}`)
		_, _, err := l.conn.Read(t.Context())
		if websocket.CloseStatus(err) != websocket.StatusServiceRestart {
			t.Errorf("the line ended with %v", err)
		}
		<-done
		if got := s.call("GET", "/cable", ""); got.status != http.StatusNotFound {
			t.Errorf("a plain GET after Close: %d", got.status)
		}
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/cable", nil)
		r.Header.Set("Upgrade", "websocket")
		if got := s.serve(r); got.status != http.StatusServiceUnavailable {
			t.Errorf("an upgrade after Close: %d", got.status)
		}
	})
}

func TestCloseCutsOffDeafClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServed(t)
		s.contact("s1", "")
		s.line() // never reads again
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.api.Close(ctx); err == nil {
			t.Error("Close waited for a client that answers nothing")
		}
		s.close()
	})
}

func TestFailedLookupSendsClientsAway(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		s.contact("s1", "")
		token := s.token("s1")
		s.api.cable.admit = func(context.Context, string) (bool, error) { return false, bridge.ErrStorage }
		l := s.line()
		l.say(`{"command":"subscribe","identifier":` + quote(`{"channel":"RoomChannel","pubsub_token":"`+token+`"}`) + `}`)
		l.want(`{"type":"disconnect","reason":"server_restart","reconnect":true}`)
		_, _, _ = l.conn.Read(t.Context())
	})
}

// TestCableUnderFire has lines come, go, subscribe and be written to at once
// over real sockets, and is cut short by Close.
func TestCableUnderFire(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewServer(w.mux)
	defer server.Close()
	w.conversation()
	token := w.token("s1")
	stop := make(chan struct{})
	var lines, writers sync.WaitGroup
	for range 8 {
		lines.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				hammer(t.Context(), strings.Replace(server.URL, "http", "ws", 1)+"/cable", token)
			}
		})
	}
	for i := range 100 {
		writers.Go(func() {
			e := agentSays(bridge.EventID(fmt.Sprint("a-", i)), "hi")
			if err := w.api.Deliver(t.Context(), &e); err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := w.api.Close(ctx); err != nil {
		t.Errorf("Close: %v", err)
	}
	close(stop)
	lines.Wait()
	w.api.cable.mu.Lock()
	defer w.api.cable.mu.Unlock()
	if w.api.cable.lines.Len() != 0 || len(w.api.cable.rooms) != 0 {
		t.Errorf("%d lines and %d rooms are left", w.api.cable.lines.Len(), len(w.api.cable.rooms))
	}
}

// hammer opens a line, subscribes, reads a little and leaves without goodbye.
func hammer(ctx context.Context, address, token string) {
	conn, _, err := websocket.Dial(ctx, address, nil)
	if err != nil {
		return
	}
	defer conn.CloseNow()
	id := quote(`{"channel":"RoomChannel","pubsub_token":"` + token + `"}`)
	for _, command := range []string{"subscribe", "message", "unsubscribe", "subscribe"} {
		if conn.Write(ctx, websocket.MessageText, []byte(`{"command":"`+command+`","identifier":`+id+`,"data":{"action":"update_presence"}}`)) != nil {
			return
		}
	}
	for range 5 {
		if _, _, err := conn.Read(ctx); err != nil {
			return
		}
	}
}
