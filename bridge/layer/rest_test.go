package layer

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
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

func TestHeaders(t *testing.T) {
	w := newWorld(t)
	for _, tc := range []struct {
		accept string
		status int
	}{
		{"application/vnd.layer+json; version=3.0", 201},
		{"application/vnd.layer+json;version=1.0", 201},
		{"application/vnd.layer+json; version=2.0", 201},
		{"application/vnd.layer+json; version=4.0", 406},
		{"application/vnd.layer+json", 406},
		{"application/json; version=3.0", 406},
		{"*/*", 406},
		{"", 406},
	} {
		t.Run(tc.accept, func(t *testing.T) {
			a := w.must(tc.status, "", "POST", "/nonces", "", "Accept", tc.accept)
			if tc.status == 406 && (a.has("id") != "invalid_header" || a.has("code") != 107.0 || a.has("data", "header") != "Accept") {
				t.Errorf("refused with %v", a.body)
			}
		})
	}
}

func TestCORS(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	const preflight = "Access-Control-Request-Method"
	for _, tc := range []struct {
		name, method, path, origin string
		status                     int
		allowed                    bool
		header                     []string
	}{
		{name: "preflight", method: "OPTIONS", path: "/nonces", origin: testOrigin, status: 204, allowed: true, header: []string{preflight, "POST"}},
		{name: "preflight of PATCH", method: "OPTIONS", path: "/conversations/x", origin: testOrigin, status: 204, allowed: true, header: []string{preflight, "PATCH"}},
		{name: "preflight of a stranger", method: "OPTIONS", path: "/nonces", origin: "https://evil.example", status: 204, header: []string{preflight, "POST"}},
		{name: "success", method: "GET", path: "/conversations", origin: testOrigin, status: 200, allowed: true},
		{name: "not found", method: "GET", path: "/messages/none", origin: testOrigin, status: 404, allowed: true},
		{name: "no endpoint", method: "GET", path: "/announcements", origin: testOrigin, status: 404, allowed: true},
		{name: "wrong method", method: "PUT", path: "/nonces", origin: testOrigin, status: 404, allowed: true},
		{name: "wrong version", method: "POST", path: "/nonces", origin: testOrigin, status: 406, allowed: true, header: []string{"Accept", "x/y"}},
		{name: "no session", method: "GET", path: "/conversations", origin: testOrigin, status: 401, allowed: true, header: []string{"Authorization", ""}},
		{name: "ping", method: "HEAD", path: "/ping?client=3.4.18", origin: testOrigin, status: 200, allowed: true},
		{name: "stranger", method: "GET", path: "/conversations", origin: "https://evil.example", status: 200},
		{name: "origin that begins alike", method: "GET", path: "/conversations", origin: testOrigin + ".evil.example", status: 200},
		{name: "null origin", method: "GET", path: "/conversations", origin: "null", status: 200},
	} {
		t.Run(tc.name, func(t *testing.T) {
			header := append([]string{"Origin", tc.origin}, tc.header...)
			if tc.method == "OPTIONS" {
				// As jsdom sends it: neither sorted nor without spaces.
				header = append(header, "Authorization", "", "Access-Control-Request-Headers", "layer-xdk-version, client-id, authorization")
			}
			a := w.must(tc.status, token, tc.method, tc.path, "", header...)
			want := map[string]string{"Access-Control-Allow-Origin": "", "Access-Control-Allow-Credentials": ""}
			if tc.allowed {
				want = map[string]string{"Access-Control-Allow-Origin": tc.origin, "Access-Control-Allow-Credentials": "true"}
			}
			for name, value := range want {
				if got := a.header.Get(name); got != value {
					t.Errorf("%s: %q, want %q", name, got, value)
				}
			}
			if !strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Origin") {
				t.Error("Vary does not name Origin")
			}
			if tc.allowed && tc.method == "OPTIONS" {
				allowed := a.header.Get("Access-Control-Allow-Headers")
				for _, name := range []string{"layer-xdk-version", "client-id", "authorization"} {
					if !strings.Contains(allowed, name) {
						t.Errorf("header %s is not allowed: %q", name, allowed)
					}
				}
			}
			if tc.allowed && tc.method == "GET" && !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "Layer-Count") {
				t.Error("Layer-Count is not exposed")
			}
		})
	}
	t.Run("no origin is configured", func(t *testing.T) {
		closed := newWorld(t, func(c *Config) { c.Origins = nil })
		if got := closed.must(201, "", "POST", "/nonces", "").header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("allowed %q", got)
		}
	})
}

