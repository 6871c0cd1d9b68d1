package lpauth

import (
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"hash"
	"slices"
	"strings"
)

// SignatureHeader carries LivePerson's signature of a webhook's raw body.
const SignatureHeader = "X-Liveperson-Signature"

// Algorithm is a hash LivePerson signs webhooks with ("Webhooks Notification
// Protocol" page), spelled as in the header.
type Algorithm string

// SHA1 is LivePerson's default; SHA256 is switched on per account on request
// ("Webhooks Notification Protocol" page).
const (
	SHA1   Algorithm = "sha1"
	SHA256 Algorithm = "sha256"
)

var (
	// ErrNoSecret means that we have nothing to verify with: our mistake, not
	// the sender's.
	ErrNoSecret = errors.New("webhook signature: no secret configured")
	// ErrSignatureMissing means that the header is empty or absent.
	ErrSignatureMissing = errors.New("webhook signature: header is missing")
	// ErrSignatureMalformed means that the header is not "sha1=" or "sha256="
	// followed by padded standard base64 of the right length.
	ErrSignatureMalformed = errors.New("webhook signature: header is malformed")
	// ErrSignatureAlgorithm means a well-formed header of an algorithm that is
	// not among the pinned ones.
	ErrSignatureAlgorithm = errors.New("webhook signature: algorithm is not allowed")
	// ErrSignatureMismatch means that the body was not signed with our secret.
	ErrSignatureMismatch = errors.New("webhook signature: does not match")
)

// VerifySignature checks the signature header of a webhook against the exact
// bytes of its body; secret is the app's client secret as given, not decoded.
// Never verify a body that was parsed and written again. Both algorithms are
// accepted unless some are pinned. The signature covers no time and no nonce:
// replays must be caught by deduplication.
func VerifySignature(secret, header string, body []byte, pinned ...Algorithm) error {
	if secret == "" {
		return ErrNoSecret
	}
	if header == "" {
		return ErrSignatureMissing
	}
	name, encoded, _ := strings.Cut(header, "=")
	newHash := Algorithm(name).hash()
	if newHash == nil {
		return ErrSignatureMalformed
	}
	mac := hmac.New(newHash, []byte(secret))
	// The decoder skips line breaks, which no honest header holds.
	claimed, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(claimed) != mac.Size() || strings.ContainsAny(encoded, "\r\n") {
		return ErrSignatureMalformed
	}
	if len(pinned) > 0 && !slices.Contains(pinned, Algorithm(name)) {
		return ErrSignatureAlgorithm
	}
	mac.Write(body)
	if !hmac.Equal(mac.Sum(nil), claimed) {
		return ErrSignatureMismatch
	}
	return nil
}

// Sign gives the header value LivePerson would send for a body, for simulators
// and tests. It is empty for an unknown algorithm.
func Sign(alg Algorithm, secret string, body []byte) string {
	newHash := alg.hash()
	if newHash == nil {
		return ""
	}
	mac := hmac.New(newHash, []byte(secret))
	mac.Write(body)
	return string(alg) + "=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func (a Algorithm) hash() func() hash.Hash {
	switch a {
	case SHA1:
		return sha1.New
	case SHA256:
		return sha256.New
	}
	return nil
}
