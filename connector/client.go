package connector

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"lpbridge/internal/attempt"
	"lpbridge/lpauth"
)

const (
	defaultTimeout = 10 * time.Second
	// fileTimeout bounds one file transfer.
	fileTimeout = time.Minute
	// answerLimit is far above any answer LivePerson gives to a request.
	answerLimit = 256 << 10
)

// Domains says where LivePerson serves an account. *lpauth.Domains is one.
type Domains interface {
	// BaseURL gives "scheme://host[:port]" of a service, from memory as a rule:
	// it is asked for every request.
	BaseURL(ctx context.Context, service string) (string, error)
	// Invalidate says that a host could not be reached.
	Invalidate()
}

// AppTokens gives the AppJWT. *lpauth.AppTokens is one.
type AppTokens interface {
	// Token gives a valid AppJWT, from memory as a rule.
	Token(ctx context.Context) (string, error)
	// Invalidate drops a token LivePerson did not accept, if it is still the current one.
	Invalidate(token string)
}

// Consumers gives each consumer's ConsumerJWS. *lpauth.ConsumerTokens is one.
type Consumers interface {
	// Consumer gives token and LivePerson id, from memory as a rule.
	Consumer(ctx context.Context, identity ConsumerIdentity) (lpauth.Consumer, error)
	// Invalidate drops a token LivePerson did not accept, if it is still the current one.
	Invalidate(identity ConsumerIdentity, token string)
}

// Options configure New.
type Options struct {
	// AccountID, Domains, AppTokens and Consumers are required.
	AccountID AccountID
	Domains   Domains
	AppTokens AppTokens
	Consumers Consumers
	// ClientID is the app installation id. Only Engagement needs it.
	ClientID string
	// Transport carries all requests; nil means lpauth.NewTransport with
	// defaults. Share one with lpauth to share its connections.
	Transport http.RoundTripper
	// Features we declare in the Client-Properties header, such as
	// FeatureRichContent ("Send API Overview" page). LivePerson sends structured
	// content and surveys only to clients that declare them.
	Features []string
	// Documents lets consumers send documents too. LivePerson's connector pages
	// speak of pictures of at most 3 MB; its mobile SDK lets consumers send
	// documents of 5 MB, and accounts differ.
	Documents bool
	// Timeout bounds one request from connecting to the last byte of the
	// answer; zero means ten seconds.
	Timeout time.Duration
	// UserAgent may be empty for lpauth.DefaultUserAgent.
	UserAgent string
	// Logger may be nil for silence.
	Logger *slog.Logger
}

// Client calls LivePerson's Connector API on behalf of consumers. It is safe for
// concurrent use and keeps no goroutines.
type Client struct {
	account    AccountID
	clientID   string
	domains    Domains
	app        AppTokens
	consumers  Consumers
	transport  http.RoundTripper
	rt         http.RoundTripper // the transport, which tells what was sent
	repeatable *retryablehttp.Client
	documents  bool
	timeout    time.Duration
	log        *slog.Logger

	clientProperties []string
	userAgent        []string

	requestPrefix string
	requests      atomic.Uint64

	conversationURL endpoint
	sendURL         endpoint
}

