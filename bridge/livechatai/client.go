package livechatai

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/farside"
	"lpbridge/config"
)

const (
	// maxAnswer is the longest answer read, in bytes. A conversation comes whole,
	// without pages.
	maxAnswer = 32 << 20
	// perPage is how many conversations a page of the list has (List
	// conversations: at most 100).
	perPage = 100
	// minHush is how long calls that can wait do so after a 429 at least.
	minHush = time.Second
)

// client makes single calls of LiveChatAI's API v2.
type client struct {
	side farside.Side
	base *url.URL
	key  config.Secret
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

func newClient(cfg Config, c *farside.Client) *client {
	return &client{
		side: farside.Side{Client: c, Name: "LiveChatAI", Timeout: cfg.timeout(), MaxBody: maxAnswer, Refusal: refusal},
		base: cfg.base(), key: cfg.APIKey,
	}
}

// refusal reads what LiveChatAI says of a call it refuses (page "Errors"). That a
// request is wrong or its object not there is its refusal; 401 and 403 are a
// matter of the key, and of all else nothing is documented.
func refusal(r *farside.Response) (farside.Refusal, bool) {
	_, err := open(r.Body)
	if !errors.Is(err, errRefused) {
		return farside.Refusal{}, false
	}
	if r.Status == http.StatusBadRequest || r.Status == http.StatusNotFound {
		return farside.Refusal{Outcome: bridge.Invalid}, true
	}
	return farside.Refusal{}, true
}

// isGone reports whether LiveChatAI itself said that a conversation is not there.
func isGone(err error) bool {
	d, ok := errors.AsType[*bridge.DeliveryError](err)
	return ok && d.Outcome == bridge.Invalid && farside.StatusOf(err) == http.StatusNotFound
}

// hopeless is a call that will fail again as it is.
func hopeless(op string, err error) error {
	return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: fmt.Errorf("%s: %w", op, err)}
}

// list reads a page of an AI agent's open conversations, the one with the newest
// message first.
func (c *client) list(ctx context.Context, agent string, page, size int) (listPage, error) {
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
		return listPage{}, hopeless("list conversations", err)
	}
	return list, nil
}

// read returns a conversation with its messages.
func (c *client) read(ctx context.Context, id string) (conversation, error) {
	const op = "read the conversation"
	address, failed := c.of(op, id)
	if failed != nil {
		return conversation{}, failed
	}
	body, failed := c.call(ctx, op, http.MethodGet, address, nil)
	if failed != nil {
		return conversation{}, failed
	}
	conv, err := decodeConversation(body)
	if err == nil && conv.ID != id {
		err = errors.New("the answer is about another conversation")
	}
	if err != nil {
		return conversation{}, hopeless(op, err)
	}
	return conv, nil
}

// reply writes as a human operator and returns the message's id.
func (c *client) reply(ctx context.Context, id string, r replyRequest) (string, error) {
	body, failed := c.post(ctx, "reply", id, "reply", r)
	if failed != nil {
		return "", failed
	}
	messageID, err := decodeReply(body)
	if err != nil {
		return "", hopeless("reply", err)
	}
	return messageID, nil
}

// end resolves a conversation.
func (c *client) end(ctx context.Context, id string, r endRequest) error {
	_, failed := c.post(ctx, "end", id, "end", r)
	return failed
}

// typing says once whether an operator types.
func (c *client) typing(ctx context.Context, id string, r typingRequest) error {
	_, failed := c.post(ctx, "typing", id, "typing", r)
	return failed
}

func (c *client) post(ctx context.Context, op, id, verb string, payload any) ([]byte, error) {
	address, failed := c.of(op, id, verb)
	if failed != nil {
		return nil, failed
	}
	body, err := json.Marshal(payload)
	if err != nil {
		return nil, hopeless(op, errors.New("the request cannot be written"))
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
func (c *client) of(op, id string, verb ...string) (*url.URL, error) {
	// Dots would be taken for a way up in the path, whatever they are escaped to.
	if id == "" || id == "." || id == ".." {
		return nil, hopeless(op, errors.New("the thread is no conversation of LiveChatAI"))
	}
	return c.base.JoinPath(append([]string{"api", "v2", "conversations", url.PathEscape(id)}, verb...)...), nil
}

// call makes one call and returns the body of a response that says success.
// Errors are *[bridge.DeliveryError]; their texts have no address, for that names
// conversations.
func (c *client) call(ctx context.Context, op, method string, address *url.URL, body []byte) ([]byte, error) {
	r := farside.Request{
		Op: op, Method: method, URL: address,
		Header: http.Header{"Authorization": {"Bearer " + c.key.Reveal()}, "Accept": {"application/json"}},
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
		r.Body = bytes.NewReader(body)
	}
	resp, err := c.side.Do(ctx, r)
	if d, ok := errors.AsType[*bridge.DeliveryError](err); ok && d.Outcome == bridge.Throttled {
		c.hush(d.RetryAfter)
	}
	if err != nil {
		return nil, err
	}
	var answer json.RawMessage
	if err := resp.Decode(&answer); err != nil {
		return nil, err
	}
	return answer, nil
}
