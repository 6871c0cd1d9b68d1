package lpsim_test

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"math/big"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/connector/lpsim"
)

func payload(t testing.TB, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	data, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(data, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestSentinelTakesItsParametersInAllDocumentedPlaces(t *testing.T) {
	w := start(t, lpsim.Config{})
	const path = "/sentinel/api/account/sandbox/app/token"
	const secrets = "client_id=sandbox-client&client_secret=sandbox-secret"
	for name, test := range map[string]struct {
		path, body string
		status     int
	}{
		"A":                   {path + "?v=1.0&grant_type=client_credentials", secrets, 200},
		"B":                   {path + "?v=1.0", secrets + "&grant_type=client_credentials", 200},
		"C":                   {path + "?v=1.0&grant_type=client_credentials&" + secrets, "", 200},
		"V2":                  {"/sentinel/api/v2/account/sandbox/app/token", secrets + "&grant_type=client_credentials", 200},
		"no version":          {path, secrets + "&grant_type=client_credentials", 400},
		"no grant type":       {path + "?v=1.0", secrets, 400},
		"another grant type":  {path + "?v=1.0", secrets + "&grant_type=password", 400},
		"a wrong secret":      {path + "?v=1.0&grant_type=client_credentials", "client_id=sandbox-client&client_secret=guess", 401},
		"another account":     {"/sentinel/api/account/other/app/token?v=1.0&grant_type=client_credentials", secrets, 401},
		"without /sentinel":   {"/api/account/sandbox/app/token?v=1.0", secrets, 404},
		"an unknown resource": {"/sentinel/api/account/sandbox/token?v=1.0", secrets, 404},
	} {
		t.Run(name, func(t *testing.T) {
			if r := w.do("POST", test.path, test.body, "Content-Type", formType); r.status != test.status {
				t.Errorf("answer %d %s, want %d", r.status, r.text, test.status)
			}
		})
	}
	want(t, "JSON body", w.do("POST", path+"?v=1.0", `{"client_id":"x"}`).status, 400)
	want(t, "GET", w.do("GET", path+"?v=1.0", "").status, 405)
}

func TestAppJWT(t *testing.T) {
	w := start(t, lpsim.Config{})
	claims := payload(t, w.appJWT())
	want(t, "life", claims["exp"].(float64)-claims["iat"].(float64), 3600.0)
	delete(claims, "exp")
	delete(claims, "iat")
	if !maps.Equal(claims, map[string]any{"aud": "sandbox", "azp": "sandbox-client", "scope": "msg.consumer", "iss": "Sentinel"}) {
		t.Errorf("claims %v", claims)
	}
	keys := w.do("GET", "/sentinel/well-known/jwks", "")
	n, _ := base64.RawURLEncoding.DecodeString(keys.field(t, "keys.0.n").(string))
	e, _ := base64.RawURLEncoding.DecodeString(keys.field(t, "keys.0.e").(string))
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	i := strings.LastIndex(w.app, ".")
	mac, _ := base64.RawURLEncoding.DecodeString(w.app[i+1:])
	sum := sha256.Sum256([]byte(w.app[:i]))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], mac); err != nil {
		t.Errorf("published key does not verify the token: %v", err)
	}
}

func TestConsumerJWSNamesTheConsumerAndNeverExpires(t *testing.T) {
	w := start(t, lpsim.Config{})
	sum := sha256.Sum256([]byte("sandbox:ana"))
	wanted := map[string]any{"account_id": "sandbox", "ext_consumer_id": "ana", "lp_consumer_id": hex.EncodeToString(sum[:])}
	token := w.consumerJWS("ana")
	if got := payload(t, token); !maps.Equal(got, wanted) {
		t.Errorf("claims %v, want %v", got, wanted)
	}
	want(t, "same again", w.consumerJWS("ana"), token)
	want(t, "in Go", w.sim.ConsumerID("ana"), hex.EncodeToString(sum[:]))
	for name, body := range map[string]string{"missing": `{}`, "empty": `{"ext_consumer_id":""}`, "a number": `{"ext_consumer_id":1}`, "no JSON": `x`} {
		want(t, name, w.do("POST", "/api/account/sandbox/consumer?v=1.0", body, "Authorization", w.appJWT()).status, 400)
	}
	want(t, "no AppJWT", w.do("POST", "/api/account/sandbox/consumer?v=1.0", `{"ext_consumer_id":"a"}`).status, 401)
}

