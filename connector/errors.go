package connector

import (
	"bytes"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"lpbridge/lpauth"
)

// Outcome is what became of a request. It decides what to do next, and is short
// enough to be a metric label.
type Outcome uint8

const (
	// Unknown means that the request was sent and no usable answer came: it may
	// or may not have been applied.
	Unknown Outcome = iota
	// Delivered means that LivePerson applied it.
	Delivered
	// Throttled means 429: the whole account should slow down for RetryAfter.
	Throttled
	// Unauthorized means that tokens were refused even after one refresh, or
	// that the conversation belongs to another consumer.
	Unauthorized
	// Closed means that the conversation has ended; a new one must be opened.
	Closed
	// Retry means that it failed for now: 5xx, or the server was not reached.
	Retry
	// Invalid means that it will never work as it is.
	Invalid
)

var outcomeNames = [...]string{"unknown", "delivered", "throttled", "unauthorized", "closed", "retry", "invalid"}

// String is the outcome in lower case.
func (o Outcome) String() string {
	if int(o) < len(outcomeNames) {
		return outcomeNames[o]
	}
	return "outcome(" + strconv.Itoa(int(o)) + ")"
}

var (
	// ErrAlreadyOpen is matched when the consumer has an open conversation:
	// LivePerson allows one. The error does not say which.
	ErrAlreadyOpen = errors.New("consumer already has an open conversation")
	// ErrClosed is matched when the conversation or dialog has ended.
	ErrClosed = errors.New("conversation is closed")
	// ErrThrottled is matched on 429.
	ErrThrottled = errors.New("too many requests")
	// ErrTooLarge is matched when a file exceeds the limit it was asked with.
	ErrTooLarge = errors.New("file is larger than allowed")

	// ErrNoService is matched when the account lacks a service that a call needs,
	// such as the file storage.
	ErrNoService = lpauth.ErrNoService

	errNoAnswer = errors.New("answer is not the expected json")
	errNoBody   = errors.New("answer broke off")
)

// Error is a failed call. Its text holds no token, no URL, nothing of what was
// sent, and of LivePerson's answer only words of LivePerson's own.
type Error struct {
	// Op is LivePerson's name of what was tried, such as "ms.PublishEvent".
	Op string
	// StatusCode is the HTTP status, zero without an answer.
	StatusCode int
	// Code is LivePerson's word for a functional error, such as "BAD_REQUEST".
	Code string
	// ErrorCode is LivePerson's number of an authorization error, such as 40102.
	ErrorCode int
	// RetryAfter is the least time to wait: what LivePerson said, at least one
	// second and at most an hour after a 429.
	RetryAfter time.Duration
	// Outcome decides what to do next.
	Outcome Outcome
	// Uncertain is true when the request may have been applied: always when the
	// outcome is Unknown, and after a 5xx. Look for the echo before repeating it.
	Uncertain bool
	// Err is the cause; it may be nil.
	Err error
}

