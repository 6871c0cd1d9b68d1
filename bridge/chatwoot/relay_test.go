package chatwoot

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
	"lpbridge/connector/lpsim"
)

// TestConsumerTyping has the timelines of a consumer at Chatwoot's clients,
// which say on once and never again.
func TestConsumerTyping(t *testing.T) {
	type step struct {
		at   float64
		what string
	}
	tests := []struct {
		name  string
		steps []step
		want  []string
	}{
		{"D5 long typing", []step{{0, "on"}, {34, "off"}}, []string{"0.0 COMPOSING", "30.0 PAUSE"}},
		{"D6 phantom of the Enter key", []step{{0, "on"}, {5, "off"}, {8, "message"}, {8.1, "on"}, {12.1, "off"}},
			[]string{"0.0 COMPOSING", "5.0 ACTIVE", "8.0 ContentEvent"}},
		{"D7 message overtakes typing", []step{{3, "message"}, {3.2, "on"}, {7, "off"}}, []string{"3.0 ContentEvent"}},
		{"D24 private note", []step{{0, "on_private"}, {5, "on_user"}, {6, "on_bot"}}, nil},
		{"message while typing", []step{{0, "on"}, {3, "message"}, {7, "off"}}, []string{"0.0 COMPOSING", "3.0 ContentEvent", "3.0 ACTIVE"}},
		{"off comes first", []step{{0, "off"}, {0.1, "on"}}, []string{"0.1 COMPOSING", "30.1 PAUSE"}},
		{"two registrations", []step{{0, "on"}, {0.1, "on"}, {4, "off"}, {4.1, "off"}}, []string{"0.0 COMPOSING", "4.0 ACTIVE"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, r *relay) {
				r.begin()
				for _, s := range tt.steps {
					r.at(s.at)
					if s.what == "message" {
						r.says("and another thing")
					} else {
						r.types(s.what)
					}
				}
				r.at(100)
				if diff := cmp.Diff(tt.want, r.lp.timeline()); diff != "" {
					t.Errorf("calls of LivePerson (-want +got):\n%s", diff)
				}
				if sees := r.conversation().AgentSees; sees.ConsumerTyping {
					t.Error("the agent still sees the consumer typing")
				}
				if calls := r.far.timeline("typing", "message"); len(calls) != 0 {
					t.Errorf("Chatwoot was called: %v", calls)
				}
			})
		})
	}
}

func TestTypingOfNobodysConversationOpensNone(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *relay) {
		r.types("on")
		time.Sleep(time.Minute)
		if n := len(r.sim.Conversations()); n != 0 {
			t.Errorf("%d conversations, want none", n)
		}
	})
}

// TestAgentTyping has what Chatwoot is told while an agent types. All of it comes
// back as webhooks, none of which may reach LivePerson.
func TestAgentTyping(t *testing.T) {
	tests := []struct {
		name string
		act  func(r *relay, id string)
		want []string
	}{
		{"D13 long typing", func(r *relay, id string) {
			r.must(r.sim.AgentTyping(id, "COMPOSING", lpsim.Agent{}))
			r.at(40)
			r.must(r.sim.AgentTyping(id, "ACTIVE", lpsim.Agent{}))
		}, []string{"0.0 typing:on", "15.0 typing:on", "30.0 typing:on", "40.0 typing:off"}},
		{"stop is lost", func(r *relay, id string) {
			r.must(r.sim.AgentTyping(id, "COMPOSING", lpsim.Agent{}))
		}, []string{"0.0 typing:on", "15.0 typing:on", "30.0 typing:on", "45.0 typing:on", "60.0 typing:off"}},
		{"message ends it", func(r *relay, id string) {
			r.must(r.sim.AgentTyping(id, "COMPOSING", lpsim.Agent{}))
			r.at(4)
			_, err := r.sim.AgentMessage(id, lpsim.AgentMessage{Text: "I see"})
			r.must(err)
		}, []string{"0.0 typing:on", "4.0 message:I see", "4.0 typing:off"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, r *relay) {
				id := r.begin()
				_, err := r.sim.AgentJoin(id, lpsim.Agent{}, "")
				r.must(err)
				tt.act(r, id)
				r.at(150)
				if diff := cmp.Diff(tt.want, r.far.timeline("typing", "message")); diff != "" {
					t.Errorf("calls of Chatwoot (-want +got):\n%s", diff)
				}
				if calls := r.lp.timeline(); len(calls) != 0 {
					t.Errorf("LivePerson was called: %v", calls)
				}
			})
		})
	}
}

