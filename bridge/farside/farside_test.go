package farside

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/internal/attempt"
)

// roundTrip is a far side without a network.
type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func mustURL(t testing.TB, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// answering is a far side that always says the same.
func answering(status int, header http.Header, body string) roundTrip {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

// worded is the form of a channel that says what is wrong in JSON.
func worded(r *Response) (Refusal, bool) {
	if !strings.HasPrefix(string(r.Body), `{"error":`) {
		return Refusal{}, false
	}
	if r.Status == http.StatusUnprocessableEntity {
		return Refusal{Outcome: bridge.Invalid, Reason: "too long"}, true
	}
	return Refusal{RetryAfter: 3 * time.Second}, true
}

func call(t testing.TB, s *Side) (*Response, *bridge.DeliveryError) {
	t.Helper()
	resp, err := s.Do(t.Context(), Request{
		Op: "say", Method: http.MethodPost, URL: mustURL(t, "https://far.example/?key=private"), Body: strings.NewReader("private"),
	})
	d, ok := errors.AsType[*bridge.DeliveryError](err)
	if err != nil && !ok {
		t.Fatalf("error is a %T", err)
	}
	return resp, d
}

func side(rt http.RoundTripper) *Side {
	return &Side{Client: NewClient(rt, "lpbridge/1.2"), Name: "Far", Timeout: 4 * time.Second, MaxBody: 100}
}

func TestResponseDecidesTheOutcome(t *testing.T) {
	const html, words = "<html>Access Denied</html>", `{"error":"private"}`
	tests := []struct {
		status       int
		body         string
		plain, wordy bridge.Outcome
		text         string
	}{
		{200, html, bridge.Delivered, bridge.Delivered, ""},
		{204, "", bridge.Delivered, bridge.Delivered, ""},
		{301, html, bridge.Retry, bridge.Unknown, "say: Far answered 301: " + redirected},
		{304, "", bridge.Retry, bridge.Unknown, "say: Far answered 304: " + redirected},
		{400, html, bridge.Retry, bridge.Unknown, "say: Far answered 400: " + notItsWords},
		{401, html, bridge.Unauthorized, bridge.Retry, "say: Far answered 401: " + notItsWords},
		{401, words, bridge.Unauthorized, bridge.Unauthorized, "say: Far answered 401"},
		{403, "", bridge.Unauthorized, bridge.Unknown, "say: Far answered 403: " + notItsWords},
		{404, html, bridge.Retry, bridge.Unknown, "say: Far answered 404: " + notItsWords},
		{404, words, bridge.Retry, bridge.Retry, "say: Far answered 404"},
		{407, html, bridge.Retry, bridge.Retry, "say: Far answered 407: " + notItsWords},
		{408, "", bridge.Retry, bridge.Unknown, "say: Far answered 408: " + notItsWords},
		{409, words, bridge.Retry, bridge.Retry, "say: Far answered 409"},
		{421, html, bridge.Retry, bridge.Retry, "say: Far answered 421: " + notItsWords},
		{422, html, bridge.Retry, bridge.Unknown, "say: Far answered 422: " + notItsWords},
		{422, words, bridge.Retry, bridge.Invalid, "say: Far answered 422: too long"},
		{429, "Retry later", bridge.Throttled, bridge.Throttled, "say: Far answered 429"},
		{500, html, bridge.Unknown, bridge.Unknown, "say: Far answered 500"},
		{502, words, bridge.Unknown, bridge.Unknown, "say: Far answered 502"},
		{503, "", bridge.Unknown, bridge.Unknown, "say: Far answered 503"},
		{599, html, bridge.Unknown, bridge.Unknown, "say: Far answered 599"},
	}
	for _, tt := range tests {
		for _, wordy := range []bool{false, true} {
			s := side(answering(tt.status, nil, tt.body))
			want := tt.plain
			if wordy {
				s.Refusal, want = worded, tt.wordy
			}
			resp, d := call(t, s)
			switch {
			case want == bridge.Delivered:
				if d != nil || resp.Status != tt.status {
					t.Errorf("%d %s: %v, want a response", tt.status, tt.body, d)
				}
			case d == nil || d.Outcome != want:
				t.Errorf("%d %s, with words of its own %t: %v, want %s", tt.status, tt.body, wordy, d, want)
			case wordy && d.Err.Error() != tt.text:
				t.Errorf("%d %s: %q, want %q", tt.status, tt.body, d.Err, tt.text)
			case StatusOf(d) != tt.status:
				t.Errorf("StatusOf %d, want %d", StatusOf(d), tt.status)
			}
		}
	}
}

func TestRetryAfterIsObeyedWithinReason(t *testing.T) {
	tests := []struct {
		status int
		header string
		words  string
		want   time.Duration
	}{
		{429, "9", "", 9 * time.Second},
		{503, "9", "", 9 * time.Second},
		{404, "9", "", 9 * time.Second},
		{307, "9", "", 9 * time.Second},
		{401, "9", `{"error":""}`, 3 * time.Second},
		{429, "", "", 0},
		{429, "soon", "", 0},
		{429, "-1", "", 0},
		{429, "86400", "", attempt.MaxRetryAfter},
		{503, "99999999999999999999", "", attempt.MaxRetryAfter},
		{503, "Fri, 20 Nov 2099 10:00:00 GMT", "", attempt.MaxRetryAfter},
		{503, "Fri, 20 Nov 2009 10:00:00 GMT", "", 0},
	}
	for _, tt := range tests {
		s := side(answering(tt.status, http.Header{"Retry-After": {tt.header}}, tt.words))
		if tt.words != "" {
			s.Refusal = worded
		}
		if _, d := call(t, s); d == nil || d.RetryAfter != tt.want {
			t.Errorf("%d with Retry-After %q: %+v, want %s", tt.status, tt.header, d, tt.want)
		}
	}
}

func TestRequestIsWrittenAsAsked(t *testing.T) {
	s := side(roundTrip(func(r *http.Request) (*http.Response, error) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		if r.Method != http.MethodPut || string(body) != "body" || r.ContentLength != 4 || r.Header.Get("X-Key") != "k" {
			t.Errorf("%s %q of %d bytes, header %v", r.Method, body, r.ContentLength, r.Header)
		}
		if got := r.Header.Get("User-Agent"); got != "lpbridge/1.2" {
			t.Errorf("User-Agent %q", got)
		}
		return answering(200, nil, `{"id":5}`)(r)
	}))
	resp, err := s.Do(t.Context(), Request{
		Method: http.MethodPut, URL: mustURL(t, "https://far.example/"), Header: http.Header{"X-Key": {"k"}}, Body: strings.NewReader("body"),
	})
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ ID int }
	if err := resp.Decode(&got); err != nil || got.ID != 5 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestSuccessThatCannotBeReadIsNotCertain: a sign-in page answers 200, too.
func TestSuccessThatCannotBeReadIsNotCertain(t *testing.T) {
	bodies := map[string]io.Reader{
		"not JSON":   strings.NewReader("<html>private</html>"),
		"empty":      strings.NewReader(""),
		"too long":   strings.NewReader(`{"x":"` + strings.Repeat("x", 200) + `"}`),
		"broken off": io.MultiReader(strings.NewReader(`{"id":`), brokenReader{}),
	}
	for name, body := range bodies {
		s := side(roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: io.NopCloser(body)}, nil
		}))
		resp, d := call(t, s)
		if d != nil {
			t.Fatalf("%s: %v", name, d)
		}
		var into struct{}
		got, ok := errors.AsType[*bridge.DeliveryError](resp.Decode(&into))
		if !ok || got.Outcome != bridge.Unknown || strings.Contains(got.Error(), "private") {
			t.Errorf("%s: %v, want unknown", name, got)
		}
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestWhatWasNeverSentIsNotInDoubt runs in fake time against far sides that take
// the request and say nothing, that say only half, and that are never reached.
func TestWhatWasNeverSentIsNotInDoubt(t *testing.T) {
	tests := []struct {
		name    string
		reached bool
		timeout time.Duration
		want    bridge.Outcome
		after   time.Duration
	}{
		{"without answer", true, 0, bridge.Unknown, 4 * time.Second},
		{"without connection", false, 0, bridge.Retry, 4 * time.Second},
		{"hurried", true, time.Second, bridge.Unknown, time.Second},
		{"with more time", true, time.Minute, bridge.Unknown, time.Minute},
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
				start := time.Now()
				_, err := side(transport).Do(t.Context(), Request{
					Method: http.MethodPost, URL: mustURL(t, "http://far.example/"), Timeout: tt.timeout,
				})
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

func TestCancelledCallSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := side(roundTrip(func(r *http.Request) (*http.Response, error) {
		cancel()
		return nil, errors.New("private")
	}))
	_, err := s.Do(ctx, Request{Method: http.MethodGet, URL: mustURL(t, "https://far.example/")})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want context.Canceled", err)
	}
}

