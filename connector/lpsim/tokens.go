package lpsim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// signingKey is made once per process: 2048-bit keys are slow to make under the race detector. All simulators of a
// process therefore accept each other's tokens for the same account, which lets a test restart one.
var signingKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic("lpsim: RSA key: " + err.Error())
	}
	return key
})

const (
	staticKeyID   = "appjwt-13-05-17"
	rotatingKeyID = "appjwt-20-11-26"
	maxTokens     = 200_000
)

// AppClaims is the payload of an AppJWT (Authorization and Authentication).
type AppClaims struct {
	Aud   string `json:"aud,omitempty"`
	Azp   string `json:"azp,omitempty"`
	Scope string `json:"scope,omitempty"`
	Iss   string `json:"iss,omitempty"`
	Exp   int64  `json:"exp,omitempty"`
	Iat   int64  `json:"iat,omitempty"`
}

// consumerClaims is the payload of a ConsumerJWS. It has no exp: these never expire.
type consumerClaims struct {
	AccountID     string `json:"account_id"`
	ExtConsumerID string `json:"ext_consumer_id"`
	LPConsumerID  string `json:"lp_consumer_id"`
}

type tokenHeader struct {
	Kid string `json:"kid"`
	Typ string `json:"typ"`
	Alg string `json:"alg"`
}

// sign makes a compact RS256 JWS. The header has LivePerson's order of members.
func sign(kid string, claims any) string {
	header, _ := json.Marshal(tokenHeader{kid, "JWT", "RS256"})
	payload, err := json.Marshal(claims)
	if err != nil {
		panic("lpsim: claims: " + err.Error())
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(nil, signingKey(), crypto.SHA256, sum[:])
	if err != nil {
		panic("lpsim: sign: " + err.Error())
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

// open checks a token's signature and reads its payload.
func open(token string, claims any) bool {
	signed, signature, ok := cutLast(token, ".")
	header, payload, ok2 := strings.Cut(signed, ".")
	if !ok || !ok2 {
		return false
	}
	var h tokenHeader
	if !decodeSegment(header, &h) || h.Alg != "RS256" {
		return false
	}
	mac, err := base64.RawURLEncoding.DecodeString(signature)
	sum := sha256.Sum256([]byte(signed))
	if err != nil || rsa.VerifyPKCS1v15(&signingKey().PublicKey, crypto.SHA256, sum[:], mac) != nil {
		return false
	}
	return decodeSegment(payload, claims)
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

func decodeSegment(segment string, v any) bool {
	data, err := base64.RawURLEncoding.DecodeString(segment)
	return err == nil && json.Unmarshal(data, v) == nil
}

// appToken is what is known of an AppJWT once its signature was checked.
type appToken struct {
	claims    AppClaims
	forgotten atomic.Bool
}

// tokens remembers every token seen, so that a busy SEND costs a map look-up and not an RSA operation.
type tokens struct {
	app     *installation
	clients *clients

	mu        sync.RWMutex
	apps      map[string]*appToken
	consumers map[string]consumerClaims
	issued    map[consumerClaims]string
}

func newTokens(app *installation, c *clients) *tokens {
	return &tokens{
		app: app, clients: c, apps: map[string]*appToken{}, consumers: map[string]consumerClaims{}, issued: map[consumerClaims]string{},
	}
}

// issueApp makes an AppJWT. A token forgotten within its own second would come out the same, so iat steps back
// until the token is one that still counts.
func (t *tokens) issueApp(kid, clientID string, life time.Duration) string {
	for iat := t.app.Now().Unix(); ; iat-- {
		claims := AppClaims{t.app.Account, clientID, "msg.consumer", "Sentinel", iat + int64(life/time.Second), iat}
		token := sign(kid, claims)
		if known := t.known(token); known != nil && !known.forgotten.Load() {
			return token
		}
	}
}

// known looks an AppJWT up, checking its signature the first time; nil means it was never ours.
func (t *tokens) known(token string) *appToken {
	t.mu.RLock()
	known := t.apps[token]
	t.mu.RUnlock()
	if known != nil {
		return known
	}
	known = &appToken{}
	if !open(token, &known.claims) {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if earlier := t.apps[token]; earlier != nil {
		return earlier
	}
	if len(t.apps) >= maxTokens {
		clear(t.apps)
	}
	t.apps[token] = known
	return known
}

// issueConsumer makes the ConsumerJWS of a consumer, the same one every time.
func (t *tokens) issueConsumer(extConsumerID, clientID string) string {
	claims := consumerClaims{t.app.Account, extConsumerID, t.app.consumerID(extConsumerID, clientID)}
	t.mu.RLock()
	token := t.issued[claims]
	t.mu.RUnlock()
	if token != "" {
		return token
	}
	token = sign(staticKeyID, claims)
	t.remember(token, claims)
	return token
}

func (t *tokens) remember(token string, claims consumerClaims) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.consumers) >= maxTokens {
		clear(t.consumers)
		clear(t.issued)
	}
	t.consumers[token] = claims
	t.issued[claims] = token
}

// consumer is who a ConsumerJWS speaks for.
func (t *tokens) consumer(token string) (consumerClaims, bool) {
	t.mu.RLock()
	claims, ok := t.consumers[token]
	t.mu.RUnlock()
	if ok {
		return claims, true
	}
	if !open(token, &claims) || claims.LPConsumerID == "" || claims.AccountID != t.app.Account {
		return consumerClaims{}, false
	}
	t.remember(token, claims)
	return claims, true
}

// forgetApps makes every AppJWT so far one that no longer counts.
func (t *tokens) forgetApps() {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, token := range t.apps {
		token.forgotten.Store(true)
	}
}

// consumerID derives lp_consumer_id, which an app takes part in if it is given. LivePerson's own derivation is unknown;
// it is as deterministic as this one.
func (i *installation) consumerID(extConsumerID, clientID string) string {
	text := i.Account + ":" + extConsumerID
	if clientID != "" {
		text = i.Account + ":" + clientID + ":" + extConsumerID
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}
