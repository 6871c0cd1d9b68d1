package layer

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
)

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
			// The SDKs ask for both, and browsers complain of one that they may not see.
			for _, name := range []string{"Layer-Count", "Link"} {
				if tc.allowed && tc.method == "GET" && !strings.Contains(a.header.Get("Access-Control-Expose-Headers"), name) {
					t.Errorf("%s is not exposed", name)
				}
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
		{"too many", `[` + strings.Repeat(`{"operation":"delete","property":"metadata.a"},`, maxPatchOperations) + `{}]`, 413, nil},
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
