package lpauth

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"lpbridge/internal/attempt"
)

// repeating returns a client for calls that are safe to repeat. rt may be nil for a
// transport of its own.
func repeating(rt http.RoundTripper) *retryablehttp.Client {
	if rt == nil {
		rt = NewTransport(TransportOptions{})
	}
	return attempt.NewRetryClient(rt)
}

type answer struct {
	status     int
	body       []byte
	retryAfter time.Duration
}

// exchange makes one repeatable call and reads the answer up to limit bytes.
func exchange(client *retryablehttp.Client, req *retryablehttp.Request, limit int64) (answer, error) {
	resp, err := client.Do(req)
	if err != nil {
		if resp != nil {
			attempt.Drain(resp.Body)
		}
		return answer{}, attempt.StripURL(err)
	}
	defer attempt.Drain(resp.Body)
	got := answer{status: resp.StatusCode, retryAfter: attempt.RetryAfter(resp.Header, time.Now())}
	got.body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	if err != nil {
		return got, attempt.StripURL(err)
	}
	if int64(len(got.body)) > limit {
		return got, errors.New("answer is larger than " + strconv.FormatInt(limit, 10) + " bytes")
	}
	return got, nil
}
