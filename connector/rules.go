package connector

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"lpbridge/internal/attempt"
	"lpbridge/lpauth"
)

// Rule says what one kind of answer means. [Rules] has them all.
type Rule struct {
	// Answer describes it: what LivePerson, or whoever answered, said.
	Answer    string
	Outcome   Outcome
	Scope     Scope
	Certainty Certainty
}

// Rules lists what every answer to a request of this package means, in the order
// in which they are tried: the first that fits decides. It is the table the code
// itself uses, so that documents and callers' tests can be held against it.
//
// LivePerson documents few of its errors ("Authorization and Authentication",
// "Send API Overview" and "Retry Policy Recommendations" pages). Three decisions
// rest on that:
//
// A bare 400 "Bad Request" on SEND is taken as one about the conversation.
// LivePerson says it for conversations it does not know and for requests it
// cannot read, with the same words. Where it refuses a message for what it
// holds, its documented errors name what is wrong; those, and a text that is
// longer than LivePerson takes, are about the message. A caller that has sent the
// same message into a conversation it has just opened, and hears it again, knows
// that it is the message.
//
// A 401 that stays after fresh tokens is about the conversation, which then is
// another consumer's, unless LivePerson complains about the AppJWT.
//
// An answer that is not in LivePerson's form comes from something in between,
// whatever its status. Where HTTP says that such a status is given before a
// request was processed, it is certain that it was not applied; else it is not.
func Rules() []Rule {
	rows := make([]Rule, 0, len(rules))
	for _, r := range rules {
		rows = append(rows, r.Rule)
	}
	return rows
}

// form is whose words the body of an answer is in.
type form uint8

const (
	noBody form = iota
	livePersons
	otherForm
)

// stage is how far a request came.
type stage uint8

const (
	answered stage = iota
	unprepared
	unsent
	unanswered
	unread
)

// reading is what is known of a failed request.
type reading struct {
	stage     stage
	op        string
	status    int
	form      form
	page      bool // the body is not even JSON
	errorCode int
	said      error // ErrClosed, ErrAlreadyOpen or another word of LivePerson's
	throttled bool  // LivePerson's body speaks of too many requests
	bare      bool  // the message is "Bad Request" and no more, or missing
	long      bool  // the text is longer than LivePerson takes
	auth      *lpauth.Error
	authErr   error
}

// inConversation tells whether the request went into a conversation that was
// opened before.
func (r *reading) inConversation() bool { return r.op == opPublish || r.op == opUpdate }

func (r *reading) storage() bool { return r.op == opUpload || r.op == opDownload }

func (r *reading) is(statuses ...int) bool { return slices.Contains(statuses, r.status) }

// unprocessed are the statuses by which HTTP says that a request was turned away
// before it was processed (RFC 9110, 6585, 7725, 8470).
var unprocessed = []int{
	http.StatusProxyAuthRequired, http.StatusLengthRequired, http.StatusRequestEntityTooLarge, http.StatusRequestURITooLong,
	http.StatusExpectationFailed, http.StatusMisdirectedRequest, http.StatusTooEarly, http.StatusUpgradeRequired,
	http.StatusRequestHeaderFieldsTooLarge, http.StatusUnauthorized,
}

type rule struct {
	Rule
	fits func(*reading) bool
}

var rules = slices.Concat(beforeRules, storageRules, monitoringRules, limitRules, authorizationRules, functionalRules, betweenRules)