func TestEveryMessagingCallChecksBothTokens(t *testing.T) {
	w := start(t, lpsim.Config{})
	jws, now := w.consumerJWS("ana"), time.Now().Unix()
	good := lpsim.AppClaims{Aud: "sandbox", Azp: "sandbox-client", Iss: "Sentinel", Exp: now + 60, Iat: now}
	change := func(edit func(*lpsim.AppClaims)) string {
		claims := good
		edit(&claims)
		return w.sim.SignAppJWT(claims)
	}
	for name, test := range map[string]struct {
		app, jws     string
		status, code int
		title        string
	}{
		"no AppJWT":           {"", jws, 401, 40105, "AppJWT is missing"},
		"AppJWT with Bearer":  {"Bearer " + w.appJWT(), jws, 401, 40102, "Invalid AppJWT"},
		"forged AppJWT":       {w.appJWT()[:len(w.appJWT())-8] + "AAAAAAAA", jws, 401, 40102, "Invalid AppJWT"},
		"expired":             {change(func(c *lpsim.AppClaims) { c.Exp = now - 1 }), jws, 401, 40102, "Invalid AppJWT"},
		"of another account":  {change(func(c *lpsim.AppClaims) { c.Aud = "other" }), jws, 401, 40102, "Invalid AppJWT"},
		"of another app":      {change(func(c *lpsim.AppClaims) { c.Azp = "other" }), jws, 401, 40102, "Invalid AppJWT"},
		"without issuer":      {change(func(c *lpsim.AppClaims) { c.Iss = "" }), jws, 400, 40001, "Missing parameter"},
		"of another issuer":   {change(func(c *lpsim.AppClaims) { c.Iss = "idp" }), jws, 400, 40001, "Missing parameter"},
		"no ConsumerJWS":      {w.appJWT(), "", 401, 40104, "ConsumerJWS is missing"},
		"invalid ConsumerJWS": {w.appJWT(), "x.y.z", 401, 40103, "Invalid ConsumerJWS"},
		"AppJWT as consumer":  {w.appJWT(), w.appJWT(), 401, 40103, "Invalid ConsumerJWS"},
	} {
		for _, path := range []string{sendPath, createPath} {
			t.Run(name, func(t *testing.T) {
				r := w.do("POST", path, batch, "Authorization", test.app, "X-LP-ON-BEHALF", test.jws)
				want(t, "status", r.status, test.status)
				want(t, "kind", r.field(t, "kind"), any("resp"))
				want(t, "type", r.field(t, "type"), any(".ReqBody$ErrorResp"))
				want(t, "code", r.field(t, "code"), any(float64(test.status)))
				want(t, "errorCode", r.field(t, "body.errorCode"), any(float64(test.code)))
				want(t, "title", r.field(t, "body.title"), any(test.title))
			})
		}
	}
	r := w.do("POST", strings.Replace(sendPath, "sandbox", "", 1), "{}", w.headers(jws)...)
	want(t, "no account", r.field(t, "body.errorCode"), any(40001.0))
	w.sim.SetFaults(lpsim.Faults{MissingAppJWTCode: 40104, BearerPrefix: "accept"})
	want(t, "the page's other code", w.do("POST", sendPath, "{}").field(t, "body.errorCode"), any(40104.0))
	want(t, "accepted prefix", w.do("POST", createPath, batch, "Authorization", "Bearer "+w.appJWT(), "X-LP-ON-BEHALF", "Bearer "+jws).status, 200)
}

func TestAnAppJWTExpiresAndAForgottenOneIsReplacedInTheSameSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startInside(t, lpsim.Config{})
		c := w.open("ana")
		time.Sleep(time.Hour - time.Second)
		want(t, "just before", c.say("x").status, 200)
		time.Sleep(2 * time.Second)
		want(t, "just after", c.say("x").field(t, "body.errorCode"), any(40102.0))
		for range 3 {
			old := w.app
			w.app = ""
			if w.appJWT() == old {
				t.Fatal("the forgotten token was issued again")
			}
			want(t, "new token", c.say("x").status, 200)
			w.sim.ForgetAppJWTs()
			want(t, "forgotten token", c.say("x").field(t, "body.errorCode"), any(40102.0))
		}
	})
}

func TestDomain(t *testing.T) {
	w := start(t, lpsim.Config{})
	host, _ := url.Parse(w.url)
	const base = "/api/account/sandbox/service/"
	list := w.do("GET", base+"baseURI.json?version=1.0", "")
	seen := map[string]bool{}
	for _, one := range list.field(t, "baseURIs").([]any) {
		entry := one.(map[string]any)
		seen[entry["service"].(string)] = entry["baseURI"] == host.Host && entry["account"] == "sandbox"
	}
	for _, service := range []string{"asyncMessagingEnt", "sentinel", "idp", "swift", "smt"} {
		want(t, service, seen[service], true)
		r := w.do("GET", base+service+"/baseURI.json?version=1.0", "")
		want(t, service+" alone", r.field(t, "baseURI"), any(host.Host))
	}
	want(t, "unknown service", w.do("GET", base+"Sentinel/baseURI.json?version=1.0", "").status, 404)
	want(t, "no version", w.do("GET", base+"baseURI.json", "").status, 400)
	want(t, "another account", w.do("GET", "/api/account/other/service/baseURI.json?version=1.0", "").status, 401)
	want(t, "POST", w.do("POST", base+"baseURI.json?version=1.0", "").status, 405)
	w.sim.SetFaults(lpsim.Faults{DomainSingleForm: "list", DomainUnknownService: "empty"})
	want(t, "single as list", w.do("GET", base+"idp/baseURI.json?version=1.0", "").field(t, "baseURIs.0.service"), any("idp"))
	want(t, "unknown as empty list", w.do("GET", base+"nothing/baseURI.json?version=1.0", "").status, 200)
}
