package lpauth

import (
	"container/list"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"github.com/hashicorp/go-retryablehttp"

	"lpbridge/internal/packed"
)

// defaultConsumerCache is how many consumers' tokens are kept unless told
// otherwise; each takes about a kilobyte.
const defaultConsumerCache = 10_000

// OpConsumerToken is the Op of an [Error] of the identity provider, which gives the
// ConsumerJWS.
const OpConsumerToken = "consumer token"

// Consumer is an end user as LivePerson knows it ("Authorization and
// Authentication" page).
type Consumer struct {
	// Token is the ConsumerJWS, for the header X-LP-ON-BEHALF. It never expires.
	Token string
	// ID is what webhooks call the consumer. It is empty when LivePerson sent a
	// token we cannot read.
	ID ConsumerID
}

// AppTokenSource gives the AppJWT. *AppTokens is one.
type AppTokenSource interface {
	// Token gives a valid AppJWT.
	Token(ctx context.Context) (string, error)
	// Invalidate drops a token LivePerson did not accept, if it is still the current one.
	Invalidate(token string)
}

// ConsumerTokensOptions configure NewConsumerTokens.
type ConsumerTokensOptions struct {
	// AccountID, Domains and AppTokens are required.
	AccountID AccountID
	Domains   DomainSource
	AppTokens AppTokenSource
	// Transport may be nil for a transport of its own.
	Transport http.RoundTripper
	// UserAgent may be empty for DefaultUserAgent.
	UserAgent string
	// CacheSize is how many consumers are remembered as they are; zero means 10 000.
	// Those used before them are remembered packed, in so many bytes.
	CacheSize   int
	PackedBytes int
}

// ConsumerTokens gives the ConsumerJWS of each consumer and remembers the most
// recently used ones.
type ConsumerTokens struct {
	account AccountID
	domains DomainSource
	app     AppTokenSource
	agent   string
	client  *retryablehttp.Client
	flights flights[ConsumerIdentity, Consumer]
	most    int

	mu     sync.Mutex
	cached map[ConsumerIdentity]*list.Element // of *cachedConsumer
	recent list.List                          // most recently used first
	packed *packed.Values                     // of those used before them
}

type cachedConsumer struct {
	identity ConsumerIdentity
	consumer Consumer
}

// NewConsumerTokens checks the options; it makes no request.
func NewConsumerTokens(o ConsumerTokensOptions) (*ConsumerTokens, error) {
	switch {
	case o.AccountID == "":
		return nil, errors.New("consumer tokens: account id is empty")
	case o.Domains == nil:
		return nil, errors.New("consumer tokens: domains are missing")
	case o.AppTokens == nil:
		return nil, errors.New("consumer tokens: app tokens are missing")
	}
	if o.CacheSize <= 0 {
		o.CacheSize = defaultConsumerCache
	}
	return &ConsumerTokens{
		account: o.AccountID, domains: o.Domains, app: o.AppTokens, agent: orDefault(o.UserAgent), client: repeating(o.Transport),
		most: o.CacheSize, cached: make(map[ConsumerIdentity]*list.Element), packed: packed.New(o.PackedBytes),
	}, nil
}

// Consumer gives the consumer's token and LivePerson id, from memory when it
// can. The same identity always leads to the same LivePerson consumer.
func (c *ConsumerTokens) Consumer(ctx context.Context, identity ConsumerIdentity) (Consumer, error) {
	if identity == "" {
		return Consumer{}, &Error{Op: OpConsumerToken, StatusCode: http.StatusBadRequest, Err: errors.New("consumer identity is empty")}
	}
	if consumer, ok := c.recall(identity); ok {
		return consumer, nil
	}
	flight := c.flights.start(ctx, identity, func(ctx context.Context) (Consumer, error) {
		consumer, err := c.fetch(ctx, identity)
		if err == nil {
			c.remember(identity, consumer)
		}
		return consumer, err
	})
	consumer, err := flight.wait(ctx)
	return consumer, opError(OpConsumerToken, err)
}

// Invalidate drops a token LivePerson did not accept, if it is still the one
// remembered for the consumer.
func (c *ConsumerTokens) Invalidate(identity ConsumerIdentity, token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.cached[identity]; ok {
		if e.Value.(*cachedConsumer).consumer.Token != token {
			return
		}
		c.forget(e)
	} else if b, ok := c.packed.Get(packedKey(identity)); !ok || unpackConsumer(b).Token != token {
		return
	}
	c.packed.Drop(packedKey(identity))
}

