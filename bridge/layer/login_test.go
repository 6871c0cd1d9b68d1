package layer

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"
)

func TestLogin(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	if strings.Trim(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
		t.Error("the token does not fit a URL as it is")
	}
	me := w.must(200, token, "GET", "/identities/consumer-1", "")
	want := map[string]any{
		"id": "layer:///identities/consumer-1", "url": testBase + "/identities/consumer-1", "user_id": "consumer-1",
		"display_name": "Ana Suite", "avatar_url": nil, "first_name": "Ana", "last_name": "Suite", "phone_number": nil,
		"email_address": "ana@suite.example", "public_key": nil, "metadata": map[string]any{}, "identity_type": "user", "type": "user",
	}
	if diff := cmp.Diff(want, me.body); diff != "" {
		t.Errorf("identity (-want +got):\n%s", diff)
	}
	if w.must(204, token, "DELETE", "/sessions/"+token, "").body != nil {
		t.Error("logout has a body")
	}
	w.must(401, token, "GET", "/identities/consumer-1", "")
}

func TestIdentityTokens(t *testing.T) {
	other, err := rsa.GenerateKey(rand.Reader, minKeyBits)
	if err != nil {
		t.Fatal(err)
	}
	public := x509.MarshalPKCS1PublicKey(&providerKey().PublicKey)
	w := newWorld(t)
	used := w.nonce()
	w.must(201, "", "POST", "/sessions", sessionRequest(sign(t, claimsOf("first", used))))
	with := func(key string, value any) func(jwt.MapClaims) { return func(c jwt.MapClaims) { c[key] = value } }
	without := func(key string) func(jwt.MapClaims) { return func(c jwt.MapClaims) { delete(c, key) } }
	method := func(m jwt.SigningMethod, kid string, key any) func(jwt.MapClaims) string {
		return func(c jwt.MapClaims) string {
			token := jwt.NewWithClaims(m, c)
			token.Header["kid"] = kid
			signed, err := token.SignedString(key)
			if err != nil {
				t.Fatal(err)
			}
			return signed
		}
	}
	for _, tc := range []struct {
		name   string
		change func(jwt.MapClaims)
		sign   func(jwt.MapClaims) string
		status int
	}{
		{name: "good", status: 201},
		{name: "expired a little", change: with("exp", time.Now().Add(-30*time.Second).Unix()), status: 201},
		{name: "expired", change: with("exp", time.Now().Add(-time.Hour).Unix()), status: 422},
		{name: "no expiry", change: without("exp"), status: 422},
		{name: "issued in a future", change: with("iat", time.Now().Add(time.Hour).Unix()), status: 201},
		{name: "no nonce", change: without("nce"), status: 422},
		{name: "foreign nonce", change: with("nce", strings.Repeat("A", 54)), status: 422},
		{name: "used nonce", change: with("nce", used), status: 422},
		{name: "no user", change: without("prn"), status: 422},
		{name: "user of another type", change: with("prn", 7), status: 422},
		{name: "long user", change: with("prn", strings.Repeat("u", maxUserID+1)), status: 422},
		{name: "the agent", change: with("prn", "agent"), status: 422},
		{name: "another agent", change: with("prn", "agent:00000000"), status: 422},
		{name: "another provider", change: with("iss", prefixProvider+"other"), status: 422},
		{name: "long claim", change: with("display_name", strings.Repeat("n", maxProfileField+1)), status: 422},
		{name: "foreign key", sign: method(jwt.SigningMethodRS256, prefixKey+testKeyID, other), status: 422},
		{name: "unknown key id", sign: method(jwt.SigningMethodRS256, prefixKey+"other", providerKey()), status: 422},
		{name: "public key as secret", sign: method(jwt.SigningMethodHS256, prefixKey+testKeyID, public), status: 422},
		{name: "not signed", sign: method(jwt.SigningMethodNone, prefixKey+testKeyID, jwt.UnsafeAllowNoneSignatureType), status: 422},
		{name: "another algorithm", sign: method(jwt.SigningMethodRS512, prefixKey+testKeyID, providerKey()), status: 422},
		{name: "no token at all", sign: func(jwt.MapClaims) string { return "a.b.c" }, status: 422},
	} {
		t.Run(tc.name, func(t *testing.T) {
			claims := claimsOf("consumer-1", w.nonce())
			if tc.change != nil {
				tc.change(claims)
			}
			token := ""
			if tc.sign != nil {
				token = tc.sign(claims)
			} else {
				token = sign(t, claims)
			}
			a := w.send("", "POST", "/sessions", sessionRequest(token))
			if a.status != tc.status {
				t.Fatalf("status %d, want %d: %v", a.status, tc.status, a.body)
			}
			if tc.status != 201 && (a.has("id") != "invalid_property" || a.has("code") != 105.0 || a.has("data", "property") != "identity_token") {
				t.Errorf("refused with %v", a.body)
			}
		})
	}
}

