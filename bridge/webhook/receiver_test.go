package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/config"

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
		cfg.URL = mustURL(t, "https://user:pass@far.example/events?key=query")
	}
	w, err := New(cfg, bridgetest.NewCore(), &http.Client{Transport: f}, discard)
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
	if user, password, ok := got.BasicAuth(); !ok || user != "user" || password != "pass" {
		t.Error("the user name of the URL is not in Authorization")
	}
	if ct := got.Header.Get("Content-Type"); ct != "application/json" {
		t.Errorf("Content-Type %q", ct)
	}
	if id := got.Header.Get("webhook-id"); id != string(e.ID) {
		t.Errorf("webhook-id %q, want the event's", id)
	}
	if want := ownSignature(t, newSecret, string(e.ID), got.Header.Get("webhook-timestamp"), body); got.Header.Get("webhook-signature") != want {
		t.Error("the signature is not that of the newest secret over the body as sent")
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

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	tests := []struct {
		name, header string
		want         time.Duration
	}{
		{"absent", "", 0},
		{"seconds", "120", 2 * time.Minute},
		{"zero", "0", 0},
		{"negative", "-5", 0},
		{"fraction", "1.5", 0},
		{"words", "soon", 0},
		{"longer than a day", "86401", maxRetryAfter},
		{"would overflow", "9223372036854775807", maxRetryAfter},
		{"beyond int64", "99999999999999999999", 0},
		{"date", "Fri, 20 Nov 2026 10:00:30 GMT", 30 * time.Second},
		{"date of RFC 850", "Friday, 20-Nov-26 10:00:30 GMT", 30 * time.Second},
		{"date of asctime", "Fri Nov 20 10:00:30 2026", 30 * time.Second},
		{"date in the past", "Fri, 20 Nov 2026 09:00:00 GMT", 0},
		{"date far off", "Fri, 20 Nov 2099 10:00:00 GMT", maxRetryAfter},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := retryAfter(tt.header, now); got != tt.want {
				t.Errorf("retryAfter(%q) = %s, want %s", tt.header, got, tt.want)
			}
		})
	}
}

func TestRetryAfterIsHonoured(t *testing.T) {
	for status, want := range map[int]time.Duration{
		429: 9 * time.Second, 503: 9 * time.Second, 500: 9 * time.Second, 408: 9 * time.Second, 425: 9 * time.Second,
		404: 0, 401: 0,
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

// TestTimeouts runs in fake time against a far side that takes the request and
// says nothing, and one that is never reached.
func TestTimeouts(t *testing.T) {
	call := map[string]func(w *Webhook, ctx context.Context) error{
		"message": func(w *Webhook, ctx context.Context) error {
			e := bridgetest.AgentEvent(bridge.KindMessage)
			return w.Deliver(ctx, &e)
		},
		"typing": func(w *Webhook, ctx context.Context) error {
			return w.ShowTyping(ctx, bridge.TypingCue{Thread: "t", State: bridge.Stopped})
		},
	}
	tests := []struct {
		name, what string
		reached    bool
		want       bridge.Outcome
		after      time.Duration
	}{
		{"message without answer", "message", true, bridge.Unknown, 4 * time.Second},
		{"message without connection", "message", false, bridge.Retry, 4 * time.Second},
		{"typing without answer", "typing", true, bridge.Unknown, typingTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					if !tt.reached {
						<-ctx.Done()
						return nil, ctx.Err()
					}
					near, far := net.Pipe()
					go func() {
						_, _ = io.Copy(io.Discard, far)
						far.Close()
					}()
					return near, nil
				}}
				defer transport.CloseIdleConnections()
				cfg := Config{AllowUnsigned: true, Timeout: 4 * time.Second, URL: mustURL(t, "http://far.example/")}
				w, err := New(cfg, bridgetest.NewCore(), &http.Client{Transport: transport}, discard)
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				err = call[tt.what](w, t.Context())
				d, ok := errors.AsType[*bridge.DeliveryError](err)
				if !ok || d.Outcome != tt.want || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v, want %s and context.DeadlineExceeded", err, tt.want)
				}
				if took := time.Since(start); took != tt.after {
					t.Errorf("took %s, want %s", took, tt.after)
				}
			})
		})
	}
}

// TestErrorTexts has transports fail in ways that quote what must not be read.
func TestErrorTexts(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"answer is not HTTP", errors.New(`malformed HTTP response "private"`), "deliver: retry: the call failed (*errors.errorString)"},
		{"URL", &url.Error{Op: "Post", URL: "https://far.example/?private", Err: io.EOF}, "deliver: retry: the connection was closed: EOF"},
		{"name", &net.DNSError{Err: "no such host", Name: "far.example", IsNotFound: true}, "deliver: retry: lookup far.example: no such host"},
		{"refused", &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}, "deliver: retry: dial tcp: connection refused"},
		{"certificate", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}},
			"deliver: retry: tls: failed to verify certificate: x509: certificate signed by unknown authority"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			w := deliverTo(t, unsigned(), func(*http.Request) (*http.Response, error) { return nil, tt.err })
			e := bridgetest.AgentEvent(bridge.KindMessage)
			if err := w.Deliver(t.Context(), &e); err == nil || err.Error() != tt.want {
				t.Errorf("%v, want %s", err, tt.want)
			}
		})
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
	far := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the check made a request")
	}))
	defer far.Close()
	tests := []struct {
		name   string
		client *http.Client
		good   bool
	}{
		{"trusted", far.Client(), true},
		{"not trusted", &http.Client{}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := Config{Token: config.NewSecret(token), URL: mustURL(t, far.URL)}
			w, err := New(cfg, bridgetest.NewCore(), tt.client, discard)
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
