package chatwoot

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/farside"
	"lpbridge/config"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const (
	accountSecret = "AccountSecretAccountSecr"
	inboxSecret   = "InboxSecretInboxSecretIn"
	urlSecret     = "url-secret-url-secret"
)

var discard = slog.New(slog.DiscardHandler)

// recordedAt is when the payloads of testdata were sent.
var recordedAt = time.Date(2026, 6, 17, 12, 0, 0, 123e6, time.UTC)

func recorded(t testing.TB, name string) []byte {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return body
}

func goodConfig(t testing.TB) Config {
	return Config{
		BaseURL: mustURL(t, "https://chat.example.com/sub/"), AccountID: 1, Token: config.NewSecret(stubToken),
		Secrets: []config.Secret{config.NewSecret(accountSecret), config.NewSecret(inboxSecret)},
	}
}

// client is what cmd hands to adapters.
func client(rt http.RoundTripper) *farside.Client { return farside.NewClient(rt, "lpbridge/test") }

// newChatwoot returns an adapter, a recording core and the far side.
func newChatwoot(t testing.TB, cfg Config) (*Chatwoot, *bridgetest.Core, *stub) {
	t.Helper()
	core, far := bridgetest.NewCore(), newStub(t)
	if cfg.TokenKind == kindBot {
		far.owner = kindBot
	}
	c, err := New(cfg, core, client(far), discard)
	if err != nil {
		t.Fatal(err)
	}
	return c, core, far
}

func webhook(target string, body []byte) *http.Request {
	r := httptest.NewRequest(http.MethodPost, target, bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("X-Chatwoot-Delivery", "5f0e9c1c-6d3b-4a57-9a6c-0d1b2c3d4e5f")
	return r
}

// signed is a webhook as Chatwoot sends it now.
func signed(secret string, body []byte) *http.Request {
	r := webhook(path, body)
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	r.Header.Set("X-Chatwoot-Timestamp", timestamp)
	r.Header.Set("X-Chatwoot-Signature", "sha256="+hex.EncodeToString(sign(config.NewSecret(secret), timestamp, body)))
	return r
}

func send(c *Chatwoot, r *http.Request) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	for _, route := range c.Routes() {
		mux.Handle(route.Pattern, route.Handler)
	}
	rec := httptest.NewRecorder()
	mux.ServeHTTP(rec, r)
	return rec
}

// when runs a test at a moment of fake time.
func when(t *testing.T, at time.Time, test func(t *testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(at))
		test(t)
	})
}

func TestConformance(t *testing.T) {
	message := recorded(t, "message_created")
	private := []string{
		stubToken, accountSecret, inboxSecret, urlSecret, "alice@example.com", "Alice Example", "+12025550123",
		"ScrubbedScrubbedScrubbed", "private-name", "private@example.com", "private-account", "private-inbox", "private-secret",
	}
	strangers := map[string]func(r *http.Request){
		"no signature":    func(r *http.Request) { r.Header.Del(headerSignature) },
		"no timestamp":    func(r *http.Request) { r.Header.Del(headerTimestamp) },
		"other signature": func(r *http.Request) { r.Header.Set(headerSignature, "sha256="+strings.Repeat("00", 32)) },
		"bare signature":  func(r *http.Request) { r.Header.Set(headerSignature, r.Header.Get(headerSignature)[7:]) },
		"other time":      func(r *http.Request) { r.Header.Set(headerTimestamp, "1700000000") },
		"no time":         func(r *http.Request) { r.Header.Set(headerTimestamp, "soon") },
		"other body":      func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("{}")) },
	}
	doors := []bridgetest.Door{
		{Name: "account webhook", Request: func() *http.Request { return signed(accountSecret, message) }, Strangers: strangers, Limit: maxBody},
		{Name: "inbox webhook", Request: func() *http.Request { return signed(inboxSecret, message) }, Strangers: strangers, Limit: maxBody},
		{Name: "unsigned webhook", Request: func() *http.Request { return webhook(path+"/"+urlSecret, message) }, Strangers: map[string]func(*http.Request){
			"other secret": func(r *http.Request) { r.URL.Path = path + "/url-secret-url-secreT" },
			"part of it":   func(r *http.Request) { r.URL.Path = path + "/url" },
		}, Limit: maxBody},
	}
	for _, kind := range []string{kindUser, kindBot} {
		t.Run(kind, func(t *testing.T) {
			far := newStub(t)
			far.owner = kind
			bridgetest.TestAdapter(t, bridgetest.AdapterCase{
				New: func(t testing.TB, s bridgetest.Setting) bridge.Adapter {
					cfg := goodConfig(t)
					cfg.BaseURL = mustURL(t, s.URL+"/sub")
					cfg.AllowUnsigned, cfg.URLSecret = true, config.NewSecret(urlSecret)
					cfg.TokenKind, cfg.Receipts = kind, kind == kindUser
					c, err := New(cfg, s.Core, client(s.Client.Transport), s.Log)
					if err != nil {
						t.Fatal(err)
					}
					return c
				},
				Doors: doors,
				Far: &bridgetest.FarSide{
					Handler: far,
					// The suite's responses are not in Chatwoot's form.
					Outcomes: map[int]bridge.Outcome{
						200: bridge.Unknown, 302: bridge.Retry, 401: bridge.Retry, 403: bridge.Retry, 501: bridge.Unknown,
					},
					Identity: func(call bridgetest.Call) string {
						var m newMessage
						if err := json.Unmarshal(call.Body, &m); err != nil {
							t.Error(err)
						}
						if strings.HasSuffix(call.Path, "/messages") {
							return fmt.Sprint(m.Attributes[markKey])
						}
						return call.Path + string(call.Body)
					},
				},
				Event: func(k bridge.Kind) bridge.Event {
					e := bridgetest.AgentEvent(k)
					e.Thread = "42"
					if k == bridge.KindReceipt {
						e.Receipt.MessageIDs = []bridge.EventID{"message:100"}
					}
					return e
				},
				Private: private,
			})
		})
	}
}

