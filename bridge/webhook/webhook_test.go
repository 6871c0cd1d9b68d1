package webhook

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/farside"
	"lpbridge/config"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Secrets of the tests: two of the Standard Webhooks form, and a token.
var (
	newSecret = secretPrefix + base64.StdEncoding.EncodeToString([]byte("the-new-key-of-thirty-two-bytes!"))
	oldSecret = secretPrefix + base64.StdEncoding.EncodeToString([]byte("the-old-key-of-24-bytes!"))
)

const token = "token-of-the-tests"

const message = `{"id":"evt-1","type":"message","thread":"t-42","consumer":{"id":"u-7"},"message":{"text":"hello"}}`

// signed signs a request as a sender would.
func signed(t testing.TB, r *http.Request, secret string, body []byte, at time.Time) *http.Request {
	t.Helper()
	key, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := key.Sign("msg-1", at, body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("webhook-id", "msg-1")
	r.Header.Set("webhook-timestamp", strconv.FormatInt(at.Unix(), 10))
	r.Header.Set("webhook-signature", signature)
	return r
}

func request(body string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	return r
}

// client is what cmd hands to adapters.
func client(rt http.RoundTripper) *farside.Client { return farside.NewClient(rt, "lpbridge/test") }

// newWebhook builds an adapter and what it talks to.
func newWebhook(t testing.TB, cfg Config) (*Webhook, *bridgetest.Core) {
	t.Helper()
	core := bridgetest.NewCore()
	w, err := New(cfg, core, client(&http.Transport{}), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return w, core
}

func unsigned() Config { return Config{AllowUnsigned: true} }

// post has the adapter answer a request.
func post(w *Webhook, r *http.Request) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	w.Routes()[0].Handler.ServeHTTP(rec, r)
	return rec
}

func mustURL(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAdapterConformance(t *testing.T) {
	body := []byte(`[
		{"id":"evt-1","type":"message","thread":"t-42","consumer":{"id":"consumer-seven","email":"ana@example.com"},"message":{"text":"private-hello"}},
		{"type":"typing","thread":"t-42","consumer":{"id":"consumer-seven"},"typing":{"state":"composing"}},
		{"id":"evt-2","type":"close","thread":"t-42","consumer":{"id":"consumer-seven"}}
	]`)
	private := []string{"private-hello", "consumer-seven", "ana@example.com", newSecret, oldSecret, token, "url-query"}
	farURL := func(t testing.TB, address string) *url.URL {
		u := mustURL(t, address)
		u.RawQuery = "key=url-query"
		return u
	}
	ways := map[string]struct {
		config    func(c *Config)
		believed  func(t testing.TB, r *http.Request)
		strangers map[string]func(r *http.Request)
	}{
		"signed": {
			config: func(c *Config) {
				c.Secret = config.NewSecret(newSecret + "," + oldSecret)
			},
			believed: func(t testing.TB, r *http.Request) { signed(t, r, oldSecret, body, time.Now()) },
			strangers: map[string]func(r *http.Request){
				"no signature":    func(r *http.Request) { r.Header.Del("webhook-signature") },
				"other id":        func(r *http.Request) { r.Header.Set("webhook-id", "msg-2") },
				"other signature": func(r *http.Request) { r.Header.Set("webhook-signature", "v1,"+token) },
				"other body":      func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader("[]")) },
				"bearer instead": func(r *http.Request) {
					r.Header.Del("webhook-signature")
					r.Header.Set("Authorization", "Bearer "+token)
				},
			},
		},
		"token": {
			config:   func(c *Config) { c.Token = config.NewSecret(token) },
			believed: func(_ testing.TB, r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) },
			strangers: map[string]func(r *http.Request){
				"no token":       func(r *http.Request) { r.Header.Del("Authorization") },
				"token alone":    func(r *http.Request) { r.Header.Set("Authorization", token) },
				"part of it":     func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token[:4]) },
				"more than it":   func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token+"x") },
				"another scheme": func(r *http.Request) { r.Header.Set("Authorization", "Basic "+token) },
				"empty token":    func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") },
			},
		},
		"unsigned": {
			config:   func(c *Config) { c.AllowUnsigned = true },
			believed: func(testing.TB, *http.Request) {},
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			bridgetest.TestAdapter(t, bridgetest.AdapterCase{
				New: func(t testing.TB, s bridgetest.Setting) bridge.Adapter {
					cfg := Config{URL: farURL(t, s.URL)}
					way.config(&cfg)
					w, err := New(cfg, s.Core, client(s.Client.Transport), s.Log)
					if err != nil {
						t.Fatal(err)
					}
					return w
				},
				Doors: []bridgetest.Door{{
					Name: "events",
					Request: func() *http.Request {
						r := request(string(body))
						way.believed(t, r)
						return r
					},
					Strangers: way.strangers,
					Limit:     maxBody,
				}},
				Far: &bridgetest.FarSide{
					Outcomes: map[int]bridge.Outcome{
						200: bridge.Delivered, 201: bridge.Delivered, 202: bridge.Delivered, 204: bridge.Delivered,
						300: bridge.Retry, 304: bridge.Retry, 410: bridge.Invalid, 501: bridge.Unknown, 505: bridge.Unknown,
					},
					Identity: func(c bridgetest.Call) string { return c.Header.Get("webhook-id") },
				},
				Private: private,
			})
		})
	}
}

