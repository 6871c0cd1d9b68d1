package attempt

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-retryablehttp"
)

const (
	// repeats is how often a failed call is repeated within one call. Who waits
	// for a token is a person's message, so the long pauses that LivePerson's
	// "Retry Policy Recommendations" ask for are left to the caller's own retry.
	repeats        = 2
	firstPause     = 500 * time.Millisecond
	longestPause   = 5 * time.Second
	throttledPause = time.Second
	attemptTimeout = 10 * time.Second
	drainLimit     = 64 << 10
)

// NewRetryClient returns the client for calls that are safe to repeat (never
// for SEND or CONVERSATION): at most two repeats after transport errors, 429
// and 5xx, with jitter, obeying Retry-After up to 5 s and otherwise handing the
// answer back. It follows no redirects, logs nothing, and leaves the idle
// connections of the shared transport alone. Errors it returns may carry the URL:
// pass them through [StripURL].
func NewRetryClient(rt http.RoundTripper) *retryablehttp.Client {
	return &retryablehttp.Client{
		HTTPClient: &http.Client{
			// Wrapped also because retryablehttp closes the idle connections
			// of whatever lets it after each final failure: one sick host
			// would cost all others a new TLS handshake.
			Transport:     Wrap(rt),
			Timeout:       attemptTimeout,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		// The library's default logger prints URLs to standard error.
		Logger:       nil,
		RetryMax:     repeats,
		RetryWaitMin: firstPause,
		RetryWaitMax: longestPause,
		CheckRetry:   worthRepeating,
		Backoff:      pause,
		// Without a handler the last answer is thrown away for a text error.
		ErrorHandler: retryablehttp.PassthroughErrorHandler,
	}
}

func worthRepeating(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	if err != nil {
		// A certificate does not get better within seconds.
		_, badCertificate := errors.AsType[*tls.CertificateVerificationError](err)
		return !badCertificate, nil
	}
	if resp.StatusCode != http.StatusTooManyRequests && (resp.StatusCode < 500 || resp.StatusCode == http.StatusNotImplemented) {
		return false, nil
	}
	return RetryAfter(resp.Header, time.Now()) <= longestPause, nil
}

func pause(first, longest time.Duration, attempt int, resp *http.Response) time.Duration {
	wait := min(first<<min(attempt, 10), longest)
	wait = wait/2 + rand.N(wait/2+1)
	if resp == nil {
		return wait
	}
	if resp.StatusCode == http.StatusTooManyRequests {
		wait = max(wait, throttledPause)
	}
	return max(wait, RetryAfter(resp.Header, time.Now()))
}

// MaxRetryAfter is the longest Retry-After that is believed: one absurd answer
// must not stop an account for hours, and a probe every few minutes asks little.
const MaxRetryAfter = 5 * time.Minute

// RetryAfter reads a Retry-After header in both of its forms, seconds and HTTP
// date (RFC 9110). It is zero when absent, in the past or unreadable, and at most
// MaxRetryAfter.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if strings.Trim(text, "0123456789.") == "" {
		seconds, err := strconv.ParseFloat(text, 64)
		switch {
		// Compared as a float: a huge number of seconds overflows a duration.
		case errors.Is(err, strconv.ErrRange) || seconds > MaxRetryAfter.Seconds():
			return MaxRetryAfter
		case err != nil:
			return 0
		}
		return time.Duration(seconds * float64(time.Second))
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), MaxRetryAfter)
	}
	return 0
}

// StripURL removes the URL that net/http puts into its errors: queries may
// carry signatures and ids, and error texts end up in logs.
func StripURL(err error) error {
	if withURL, ok := errors.AsType[*url.Error](err); ok {
		return withURL.Err
	}
	return err
}

// Drain reads what little may be left of a body and closes it, so that the
// connection can be used again, without reading an endless body.
func Drain(body io.ReadCloser) {
	_, _ = io.CopyN(io.Discard, body, drainLimit)
	_ = body.Close()
}
