package chatwoot

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"lpbridge/config"
)

// The headers of Chatwoot's webhooks (Chatwoot, Webhooks: verifying requests).
const (
	headerSignature = "X-Chatwoot-Signature"
	headerTimestamp = "X-Chatwoot-Timestamp"
	headerDelivery  = "X-Chatwoot-Delivery"
)

const signaturePrefix = "sha256="

// tolerance is how far a timestamp may be from our clock, as Chatwoot advises.
const tolerance = 5 * time.Minute

// Why a request is not believed. The texts go to a stranger and to the log.
var (
	errUnsigned     = errors.New(headerSignature + " and " + headerTimestamp + " are required")
	errBadTimestamp = errors.New(headerTimestamp + " is not a number of seconds since 1970")
	errOutOfTime    = errors.New(headerTimestamp + " is more than five minutes from now")
	errBadSignature = errors.New(headerSignature + " matches none of the secrets")
	errBadPath      = errors.New("the secret in the address is wrong")
)

// verify reports why a request is not believed, nil when it is. Chatwoot signs
// the timestamp as written in its header, a dot, and the body as sent.
func verify(secrets []config.Secret, h http.Header, body []byte, now time.Time) error {
	timestamp, signature := h.Get(headerTimestamp), h.Get(headerSignature)
	if timestamp == "" || signature == "" {
		return errUnsigned
	}
	seconds, err := strconv.ParseUint(timestamp, 10, 62)
	if err != nil {
		return errBadTimestamp
	}
	if age := now.Unix() - int64(seconds); age > int64(tolerance/time.Second) || -age > int64(tolerance/time.Second) {
		return errOutOfTime
	}
	claimed, found := strings.CutPrefix(signature, signaturePrefix)
	mac, err := hex.DecodeString(claimed)
	if !found || err != nil || len(mac) != sha256.Size {
		return errBadSignature
	}
	believed := 0
	// Every secret is tried, so that the time tells nothing about which one fits.
	for _, secret := range secrets {
		believed |= subtle.ConstantTimeCompare(mac, sign(secret, timestamp, body))
	}
	if believed == 0 {
		return errBadSignature
	}
	return nil
}

func sign(secret config.Secret, timestamp string, body []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret.Reveal()))
	mac.Write([]byte(timestamp))
	mac.Write([]byte{'.'})
	mac.Write(body)
	return mac.Sum(nil)
}

// verifyPath compares the secret in the address. Digests are compared because a
// comparison of the texts would take a time that depends on their length.
func verifyPath(secret config.Secret, got string) error {
	want, have := sha256.Sum256([]byte(secret.Reveal())), sha256.Sum256([]byte(got))
	if !secret.IsSet() || subtle.ConstantTimeCompare(want[:], have[:]) != 1 {
		return errBadPath
	}
	return nil
}
