package lpauth

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"lpbridge/internal/attempt"
)

func TestRetryClient(t *testing.T) {
	for _, c := range []struct {
		name       string
		statuses   []int
		retryAfter string
		wantStatus int
		wantCalls  int
		least      time.Duration
		most       time.Duration
	}{
		{"success", []int{200}, "", 200, 1, 0, 0},
		{"5xx then success", []int{503, 200}, "", 200, 2, 250 * time.Millisecond, 500 * time.Millisecond},
		{"5xx for good", []int{500, 502, 504}, "", 504, 3, 750 * time.Millisecond, 1500 * time.Millisecond},
		{"429 waits a second", []int{429, 200}, "", 200, 2, time.Second, time.Second},
		{"Retry-After obeyed", []int{429, 200}, "4", 200, 2, 4 * time.Second, 4 * time.Second},
		{"long Retry-After handed back", []int{429, 200}, "60", 429, 1, 0, 0},
		{"4xx", []int{404, 200}, "", 404, 1, 0, 0},
		{"not implemented", []int{501, 200}, "", 501, 1, 0, 0},
		{"redirect not followed", []int{307, 200}, "", 307, 1, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lp := newLivePerson(t)
				calls := 0
				lp.HandleFunc("POST /x", func(w http.ResponseWriter, r *http.Request) {
					body, _ := io.ReadAll(r.Body)
					if string(body) != "body" {
						t.Errorf("call %d brought body %q", calls, body)
					}
					w.Header().Set("Location", "/elsewhere")
					if c.retryAfter != "" {
						w.Header().Set("Retry-After", c.retryAfter)
					}
					w.WriteHeader(c.statuses[calls])
					calls++
				})
				req, err := retryablehttp.NewRequestWithContext(t.Context(), http.MethodPost, testBase+"/x", []byte("body"))
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				got, err := exchange(repeating(lp.transport), req, 10)
				if err != nil || got.status != c.wantStatus || calls != c.wantCalls {
					t.Errorf("got status %d after %d calls, %v; want %d after %d", got.status, calls, err, c.wantStatus, c.wantCalls)
				}
				if took := time.Since(start); took < c.least || took > c.most {
					t.Errorf("took %v, want %v to %v", took, c.least, c.most)
				}
			})
		})
	}
}

func TestExchangeHidesTheURLAndBoundsTheBody(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 100))
	}))
	client := repeating(nil)
	client.RetryMax = 0
	ask := func(ctx context.Context) error {
		req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/path?temp_url_sig=hidden", nil)
		if err != nil {
			t.Fatal(err)
		}
		_, err = exchange(client, req, 10)
		return err
	}
	if err := ask(t.Context()); err == nil || !strings.Contains(err.Error(), "larger than 10 bytes") {
		t.Errorf("a long body gave %v", err)
	}
	server.Close()
	err := ask(t.Context())
	if err == nil || strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "path") {
		t.Errorf("the error tells the URL, or is none: %v", err)
	}
	tried, ok := errors.AsType[*attempt.Error](err)
	if !ok || tried.Sent {
		t.Errorf("a refused connection is %#v, want not sent", err)
	}
}

func TestRetryClientLeavesOthersConnectionsAlone(t *testing.T) {
	hits := make(map[string]bool)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits[r.RemoteAddr] = true
		if r.URL.Path == "/sick" {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	client := repeating(nil)
	client.RetryMax = 0
	for _, path := range []string{"/well", "/sick", "/well", "/sick", "/well"} {
		req, err := retryablehttp.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := exchange(client, req, 10); err != nil {
			t.Fatal(err)
		}
	}
	if len(hits) != 1 {
		t.Errorf("%d connections were made, want one kept alive through failures", len(hits))
	}
}

func TestAttempts(t *testing.T) {
	for _, c := range []struct {
		name    string
		handler func(http.ResponseWriter, *http.Request)
		dial    error
		want    bool
	}{
		{"answer lost", func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = conn.Close()
			}
		}, nil, true},
		{"refused", nil, errors.New("connection refused"), false},
		{"timeout after sending", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body)
			<-r.Context().Done()
		}, nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lp := newLivePerson(t)
				if c.handler != nil {
					lp.HandleFunc("POST /x", c.handler)
				}
				if c.dial != nil {
					lp.transport.DialContext = func(context.Context, string, string) (net.Conn, error) { return nil, c.dial }
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, testBase+"/x", strings.NewReader("{}"))
				if err != nil {
					t.Fatal(err)
				}
				resp, err := attempt.Wrap(lp.transport).RoundTrip(req)
				if err == nil {
					attempt.Drain(resp.Body)
				}
				tried, ok := errors.AsType[*attempt.Error](err)
				if !ok || tried.Sent != c.want {
					t.Errorf("got %v, want sent %v", err, c.want)
				}
			})
		})
	}
}

// A pooled connection that died unnoticed makes the transport dial again by
// itself. If that fails, nothing was sent.
func TestAttemptsForgetsADeadConnection(t *testing.T) {
	redialled := attempt.Wrap(roundTrip(func(req *http.Request) (*http.Response, error) {
		trace := traceOf(req)
		trace.GetConn("first")
		trace.WroteHeaders()
		trace.GetConn("second")
		return nil, errors.New("connection refused")
	}))
	req := httptest.NewRequest(http.MethodPost, "http://example.com/", nil)
	_, err := redialled.RoundTrip(req)
	if tried, ok := errors.AsType[*attempt.Error](err); !ok || tried.Sent {
		t.Errorf("got %v, want not sent", err)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func traceOf(req *http.Request) *httptrace.ClientTrace {
	return httptrace.ContextClientTrace(req.Context())
}

func TestParseAuthError(t *testing.T) {
	body := func(code string) string {
		return `{"kind":"resp","code":401,"body":{"title":"AppJWT is missing","details":"AUTHORIZATION header is not present","errorCode":` + code + `},"type":".ReqBody$ErrorResp"}`
	}
	for _, c := range []struct {
		name, body string
		want       error
	}{
		{"40001", body("40001"), ErrMissingParameter},
		{"40102", body("40102"), ErrInvalidAppJWT},
		{"40103", body("40103"), ErrInvalidConsumerJWS},
		{"40104", body("40104"), ErrMissingCredential},
		{"40105", body("40105"), ErrMissingCredential},
		{"as a string", body(`"40102"`), ErrInvalidAppJWT},
		{"at the top", `{"errorCode":40102}`, ErrInvalidAppJWT},
		{"body is text", `{"errorCode":40103,"body":"text"}`, ErrInvalidConsumerJWS},
		{"not in the table", body("40199"), nil},
		{"functional error", `{"code":"BAD_REQUEST","body":{"msg":"Bad Request"},"reqId":"1"}`, nil},
		{"not json", "<html>", nil},
		{"empty", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ParseAuthError([]byte(c.body))
			if c.want == nil {
				if got != nil {
					t.Errorf("got %v, want none", got)
				}
				return
			}
			if !errors.Is(got, c.want) || !strings.Contains(got.Error(), strconv.Itoa(got.Code)) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