// Error is "op: status code: cause".
func (e *Error) Error() string {
	text := e.Op
	if e.StatusCode != 0 {
		text += ": status " + strconv.Itoa(e.StatusCode)
	}
	if e.Code != "" {
		text += " " + e.Code
	}
	if e.Err == nil {
		return text + ": " + e.Outcome.String()
	}
	return text + ": " + e.Err.Error()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// OutcomeOf reads the outcome of any call of this package: Delivered for nil,
// that of the *Error otherwise, and Unknown for errors from elsewhere.
func OutcomeOf(err error) Outcome {
	if err == nil {
		return Delivered
	}
	if failed, ok := errors.AsType[*Error](err); ok {
		return failed.Outcome
	}
	return Unknown
}

func invalid(op, what string) *Error {
	return &Error{Op: op, Outcome: Invalid, Err: errors.New(what)}
}

// unanswered judges a failed exchange: never sent is safe to repeat.
func unanswered(op string, err error) *Error {
	failed := &Error{Op: op, Outcome: Unknown, Uncertain: true, Err: lpauth.StripURL(err)}
	if attempt, ok := errors.AsType[*lpauth.AttemptError](err); ok && !attempt.Sent {
		failed.Outcome, failed.Uncertain = Retry, false
	}
	return failed
}

// unprepared judges a failure to get tokens or domains: the request itself was
// never sent, so nothing is uncertain.
func unprepared(op string, err error) *Error {
	failed := &Error{Op: op, Outcome: Retry, Err: err}
	auth, ok := errors.AsType[*lpauth.Error](err)
	if !ok {
		return failed
	}
	failed.RetryAfter = auth.RetryAfter
	switch {
	case errors.Is(err, lpauth.ErrCredentialsRefused) || auth.StatusCode == http.StatusUnauthorized:
		failed.Outcome = Unauthorized
	case auth.StatusCode == http.StatusTooManyRequests:
		failed.Outcome = Throttled
		failed.RetryAfter = max(auth.RetryAfter, leastThrottle)
	case errors.Is(err, lpauth.ErrNoService):
		// The account's set-up may be mended; the event must not be lost to it.
	case auth.StatusCode >= 400 && auth.StatusCode < 500:
		failed.Outcome = Invalid
	}
	return failed
}

// leastThrottle is what LivePerson asks for between retries after a 429
// ("Retry Policy Recommendations" page).
const leastThrottle = time.Second

// refused judges an answer that is not a success. code and msg are those of the
// element that counts, empty when the body had none.
func refused(op string, got *answer, code, msg string) *Error {
	failed := &Error{
		Op: op, StatusCode: got.status, RetryAfter: got.retryAfter,
		Code: knownCode(code), Outcome: Invalid, Err: knownMessage(msg),
	}
	if auth := lpauth.ParseAuthError(got.body); auth != nil {
		failed.ErrorCode, failed.Err = auth.Code, auth
	}
	switch {
	case got.status == http.StatusTooManyRequests:
		failed.Outcome, failed.Err = Throttled, ErrThrottled
		failed.RetryAfter = max(got.retryAfter, leastThrottle)
	case got.status == http.StatusUnauthorized || code == "401" || failed.ErrorCode/100 == http.StatusUnauthorized:
		failed.Outcome = Unauthorized
	case got.status >= 500:
		failed.Outcome, failed.Uncertain = Retry, true
	case got.status >= 300 && got.status < 400:
		// Not LivePerson but something in between; it will go away or be noticed.
		failed.Outcome = Retry
	case errors.Is(failed.Err, ErrClosed):
		failed.Outcome = Closed
	}
	return failed
}

// knownMessage turns LivePerson's msg into an error. LivePerson's guide shows
// "Bad Request, Conversation is close" for a closed conversation and "already
// has open conversation" for a second one; there is no code to tell them by.
func knownMessage(msg string) error {
	lower := strings.ToLower(msg)
	switch {
	case lower == "":
		return nil
	case strings.Contains(lower, "conversation is close"):
		return ErrClosed
	case strings.Contains(lower, "already has open conversation"):
		return ErrAlreadyOpen
	}
	return errors.New(ownWords(lower))
}

var codeShape = regexp.MustCompile(`^[A-Z][A-Z_]{0,31}$`)

func knownCode(code string) string {
	if codeShape.MatchString(code) {
		return code
	}
	return ""
}

// messageLimit caps what an error repeats of LivePerson's msg, in bytes.
const messageLimit = 128

// vocabulary is what LivePerson's messages are made of. Any other word may be
// an id, a name or an echo of what a consumer wrote.
var vocabulary = wordSet(`a access account action agent allowed already and are array as at bad be body brand by can
	cannot caption change changes chat close closed consumer content conversation could create dialog does error
	event exceeded exist exists expired expected failed field file for format forbidden found from has have id in
	internal invalid is it json kind large length limit list long longer malformed maximum message metadata missing
	must no not null of ok on one only open or parameter parse participant permission permissions permitted profile
	property publish rate relative path reached rejected request requests required response role schema sequence
	server service set size skill stage state status string supported survey text than the time timeout to token too
	type unable unauthorized unavailable unexpected unknown unsupported update upload url user value was with wrong`)

func wordSet(text string) map[string]bool {
	set := make(map[string]bool)
	for word := range strings.FieldsSeq(text) {
		set[word] = true
	}
	return set
}

// ownWords keeps of a lower-case message what is LivePerson's own wording.
func ownWords(lower string) string {
	var kept []byte
	for word := range strings.FieldsFuncSeq(lower, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsPunct(r) }) {
		if !vocabulary[word] {
			word = "*"
			if bytes.HasSuffix(kept, []byte("*")) {
				continue
			}
		}
		if len(kept)+1+len(word) > messageLimit {
			break
		}
		if len(kept) > 0 {
			kept = append(kept, ' ')
		}
		kept = append(kept, word...)
	}
	if len(kept) == 0 {
		return "*"
	}
	return string(kept)
}
