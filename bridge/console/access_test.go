package console

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

const (
	adminToken   = "an-admin-token-of-the-test"
	metricsToken = "a-metrics-token-of-the-test"
)

// withTokens is a console that asks who somebody is.
func withTokens(admin, metrics string) func(*Options) {
	return func(o *Options) { o.AdminToken, o.MetricsToken = admin, metrics }
}

// TestWhoMayAskForWhat: every kind of path by every kind of caller.
func TestWhoMayAskForWhat(t *testing.T) {
	paths := []struct{ method, path, body string }{
		{"GET", "/healthz", ""}, {"GET", "/readyz", ""}, {"GET", "/", ""}, {"GET", "/console.js", ""},
		{"GET", "/metrics", ""}, {"GET", "/status", ""}, {"GET", "/deadletters", ""}, {"DELETE", "/deadletters/5", ""},
		{"POST", "/deadletters/replay", `{"all":true}`}, {"GET", "/debug/pprof/", ""}, {"GET", "/nothing", ""},
	}
	for _, test := range []struct {
		name           string
		admin, metrics string
		authorization  string
		want           string // a status for each of the paths
	}{
		{"no login", "", "", "", "200 200 200 200 200 200 200 200 200 200 404"},
		{"no login but for metrics", "", metricsToken, "", "200 200 200 200 401 200 200 200 200 200 404"},
		{"a stranger", adminToken, metricsToken, "", "200 200 200 200 401 401 401 401 401 401 401"},
		{"a wrong token", adminToken, metricsToken, "Bearer " + adminToken + "x", "200 200 200 200 401 401 401 401 401 401 401"},
		{"another scheme", adminToken, "", "Basic " + adminToken, "200 200 200 200 401 401 401 401 401 401 401"},
		{"an empty token", adminToken, "", "Bearer ", "200 200 200 200 401 401 401 401 401 401 401"},
		{"who reads metrics", adminToken, metricsToken, "Bearer " + metricsToken, "200 200 200 200 200 403 403 403 403 403 403"},
		{"an operator", adminToken, metricsToken, "bearer " + adminToken, "200 200 200 200 200 200 200 200 200 200 404"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, p := range paths {
				c, _, _ := setup(t, fourLetters(), withTokens(test.admin, test.metrics), func(o *Options) { o.Profiles = true })
				resp := request(c, p.method, p.path, p.body, "Authorization", test.authorization)
				got = append(got, fmt.Sprint(resp.StatusCode))
				if (resp.StatusCode == 401) != (resp.Header.Get("WWW-Authenticate") != "") {
					t.Errorf("%s: WWW-Authenticate of a %d is %q", p.path, resp.StatusCode, resp.Header.Get("WWW-Authenticate"))
				}
			}
			if all := strings.Join(got, " "); all != test.want {
				t.Errorf("answers\n %s, want\n %s", all, test.want)
			}
		})
	}
}

// TestReadinessTellsStrangersNoReasons: what an error says of the machine is for operators.
func TestReadinessTellsStrangersNoReasons(t *testing.T) {
	c, _, _ := setup(t, fourLetters(), withTokens(adminToken, ""), func(o *Options) { o.Bridge = &runningBridge{ready: func(context.Context) error { return errDisk }} })
	for authorization, want := range map[string]bool{"": false, "Bearer " + adminToken: true} {
		resp := request(c, "GET", "/readyz", "", "Authorization", authorization)
		if body := bodyOf(t, resp); resp.StatusCode != 503 || strings.Contains(body, errDisk.Error()) != want {
			t.Errorf("with %q: %d %s", authorization, resp.StatusCode, body)
		}
	}
	if body := bodyOf(t, request(c, "GET", "/readyz", "")); !strings.Contains(body, `"name":"bridge"`) {
		t.Errorf("a second stranger: %s", body)
	}
}

func login(c http.Handler, token string, headers ...string) *http.Response {
	return request(c, "POST", "/login", fmt.Sprintf(`{"token":%q}`, token), headers...)
}

// sessionOf is the cookie a login set.
func sessionOf(t *testing.T, resp *http.Response) *http.Cookie {
	t.Helper()
	if resp.StatusCode != http.StatusNoContent || len(resp.Cookies()) != 1 {
		t.Fatalf("login answered %d with cookies %v: %s", resp.StatusCode, resp.Cookies(), bodyOf(t, resp))
	}
	return resp.Cookies()[0]
}

