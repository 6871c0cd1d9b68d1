package chatwootapi

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"lpbridge/bridge"
)

// checkTooMany wants Chatwoot's answer to who asks too often.
func checkTooMany(t *testing.T, what string, got answer) {
	t.Helper()
	if got.status != http.StatusTooManyRequests || got.body != "Retry later\n" || got.header.Get("Retry-After") == "" {
		t.Errorf("%s: %d %q %v", what, got.status, got.body, got.header)
	}
}

// TestRequestsOfOneContactAreBounded asks as fast as can be.
func TestRequestsOfOneContactAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Requests = 5 })
		w.contact("noisy", "")
		w.contact("quiet", "")
		ask := func(source string) answer { return w.call("GET", base+"/contacts/"+source, "") }
		for range 5 {
			if got := ask("noisy"); got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
		}
		checkTooMany(t, "one too many", ask("noisy"))
		if got := ask("quiet"); got.status != http.StatusOK {
			t.Errorf("somebody else: %d", got.status)
		}
		time.Sleep(time.Minute)
		if got := ask("noisy"); got.status != http.StatusOK {
			t.Errorf("after a minute: %d", got.status)
		}
	})
}

// TestContactWithTooMuchPendingIsTold passes on what the core says of one consumer.
func TestContactWithTooMuchPendingIsTold(t *testing.T) {
	w := newWorld(t)
	at := w.conversation()
	w.core.Refuse(bridge.ErrShare)
	checkTooMany(t, "too much pending", w.call("POST", at+"/messages", "content=hello"))
}

// TestOneContactLeavesUploadsToOthers has one contact stop in the middle of as many
// uploads as it can begin.
func TestOneContactLeavesUploadsToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		at := w.conversation()
		w.contact("quiet", "")
		head := "--b\r\nContent-Disposition: form-data; name=\"attachments[]\"; filename=\"x\"\r\n\r\n"
		read, end := make(chan struct{}, 100), make(chan struct{})
		answers := make(chan answer, 100)
		send := func(path string, body io.Reader) *http.Request {
			r := httptest.NewRequestWithContext(t.Context(), "POST", path, body)
			r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
			return r
		}
		const tries = 60
		for range tries {
			r := send(at+"/messages", &neverEnds{strings.NewReader(head + strings.Repeat("x", 1<<20-10)), read, end})
			go func() { answers <- w.serve(r) }()
		}
		synctest.Wait()
		if got := len(answers); got < tries-contactAtOnce {
			t.Errorf("%d of %d are refused", got, tries)
		}
		for range len(answers) {
			checkTooMany(t, "an upload too many", <-answers)
		}
		if held, most := w.api.bodies.Taken(), int64(bodiesInFlight/ownPart); held > most {
			t.Errorf("%d bytes are held by one contact, more than %d", held, most)
		}
		other := w.another("quiet")
		got := w.serve(send(other+"/messages", strings.NewReader(head+strings.Repeat("x", 1<<20-10)+"\r\n--b--\r\n")))
		if got.status != http.StatusOK {
			t.Errorf("an upload of somebody else: %d %s", got.status, got.body)
		}
		close(end)
		synctest.Wait()
		if held := w.api.bodies.Taken(); held != 0 {
			t.Errorf("%d bytes are still held", held)
		}
	})
}

// TestBodiesOfNoContactAreNotRead sends to contacts that do not exist.
func TestBodiesOfNoContactAreNotRead(t *testing.T) {
	w := newWorld(t)
	read, end := make(chan struct{}, 1), make(chan struct{})
	close(end)
	r := httptest.NewRequestWithContext(t.Context(), "POST", base+"/contacts/nobody/conversations/1/messages", &neverEnds{strings.NewReader("x"), read, end})
	if got := w.serve(r); got.status != http.StatusNotFound || len(read) != 0 {
		t.Errorf("answered %d, read %d", got.status, len(read))
	}
}

// TestOneContactLeavesLinesToOthers: who subscribes once more loses the line that was
// first.
func TestOneContactLeavesLinesToOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		s.conversation()
		token := s.token("s1")
		var lines []*testLine
		for range maxListeners + 3 {
			l := s.line()
			// Presence reaches those before too, which read on their own.
			l.say(`{"command":"subscribe","identifier":` + quote(`{"channel":"RoomChannel","pubsub_token":"`+token+`"}`) + `}`)
			lines = append(lines, l)
			synctest.Wait()
		}
		for n, l := range lines {
			ended := make(chan websocket.StatusCode, 1)
			go func() {
				for {
					if _, _, err := l.conn.Read(t.Context()); err != nil {
						ended <- websocket.CloseStatus(err)
						return
					}
				}
			}()
			synctest.Wait()
			select {
			case code := <-ended:
				if n >= 3 || code != websocket.StatusTryAgainLater {
					t.Errorf("line %d ended with %v", n, code)
				}
			default:
				if n < 3 {
					t.Errorf("line %d goes on", n)
				}
			}
		}
		if closed := s.core.ConnectionsClosed(); closed["too_many"] != 3 {
			t.Errorf("counted %v", closed)
		}
	})
}

// TestLinesToNobodyEnd: a line takes room, and is for who listens.
func TestLinesToNobodyEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		s.conversation()
		listens := s.line()
		listens.subscribe(s.token("s1"))
		guesses := s.line()
		guesses.say(`{"command":"subscribe","identifier":` + quote(`{"channel":"RoomChannel","pubsub_token":"none"}`) + `}`)
		for _, l := range []*testLine{listens, guesses, s.line()} {
			go func() {
				for {
					if _, _, err := l.conn.Read(t.Context()); err != nil {
						return
					}
				}
			}()
		}
		time.Sleep(strangerTime - time.Second)
		if got := s.api.cable.lines.Len(); got != 3 {
			t.Errorf("%d lines before the time", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := s.api.cable.lines.Len(); got != 1 {
			t.Errorf("%d lines are left, want the one that listens", got)
		}
	})
}

// TestCommandsOfOneLineTakeTheirTime: a client that commands a lot waits.
func TestCommandsOfOneLineTakeTheirTime(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		s.conversation()
		l := s.line()
		quoted := l.subscribe(s.token("s1"))
		go func() {
			for {
				if _, _, err := l.conn.Read(t.Context()); err != nil {
					return
				}
			}
		}()
		began := time.Now()
		const many = commandsBurst + 20*commandsEach
		for range many {
			l.say(`{"command":"message","identifier":` + quoted + `,"data":"{\"action\":\"update_presence\"}"}`)
		}
		if took := time.Since(began); took < 15*time.Second {
			t.Errorf("%d commands were done within %s", many, took)
		}
	})
}
