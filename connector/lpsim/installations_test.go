package lpsim_test

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"strings"
	"testing"
	"testing/synctest"

	"lpbridge/connector/lpsim"
)

const (
	loginPath   = "/api/account/sandbox/login"
	installPath = "/api/account/sandbox/configuration/app-install/installations"
)

// admin logs in and gives the headers of an administrator's calls.
func (w *world) admin() []string {
	w.t.Helper()
	r := w.do("POST", loginPath, `{"username":"admin","password":"any"}`)
	return []string{"Authorization", "Bearer " + r.field(w.t, "bearer").(string)}
}

// manifest is an app that is told of content at one address.
func manifest(name, more string) string {
	return `{"client_name":"` + name + `","grant_types":["client_credentials"],"scope":"msg.consumer"` + more +
		`,"capabilities":{"webhooks":{"ms.MessagingEventNotification.ContentEvent":{"endpoint":"http://second.invalid/hook","headers":[{"header_name":"X-App","header_value":"second"}]}}}}`
}

// second installs an app and gives its path, id and secret.
func (w *world) second(admin []string, more string) (path, id, secret string) {
	w.t.Helper()
	r := w.do("POST", installPath, manifest("second", more), admin...)
	if r.status != 201 {
		w.t.Fatalf("installed: %d %s", r.status, r.header.Get("X-Lpsim-Reason"))
	}
	id, secret = r.field(w.t, "client_id").(string), r.field(w.t, "client_secret").(string)
	want(w.t, "location", r.header.Get("Location"), installPath+"/"+id)
	return installPath + "/" + id, id, secret
}

// appToken asks Sentinel for an app.
func (w *world) appToken(id, secret string) reply {
	return w.do("POST", "/sentinel/api/account/sandbox/app/token?v=1.0&grant_type=client_credentials", "client_id="+id+"&client_secret="+secret, "Content-Type", formType)
}

// hmacSHA1 is how LivePerson signs for an app.
func hmacSHA1(key, body string) string {
	mac := hmac.New(sha1.New, []byte(key))
	mac.Write([]byte(body))
	return "sha1=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func TestWhoMayLogIn(t *testing.T) {
	w := start(t, lpsim.Config{Admin: "jo"})
	for name, test := range map[string]struct {
		path, body string
		status     int
		why        string
	}{
		"any password":     {loginPath + "?v=1.3", `{"username":"jo","password":"x"}`, 200, ""},
		"no version":       {loginPath, `{"username":"jo","password":"x"}`, 200, ""},
		"another version":  {loginPath + "?v=1.0", `{"username":"jo","password":"x"}`, 400, "v is not 1.3"},
		"no password":      {loginPath, `{"username":"jo","password":""}`, 400, "password is missing"},
		"no JSON":          {loginPath, `username=jo`, 400, "is missing"},
		"another user":     {loginPath, `{"username":"admin","password":"x"}`, 401, "no such user"},
		"another account":  {"/api/account/other/login", `{"username":"jo","password":"x"}`, 401, "no such account"},
		"another resource": {"/api/account/sandbox/logout", `{}`, 404, ""},
	} {
		r := w.do("POST", test.path, test.body)
		if r.status != test.status || !strings.Contains(r.header.Get("X-Lpsim-Reason"), test.why) {
			t.Errorf("%s: %d, %q", name, r.status, r.header.Get("X-Lpsim-Reason"))
		}
	}
	want(t, "GET", w.do("GET", loginPath, "").status, 405)
}

func TestAnAdministratorsBearerEnds(t *testing.T) {
	listen(t, lpsim.Config{Faults: lpsim.Faults{AdminSessionSeconds: 60}}, func(t *testing.T, w *world, _ *receiver) {
		admin := w.admin()
		history := "/messaging_history/api/account/sandbox/conversations/conversation/search"
		features := "/api/account/sandbox/configuration/provision/featureGrants?v=1.0"
		statuses := func() [3]int {
			return [3]int{
				w.do("GET", installPath, "", admin...).status, w.do("GET", features, "", admin...).status,
				w.do("POST", history, `{"conversationId":"none"}`, admin...).status,
			}
		}
		want(t, "at first", statuses(), [3]int{200, 200, 200})
		if err := w.sim.Advance(61e9); err != nil {
			t.Fatal(err)
		}
		want(t, "once ended", statuses(), [3]int{401, 401, 401})
		want(t, "without Bearer", w.do("GET", installPath, "", "Authorization", strings.TrimPrefix(w.admin()[1], "Bearer ")).status, 401)
		want(t, "an AppJWT", w.do("GET", installPath, "", "Authorization", "Bearer "+w.appJWT()).status, 401)
		want(t, "of another account", w.do("GET", strings.Replace(installPath, "sandbox", "other", 1), "", w.admin()...).status, 401)
	})
}

