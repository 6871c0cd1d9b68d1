package livechatai

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
	"sync/atomic"
	"time"

	"lpbridge/bridge"
	"lpbridge/config"
)

const (
	// maxAnswer is the longest answer read, in bytes. A conversation comes whole,
	// without pages.
	maxAnswer = 32 << 20
	// maxRetryAfter bounds what LiveChatAI may ask us to wait, for a mistaken
	// header would otherwise stop a thread for good.
	maxRetryAfter = 24 * time.Hour
	// perPage is how many conversations a page of the list has (List
	// conversations: at most 100).
	perPage = 100
	// minHush is how long calls that can wait do so after a 429 at least.
	minHush = time.Second
)

// client makes single calls of LiveChatAI's API v2.
type client struct {
	base      *url.URL
	key       config.Secret
	transport http.RoundTripper
	timeout   time.Duration
	// quiet is until when LiveChatAI wants no calls; calls that can wait do.
	quiet atomic.Pointer[time.Time]
}

// hushed is how long LiveChatAI still wants no calls.
func (c *client) hushed() time.Duration {
	if until := c.quiet.Load(); until != nil {
		return max(time.Until(*until), 0)
	}
	return 0
}

// hush takes note of a 429.
func (c *client) hush(d time.Duration) {
	until := time.Now().Add(max(d, minHush))
	for {
		old := c.quiet.Load()
		if old != nil && !old.Before(until) || c.quiet.CompareAndSwap(old, &until) {
			return
		}
	}
}

func newClient(cfg Config, c *http.Client) *client {
	l := &client{base: cfg.base(), key: cfg.APIKey, transport: c.Transport, timeout: cfg.timeout()}
	if l.transport == nil {
		l.transport = http.DefaultTransport
	}
	return l
}

// callError is how a call failed. Its text has no address, for that names
// conversations, and nothing of the answer's body.
type callError struct {
	op string
	// status is the answer's; 0 when none came.
	status     int
	outcome    bridge.Outcome
	retryAfter time.Duration
	err        error
}

func (e *callError) Error() string { return e.op + ": " + e.err.Error() }

func (e *callError) Unwrap() error { return e.err }

// delivery turns the error into what [bridge.Adapter] promises.
func (e *callError) delivery() error {
	return &bridge.DeliveryError{Outcome: e.outcome, RetryAfter: e.retryAfter, Err: e}
}

// exposed reports whether others could read along on the way.
func (c *client) exposed() bool {
	if c.base.Scheme == "https" || c.base.Hostname() == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(c.base.Hostname())
	return err != nil || !ip.IsLoopback()
}

// list reads a page of an AI agent's open conversations, the one with the newest
// message first.
func (c *client) list(ctx context.Context, agent string, page, size int) (listPage, *callError) {
	query := url.Values{
		"agentId": {agent}, "type": {"all"}, "status": {"open"}, "sort": {"desc"},
		"page": {strconv.Itoa(page)}, "perPage": {strconv.Itoa(size)},
	}
	body, failed := c.call(ctx, "list conversations", http.MethodGet, c.address(query), nil)
	if failed != nil {
		return listPage{}, failed
	}
	list, err := decodeList(body)
	if err != nil {
		return listPage{}, &callError{op: "list conversations", status: http.StatusOK, outcome: bridge.Invalid, err: err}
	}
	return list, nil
}

// read returns a conversation with its messages.
func (c *client) read(ctx context.Context, id string) (conversation, int, *callError) {
	const op = "read the conversation"
	address, failed := c.of(op, id)
	if failed != nil {
		return conversation{}, 0, failed
	}
	body, failed := c.call(ctx, op, http.MethodGet, address, nil)
	if failed != nil {
		return conversation{}, 0, failed
	}
	conv, spoilt, err := decodeConversation(body)
	if err == nil && conv.ID != id {
		err = errors.New("the answer is about another conversation")
	}
	if err != nil {
		return conversation{}, 0, &callError{op: op, status: http.StatusOK, outcome: bridge.Invalid, err: err}
	}
	return conv, spoilt, nil
}

// reply writes as a human operator and returns the message's id.
func (c *client) reply(ctx context.Context, id string, r replyRequest) (string, *callError) {
	body, failed := c.post(ctx, "reply", id, "reply", r)
	if failed != nil {
		return "", failed
	}
	messageID, err := decodeReply(body)
	if err != nil {
		return "", &callError{op: "reply", status: http.StatusOK, outcome: bridge.Invalid, err: err}
	}
	return messageID, nil
}

