package lpauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/hashicorp/go-retryablehttp"

	"lpbridge/internal/attempt"
)

const (
	appTokenOp = "app token"
	// documentedLife is what the "Authorization and Authentication" page
	// promises; it is assumed where a token does not say or says nonsense.
	documentedLife = time.Hour
	longestLife    = 24 * time.Hour
	// renewEarly is the lead LivePerson's connector guide asks for.
	renewEarly = 5 * time.Minute
	// mintFloor keeps lanes that are all told 401 from minting a token each.
	mintFloor        = time.Second
	tokenAnswerLimit = 64 << 10

	failedPause        = time.Second
	longestFailedPause = 5 * time.Second
	// refusedPause stays the same however often: when the credential is mended,
	// everything waits for the next try.
	refusedPause = 5 * time.Second
)

// DomainSource says where LivePerson serves an account. *Domains is one.
type DomainSource interface {
	// BaseURL gives "scheme://host[:port]" of a service.
	BaseURL(ctx context.Context, service string) (string, error)
	// Invalidate says that connecting failed.
	Invalidate()
}

// AppTokensOptions configure NewAppTokens.
type AppTokensOptions struct {
	// AccountID, ClientID, Domains, and one of ClientSecret and Secrets are
	// required.
	AccountID    AccountID
	ClientID     string
	ClientSecret string
	// Secrets are client secrets that may be replaced while the program runs.
	Secrets *Secrets
	Domains DomainSource
	// Transport may be nil for a transport of its own.
	Transport http.RoundTripper
	// UserAgent may be empty for DefaultUserAgent.
	UserAgent string
	// Logger may be nil for silence.
	Logger *slog.Logger
}

// String leaves the secret out.
func (o AppTokensOptions) String() string {
	return fmt.Sprintf("{AccountID:%s ClientID:%s}", o.AccountID, o.ClientID)
}

// GoString leaves the secret out.
func (o AppTokensOptions) GoString() string { return "lpauth.AppTokensOptions" + o.String() }

// LogValue leaves the secret out.
func (o AppTokensOptions) LogValue() slog.Value { return slog.StringValue(o.String()) }

// AppTokens holds the AppJWT of one app installation: it fetches it when first
// asked, renews it five minutes before it expires while the old one keeps
// serving, and backs off when LivePerson refuses the credentials.
type AppTokens struct {
	account AccountID
	id      string
	secrets *Secrets
	agent   string
	domains DomainSource
	client  *retryablehttp.Client
	log     *slog.Logger
	flights flights[struct{}, string]

	mu      sync.Mutex
	token   string
	renewAt time.Time
	expires time.Time
	minted  time.Time
	// failures in a row since the last success, and what they lead to.
	failures int
	retryAt  time.Time
	lastErr  error
	// renewed and failed count fetches.
	renewed, failed int64
	complaints      complaints
}