func TestLogin(t *testing.T) {
	c, _, logged := setup(t, fourLetters(), withTokens(adminToken, metricsToken))
	for token, want := range map[string]int{"": 400, "wrong": 401, metricsToken: 401} {
		if resp := login(c, token); resp.StatusCode != want || len(resp.Cookies()) != 0 {
			t.Errorf("%q: answered %d with cookies %v", token, resp.StatusCode, resp.Cookies())
		}
	}
	if resp := login(c, adminToken, "Sec-Fetch-Site", "cross-site"); resp.StatusCode != 403 {
		t.Errorf("a page elsewhere logged in: %d", resp.StatusCode)
	}
	cookie := sessionOf(t, login(c, adminToken))
	if !cookie.HttpOnly || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.MaxAge != int(sessionLife/time.Second) {
		t.Errorf("the cookie is %v", cookie)
	}
	if strings.Contains(cookie.Value, adminToken) || strings.Contains(logged.String(), adminToken) || strings.Contains(logged.String(), cookie.Value) {
		t.Error("a secret is shown")
	}
	status := func() int { return request(c, "GET", "/status", "", "Cookie", cookie.String()).StatusCode }
	if got := status(); got != 200 {
		t.Errorf("with its session: %d", got)
	}
	if got := request(c, "DELETE", "/deadletters/5", "", "Cookie", cookie.String(), "Sec-Fetch-Site", "cross-site").StatusCode; got != 403 {
		t.Errorf("a page elsewhere with the session: %d", got)
	}
	if got := request(c, "GET", "/status", "", "Cookie", cookie.Name+"=other").StatusCode; got != 401 {
		t.Errorf("with a session of nobody: %d", got)
	}
	out := request(c, "POST", "/logout", "", "Cookie", cookie.String())
	if out.StatusCode != http.StatusNoContent || len(out.Cookies()) != 1 || out.Cookies()[0].MaxAge >= 0 {
		t.Errorf("logout answered %d with %v", out.StatusCode, out.Cookies())
	}
	if got := status(); got != 401 {
		t.Errorf("after logging out: %d", got)
	}
}

// TestSessionsOfAFormerTokenEnd: who had the old token has to have the new one.
func TestSessionsOfAFormerTokenEnd(t *testing.T) {
	c, _, _ := setup(t, fourLetters(), withTokens(adminToken, ""))
	cookie := sessionOf(t, login(c, adminToken))
	status := func() int { return request(c, "GET", "/status", "", "Cookie", cookie.String()).StatusCode }
	c.SetTokens(adminToken, metricsToken)
	if got := status(); got != 200 {
		t.Errorf("the token is the same and the session answers %d", got)
	}
	c.SetTokens("another-token-of-the-test", metricsToken)
	if got := status(); got != 401 {
		t.Errorf("the token is another and the session answers %d", got)
	}
}

func TestSessionsEndAndAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := setup(t, fourLetters(), withTokens(adminToken, ""))
		first := sessionOf(t, login(c, adminToken))
		status := func(cookie *http.Cookie) int {
			return request(c, "GET", "/status", "", "Cookie", cookie.String()).StatusCode
		}
		for range mostSessions - 1 {
			sessionOf(t, login(c, adminToken))
		}
		if got := status(first); got != 200 {
			t.Errorf("the first of as many as may be: %d", got)
		}
		last := sessionOf(t, login(c, adminToken))
		if got := status(first); got != 401 {
			t.Errorf("the first of one too many: %d", got)
		}
		time.Sleep(sessionLife - time.Second)
		if got := status(last); got != 200 {
			t.Errorf("shortly before its end: %d", got)
		}
		time.Sleep(time.Second)
		if got := status(last); got != 401 {
			t.Errorf("after its end: %d", got)
		}
	})
}

// TestCookieOverTLS: the prefix makes browsers refuse a cookie of this name that
// another host or plain http sets.
func TestCookieOverTLS(t *testing.T) {
	c, _, _ := setup(t, fourLetters(), withTokens(adminToken, ""))
	r := httptest.NewRequest("POST", "/login", strings.NewReader(`{"token":"`+adminToken+`"}`))
	r.Host, r.TLS = "127.0.0.1", &tls.ConnectionState{}
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	c.ServeHTTP(w, r)
	if cookie := sessionOf(t, w.Result()); !cookie.Secure || !strings.HasPrefix(cookie.Name, "__Host-") {
		t.Errorf("the cookie is %v", cookie)
	}
}

// TestGuessing: who is wrong too often has to wait, also with the right token,
// and nobody else has to.
func TestGuessing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := setup(t, fourLetters(), withTokens(adminToken, ""))
		ask := func(from, token string) int {
			r := httptest.NewRequest("GET", "/status", nil)
			r.Host, r.RemoteAddr = "127.0.0.1", from
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			c.ServeHTTP(w, r)
			if w.Code == 429 && w.Header().Get("Retry-After") == "" {
				t.Error("a 429 does not say when")
			}
			return w.Code
		}
		for n := range guessesAtOnce {
			if got := ask("[2001:db8::1]:1", "wrong"); got != 401 {
				t.Fatalf("guess %d: %d", n, got)
			}
		}
		for from, want := range map[string]int{"[2001:db8::1]:2": 429, "[2001:db8::2]:1": 429, "[2001:db8:1::1]:1": 200, "10.0.0.7:1": 200} {
			if got := ask(from, adminToken); got != want {
				t.Errorf("from %s: %d, want %d", from, got, want)
			}
		}
		time.Sleep(guessEvery)
		if got := ask("[2001:db8::1]:3", adminToken); got != 200 {
			t.Errorf("after the wait: %d", got)
		}
		for n := range 3 * mostGuessers {
			ask(fmt.Sprintf("10.1.%d.%d:1", n/256, n%256), "wrong")
		}
		if n := len(c.access.guesses.of); n > mostGuessers {
			t.Errorf("%d guessers are remembered", n)
		}
	})
}
