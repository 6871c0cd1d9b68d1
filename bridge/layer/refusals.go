package layer

import (
	"context"
	"errors"
	"math"
	"net/http"
	"strconv"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

// refusal is an error as Layer words it (Client API, Errors): the body of a REST
// answer, and the data of a response packet with success false. It names fields
// and never quotes values.
type refusal struct {
	status  int
	id      string
	code    int
	message string
	data    any
	// wait is when to come again; 0 says nothing of it.
	wait time.Duration
}

// Error implements error.
func (r *refusal) Error() string { return r.id + ": " + r.message }

// errorObject is a refusal on the wire.
type errorObject struct {
	ID      string `json:"id"`
	Code    int    `json:"code"`
	Message string `json:"message"`
	URL     string `json:"url"`
	Data    any    `json:"data"`
}

func (a *admission) errorObject(r *refusal) errorObject {
	data := r.data
	if data == nil {
		data = struct{}{}
	}
	return errorObject{r.id, r.code, r.message, a.base + "/", data}
}

// The refusals without details.
//
// Who may come again is told when, over REST with Retry-After.
var (
	errInternal    = &refusal{status: http.StatusInternalServerError, id: "internal_server_error", code: 100, message: "Something went wrong on our side"}
	errUnavailable = &refusal{status: http.StatusServiceUnavailable, id: "service_unavailable", code: 1, message: "The request was not stored; send it again", wait: bridge.BusyRetryAfter}
	errNotFound    = &refusal{status: http.StatusNotFound, id: "not_found", code: 102, message: "There is no such object"}
	errNoEndpoint  = &refusal{status: http.StatusNotFound, id: "invalid_endpoint", code: 106, message: "There is no such endpoint or method"}
	errIDTaken     = &refusal{status: http.StatusConflict, id: "id_in_use", code: 111, message: "The id is in use"}
	errTooLarge    = &refusal{status: http.StatusRequestEntityTooLarge, id: "invalid_request", code: 10, message: "The body is too long"}
	errUnparsable  = &refusal{status: http.StatusBadRequest, id: "invalid_request", code: 10, message: "The body is not the JSON it should be"}
	errRequestID   = &refusal{status: http.StatusBadRequest, id: "invalid_request_id", code: 3, message: "request_id must be letters, digits, dots and hyphens"}
	errAppID       = &refusal{status: http.StatusForbidden, id: "invalid_app_id", code: 2, message: "The app is not served here"}
	errCrowded     = &refusal{status: http.StatusForbidden, id: "access_denied", code: 101, message: "The user has too many conversations"}
)

func tooMany(wait time.Duration) *refusal {
	return &refusal{
		status: http.StatusTooManyRequests, id: "rate_limit_exceeded", code: 7,
		message: "Too many requests; try again in " + strconv.Itoa(seconds(wait)) + " s", wait: wait,
	}
}

func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

func invalidProperty(property, reason string) *refusal {
	return &refusal{
		status: http.StatusUnprocessableEntity, id: "invalid_property", code: 105,
		message: property + " " + reason, data: map[string]string{"property": property},
	}
}

func missingProperty(property string) *refusal {
	return &refusal{
		status: http.StatusUnprocessableEntity, id: "missing_property", code: 104,
		message: property + " is required", data: map[string]string{"property": property},
	}
}

func invalidHeader(header, reason string) *refusal {
	return &refusal{
		status: http.StatusNotAcceptable, id: "invalid_header", code: 107,
		message: header + " " + reason, data: map[string]string{"header": header},
	}
}

// idInUse and conflict carry the object that is in the way, which the SDKs take
// for the result.
func idInUse(object any) *refusal {
	r := *errIDTaken
	r.data = object
	return &r
}

func conflict(object any) *refusal {
	return &refusal{
		status: http.StatusConflict, id: "conflict", code: 108,
		message: "A distinct conversation with other metadata exists", data: object,
	}
}

// unauthenticated asks for a new login, which the nonce begins.
func (a *admission) unauthenticated(ctx context.Context) error {
	nonce, err := a.nonces.issue(ctx)
	if err != nil {
		return err
	}
	return &refusal{
		status: http.StatusUnauthorized, id: "authentication_required", code: 4,
		message: "The session token is missing or no longer valid", data: map[string]string{"nonce": nonce},
	}
}

// refusalOf translates an error and logs what an operator has to know of.
func (a *admission) refusalOf(ctx context.Context, err error, what string) *refusal {
	if r, ok := errors.AsType[*refusal](err); ok {
		return r
	}
	if f, ok := errors.AsType[*bridge.FieldError](err); ok {
		return invalidProperty(f.Field, f.Reason)
	}
	if s, ok := errors.AsType[*served.ShareError](err); ok {
		return tooMany(s.RetryAfter)
	}
	switch {
	case errors.Is(err, bridge.ErrShare):
		return tooMany(bridge.BusyRetryAfter)
	case errors.Is(err, bridge.ErrNoRecord):
		return errNotFound
	case errors.Is(err, bridge.ErrRecordTaken):
		return errIDTaken
	case errors.Is(err, bridge.ErrBusy), errors.Is(err, bridge.ErrStorage):
		a.log.WarnContext(ctx, "request not stored", "route", what, "error", err)
		return errUnavailable
	case ctx.Err() != nil:
		return errUnavailable
	}
	a.log.ErrorContext(ctx, "request failed", "route", what, "error", err)
	return errInternal
}

func (a *admission) writeRefusal(w http.ResponseWriter, r *refusal) {
	if r.wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(seconds(r.wait)))
	}
	writeJSON(w, r.status, a.errorObject(r))
}
