package livechatai

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/farside"
	"lpbridge/bridge/livechatai/livechataitest"
	"lpbridge/config"

	"github.com/google/go-cmp/cmp"
)

const (
	secret    = "secret-of-the-pushes"
	oldSecret = "former-secret-of-pushes"
	aiAgent   = "clx1234567890abcdef"
)

const pushedMessage = `{"id":"evt-1","type":"message","conversationId":"chat_1","messageId":"msg_1",
	"contact":{"id":"contact_1","name":"Ana Silva","email":"ana@example.com"},"text":"private-hello","createdAt":"2026-11-20T10:00:00Z"}`

func mustURL(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func pushRequest(body string, at time.Time) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	sign(r, secret, body, at)
	return r
}

func TestAdapterConformance(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"polled and pushed": func(*Config) {},
		"pushed only":       func(c *Config) { c.AgentIDs = nil },
		"polled only":       func(c *Config) { c.Secret = nil },
		"agents by name":    func(c *Config) { c.Users, c.UserID = []string{"agent-1=user_1"}, "user_0" },
	} {
		t.Run(name, func(t *testing.T) {
			pushes := name != "polled only"
			far := livechataitest.New()
			far.Open(livechataitest.Conversation{ID: "thread-1", Agent: aiAgent, IsAgent: true, Contact: livechataitest.Contact{ID: "contact_1"}})
			c := bridgetest.AdapterCase{
				New: func(t testing.TB, s bridgetest.Setting) bridge.Adapter {
					cfg := Config{
						APIKey: config.NewSecret(livechataitest.Key), AgentIDs: []string{aiAgent}, BaseURL: mustURL(t, s.URL),
						Secret: []config.Secret{config.NewSecret(secret), config.NewSecret(oldSecret)},
					}
					change(&cfg)
					l, err := New(cfg, s.Core, farside.NewClient(s.Client.Transport, "lpbridge/test"), s.Log)
					if err != nil {
						t.Fatal(err)
					}
					return l
				},
				// The suite's responses are not in LiveChatAI's form.
				Far:     &bridgetest.FarSide{Handler: far, Form: true, Outcomes: map[int]bridge.Outcome{200: bridge.Unknown, 201: bridge.Unknown}},
				Private: []string{"private-hello", "contact_1", "ana@example.com", "Ana Silva", livechataitest.Key, secret, oldSecret},
			}
			if pushes {
				c.Doors = []bridgetest.Door{{
					Name:    "pushes",
					Request: func() *http.Request { return pushRequest(pushedMessage, time.Now()) },
					Limit:   maxBody,
					Strangers: map[string]func(r *http.Request){
						"no signature":     func(r *http.Request) { r.Header.Del(headerSignature) },
						"no timestamp":     func(r *http.Request) { r.Header.Del(headerTimestamp) },
						"odd timestamp":    func(r *http.Request) { r.Header.Set(headerTimestamp, "now") },
						"other body":       func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{}")) },
						"other secret":     func(r *http.Request) { sign(r, "secret-of-somebody-else", pushedMessage, time.Now()) },
						"other timestamp":  func(r *http.Request) { r.Header.Set(headerTimestamp, "1") },
						"too old":          func(r *http.Request) { sign(r, secret, pushedMessage, time.Now().Add(-6*time.Minute)) },
						"from the future":  func(r *http.Request) { sign(r, secret, pushedMessage, time.Now().Add(6*time.Minute)) },
						"no prefix":        func(r *http.Request) { r.Header.Set(headerSignature, r.Header.Get(headerSignature)[7:]) },
						"empty digest":     func(r *http.Request) { r.Header.Set(headerSignature, signaturePrefix) },
						"odd digest":       func(r *http.Request) { r.Header.Set(headerSignature, signaturePrefix+"zz") },
						"bearer in stead":  func(r *http.Request) { r.Header.Del(headerSignature); r.Header.Set("Authorization", "Bearer "+secret) },
						"empty secret":     func(r *http.Request) { sign(r, "", pushedMessage, time.Now()) },
						"timestamp re-set": func(r *http.Request) { r.Header.Set(headerTimestamp, r.Header.Get(headerTimestamp)+"0") },
					},
				}}
			}
			bridgetest.TestAdapter(t, c)
		})
	}
}

// newAdapter builds an adapter over a LiveChatAI without sockets.
func newAdapter(t testing.TB, far *livechataitest.Server, change func(*Config)) (*LiveChatAI, *bridgetest.Core) {
	t.Helper()
	core := bridgetest.NewCore()
	return adapterOf(t, far, core, slog.New(slog.DiscardHandler), change), core
}