// TestErrorTexts has transports fail in ways that quote what must not be read.
func TestErrorTexts(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want string
	}{
		{"answer is not HTTP", errors.New(`malformed HTTP response "private"`), "deliver: retry: say: the call failed (*errors.errorString)"},
		{"URL", &url.Error{Op: "Post", URL: "https://far.example/?private", Err: io.EOF}, "deliver: retry: say: the connection was closed: EOF"},
		{"name", &net.DNSError{Err: "no such host", Name: "far.example", IsNotFound: true}, "deliver: retry: say: lookup far.example: no such host"},
		{"refused", &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}, "deliver: retry: say: dial tcp: connection refused"},
		{"certificate", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}},
			"deliver: retry: say: tls: failed to verify certificate: x509: certificate signed by unknown authority"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, d := call(t, side(roundTrip(func(*http.Request) (*http.Response, error) { return nil, tt.err })))
			if d == nil || d.Error() != tt.want {
				t.Errorf("%v, want %s", d, tt.want)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	tests := []struct {
		address  string
		callable bool
		exposed  bool
	}{
		{"https://far.example/events?x=1", true, false},
		{"http://far.example/", true, true},
		{"http://127.0.0.1:1/", true, false},
		{"http://[::1]:1/", true, false},
		{"http://localhost:1/", true, false},
		{"http://10.0.0.1/", true, true},
		{"ftp://far.example/", false, true},
		{"https://:443/", false, false},
		{"/events", false, true},
		{"https://user:pass@far.example/", false, false},
		{"https://far.example/#x", false, false},
	}
	for _, tt := range tests {
		u := mustURL(t, tt.address)
		if err := Callable(u); (err == nil) != tt.callable {
			t.Errorf("%s: %v, want callable: %t", tt.address, err, tt.callable)
		}
		if got := Exposed(u); got != tt.exposed {
			t.Errorf("%s: exposed %t", tt.address, got)
		}
	}
	for text, want := range map[string]bool{"": true, "abc": true, "a b": false, "a\n": false, "ä": false} {
		if FitsHeader(text) != want {
			t.Errorf("FitsHeader(%q) is not %t", text, want)
		}
	}
}

func TestReachSendsNothing(t *testing.T) {
	handler := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("a request was made") })
	far := httptest.NewTLSServer(handler)
	defer far.Close()
	plain := httptest.NewServer(handler)
	defer plain.Close()
	detail, err := side(far.Client().Transport).Reach(t.Context(), mustURL(t, far.URL))
	if err != nil || !strings.HasPrefix(detail, "takes connections with TLS 1.3, certificate valid until ") {
		t.Errorf("%q, %v", detail, err)
	}
	if _, err := side(nil).Reach(t.Context(), mustURL(t, far.URL)); err == nil {
		t.Error("a certificate nobody trusts is fine")
	}
	if detail, err := side(nil).Reach(t.Context(), mustURL(t, plain.URL)); err != nil || !strings.Contains(detail, "without encryption") {
		t.Errorf("%q, %v", detail, err)
	}
	plain.Close()
	if _, err := side(nil).Reach(t.Context(), mustURL(t, plain.URL)); err == nil {
		t.Error("an address where nobody listens is fine")
	}
}