// beforeRules are about requests that got no answer.
var beforeRules = []rule{
	{Rule{"no token: LivePerson refuses the credentials", Unauthorized, ScopeAccount, Refused}, func(r *reading) bool {
		return r.stage == unprepared && r.auth != nil && !r.auth.Between &&
			(errors.Is(r.authErr, lpauth.ErrCredentialsRefused) || r.auth.StatusCode == http.StatusUnauthorized)
	}},
	{Rule{"no token: 429", Throttled, ScopeAccount, NotApplied}, func(r *reading) bool {
		return r.stage == unprepared && r.auth != nil && r.auth.StatusCode == http.StatusTooManyRequests
	}},
	// The account's set-up may be mended; the event must not be lost to it.
	{Rule{"no domain: the account lacks the service", Retry, ScopeAccount, NotApplied}, func(r *reading) bool {
		return r.stage == unprepared && errors.Is(r.authErr, lpauth.ErrNoService)
	}},
	{Rule{"no token: LivePerson refuses the consumer's identity", Invalid, ScopeMessage, Refused}, func(r *reading) bool {
		return r.stage == unprepared && r.auth != nil && !r.auth.Between && r.auth.StatusCode >= 400 && r.auth.StatusCode < 500
	}},
	{Rule{"no token or domain for any other reason", Retry, ScopeBetween, NotApplied}, func(r *reading) bool { return r.stage == unprepared }},
	{Rule{"never sent: refused connection, no such host, TLS, cancelled before", Retry, ScopeBetween, NotApplied}, func(r *reading) bool { return r.stage == unsent }},
	{Rule{"sent, and the connection ended or the time ran out", Unknown, ScopeBetween, MaybeApplied}, func(r *reading) bool { return r.stage == unanswered }},
	{Rule{"2xx whose body broke off or is not in LivePerson's form", Unknown, ScopeBetween, MaybeApplied}, func(r *reading) bool { return r.stage == unread }},
}

// storageRules are about the file storage, whose own errors are plain text or
// HTML, so that they look like anybody's.
var storageRules = []rule{
	{Rule{"file storage: 401, the signed address has expired", Unauthorized, ScopeMessage, NotApplied}, func(r *reading) bool {
		return r.storage() && r.is(http.StatusUnauthorized)
	}},
	// Nothing can be missing where something is to be stored: that it is, somebody
	// else says, or a storage that has not heard of the address yet.
	{Rule{"file storage: 404 or 410 to an upload", Retry, ScopeMessage, NotApplied}, func(r *reading) bool {
		return r.op == opUpload && r.is(http.StatusNotFound, http.StatusGone)
	}},
	{Rule{"file storage: 404, 410, 413, 415, 422", Invalid, ScopeMessage, Refused}, func(r *reading) bool {
		return r.storage() && r.is(http.StatusNotFound, http.StatusGone, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity)
	}},
}

// monitoringRules are about the Monitoring API, which has a form of its own
// ("Monitoring API Engagement" page).
var monitoringRules = []rule{
	{Rule{"Monitoring: 400 or 404 other than a page", Invalid, ScopeMessage, Refused}, func(r *reading) bool {
		return r.op == opEngagement && r.is(http.StatusBadRequest, http.StatusNotFound) && !r.page
	}},
}

var limitRules = []rule{
	{Rule{"429 in LivePerson's form or without a body", Throttled, ScopeAccount, NotApplied}, func(r *reading) bool {
		return r.is(http.StatusTooManyRequests) && r.form != otherForm
	}},
	{Rule{"429 of something in between", Throttled, ScopeBetween, NotApplied}, func(r *reading) bool { return r.is(http.StatusTooManyRequests) }},
	{Rule{"503 in LivePerson's form that speaks of too many requests", Throttled, ScopeAccount, NotApplied}, func(r *reading) bool {
		return r.is(http.StatusServiceUnavailable) && r.form == livePersons && r.throttled
	}},
}

// authorizationRules hold for what remains after one refresh of the tokens.
var authorizationRules = []rule{
	{Rule{"errorCode 40001: a mandatory claim or the account is missing", Unauthorized, ScopeAccount, Refused}, func(r *reading) bool { return r.errorCode == 40001 }},
	{Rule{"401, errorCode 40102 or 40105: the AppJWT is not accepted", Unauthorized, ScopeAccount, Refused}, func(r *reading) bool {
		return r.errorCode == 40102 || r.errorCode == 40105
	}},
	{Rule{"401 other than a page, on SEND into a conversation: it is not this consumer's", Unauthorized, ScopeConversation, Refused}, func(r *reading) bool {
		return r.unauthorized() && r.inConversation()
	}},
	{Rule{"401 other than a page, on a file: it is not this consumer's", Unauthorized, ScopeMessage, Refused}, func(r *reading) bool {
		return r.unauthorized() && r.op == opDownloadURL
	}},
	{Rule{"401 other than a page, on anything else", Unauthorized, ScopeAccount, Refused}, func(r *reading) bool { return r.unauthorized() }},
	{Rule{"403 in LivePerson's form, on SEND into a conversation", Unauthorized, ScopeConversation, Refused}, func(r *reading) bool {
		return r.is(http.StatusForbidden) && r.form == livePersons && r.inConversation()
	}},
	{Rule{"403 in LivePerson's form, on anything else", Unauthorized, ScopeAccount, Refused}, func(r *reading) bool {
		return r.is(http.StatusForbidden) && r.form == livePersons
	}},
}

