package chatwootapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
)

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