// TestNothingOfOursComesBack is the loop guard: every call of ours returns as a
// webhook.
func TestNothingOfOursComesBack(t *testing.T) {
	inBubble(t, func(c *Config) { c.Receipts = true }, func(t *testing.T, r *relay) {
		id := r.begin()
		_, err := r.sim.AgentJoin(id, lpsim.Agent{}, "")
		r.must(err)
		for _, text := range []string{"one", "two {{ contact.name }}", "three"} {
			_, err := r.sim.AgentMessage(id, lpsim.AgentMessage{Text: text})
			r.must(err)
		}
		_, err = r.sim.AgentRead(id, "", nil, lpsim.Agent{})
		r.must(err)
		r.at(10)
		r.must(r.sim.AgentClose(id, lpsim.AgentClose{}))
		// The consumer writes before Chatwoot's report of our own resolve is there.
		r.at(10.1)
		r.says("one more thing")
		r.at(300)
		want := []string{"0.0 message:one", "0.0 message:two {\u200b{ contact.name }}", "0.0 message:three"}
		if diff := cmp.Diff(want, r.far.timeline("message")); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"0.0 status:open", "10.0 status:resolved", "10.1 status:open"}, r.far.timeline("status")); diff != "" {
			t.Errorf("status (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"0.0 receipt:101:read"}, r.far.timeline("receipt")); diff != "" {
			t.Errorf("receipts (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"10.1 CONVERSATION", "10.1 ContentEvent"}, r.lp.timeline()); diff != "" {
			t.Errorf("calls of LivePerson (-want +got):\n%s", diff)
		}
		second := r.conversation()
		if diff := cmp.Diff([]string{"one more thing"}, texts(second)); diff != "" || second.State != "OPEN" {
			t.Errorf("the new conversation is %s (-want +got):\n%s", second.State, diff)
		}
	})
}

