package console

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// replicaStub is a standby as a test says it is.
type replicaStub struct{ err error }

func (replicaStub) Reason() string { return "standby: another owns the journal" }
func (s replicaStub) Ready() error { return s.err }
func (replicaStub) Replica() Replica {
	return Replica{
		Role: RoleStandby, Owner: "another", Epoch: 3, Since: time.UnixMilli(1_800_000_000_000), Peer: "192.0.2.1:4711", Held: 2, Sockets: 5,
		Forwarded: map[string]int64{"answered": 7},
	}
}

func askWaiting(o Options, s Standby, method, path, body string, header ...string) *http.Response {
	o.Gatherer = prometheus.NewRegistry()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "localhost"
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	NewWaiting(o, s).ServeHTTP(w, r)
	return w.Result()
}

// TestStandbyTellsHowItStands: whoever operates a standby sees the owner, and what is held
// and handed on; balancers see yes or no.
func TestStandbyTellsHowItStands(t *testing.T) {
	well, ill := replicaStub{}, replicaStub{errors.New("no process that owns the journal is known")}
	if resp := askWaiting(Options{}, well, "GET", "/readyz", ""); resp.StatusCode != http.StatusOK || !strings.Contains(bodyOf(t, resp), `"ready":true`) {
		t.Errorf("a standby that hands on is answered %d for", resp.StatusCode)
	}
	resp := askWaiting(Options{}, ill, "GET", "/readyz", "")
	if body := bodyOf(t, resp); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" || !strings.Contains(body, ill.err.Error()) {
		t.Errorf("a standby that cannot: %d %v %s", resp.StatusCode, resp.Header, body)
	}
	status := bodyOf(t, askWaiting(Options{Version: "1.2.3"}, ill, "GET", "/status", ""))
	for _, want := range []string{
		`"standby":true`, `"ready":false`, `"notReady":"no process`, `"role":"standby"`, `"owner":"another"`, `"epoch":3`, `"peer":"192.0.2.1:4711"`,
		`"held":2`, `"sockets":5`, `"answered":7`, `"version":"1.2.3"`, `"since":"20`,
	} {
		if !strings.Contains(status, want) {
			t.Errorf("the status has no %s: %s", want, status)
		}
	}
}

// TestStandbyAsksWhoComes: with a token a standby tells strangers yes or no and nothing
// else; operators log in at its page as at an owner's.
func TestStandbyAsksWhoComes(t *testing.T) {
	o := Options{AdminToken: "a token of operators"}
	ill := replicaStub{errors.New("the reason")}
	if body := bodyOf(t, askWaiting(o, ill, "GET", "/readyz", "")); strings.Contains(body, "the reason") {
		t.Errorf("a stranger is told %s", body)
	}
	for path, want := range map[string]int{"/status": http.StatusUnauthorized, "/metrics": http.StatusUnauthorized, "/deadletters": http.StatusUnauthorized, "/healthz": http.StatusOK, "/": http.StatusOK, "/console.js": http.StatusOK} {
		if resp := askWaiting(o, ill, "GET", path, ""); resp.StatusCode != want {
			t.Errorf("a stranger's GET %s is answered %d, want %d", path, resp.StatusCode, want)
		}
	}
	bearer := []string{"Authorization", "Bearer a token of operators"}
	for path, want := range map[string]int{"/status": http.StatusOK, "/metrics": http.StatusOK, "/deadletters": http.StatusServiceUnavailable} {
		if resp := askWaiting(o, ill, "GET", path, "", bearer...); resp.StatusCode != want {
			t.Errorf("an operator's GET %s is answered %d, want %d", path, resp.StatusCode, want)
		}
	}
	login := askWaiting(o, ill, "POST", "/login", `{"token":"a token of operators"}`, "Content-Type", "application/json")
	if login.StatusCode != http.StatusNoContent || len(login.Cookies()) != 1 {
		t.Errorf("logging in is answered %d with %d cookies", login.StatusCode, len(login.Cookies()))
	}
}
