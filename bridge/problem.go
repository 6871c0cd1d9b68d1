package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"strconv"
	"time"
)

// BusyRetryAfter is what a channel is told to wait when the journal cannot take
// its events.
const BusyRetryAfter = 5 * time.Second

// ErrBodies is what reading a body ends with when as many bytes of requests are held
// as may be. It is told with 503.
var ErrBodies = errors.New("too many bytes of requests are in flight")

// trustedLength is how much of a body is given room before any of it is read.
const trustedLength = 16 << 10

// Problem is an error answer as of RFC 9457. Detail and Field never quote what
// was sent.
type Problem struct {
	Status int    `json:"status"`
	Title  string `json:"title"`
	Detail string `json:"detail,omitempty"`
	// Field names the part of the request that is wrong.
	Field string `json:"field,omitempty"`
	// RetryAfter is sent as a header, in seconds rounded up; 0 sends none.
	RetryAfter time.Duration `json:"-"`
}

// Error implements error.
func (p *Problem) Error() string {
	if p.Detail == "" {
		return p.Title
	}
	return p.Title + ": " + p.Detail
}

// Refused is a response writer that wants to know why a request is refused.
type Refused interface {
	Refused(p *Problem)
}

// ServeHTTP writes the problem.
func (p *Problem) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	if wants, ok := w.(Refused); ok {
		wants.Refused(p)
	}
	if p.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.FormatInt(int64((p.RetryAfter+time.Second-1)/time.Second), 10))
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(p.Status)
	// The connection is the client's to lose; there is nobody left to tell.
	_ = json.NewEncoder(w).Encode(p)
}

// ProblemOf translates an error of [Intake.Accept], [ReadJSON] or [ReadBody] into
// an answer. An error it does not know is one of storing: the sender is asked to
// repeat, which loses nothing.
func ProblemOf(err error) *Problem {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	if f, ok := errors.AsType[*FieldError](err); ok {
		return &Problem{Status: http.StatusBadRequest, Title: "Bad Request", Detail: f.Error(), Field: f.Field}
	}
	if errors.Is(err, ErrRecordTaken) {
		return &Problem{
			Status: http.StatusConflict, Title: "Conflict",
			Detail: "a name that must be unique belongs to something else",
		}
	}
	if errors.Is(err, ErrShare) {
		return &Problem{
			Status: http.StatusTooManyRequests, Title: "Too Many Requests",
			Detail: "too many events of this consumer wait, send them again", RetryAfter: BusyRetryAfter,
		}
	}
	return &Problem{
		Status: http.StatusServiceUnavailable, Title: "Service Unavailable",
		Detail: "the events were not stored, send them again", RetryAfter: BusyRetryAfter,
	}
}

// ReadJSON reads a request body that must be JSON and no longer than limit
// bytes, and returns the raw bytes so that signatures can be checked before
// anything is decoded. Errors are *[Problem].
func ReadJSON(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	if !isJSON(r.Header.Get("Content-Type")) {
		return nil, &Problem{
			Status: http.StatusUnsupportedMediaType, Title: "Unsupported Media Type",
			Detail: "Content-Type must be application/json", Field: "Content-Type",
		}
	}
	return ReadBody(w, r, limit)
}

// isJSON reports whether a Content-Type is that of JSON, as most write it or with
// parameters.
func isJSON(contentType string) bool {
	if contentType == mediaJSON {
		return true
	}
	mt, _, err := mime.ParseMediaType(contentType)
	return err == nil && mt == mediaJSON
}

// ReadBody reads a request body no longer than limit bytes. Errors are
// *[Problem].
func ReadBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	var body bytes.Buffer
	// A stranger's word on the length is believed up to what costs nothing.
	body.Grow(int(min(max(r.ContentLength, 0), limit, trustedLength)) + bytes.MinRead)
	_, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, &Problem{
			Status: http.StatusRequestEntityTooLarge, Title: "Content Too Large",
			Detail: "the body is longer than " + strconv.FormatInt(limit, 10) + " bytes",
		}
	}
	if errors.Is(err, ErrBodies) {
		return nil, &Problem{
			Status: http.StatusServiceUnavailable, Title: "Service Unavailable", Detail: "too much is being received, send it again", RetryAfter: BusyRetryAfter,
		}
	}
	if err != nil {
		return nil, &Problem{Status: http.StatusBadRequest, Title: "Bad Request", Detail: "the body could not be read"}
	}
	return body.Bytes(), nil
}
