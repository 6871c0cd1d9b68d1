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
					Form:     true,
					Outcomes: map[int]bridge.Outcome{200: bridge.Unknown, 501: bridge.Unknown},
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