// end resolves a conversation.
func (c *client) end(ctx context.Context, id string, r endRequest) *callError {
	_, failed := c.post(ctx, "end", id, "end", r)
	return failed
}

// typing says once whether an operator types.
func (c *client) typing(ctx context.Context, id string, r typingRequest) *callError {
	_, failed := c.post(ctx, "typing", id, "typing", r)
	return failed
}

func (c *client) post(ctx context.Context, op, id, verb string, payload any) ([]byte, *callError) {
	address, failed := c.of(op, id, verb)
	if failed != nil {
		return nil, failed
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return nil, &callError{op: op, outcome: bridge.Invalid, err: errors.New("the request cannot be written")}
	}
	return c.call(ctx, op, http.MethodPost, address, body)
}

// address is that of the list.
func (c *client) address(query url.Values) *url.URL {
	u := c.base.JoinPath("api", "v2", "conversations")
	u.RawQuery = query.Encode()
	return u
}

// of is the address of a conversation, or of something to do with it.
func (c *client) of(op, id string, verb ...string) (*url.URL, *callError) {
	// Dots would be taken for a way up in the path, whatever they are escaped to.
	if id == "" || id == "." || id == ".." {
		return nil, &callError{op: op, outcome: bridge.Invalid, err: errors.New("the thread is no conversation of LiveChatAI")}
	}
	return c.base.JoinPath(append([]string{"api", "v2", "conversations", url.PathEscape(id)}, verb...)...), nil
}

// call makes one call and returns the body of an answer that says success.
func (c *client) call(ctx context.Context, op, method string, address *url.URL, body []byte) ([]byte, *callError) {
	call, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	var sent atomic.Bool
	call = httptrace.WithClientTrace(call, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	req, err := http.NewRequestWithContext(call, method, address.String(), bytes.NewReader(body))
	if err != nil {
		return nil, &callError{op: op, outcome: bridge.Invalid, err: errors.New("LIVECHATAI_BASE_URL cannot be called")}
	}
	req.Header.Set("Authorization", "Bearer "+c.key.Reveal())
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "lpbridge")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	// The transport is asked without http.Client: that would follow redirects,
	// and quotes the URL in its errors.
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, lost(ctx, call, op, err, sent.Load())
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if failed := judge(op, resp); failed != nil {
		if failed.outcome == bridge.Throttled {
			c.hush(failed.retryAfter)
		}
		return nil, failed
	}
	switch {
	case err != nil && method == http.MethodPost:
		// The status said success; what else the answer had is only useful.
		return nil, nil
	case err != nil:
		return nil, lost(ctx, call, op, err, true)
	case len(answer) > maxAnswer:
		return nil, &callError{op: op, status: resp.StatusCode, outcome: bridge.Invalid, err: errors.New("the answer is too long")}
	}
	return answer, nil
}

// lost says how a call without an answer ended. What was sent may have arrived.
func lost(ctx, call context.Context, op string, err error, sent bool) *callError {
	e := &callError{op: op, outcome: bridge.Retry}
	if sent {
		e.outcome = bridge.Unknown
	}
	switch {
	case ctx.Err() != nil:
		e.err = ctx.Err()
	case call.Err() != nil:
		e.err = fmt.Errorf("LiveChatAI did not answer in time: %w", call.Err())
	default:
		e.err = bridge.TransportError(err)
	}
	return e
}

// judge says what an answer's status means; nil is success.
func judge(op string, resp *http.Response) *callError {
	outcome := outcomeOf(resp.StatusCode)
	if outcome == bridge.Delivered {
		return nil
	}
	e := &callError{
		op: op, status: resp.StatusCode, outcome: outcome, err: fmt.Errorf("LiveChatAI answered %d", resp.StatusCode),
	}
	if outcome == bridge.Throttled || outcome == bridge.Retry {
		e.retryAfter = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	}
	return e
}

// outcomeOf reads the statuses of the page "Errors". 403 is "Access denied" and
// so a matter of the key's rights.
func outcomeOf(status int) bridge.Outcome {
	switch {
	case status >= 200 && status <= 299:
		return bridge.Delivered
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
// LiveChatAI documents none. What cannot be read, or lies in the past, is 0.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 63); err == nil {
		return time.Duration(min(seconds, uint64(maxRetryAfter/time.Second))) * time.Second
	}
	if date, err := http.ParseTime(header); err == nil {
		return min(max(date.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
