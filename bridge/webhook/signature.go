package webhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"lpbridge/config"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// The headers of the Standard Webhooks specification, section "Webhook Headers".
const (
	headerID        = standardwebhooks.HeaderWebhookID
	headerTimestamp = standardwebhooks.HeaderWebhookTimestamp
	headerSignature = standardwebhooks.HeaderWebhookSignature
)

// The length of a key in bytes as of the Standard Webhooks specification,
// section "Signature scheme".
const (
	minKey = 24
	maxKey = 64
)

const secretPrefix = "whsec_"

// Why a request is not believed. The texts go to a stranger and to the log.
var (
	errUnsigned     = errors.New("webhook-id, webhook-timestamp and webhook-signature are required")
	errBadTimestamp = errors.New("webhook-timestamp is not a number of seconds since 1970")
	errOutOfTime    = errors.New("webhook-timestamp is more than five minutes from now")
	errBadSignature = errors.New("webhook-signature matches none of the secrets")
	errBadToken     = errors.New("the Authorization header does not carry the bearer token")
)

// verifier reports why a request is not believed, nil when it is. It sees the
// body as it came.
type verifier interface {
	verify(h http.Header, body []byte) error
}

// authorizer adds to a request what makes the receiver believe it.
type authorizer interface {
	authorize(h http.Header, id string, body []byte) error
}

// authentication is one way of it, for both directions.
type authentication interface {
	verifier
	authorizer
	// challenge is the WWW-Authenticate of a refusal.
	challenge() string
	// String says in words which way it is.
	String() string
}

func newAuthentication(c Config) (authentication, error) {
	switch {
	case c.Secret.IsSet():
		return newKeyring(c.Secret.Reveal())
	case c.Token.IsSet():
		return newBearer(c.Token), nil
	default:
		return nobody{}, nil
	}
}

// keyring holds the secrets of the Standard Webhooks scheme, the newest first.
type keyring []*standardwebhooks.Webhook

// newKeyring reads a comma separated list of secrets. The library would take
// an empty key and one of any length, so both are refused here.
func newKeyring(list string) (keyring, error) {
	secrets := strings.Split(list, ",")
	ring := make(keyring, len(secrets))
	for i, secret := range secrets {
		key, err := parseKey(strings.TrimSpace(secret))
		if err != nil {
			return nil, fmt.Errorf("secret %d of %d %w", i+1, len(secrets), err)
		}
		if ring[i], err = standardwebhooks.NewWebhookRaw(key); err != nil {
			return nil, fmt.Errorf("secret %d of %d cannot be used", i+1, len(secrets))
		}
	}
	return ring, nil
}

func parseKey(secret string) ([]byte, error) {
	encoded, found := strings.CutPrefix(secret, secretPrefix)
	if !found {
		return nil, errors.New("must begin with " + secretPrefix)
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return nil, errors.New("must be base64 after " + secretPrefix)
	}
	if len(key) < minKey || len(key) > maxKey {
		return nil, fmt.Errorf("must be base64 of %d to %d bytes", minKey, maxKey)
	}
	return key, nil
}

func (k keyring) challenge() string { return "Standard-Webhooks" }

func (k keyring) String() string {
	if len(k) == 1 {
		return "Standard Webhooks signatures, one secret"
	}
	return fmt.Sprintf("Standard Webhooks signatures, %d secrets, the first of which signs", len(k))
}

// verify tries every key. The library's own texts are not passed on, for one of
// them quotes a header.
func (k keyring) verify(h http.Header, body []byte) error {
	for _, key := range k {
		err := key.Verify(body, h)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, standardwebhooks.ErrRequiredHeaders):
			return errUnsigned
		case errors.Is(err, standardwebhooks.ErrInvalidHeaders):
			return errBadTimestamp
		case errors.Is(err, standardwebhooks.ErrMessageTooOld), errors.Is(err, standardwebhooks.ErrMessageTooNew):
			return errOutOfTime
		}
	}
	return errBadSignature
}

func (k keyring) authorize(h http.Header, id string, body []byte) error {
	now := time.Now()
	signature, err := k[0].Sign(id, now, body)
	if err != nil {
		return errors.New("the request cannot be signed")
	}
	h.Set(headerTimestamp, fmt.Sprint(now.Unix()))
	h.Set(headerSignature, signature)
	return nil
}

// bearer is a token and its digest. Digests are compared because a comparison
// of the texts themselves would take a time that depends on their length.
type bearer struct {
	token  config.Secret
	digest [sha256.Size]byte
}

func newBearer(token config.Secret) bearer {
	return bearer{token: token, digest: sha256.Sum256([]byte(token.Reveal()))}
}

func (b bearer) challenge() string { return "Bearer" }

func (b bearer) String() string { return "bearer token" }

func (b bearer) verify(h http.Header, _ []byte) error {
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	digest := sha256.Sum256([]byte(strings.TrimSpace(token)))
	if !strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(digest[:], b.digest[:]) != 1 {
		return errBadToken
	}
	return nil
}

func (b bearer) authorize(h http.Header, _ string, _ []byte) error {
	h.Set("Authorization", "Bearer "+b.token.Reveal())
	return nil
}

// nobody believes everything and proves nothing.
type nobody struct{}

func (nobody) challenge() string { return "" }

func (nobody) String() string { return "none: every request is believed" }

func (nobody) verify(http.Header, []byte) error { return nil }

func (nobody) authorize(http.Header, string, []byte) error { return nil }