func TestAnswers(t *testing.T) {
	many := strings.TrimSuffix(strings.Repeat(message+",", maxEvents), ",")
	tests := []struct {
		name, body, want string
	}{
		{"one event", message, `{"accepted":1,"duplicates":0}`},
		{"array of one", "[" + message + "]", `{"accepted":1,"duplicates":0}`},
		{"duplicates within an array", "[" + many + "]", `{"accepted":1,"duplicates":99}`},
		{"white space around", " \r\n\t" + message + "\n", `{"accepted":1,"duplicates":0}`},
		{"null is absent", `{"id":"e","type":"close","thread":"t","time":null,"consumer":{"id":"u","email":null},"message":null}`,
			`{"accepted":1,"duplicates":0}`},
		{"escaped name", strings.Replace(message, `"id"`, `"\u0069d"`, 1), `{"accepted":1,"duplicates":0}`},
		{"typing needs no id", `{"type":"typing","thread":"t","consumer":{"id":"u"},"typing":{"state":"paused"}}`,
			`{"accepted":1,"duplicates":0}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := newWebhook(t, unsigned())
			rec := post(w, request(tt.body))
			if rec.Code != http.StatusOK || strings.TrimSpace(rec.Body.String()) != tt.want {
				t.Errorf("answered %d %s, want 200 %s", rec.Code, rec.Body, tt.want)
			}
			if ct := rec.Header().Get("Content-Type"); ct != "application/json" {
				t.Errorf("Content-Type %q", ct)
			}
		})
	}
}

// TestRepeatedRequest also covers a replay: the same webhook-id is no error.
func TestRepeatedRequest(t *testing.T) {
	w, core := newWebhook(t, Config{Secret: config.NewSecret(newSecret)})
	for _, want := range []string{`{"accepted":1,"duplicates":0}`, `{"accepted":0,"duplicates":1}`} {
		rec := post(w, signed(t, request(message), newSecret, []byte(message), time.Now()))
		if got := strings.TrimSpace(rec.Body.String()); rec.Code != http.StatusOK || got != want {
			t.Errorf("answered %d %s, want 200 %s", rec.Code, got, want)
		}
	}
	if n := len(core.Events()); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func TestEventIsTakenWhole(t *testing.T) {
	resolved := true
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	consumer := &bridge.Consumer{ID: "u-7"}
	body := `[
	{"id":"1","type":"message","thread":"t","time":"2026-11-20T11:00:00+01:00",
	 "consumer":{"id":"u-7","firstName":"Ana","lastName":"Silva","email":"ana@example.com","phone":"+351","avatarUrl":"https://x/a.png","attributes":{"plan":"gold","":"x"}},
	 "message":{"text":"h\u00e9\n\ud83d\ude00","attachments":[{"url":"https://x/a.png","contentType":"image/png","name":"a.png"}]}},
	{"id":"2","type":"receipt","thread":"t","consumer":{"id":"u-7"},"receipt":{"status":"read","messageIds":["a","b"]}},
	{"id":"3","type":"click","thread":"t","consumer":{"id":"u-7"},"click":{"messageId":"a","replyId":"r"}},
	{"id":"4","type":"rating","thread":"t","consumer":{"id":"u-7"},"rating":{"score":5,"resolved":true,"comment":"ok"}},
	{"id":"5","type":"profile","thread":"t","consumer":{"id":"u-7"}},
	{"id":"6","type":"reopen","thread":"t","consumer":{"id":"u-7"}},
	{"id":"7","type":"close","thread":"t","consumer":{"id":"u-7"}},
	{"type":"typing","thread":"t","consumer":{"id":"u-7"},"typing":{"state":"stopped"}}]`
	want := []bridge.Event{
		{ID: "1", Kind: "message", Thread: "t", Time: at, Consumer: &bridge.Consumer{
			ID: "u-7", FirstName: "Ana", LastName: "Silva", Email: "ana@example.com", Phone: "+351",
			AvatarURL: "https://x/a.png", Attributes: map[string]string{"plan": "gold", "": "x"},
		}, Message: &bridge.Message{Text: "hé\n😀", Attachments: []bridge.Attachment{
			{URL: "https://x/a.png", ContentType: "image/png", Name: "a.png"},
		}}},
		{ID: "2", Kind: "receipt", Thread: "t", Consumer: consumer,
			Receipt: &bridge.Receipt{Status: "read", MessageIDs: []bridge.EventID{"a", "b"}}},
		{ID: "3", Kind: "click", Thread: "t", Consumer: consumer, Click: &bridge.Click{MessageID: "a", ReplyID: "r"}},
		{ID: "4", Kind: "rating", Thread: "t", Consumer: consumer,
			Rating: &bridge.Rating{Score: 5, Resolved: &resolved, Comment: "ok"}},
		{ID: "5", Kind: "profile", Thread: "t", Consumer: consumer},
		{ID: "6", Kind: "reopen", Thread: "t", Consumer: consumer},
		{ID: "7", Kind: "close", Thread: "t", Consumer: consumer},
		{Kind: "typing", Thread: "t", Consumer: consumer, Typing: &bridge.Typing{State: "stopped"}},
	}
	w, core := newWebhook(t, unsigned())
	if rec := post(w, request(body)); rec.Code != http.StatusOK {
		t.Fatalf("answered %d %s", rec.Code, rec.Body)
	}
	if diff := cmp.Diff(want, core.Events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestMethods(t *testing.T) {
	w, _ := newWebhook(t, unsigned())
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		rec := post(w, httptest.NewRequest(method, path, nil))
		var p bridge.Problem
		if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || p.Status != http.StatusMethodNotAllowed {
			t.Errorf("%s: %d %s, want a 405 problem", method, rec.Code, rec.Body)
		}
		if allow := rec.Header().Get("Allow"); rec.Code != http.StatusMethodNotAllowed || allow != "POST" {
			t.Errorf("%s: %d, Allow %q", method, rec.Code, allow)
		}
	}
}

func TestChannelWithoutURL(t *testing.T) {
	w, _ := newWebhook(t, unsigned())
	ch := w.Channel()
	if ch.TypingOut.Shown {
		t.Error("a channel without WEBHOOK_URL shows typing")
	}
	if len(ch.Delivers) != 0 {
		t.Errorf("it takes %v, and nobody reads them", ch.Delivers)
	}
	if ch.TypingIn.Hold != defaultHold {
		t.Errorf("Hold %s, want the default", ch.TypingIn.Hold)
	}
	e := bridgetest.AgentEvent(bridge.KindMessage)
	d, ok := errors.AsType[*bridge.DeliveryError](w.Deliver(t.Context(), &e))
	if !ok || d.Outcome != bridge.Invalid {
		t.Errorf("Deliver: %v, want invalid", d)
	}
	if err := w.ShowTyping(t.Context(), bridge.TypingCue{}); err == nil {
		t.Error("ShowTyping: no error")
	}
	findings := w.Check(t.Context())
	if len(findings) != 2 || findings[1].Err != nil || !strings.Contains(findings[0].Detail, "every request is believed") {
		t.Errorf("findings %v", findings)
	}
}

func TestLoudWarnings(t *testing.T) {
	tests := []struct {
		name, url string
		unsigned  bool
		want      []string
	}{
		{"unsigned", "https://far.example/", true, []string{"WEBHOOK_ALLOW_UNSIGNED"}},
		{"plain http elsewhere", "http://far.example/", false, []string{"WEBHOOK_URL"}},
		{"plain http here", "http://127.0.0.1:1/", false, nil},
		{"plain http by name", "http://localhost:1/", false, nil},
		{"plain http over IPv6", "http://[::1]:1/", false, nil},
		{"signed over https", "https://far.example/", false, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{AllowUnsigned: tt.unsigned, URL: mustURL(t, tt.url)}
			if !tt.unsigned {
				cfg.Secret = config.NewSecret(newSecret)
			}
			var log bytes.Buffer
			if _, err := New(cfg, bridgetest.NewCore(), client(nil), slog.New(slog.NewTextHandler(&log, nil))); err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(log.String(), "level=WARN"); got != len(tt.want) {
				t.Errorf("%d warnings, want %d: %s", got, len(tt.want), &log)
			}
			for _, want := range tt.want {
				if !strings.Contains(log.String(), want) {
					t.Errorf("no warning names %s: %s", want, &log)
				}
			}
		})
	}
}

func BenchmarkReceive(b *testing.B) {
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			one := `{"id":"evt-1","type":"message","thread":"t-42","time":"2026-11-20T10:00:00Z",
				"consumer":{"id":"u-7","firstName":"Ana","lastName":"Silva","email":"ana@example.com","attributes":{"plan":"gold"}},
				"message":{"text":"hello, where is my parcel? I was told it would come on Tuesday"}}`
			body := []byte("[" + strings.TrimSuffix(strings.Repeat(one+",", n), ",") + "]")
			w, err := New(Config{Secret: config.NewSecret(newSecret)}, bridgetest.NewCore(), client(nil), slog.New(slog.DiscardHandler))
			if err != nil {
				b.Fatal(err)
			}
			template := signed(b, request(""), newSecret, body, time.Now())
			template.ContentLength = int64(len(body))
			b.ReportAllocs()
			for b.Loop() {
				r := template.Clone(b.Context())
				r.Body = io.NopCloser(bytes.NewReader(body))
				if rec := post(w, r); rec.Code != http.StatusOK {
					b.Fatalf("answered %d %s", rec.Code, rec.Body)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	body := []byte(message)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := decode(body); err != nil {
			b.Fatal(err)
		}
	}
}

func TestComposingIsRepeatedSoThatItEndsWhenTheBridgeDies(t *testing.T) {
	w, err := New(Config{AllowUnsigned: true, URL: &url.URL{Scheme: "http", Host: "127.0.0.1"}}, nil, client(nil), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	// The README promises the receiver 5 s, and lets it miss two repetitions.
	if got, want := w.Channel().TypingOut.Refresh, 5*time.Second; got != want {
		t.Errorf("composing is repeated every %s, want %s", got, want)
	}
}
