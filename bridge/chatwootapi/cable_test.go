package chatwootapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
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

func (p *pipes) Close() error   { close(p.done); return nil }
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

func TestCableWithoutUpgrade(t *testing.T) {
	w := newWorld(t)
	for _, method := range []string{"GET", "POST"} {
		got := w.call(method, "/cable", "")
		if got.status != http.StatusNotFound || got.header.Get("Content-Type") != "text/plain" || got.body != "Page not found" {
			t.Errorf("%s answered %d %q %q", method, got.status, got.header.Get("Content-Type"), got.body)
		}
	}
}

func TestCableSubprotocols(t *testing.T) {
	for _, tc := range []struct {
		name    string
		offered []string
		want    string
	}{
		{"Rails' client", []string{"actioncable-v1-json", "actioncable-unsupported"}, "actioncable-v1-json"},
		{"other order", []string{"actioncable-unsupported", "actioncable-v1-json"}, "actioncable-v1-json"},
		{"none", nil, ""},
		{"only unknown ones", []string{"soap"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *site) {
				l := s.line(tc.offered...)
				if got := strings.Join(l.header.Values("Sec-WebSocket-Protocol"), ","); got != tc.want {
					t.Errorf("protocol %q, want %q", got, tc.want)
				}
				if got := l.header.Get("Sec-WebSocket-Extensions"); got != "" {
					t.Errorf("extensions %q", got)
				}
			})
		})
	}
}

func TestCablePings(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		l := s.line()
		for i := range 4 {
			_, frame, err := l.conn.Read(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf(`{"type":"ping","message":%d}`, 946684800+3*(i+1)); string(frame) != want {
				t.Errorf("frame %s, want %s", frame, want)
			}
		}
	})
}

// TestSubscribing checks which identifiers are confirmed, each echoed byte for
// byte, and which get no answer at all.
func TestSubscribing(t *testing.T) {
	for _, tc := range []struct {
		name, identifier string // TOKEN stands for the contact's token
		confirmed        bool
	}{
		{"as the widget does", `{"channel":"RoomChannel","pubsub_token":"TOKEN"}`, true},
		{"other order and spaces", "{ \"pubsub_token\" : \"TOKEN\",\n\t\"channel\":\"RoomChannel\" }", true},
		{"blank user", `{"channel":"RoomChannel","pubsub_token":"TOKEN","user_id":"","account_id":1}`, true},
		{"no user", `{"channel":"RoomChannel","pubsub_token":"TOKEN","user_id":null}`, true},
		{"characters that Go escapes", `{"channel":"RoomChannel","pubsub_token":"TOKEN","x":"<&> é"}`, true},
		{"agent", `{"channel":"RoomChannel","pubsub_token":"TOKEN","user_id":7,"account_id":1}`, false},
		{"wrong token", `{"channel":"RoomChannel","pubsub_token":"xTOKEN"}`, false},
		{"no token", `{"channel":"RoomChannel"}`, false},
		{"unknown channel", `{"channel":"Other","pubsub_token":"TOKEN"}`, false},
		{"no JSON", `TOKEN`, false},
		{"no object", `["RoomChannel"]`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *site) {
				s.contact("s1", "")
				l := s.line("actioncable-v1-json")
				identifier := strings.ReplaceAll(tc.identifier, "TOKEN", s.token("s1"))
				l.say(`{"command":"subscribe","identifier":` + quote(identifier) + `}`)
				if !tc.confirmed {
					l.silent()
					return
				}
				var got struct{ Identifier, Type string }
				decodeInto(t, l.next(), &got)
				if got.Identifier != identifier || got.Type != "confirm_subscription" {
					t.Errorf("confirmation %+v", got)
				}
			})
		})
	}
}

func TestSubscribingTwiceIsSilent(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		s.contact("s1", "")
		l := s.line()
		id := l.subscribe(s.token("s1"))
		l.say(`{"command":"subscribe","identifier":` + id + `}`)
		l.silent()
	})
}