var alice = bridge.Consumer{
	ID: "contact-inbox:31", FirstName: "Alice Example", Email: "alice@example.com", Phone: "+12025550123",
	AvatarURL: "https://chat.example.com/avatars/alice.png",
}

// TestWebhooks has every kind of webhook and what follows from it.
func TestWebhooks(t *testing.T) {
	event := func(k bridge.Kind, id string, with func(*bridge.Event)) []bridge.Event {
		consumer := alice
		e := bridge.Event{ID: bridge.EventID(id), Kind: k, Thread: "42", Inbox: "3", Consumer: &consumer}
		if k == bridge.KindProfile {
			// A contact is of no inbox.
			e.Inbox = ""
		}
		if with != nil {
			with(&e)
		}
		return []bridge.Event{e}
	}
	said := func(text string) []bridge.Event {
		return event(bridge.KindMessage, "message:100", func(e *bridge.Event) {
			e.Time, e.Message = recordedAt, &bridge.Message{Text: text}
		})
	}
	types := func(id string, s bridge.TypingState) []bridge.Event {
		return event(bridge.KindTyping, "", func(e *bridge.Event) {
			e.Consumer, e.Typing = &bridge.Consumer{ID: bridge.ConsumerID(id)}, &bridge.Typing{State: s}
		})
	}
	closed := event(bridge.KindClose, "resolved:42:1781697660500000", func(e *bridge.Event) {
		e.Time = time.Date(2026, 6, 17, 12, 1, 0, 500e6, time.UTC)
	})
	tests := map[string][]bridge.Event{
		"message_created": said("hello"),
		"message_created_attachments": event(bridge.KindMessage, "message:100", func(e *bridge.Event) {
			e.Time = recordedAt
			e.Message = &bridge.Message{Text: "Lisbon 38.72, -9.14\n+351210000000", Attachments: []bridge.Attachment{{
				URL:         "https://chat.example.com/rails/active_storage/blobs/redirect/c2lnbmVk/parcel%20photo.png",
				ContentType: "image/png", Name: "parcel photo.png",
			}}}
		}),
		"message_created_empty":    nil,
		"message_created_private":  nil,
		"message_created_outgoing": nil,
		"message_created_own":      nil,
		"message_created_template": nil,
		"message_updated":          said("hello"),
		"message_updated_deleted":  nil,
		"message_updated_submitted": event(bridge.KindClick, string(answerID("click", 103, "0")), func(e *bridge.Event) {
			e.Click = &bridge.Click{MessageID: "dialog-1:4", ReplyID: "0"}
		}),
		"message_updated_foreign_form": nil,
		"message_updated_read": event(bridge.KindReceipt, string(answerID("read", 103, "dialog-1:4")), func(e *bridge.Event) {
			e.Receipt = &bridge.Receipt{Status: bridge.ReceiptRead, MessageIDs: []bridge.EventID{"dialog-1:4"}}
		}),
		"message_updated_rated": event(bridge.KindRating, string(answerID("rating", 105, "4 good")), func(e *bridge.Event) {
			e.Rating = &bridge.Rating{Score: 4, Comment: "good"}
		}),
		"conversation_typing_on":               types("contact-inbox:31", bridge.Composing),
		"conversation_typing_on_contact7":      types("contact-inbox:31", bridge.Composing),
		"conversation_typing_off":              types("contact-inbox:31", bridge.Stopped),
		"conversation_typing_on_user":          nil,
		"conversation_typing_on_bot":           nil,
		"conversation_typing_on_private":       nil,
		"conversation_status_changed_resolved": closed,
		"conversation_resolved":                closed,
		"conversation_status_changed_open":     nil,
		"conversation_opened":                  nil,
		"conversation_created":                 nil,
		"conversation_updated":                 nil,
		"contact_updated_activity":             nil,
		"contact_created":                      nil,
		"webwidget_triggered":                  nil,
		"inbox_created":                        nil,
		"inbox_updated":                        nil,
		// Nothing is known of a conversation of the contact yet.
		"contact_updated": nil,
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != len(tests) {
		t.Fatalf("%d recorded payloads, %d cases: %v", len(files), len(tests), err)
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			when(t, recordedAt.Add(time.Second), func(t *testing.T) {
				c, core, _ := newChatwoot(t, goodConfig(t))
				if rec := send(c, signed(accountSecret, recorded(t, name))); rec.Code != http.StatusOK {
					t.Fatalf("answered %d %s", rec.Code, rec.Body)
				}
				if diff := cmp.Diff(want, core.Events(), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// changed is a recorded payload with one part replaced, named by its path.
func changed(t testing.TB, name, at string, value any) []byte {
	t.Helper()
	payload := fixture(t, name)
	place := payload
	parts := strings.Split(at, ".")
	for _, part := range parts[:len(parts)-1] {
		place = place[part].(map[string]any)
	}
	if last := parts[len(parts)-1]; value == nil {
		delete(place, last)
	} else {
		place[last] = value
	}
	return encode(t, payload)
}

func TestVariants(t *testing.T) {
	late := 10 * time.Minute
	tests := []struct {
		name  string
		body  []byte
		cfg   func(*Config)
		later time.Duration
		want  int
	}{
		{name: "before 4.14.2 a conversation has no account", body: changed(t, "conversation_typing_on", "conversation.account", nil), want: 1},
		{name: "another account", body: changed(t, "message_created", "account", map[string]any{"id": 2})},
		{name: "typing of another account", body: changed(t, "conversation_typing_on", "conversation.account", map[string]any{"id": 2})},
		{name: "resolved in another account", body: changed(t, "conversation_resolved", "account", map[string]any{"id": 2})},
		{name: "chosen inbox", body: recorded(t, "message_created"), cfg: func(c *Config) { c.InboxIDs = []string{"3"} }, want: 1},
		{name: "another inbox", body: recorded(t, "message_created"), cfg: func(c *Config) { c.InboxIDs = []string{"4", "5"} }},
		{name: "typing in another inbox", body: recorded(t, "conversation_typing_on"), cfg: func(c *Config) { c.InboxIDs = []string{"4"} }},
		{name: "resolved in another inbox", body: recorded(t, "conversation_resolved"), cfg: func(c *Config) { c.InboxIDs = []string{"4"} }},
		{name: "private as a string", body: changed(t, "message_created", "private", "true")},
		{name: "typing that is private as a string", body: changed(t, "conversation_typing_on", "is_private", "true")},
		{name: "typing that is private in other words", body: changed(t, "conversation_typing_on", "is_private", "yes"), want: 1},
		{name: "typing that says nothing of private", body: changed(t, "conversation_typing_on", "is_private", nil), want: 1},
		{name: "contact with a type", body: changed(t, "conversation_typing_on", "user.type", "contact"), want: 1},
		{name: "someone of an unknown type", body: changed(t, "conversation_typing_on", "user.type", "captain_assistant")},
		{name: "message without sender", body: changed(t, "message_created", "sender", nil), want: 1},
		{name: "message whose conversation is resolved", body: changed(t, "message_created", "conversation.status", "resolved"), want: 1},
		{name: "blank text", body: changed(t, "message_created", "content", " \n")},
		{name: "time in seconds", body: changed(t, "message_created", "created_at", 1781697600), want: 1},
		{name: "time in words", body: changed(t, "message_created", "created_at", "2020-03-03 13:05:57 UTC"), want: 1},
		{name: "old message that changed", body: recorded(t, "message_updated"), later: late},
		{name: "attributes in a string", body: changed(t, "message_updated_submitted", "content_attributes",
			`{"lpbridge_event_id":"d:1","submitted_values":[{"title":"x","value":"0"}]}`), want: 1},
		{name: "attributes of nonsense", body: changed(t, "message_updated_submitted", "content_attributes", []any{1, "x"})},
		{name: "choice of a message that is not ours", body: changed(t, "message_updated_submitted", "content_attributes.lpbridge_event_id", nil)},
		{name: "rating out of range", body: changed(t, "message_updated_rated", "content_attributes.submitted_values",
			map[string]any{"csat_survey_response": map[string]any{"rating": 6}})},
		{name: "status at the top", body: changed(t, "message_updated_read", "status", "delivered")},
		{name: "read, but of another message", body: changed(t, "message_updated_read", "id", 104)},
		{name: "snoozed", body: changed(t, "conversation_status_changed_resolved", "status", "snoozed")},
		{name: "resolved without a contact", body: func() []byte {
			p := fixture(t, "conversation_resolved")
			delete(p, "contact_inbox")
			delete(p["meta"].(map[string]any), "sender")
			return encode(t, p)
		}(), want: 1},
		{name: "resolved with a contact in one place", body: changed(t, "conversation_resolved", "meta.sender", nil), want: 1},
		{name: "unknown event", body: []byte(`{"event":"captain_did","id":{"a":1}}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			when(t, recordedAt.Add(tt.later+time.Second), func(t *testing.T) {
				cfg := goodConfig(t)
				if tt.cfg != nil {
					tt.cfg(&cfg)
				}
				c, core, _ := newChatwoot(t, cfg)
				if rec := send(c, signed(inboxSecret, tt.body)); rec.Code != http.StatusOK {
					t.Fatalf("answered %d %s", rec.Code, rec.Body)
				}
				if got := core.Events(); len(got) != tt.want {
					t.Errorf("%d events, want %d: %+v", len(got), tt.want, got)
				}
			})
		})
	}
}

func TestBadRequests(t *testing.T) {
	tests := []struct {
		name, body, field string
	}{
		{"no JSON", `{"event":`, "body"},
		{"two texts", `{"event":"x"}{}`, "body"},
		{"array", `[]`, "body"},
		{"no event", `{"id":1}`, "event"},
		{"event of another type", `{"event":[]}`, "event"},
		{"message without id", string(changed(t, "message_created", "id", nil)), "id"},
		{"message with an id in words", string(changed(t, "message_created", "id", "one hundred")), "id"},
		{"message with a broken number", string(changed(t, "message_created", "id", 1.5)), "id"},
		{"message without conversation", string(changed(t, "message_created", "conversation", nil)), "conversation.id"},
		{"conversation of another type", string(changed(t, "message_created", "conversation", "42")), "conversation.id"},
		{"typing of nobody", string(changed(t, "conversation_typing_on", "user", nil)), "user.id"},
		{"typing nowhere", string(changed(t, "conversation_typing_on", "conversation", nil)), "conversation.id"},
		{"resolved without id", string(changed(t, "conversation_resolved", "id", nil)), "id"},
		{"contact without id", string(changed(t, "contact_updated", "id", nil)), "id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, core, _ := newChatwoot(t, goodConfig(t))
			rec := send(c, signed(accountSecret, []byte(tt.body)))
			var p bridge.Problem
			if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || rec.Code != http.StatusBadRequest || p.Field != tt.field {
				t.Errorf("answered %d %s, want a problem with %s", rec.Code, rec.Body, tt.field)
			}
			if strings.Contains(p.Detail, "one hundred") || strings.Contains(p.Detail, "1.5") {
				t.Errorf("detail %q quotes the value", p.Detail)
			}
			if n := len(core.Events()); n != 0 {
				t.Errorf("%d events", n)
			}
		})
	}
}

func TestMethods(t *testing.T) {
	c, _, _ := newChatwoot(t, goodConfig(t))
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodOptions} {
		rec := send(c, httptest.NewRequest(method, path, nil))
		if rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != "POST" {
			t.Errorf("%s: %d, Allow %q", method, rec.Code, rec.Header().Get("Allow"))
		}
	}
}

// TestOneMessageBySeveralWebhooks has the account's, the inbox's and the bot's
// webhook report one message, each with a delivery of its own.
func TestOneMessageBySeveralWebhooks(t *testing.T) {
	when(t, recordedAt, func(t *testing.T) {
		c, core, _ := newChatwoot(t, goodConfig(t))
		for _, secret := range []string{accountSecret, inboxSecret, accountSecret} {
			for _, name := range []string{"message_created", "message_updated", "conversation_resolved", "conversation_status_changed_resolved"} {
				r := signed(secret, recorded(t, name))
				r.Header.Set(headerDelivery, rand.Text())
				if rec := send(c, r); rec.Code != http.StatusOK {
					t.Fatalf("answered %d", rec.Code)
				}
			}
		}
		if got := core.Events(); len(got) != 2 || got[0].Kind != bridge.KindMessage || got[1].Kind != bridge.KindClose {
			t.Errorf("events %+v, want a message and a close", got)
		}
	})
}

func TestProfileFollowsTheContact(t *testing.T) {
	when(t, recordedAt, func(t *testing.T) {
		cfg := goodConfig(t)
		c, core, far := newChatwoot(t, cfg)
		send(c, signed(accountSecret, recorded(t, "message_created")))
		// Another process of the bridge knows it from the records.
		other, err := New(cfg, core, client(far), discard)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range []*Chatwoot{c, other, c} {
			if rec := send(a, signed(accountSecret, recorded(t, "contact_updated"))); rec.Code != http.StatusOK {
				t.Fatalf("answered %d %s", rec.Code, rec.Body)
			}
			send(a, signed(accountSecret, recorded(t, "contact_updated_activity")))
		}
		got := core.Events()
		if len(got) != 2 || got[1].Kind != bridge.KindProfile || got[1].Thread != "42" || got[1].Consumer.FirstName != "Alice Novak" {
			t.Errorf("events %+v, want one profile for conversation 42", got)
		}
	})
}

// TestProfileWithoutTime has a change that names no time: the same again may be
// another change, so it is not dropped.
func TestProfileWithoutTime(t *testing.T) {
	c, core, _ := newChatwoot(t, goodConfig(t))
	send(c, signed(accountSecret, recorded(t, "message_created")))
	body := changed(t, "contact_updated", "changed_attributes", []any{map[string]any{"email": map[string]any{}}})
	for range 2 {
		r := signed(accountSecret, body)
		r.Header.Set(headerDelivery, rand.Text())
		send(c, r)
	}
	if n := len(core.Events()); n != 3 {
		t.Errorf("%d events, want a message and two profiles", n)
	}
}

// forgetful refuses clicks as the bridge does when the offer is gone.
type forgetful struct{ *bridgetest.Core }

func (f forgetful) Accept(ctx context.Context, events []bridge.Event, records ...bridge.Record) (bridge.Accepted, error) {
	for _, e := range events {
		if e.Kind == bridge.KindClick {
			return bridge.Accepted{}, &bridge.FieldError{Field: "click.messageId", Reason: "is not a message that offered replies"}
		}
	}
	return f.Core.Accept(ctx, events, records...)
}

func TestChoiceNobodyKnowsIsSpoken(t *testing.T) {
	core := bridgetest.NewCore()
	c, err := New(goodConfig(t), forgetful{core}, client(newStub(t)), discard)
	if err != nil {
		t.Fatal(err)
	}
	if rec := send(c, signed(accountSecret, recorded(t, "message_updated_submitted"))); rec.Code != http.StatusOK {
		t.Fatalf("answered %d %s", rec.Code, rec.Body)
	}
	got := core.Events()
	if len(got) != 1 || got[0].Kind != bridge.KindMessage || got[0].Message.Text != "Yes, please" {
		t.Errorf("events %+v, want a message with the reply's title", got)
	}
}

// TestOvertakenResolve has a message arrive before the older report of a resolve:
// Chatwoot sends webhooks in no order.
func TestOvertakenResolve(t *testing.T) {
	tests := []struct {
		name   string
		before []byte
		want   int
	}{
		{"message after it", changed(t, "message_created", "conversation.updated_at", 1781697661.0), 0},
		{"reopened after it", changed(t, "conversation_status_changed_open", "updated_at", 1781697661.0), 0},
		{"message before it", changed(t, "message_created", "conversation.updated_at", 1781697659.0), 1},
		{"message that says nothing", changed(t, "message_created", "conversation.updated_at", nil), 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, core, _ := newChatwoot(t, goodConfig(t))
			send(c, signed(accountSecret, tt.before))
			if rec := send(c, signed(accountSecret, recorded(t, "conversation_resolved"))); rec.Code != http.StatusOK {
				t.Fatalf("answered %d", rec.Code)
			}
			closes := 0
			for _, e := range core.Events() {
				if e.Kind == bridge.KindClose {
					closes++
				}
			}
			if closes != tt.want {
				t.Errorf("%d closes, want %d", closes, tt.want)
			}
		})
	}
}

// TestOwnResolveIsNoClose has LivePerson close the conversation and Chatwoot
// report that it is resolved.
func TestOwnResolveIsNoClose(t *testing.T) {
	tests := []struct {
		name  string
		later time.Duration
		want  int
	}{
		{"at once", 0, 0},
		{"a minute later", time.Minute, 0},
		{"long after", time.Hour, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, core, far := newChatwoot(t, goodConfig(t))
				e := bridgetest.AgentEvent(bridge.KindState)
				e.Thread = "42"
				if err := c.Deliver(t.Context(), &e); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]string{"0.0 status:resolved"}, far.timeline()); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
				time.Sleep(tt.later)
				send(c, signed(accountSecret, recorded(t, "conversation_resolved")))
				if n := len(core.Events()); n != tt.want {
					t.Errorf("%d events, want %d", n, tt.want)
				}
			})
		})
	}
}

func TestUnsignedDoorIsClosedByDefault(t *testing.T) {
	c, _, _ := newChatwoot(t, goodConfig(t))
	if rec := send(c, webhook(path+"/"+urlSecret, recorded(t, "message_created"))); rec.Code != http.StatusNotFound {
		t.Errorf("answered %d, want 404", rec.Code)
	}
	cfg := goodConfig(t)
	cfg.AllowUnsigned, cfg.URLSecret = true, config.NewSecret(urlSecret)
	c, core, _ := newChatwoot(t, cfg)
	if rec := send(c, webhook(path, recorded(t, "message_created"))); rec.Code != http.StatusUnauthorized {
		t.Errorf("without a secret: answered %d, want 401", rec.Code)
	}
	if rec := send(c, signed(accountSecret, recorded(t, "message_created"))); rec.Code != http.StatusOK {
		t.Errorf("signed: answered %d, want 200", rec.Code)
	}
	if n := len(core.Events()); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func TestLoudWarnings(t *testing.T) {
	tests := []struct {
		name, base string
		unsigned   bool
		want       []string
	}{
		{"good", "https://chat.example.com", false, nil},
		{"loopback", "http://127.0.0.1:3000", false, nil},
		{"by name", "http://localhost:3000/", false, nil},
		{"plain http", "http://chat.example.com", false, []string{"CHATWOOT_BASE_URL"}},
		{"unsigned", "https://chat.example.com", true, []string{"CHATWOOT_ALLOW_UNSIGNED"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := goodConfig(t)
			cfg.BaseURL = mustURL(t, tt.base)
			if tt.unsigned {
				cfg.AllowUnsigned, cfg.URLSecret = true, config.NewSecret(urlSecret)
			}
			var log bytes.Buffer
			if _, err := New(cfg, bridgetest.NewCore(), client(nil), slog.New(slog.NewTextHandler(&log, nil))); err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(log.String(), "level=WARN"); n != len(tt.want) {
				t.Errorf("%d warnings, want %d: %s", n, len(tt.want), &log)
			}
			for _, want := range tt.want {
				if !strings.Contains(log.String(), want) {
					t.Errorf("no warning names %s", want)
				}
			}
		})
	}
}
