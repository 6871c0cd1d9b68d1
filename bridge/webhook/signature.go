package webhook

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
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

const secretPrefix = "whsec_"

// Why a request is not believed. The texts go to a stranger and to the log.
var (
	errUnsigned     = errors.New("webhook-id, webhook-timestamp and webhook-signature are required")
	errBadTimestamp = errors.New("webhook-timestamp is not a number of seconds since 1970")
	errOutOfTime    = errors.New("webhook-timestamp is more than five minutes from now")
	errBadSignature = errors.New("webhook-signature matches none of the secrets")
	errBadToken     = errors.New("the Authorization header does not carry the bearer token")
)

// authentication proves who sends, in both directions: by the secrets of the
// Standard Webhooks scheme, else by a bearer token, else not at all.
type authentication struct {
	keys  []*standardwebhooks.Webhook
	token config.Secret
}

// newAuthentication reads a comma separated list of secrets. The library would
// take an empty key and one of any length, so both are refused here.
func newAuthentication(c Config) (authentication, error) {
	a := authentication{token: c.Token}
	if !c.Secret.IsSet() {
		return a, nil
	}
	secrets := strings.Split(c.Secret.Reveal(), ",")
	for i, secret := range secrets {
		encoded, found := strings.CutPrefix(strings.TrimSpace(secret), secretPrefix)
		raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
		// The length is that of the specification, section "Signature scheme".
		if !found || err != nil || len(raw) < 24 || len(raw) > 64 {
			return a, fmt.Errorf("SECRET: secret %d of %d must be %s and base64 of 24 to 64 bytes", i+1, len(secrets), secretPrefix)
		}
		key, err := standardwebhooks.NewWebhookRaw(raw)
		if err != nil {
			return a, fmt.Errorf("SECRET: secret %d of %d cannot be used", i+1, len(secrets))
		}
		a.keys = append(a.keys, key)
	}
	return a, nil
}

// describe says which way it is, in words and as WWW-Authenticate has it.
func (a authentication) describe() (words, challenge string) {
	switch {
	case len(a.keys) > 0:
		return fmt.Sprintf("Standard Webhooks signatures of %d secret(s)", len(a.keys)), "Standard-Webhooks"
	case a.token.IsSet():
		return "bearer token", "Bearer"
	}
	return "none: every request is believed", ""
}

// verify reports why a request is not believed, nil when it is. It sees the body
// as it came. The library's own texts are not passed on, for one of them quotes a
// header.
func (a authentication) verify(r *http.Request, body []byte) error {
	if len(a.keys) == 0 {
		return a.verifyToken(r)
	}
	for _, key := range a.keys {
		err := key.Verify(body, r.Header)
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

// verifyToken compares digests: a comparison of the texts would take a time that
// depends on their length.
func (a authentication) verifyToken(r *http.Request) error {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got, want := sha256.Sum256([]byte(strings.TrimSpace(token))), sha256.Sum256([]byte(a.token.Reveal()))
	if a.token.IsSet() && (!strings.EqualFold(scheme, "Bearer") || subtle.ConstantTimeCompare(got[:], want[:]) != 1) {
		return errBadToken
	}
	return nil
}

// authorize adds to a request what makes the receiver believe it. Every secret
// signs, so that a receiver that knows the old or the new one does while they
// change.
func (a authentication) authorize(h http.Header, id string, body []byte) error {
	if a.token.IsSet() {
		h.Set("Authorization", "Bearer "+a.token.Reveal())
	}
	now := time.Now()
	for _, key := range a.keys {
		signature, err := key.Sign(id, now, body)
		if err != nil {
			return errors.New("the request cannot be signed")
		}
		h.Set(headerTimestamp, strconv.FormatInt(now.Unix(), 10))
		h.Set(headerSignature, strings.TrimSpace(h.Get(headerSignature)+" "+signature))
	}
	return nil
}