func adapterOf(t testing.TB, far *livechataitest.Server, core bridge.Core, log *slog.Logger, change func(*Config)) *LiveChatAI {
	t.Helper()
	cfg := Config{
		APIKey: config.NewSecret(livechataitest.Key), AgentIDs: []string{aiAgent}, BaseURL: mustURL(t, "https://far.example/"),
		Secret: []config.Secret{config.NewSecret(secret)},
	}
	if change != nil {
		change(&cfg)
	}
	l, err := New(cfg, core, farside.NewClient(far.Transport(), "lpbridge/test"), log)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestChannelDeclaresItsCadence(t *testing.T) {
	far := livechataitest.New()
	l, _ := newAdapter(t, far, func(c *Config) { c.Secret = nil })
	want := bridge.Channel{
		Name: "livechatai", Reports: []bridge.Kind{bridge.KindMessage, bridge.KindClose},
		Delivers: []bridge.Kind{bridge.KindMessage, bridge.KindState},
		TypingOut: bridge.TypingTarget{
			Shown: true, MinInterval: 5 * time.Second, StopUnlimited: true, Refresh: 5 * time.Second, Expiry: 10 * time.Second,
		},
	}
	if diff := cmp.Diff(want, l.Channel()); diff != "" {
		t.Errorf("polled (-want +got):\n%s", diff)
	}
	l, _ = newAdapter(t, far, func(c *Config) { c.Users = []string{"a=u"} })
	want.Reports = append(want.Reports, bridge.KindTyping)
	want.TypingIn = bridge.TypingSource{Reported: true, Hold: 30 * time.Second}
	want.TypingOut.PerPerson = true
	if diff := cmp.Diff(want, l.Channel()); diff != "" {
		t.Errorf("pushed, with users (-want +got):\n%s", diff)
	}
}

// TestChannelNeedsNoCore has the grid of abilities in mind, for which channels
// are made without a journal.
func TestChannelNeedsNoCore(t *testing.T) {
	l := adapterOf(t, livechataitest.New(), nil, slog.New(slog.DiscardHandler), nil)
	if l.Channel().Name != name || len(l.Routes()) != 2 {
		t.Errorf("channel %+v", l.Channel())
	}
}

func TestRepliesSayAllThatAnAgentSent(t *testing.T) {
	tests := []struct {
		name    string
		change  func(*Config)
		agent   string
		message bridge.Message
		want    []string
	}{
		{
			name: "text", message: bridge.Message{Text: "hello <b> & \"q\" 😀"},
			want: []string{`{"message":"hello \u003cb\u003e \u0026 \"q\" 😀","messageType":"TEXT"}`},
		},
		{
			name: "the configured user", change: func(c *Config) { c.UserID = "user_0" }, agent: "4711",
			message: bridge.Message{Text: "hello"}, want: []string{`{"message":"hello","userId":"user_0","messageType":"TEXT"}`},
		},
		{
			name: "the agent's user", change: func(c *Config) { c.UserID, c.Users = "user_0", []string{"4711=user_1"} }, agent: "4711",
			message: bridge.Message{Text: "hello"}, want: []string{`{"message":"hello","userId":"user_1","messageType":"TEXT"}`},
		},
		{
			name:    "quick replies are numbered",
			message: bridge.Message{Text: "Well?", QuickReplies: []bridge.QuickReply{{ID: "0", Title: "Yes"}, {ID: "1", Title: "No"}}},
			want:    []string{`{"message":"Well?\n1. Yes\n2. No","messageType":"TEXT"}`},
		},
		{
			name: "buttons are numbered where they stand",
			message: bridge.Message{
				Text: "Shoes\n- Red\n- Shop: https://shop.example\n- Blue", QuickReplies: []bridge.QuickReply{{ID: "2", Title: "Red"}, {ID: "0", Title: "Help"}, {ID: "4", Title: "Blue"}},
			},
			want: []string{`{"message":"Shoes\n1. Red\n- Shop: https://shop.example\n3. Blue\n2. Help","messageType":"TEXT"}`},
		},
		{
			name: "files are links",
			message: bridge.Message{Attachments: []bridge.Attachment{
				{URL: "https://f.example/a.png", ContentType: "image/png", Name: "a.png"}, {URL: "https://f.example/b.pdf"},
			}},
			want: []string{`{"message":"a.png https://f.example/a.png\nhttps://f.example/b.pdf","messageType":"TEXT"}`},
		},
		{
			name: "pictures are images when so configured", change: func(c *Config) { c.Images = "image" },
			message: bridge.Message{Text: "look", Attachments: []bridge.Attachment{
				{URL: "https://f.example/a.png", ContentType: "image/png"}, {URL: "https://f.example/b.pdf"},
			}},
			want: []string{
				`{"message":"look\nhttps://f.example/b.pdf","messageType":"TEXT"}`,
				`{"message":"https://f.example/a.png","messageType":"IMAGE"}`,
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			far := livechataitest.New()
			far.Open(livechataitest.Conversation{ID: "chat_1", Agent: aiAgent})
			l, _ := newAdapter(t, far, tt.change)
			e := agentMessage("d:1", "chat_1", "")
			e.Message = &tt.message
			e.Agent.ID = tt.agent
			for range 2 {
				if err := l.Deliver(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			}
			var got []string
			for _, c := range far.Calls("reply") {
				got = append(got, c.Body)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func agentMessage(id, thread, text string) *bridge.Event {
	return &bridge.Event{
		ID: bridge.EventID(id), Kind: bridge.KindMessage, Thread: bridge.ThreadID(thread), Time: time.Now(),
		Agent: &bridge.Agent{ID: "4711", Role: "ASSIGNED_AGENT"}, Message: &bridge.Message{Text: text},
	}
}

func TestMessagesThatCannotBeDelivered(t *testing.T) {
	far := livechataitest.New()
	far.Open(livechataitest.Conversation{ID: "chat_foreign", Agent: aiAgent, Foreign: true})
	l, _ := newAdapter(t, far, nil)
	tests := []struct {
		name  string
		event *bridge.Event
		want  bridge.Outcome
	}{
		{"nothing to say", agentMessage("1", "chat_foreign", ""), bridge.Invalid},
		{"unknown conversation", agentMessage("2", "chat_none", "x"), bridge.Invalid},
		{"no right to it", agentMessage("3", "chat_foreign", "x"), bridge.Unauthorized},
		{"a way up in the path", agentMessage("4", "..", "x"), bridge.Invalid},
		{"a kind the channel does not want", &bridge.Event{Kind: bridge.KindReceipt}, bridge.Invalid},
	}
	for _, tt := range tests {
		err := l.Deliver(t.Context(), tt.event)
		if d, ok := asDelivery(err); !ok || d.Outcome != tt.want {
			t.Errorf("%s: %v, want outcome %s", tt.name, err, tt.want)
		}
	}
	far.Before(func(livechataitest.Call) *livechataitest.Answer {
		return &livechataitest.Answer{Status: 200, Body: `{"status":"error","message":"no","code":"x"}`}
	})
	if d, ok := asDelivery(l.Deliver(t.Context(), agentMessage("5", "chat_foreign", "x"))); !ok || d.Outcome != bridge.Invalid {
		t.Error("an answer that says error counts as delivered")
	}
}

func TestOddThreadsStayInTheirPath(t *testing.T) {
	far := livechataitest.New()
	for _, id := range []string{"a/b", "a?b=c", "a b", "a%2Fb", "../x", "ä"} {
		far.Open(livechataitest.Conversation{ID: id, Agent: aiAgent})
		l, _ := newAdapter(t, far, nil)
		var seen string
		l.far.side.Client = farside.NewClient(roundTrip(func(r *http.Request) (*http.Response, error) {
			seen = r.URL.EscapedPath()
			return far.Transport().RoundTrip(r)
		}), "lpbridge/test")
		l.far.typing(t.Context(), id, typingRequest{IsTyping: true})
		if want := "/api/v2/conversations/" + url.PathEscape(id) + "/typing"; seen != want {
			t.Errorf("%q: path %s, want %s", id, seen, want)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestCheckSaysWhatWorks(t *testing.T) {
	far := livechataitest.New()
	l, _ := newAdapter(t, far, nil)
	for _, f := range l.Check(t.Context()) {
		if f.Err != nil {
			t.Errorf("%s: %v", f.Subject, f.Err)
		}
	}
	if calls := far.Calls(); len(calls) != 1 || !strings.Contains(calls[0].Query, "perPage=1&") {
		t.Errorf("calls %v, want one list of one conversation", calls)
	}
	for name, change := range map[string]func(*Config){
		"list": func(*Config) {}, "push only": func(c *Config) { c.AgentIDs = nil },
	} {
		wrong, _ := newAdapter(t, far, func(c *Config) { change(c); c.APIKey = config.NewSecret("another-key") })
		if f := wrong.Check(t.Context())[0]; f.Err == nil || !strings.Contains(f.Err.Error(), "401") {
			t.Errorf("%s: a wrong key is found as %v", name, f)
		}
	}
}

func TestAnswersToPushes(t *testing.T) {
	far := livechataitest.New()
	l, core := newAdapter(t, far, nil)
	tests := []struct {
		name, body string
		status     int
		field      string
	}{
		{"message", pushedMessage, 200, ""},
		{"the same again", pushedMessage, 200, ""},
		{"typing", `{"type":"typing","conversationId":"chat_1","isTyping":true}`, 200, ""},
		{"no typing", `{"type":"typing","conversationId":"chat_1","isTyping":false,"contact":null}`, 200, ""},
		{"resolved", `{"id":"evt-9","type":"resolved","conversationId":"chat_1"}`, 200, ""},
		{"resolved again", `{"id":"evt-10","type":"resolved","conversationId":"chat_1"}`, 200, ""},
		{"no type", `{"conversationId":"chat_1"}`, 400, "type"},
		{"unknown type", `{"type":"closed","conversationId":"chat_1"}`, 400, "type"},
		{"no conversation", `{"type":"changed"}`, 400, "conversationId"},
		{"no message id", `{"type":"message","conversationId":"c","text":"x"}`, 400, "messageId"},
		{"no text", `{"type":"message","conversationId":"c","messageId":"m"}`, 400, "text"},
		{"no state", `{"type":"typing","conversationId":"c"}`, 400, "isTyping"},
		{"no id", `{"type":"resolved","conversationId":"c"}`, 400, "id"},
		{"unknown member", `{"type":"changed","conversationId":"c","html":"x"}`, 400, "html"},
		{"unknown member of the contact", `{"type":"changed","conversationId":"c","contact":{"mail":"x"}}`, 400, "contact.mail"},
		{"other case", `{"Type":"changed","conversationId":"c"}`, 400, "Type"},
		{"long unknown member", `{"` + strings.Repeat("x", 99) + `":1}`, 400, "?"},
		{"wrong type", `{"type":"typing","conversationId":"c","isTyping":"yes"}`, 400, "isTyping"},
		{"contact is no object", `{"type":"changed","conversationId":"c","contact":"ana"}`, 400, "contact"},
		{"wrong type in the contact", `{"type":"changed","conversationId":"c","contact":{"id":[]}}`, 400, "contact.id"},
		{"numbers", `{"id":1,"type":"message","conversationId":7,"messageId":1001,"contact":{"id":5,"phone":351},"text":"x"}`, 200, ""},
		{"bad time", `{"type":"changed","conversationId":"c","createdAt":"yesterday"}`, 400, "createdAt"},
		{"bad message type", `{"type":"message","conversationId":"c","messageId":"m","text":"x","messageType":"VIDEO"}`, 400, "messageType"},
		{"long conversation", `{"type":"changed","conversationId":"` + strings.Repeat("x", 600) + `"}`, 400, "conversationId"},
		{"control character", `{"type":"message","conversationId":"c","messageId":"m\n","text":"x"}`, 400, "messageId"},
		{"array", `[]`, 400, ""},
		{"null", `null`, 400, "type"},
		{"not JSON", `{`, 400, ""},
		{"two texts", `{}{}`, 400, ""},
		{"not UTF-8", "{\"type\":\"\xff\"}", 400, "type"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			l.Routes()[0].Handler.ServeHTTP(rec, pushRequest(tt.body, time.Now()))
			var p bridge.Problem
			_ = json.Unmarshal(rec.Body.Bytes(), &p)
			if rec.Code != tt.status || p.Field != tt.field {
				t.Errorf("answered %d %s, want %d and field %q", rec.Code, rec.Body, tt.status, tt.field)
			}
		})
	}
	var kinds []bridge.Kind
	for _, e := range core.Events() {
		kinds = append(kinds, e.Kind)
	}
	if diff := cmp.Diff([]bridge.Kind{"message", "typing", "typing", "close", "message"}, kinds); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	want := bridge.Event{
		ID: "msg_1", Kind: bridge.KindMessage, Thread: "chat_1", Time: time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC),
		Consumer: &bridge.Consumer{ID: "contact_1", FirstName: "Ana Silva", Email: "ana@example.com"},
		Message:  &bridge.Message{Text: "private-hello", TypedChoice: true},
	}
	if diff := cmp.Diff(want, core.Events()[0]); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	if rec := httptest.NewRecorder(); true {
		l.Routes()[0].Handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, path, nil))
		if rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != "POST" {
			t.Errorf("GET is answered %d", rec.Code)
		}
	}
}
