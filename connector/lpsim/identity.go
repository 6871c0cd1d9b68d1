package lpsim

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

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
func (t *tokens) authenticate(c *call, api API) (consumerClaims, *authError) {
	if c.path[2] == "" {
		return consumerClaims{}, c.deny(errParameter, "the path names no account")
	}
	if err := t.checkApp(c, api); err != nil {
		return consumerClaims{}, err
	}
	token := bareToken(c, "X-Lp-On-Behalf")
	if token == "" {
		return consumerClaims{}, c.deny(errConsumerMissing, "there is no X-LP-ON-BEHALF header")
	}
	claims, ok := t.consumer(token)
	if !ok {
		return consumerClaims{}, c.deny(errConsumerInvalid, "X-LP-ON-BEHALF is no ConsumerJWS of this account; tokens go without Bearer")
	}
	return claims, nil
}

func (t *tokens) checkApp(c *call, api API) *authError {
	token := bareToken(c, "Authorization")
	if token == "" {
		return c.deny(errAppMissing, "there is no Authorization header")
	}
	app := t.known(token)
	if app == nil {
		return c.deny(errAppInvalid, "Authorization is no AppJWT of this simulator; tokens go without Bearer")
	}
	if c.faults.draw(rollUnauthorized, api, c.faults.UnauthorizedRate.of(api)) {
		app.forgotten.Store(true)
	}
	claims := app.claims
	if !strings.EqualFold(claims.Iss, "sentinel") || claims.Aud == "" || claims.Azp == "" || claims.Exp == 0 {
		return c.deny(errAppClaims, "the AppJWT lacks iss, aud, azp or exp")
	}
	if claims.Aud != t.app.Account || claims.Aud != c.path[2] || claims.Exp <= t.app.Now().Unix() || app.forgotten.Load() {
		return c.deny(errAppInvalid, "the AppJWT has expired, was forgotten, or is of another account")
	}
	switch client := t.clients.find(claims.Azp); {
	case client == nil:
		return c.deny(errAppInvalid, "the AppJWT's app is not installed")
	case !client.enabled.Load() && c.faults.DisabledAppTokens == "reject":
		return c.deny(errAppInvalid, "the AppJWT's app is disabled; see disabledAppTokens")
	}
	return nil
}

// findApp finds the app whose part in lp_consumer_id a call asks for, empty if apps take none.
func (t *tokens) findApp(c *call) string {
	if !c.faults.IdentityIncludesApp {
		return ""
	}
	return t.known(bareToken(c, "Authorization")).claims.Azp
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
func (t *tokens) sentinel(c *call) answer {
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
	return t.exchange(c, account, kid)
}

// exchange answers a call for an AppJWT.
func (t *tokens) exchange(c *call, account, kid string) answer {
	contentType := c.Header.Get("Content-Type")
	if len(c.body) > 0 && !strings.HasPrefix(contentType, "application/x-www-form-urlencoded") {
		return oauthError(c, http.StatusBadRequest, "invalid_request")
	}
	form, err := url.ParseQuery(string(c.body))
	if err != nil {
		return oauthError(c, http.StatusBadRequest, "invalid_request")
	}
	for name, values := range c.URL.Query() {
		form[name] = append(form[name], values...)
	}
	switch {
	case kid == staticKeyID && form.Get("v") != "1.0":
		return oauthError(c, http.StatusBadRequest, "invalid_request")
	case form.Get("grant_type") == "":
		return oauthError(c, http.StatusBadRequest, "invalid_request")
	case form.Get("grant_type") != "client_credentials":
		return oauthError(c, http.StatusBadRequest, "unsupported_grant_type")
	}
	client := t.clients.find(form.Get("client_id"))
	switch {
	case account != t.app.Account || client == nil || !client.enabled.Load() || form.Get("client_secret") != client.secret:
		return oauthError(c, c.faults.OAuthErrorStatus, "invalid_client")
	case !t.clients.mayHaveTokens(client):
		return oauthError(c, http.StatusBadRequest, "unauthorized_client")
	}
	token := t.issueApp(kid, client.id, time.Duration(c.faults.AppJWTSeconds)*time.Second)
	return jsonAnswer(http.StatusOK, []byte(`{"access_token":"`+token+`","token_type":"Bearer"}`))
}

func oauthError(c *call, status int, code string) answer {
	c.because(map[string]string{
		"invalid_request":        "v=1.0, grant_type, or a form body is missing",
		"unsupported_grant_type": "grant_type is not client_credentials",
		"invalid_client":         "account, client_id and client_secret are not those of an installed app that is enabled",
		"unauthorized_client":    "grant_types of the app's installation lack client_credentials",
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
func (t *tokens) idp(c *call) answer {
	form := c.faults.IDPErrorForm
	if t.checkApp(c, IDPAPI) != nil {
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
	token := t.issueConsumer(*body.ExtConsumerID, t.findApp(c))
	return jsonAnswer(http.StatusCreated, []byte(`{"token":`+strconv.Quote(token)+`}`))
}

func isJSON(c *call) bool { return strings.HasPrefix(c.Header.Get("Content-Type"), "application/json") }
