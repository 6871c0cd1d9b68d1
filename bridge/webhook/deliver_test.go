package webhook

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/config"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"
)

var discard = slog.New(slog.DiscardHandler)

// roundTrip is a far side without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, header http.Header) *http.Response {
	return &http.Response{StatusCode: status, Header: header, Body: http.NoBody}
}

// deliverTo returns an adapter whose far side is f.
func deliverTo(t testing.TB, cfg Config, f roundTrip) *Webhook {
	t.Helper()
	if cfg.URL == nil {
		cfg.URL = mustURL(t, "https://far.example/events?key=query")
	}
	w, err := New(cfg, bridgetest.NewCore(), client(f), discard)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestDeliveredRequest(t *testing.T) {
	cfg := Config{Secret: config.NewSecret(newSecret + "," + oldSecret)}
	var got *http.Request
	var body []byte
	w := deliverTo(t, cfg, func(r *http.Request) (*http.Response, error) {
		got = r
		body, _ = io.ReadAll(r.Body)
		return answer(http.StatusNoContent, nil), nil
	})
	e := bridgetest.AgentEvent(bridge.KindMessage)
	e.Message.QuickReplies = []bridge.QuickReply{{ID: "yes", Title: "Yes", Text: "yes please"}}
	if err := w.Deliver(t.Context(), &e); err != nil {
		t.Fatal(err)
	}
	if got.Method != http.MethodPost || got.URL.Path != "/events" || got.URL.RawQuery != "key=query" {
		t.Errorf("%s %s", got.Method, got.URL)
	}
	if agent := got.Header.Get("User-Agent"); agent != "lpbridge/test" {
		t.Errorf("User-Agent %q", agent)
	}
	if ct := got.Header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type %q", ct)
	}
	if id := got.Header.Get("webhook-id"); id != string(e.ID) {
		t.Errorf("webhook-id %q, want the event's", id)
	}
	at := got.Header.Get("webhook-timestamp")
	want := ownSignature(t, newSecret, string(e.ID), at, body) + " " + ownSignature(t, oldSecret, string(e.ID), at, body)
	if got.Header.Get("webhook-signature") != want {
		t.Error("the signatures are not those of both secrets over the body as sent")
	}
	var sent bridge.Event
	if err := json.Unmarshal(body, &sent); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, sent); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestDeliverWithToken(t *testing.T) {
	var header http.Header
	cfg := Config{Token: config.NewSecret(token), URL: mustURL(t, "https://far.example/")}
	w := deliverTo(t, cfg, func(r *http.Request) (*http.Response, error) {
		header = r.Header
		return answer(http.StatusOK, nil), nil
	})
	e := bridgetest.AgentEvent(bridge.KindState)
	if err := w.Deliver(t.Context(), &e); err != nil {
		t.Fatal(err)
	}
	if header.Get("Authorization") != "Bearer "+token || header.Get("webhook-signature") != "" {
		t.Errorf("headers %v", header)
	}
	if header.Get("webhook-id") != string(e.ID) {
		t.Error("no webhook-id: the receiver cannot tell a repetition")
	}
}

func TestShowTypingIsNeverARepetition(t *testing.T) {
	ids := map[string]bool{}
	var sent []bridge.Event
	w := deliverTo(t, Config{Secret: config.NewSecret(newSecret)}, func(r *http.Request) (*http.Response, error) {
		var e bridge.Event
		if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
			return nil, err
		}
		if r.Header.Get("webhook-id") != string(e.ID) {
			t.Errorf("webhook-id %q is not the envelope's id %q", r.Header.Get("webhook-id"), e.ID)
		}
		ids[string(e.ID)] = true
		if e.Time.IsZero() {
			t.Error("no time")
		}
		e.ID, e.Time = "", time.Time{}
		sent = append(sent, e)
		return answer(http.StatusOK, nil), nil
	})
	agent := bridge.Agent{ID: "agent-1", Role: "ASSIGNED_AGENT"}
	for _, who := range []bridge.Agent{agent, agent, {}} {
		if err := w.ShowTyping(t.Context(), bridge.TypingCue{Thread: "t", Agent: who, State: bridge.Composing}); err != nil {
			t.Fatal(err)
		}
	}
	composing := &bridge.Typing{State: bridge.Composing}
	want := []bridge.Event{
		{Kind: bridge.KindTyping, Thread: "t", Agent: &agent, Typing: composing},
		{Kind: bridge.KindTyping, Thread: "t", Agent: &agent, Typing: composing},
		{Kind: bridge.KindTyping, Thread: "t", Typing: composing},
	}
	if diff := cmp.Diff(want, sent); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if len(ids) != len(want) {
		t.Errorf("%d different ids in %d calls", len(ids), len(want))
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for status, want := range map[int]time.Duration{
		429: 9 * time.Second, 503: 9 * time.Second, 500: 9 * time.Second, 408: 9 * time.Second, 425: 9 * time.Second,
		404: 9 * time.Second, 401: 0, 410: 0,
	} {
		w := deliverTo(t, unsigned(), func(*http.Request) (*http.Response, error) {
			return answer(status, http.Header{"Retry-After": {"9"}}), nil
		})
		e := bridgetest.AgentEvent(bridge.KindMessage)
		d, ok := errors.AsType[*bridge.DeliveryError](w.Deliver(t.Context(), &e))
		if !ok || d.RetryAfter != want {
			t.Errorf("%d: %v, want RetryAfter %s", status, d, want)
		}
	}
}