func TestOddFramesAreIgnored(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		s.contact("s1", "")
		l := s.line()
		id := l.subscribe(s.token("s1"))
		for _, frame := range []string{
			"", "x", "[]", "null", "{}", `{"command":"subscribe"}`, `{"command":"subscribe","identifier":5}`, `{"command":"dance","identifier":` + id + `}`,
			`{"command":"message","identifier":` + id + `}`, `{"command":"message","identifier":` + id + `,"data":"x"}`,
			`{"command":"message","identifier":` + id + `,"data":"{\"action\":\"dance\"}"}`, `{"command":"message","identifier":"x","data":"{\"action\":\"update_presence\"}"}`,
			"{\"command\":\"subscribe\",\"identifier\":\"\xff\"}",
		} {
			l.say(frame)
		}
		l.silent()
		l.say(`{"command":"message","identifier":` + id + `,"data":"{\"action\":\"update_presence\"}"}`)
		l.want(`{"identifier":` + id + `,"message":{"event":"presence.update","data":{"account_id":1,"users":{}}}}`)
	})
}

func TestPresenceNamesTheAssignee(t *testing.T) {
	for name, data := range map[string]string{
		"as a string":  `"{\"action\":\"update_presence\"}"`,
		"as an object": `{"action":"update_presence"}`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, s *site) {
				s.conversation()
				joined := state(bridge.StateJoined, "")
				joined.Agent = &bridge.Agent{ID: "lp-agent"}
				s.deliver(joined)
				l := s.line()
				id := l.subscribe(s.token("s1"))
				l.say(`{"command":"message","identifier":` + id + `,"data":` + data + `}`)
				l.want(`{"identifier":` + id + `,"message":{"event":"presence.update","data":{"account_id":1,"users":{"1":"online"}}}}`)
			})
		})
	}
}

func TestUnsubscribeEndsEvents(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		at := s.conversation()
		l := s.line()
		id := l.subscribe(s.token("s1"))
		l.say(`{"command":"unsubscribe","identifier":` + id + `}`)
		synctest.Wait()
		s.must("POST", at+"/messages", "content=x")
		l.silent()
		l.subscribe(s.token("s1"))
	})
}

// events reads frames of a subscription and returns their events by name, with
// the data as sent.
func (l *testLine) events(count int) []broadcastSeen {
	l.t.Helper()
	var out []broadcastSeen
	for range count {
		var f struct{ Message broadcastSeen }
		frame := l.next()
		if err := json.Unmarshal([]byte(frame), &f); err != nil || f.Message.Event == "" {
			l.t.Fatalf("no event: %s", frame)
		}
		f.Message.text = scrub(string(f.Message.Data))
		out = append(out, f.Message)
	}
	return out
}

type broadcastSeen struct {
	Event string
	Data  json.RawMessage
	text  string
}

func names(events []broadcastSeen) []string {
	var out []string
	for _, e := range events {
		out = append(out, e.Event)
	}
	return out
}