func TestUnknownEndpoint(t *testing.T) {
	a := newWorld(t).must(404, "", "POST", "/push_tokens", "{}")
	want := map[string]any{
		"id": "invalid_endpoint", "code": 106.0, "message": "There is no such endpoint or method", "url": testBase + "/", "data": map[string]any{},
	}
	if diff := cmp.Diff(want, a.body); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDiscovery(t *testing.T) {
	links := newWorld(t).must(200, "", "GET", "/", "").header.Values("Link")
	for _, want := range []string{
		"<" + testBase + "/nonces>; rel=nonces", "<" + testBase + "/sessions>; rel=sessions", "<wss://chat.example/layer/>; rel=websocket",
	} {
		if !slices.Contains(links, want) {
			t.Errorf("no link %s in %v", want, links)
		}
	}
}

func TestIdentities(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AgentAvatarURL = &url.URL{Scheme: "https", Host: "chat.example", Path: "/a.png"} })
	token := w.login("consumer-1")
	w.login("consumer-2")
	for _, tc := range []struct {
		path   string
		status int
		id     any
	}{
		{"/identities/agent", 200, "layer:///identities/agent"},
		{"/identities/agent:0a1b2c3d", 200, "layer:///identities/agent%3A0a1b2c3d"},
		{"/identities/consumer-2", 404, "not_found"},
		{"/identities/nobody", 404, "not_found"},
	} {
		a := w.must(tc.status, token, "GET", tc.path, "")
		if a.has("id") != tc.id {
			t.Errorf("%s: %v", tc.path, a.body)
		}
	}
	list := w.must(200, token, "GET", "/identities?page_size=100", "")
	if list.has(0, "display_name") != "Peer" || list.has(0, "avatar_url") != "https://chat.example/a.png" || list.header.Get("Layer-Count") != "1" {
		t.Errorf("list: %v", list.body)
	}
}

func TestOddUserIDs(t *testing.T) {
	for _, user := range []string{"a/b", "ana.silva@suite.example", "é 😀", "it's!(me)~*", "a%2Fb", "..x"} {
		t.Run(user, func(t *testing.T) {
			w := newWorld(t)
			token := w.login(user)
			a := w.must(200, token, "GET", "/identities/"+escapeUser(user), "")
			if a.has("user_id") != user || a.has("id") != prefixIdentity+escapeUser(user) {
				t.Errorf("identity: %v", a.body)
			}
			w.converse(token)
			w.deliver(agentSays("a-1", "hi"))
			m := w.must(200, token, "GET", "/conversations/"+thread1+"/messages", "")
			if status, _ := m.has(0, "recipient_status").(map[string]any); status[prefixIdentity+escapeUser(user)] != "sent" {
				t.Errorf("recipient_status: %v", status)
			}
		})
	}
}

func TestConversationShape(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	a := w.must(201, token, "POST", "/conversations", newConversation(conversation1, false))
	created, _ := a.has("created_at").(string)
	if _, err := time.Parse(timeFormat, created); err != nil {
		t.Error(err)
	}
	want := map[string]any{
		"id": conversation1, "url": testBase + "/conversations/" + thread1, "messages_url": testBase + "/conversations/" + thread1 + "/messages",
		"created_at": created, "last_message": nil, "distinct": false, "unread_message_count": 0.0, "total_message_count": 0.0,
		"metadata": map[string]any{"title": "example"},
		"participants": []any{
			map[string]any{
				"id": "layer:///identities/consumer-1", "url": testBase + "/identities/consumer-1", "user_id": "consumer-1",
				"display_name": "Ana Suite", "avatar_url": nil,
			},
			map[string]any{
				"id": "layer:///identities/agent", "url": testBase + "/identities/agent", "user_id": "agent",
				"display_name": "Peer", "avatar_url": nil,
			},
		},
	}
	if diff := cmp.Diff(want, a.body); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, w.must(200, token, "GET", "/conversations/"+thread1, "").body); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
	w.must(404, w.login("consumer-2"), "GET", "/conversations/"+thread1, "")
	if len(w.core.Events()) != 0 {
		t.Error("an empty conversation was reported")
	}
}

