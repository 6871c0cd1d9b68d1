package attempt

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, header string
		want         time.Duration
	}{
		{"absent", "", 0},
		{"seconds", "7", 7 * time.Second},
		{"fraction", "0.5", 500 * time.Millisecond},
		{"spaces", " 3 ", 3 * time.Second},
		{"a day is capped", "86400", MaxRetryAfter},
		{"overflow is capped", "99999999999999999999", MaxRetryAfter},
		{"no number", "Inf", 0},
		{"negative", "-5", 0},
		{"not a number", "NaN", 0},
		{"words", "soon", 0},
		{"date", "Fri, 20 Nov 2026 10:00:30 GMT", 30 * time.Second},
		{"old date form", "Friday, 20-Nov-26 10:00:30 GMT", 30 * time.Second},
		{"date in the past", "Fri, 20 Nov 2026 09:00:00 GMT", 0},
		{"date next year", "Sat, 20 Nov 2027 09:00:00 GMT", MaxRetryAfter},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := http.Header{}
			h.Set("Retry-After", c.header)
			if got := RetryAfter(h, now); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestStripURL(t *testing.T) {
	inner := errors.New("eof")
	err := StripURL(&url.Error{Op: "Get", URL: "https://x/?sig=1", Err: &Error{Sent: true, Err: inner}})
	if strings.Contains(err.Error(), "sig") || !errors.Is(err, inner) {
		t.Errorf("got %v", err)
	}
	if plain := errors.New("plain"); StripURL(plain) != plain {
		t.Error("a plain error was changed")
	}
}