// New checks the options; it makes no request.
func New(o Options) (*Client, error) {
	switch {
	case o.AccountID == "":
		return nil, errors.New("connector: account id is empty")
	case o.Domains == nil:
		return nil, errors.New("connector: domains are missing")
	case o.AppTokens == nil:
		return nil, errors.New("connector: app tokens are missing")
	case o.Consumers == nil:
		return nil, errors.New("connector: consumers are missing")
	}
	if o.Transport == nil {
		o.Transport = lpauth.NewTransport(lpauth.TransportOptions{})
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.UserAgent == "" {
		o.UserAgent = lpauth.DefaultUserAgent
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	properties, err := clientProperties(o.Features)
	if err != nil {
		return nil, err
	}
	path := "/api/account/" + url.PathEscape(string(o.AccountID)) + "/messaging/consumer/conversation"
	return &Client{
		account: o.AccountID, clientID: o.ClientID,
		domains: o.Domains, app: o.AppTokens, consumers: o.Consumers,
		transport: o.Transport, rt: attempt.Wrap(o.Transport), repeatable: attempt.NewRetryClient(o.Transport),
		documents: o.Documents, timeout: o.Timeout, log: o.Logger,
		clientProperties: []string{properties}, userAgent: []string{o.UserAgent},
		requestPrefix:   rand.Text()[:8] + "-",
		conversationURL: endpoint{path: path + "?v=3"},
		sendURL:         endpoint{path: path + "/send?v=3"},
	}, nil
}

// clientProperties is the header's value, for CONVERSATION and every SEND alike.
func clientProperties(features []string) (string, error) {
	for _, feature := range features {
		if feature == "" || strings.Trim(feature, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
			return "", errors.New("connector: features must be names such as RICH_CONTENT")
		}
	}
	if features == nil {
		features = []string{}
	}
	text, err := json.Marshal(struct {
		Type     string   `json:"type"`
		Features []string `json:"features"`
	}{".ClientProperties", features})
	return string(text), err
}

// ConsumerID gives LivePerson's id of a consumer: what notifications call them.
// It is known before any conversation exists.
func (c *Client) ConsumerID(ctx context.Context, consumer ConsumerIdentity) (ConsumerID, error) {
	known, err := c.consumers.Consumer(ctx, consumer)
	if err != nil {
		return "", notPrepared("consumer id", err)
	}
	return known.ID, nil
}

// endpoint remembers the parsed URL of a path below a base that hardly changes.
type endpoint struct {
	path   string
	parsed atomic.Pointer[parsedURL]
}

type parsedURL struct {
	base string
	url  *url.URL
}

// parse returns the address below a base, which it parses when that is another one.
func (e *endpoint) parse(base string) (*url.URL, error) {
	if known := e.parsed.Load(); known != nil && known.base == base {
		return known.url, nil
	}
	parsed, err := url.Parse(base + e.path)
	if err != nil {
		return nil, errors.New("base url is not usable")
	}
	e.parsed.Store(&parsedURL{base: base, url: parsed})
	return parsed, nil
}

// answer is what one exchange brought; its body is borrowed until release.
type answer struct {
	status     int
	retryAfter time.Duration
	body       []byte
	buffer     *bytes.Buffer
}

// answerKept is how much of an answer an [Error] keeps, in bytes.
const answerKept = 4 << 10

// kept is a copy of the body for who wonders what LivePerson said.
func (a *answer) kept() []byte { return bytes.Clone(a.body[:min(len(a.body), answerKept)]) }

var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// release gives the body back; strings decoded from it are copies.
func (a *answer) release() {
	if a.buffer != nil {
		putBuffer(a.buffer)
		a.buffer, a.body = nil, nil
	}
}

// putBuffer lets go of buffers that one large answer has blown up.
func putBuffer(b *bytes.Buffer) {
	if b.Cap() <= 16<<10 {
		b.Reset()
		buffers.Put(b)
	}
}

// encode writes JSON as LivePerson counts it: without the escapes for HTML that
// would make "<" six characters long. The result is not pooled, because the
// transport may still read a request after it has answered.
func encode(v any) ([]byte, error) {
	b := buffers.Get().(*bytes.Buffer)
	defer putBuffer(b)
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.Clone(bytes.TrimSuffix(b.Bytes(), []byte("\n"))), nil
}

// requestID is unique within LivePerson's view of us, and cheap.
func (c *Client) requestID() string {
	return c.requestPrefix + strconv.FormatUint(c.requests.Add(1), 10)
}

// call is one request on behalf of a consumer: one attempt, and one more with
// fresh tokens if LivePerson answered 401, which means it was not applied.
// The caller releases the answer.
func (c *Client) call(ctx context.Context, op string, to *endpoint, consumer ConsumerIdentity, request any) (*answer, error) {
	body, err := encode(request)
	if err != nil {
		return nil, invalid(op, "request cannot be written as json")
	}
	for refreshed := false; ; refreshed = true {
		app, err := c.app.Token(ctx)
		if err != nil {
			return nil, notPrepared(op, err)
		}
		behalf, err := c.consumers.Consumer(ctx, consumer)
		if err != nil {
			return nil, notPrepared(op, err)
		}
		got, err := c.attempt(ctx, op, to, app, behalf.Token, body)
		if err != nil || got.status != http.StatusUnauthorized || refreshed || foreignPage(got.body) {
			return got, err
		}
		c.dropTokens(got.body, app, consumer, behalf.Token)
		got.release()
	}
}

// foreignPage tells that a body is not LivePerson's, so that a 401 with it is
// somebody else's and says nothing of our tokens.
func foreignPage(body []byte) bool { return len(bytes.TrimSpace(body)) > 0 && !json.Valid(body) }

// dropTokens drops what LivePerson complains about, and both when it does not say.
func (c *Client) dropTokens(body []byte, app string, consumer ConsumerIdentity, behalf string) {
	auth := lpauth.ParseAuthError(body)
	if auth == nil || !errors.Is(auth, lpauth.ErrInvalidConsumerJWS) {
		c.app.Invalidate(app)
	}
	if auth == nil || !errors.Is(auth, lpauth.ErrInvalidAppJWT) {
		c.consumers.Invalidate(consumer, behalf)
	}
}

// attempt is exactly one HTTP request. It uses the transport directly: there is
// nothing to redirect to, and no error that quotes a URL.
func (c *Client) attempt(ctx context.Context, op string, to *endpoint, app, behalf string, body []byte) (*answer, error) {
	base, err := c.domains.BaseURL(ctx, lpauth.ServiceMessaging)
	if err != nil {
		return nil, notPrepared(op, err)
	}
	at, err := to.parse(base)
	if err != nil {
		return nil, notPrepared(op, err)
	}
	bounded, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := bounded.Err(); err != nil {
		return nil, &Error{Op: op, Outcome: Retry, Err: err}
	}
	watched, watch := attempt.Begin(bounded)
	req := (&http.Request{
		Method: http.MethodPost, URL: at, Host: at.Host, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{
			"Content-Type":      jsonType,
			"Accept":            jsonType,
			"User-Agent":        c.userAgent,
			"Client-Properties": c.clientProperties,
			"Authorization":     {app},
			"X-Lp-On-Behalf":    {behalf},
		},
		Body:          io.NopCloser(bytes.NewReader(body)),
		ContentLength: int64(len(body)),
		// Lets the transport take another connection when the first one turns
		// out to be dead before anything of the request was written.
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil },
	}).WithContext(watched)
	resp, err := c.transport.RoundTrip(req)
	if err := watch.End(err); err != nil {
		failed := lost(op, err)
		if failed.Outcome == Retry && bounded.Err() == nil {
			c.domains.Invalidate()
		}
		return nil, failed
	}
	return readAnswer(op, resp)
}

var jsonType = []string{"application/json"}

// readAnswer reads the whole body. A success whose body broke off is no answer
// at all; for any other status, the status says enough.
func readAnswer(op string, resp *http.Response) (*answer, error) {
	b := buffers.Get().(*bytes.Buffer)
	_, err := b.ReadFrom(io.LimitReader(resp.Body, answerLimit+1))
	if err == nil && b.Len() <= answerLimit {
		// It was read to its end.
		_ = resp.Body.Close()
	} else {
		defer attempt.Drain(resp.Body)
	}
	got := &answer{
		status: resp.StatusCode, retryAfter: attempt.RetryAfter(resp.Header, time.Now()),
		body: b.Bytes(), buffer: b,
	}
	if resp.StatusCode/100 == 2 && (err != nil || b.Len() > answerLimit) {
		failed := notUnderstood(op, got, errNoBody)
		got.release()
		return nil, failed
	}
	return got, nil
}
