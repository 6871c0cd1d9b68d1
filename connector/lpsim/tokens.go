package lpsim

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
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
	account, clientID, clientSecret string
	now                             func() time.Time

	mu        sync.RWMutex
	apps      map[string]*appToken
	consumers map[string]consumerClaims
	issued    map[consumerClaims]string
}

func newTokens(c Config) *tokens {
	return &tokens{
		account: c.Account, clientID: c.ClientID, clientSecret: c.ClientSecret, now: c.Now,
		apps: map[string]*appToken{}, consumers: map[string]consumerClaims{}, issued: map[consumerClaims]string{},
	}
}

// issueApp makes an AppJWT. A token forgotten within its own second would come out the same, so iat steps back
// until the token is one that still counts.
func (t *tokens) issueApp(kid string, life time.Duration) string {
	for iat := t.now().Unix(); ; iat-- {
		claims := AppClaims{t.account, t.clientID, "msg.consumer", "Sentinel", iat + int64(life/time.Second), iat}
		token := sign(kid, claims)
		if known := t.app(token); known != nil && !known.forgotten.Load() {
			return token
		}
	}
}

// app looks a token up, checking its signature the first time; nil means it was never ours.
func (t *tokens) app(token string) *appToken {
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
func (t *tokens) issueConsumer(extConsumerID string, withApp bool) string {
	claims := consumerClaims{t.account, extConsumerID, t.consumerID(extConsumerID, withApp)}
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
	if !open(token, &claims) || claims.LPConsumerID == "" || claims.AccountID != t.account {
		return consumerClaims{}, false
	}
	t.remember(token, claims)
	return claims, true
}

// consumerID derives lp_consumer_id. LivePerson's own derivation is unknown; it is as deterministic as this one.
func (t *tokens) consumerID(extConsumerID string, withApp bool) string {
	text := t.account + ":" + extConsumerID
	if withApp {
		text = t.account + ":" + t.clientID + ":" + extConsumerID
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// ConsumerID is the lp_consumer_id of a consumer.
func (s *Sim) ConsumerID(extConsumerID string) string {
	return s.tokens.consumerID(extConsumerID, s.Faults().IdentityIncludesApp)
}

// SignAppJWT makes an AppJWT with any claims, signed with the right key, for tests of what LivePerson refuses.
func (s *Sim) SignAppJWT(claims AppClaims) string { return sign(staticKeyID, claims) }

// ForgetAppJWTs makes every AppJWT that was presented or issued until now invalid (40102).
func (s *Sim) ForgetAppJWTs() {
	s.tokens.mu.RLock()
	defer s.tokens.mu.RUnlock()
	for _, token := range s.tokens.apps {
		token.forgotten.Store(true)
	}
}

// authError is one row of LivePerson's table of authentication errors.
type authError struct {
	code           int
	title, details string
}

var (
	errParameter       = &authError{40001, "Missing parameter", "Brand Id is missing"}
	errAppClaims       = &authError{40001, "Missing parameter", "AppJWT claim is missing"}
	errAppInvalid      = &authError{40102, "Invalid AppJWT", "AppJWT has expired or is invalid"}
	errConsumerInvalid = &authError{40103, "Invalid ConsumerJWS", "ConsumerJWS is invalid"}
	errConsumerMissing = &authError{40104, "ConsumerJWS is missing", "X_ON_BEHALF_HEADER is not present"}
	errAppMissing      = &authError{40105, "AppJWT is missing", "AUTHORIZATION header is not present"}
)

func (e *authError) answer(f *inForce) answer {
	code, status := e.code, http.StatusUnauthorized
	switch e {
	case errAppMissing:
		code = f.MissingAppJWTCode
	case errParameter, errAppClaims:
		status = f.MissingParameterStatus
	}
	return errorAnswer(status, code, e.title, e.details)
}

func errorAnswer(status, code int, title, details string) answer {
	body, _ := json.Marshal(map[string]any{
		"kind": "resp", "code": status, "type": ".ReqBody$ErrorResp",
		"body": map[string]any{"title": title, "details": details, "errorCode": code},
	})
	return jsonAnswer(status, body)
}

// authenticate checks both tokens of a messaging call and tells who is speaking.
func (s *Sim) authenticate(c *call, api API) (consumerClaims, *authError) {
	if c.path[2] == "" {
		return consumerClaims{}, c.denied(errParameter, "the path names no account")
	}
	if err := s.checkApp(c, api); err != nil {
		return consumerClaims{}, err
	}
	token := bareToken(c, "X-Lp-On-Behalf")
	if token == "" {
		return consumerClaims{}, c.denied(errConsumerMissing, "there is no X-LP-ON-BEHALF header")
	}
	claims, ok := s.tokens.consumer(token)
	if !ok {
		return consumerClaims{}, c.denied(errConsumerInvalid, "X-LP-ON-BEHALF is no ConsumerJWS of this account; tokens go without Bearer")
	}
	return claims, nil
}

func (s *Sim) checkApp(c *call, api API) *authError {
	token := bareToken(c, "Authorization")
	if token == "" {
		return c.denied(errAppMissing, "there is no Authorization header")
	}
	app := s.tokens.app(token)
	if app == nil {
		return c.denied(errAppInvalid, "Authorization is no AppJWT of this simulator; tokens go without Bearer")
	}
	if c.faults.chance(rollUnauthorized, api, c.faults.UnauthorizedRate.of(api)) {
		app.forgotten.Store(true)
	}
	claims := app.claims
	if !strings.EqualFold(claims.Iss, "sentinel") || claims.Aud == "" || claims.Azp == "" || claims.Exp == 0 {
		return c.denied(errAppClaims, "the AppJWT lacks iss, aud, azp or exp")
	}
	if claims.Aud != s.config.Account || claims.Aud != c.path[2] || claims.Azp != s.config.ClientID ||
		claims.Exp <= s.config.Now().Unix() || app.forgotten.Load() {
		return c.denied(errAppInvalid, "the AppJWT has expired, was forgotten, or is of another account or app")
	}
	return nil
}

// bareToken reads a token header. LivePerson wants tokens raw; the prefix is cut only when the knob says so.
func bareToken(c *call, header string) string {
	token := c.Header.Get(header)
	if rest, ok := strings.CutPrefix(token, "Bearer "); ok && c.faults.BearerPrefix == "accept" {
		return rest
	}
	return token
}

// sentinel answers both versions of the token call and the key set.
func (s *Sim) sentinel(c *call) answer {
	account, kid := "", staticKeyID
	switch rest := c.path; {
	case c.URL.Path == "/sentinel/well-known/jwks":
		return keySet()
	case len(rest) == 6 && strings.HasSuffix(c.URL.Path, "/app/token") && rest[1] == "api" && rest[2] == "account":
		account = rest[3]
	case len(rest) == 7 && strings.HasSuffix(c.URL.Path, "/app/token") && rest[1] == "api" && rest[2] == "v2" && rest[3] == "account":
		account, kid = rest[4], rotatingKeyID
	default:
		return plainError(http.StatusNotFound)
	}
	if c.Method != http.MethodPost {
		return answer{status: http.StatusMethodNotAllowed, allow: "POST"}
	}
	return s.appToken(c, account, kid)
}

func (s *Sim) appToken(c *call, account, kid string) answer {
	contentType := c.Header.Get("Content-Type")
	if len(c.body) > 0 && !strings.HasPrefix(contentType, "application/x-www-form-urlencoded") {
		return s.oauthError(c, http.StatusBadRequest, "invalid_request")
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return s.oauthError(c, http.StatusBadRequest, "invalid_request")
	}
	for name, values := range c.URL.Query() {
		form[name] = append(form[name], values...)
	}
	switch {
	case kid == staticKeyID && form.Get("v") != "1.0":
		return s.oauthError(c, http.StatusBadRequest, "invalid_request")
	case form.Get("grant_type") == "":
		return s.oauthError(c, http.StatusBadRequest, "invalid_request")
	case form.Get("grant_type") != "client_credentials":
		return s.oauthError(c, http.StatusBadRequest, "unsupported_grant_type")
	case account != s.config.Account || form.Get("client_id") != s.config.ClientID || form.Get("client_secret") != s.config.ClientSecret:
		return s.oauthError(c, c.faults.OAuthErrorStatus, "invalid_client")
	}
	token := s.tokens.issueApp(kid, time.Duration(c.faults.AppJWTSeconds)*time.Second)
	return jsonAnswer(http.StatusOK, []byte(`{"access_token":"`+token+`","token_type":"Bearer"}`))
}

func (s *Sim) oauthError(c *call, status int, code string) answer {
	c.because(map[string]string{
		"invalid_request":        "v=1.0, grant_type, or a form body is missing",
		"unsupported_grant_type": "grant_type is not client_credentials",
		"invalid_client":         "account, client_id or client_secret is not that of the installation",
	}[code], pageAuth)
	return authServiceError(c.faults.OAuthErrorForm, status, code)
}

func authServiceError(form string, status int, code string) answer {
	if form == "internal" {
		return jsonAnswer(status, []byte(`{"internalErrorCode":"9007"}`))
	}
	return jsonAnswer(status, []byte(`{"error":"`+code+`"}`))
}

// keySet publishes the public key under both key ids.
func keySet() answer {
	key := signingKey().PublicKey
	n := base64.RawURLEncoding.EncodeToString(key.N.Bytes())
	e := base64.RawURLEncoding.EncodeToString(big.NewInt(int64(key.E)).Bytes())
	var keys []map[string]string
	for _, kid := range []string{rotatingKeyID, staticKeyID} {
		keys = append(keys, map[string]string{"kty": "RSA", "use": "sig", "alg": "RS256", "kid": kid, "n": n, "e": e})
	}
	body, _ := json.Marshal(map[string]any{"keys": keys})
	return jsonAnswer(http.StatusOK, body)
}

// idp exchanges an AppJWT and a consumer's name for a ConsumerJWS.
func (s *Sim) idp(c *call) answer {
	form := c.faults.IDPErrorForm
	if s.checkApp(c, IDPAPI) != nil {
		return authServiceError(form, http.StatusUnauthorized, "invalid_token")
	}
	var body struct {
		ExtConsumerID *string `json:"ext_consumer_id"`
	}
	if !isJSON(c) || c.URL.Query().Get("v") != "1.0" || json.Unmarshal(c.body, &body) != nil ||
		body.ExtConsumerID == nil || *body.ExtConsumerID == "" || len(*body.ExtConsumerID) > c.faults.ExtConsumerIDMax {
		c.because("v=1.0, Content-Type application/json, or an ext_consumer_id of a permitted length is missing", pageAuth)
		return authServiceError(form, http.StatusBadRequest, "invalid_request")
	}
	token := s.tokens.issueConsumer(*body.ExtConsumerID, c.faults.IdentityIncludesApp)
	return jsonAnswer(http.StatusCreated, []byte(`{"token":`+strconv.Quote(token)+`}`))
}

func isJSON(c *call) bool { return strings.HasPrefix(c.Header.Get("Content-Type"), "application/json") }

// services are those whose hosts the domain API knows (Domain API).
var services = []string{
	"asyncMessagingEnt", "sentinel", "idp", "swift", "smt", "messagingRestApiDomain", "accountConfigReadWrite",
	"agentVep", "msgHist", "mtlsGateway", "acCdnDomain", "liveEngageUI", "visitorFeed",
}

type baseURI struct {
	Service string `json:"service"`
	Account string `json:"account"`
	BaseURI string `json:"baseURI"`
}

// domain answers the list form and the one-service form.
func (s *Sim) domain(c *call) answer {
	rest := c.path[4:]
	if c.URL.Query().Get("version") != "1.0" {
		c.because("the query has no version=1.0", pageDomain)
		return plainError(http.StatusBadRequest)
	}
	if c.path[2] != s.config.Account {
		c.because("there is no such account", pageDomain)
		return plainError(http.StatusUnauthorized)
	}
	host := orElse(s.config.Host, c.Host)
	switch file := rest[len(rest)-1]; {
	case file != "baseURI.json" && file != "baseURI" || len(rest) > 2:
		return plainError(http.StatusNotFound)
	case len(rest) == 1:
		list := make([]baseURI, 0, len(services))
		for _, service := range services {
			list = append(list, baseURI{service, s.config.Account, host})
		}
		return domainList(list)
	}
	for _, service := range services {
		if service == rest[0] {
			return domainSingle(c.faults, baseURI{service, s.config.Account, host})
		}
	}
	c.because("the account has no such service", undocumented)
	switch c.faults.DomainUnknownService {
	case "400":
		return plainError(http.StatusBadRequest)
	case "empty":
		return domainList([]baseURI{})
	}
	return plainError(http.StatusNotFound)
}

func domainList(list []baseURI) answer {
	body, _ := json.Marshal(map[string]any{"baseURIs": list})
	return jsonAnswer(http.StatusOK, body)
}

func domainSingle(f *inForce, one baseURI) answer {
	if f.DomainSingleForm == "list" {
		return domainList([]baseURI{one})
	}
	body, _ := json.Marshal(one)
	return jsonAnswer(http.StatusOK, body)
}
