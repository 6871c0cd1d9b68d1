package layer

import (
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"regexp"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

// tokenBytes is how much chance a session token has. It is written in letters,
// digits, hyphens and underscores only, because the SDKs put it into URLs as it
// is.
const tokenBytes = 32

// maxToken is the longest session token looked at.
const maxToken = 256

// sessionHeader is the form of Authorization.
var sessionHeader = regexp.MustCompile(`^Layer\s+session-token=(?:"([^"']*)"|'([^"']*)')$`)

// login is a session and whose it is.
type login struct {
	session  *session
	identity *identity
}

// createNonce answers POST /nonces.
func (api *restAPI) createNonce(ctx context.Context, c *call) (response, error) {
	if wait := api.logins.Spend(c.Request); wait > 0 {
		return response{}, tooMany(wait)
	}
	nonce, err := api.nonces.issue(ctx)
	if err != nil {
		return response{}, err
	}
	return response{status: http.StatusCreated, body: map[string]string{"nonce": nonce}}, nil
}

// createSession answers POST /sessions.
func (api *restAPI) createSession(ctx context.Context, c *call) (response, error) {
	var req struct {
		IdentityToken string `json:"identity_token"`
		AppID         string `json:"app_id"`
	}
	if wait := api.logins.Spend(c.Request); wait > 0 {
		return response{}, tooMany(wait)
	}
	if err := decodeBody(c.body, &req); err != nil {
		return response{}, err
	}
	switch {
	case req.AppID == "":
		return response{}, missingProperty("app_id")
	case !api.cfg.knowsApp(req.AppID):
		return response{}, errAppID
	case req.IdentityToken == "":
		return response{}, missingProperty("identity_token")
	}
	claims, err := api.verify(req.IdentityToken)
	if err != nil {
		return response{}, err
	}
	ok, err := api.nonces.valid(ctx, claims.Nonce)
	if err != nil {
		return response{}, err
	}
	if !ok {
		return response{}, errNonce
	}
	token, err := api.login(ctx, claims, req.AppID)
	if err != nil {
		return response{}, err
	}
	return response{status: http.StatusCreated, links: true, body: map[string]string{"session_token": token}}, nil
}

// errNonce is what a nonce gets that is not ours, too old or used.
var errNonce = invalidProperty("identity_token", "has a nonce that is not valid")

// login stores a session and what its claims say of the person, and returns the
// token. That the nonce was not used before is what saving the record decides.
func (a *admission) login(ctx context.Context, claims *identityClaims, app string) (string, error) {
	token := base64.RawURLEncoding.EncodeToString(random(tokenBytes))
	u, leave := a.users.enter(claims.User)
	defer leave()
	known, err := a.identityNamed(ctx, claims.User)
	if err != nil && !errors.Is(err, bridge.ErrNoRecord) {
		return "", err
	}
	now := time.Now()
	p := &identity{User: claims.User, Created: now}
	if known != nil {
		copied := *known
		p = &copied
	} else if p.ID, err = kindIdentity.NextID(ctx, a.records); err != nil {
		return "", err
	}
	id, err := kindSession.NextID(ctx, a.records)
	if err != nil {
		return "", err
	}
	stored := []served.Thing{&session{
		ID: id, User: claims.User, App: app, Created: now, Expires: now.Add(a.cfg.SessionTTL),
		TokenHash: digest(token), NonceHash: digest(claims.Nonce),
	}}
	if claims.describe(p) || known == nil {
		stored = append(stored, p)
	}
	err = a.keep(ctx, nil, stored...)
	if errors.Is(err, bridge.ErrRecordTaken) {
		return "", errNonce
	}
	if err == nil {
		u.describe(p)
	}
	return token, err
}

// keep makes events and things durable.
func (h *history) keep(ctx context.Context, events []bridge.Event, things ...served.Thing) error {
	return served.Keep(ctx, h.core, events, things...)
}

func (h *history) identityNamed(ctx context.Context, user string) (*identity, error) {
	return kindIdentity.Find(ctx, h.records, keyUser+user)
}

// tokenOf is the session token of a request's header; empty when there is none.
func tokenOf(r *http.Request) string {
	m := sessionHeader.FindStringSubmatch(r.Header.Get("Authorization"))
	if m == nil {
		return ""
	}
	return m[1] + m[2]
}

// authenticate finds the session of a token.
func (a *admission) authenticate(ctx context.Context, token string) (*login, error) {
	s, err := a.sessionOf(ctx, token)
	if errors.Is(err, bridge.ErrNoRecord) {
		return nil, a.unauthenticated(ctx)
	}
	if err != nil {
		return nil, err
	}
	p, err := a.identityNamed(ctx, s.User)
	if err != nil {
		return nil, err
	}
	return &login{s, p}, nil
}

// sessionOf returns the session that a token is good for now, or
// [bridge.ErrNoRecord].
func (a *admission) sessionOf(ctx context.Context, token string) (*session, error) {
	if token == "" || len(token) > maxToken {
		return nil, bridge.ErrNoRecord
	}
	s, err := kindSession.Find(ctx, a.records, keyToken+digest(token))
	if err != nil {
		return nil, err
	}
	if s.Ended || !time.Now().Before(s.Expires) {
		return nil, bridge.ErrNoRecord
	}
	return s, nil
}

// deleteSession answers DELETE /sessions/TOKEN: the session ends, and with it
// its sockets.
func (api *restAPI) deleteSession(ctx context.Context, c *call) (response, error) {
	s, err := api.sessionOf(ctx, c.PathValue("token"))
	if err != nil {
		return response{}, err
	}
	if s.User != c.login.identity.User {
		return response{}, errNotFound
	}
	s.Ended = true
	if err := api.keep(ctx, nil, s); err != nil {
		return response{}, err
	}
	api.users.endSession(s.User, s.ID)
	return response{status: http.StatusNoContent}, nil
}