// NewAppTokens checks the options; it makes no request.
func NewAppTokens(o AppTokensOptions) (*AppTokens, error) {
	for _, field := range []struct{ name, value string }{
		{"account id", string(o.AccountID)}, {"client id", o.ClientID},
	} {
		if field.value == "" {
			return nil, fmt.Errorf("app tokens: %s is empty", field.name)
		}
	}
	if o.Domains == nil {
		return nil, errors.New("app tokens: domains are missing")
	}
	if o.Secrets == nil {
		if o.ClientSecret == "" {
			return nil, errors.New("app tokens: client secret is empty")
		}
		var err error
		if o.Secrets, err = NewSecrets(FixedSecret(o.ClientSecret), o.Logger); err != nil {
			return nil, fmt.Errorf("app tokens: %w", err)
		}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &AppTokens{
		account: o.AccountID, id: o.ClientID, secrets: o.Secrets, agent: orDefault(o.UserAgent), domains: o.Domains,
		client: repeating(o.Transport), log: o.Logger,
	}, nil
}

// Token gives a valid AppJWT. It waits only when there is none. While
// LivePerson refuses the credentials it fails at once with the last error,
// which matches [ErrCredentialsRefused] and carries RetryAfter.
func (a *AppTokens) Token(ctx context.Context) (string, error) {
	now := time.Now()
	a.mu.Lock()
	token := a.token
	usable := token != "" && now.Before(a.expires)
	if usable && now.Before(a.renewAt) {
		a.mu.Unlock()
		return token, nil
	}
	if now.Before(a.retryAt) {
		err := a.refusedUntil(now)
		a.mu.Unlock()
		if usable {
			return token, nil
		}
		return "", err
	}
	flight := a.flights.start(ctx, struct{}{}, a.renew)
	a.mu.Unlock()
	if usable {
		return token, nil
	}
	token, err := flight.wait(ctx)
	return token, opError(appTokenOp, err)
}

// Invalidate drops a token LivePerson did not accept. A token that was already
// replaced is left alone, so that late 401s do not throw away the new one.
func (a *AppTokens) Invalidate(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if token != "" && token == a.token {
		a.token = ""
	}
}

// AppTokenStatus is for a status page.
type AppTokenStatus struct {
	// Valid tells whether there is a token, Expires until when.
	Valid   bool
	Expires time.Time
	// LastError is why the last fetch failed, nil if it did not; RetryAt is
	// when the next one is allowed.
	LastError error
	RetryAt   time.Time
	// Renewed and Failed count how fetches ended since the start.
	Renewed, Failed int64
}

// Status tells how things stand, without a request.
func (a *AppTokens) Status() AppTokenStatus {
	a.mu.Lock()
	defer a.mu.Unlock()
	return AppTokenStatus{
		Valid: a.token != "" && time.Now().Before(a.expires), Expires: a.expires,
		LastError: a.lastErr, RetryAt: a.retryAt, Renewed: a.renewed, Failed: a.failed,
	}
}

// Close cancels a renewal under way and waits for it.
func (a *AppTokens) Close() { a.flights.close() }

func (a *AppTokens) refusedUntil(now time.Time) error {
	failed := &Error{Op: appTokenOp, RetryAfter: a.retryAt.Sub(now), Err: a.lastErr}
	if last, ok := errors.AsType[*Error](a.lastErr); ok {
		failed.StatusCode, failed.Between, failed.Err = last.StatusCode, last.Between, last.Err
	}
	return failed
}

// renew makes one flight: it paces, fetches and remembers.
func (a *AppTokens) renew(ctx context.Context) (token string, err error) {
	settled := false
	defer func() {
		if !settled { // a panic in between
			a.settle(ctx, "", errors.New("renewal panicked"))
		}
	}()
	a.mu.Lock()
	early := time.Until(a.minted.Add(mintFloor))
	a.mu.Unlock()
	if err = pauseFor(ctx, early); err == nil {
		token, err = a.fetch(ctx)
	}
	settled = true
	a.settle(ctx, token, err)
	return token, err
}

func (a *AppTokens) settle(ctx context.Context, token string, err error) {
	now := time.Now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil {
		a.token, a.minted = token, now
		a.expires = expiry(token, now)
		a.renewAt = a.expires.Add(-min(renewEarly, a.expires.Sub(now)/2))
		a.failures, a.lastErr, a.retryAt = 0, nil, time.Time{}
		a.complaints.over()
		a.renewed++
		return
	}
	first, longest := failedPause, longestFailedPause
	if errors.Is(err, ErrCredentialsRefused) {
		first, longest = refusedPause, refusedPause
	}
	wait := min(first<<min(a.failures, 16), longest)
	if failed, ok := errors.AsType[*Error](err); ok {
		wait = max(wait, failed.RetryAfter)
	}
	a.failures++
	a.failed++
	a.lastErr, a.retryAt = err, now.Add(wait)
	if !a.complaints.note(err) {
		return
	}
	a.log.LogAttrs(ctx, slog.LevelWarn, "app token not renewed", slog.String("account", string(a.account)),
		slog.Int("attempt", a.failures), slog.Duration("retry_after", wait), slog.Any("error", err))
}

// fetch gets a token with the first secret LivePerson takes: while a secret is
// being replaced, nobody knows on which side that happened first.
func (a *AppTokens) fetch(ctx context.Context) (token string, err error) {
	base, err := a.domains.BaseURL(ctx, ServiceSentinel)
	if err != nil {
		return "", err
	}
	for _, secret := range a.secrets.inForce() {
		if token, err = a.trade(ctx, base, secret); !errors.Is(err, ErrCredentialsRefused) {
			break
		}
	}
	return token, err
}

// trade trades id and secret for a token: form A of the page, with the secret
// in the body only.
func (a *AppTokens) trade(ctx context.Context, base, secret string) (string, error) {
	form := url.Values{"client_id": {a.id}, "client_secret": {secret}}
	at := base + "/sentinel/api/account/" + url.PathEscape(string(a.account)) + "/app/token?v=1.0&grant_type=client_credentials"
	req, err := retryablehttp.NewRequestWithContext(ctx, http.MethodPost, at, []byte(form.Encode()))
	if err != nil {
		return "", &Error{Op: appTokenOp, Err: errors.New("base url is not usable")}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", a.agent)
	got, err := exchange(a.client, req, tokenAnswerLimit)
	if err != nil {
		invalidateUnlessReached(a.domains, err)
		return "", &Error{Op: appTokenOp, StatusCode: got.status, Err: err}
	}
	if got.status != http.StatusOK && got.status != http.StatusCreated {
		failed := refusal(appTokenOp, got)
		switch {
		case failed.Between:
			// A proxy's page says nothing of our credentials.
		case got.status == http.StatusBadRequest, got.status == http.StatusUnauthorized, got.status == http.StatusForbidden:
			failed.Err = fmt.Errorf("%w: %w", ErrCredentialsRefused, failed.Err)
		}
		return "", failed
	}
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(got.body, &answer) != nil || !headerSafe(answer.AccessToken) {
		return "", &Error{Op: appTokenOp, StatusCode: got.status, Err: errors.New("answer holds no access_token")}
	}
	return answer.AccessToken, nil
}

// claims is the little we read of LivePerson's tokens. RegisteredClaims would
// fail as a whole on an odd claim that does not matter here.
type claims struct {
	Expires      *jwt.NumericDate `json:"exp"`
	LPConsumerID string           `json:"lp_consumer_id"`
}

func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) { return c.Expires, nil }
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error)       { return nil, nil }
func (c *claims) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }
func (c *claims) GetIssuer() (string, error)                   { return "", nil }
func (c *claims) GetSubject() (string, error)                  { return "", nil }
func (c *claims) GetAudience() (jwt.ClaimStrings, error)       { return nil, nil }