func (r *reading) unauthorized() bool {
	return r.errorCode/100 == http.StatusUnauthorized || r.is(http.StatusUnauthorized) && !r.page
}

// functionalRules are LivePerson's own refusals, also where it gives them with
// status 200.
var functionalRules = []rule{
	{Rule{"LivePerson: \"conversation is close\"", Closed, ScopeConversation, Refused}, func(r *reading) bool { return errors.Is(r.said, ErrClosed) }},
	{Rule{"LivePerson: \"already has open conversation\"", Invalid, ScopeConversation, Refused}, func(r *reading) bool { return errors.Is(r.said, ErrAlreadyOpen) }},
	{Rule{"404 or 410 in LivePerson's form, on SEND into a conversation: it does not exist", Invalid, ScopeConversation, Refused}, func(r *reading) bool {
		return r.is(http.StatusNotFound, http.StatusGone) && r.form == livePersons && r.inConversation()
	}},
	{Rule{"400 in LivePerson's form without a reason, for a text longer than LivePerson takes", Invalid, ScopeMessage, Refused}, func(r *reading) bool {
		return r.functional() && r.bare && r.long
	}},
	{Rule{"400 in LivePerson's form without a reason, on SEND into a conversation or on CONVERSATION", Invalid, ScopeConversation, Refused}, func(r *reading) bool {
		return r.functional() && r.bare && r.is(http.StatusBadRequest, http.StatusOK) && (r.inConversation() || r.op == opConversation)
	}},
	{Rule{"408 in LivePerson's form", Unknown, ScopeBetween, MaybeApplied}, func(r *reading) bool {
		return r.form == livePersons && r.is(http.StatusRequestTimeout)
	}},
	{Rule{"409, 423 or 425 in LivePerson's form", Retry, ScopeConversation, NotApplied}, func(r *reading) bool {
		return r.form == livePersons && r.is(http.StatusConflict, http.StatusLocked, http.StatusTooEarly)
	}},
	{Rule{"any other 4xx, or 2xx with a code other than OK, in LivePerson's form", Invalid, ScopeMessage, Refused}, func(r *reading) bool { return r.functional() }},
}

// functional tells that LivePerson itself answered, and not that it is unwell.
func (r *reading) functional() bool {
	return r.form == livePersons && (r.status/100 == 4 || r.status/100 == 2)
}

// betweenRules are about answers that are nobody's refusal.
var betweenRules = []rule{
	{Rule{"3xx", Retry, ScopeBetween, MaybeApplied}, func(r *reading) bool { return r.status/100 == 3 }},
	{Rule{"not in LivePerson's form: 401 with a page, 407, 411, 413, 414, 417, 421, 425, 426, 431", Retry, ScopeBetween, NotApplied}, func(r *reading) bool {
		return r.form != livePersons && r.is(unprocessed...)
	}},
	{Rule{"not in LivePerson's form: 408 and 499, which are given in the middle of a request", Unknown, ScopeBetween, MaybeApplied}, func(r *reading) bool {
		return r.is(http.StatusRequestTimeout, 499)
	}},
	{Rule{"not in LivePerson's form: any other 4xx, such as 403, 404 or 451 with a page", Retry, ScopeBetween, MaybeApplied}, func(r *reading) bool {
		return r.status/100 == 4
	}},
	{Rule{"any other 5xx, whatever its body", Unknown, ScopeBetween, MaybeApplied}, func(r *reading) bool { return r.status/100 == 5 }},
	{Rule{"anything else", Unknown, ScopeBetween, MaybeApplied}, func(*reading) bool { return true }},
}

