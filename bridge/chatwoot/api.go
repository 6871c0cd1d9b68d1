package chatwoot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"lpbridge/bridge"
	"lpbridge/config"
)

const (
	// headerToken is the header of access tokens. Chatwoot's own spelling has
	// underscores, which reverse proxies drop; to Rails both are the same.
	headerToken = "Api-Access-Token"
	// maxAnswer is the most of an answer that is read: a page of messages with
	// texts of 150,000 characters.
	maxAnswer = 8 << 20
	// maxRetryAfter bounds what Chatwoot may ask us to wait, for a mistaken
	// header would otherwise stop the channel for good.
	maxRetryAfter = 24 * time.Hour
	// floodPause is how long a conversation waits that has had its 200 messages
	// of the minute.
	floodPause = 15 * time.Second
)

// floodText is how Chatwoot refuses a message when a conversation has had too
// many within a minute. No status or code of its own says so.
const floodText = "Too many messages"

// refusals are Chatwoot's words for what is wrong with a token, and ours. Its
// own texts are not passed on, for others of them quote the request.
var refusals = map[string]string{
	"Invalid Access Token":                                                  "the token is not known",
	"Access to this endpoint is not authorized for bots":                    notForBots,
	"You are not authorized to access this account":                         "the token's owner does not belong to the account",
	"Bot is not authorized to access this account":                          "the bot does not belong to the account",
	"Account is suspended":                                                  "the account is suspended",
	"You are not authorized to do this action":                              "the token's owner is not a member of the inbox",
	"You need to sign in or sign up before continuing.":                     "the token did not arrive: a proxy may drop the header " + headerToken,
	"Resource could not be found":                                           "there is no such conversation or message",
	"Validation failed: " + floodText:                                       "the conversation has had too many messages in a minute",
	floodText:                                                               "the conversation has had too many messages in a minute",
	"Content is too long (maximum is 150000 characters)":                    "the text is too long",
	"Validation failed: Content is too long (maximum is 150000 characters)": "the text is too long",
}

const notForBots = "an agent bot may not call this"

// api is Chatwoot's application API for one account.
type api struct {
	base      *url.URL
	account   string
	token     config.Secret
	transport http.RoundTripper
	timeout   time.Duration
}

func newAPI(cfg Config, client *http.Client) *api {
	a := &api{
		base: cfg.BaseURL, account: strconv.FormatInt(cfg.AccountID, 10), token: cfg.Token,
		transport: client.Transport, timeout: cfg.timeout(),
	}
	if a.transport == nil {
		a.transport = http.DefaultTransport
	}
	return a
}

// exposed reports whether others could read along on the way.
func (a *api) exposed() bool {
	if a.base.Scheme == "https" || a.base.Hostname() == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(a.base.Hostname())
	return err != nil || !ip.IsLoopback()
}

// statusError is an answer that is no success.
type statusError struct {
	status int
	// reason is what Chatwoot's text means, empty when that is not known.
	reason string
}

// Error implements error.
func (e *statusError) Error() string {
	if e.reason == "" {
		return fmt.Sprintf("Chatwoot answered %d", e.status)
	}
	return fmt.Sprintf("Chatwoot answered %d: %s", e.status, e.reason)
}

// request is one call. Path follows the base address.
type request struct {
	method  string
	path    []string
	query   url.Values
	body    any // nil for none
	timeout time.Duration
}

// ofConversation is a path below a conversation of the account.
func (a *api) ofConversation(id int64, parts ...string) []string {
	return a.ofAccount(append([]string{"conversations", strconv.FormatInt(id, 10)}, parts...)...)
}

func (a *api) ofAccount(parts ...string) []string {
	return append([]string{"api", "v1", "accounts", a.account}, parts...)
}

// call makes one call and decodes its answer into answer unless that is nil.
// Errors are *[bridge.DeliveryError].
func (a *api) call(ctx context.Context, r request, answer any) error {
	timeout := a.timeout
	if r.timeout > 0 {
		timeout = min(timeout, r.timeout)
	}
	call, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var sent atomic.Bool
	call = httptrace.WithClientTrace(call, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	req, err := a.request(call, r)
	if err != nil {
		return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: err}
	}
	// The transport is asked without http.Client: that would follow redirects,
	// and quotes URL and Location in its errors.
	resp, err := a.transport.RoundTrip(req)
	if err != nil {
		return lost(ctx, call, err, sent.Load())
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return judge(resp, body)
	}
	if answer == nil {
		return nil
	}
	if err != nil {
		return lost(ctx, call, err, true)
	}
	if json.Unmarshal(body, answer) != nil {
		return &bridge.DeliveryError{Outcome: bridge.Retry, Err: errors.New("the answer is not what Chatwoot sends")}
	}
	return nil
}

func (a *api) request(ctx context.Context, r request) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return nil, errors.New("the event cannot be written as a request")
		}
		body = bytes.NewReader(data)
	}
	u := a.base.JoinPath(r.path...)
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), body)
	if err != nil {
		return nil, errors.New("CHATWOOT_BASE_URL cannot be called")
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "lpbridge")
	req.Header.Set(headerToken, a.token.Reveal())
	return req, nil
}

// lost says how a call without an answer ended. What was sent may have arrived.
func lost(ctx, call context.Context, err error, sent bool) *bridge.DeliveryError {
	d := &bridge.DeliveryError{Outcome: bridge.Retry}
	if sent {
		d.Outcome = bridge.Unknown
	}
	switch {
	case ctx.Err() != nil:
		d.Err = ctx.Err()
	case call.Err() != nil:
		d.Err = fmt.Errorf("Chatwoot did not answer in time: %w", call.Err())
	default:
		d.Err = bridge.TransportError(err)
	}
	return d
}

// judge says what an answer that is no success means.
func judge(resp *http.Response, body []byte) *bridge.DeliveryError {
	text := errorText(body)
	d := &bridge.DeliveryError{
		Outcome: outcomeOf(resp.StatusCode), Err: &statusError{resp.StatusCode, refusals[text]},
	}
	if d.Outcome == bridge.Throttled || d.Outcome == bridge.Retry {
		d.RetryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	// A full minute of one conversation holds up that conversation only.
	if resp.StatusCode == http.StatusUnprocessableEntity && strings.Contains(text, floodText) {
		d.Outcome, d.RetryAfter = bridge.Retry, floodPause
	}
	return d
}

// errorText is what Chatwoot says in one of the three shapes of its errors.
func errorText(body []byte) string {
	var answer struct {
		Error   string   `json:"error"`
		Message string   `json:"message"`
		Errors  []string `json:"errors"`
	}
	// What is no JSON, such as the text of a 429, has nothing to say.
	_ = json.Unmarshal(body, &answer)
	switch {
	case answer.Error != "":
		return answer.Error
	case answer.Message != "":
		return answer.Message
	case len(answer.Errors) > 0:
		return answer.Errors[0]
	}
	return ""
}

// outcomeOf takes Chatwoot at its word.
func outcomeOf(status int) bridge.Outcome {
	switch {
	case status == http.StatusTooManyRequests:
		return bridge.Throttled
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return bridge.Unauthorized
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status >= 500:
		return bridge.Retry
	}
	return bridge.Invalid
}

// retryAfter reads the header as of RFC 9110, section 10.2.3: seconds or a date.
// What cannot be read, or lies in the past, is 0.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 63); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(header); err == nil {
		return min(max(date.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
