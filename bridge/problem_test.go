package bridge

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProblemOf(t *testing.T) {
	tests := []struct {
		name string
		err  error
		want *Problem
	}{
		{"field", fmt.Errorf("accept: %w", &FieldError{"message.text", "is required"}),
			&Problem{Status: 400, Title: "Bad Request", Detail: "message.text: is required", Field: "message.text"}},
		{"problem", fmt.Errorf("read: %w", &Problem{Status: 413, Title: "Content Too Large"}),
			&Problem{Status: 413, Title: "Content Too Large"}},
		{"record taken", fmt.Errorf("save contact: %w", ErrRecordTaken),
			&Problem{Status: 409, Title: "Conflict", Detail: "a name that must be unique belongs to something else"}},
		{"busy", ErrBusy,
			&Problem{Status: 503, Title: "Service Unavailable", Detail: "the events were not stored, send them again", RetryAfter: BusyRetryAfter}},
		{"storage", fmt.Errorf("commit: %w", ErrStorage),
			&Problem{Status: 503, Title: "Service Unavailable", Detail: "the events were not stored, send them again", RetryAfter: BusyRetryAfter}},
		{"anything else", errors.New("secret detail"),
			&Problem{Status: 503, Title: "Service Unavailable", Detail: "the events were not stored, send them again", RetryAfter: BusyRetryAfter}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, ProblemOf(tt.err)); diff != "" {
				t.Errorf("problem (-want +got):\n%s", diff)
			}
		})
	}
}

func TestProblemAnswer(t *testing.T) {
	tests := []struct {
		name             string
		problem          Problem
		retryAfter, body string
		text             string
	}{
		{"all parts", Problem{Status: 400, Title: "Bad Request", Detail: "id: is required", Field: "id"},
			"", `{"status":400,"title":"Bad Request","detail":"id: is required","field":"id"}`, "Bad Request: id: is required"},
		{"title alone", Problem{Status: 404, Title: "Not Found"}, "", `{"status":404,"title":"Not Found"}`, "Not Found"},
		{"wait", Problem{Status: 503, Title: "Busy", RetryAfter: 5 * time.Second}, "5", `{"status":503,"title":"Busy"}`, "Busy"},
		{"part of a second", Problem{Status: 503, Title: "Busy", RetryAfter: time.Millisecond}, "1", `{"status":503,"title":"Busy"}`, "Busy"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rec := httptest.NewRecorder()
			tt.problem.ServeHTTP(rec, nil)
			if rec.Code != tt.problem.Status || rec.Header().Get("Content-Type") != "application/problem+json" {
				t.Errorf("answered %d %s", rec.Code, rec.Header().Get("Content-Type"))
			}
			if got := rec.Header().Get("Retry-After"); got != tt.retryAfter {
				t.Errorf("Retry-After %q, want %q", got, tt.retryAfter)
			}
			if got := strings.TrimSpace(rec.Body.String()); got != tt.body {
				t.Errorf("body %s, want %s", got, tt.body)
			}
			if got := tt.problem.Error(); got != tt.text {
				t.Errorf("error %q, want %q", got, tt.text)
			}
		})
	}
}

func TestReadJSON(t *testing.T) {
	const limit = 10
	tests := []struct {
		name, contentType string
		body              io.Reader
		length            int64
		status            int
		want              string
	}{
		{"good", "application/json", strings.NewReader("{}"), 2, 0, "{}"},
		{"with charset", "Application/JSON; charset=utf-8", strings.NewReader("{}"), 2, 0, "{}"},
		{"at the limit", "application/json", strings.NewReader(strings.Repeat("x", limit)), limit, 0, strings.Repeat("x", limit)},
		{"empty", "application/json", strings.NewReader(""), 0, 0, ""},
		{"shorter than said", "application/json", strings.NewReader("{}"), 1 << 40, 0, "{}"},
		{"length unknown", "application/json", strings.NewReader("{}"), -1, 0, "{}"},
		{"too long", "application/json", strings.NewReader(strings.Repeat("x", limit+1)), limit + 1, 413, ""},
		{"too long, length unknown", "application/json", strings.NewReader(strings.Repeat("x", 100)), -1, 413, ""},
		{"form", "application/x-www-form-urlencoded", strings.NewReader("{}"), 2, 415, ""},
		{"other JSON", "application/problem+json", strings.NewReader("{}"), 2, 415, ""},
		{"no content type", "", strings.NewReader("{}"), 2, 415, ""},
		{"broken content type", "application/json; charset", strings.NewReader("{}"), 2, 415, ""},
		{"cut off", "application/json", iotest.ErrReader(io.ErrUnexpectedEOF), 2, 400, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, "/", tt.body)
			r.Header.Set("Content-Type", tt.contentType)
			r.ContentLength = tt.length
			body, err := ReadJSON(httptest.NewRecorder(), r, limit)
			if tt.status == 0 {
				if err != nil || string(body) != tt.want {
					t.Errorf("%q, %v, want %q", body, err, tt.want)
				}
				return
			}
			if p, ok := errors.AsType[*Problem](err); !ok || p.Status != tt.status || body != nil {
				t.Errorf("%q, %v, want a problem %d", body, err, tt.status)
			}
		})
	}
}