const (
	pushAliceSender = `{"additional_attributes":{},"custom_attributes":{},"email":"alice@acme.inc","id":1,"identifier":null,"name":"Alice Ray","phone_number":"+123456789","thumbnail":"","blocked":false,"type":"contact"}`

	pushHello = `{"id":1,"content":"hello","account_id":1,"inbox_id":1,"conversation_id":1,"message_type":0,"created_at":946684800,` +
		`"updated_at":"2000-01-01T00:00:00.000Z","private":false,"status":"sent","source_id":null,"content_type":"text","content_attributes":{},` +
		`"sender_type":"Contact","sender_id":1,"external_source_ids":{},"additional_attributes":{},"processed_message_content":"hello","sentiment":{},` +
		`"conversation":{"assignee_id":null,"unread_count":1,"last_activity_at":946684800,"contact_inbox":{"source_id":"s1"}},` +
		`"echo_id":"e-1","sender":` + pushAliceSender + `}`

	pushReply = `{"id":2,"content":"hi","account_id":1,"inbox_id":1,"conversation_id":1,"message_type":1,"created_at":946684800,` +
		`"updated_at":"2000-01-01T00:00:00.000Z","private":false,"status":"sent","source_id":null,"content_type":"text","content_attributes":{},` +
		`"sender_type":"User","sender_id":1,"external_source_ids":{},"additional_attributes":{},"processed_message_content":"hi","sentiment":{},` +
		`"conversation":{"assignee_id":1,"unread_count":1,"last_activity_at":946684800,"contact_inbox":{"source_id":"s1"}},"sender":` + agentOne

	pushThread = `{"additional_attributes":{},"can_reply":true,"channel":"Channel::Api",` +
		`"contact_inbox":{"id":1,"contact_id":1,"inbox_id":1,"source_id":"s1","created_at":"2000-01-01T00:00:00.000Z","updated_at":"2000-01-01T00:00:00.000Z","hmac_verified":false,"pubsub_token":"TOKEN"},` +
		`"id":1,"inbox_id":1,"messages":[MESSAGES],"labels":[],"meta":{"sender":` + pushAliceSender + `,"assignee":ASSIGNEE,"assignee_type":KIND,"team":null,"hmac_verified":false},` +
		`"status":"STATUS","custom_attributes":{},"snoozed_until":null,"unread_count":UNREAD,"first_reply_created_at":REPLY,"priority":null,"waiting_since":WAITING,` +
		`"agent_last_seen_at":0,"contact_last_seen_at":0,"last_activity_at":946684800,"timestamp":946684800,"created_at":946684800,"updated_at":946684800.0`
)

func pushOf(messages, assignee, kind, status, unread, reply, waiting string) string {
	return strings.NewReplacer("MESSAGES", messages, "ASSIGNEE", assignee, "KIND", kind, "STATUS", status, "UNREAD", unread, "REPLY", reply, "WAITING", waiting).Replace(pushThread)
}

// TestCableEvents follows one conversation and holds every event against its
// exact data.
func TestCableEvents(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		s.contact("s1", `,"name":"Alice Ray","email":"alice@acme.inc","phone_number":"+123456789"`)
		l := s.line("actioncable-v1-json")
		l.subscribe(s.token("s1"))
		check := func(want ...broadcastSeen) {
			t.Helper()
			for i, got := range l.events(len(want)) {
				if got.Event != want[i].Event {
					t.Errorf("event %s, want %s", got.Event, want[i].Event)
				}
				if diff := cmp.Diff(want[i].text, got.text); diff != "" {
					t.Errorf("%s (-want +got):\n%s", got.Event, diff)
				}
			}
		}
		event := func(name, data string) broadcastSeen { return broadcastSeen{Event: name, text: data} }

		at := s.another("s1")
		check(event("conversation.created", pushOf("", "null", "null", "open", "0", "null", "946684800")+`,"account_id":1}`))

		s.must("POST", at+"/messages", `{"content":"hello","echo_id":"e-1"}`)
		check(event("message.created", pushHello))

		joined := state(bridge.StateJoined, "")
		joined.Agent = &bridge.Agent{ID: "lp-agent"}
		s.deliver(joined)
		plain := strings.Replace(strings.Replace(pushHello, `"echo_id":"e-1",`, "", 1), `"assignee_id":null`, `"assignee_id":1`, 1)
		check(event("conversation.updated", pushOf(plain, agentOne, `"User"`, "open", "1", "null", "946684800")+`,"account_id":1,"performer":`+agentOne+`}`))

		cue := bridge.TypingCue{Thread: "1", Agent: bridge.Agent{ID: "lp-agent"}, State: bridge.Composing}
		typing := `{"conversation":` + pushOf(plain, agentOne, `"User"`, "open", "1", "null", "946684800") + `},"user":` + agentOne + `,"is_private":false,"account_id":1,"performer":` + agentOne + `}`
		for _, step := range []struct {
			state bridge.TypingState
			event string
		}{{bridge.Composing, "conversation.typing_on"}, {bridge.Stopped, "conversation.typing_off"}, {bridge.Paused, "conversation.typing_off"}} {
			cue.State = step.state
			if err := s.api.ShowTyping(t.Context(), cue); err != nil {
				t.Fatal(err)
			}
			check(event(step.event, typing))
		}

		s.deliver(agentSays("a-1", "hi"))
		check(
			event("message.created", pushReply+`,"performer":`+agentOne+`}`),
			event("conversation.updated", pushOf(pushReply+"}", agentOne, `"User"`, "open", "1", `"2000-01-01T00:00:00.000Z"`, "0")+`,"account_id":1,"performer":`+agentOne+`}`),
		)

		s.deliver(bridge.Event{ID: "r", Kind: bridge.KindReceipt, Thread: "1", Receipt: &bridge.Receipt{Status: bridge.ReceiptRead, MessageIDs: []bridge.EventID{"msg-1"}}})
		read := strings.NewReplacer(`"status":"sent"`, `"status":"read"`, `"unread_count":1`, `"unread_count":0`).Replace(plain)
		check(event("message.updated", strings.TrimSuffix(read, "}")+
			`,"previous_changes":{"status":["sent","read"],"updated_at":["2000-01-01T00:00:00.000Z","2000-01-01T00:00:00.000Z"]}}`))

		s.must("POST", at+"/toggle_status", "")
		closed := pushOf(strings.Replace(pushReply, `"unread_count":1`, `"unread_count":0`, 1)+"}", agentOne, `"User"`, "resolved", "0", `"2000-01-01T00:00:00.000Z"`, "0") + `,"account_id":1}`
		closed = strings.Replace(closed, `"agent_last_seen_at":0`, `"agent_last_seen_at":946684800`, 1)
		check(event("conversation.status_changed", closed), event("conversation.updated", closed))
	})
}

