package chatwoot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/farside"
	"lpbridge/config"
)

const (
	// headerToken is the header of access tokens. Chatwoot's own spelling has
	// underscores, which reverse proxies drop; to Rails both are the same.
	headerToken = "Api-Access-Token"
	// maxAnswer is the most of an answer that is read: a page of messages with
	// texts of 150,000 characters.
	maxAnswer = 8 << 20
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
	"Invalid Access Token":                               "the token is not known",
	"Access to this endpoint is not authorized for bots": notForBots,
	"You are not authorized to access this account":      "the token's owner does not belong to the account",
	"Bot is not authorized to access this account":       "the bot does not belong to the account",
	"Account is suspended":                               "the account is suspended",
	"You are not authorized to do this action":           "the token's owner is not a member of the inbox",
	"You need to sign in or sign up before continuing.":  "the token did not arrive: a proxy may drop the header " + headerToken,
	notFoundText:                      "there is no such conversation or message",
	"Validation failed: " + floodText: "the conversation has had too many messages in a minute",
	floodText:                         "the conversation has had too many messages in a minute",
	"Content is too long (maximum is 150000 characters)":                    "the text is too long",
	"Validation failed: Content is too long (maximum is 150000 characters)": "the text is too long",
}

// notFoundText is how Chatwoot says that what is named in the path is not there.
const notFoundText = "Resource could not be found"

const notForBots = "an agent bot may not call this"

// api is Chatwoot's application API for one account.
type api struct {
	side    farside.Side
	base    *url.URL
	account string
	token   config.Secret
}

func newAPI(cfg Config, client *farside.Client) *api {
	return &api{
		side: farside.Side{
			Client: client, Name: "Chatwoot", Timeout: cfg.timeout(), MaxBody: maxAnswer, Refusal: refusal,
		},
		base: cfg.BaseURL, account: strconv.FormatInt(cfg.AccountID, 10), token: cfg.Token,
	}
}

// request is one call. Path follows the base address.
type request struct {
	method  string
	path    []string
	query   url.Values
	timeout time.Duration
}

// ofConversation is a path below a conversation of the account.
func (a *api) ofConversation(id int64, parts ...string) []string {
	return a.ofAccount(append([]string{"conversations", strconv.FormatInt(id, 10)}, parts...)...)
}

func (a *api) ofAccount(parts ...string) []string {
	return append([]string{"api", "v1", "accounts", a.account}, parts...)
}

// content is a body that is written already. Its length is 0 when not known.
type content struct {
	body        io.Reader
	length      int64
	contentType string
}

// call makes one call with a body of JSON, or with none when that is nil, and
// decodes its answer into answer unless that is nil. Errors are
// *[bridge.DeliveryError].
func (a *api) call(ctx context.Context, r request, body, answer any) error {
	if body == nil {
		return a.send(ctx, r, content{}, answer)
	}
	data, err := json.Marshal(body)
	if err != nil {
		return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: errors.New("the event cannot be written as a request")}
	}
	return a.send(ctx, r, content{bytes.NewReader(data), int64(len(data)), "application/json"}, answer)
}

// send makes a call whose body is written already.
func (a *api) send(ctx context.Context, r request, c content, answer any) error {
	u := a.base.JoinPath(r.path...)
	u.RawQuery = r.query.Encode()
	header := http.Header{"Accept": {"application/json"}, headerToken: {a.token.Reveal()}}
	if c.contentType != "" {
		header.Set("Content-Type", c.contentType)
	}
	resp, err := a.side.Do(ctx, farside.Request{
		Method: r.method, URL: u, Header: header, Body: c.body, Length: c.length, Timeout: r.timeout,
	})
	if err != nil {
		return err
	}
	if answer != nil {
		return resp.Decode(answer)
	}
	// What answers with a page is no Chatwoot, which sends an object or nothing.
	if text := bytes.TrimSpace(resp.Body); len(text) > 0 && text[0] != '{' {
		return resp.Strange()
	}
	return nil
}

// refusal reads what Chatwoot says of a call it refuses. Its refusal of a message
// is 422, and 404 with its own words for a conversation that is not there; an
// answer of 404 in Rails' words is about the address.
func refusal(r *farside.Response) (farside.Refusal, bool) {
	text := errorText(r.Body)
	words := farside.Refusal{Reason: refusals[text]}
	switch {
	case r.Status == http.StatusUnprocessableEntity && strings.Contains(text, floodText):
		// A full minute of one conversation holds up that conversation only.
		words.Outcome, words.RetryAfter = bridge.Retry, floodPause
	case r.Status == http.StatusUnprocessableEntity, r.Status == http.StatusNotFound && text == notFoundText:
		words.Outcome = bridge.Invalid
	}
	return words, text != ""
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