func TestConversationRequests(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	for _, tc := range []struct {
		name, body string
		status     int
		code       float64
		property   any
	}{
		{"id is in use", newConversation(conversation1, false), 409, 111, nil},
		{"id in capitals is in use", newConversation(prefixConversation+strings.ToUpper(thread1), false), 409, 111, nil},
		{"id is no UUID", newConversation(prefixConversation+"x", false), 422, 105, "id"},
		{"id of a message", newConversation(message1, false), 422, 105, "id"},
		{"another user", `{"participants":["layer:///identities/bob"]}`, 422, 105, "participants"},
		{"user ids belong to 1.0", `{"participants":["agent"]}`, 422, 105, "participants"},
		{"too many participants", `{"participants":[` + strings.Repeat(`"layer:///identities/agent",`, 25) + `"layer:///identities/agent"]}`, 422, 105, "participants"},
		{"number in metadata", `{"distinct":false,"metadata":{"a":{"b":1}}}`, 422, 105, "metadata"},
		{"state in metadata", `{"distinct":false,"metadata":{"state":"closed"}}`, 422, 105, "metadata.state"},
		{"long metadata", `{"distinct":false,"metadata":{"a":"` + strings.Repeat("x", maxMetadata) + `"}}`, 422, 105, "metadata"},
		{"deep metadata", `{"distinct":false,"metadata":` + strings.Repeat(`{"a":`, 9) + `"x"` + strings.Repeat(`}`, 9) + `}`, 422, 105, "metadata"},
		{"no JSON", `{`, 400, 10, nil},
		{"no UTF-8", "{\"metadata\":{\"a\":\"\xff\"}}", 400, 10, nil},
		{"too long", `"` + strings.Repeat("x", maxRequest) + `"`, 413, 10, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := w.must(tc.status, token, "POST", "/conversations", tc.body)
			if a.has("code") != tc.code || a.has("data", "property") != tc.property {
				t.Errorf("refused with %v", a.body)
			}
			if tc.code == 111 && a.has("data", "id") != conversation1 {
				t.Errorf("the object is missing: %v", a.body)
			}
		})
	}
	t.Run("id of somebody else", func(t *testing.T) {
		a := w.must(409, w.login("consumer-2"), "POST", "/conversations", newConversation(conversation1, false))
		if a.has("data", "id") != nil {
			t.Error("the conversation of another user was shown")
		}
	})
}

func TestDistinct(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.must(201, token, "POST", "/conversations", newConversation(conversation1, true))
	for _, tc := range []struct {
		name, body string
		status     int
	}{
		{"same metadata", newConversation(conversation2, true), 200},
		{"no metadata", `{"participants":["layer:///identities/agent"],"distinct":true}`, 200},
		{"distinct by default", `{"participants":["layer:///identities/agent"]}`, 200},
		{"other metadata", `{"distinct":true,"metadata":{"title":"other"}}`, 409},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := w.must(tc.status, token, "POST", "/conversations", tc.body)
			found := a.body
			if tc.status == 409 {
				if a.has("id") != "conflict" || a.has("code") != 108.0 {
					t.Errorf("refused with %v", a.body)
				}
				found = a.has("data")
			}
			if at(found, "id") != conversation1 {
				t.Errorf("found %v", found)
			}
		})
	}
	w.must(201, w.login("consumer-2"), "POST", "/conversations", newConversation(conversation2, true))
	t.Run("state does not make metadata differ", func(t *testing.T) {
		w.deliver(bridge.Event{ID: "s", Kind: bridge.KindState, Thread: thread1, State: &bridge.State{Conversation: bridge.StateOpen}})
		w.must(200, token, "POST", "/conversations", newConversation(conversation2, true))
	})
	t.Run("left", func(t *testing.T) {
		w.must(204, token, "DELETE", "/conversations/"+thread1+"?mode=all_participants", "")
		w.must(201, token, "POST", "/conversations", `{"distinct":true}`)
	})
}

func TestListConversations(t *testing.T) {
	synctest.Test(t, listConversations)
}

func listConversations(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	id := func(i int) string { return fmt.Sprintf("%saaaaaaaa-0000-4000-8000-%012d", prefixConversation, i) }
	for i := range 5 {
		w.must(201, token, "POST", "/conversations", newConversation(id(i+1), false))
		time.Sleep(time.Millisecond)
	}
	w.must(201, token, "POST", "/conversations/"+strings.TrimPrefix(id(2), prefixConversation)+"/messages", newMessage(message1, "hi"))
	w.must(201, w.login("consumer-2"), "POST", "/conversations", newConversation(id(9), false))
	list := func(query string) []int {
		a := w.must(200, token, "GET", "/conversations"+query, "")
		if got := a.header.Get("Layer-Count"); got != "5" {
			t.Errorf("%s: Layer-Count %s", query, got)
		}
		found := []int{}
		for i := 0; a.has(i) != nil; i++ {
			found = append(found, slices.Index([]string{"", id(1), id(2), id(3), id(4), id(5)}, a.has(i, "id").(string)))
		}
		return found
	}
	for _, tc := range []struct {
		query string
		want  []int
	}{
		{"", []int{5, 4, 3, 2, 1}},
		{"?sort_by=created_at&page_size=2", []int{5, 4}},
		{"?page_size=2&from_id=" + id(4), []int{3, 2}},
		{"?page_size=2&from_id=" + id(1), []int{}},
		{"?sort_by=last_message", []int{2, 5, 4, 3, 1}},
		{"?page_size=1000", []int{5, 4, 3, 2, 1}},
	} {
		if diff := cmp.Diff(tc.want, list(tc.query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.query, diff)
		}
	}
	for _, query := range []string{"?page_size=0", "?page_size=x", "?from_id=x", "?from_id=" + id(9), "?sort_by=name"} {
		w.must(422, token, "GET", "/conversations"+query, "")
	}
	w.stop()
}

