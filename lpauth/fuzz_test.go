package lpauth

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"lpbridge/internal/attempt"
)

// canned answers every request with one status and body, without a network.
type canned struct {
	status int
	body   string
}

func (c canned) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: c.status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(c.body)), ContentLength: -1, Request: r}, nil
}

// Whatever the three services answer: no panic, no answer's text in an error, and
// what is taken for a token can be a header.
func FuzzServices(f *testing.F) {
	for _, body := range []string{
		"", "<html>my words</html>", `{"baseURIs":[{"service":"sentinel","account":"le81823118","baseURI":"127.0.0.1:9"}]}`,
		`{"service":"sentinel","account":"le81823118","baseURI":"127.0.0.1:9"}`, `{"access_token":"a.b.c","token_type":"Bearer"}`,
		`{"access_token":"` + testJWT(`{"exp":1e300}`) + `"}`, `{"token":"` + testJWT(`{"lp_consumer_id":7}`) + `"}`, `{"error":"invalid_client"}`, `{"internalErrorCode":"9007"}`,
	} {
		for _, status := range []int{200, 201, 302, 400, 401, 403, 404} {
			f.Add(status, body)
		}
	}
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 200 || status > 499 || status == http.StatusTooManyRequests {
			return // repeats would make it slow
		}
		domains, err := NewDomains(DomainsOptions{AccountID: testAccount, URL: testBase, Transport: canned{status, body}})
		if err != nil {
			t.Fatal(err)
		}
		if base, err := domains.BaseURL(t.Context(), ServiceSentinel); err == nil && !strings.HasPrefix(base, "http://") {
			t.Errorf("base %q", base)
		} else {
			checkText(t, err)
		}
		app, err := NewAppTokens(AppTokensOptions{AccountID: testAccount, ClientID: "c", ClientSecret: testSecret, Domains: &fixedDomains{}, Transport: canned{status, body}})
		if err != nil {
			t.Fatal(err)
		}
		if token, err := app.Token(t.Context()); err == nil && !headerSafe(token) {
			t.Errorf("token %q", token)
		} else {
			checkText(t, err)
		}
		consumers, err := NewConsumerTokens(ConsumerTokensOptions{AccountID: testAccount, Domains: &fixedDomains{}, AppTokens: fixedToken{}, Transport: canned{status, body}})
		if err != nil {
			t.Fatal(err)
		}
		if consumer, err := consumers.Consumer(t.Context(), "ana"); err == nil && !headerSafe(consumer.Token) {
			t.Errorf("token %q", consumer.Token)
		} else {
			checkText(t, err)
		}
		ParseAuthError([]byte(body))
	})
}

func checkText(t *testing.T, err error) {
	t.Helper()
	if err != nil && (len(err.Error()) > 300 || !utf8.ValidString(err.Error()) || strings.Contains(err.Error(), testSecret) || strings.Contains(err.Error(), "my words")) {
		t.Errorf("error text %q", err)
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, header := range []string{"7", "0.5", "-5", "99999999999999999999", "Fri, 20 Nov 2026 10:00:30 GMT", "1e9", ".", "0x10", "Inf"} {
		f.Add(header)
	}
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, header string) {
		if got := attempt.RetryAfter(http.Header{"Retry-After": {header}}, now); got < 0 || got > attempt.MaxRetryAfter {
			t.Errorf("%q: %v", header, got)
		}
	})
}

// fixedToken always gives the same AppJWT.
type fixedToken struct{}

func (fixedToken) Token(context.Context) (string, error) { return "app", nil }
func (fixedToken) Invalidate(string)                     {}