// TestLostAnswer has the answer to a message lost after Chatwoot took it.
func TestLostAnswer(t *testing.T) {
	for kind, want := range map[string][]string{
		kindUser: {"message:Hello", "list"},
		kindBot:  {"message:Hello", "message:Hello"},
	} {
		t.Run(kind, func(t *testing.T) {
			inBubble(t, func(c *Config) { c.TokenKind = kind }, func(t *testing.T, r *relay) {
				id := r.begin()
				r.far.lose = 1
				_, err := r.sim.AgentMessage(id, lpsim.AgentMessage{Text: "Hello"})
				r.must(err)
				r.at(60)
				var got []string
				for _, c := range r.far.timeline("message", "list") {
					_, what, _ := strings.Cut(c, " ")
					got = append(got, what)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestChoice has a consumer choose a reply of an agent's message, reported by
// message_updated.
func TestChoice(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *relay) {
		id := r.begin()
		_, err := r.sim.AgentMessage(id, lpsim.AgentMessage{Text: "Shall we?", QuickReplies: json.RawMessage(`["Yes","No"]`)})
		r.must(err)
		r.at(5)
		if diff := cmp.Diff([]string{"0.0 message:Shall we? [Yes=Yes] [No=No]"}, r.far.timeline("message")); diff != "" {
			t.Fatalf("calls (-want +got):\n%s", diff)
		}
		p := fixture(t, "message_updated_submitted")
		attributes := maps.Clone(r.far.messages[0]["content_attributes"].(map[string]any))
		attributes["submitted_values"] = []any{map[string]any{"title": "No", "value": "No"}}
		p["content_attributes"] = attributes
		r.webhook(p)
		// Any later change of the message reports the choice again.
		p["conversation"].(map[string]any)["updated_at"] = 1781697700.5
		r.webhook(p)
		r.at(10)
		if diff := cmp.Diff([]string{"5.0 ACTION", "5.0 ContentEvent"}, r.lp.timeline()); diff != "" {
			t.Errorf("calls of LivePerson (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"hello", "No"}, texts(r.conversation())); diff != "" {
			t.Errorf("transcript (-want +got):\n%s", diff)
		}
	})
}

// TestRecordedSession plays what a Chatwoot sent of one conversation, by an
// account webhook and an API inbox's, while an agent answers in LivePerson.
func TestRecordedSession(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *relay) {
		agent := []struct {
			at  float64
			act func(id string) error
		}{
			{5, func(id string) error { _, err := r.sim.AgentJoin(id, lpsim.Agent{}, ""); return err }},
			{5, func(id string) error { return r.sim.AgentTyping(id, "COMPOSING", lpsim.Agent{}) }},
			{8, func(id string) error {
				_, err := r.sim.AgentMessage(id, lpsim.AgentMessage{Text: "Can you show me?"})
				return err
			}},
		}
		for _, line := range session(t) {
			for len(agent) > 0 && agent[0].at < line.At {
				r.at(agent[0].at)
				r.must(agent[0].act(r.conversation().ConversationID))
				agent = agent[1:]
			}
			r.at(line.At)
			request := signed(accountSecret, line.Body)
			if strings.HasPrefix(line.Delivery, "b") {
				request = signed(inboxSecret, line.Body)
			}
			request.Header.Set(headerDelivery, line.Delivery)
			rec := httptest.NewRecorder()
			r.handler.ServeHTTP(rec, request)
			if rec.Code != http.StatusOK {
				t.Fatalf("%s was answered %d %s", line.Delivery, rec.Code, rec.Body)
			}
		}
		r.at(100)
		want := []string{
			"0.1 CONVERSATION", "0.1 ContentEvent", "10.0 COMPOSING", "14.0 ACTIVE", "20.0 COMPOSING",
			"24.0 ACTIVE", "24.0 ContentEvent", "24.0 ContentEvent", "40.0 SetUserProfile", "60.0 CLOSE",
		}
		// Typing ends after the first of the two messages of second 24 or after
		// the second.
		got := r.lp.timeline()
		if len(got) == len(want) && got[5] == "24.0 ContentEvent" {
			slices.Sort(got[5:8])
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("calls of LivePerson (-want +got):\n%s", diff)
		}
		want = []string{
			"0.1 status:open", "5.0 status:open", "5.0 typing:on", "8.0 message:Can you show me?", "8.0 typing:off",
		}
		got = r.far.timeline()
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("calls of Chatwoot (-want +got):\n%s", diff)
		}
		c := r.conversation()
		transcript := []string{
			"Hello, my parcel is broken", "Here is a photo",
			"parcel.jpg https://chat.example.com/rails/active_storage/blobs/redirect/c2ln/parcel.jpg",
		}
		if diff := cmp.Diff(transcript, texts(c)); diff != "" {
			t.Errorf("transcript (-want +got):\n%s", diff)
		}
		if n := len(r.sim.Conversations()); n != 1 || c.State != "CLOSE" || c.ExtConsumerID != bridge.ExtConsumerID(consumerKey, "chatwoot", "contact-inbox:31") {
			t.Errorf("%d conversations, the last %s of %s; want one, closed, of chatwoot:contact-inbox:31", n, c.State, c.ExtConsumerID)
		}
		if !strings.Contains(string(c.Profile), "Alice Novak") {
			t.Error("the agent does not see the changed name")
		}
	})
}

// sessionLine is one request of a recorded session.
type sessionLine struct {
	// At is in seconds since the first one.
	At       float64         `json:"at"`
	Delivery string          `json:"delivery"`
	Body     json.RawMessage `json:"body"`
}

func session(t *testing.T) []sessionLine {
	t.Helper()
	file, err := os.Open("testdata/session.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var lines []sessionLine
	scanner := bufio.NewScanner(file)
	scanner.Buffer(nil, maxBody)
	for scanner.Scan() {
		var l sessionLine
		if err := json.Unmarshal(scanner.Bytes(), &l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	if err := scanner.Err(); err != nil || len(lines) == 0 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	return lines
}

// TestGatewayTimeoutAfterChatwootHasTheMessage: a gateway in front of Chatwoot
// gives up although Chatwoot has the message, which only Chatwoot can tell.
func TestGatewayTimeoutAfterChatwootHasTheMessage(t *testing.T) {
	for _, status := range []int{500, 502, 503, 504, 302, 403, 404, 408, 451} {
		t.Run(http.StatusText(status), func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, r *relay) {
				id := r.begin()
				r.far.gateway = status
				if _, err := r.sim.AgentMessage(id, lpsim.AgentMessage{Text: "only once please"}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(10 * time.Minute)
				if got := r.far.timeline("message"); len(got) != 1 {
					t.Errorf("the consumer sees %q", got)
				}
			})
		})
	}
}

// TestAgentsFileGoesFromLivePersonToChatwoot: a file is an upload in Chatwoot,
// once, also when the answer to it is lost.
func TestAgentsFileGoesFromLivePersonToChatwoot(t *testing.T) {
	for name, lose := range map[string]int{"answered": 0, "answer lost": 1} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, r *relay) {
				id := r.begin()
				r.far.lose = lose
				_, err := r.sim.AgentMessage(id, lpsim.AgentMessage{File: &lpsim.AgentFile{
					Caption: "bill", FileType: "PDF", ContentBase64: base64.StdEncoding.EncodeToString([]byte("%PDF-1.7 x")),
				}})
				r.must(err)
				r.at(60)
				if diff := cmp.Diff([]string{`0.0 message:bill ["bill.pdf application/pdf %PDF-1.7 x"]`}, r.far.timeline("message")); diff != "" {
					t.Errorf("the consumer sees (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestBotHandsOverToLivePerson goes through a conversation that a bot began.
func TestBotHandsOverToLivePerson(t *testing.T) {
	inBubble(t, func(c *Config) { c.OnClose, c.OrderHold = onCloseBot, 50*time.Millisecond }, func(t *testing.T, r *relay) {
		r.webhook(json.RawMessage(said(t, 501, "my order", pending)))
		time.Sleep(time.Second)
		r.webhook(json.RawMessage(said(t, 502, "which one?", fromBot)))
		time.Sleep(time.Minute)
		if n := len(r.sim.Conversations()); n != 0 || len(r.far.timeline()) != 0 {
			t.Fatalf("%d conversations and calls %q while a bot has it", n, r.far.timeline())
		}
		r.webhook(json.RawMessage(statusWebhook(t, statusOpen)))
		time.Sleep(10 * time.Second)
		r.webhook(json.RawMessage(said(t, 503, "77", nil)))
		time.Sleep(10 * time.Second)
		want := []string{"Before the hand-over:\nConsumer: my order\nHelper Bot: which one?", "77"}
		if diff := cmp.Diff(want, texts(r.conversation())); diff != "" {
			t.Errorf("the agent reads (-want +got):\n%s", diff)
		}
		r.must(r.sim.AgentClose(r.conversation().ConversationID, lpsim.AgentClose{}))
		time.Sleep(10 * time.Second)
		calls := r.far.timeline("status")
		if len(calls) == 0 || !strings.HasSuffix(calls[len(calls)-1], "status:pending") {
			t.Errorf("calls %q, want the conversation given back", calls)
		}
		// What the bot does with it is the bot's again.
		r.webhook(json.RawMessage(said(t, 504, "bot?", pending)))
		time.Sleep(time.Minute)
		if n := len(r.sim.Conversations()); n != 1 {
			t.Errorf("%d conversations, want no new one", n)
		}
	})
}