// Close cancels the lookups under way and waits for them.
func (c *ConsumerTokens) Close() { c.flights.close() }

func (c *ConsumerTokens) recall(identity ConsumerIdentity) (Consumer, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.cached[identity]; ok {
		c.recent.MoveToFront(e)
		return e.Value.(*cachedConsumer).consumer, true
	}
	b, ok := c.packed.Get(packedKey(identity))
	if !ok {
		return Consumer{}, false
	}
	consumer := unpackConsumer(b)
	c.use(identity, consumer)
	return consumer, true
}

func (c *ConsumerTokens) remember(identity ConsumerIdentity, consumer Consumer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.cached[identity]; ok {
		c.forget(e)
	}
	c.packed.Drop(packedKey(identity))
	c.use(identity, consumer)
}

// use remembers a consumer as it is, and packs those that make room for it.
func (c *ConsumerTokens) use(identity ConsumerIdentity, consumer Consumer) {
	c.cached[identity] = c.recent.PushFront(&cachedConsumer{identity: identity, consumer: consumer})
	for len(c.cached) > c.most {
		last := c.recent.Back()
		old := last.Value.(*cachedConsumer)
		c.packed.Put(packedKey(old.identity), packConsumer(old.consumer))
		c.forget(last)
	}
}

func (c *ConsumerTokens) forget(e *list.Element) {
	delete(c.cached, e.Value.(*cachedConsumer).identity)
	c.recent.Remove(e)
}

// fetch asks the identity provider, once more with a new AppJWT after a 401.
func (c *ConsumerTokens) fetch(ctx context.Context, identity ConsumerIdentity) (Consumer, error) {
	consumer, used, err := c.ask(ctx, identity)
	failed, ok := errors.AsType[*Error](err)
	if !ok || used == "" || failed.StatusCode != http.StatusUnauthorized || failed.Between {
		return consumer, err
	}
	c.app.Invalidate(used)
	consumer, used, err = c.ask(ctx, identity)
	if failed, ok := errors.AsType[*Error](err); ok && used != "" && failed.StatusCode == http.StatusUnauthorized && !failed.Between {
		failed.Err = fmt.Errorf("%w: %w", ErrCredentialsRefused, failed.Err)
	}
	return consumer, err
}

// ask makes one call and says which AppJWT it used, none if it did not get so far.
func (c *ConsumerTokens) ask(ctx context.Context, identity ConsumerIdentity) (consumer Consumer, used string, err error) {
	app, err := c.app.Token(ctx)
	if err != nil {
		return Consumer{}, "", err
	}
	base, err := c.domains.BaseURL(ctx, ServiceIDP)
	if err != nil {
		return Consumer{}, "", err
	}
	body, err := json.Marshal(map[string]ConsumerIdentity{"ext_consumer_id": identity})
	if err != nil {
		return Consumer{}, "", &Error{Op: OpConsumerToken, Err: errors.New("consumer identity cannot be written as json")}
	}
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost,
		base+"/api/account/"+url.PathEscape(string(c.account))+"/consumer?v=1.0", body)
	if err != nil {
		return Consumer{}, "", &Error{Op: OpConsumerToken, Err: errors.New("base url is not usable")}
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", app)
	req.Header.Set("User-Agent", c.agent)
	got, err := exchange(c.client, req, tokenAnswerLimit)
	if err != nil {
		invalidateUnlessReached(c.domains, err)
		return Consumer{}, app, &Error{Op: OpConsumerToken, StatusCode: got.status, Err: err}
	}
	if got.status != http.StatusCreated && got.status != http.StatusOK {
		return Consumer{}, app, refusal(OpConsumerToken, got)
	}
	var answer struct {
		Token string `json:"token"`
	}
	if json.Unmarshal(got.body, &answer) != nil || !headerSafe(answer.Token) {
		return Consumer{}, app, &Error{Op: OpConsumerToken, StatusCode: got.status, Err: errors.New("answer holds no token")}
	}
	return Consumer{Token: answer.Token, ID: ConsumerID(read(answer.Token).LPConsumerID)}, app, nil
}