func TestPatch(t *testing.T) {
	for _, tc := range []struct {
		name, steps string
		status      int
		want        map[string]any
	}{
		{"set", `[{"operation":"set","property":"metadata.a","value":"b"}]`, 204, map[string]any{"title": "example", "a": "b"}},
		{"set below", `[{"operation":"set","property":"metadata.a.b","value":"c"}]`, 204, map[string]any{"title": "example", "a": map[string]any{"b": "c"}}},
		{"set object", `[{"operation":"set","property":"metadata.a","value":{"b":"c"}}]`, 204, map[string]any{"title": "example", "a": map[string]any{"b": "c"}}},
		{"escaped dot", `[{"operation":"set","property":"metadata.a\\.b","value":"c"}]`, 204, map[string]any{"title": "example", "a.b": "c"}},
		{"delete", `[{"operation":"delete","property":"metadata.title"}]`, 204, map[string]any{}},
		{"delete what is not there", `[{"operation":"delete","property":"metadata.x.y"}]`, 204, map[string]any{"title": "example"}},
		{"replace", `[{"operation":"set","property":"metadata","value":{"x":"y"}}]`, 204, map[string]any{"x": "y"}},
		{"several", `[{"operation":"delete","property":"metadata"},{"operation":"set","property":"metadata.x","value":"y"}]`, 204, map[string]any{"x": "y"}},
		{"agent again", `[{"operation":"add","property":"participants","id":"layer:///identities/agent"}]`, 204, map[string]any{"title": "example"}},
		{"number", `[{"operation":"set","property":"metadata.a","value":1}]`, 422, nil},
		{"no value", `[{"operation":"set","property":"metadata.a"}]`, 422, nil},
		{"all or nothing", `[{"operation":"set","property":"metadata.a","value":"b"},{"operation":"set","property":"metadata.c","value":1}]`, 422, nil},
		{"state", `[{"operation":"set","property":"metadata.state","value":"open"}]`, 422, nil},
		{"state by replacing", `[{"operation":"set","property":"metadata","value":{"state":"open"}}]`, 422, nil},
		{"another property", `[{"operation":"set","property":"distinct","value":true}]`, 422, nil},
		{"another operation", `[{"operation":"add","property":"metadata.a","value":"b"}]`, 422, nil},
		{"another user", `[{"operation":"add","property":"participants","id":"layer:///identities/bob"}]`, 422, nil},
		{"without the agent", `[{"operation":"remove","property":"participants","id":"layer:///identities/agent"}]`, 422, nil},
		{"participants replaced", `[{"operation":"set","property":"participants","value":[]}]`, 422, nil},
		{"too many", `[` + strings.Repeat(`{"operation":"delete","property":"metadata.a"},`, maxPatchSteps) + `{}]`, 413, nil},
		{"no list", `{}`, 400, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			token := w.login("consumer-1")
			w.converse(token)
			w.must(tc.status, token, "PATCH", "/conversations/"+thread1, tc.steps, "Content-Type", "application/vnd.layer-patch+json")
			if tc.want == nil {
				tc.want = map[string]any{"title": "example"}
			}
			got := w.must(200, token, "GET", "/conversations/"+thread1, "").has("metadata")
			if diff := cmp.Diff(any(tc.want), got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestLeave(t *testing.T) {
	for _, tc := range []struct {
		name, method, query, body string
	}{
		{"deleted for all", "DELETE", "?mode=all_participants", ""},
		{"left", "DELETE", "?mode=my_devices&leave=true", ""},
		{"removed itself", "PATCH", "", `[{"operation":"remove","property":"participants","id":"layer:///identities/consumer-1"}]`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			token := w.login("consumer-1")
			w.converse(token)
			w.must(204, token, tc.method, "/conversations/"+thread1+tc.query, tc.body)
			if diff := cmp.Diff([]bridge.Kind{bridge.KindClose}, w.kinds()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			w.must(404, token, "GET", "/conversations/"+thread1, "")
			w.must(404, token, "POST", "/conversations/"+thread1+"/messages", newMessage(message1, "hi"))
			w.must(404, token, tc.method, "/conversations/"+thread1+tc.query, tc.body)
			w.must(409, token, "POST", "/conversations", newConversation(conversation1, false))
			err := w.layer.Deliver(t.Context(), new(agentSays("a-1", "still there?")))
			if d, ok := err.(*bridge.DeliveryError); !ok || d.Outcome != bridge.Invalid {
				t.Errorf("delivery to who left ended with %v", err)
			}
		})
	}
}

func TestHide(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	w.must(201, token, "POST", "/conversations/"+thread1+"/messages", newMessage(message1, "before"))
	w.must(422, token, "DELETE", "/conversations/"+thread1, "")
	w.must(204, token, "DELETE", "/conversations/"+thread1+"?mode=my_devices&leave=false", "")
	w.must(404, token, "GET", "/conversations/"+thread1, "")
	w.must(404, token, "GET", "/messages/"+strings.TrimPrefix(message1, prefixMessage), "")
	w.deliver(agentSays("a-1", "after"))
	list := w.must(200, token, "GET", "/conversations/"+thread1+"/messages", "")
	if list.has(0, "parts", 0, "body") != "after" || list.has(1) != nil || list.header.Get("Layer-Count") != "1" {
		t.Errorf("messages: %v", list.body)
	}
	if slices.Contains(w.kinds(), bridge.KindClose) {
		t.Error("hiding closed the conversation")
	}
}

func TestMessageShape(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	body := `{"id":"` + message1 + `","parts":[{"mime_type":"application/vnd.layer.text+json;role=root","id":"` + part1 + `","body":"{\"text\":\"hello é 😀\"}"}]}`
	a := w.must(201, token, "POST", "/conversations/"+thread1+"/messages", body)
	sent, _ := a.has("sent_at").(string)
	own := testBase + "/messages/" + strings.TrimPrefix(message1, prefixMessage)
	want := map[string]any{
		"id": message1, "url": own, "receipts_url": own + "/receipts", "position": 1.0,
		"conversation": map[string]any{"id": conversation1, "url": testBase + "/conversations/" + thread1},
		"parts":        []any{map[string]any{"id": part1, "mime_type": "application/vnd.layer.text+json;role=root", "body": `{"text":"hello é 😀"}`}},
		"sent_at":      sent, "received_at": sent, "is_unread": false, "updated_at": nil,
		"sender": map[string]any{
			"id": "layer:///identities/consumer-1", "url": testBase + "/identities/consumer-1", "user_id": "consumer-1",
			"display_name": "Ana Suite", "avatar_url": nil,
		},
		"recipient_status": map[string]any{"layer:///identities/consumer-1": "read", "layer:///identities/agent": "sent"},
	}
	if diff := cmp.Diff(want, a.body); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(any(want), w.must(200, token, "GET", "/messages/"+strings.TrimPrefix(message1, prefixMessage), "").body); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
	at, _ := time.Parse(timeFormat, sent)
	event := bridge.Event{
		ID: bridge.EventID(strings.TrimPrefix(message1, prefixMessage)), Kind: bridge.KindMessage, Thread: thread1, Time: at,
		Consumer: &bridge.Consumer{ID: "consumer-1", FirstName: "Ana", LastName: "Suite", Email: "ana@suite.example"},
		Message:  &bridge.Message{Text: "hello é 😀"},
	}
	if diff := cmp.Diff([]bridge.Event{event}, w.core.Events()); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestMessageText(t *testing.T) {
	part := func(mime, body string) string {
		return fmt.Sprintf(`{"mime_type":%q,"body":%q}`, mime, body)
	}
	for _, tc := range []struct {
		name, parts string
		text        string // empty when refused
		property    any
	}{
		{name: "plain", parts: part("text/plain", "hi"), text: "hi"},
		{name: "plain with parameters", parts: part("text/plain; charset=utf-8", "hi"), text: "hi"},
		{name: "layer text", parts: part("application/vnd.layer.text+json;role=root", `{"text":"hi","title":"t"}`), text: "hi"},
		{name: "layer text goes first", parts: part("text/plain", "plain") + "," + part("application/vnd.layer.text+json", `{"text":"root"}`), text: "root"},
		{name: "first plain", parts: part("text/plain", "one") + "," + part("text/plain", "two"), text: "one"},
		{name: "broken layer text", parts: part("application/vnd.layer.text+json", `{`) + "," + part("text/plain", "hi"), text: "hi"},
		{name: "base64", parts: `{"mime_type":"text/plain","encoding":"base64","body":"aGk="}`, text: "hi"},
		{name: "other type", parts: part("application/vnd.layer.location+json;role=root", `{"latitude":1}`), property: "parts"},
		{name: "empty text", parts: part("text/plain", ""), property: "parts"},
		{name: "no parts", parts: "", property: "parts"},
		{name: "no media type", parts: `{"body":"hi"}`, property: "parts[0].mime_type"},
		{name: "no body", parts: `{"mime_type":"text/plain"}`, property: "parts[0].body"},
		{name: "long body", parts: part("text/plain", strings.Repeat("x", maxBody+1)), property: "parts[0].body"},
		{name: "other encoding", parts: `{"mime_type":"text/plain","encoding":"gzip","body":"x"}`, property: "parts[0].encoding"},
		{name: "content that is no id", parts: `{"mime_type":"text/plain","content":{"id":"x"}}`, property: "parts[0].content.id"},
		{name: "content that is not there", parts: `{"mime_type":"text/plain","content":{"id":"layer:///content/` + thread1 + `"}}`, property: "parts[0].content.id"},
		{name: "too many parts", parts: strings.Repeat(part("text/plain", "x")+",", maxParts) + part("text/plain", "x"), property: "parts"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			token := w.login("consumer-1")
			w.converse(token)
			a := w.send(token, "POST", "/conversations/"+thread1+"/messages", `{"parts":[`+tc.parts+`]}`)
			if tc.text == "" {
				if a.status != 422 || a.has("data", "property") != tc.property || len(w.core.Events()) != 0 {
					t.Errorf("status %d: %v", a.status, a.body)
				}
				return
			}
			if a.status != 201 || w.last().Message.Text != tc.text {
				t.Errorf("status %d, text %q", a.status, w.last().Message.Text)
			}
		})
	}
}

func TestMessageTwice(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	path := "/conversations/" + thread1 + "/messages"
	first := w.must(201, token, "POST", path, newMessage(message1, "hi"))
	again := w.must(409, token, "POST", path, newMessage(message1, "hi"))
	if again.has("id") != "id_in_use" || again.has("code") != 111.0 {
		t.Errorf("refused with %v", again.body)
	}
	if diff := cmp.Diff(first.body, again.has("data")); diff != "" {
		t.Errorf("another object (-first +again):\n%s", diff)
	}
	if n := len(w.core.Events()); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	stranger := w.login("consumer-2")
	w.must(201, stranger, "POST", "/conversations", newConversation(conversation2, false))
	stolen := w.must(409, stranger, "POST", "/conversations/"+strings.TrimPrefix(conversation2, prefixConversation)+"/messages", newMessage(message1, "mine"))
	if stolen.has("data", "id") != nil {
		t.Error("the message of another user was shown")
	}
}

func TestListMessages(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	id := func(i int) string { return fmt.Sprintf("%sbbbbbbbb-0000-4000-8000-%012d", prefixMessage, i) }
	for i := range 5 {
		w.must(201, token, "POST", "/conversations/"+thread1+"/messages", newMessage(id(i+1), fmt.Sprint(i+1)))
	}
	w.must(204, token, "DELETE", "/messages/"+strings.TrimPrefix(id(3), prefixMessage)+"?mode=all_participants", "")
	for _, tc := range []struct {
		query string
		want  []any
	}{
		{"", []any{"5", "4", "2", "1"}},
		{"?page_size=2", []any{"5", "4"}},
		{"?page_size=2&from_id=" + id(4), []any{"2", "1"}},
	} {
		t.Run(tc.query, func(t *testing.T) {
			a := w.must(200, token, "GET", "/conversations/"+thread1+"/messages"+tc.query, "")
			var got []any
			for i := 0; a.has(i) != nil; i++ {
				got = append(got, a.has(i, "parts", 0, "body"))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || a.header.Get("Layer-Count") != "4" {
				t.Errorf("count %s (-want +got):\n%s", a.header.Get("Layer-Count"), diff)
			}
		})
	}
	w.must(422, token, "GET", "/conversations/"+thread1+"/messages?from_id="+id(9), "")
	w.must(404, token, "GET", "/messages/"+strings.TrimPrefix(id(3), prefixMessage), "")
	w.must(409, token, "POST", "/conversations/"+thread1+"/messages", newMessage(id(3), "again"))
}

func TestDeleteLastMessage(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	w.must(201, token, "POST", "/conversations/"+thread1+"/messages", newMessage(message1, "one"))
	w.deliver(agentSays("a-1", "two"))
	two, _ := w.must(200, token, "GET", "/conversations/"+thread1, "").has("last_message", "id").(string)
	w.must(422, token, "DELETE", "/messages/"+strings.TrimPrefix(two, prefixMessage), "")
	w.must(204, token, "DELETE", "/messages/"+strings.TrimPrefix(two, prefixMessage)+"?mode=my_devices", "")
	c := w.must(200, token, "GET", "/conversations/"+thread1, "")
	if c.has("last_message", "id") != message1 || c.has("unread_message_count") != 0.0 || c.has("total_message_count") != 1.0 {
		t.Errorf("conversation: %v", c.body)
	}
}

func TestReceipts(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	w.must(201, token, "POST", "/conversations/"+thread1+"/messages", newMessage(message1, "hi"))
	w.deliver(agentSays("dialog-1:5", "hello"))
	answer := w.must(200, token, "GET", "/conversations/"+thread1, "").has("last_message")
	path := "/messages/" + strings.TrimPrefix(at(answer, "id").(string), prefixMessage)
	state := func() (status, unread any) {
		m := w.must(200, token, "GET", path, "")
		c := w.must(200, token, "GET", "/conversations/"+thread1, "")
		return m.has("recipient_status", "layer:///identities/consumer-1"), c.has("unread_message_count")
	}
	own := strings.TrimPrefix(at(answer, "id").(string), prefixMessage)
	for _, tc := range []struct {
		name, path, kind string
		status           int
		want             receiptStatus
		unread           float64
		event            *bridge.Event
	}{
		{"unknown", path, "seen", 422, statusSent, 1, nil},
		{"own message", "/messages/" + strings.TrimPrefix(message1, prefixMessage), "read", 204, statusSent, 1, nil},
		// The bridge tells LivePerson that a message arrived when it is in the
		// history; an app's receipt would be a second ACCEPT.
		{"delivery", path, "delivery", 204, statusDelivered, 1, nil},
		{"delivery again", path, "delivery", 204, statusDelivered, 1, nil},
		{"read", path, "read", 204, statusRead, 0, &bridge.Event{
			ID: bridge.EventID("read:" + own), Kind: bridge.KindReceipt,
			Receipt: &bridge.Receipt{Status: bridge.ReceiptRead, MessageIDs: []bridge.EventID{"dialog-1:5"}},
		}},
		{"delivery after read", path, "delivery", 204, statusRead, 0, nil},
		{"read again", path, "read", 204, statusRead, 0, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := len(w.core.Events())
			w.must(tc.status, token, "POST", tc.path+"/receipts", `{"type":"`+tc.kind+`"}`)
			if status, unread := state(); status != string(tc.want) || unread != tc.unread {
				t.Errorf("status %v, unread %v", status, unread)
			}
			if tc.event == nil {
				if len(w.core.Events()) != before {
					t.Error("there is an event")
				}
				return
			}
			got := w.last()
			if got.ID != tc.event.ID || got.Kind != tc.event.Kind || got.Thread != thread1 || cmp.Diff(tc.event.Receipt, got.Receipt) != "" {
				t.Errorf("event %+v", got)
			}
		})
	}
	w.must(404, w.login("consumer-2"), "POST", path+"/receipts", `{"type":"read"}`)
}

func TestMarkAllRead(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	for i := range maxReadAtOnce + 10 {
		w.deliver(agentSays(fmt.Sprintf("dialog-1:%d", i), "hello"))
	}
	unread := func() any {
		return w.must(200, token, "GET", "/conversations/"+thread1, "").has("unread_message_count")
	}
	path := "/conversations/" + thread1 + "/mark_all_read"
	w.must(202, token, "POST", path, `{"position":3}`)
	if n := unread(); n != float64(maxReadAtOnce+7) {
		t.Errorf("%v unread", n)
	}
	if diff := cmp.Diff([]bridge.EventID{"dialog-1:2", "dialog-1:1", "dialog-1:0"}, w.last().Receipt.MessageIDs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.must(202, token, "POST", path, `{"position":-1}`)
	w.must(202, token, "POST", path, `{"position":null}`)
	if n := unread(); n != 0.0 {
		t.Errorf("%v unread", n)
	}
	told := map[bridge.EventID]bool{}
	for _, e := range w.core.Events() {
		for _, id := range e.Receipt.MessageIDs {
			if told[id] {
				t.Errorf("%s was told twice", id)
			}
			told[id] = true
		}
	}
	if len(told) != maxReadAtOnce+10 {
		t.Errorf("%d messages read, want %d", len(told), maxReadAtOnce+10)
	}
	before := len(w.core.Events())
	w.must(202, token, "POST", path, `{}`)
	if len(w.core.Events()) != before {
		t.Error("nothing new was read, and yet it was told")
	}
}

func TestBusy(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	w.core.Refuse(bridge.ErrBusy)
	a := w.must(503, token, "POST", "/conversations/"+thread1+"/messages", newMessage(message1, "hi"))
	if a.has("id") != "service_unavailable" || a.header.Get("Retry-After") == "" {
		t.Errorf("refused with %v", a.body)
	}
	w.core.Refuse(nil)
	if list := w.must(200, token, "GET", "/conversations/"+thread1+"/messages", ""); list.has(0) != nil {
		t.Error("a message that was refused is in the history")
	}
	w.must(201, token, "POST", "/conversations/"+thread1+"/messages", newMessage(message1, "hi"))
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

func TestRichContent(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	png := "\x89PNG\r\n\x1a\n" + strings.Repeat("\x00", 64)
	put := func(kind, data string) string {
		a := w.must(201, token, "POST", "/content", "", "Upload-Content-Type", kind, "Upload-Content-Length", fmt.Sprint(len(data)))
		upload, _ := a.has("upload_url").(string)
		// As the SDK does: no session goes along.
		w.must(200, "", "PUT", strings.TrimPrefix(upload, testBase), data, "Accept", "*/*")
		w.must(409, "", "PUT", strings.TrimPrefix(upload, testBase), data, "Accept", "*/*")
		return a.has("id").(string)
	}
	image, text := put("image/png", png), put("text/plain", `{"text":"`+strings.Repeat("long ", 1000)+`"}`)
	body := fmt.Sprintf(`{"id":%q,"parts":[{"mime_type":"application/vnd.layer.text+json;role=root","content":{"id":%q,"size":1}},`+
		`{"mime_type":"image/png;role=source","content":{"id":%q}},{"mime_type":"image/png;role=preview","content":{"id":%q}}]}`, message1, text, image, image)
	m := w.must(201, token, "POST", "/conversations/"+thread1+"/messages", body)
	file, _ := m.has("parts", 1, "content", "download_url").(string)
	if m.has("parts", 1, "content", "size") != float64(len(png)) || m.has("parts", 1, "body") != nil {
		t.Errorf("part: %v", m.has("parts", 1))
	}
	want := &bridge.Message{Text: strings.Repeat("long ", 1000), Attachments: []bridge.Attachment{{URL: file, ContentType: "image/png"}}}
	if diff := cmp.Diff(want, w.last().Message); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	got := w.must(200, "", "GET", strings.TrimPrefix(file, testBase), "", "Accept", "*/*")
	if got.body != png || got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Content-Type") != "image/png" {
		t.Errorf("file: %v", got.header)
	}
	refreshed := w.must(200, token, "GET", strings.TrimPrefix(strings.TrimSuffix(file, "/file"), testBase), "")
	if refreshed.has("download_url") != file {
		t.Errorf("refreshed: %v", refreshed.body)
	}
	stranger := w.login("consumer-2")
	w.must(404, stranger, "GET", strings.TrimPrefix(strings.TrimSuffix(file, "/file"), testBase), "")
	w.must(201, stranger, "POST", "/conversations", newConversation(conversation2, false))
	w.must(422, stranger, "POST", "/conversations/"+strings.TrimPrefix(conversation2, prefixConversation)+"/messages",
		`{"parts":[{"mime_type":"image/png","content":{"id":"`+image+`"}}]}`)
	w.must(413, token, "POST", "/content", "", "Upload-Content-Length", fmt.Sprint(64<<10+1))
	w.must(422, token, "POST", "/content", "", "Upload-Content-Length", "x")

	page := put("image/png", "<html><script>alert(1)</script></html>")
	got = w.must(200, "", "GET", "/content/"+strings.TrimPrefix(page, prefixContent)+"/file", "")
	if got.header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("a page is served as %v", got.header)
	}
}

// TestOldVersion checks what API 1.0 has differently: people are user ids.
func TestOldVersion(t *testing.T) {
	w := newWorld(t)
	token := w.login("ana.b")
	old := []string{"Accept", "application/vnd.layer+json; version=1.0"}
	c := w.must(201, token, "POST", "/conversations", `{"id":"`+conversation1+`","participants":["agent"],"distinct":false}`, old...)
	if diff := cmp.Diff([]any{"ana.b", "agent"}, c.has("participants")); diff != "" {
		t.Errorf("participants (-want +got):\n%s", diff)
	}
	m := w.must(201, token, "POST", "/conversations/"+thread1+"/messages", newMessage(message1, "hi"), old...)
	if diff := cmp.Diff(any(map[string]any{"user_id": "ana.b", "name": nil}), m.has("sender")); diff != "" {
		t.Errorf("sender (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(any(map[string]any{"ana.b": "read", "agent": "sent"}), m.has("recipient_status")); diff != "" {
		t.Errorf("recipient_status (-want +got):\n%s", diff)
	}
	if m.has("parts", 0, "id") != message1+"/parts/0" {
		t.Errorf("parts: %v", m.has("parts"))
	}
	w.must(204, token, "PATCH", "/conversations/"+thread1, `[{"operation":"add","property":"participants","value":"agent"}]`, old...)
}