func TestCableEventNames(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		at := s.conversation()
		s.deliver(agentSays("a-1", "sure?", yesNo...))
		l := s.line()
		l.subscribe(s.token("s1"))
		for _, step := range []struct {
			name string
			do   func()
			want []string
		}{
			{"seen", func() { s.must("POST", at+"/update_last_seen", "") }, []string{"message.updated"}},
			{"answer", func() { s.must("PATCH", at+"/messages/1", `{"submitted_values":[{"value":"r-no"}]}`) }, []string{"message.updated"}},
			{"first message after a reply", func() { s.must("POST", at+"/messages", "content=x") }, []string{"message.created", "conversation.updated"}},
			{"second message", func() { s.must("POST", at+"/messages", "content=x") }, []string{"message.created"}},
			{"resolve with survey", func() { s.must("POST", at+"/toggle_status", "") }, []string{"conversation.status_changed", "message.created", "conversation.updated"}},
			{"message opens again", func() { s.must("POST", at+"/messages", "content=x") }, []string{"conversation.status_changed", "message.created", "conversation.updated"}},
			{"own typing is not sent back", func() {
				s.must("POST", at+"/toggle_typing?typing_status=on", "")
				s.deliver(agentSays("a-2", "ok"))
			}, []string{"message.created", "conversation.updated"}},
		} {
			step.do()
			if diff := cmp.Diff(step.want, names(l.events(len(step.want)))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", step.name, diff)
			}
		}
		l.silent()
	}, withCSAT)
}

func TestEventsGoToTheContactOnly(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		at := s.conversation()
		s.contact("s2", "")
		own, other := s.line(), s.line()
		own.subscribe(s.token("s1"))
		other.subscribe(s.token("s2"))
		s.must("POST", at+"/messages", "content=x")
		own.events(1)
		other.silent()
	})
}

func TestVerifiedContactHearsOnAllItsTokens(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		proof := "?identifier=test&identifier_hash=" + testHash
		for _, source := range []string{"s1", "s2", "s3"} {
			s.contact(source, `,"identifier":"test"`)
		}
		for _, source := range []string{"s1", "s2"} {
			s.must("GET", base+"/contacts/"+source+proof, "")
		}
		at := s.another("s1")
		second, unverified := s.line(), s.line()
		second.subscribe(s.token("s2"))
		unverified.subscribe(s.token("s3"))
		s.must("POST", at+"/messages", "content=x")
		second.events(1)
		unverified.silent()
	})
}

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