// failure applies the rules.
func (r *reading) failure(err error, after time.Duration) *Error {
	failed := &Error{Op: r.op, StatusCode: r.status, ErrorCode: r.errorCode, RetryAfter: after, Err: err}
	for _, rule := range rules {
		if rule.fits(r) {
			failed.Outcome, failed.Scope, failed.Certainty = rule.Outcome, rule.Scope, rule.Certainty
			break
		}
	}
	if failed.Outcome == Throttled {
		failed.RetryAfter = max(failed.RetryAfter, leastThrottle)
	}
	return failed
}

// leastThrottle is what LivePerson asks for between retries after a 429
// ("Retry Policy Recommendations" page).
const leastThrottle = time.Second

func invalid(op, what string) *Error {
	return &Error{Op: op, Outcome: Invalid, Err: errors.New(what)}
}

// codeStatus are the statuses that LivePerson's words for errors stand for, where
// the HTTP status itself is 200 or 400 as in a batch.
var codeStatus = map[string]int{
	"UNAUTHORIZED": http.StatusUnauthorized, "FORBIDDEN": http.StatusForbidden, "NOT_FOUND": http.StatusNotFound,
	"CONFLICT": http.StatusConflict, "TOO_MANY_REQUESTS": http.StatusTooManyRequests,
	"INTERNAL_ERROR": http.StatusInternalServerError, "INTERNAL_SERVER_ERROR": http.StatusInternalServerError,
	"SERVICE_UNAVAILABLE": http.StatusServiceUnavailable, "GATEWAY_TIMEOUT": http.StatusGatewayTimeout, "TIMEOUT": http.StatusGatewayTimeout,
}

// statusOf reads LivePerson's code, which is a word or a number.
func statusOf(code string) int {
	if n, err := strconv.Atoi(code); err == nil && n >= 400 && n < 600 {
		return n
	}
	return codeStatus[code]
}

// lost is a failed exchange: never sent is safe to repeat.
func lost(op string, err error) *Error {
	r := reading{op: op, stage: unanswered}
	if tried, ok := errors.AsType[*attempt.Error](err); ok && !tried.Sent {
		r.stage = unsent
	}
	return r.failure(attempt.StripURL(err), 0)
}

// notPrepared is a failure to get tokens or domains: the request itself was never
// sent, so nothing is uncertain.
func notPrepared(op string, err error) *Error {
	r := reading{op: op, stage: unprepared, authErr: err}
	var after time.Duration
	if auth, ok := errors.AsType[*lpauth.Error](err); ok {
		r.auth, after = auth, auth.RetryAfter
	}
	return r.failure(err, after)
}

// notUnderstood is an answer that claims success and does not show it.
func notUnderstood(op string, got *answer, err error) *Error {
	r := reading{op: op, stage: unread, status: got.status}
	failed := r.failure(err, 0)
	failed.Answer = got.kept()
	return failed
}

// refused is an answer that is not a success. code and msg are those of the
// element that counts, empty when the body had none; long tells of a text that is
// longer than LivePerson takes.
func refused(op string, got *answer, code, msg string, long bool) *Error {
	r := reading{op: op, status: got.status, long: long, page: foreignPage(got.body), said: knownMessage(msg)}
	lower := strings.ToLower(msg)
	r.bare = (code == "BAD_REQUEST" || code == "400") && (lower == "" || strings.Trim(lower, " .") == "bad request")
	r.throttled = strings.Contains(lower, "too many") || strings.Contains(lower, "throttl") || strings.Contains(code, "TOO_MANY")
	cause := r.said
	if auth := lpauth.ParseAuthError(got.body); auth != nil {
		r.errorCode, cause = auth.Code, auth
	}
	switch {
	case code != "" || r.errorCode != 0:
		r.form = livePersons
	case len(bytes.TrimSpace(got.body)) > 0:
		r.form = otherForm
	}
	if meant := statusOf(code); meant != 0 && (success(r.status) || r.status == http.StatusBadRequest) {
		r.status = meant
	}
	failed := r.failure(cause, got.retryAfter)
	failed.StatusCode, failed.Code, failed.Answer = got.status, knownCode(code), got.kept()
	if failed.Outcome == Throttled {
		failed.Err = ErrThrottled
	}
	return failed
}
