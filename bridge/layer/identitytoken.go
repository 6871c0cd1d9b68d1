package layer

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// clockSkew is how far an identity provider's clock may be off.
const clockSkew = time.Minute

// maxProfileField is the longest text of a profile, in bytes.
const maxProfileField = 1024

// maxProfileKeys is the most keys of a profile's metadata.
const maxProfileKeys = 16

// identityClaims are the claims of an identity token (Client API,
// Authentication).
type identityClaims struct {
	Issuer  string           `json:"iss"`
	User    string           `json:"prn"`
	Nonce   string           `json:"nce"`
	Issued  *jwt.NumericDate `json:"iat,omitempty"`
	Expires *jwt.NumericDate `json:"exp,omitempty"`

	DisplayName string            `json:"display_name,omitempty"`
	FirstName   string            `json:"first_name,omitempty"`
	LastName    string            `json:"last_name,omitempty"`
	AvatarURL   string            `json:"avatar_url,omitempty"`
	Email       string            `json:"email_address,omitempty"`
	Phone       string            `json:"phone_number,omitempty"`
	PublicKey   string            `json:"public_key,omitempty"`
	Metadata    map[string]string `json:"metadata,omitempty"`
}

var _ jwt.Claims = (*identityClaims)(nil)

// GetExpirationTime implements [jwt.Claims].
func (c *identityClaims) GetExpirationTime() (*jwt.NumericDate, error) { return c.Expires, nil }

// GetIssuedAt implements [jwt.Claims].
func (c *identityClaims) GetIssuedAt() (*jwt.NumericDate, error) { return c.Issued, nil }

// GetNotBefore implements [jwt.Claims]; identity tokens have no such claim.
func (c *identityClaims) GetNotBefore() (*jwt.NumericDate, error) { return nil, nil }

// GetIssuer implements [jwt.Claims].
func (c *identityClaims) GetIssuer() (string, error) { return c.Issuer, nil }

// GetSubject implements [jwt.Claims].
func (c *identityClaims) GetSubject() (string, error) { return c.User, nil }

// GetAudience implements [jwt.Claims]; identity tokens have no such claim.
func (c *identityClaims) GetAudience() (jwt.ClaimStrings, error) { return nil, nil }

// errUnknownKey means that a token was signed with a key we do not know.
var errUnknownKey = errors.New("the key is not configured")

// verify checks an identity token but for its nonce. Refusals do not say what of
// the token was wrong, for who can read them could be anybody.
func (a *admission) verify(token string) (*identityClaims, error) {
	var claims identityClaims
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodRS256.Alg()}), jwt.WithExpirationRequired(), jwt.WithLeeway(clockSkew),
	)
	_, err := parser.ParseWithClaims(token, &claims, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		key := a.keys[keyName{strings.TrimPrefix(claims.Issuer, prefixProvider), strings.TrimPrefix(kid, prefixKey)}]
		if key == nil {
			return nil, errUnknownKey
		}
		return key, nil
	})
	if err != nil {
		return nil, invalidProperty("identity_token", "is not valid")
	}
	if err := a.checkClaims(&claims); err != nil {
		return nil, err
	}
	return &claims, nil
}

func (a *admission) checkClaims(c *identityClaims) error {
	if err := checkUserID(c.User); err != nil {
		return invalidProperty("identity_token", "has a claim prn that "+err.Error())
	}
	if a.cfg.isAgent(c.User) {
		return invalidProperty("identity_token", "has a claim prn that is kept for agents")
	}
	if len(c.Metadata) > maxProfileKeys {
		return invalidProperty("identity_token", "has too much metadata")
	}
	for _, text := range c.texts() {
		if len(text) > maxProfileField {
			return invalidProperty("identity_token", "has a claim that is too long")
		}
	}
	return nil
}

func (c *identityClaims) texts() []string {
	texts := []string{c.DisplayName, c.FirstName, c.LastName, c.AvatarURL, c.Email, c.Phone, c.PublicKey}
	for k, v := range c.Metadata {
		texts = append(texts, k, v)
	}
	return texts
}

// describe brings a person up to the claims and reports whether anything
// changed.
func (c *identityClaims) describe(p *identity) bool {
	was := *p
	p.DisplayName, p.FirstName, p.LastName, p.AvatarURL = c.DisplayName, c.FirstName, c.LastName, c.AvatarURL
	p.Email, p.Phone, p.PublicKey, p.Metadata = c.Email, c.Phone, c.PublicKey, c.Metadata
	if p.DisplayName == "" {
		p.DisplayName = strings.TrimSpace(c.FirstName + " " + c.LastName)
	}
	return was.DisplayName != p.DisplayName || was.FirstName != p.FirstName || was.LastName != p.LastName ||
		was.AvatarURL != p.AvatarURL || was.Email != p.Email || was.Phone != p.Phone || was.PublicKey != p.PublicKey ||
		!maps.Equal(was.Metadata, p.Metadata)
}

// sandboxKey is the key of the sandbox's identity provider.
var sandboxKey = keyName{"sandbox", "sandbox"}

// sandboxTokenLife is how long its identity tokens are valid.
const sandboxTokenLife = 5 * time.Minute

// sandbox is an identity provider that believes everybody, as Layer's sample
// services did, for trying things out.
type sandbox struct {
	key *rsa.PrivateKey
}

func newSandbox() (*sandbox, error) {
	key, err := rsa.GenerateKey(rand.Reader, minKeyBits)
	if err != nil {
		return nil, fmt.Errorf("make the sandbox's key: %w", err)
	}
	return &sandbox{key}, nil
}

// signIdentity answers a request for an identity token.
func (api *restAPI) signIdentity(_ context.Context, c *call) (response, error) {
	var req struct {
		Nonce       string `json:"nonce"`
		UserID      string `json:"user_id"`
		DisplayName string `json:"display_name"`
		FirstName   string `json:"first_name"`
		LastName    string `json:"last_name"`
		AvatarURL   string `json:"avatar_url"`
	}
	if err := decodeBody(c.body, &req); err != nil {
		return response{}, err
	}
	switch {
	case req.Nonce == "":
		return response{}, missingProperty("nonce")
	case req.UserID == "":
		return response{}, missingProperty("user_id")
	}
	if req.DisplayName == "" {
		req.DisplayName = req.UserID
	}
	now := time.Now()
	token := jwt.NewWithClaims(jwt.SigningMethodRS256, &identityClaims{
		Issuer: prefixProvider + sandboxKey.provider, User: req.UserID, Nonce: req.Nonce,
		Issued: jwt.NewNumericDate(now), Expires: jwt.NewNumericDate(now.Add(sandboxTokenLife)),
		DisplayName: req.DisplayName, FirstName: req.FirstName, LastName: req.LastName, AvatarURL: req.AvatarURL,
	})
	token.Header["cty"] = "layer-eit;v=1"
	token.Header["kid"] = prefixKey + sandboxKey.key
	signed, err := token.SignedString(api.sandbox.key)
	if err != nil {
		return response{}, fmt.Errorf("sign an identity token: %w", err)
	}
	return response{status: http.StatusOK, body: map[string]string{"identity_token": signed}}, nil
}