// read gives the claims of a token without trusting them; an opaque token has none.
func read(token string) (c claims) {
	// The error is of no use: an unknown algorithm still fills the claims, an
	// opaque token leaves them empty, and both are tokens to be used as they are.
	_, _, _ = jwt.NewParser().ParseUnverified(token, &c)
	return c
}

// expiry is the token's exp when that is believable, else the documented hour.
func expiry(token string, now time.Time) time.Time {
	if exp := read(token).Expires; exp != nil && exp.After(now) && !exp.After(now.Add(longestLife)) {
		return exp.Time
	}
	return now.Add(documentedLife)
}

// headerSafe refuses what could not, or must not, become a header value.
func headerSafe(token string) bool {
	for i := range len(token) {
		if token[i] <= ' ' || token[i] >= 0x7f {
			return false
		}
	}
	return token != ""
}

func pauseFor(ctx context.Context, wait time.Duration) error {
	if wait <= 0 {
		return nil
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// invalidateUnlessReached drops the domains when the host could not be reached,
// not when it was reached and kept silent.
func invalidateUnlessReached(domains DomainSource, err error) {
	if tried, ok := errors.AsType[*attempt.Error](err); ok && !tried.Sent && !cancelled(err) {
		domains.Invalidate()
	}
}

func cancelled(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// opError makes sure that whatever leaves the package is an *Error.
func opError(op string, err error) error {
	if err == nil {
		return nil
	}
	if failed, ok := errors.AsType[*Error](err); ok {
		return failed
	}
	return &Error{Op: op, Err: err}
}
