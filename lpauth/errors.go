package lpauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

var (
	// ErrNoService is returned when the account has no such service.
	ErrNoService = errors.New("service not available for this account")
	// ErrCredentialsRefused is returned when LivePerson refused the client id
	// and secret, or an AppJWT that was minted a moment before.
	ErrCredentialsRefused = errors.New("credentials refused")
	// ErrClosed is returned by a source that was closed.
	ErrClosed = errors.New("closed")

	// ErrMissingParameter is LivePerson's error 40001.
	ErrMissingParameter = errors.New("parameter or mandatory appjwt claim is missing")
	// ErrInvalidAppJWT is LivePerson's error 40102.
	ErrInvalidAppJWT = errors.New("appjwt is invalid or expired")
	// ErrInvalidConsumerJWS is LivePerson's error 40103. LivePerson also says
	// 401 when the consumer does not own the conversation.
	ErrInvalidConsumerJWS = errors.New("consumerjws is invalid or not the owner of the conversation")
	// ErrMissingCredential is LivePerson's errors 40104 and 40105. Its page
	// gives the two numbers both ways round, so they mean the same here.
	ErrMissingCredential = errors.New("credential is missing")
)

var authErrors = map[int]error{
	40001: ErrMissingParameter,
	40102: ErrInvalidAppJWT,
	40103: ErrInvalidConsumerJWS,
	40104: ErrMissingCredential,
	40105: ErrMissingCredential,
}

// AuthError is one of the five errors of LivePerson's "Authorization and
// Authentication" page. It matches the corresponding sentinel with errors.Is.
type AuthError struct {
	// Code is LivePerson's errorCode.
	Code int
}

// Error is our wording of LivePerson's error, with its number.
func (e *AuthError) Error() string { return fmt.Sprintf("%d %v", e.Code, e.Unwrap()) }

// Unwrap gives the sentinel of the code.
func (e *AuthError) Unwrap() error { return authErrors[e.Code] }

// ParseAuthError reads LivePerson's errorCode from the body of an answer. It is
// nil when the body has none, or one that is not in LivePerson's table.
func ParseAuthError(body []byte) *AuthError {
	type coded struct {
		ErrorCode json.RawMessage `json:"errorCode"`
	}
	var outer struct {
		coded
		Body json.RawMessage `json:"body"`
	}
	if json.Unmarshal(body, &outer) != nil {
		return nil
	}
	var inner coded
	_ = json.Unmarshal(outer.Body, &inner)
	for _, raw := range []json.RawMessage{inner.ErrorCode, outer.ErrorCode} {
		code, err := strconv.Atoi(string(bytes.Trim(raw, `"`)))
		if err == nil && authErrors[code] != nil {
			return &AuthError{Code: code}
		}
	}
	return nil
}

// Error is a failed call of this package.
type Error struct {
	// Op is what was tried: "domain lookup", "app token", "consumer token".
	Op string
	// StatusCode is LivePerson's HTTP status, zero when there was no answer.
	StatusCode int
	// Between tells that the answer was not LivePerson's: a page in HTML, or
	// another body that is not JSON.
	Between bool
	// RetryAfter is how long not to try again, zero when nobody said.
	RetryAfter time.Duration
	// Err is the cause.
	Err error
}

// Error is "op: status n: cause". It never holds what LivePerson sent, but for
// error codes from published tables.
func (e *Error) Error() string {
	text := e.Op
	if e.StatusCode != 0 {
		text += ": status " + strconv.Itoa(e.StatusCode)
	}
	return text + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// oauthErrors are the codes of RFC 6749 section 5.2, the only words of a token
// endpoint's answer that are safe to repeat.
var oauthErrors = []string{
	"invalid_request", "invalid_client", "invalid_grant",
	"unauthorized_client", "unsupported_grant_type", "invalid_scope",
}

// refusal explains an answer that is not a success.
func refusal(op string, got answer) *Error {
	failed := &Error{
		Op: op, StatusCode: got.status, RetryAfter: got.retryAfter, Err: errors.New(statusWords(got.status)),
		Between: len(bytes.TrimSpace(got.body)) > 0 && !json.Valid(got.body),
	}
	if auth := ParseAuthError(got.body); auth != nil {
		failed.Err = auth
		return failed
	}
	var oauth struct {
		Error string `json:"error"`
	}
	if json.Unmarshal(got.body, &oauth) == nil && slices.Contains(oauthErrors, oauth.Error) {
		failed.Err = errors.New(oauth.Error)
	}
	return failed
}

func statusWords(status int) string {
	if words := http.StatusText(status); words != "" {
		return strings.ToLower(words)
	}
	return "unexpected status"
}
