package chatwootapi

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
)

// TestConformance holds the channel against the contract of all adapters. The
// channel under test has one contact, Alice, with one open conversation in
// which an agent asked something.
func TestConformance(t *testing.T) {
	const thread = base + "/contacts/s1/conversations/1"
	at := func(path string) func(*http.Request) {
		return func(r *http.Request) { r.URL.Path = path }
	}
	door := func(name, method, path, body string) bridgetest.Door {
		strangers := map[string]func(*http.Request){}
		for what, instead := range map[string]string{
			"unknown inbox": "inbox-none", "another inbox": "inbox-two",
		} {
			strangers[what] = at(strings.Replace(path, "inbox-one", instead, 1))
		}
		for what, instead := range map[string]string{"unknown source id": "s-none", "another contact": "s2"} {
			if instead == "s2" && !strings.HasPrefix(path, thread) {
				continue
			}
			strangers[what] = at(strings.Replace(path, "/s1", "/"+instead, 1))
		}
		return bridgetest.Door{
			Name: name,
			Request: func() *http.Request {
				r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
				r.Header.Set("Content-Type", "application/json")
				return r
			},
			Strangers: strangers, Limit: maxPlainBody, AnyContentType: true,
			Answers: bridgetest.Answers{Stranger: http.StatusNotFound}, Refused: refusedAsRails,
		}
	}
	// Typing is not stored, so a core that stores nothing takes it; a message
	// has no key by which a repetition could be told.
	message := door("message", "POST", thread+"/messages", `{"content":"suite-text-of-alice"}`)
	message.Repeats = true
	typing := door("typing", "POST", thread+"/toggle_typing", `{"typing_status":"on"}`)
	profile := door("profile", "PATCH", base+"/contacts/s1", `{"name":"Alicia Suite","email":"alicia@suite.example"}`)

	bridgetest.TestAdapter(t, bridgetest.AdapterCase{
		New: prepared,
		Doors: []bridgetest.Door{
			message, typing, profile,
			door("close", "POST", thread+"/toggle_status", ""),
			door("receipt", "POST", thread+"/update_last_seen", ""),
			door("click", "PATCH", thread+"/messages/1", `{"submitted_values":[{"value":"r-yes"}]}`),
		},
		Event: func(k bridge.Kind) bridge.Event {
			e := bridgetest.AgentEvent(k)
			e.Thread = "1"
			return e
		},
		Private: []string{
			hmacKey, "suite-text-of-alice", "Alice Suite", "Alicia Suite", "alice@suite.example", "alicia@suite.example", "+4912345678",
		},
	})
}

// prepared builds a channel with a contact, a conversation and a question.
func prepared(t testing.TB, s bridgetest.Setting) bridge.Adapter {
	t.Helper()
	api, err := New(testConfig(), s.Core, s.Log)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, core: s.Core, api: api, mux: http.NewServeMux()}
	for _, r := range api.Routes() {
		w.mux.Handle(r.Pattern, r.Handler)
	}
	w.contact("s1", `,"name":"Alice Suite","email":"alice@suite.example","phone_number":"+4912345678"`)
	w.contact("s2", "")
	w.another("s1")
	w.deliver(agentSays("a-1", "sure?", yesNo...))
	return api
}

// refusedAsRails checks that a refusal looks as Chatwoot's do.
func refusedAsRails(t testing.TB, resp *http.Response, body []byte) {
	t.Helper()
	var e railsError
	decodeInto(t, string(body), &e)
	if e.Status != resp.StatusCode || e.Error == "" || resp.Header.Get("Content-Type") != jsonType {
		t.Errorf("refused %d with %s", resp.StatusCode, body)
	}
	if resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}