// TestUnwritableID keeps an event that no header can carry from being tried for
// ever.
func TestUnwritableID(t *testing.T) {
	w := deliverTo(t, unsigned(), func(*http.Request) (*http.Response, error) {
		t.Error("the far side was called")
		return answer(http.StatusOK, nil), nil
	})
	e := bridgetest.AgentEvent(bridge.KindMessage)
	e.ID = "evt\n1"
	d, ok := errors.AsType[*bridge.DeliveryError](w.Deliver(t.Context(), &e))
	if !ok || d.Outcome != bridge.Invalid {
		t.Errorf("%v, want invalid", d)
	}
}

func TestCheckSendsNothing(t *testing.T) {
	far := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the check made a request")
	}))
	far.Config.ErrorLog = slog.NewLogLogger(discard.Handler(), slog.LevelError)
	far.StartTLS()
	defer far.Close()
	tests := []struct {
		name   string
		trusts http.RoundTripper
		good   bool
	}{
		{"trusted", far.Client().Transport, true},
		{"not trusted", nil, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{Token: config.NewSecret(token), URL: mustURL(t, far.URL)}
			w, err := New(cfg, bridgetest.NewCore(), client(tt.trusts), discard)
			if err != nil {
				t.Fatal(err)
			}
			findings := w.Check(t.Context())
			if len(findings) != 2 || findings[0].Detail != "bearer token" {
				t.Fatalf("findings %v", findings)
			}
			f := findings[1]
			if good := f.Err == nil; good != tt.good {
				t.Errorf("%+v, want good: %t", f, tt.good)
			}
			if tt.good && !strings.Contains(f.Detail, "TLS 1.3, certificate valid until 2084-01-29") {
				t.Errorf("detail %q", f.Detail)
			}
		})
	}
}

// TestWhatLeavesIsValidJSON has LivePerson attach bytes that are no UTF-8 and
// halves of characters.
func TestWhatLeavesIsValidJSON(t *testing.T) {
	for name, rich := range map[string]string{
		"byte alone":       "{\"type\":\"text\",\"text\":\"caf\xe9\"}",
		"in a name":        "{\"caf\xe9\":1}",
		"half a surrogate": `{"type":"text","text":"a\ud800b"}`,
		"name twice":       `{"type":"text","type":"text"}`,
		"fine":             `{"type":"text","text":"caf\u00e9 \ud83d\ude00","n":12345678901234567890.10}`,
	} {
		t.Run(name, func(t *testing.T) {
			var body []byte
			w := deliverTo(t, unsigned(), func(r *http.Request) (*http.Response, error) {
				body, _ = io.ReadAll(r.Body)
				return answer(http.StatusOK, nil), nil
			})
			e := bridgetest.AgentEvent(bridge.KindMessage)
			e.Message.Rich = json.RawMessage(rich)
			if err := w.Deliver(t.Context(), &e); err != nil {
				t.Fatal(err)
			}
			value := jsontext.Value(body)
			if !value.IsValid(jsontext.AllowDuplicateNames(name == "name twice")) {
				t.Errorf("a strict receiver refuses %q", body)
			}
			if name == "fine" && !strings.Contains(string(body), "12345678901234567890.10") {
				t.Errorf("what was fine became %q", body)
			}
			if name == "byte alone" && !strings.Contains(string(body), "caf\ufffd") {
				t.Errorf("no U+FFFD in %q", body)
			}
		})
	}
}