func TestAppIDs(t *testing.T) {
	for _, tc := range []struct {
		name, app string
		status    int
	}{
		{"configured", testApp, 201},
		{"last part is configured", "layer:///apps/production/sandbox", 201},
		{"another", "layer:///apps/staging/other", 403},
		{"only the beginning", "layer:///apps/staging/", 403},
		{"none", "", 422},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.AppIDs = append(c.AppIDs, "sandbox") })
			body := sessionRequestFor(tc.app, sign(t, claimsOf("consumer-1", w.nonce())))
			w.must(tc.status, "", "POST", "/sessions", body)
		})
	}
}

func TestNonceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		early, late := w.nonce(), w.nonce()
		time.Sleep(nonceLife - time.Second)
		w.must(201, "", "POST", "/sessions", sessionRequest(sign(t, claimsOf("consumer-1", early))))
		time.Sleep(time.Second)
		w.must(422, "", "POST", "/sessions", sessionRequest(sign(t, claimsOf("consumer-1", late))))
		w.stop()
	})
}

func TestNonceOfAnotherInstallationIsRefused(t *testing.T) {
	nonce := newWorld(t).nonce()
	newWorld(t).must(422, "", "POST", "/sessions", sessionRequest(sign(t, claimsOf("consumer-1", nonce))))
}

func TestNonceOutlivesRestart(t *testing.T) {
	w := newWorld(t)
	nonce := w.nonce()
	w.stop()
	again := startWorld(t, w.core, testConfig())
	again.must(201, "", "POST", "/sessions", sessionRequest(sign(t, claimsOf("consumer-1", nonce))))
}

func TestSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.login("consumer-1")
		a := w.connect(token, "layer-3.0")
		time.Sleep(time.Hour - time.Second)
		go func() {
			for {
				if _, _, err := a.ws.Read(t.Context()); err != nil {
					return
				}
			}
		}()
		w.must(200, token, "GET", "/?action=validateConnectionForWebsocket&client=4.0.6", "")
		time.Sleep(2 * time.Second)
		refused := w.must(401, token, "GET", "/?action=validateConnectionForWebsocket&client=4.0.6", "")
		if refused.has("id") != "authentication_required" || refused.has("code") != 4.0 {
			t.Errorf("refused with %v", refused.body)
		}
		nonce, _ := refused.has("data", "nonce").(string)
		w.must(201, "", "POST", "/sessions", sessionRequest(sign(t, claimsOf("consumer-1", nonce))))
		if n := w.known(); n != 0 {
			t.Errorf("%d users are still connected", n)
		}
		w.stop()
	})
}

func TestAuthorization(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	for _, tc := range []struct {
		name, header string
		status       int
	}{
		{"double quotes", `Layer session-token="` + token + `"`, 200},
		{"single quotes", `Layer session-token='` + token + `'`, 200},
		{"no quotes", `Layer session-token=` + token, 401},
		{"another scheme", `Bearer ` + token, 401},
		{"another token", `Layer session-token="other"`, 401},
		{"empty token", `Layer session-token=""`, 401},
		{"none", "", 401},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := w.must(tc.status, "", "GET", "/conversations", "", "Authorization", tc.header)
			if tc.status == 401 && a.has("data", "nonce") == nil {
				t.Error("no nonce for the next login")
			}
		})
	}
}

func TestSandbox(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.SandboxIdentities, c.ProviderKeys = true, nil })
	a := w.must(200, "", "POST", "/sandbox/identity_token", `{"nonce":"`+w.nonce()+`","user_id":"ana"}`)
	token, _ := a.has("identity_token").(string)
	session, _ := w.must(201, "", "POST", "/sessions", sessionRequest(token)).has("session_token").(string)
	if w.must(200, session, "GET", "/identities/ana", "").has("display_name") != "ana" {
		t.Error("the name is missing")
	}
	w.must(422, "", "POST", "/sandbox/identity_token", `{"user_id":"ana"}`)
	if !strings.Contains(w.log.String(), "LAYER_SANDBOX_IDENTITIES") {
		t.Error("nothing was said at start")
	}
	newWorld(t).must(404, "", "POST", "/sandbox/identity_token", `{"nonce":"n","user_id":"ana"}`)
}
