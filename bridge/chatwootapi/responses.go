package chatwootapi

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

// refusal is an error answer in the shape Chatwoot gives it. A nil body is an
// empty text/html answer, as Rails gives for what it cannot route or parse.
type refusal struct {
	status     int
	body       any
	plain      string // text/plain in place of a body
	retryAfter int    // seconds; 0 sends no header
}

// Error implements error. It names no values of the request.
func (r *refusal) Error() string { return strconv.Itoa(r.status) + " " + http.StatusText(r.status) }

// railsError is the body of errors that Rails itself answers.
type railsError struct {
	Status int    `json:"status"`
	Error  string `json:"error"`
}

// invalidRecord is the body of a failed validation.
type invalidRecord struct {
	Message    string   `json:"message"`
	Attributes []string `json:"attributes"`
}

// The refusals without details. A wrong identifier_hash is the internal error:
// Chatwoot raises it where nothing catches it, and clients know it that way.
var (
	errNotFound     = &refusal{status: http.StatusNotFound, body: railsError{http.StatusNotFound, "Not Found"}}
	errInternal     = &refusal{status: http.StatusInternalServerError, body: railsError{http.StatusInternalServerError, "Internal Server Error"}}
	errIdentity     = errInternal
	errUnparsable   = &refusal{status: http.StatusBadRequest}
	errTooLarge     = &refusal{status: http.StatusRequestEntityTooLarge, body: railsError{http.StatusRequestEntityTooLarge, "Payload Too Large"}}
	errUnavailable  = &refusal{status: http.StatusServiceUnavailable, body: railsError{http.StatusServiceUnavailable, "Service Unavailable"}, retryAfter: 5}
	errFlood        = &refusal{status: http.StatusUnprocessableEntity, body: invalidRecord{"Too many messages", []string{"base"}}}
	errSurveyLocked = &refusal{status: http.StatusUnprocessableEntity, body: struct {
		Error string `json:"error"`
	}{"You cannot update the CSAT survey after 14 days"}}
)

// tooMany is what Chatwoot answers who asks too often: Rack::Attack's words.
func tooMany(wait time.Duration) *refusal {
	return &refusal{status: http.StatusTooManyRequests, plain: "Retry later\n", retryAfter: int(math.Ceil(wait.Seconds()))}
}

// invalid collects failed validations of one record.
type invalid struct {
	messages   []string
	attributes []string
}

func (v *invalid) add(attribute, message string) {
	v.messages = append(v.messages, message)
	v.attributes = append(v.attributes, attribute)
}

// err is the refusal, or nil when nothing failed.
func (v *invalid) err() error {
	if len(v.messages) == 0 {
		return nil
	}
	return &refusal{
		status: http.StatusUnprocessableEntity,
		body:   invalidRecord{strings.Join(v.messages, ", "), v.attributes},
	}
}

// emptyBody is what toggle_typing and update_last_seen answer: 200 and a body
// of no bytes at all.
type emptyBody struct{}

func writeBody(w http.ResponseWriter, v any) error {
	if _, empty := v.(emptyBody); empty {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusOK)
		return nil
	}
	// Marshal escapes <, >, &, U+2028 and U+2029 exactly as Rails does.
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, body)
	return nil
}

func writeJSON(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	// The connection is the client's to lose; there is nobody left to tell.
	_, _ = w.Write(body)
}

func writeRefusal(w http.ResponseWriter, r *refusal) {
	if r.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(r.retryAfter))
	}
	if r.plain != "" {
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(r.status)
		_, _ = w.Write([]byte(r.plain))
		return
	}
	if r.body == nil {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(r.status)
		return
	}
	body, err := json.Marshal(r.body)
	if err != nil {
		w.WriteHeader(r.status)
		return
	}
	writeJSON(w, r.status, body)
}

// refusalOf translates an error of a handler and logs what an operator has to
// know of.
func (a *store) refusalOf(ctx context.Context, err error, pattern string) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	if s, ok := errors.AsType[*served.ShareError](err); ok {
		return tooMany(s.RetryAfter)
	}
	switch {
	case errors.Is(err, bridge.ErrShare):
		return tooMany(bridge.BusyRetryAfter)
	case errors.Is(err, bridge.ErrNoRecord):
		return errNotFound
	case errors.Is(err, bridge.ErrBusy), errors.Is(err, bridge.ErrStorage):
		a.log.WarnContext(ctx, "request not stored", "route", pattern, "error", err)
		return errUnavailable
	case ctx.Err() != nil:
		// Nobody waits for this answer.
		return errUnavailable
	}
	a.log.ErrorContext(ctx, "request failed", "route", pattern, "error", err)
	return errInternal
}