func TestWhatMakesAnInstallation(t *testing.T) {
	w := start(t, lpsim.Config{})
	admin := w.admin()
	for name, test := range map[string]struct {
		body   string
		status int
		why    string
	}{
		"no object":       {`[]`, 400, "body"},
		"no name":         {`{"grant_types":["client_credentials"]}`, 400, "client_name"},
		"a taken name":    {manifest("lpsim", ""), 409, "client_name"},
		"no grant":        {`{"client_name":"x"}`, 400, "grant_types"},
		"enabled maybe":   {manifest("x", `,"enabled":"yes"`), 400, "enabled"},
		"unknown event":   {strings.Replace(manifest("x", ""), "ContentEvent", "OtherEvent", 1), 400, "OtherEvent"},
		"no address":      {strings.Replace(manifest("x", ""), "http://", "ftp://", 1), 400, "http"},
		"many retries":    {strings.Replace(manifest("x", ""), `"headers"`, `"max_retries":6,"headers"`, 1), 400, "maxRetries"},
		"short retention": {strings.Replace(manifest("x", ""), `"webhooks":{`, `"webhooks":{"retry":{"retention_time":1},`, 1), 400, "retentionSeconds"},
	} {
		r := w.do("POST", installPath, test.body, admin...)
		if r.status != test.status || !strings.Contains(r.header.Get("X-Lpsim-Reason"), test.why) || r.header.Get("X-Lpsim-Page") != "Webhooks Configuration" {
			t.Errorf("%s: %d, %q, %q", name, r.status, r.header.Get("X-Lpsim-Reason"), r.header.Get("X-Lpsim-Page"))
		}
	}
	want(t, "installed all the same", w.do("GET", installPath, "", admin...).field(t, "1"), any(nil))
}

func TestAnInstallationIsChangedByWhoKnowsItsRevision(t *testing.T) {
	w := start(t, lpsim.Config{})
	admin := w.admin()
	path, _, secret := w.second(admin, "")
	known := w.do("GET", path, "", admin...).header.Get("ac-revision")
	change := func(method, revision string, more ...string) int {
		headers := append(append([]string{}, admin...), more...)
		if revision != "" {
			headers = append(headers, "If-Match", revision)
		}
		return w.do(method, path, manifest("renamed", `,"client_secret":"mine"`), headers...).status
	}
	want(t, "with none", change("PUT", ""), 412)
	want(t, "with another", change("PUT", "0"), 412)
	want(t, "with the right one", change("PUT", known), 200)
	want(t, "with the same again", change("PUT", known), 412)
	now := w.do("GET", path, "", admin...)
	want(t, "name", now.field(t, "client_name"), any("renamed"))
	want(t, "secret", now.field(t, "client_secret"), any(secret))
	want(t, "overridden", change("POST", now.header.Get("ac-revision"), "X-HTTP-Method-Override", "PUT"), 200)
	want(t, "an unknown app", w.do("PUT", installPath+"/none", "{}", admin...).status, 404)
	want(t, "POST to one", change("POST", now.header.Get("ac-revision")), 405)
	set(t, w, lpsim.Faults{MissingRevision: "accept"})
	want(t, "with none if that may be", change("DELETE", ""), 204)
	want(t, "once deleted", w.do("GET", path, "", admin...).status, 404)
}

// TestAnInstalledAppIsOne: it gets tokens, is told of what happens with its own signature, and neither once disabled.
func TestAnInstalledAppIsOne(t *testing.T) {
	listen(t, lpsim.Config{}, func(t *testing.T, w *world, r *receiver) {
		admin := w.admin()
		path, id, secret := w.second(admin, "")
		token := w.appToken(id, secret)
		w.app = token.field(t, "access_token").(string)
		want(t, "azp", payload(t, w.app)["azp"], any(id))
		want(t, "with another's secret", w.appToken(id, "sandbox-secret").status, 401)
		c := w.open("ana")
		c.say("to both")
		synctest.Wait()
		got := r.with("to both")
		want(t, "told", len(got), 2)
		for _, d := range got {
			if own := strings.Contains(d.url, "second"); own != (d.header.Get("X-Liveperson-Client-Id") == id) || own != (d.header.Get("X-App") == "second") {
				t.Errorf("%s was told as %s", d.url, d.header.Get("X-Liveperson-Client-Id"))
			}
			key := "sandbox-secret"
			if strings.Contains(d.url, "second") {
				key = secret
			}
			want(t, "signature", d.header.Get("X-Liveperson-Signature"), hmacSHA1(key, d.body))
		}
		revision := w.do("GET", path, "", admin...).header.Get("ac-revision")
		want(t, "disabled", w.do("PUT", path, manifest("second", `,"enabled":false`), append(admin, "If-Match", revision)...).status, 200)
		want(t, "token", w.appToken(id, secret).status, 401)
		want(t, "the old token", c.say("refused").status, 401)
		set(t, w, lpsim.Faults{DisabledAppTokens: "accept"})
		want(t, "the old token, if that may be", c.say("to one").status, 200)
		synctest.Wait()
		want(t, "told", len(r.with("to one")), 1)
		w.sim.Reset()
		want(t, "once reset", w.do("GET", path, "", admin...).status, 404)
		want(t, "token of the app once reset", w.do("POST", "/api/account/sandbox/consumer?v=1.0", `{"ext_consumer_id":"x"}`, "Authorization", w.app).status, 401)
	})
}

