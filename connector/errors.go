package connector

import (
	"errors"
	"strconv"
	"time"

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
	// Retry means that it failed for now and is worth repeating as it is: the
	// server was not reached, or something other than LivePerson refused it.
	Retry
	// Invalid means that LivePerson refused it and would again. What it refused,
	// the message or the conversation, the Scope tells.
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

// Scope is what a failure is about, and so how far it reaches.
type Scope uint8

const (
	// ScopeMessage means this request alone: the next one may well pass.
	ScopeMessage Scope = iota
	// ScopeConversation means everything sent into this conversation: it has
	// ended, LivePerson does not know it, or it is not this consumer's.
	ScopeConversation
	// ScopeAccount means everything the account sends: credentials, limits.
	ScopeAccount
	// ScopeBetween means the way to LivePerson: the network, a proxy, or
	// LivePerson being unwell. It says nothing of message, conversation or account.
	ScopeBetween
)

var scopeNames = [...]string{"message", "conversation", "account", "between"}

// String is the scope in lower case.
func (s Scope) String() string {
	if int(s) < len(scopeNames) {
		return scopeNames[s]
	}
	return "scope(" + strconv.Itoa(int(s)) + ")"
}

// Certainty is how much is known of whether a failed request was applied.
type Certainty uint8

const (
	// NotApplied means that it surely was not applied, without a refusal of it:
	// never sent, or sent back unread.
	NotApplied Certainty = iota
	// Refused means LivePerson's own refusal: surely not applied, and it would be
	// refused again.
	Refused
	// MaybeApplied means that it may have been applied: look for its echo before
	// repeating it.
	MaybeApplied
)

var certaintyNames = [...]string{"not applied", "refused", "maybe applied"}

// String is the certainty in lower case.
func (c Certainty) String() string {
	if int(c) < len(certaintyNames) {
		return certaintyNames[c]
	}
	return "certainty(" + strconv.Itoa(int(c)) + ")"
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
	// RetryAfter is the least time to wait: what LivePerson said, at most
	// five minutes, and at least one second after a 429.
	RetryAfter time.Duration
	// Outcome decides what to do next, Scope how far that reaches, and Certainty
	// whether the request may have been applied: always when the outcome is
	// Unknown. [Rules] lists which answer means what.
	Outcome   Outcome
	Scope     Scope
	Certainty Certainty
	// Answer is what was answered, to its first 4 KiB, and nil without an answer. It
	// may repeat what was sent, and so has no place in a log.
	Answer []byte
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

// NotSent is a failure before anything was sent, for callers who report faults
// of their own in the same terms.
func NotSent(op string, outcome Outcome, err error) *Error {
	failed := &Error{Op: op, Outcome: outcome, Err: err}
	if outcome != Invalid {
		failed.Scope = ScopeBetween
	}
	return failed
}

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