// TestTheConfiguredAppIsInstalledToo: what /sim/webhooks says and what an administrator says are one.
func TestTheConfiguredAppIsInstalledToo(t *testing.T) {
	retries := 2
	w := start(t, lpsim.Config{Webhooks: lpsim.Webhooks{URL: "http://one.invalid/", MaxRetries: retries, Headers: map[string]string{"X-A": "b"}}})
	admin := w.admin()
	path := installPath + "/sandbox-client"
	r := w.do("GET", path, "", admin...)
	hook := r.field(t, "capabilities.webhooks").(map[string]any)["cqm.ExConversationChangeNotification"].(map[string]any)
	want(t, "endpoint", hook["endpoint"], any("http://one.invalid/"))
	want(t, "retries", hook["max_retries"], any(2.0))
	want(t, "header", hook["headers"].([]any)[0].(map[string]any)["header_value"], any("b"))
	want(t, "changed", w.do("PUT", path, manifest("mine", ""), append(admin, "If-Match", r.header.Get("ac-revision"))...).status, 200)
	want(t, "webhooks", w.sim.Webhooks().Endpoints[lpsim.ContentEvents].URL, "http://second.invalid/hook")
	revision := w.do("GET", path, "", admin...).header.Get("ac-revision")
	want(t, "deleted", w.do("DELETE", path, "", append(admin, "If-Match", revision)...).status, 204)
	want(t, "token", w.appToken("sandbox-client", "sandbox-secret").status, 401)
	if err := w.sim.SetWebhooks(lpsim.Webhooks{}); err == nil {
		t.Error("webhooks of an app that is not there")
	}
	w.sim.Reset()
	want(t, "token once reset", w.appToken("sandbox-client", "sandbox-secret").status, 200)
	want(t, "webhooks once reset", w.sim.Webhooks().URL, "http://one.invalid/")
}

func TestAnAppWithoutTheGrantGetsNoToken(t *testing.T) {
	w := start(t, lpsim.Config{})
	r := w.do("POST", installPath, `{"client_name":"sso","grant_types":["authorization_code"]}`, w.admin()...)
	token := w.appToken(r.field(t, "client_id").(string), r.field(t, "client_secret").(string))
	want(t, "status", token.status, 400)
	want(t, "error", token.field(t, "error"), any("unauthorized_client"))
}

// TestWhatIsInstalledIsNotInTheJournal: answers have secrets, and the login a password.
func TestWhatIsInstalledIsNotInTheJournal(t *testing.T) {
	w := start(t, lpsim.Config{})
	_, _, secret := w.second(w.admin(), "")
	w.do("POST", loginPath, `{"username":"admin","password":"my own one"}`)
	all := w.do("GET", "/sim/requests?limit=100", "").text
	if strings.Contains(all, secret) || strings.Contains(all, "my own one") || !strings.Contains(all, `"api":"installations"`) {
		t.Errorf("journal: %s", all)
	}
}

func TestHistoryTellsWhatIsAskedFor(t *testing.T) {
	w := start(t, lpsim.Config{})
	admin, c := w.admin(), w.open("ana")
	c.say("hello")
	const path = "/messaging_history/api/account/sandbox/conversations/conversation/search"
	r := w.do("POST", path, `{"conversationId":"`+c.id+`","contentToRetrieve":["messageRecords"]}`, admin...)
	want(t, "text", r.field(t, "conversationHistoryRecords.0.messageRecords.0.messageData.msg.text"), any("hello"))
	want(t, "what nobody asked for", r.field(t, "conversationHistoryRecords.0.consumerParticipants"), any(nil))
	want(t, "an unknown one", w.do("POST", path, `{"conversationId":"none"}`, admin...).field(t, "_metadata.count"), any(0.0))
	want(t, "too many", w.do("POST", path+"?limit=101", `{"conversationId":"`+c.id+`"}`, admin...).status, 400)
	want(t, "of nothing", w.do("POST", path, `{}`, admin...).status, 400)
	want(t, "by consumer", w.do("POST", strings.Replace(path, "conversation/", "consumer/", 1), `{}`, admin...).status, 404)
	if err := w.sim.Forget(c.id); err != nil {
		t.Fatal(err)
	}
	want(t, "a forgotten one", w.do("POST", path, `{"conversationId":"`+c.id+`"}`, admin...).field(t, "_metadata.count"), any(0.0))
}

// TestABrowserMayUpload: the pages of LivePerson's demo app store files themselves, from their own origin.
func TestABrowserMayUpload(t *testing.T) {
	w := start(t, lpsim.Config{})
	r := w.do("OPTIONS", "/v1/AUTH_async-images/x", "", "Origin", "http://127.0.0.1:8282", "Access-Control-Request-Method", "PUT")
	if r.status != 200 || r.header.Get("Access-Control-Allow-Origin") != "*" || !strings.Contains(r.header.Get("Access-Control-Allow-Methods"), "PUT") {
		t.Errorf("preflight: %d %v", r.status, r.header)
	}
	want(t, "unsigned", w.do("PUT", "/v1/AUTH_async-images/x", "data").status, 401)
}
