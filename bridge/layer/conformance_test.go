package layer

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/served"
)

// The credentials of the suite's consumer and of another one.
const (
	suiteToken    = "suite-session-token"
	strangerToken = "suite-stranger-token"
)

// suiteMessage is a message of an agent.
const suiteMessage = "bbbbbbbb-0000-4000-8000-000000000009"

// TestConformance holds the channel against the contract of all adapters. The
// channel under test has one consumer with one conversation, in which an agent
// wrote something.
func TestConformance(t *testing.T) {
	door := func(name, method, path, body string, accepted int) bridgetest.Door {
		return bridgetest.Door{
			Name: name,
			Request: func() *http.Request {
				r := httptest.NewRequestWithContext(t.Context(), method, "/layer"+path, strings.NewReader(body))
				r.Header.Set("Accept", "application/vnd.layer+json; version=3.0")
				r.Header.Set("Content-Type", "application/json")
				r.Header.Set("Authorization", `Layer session-token="`+suiteToken+`"`)
				return r
			},
			Strangers: map[string]func(*http.Request){
				"no session":       func(r *http.Request) { r.Header.Del("Authorization") },
				"unknown session":  func(r *http.Request) { r.Header.Set("Authorization", `Layer session-token="other"`) },
				"session in query": func(r *http.Request) { r.Header.Del("Authorization"); r.URL.RawQuery = "session_token=" + suiteToken },
			},
			Limit: maxRequest, AnyContentType: true, Answers: bridgetest.Answers{Accepted: accepted}, Refused: refusedAsLayer,
		}
	}
	message := door("message", "POST", "/conversations/"+thread1+"/messages", `{"parts":[{"mime_type":"text/plain","body":"suite-text-of-ana"}]}`, 201)
	message.Repeats = true
	leave := door("leave", "PATCH", "/conversations/"+thread1, `[{"operation":"remove","property":"participants","id":"layer:///identities/ana-suite"}]`, 204)
	leave.Repeats = true // what was left is no longer there
	bridgetest.TestAdapter(t, bridgetest.AdapterCase{
		New: prepared,
		Doors: []bridgetest.Door{
			message, leave,
			door("receipt", "POST", "/messages/"+suiteMessage+"/receipts", `{"type":"read"}`, 204),
			door("read all", "POST", "/conversations/"+thread1+"/mark_all_read", `{"position":1000000}`, 202),
		},
		Event: func(k bridge.Kind) bridge.Event {
			e := bridgetest.AgentEvent(k)
			e.Thread = thread1
			return e
		},
		Private: []string{suiteToken, strangerToken, "suite-text-of-ana", "Ana Suite", "ana@suite.example", "ana-suite"},
	})
}

// TestStrangers checks that one consumer is nobody to another.
func TestStrangers(t *testing.T) {
	w := newWorld(t)
	w.converse(w.login("consumer-1"))
	w.deliver(agentSays("dialog-1:1", "hello"))
	stranger := w.login("consumer-2")
	for _, r := range [][3]string{
		{"GET", "/conversations/" + thread1, ""},
		{"PATCH", "/conversations/" + thread1, `[{"operation":"set","property":"metadata.a","value":"b"}]`},
		{"DELETE", "/conversations/" + thread1 + "?mode=all_participants", ""},
		{"GET", "/conversations/" + thread1 + "/messages", ""},
		{"POST", "/conversations/" + thread1 + "/messages", newMessage(message1, "hi")},
		{"POST", "/conversations/" + thread1 + "/mark_all_read", "{}"},
	} {
		w.must(404, stranger, r[0], r[1], r[2])
	}
	a := w.connect(stranger, "layer-3.0")
	a.request("r1", "Message.create", conversation1, newMessage(message1, "hi"))
	a.signal(conversation1, "started")
	a.request("r2", "Event.replay", "", `{"from_timestamp":"2020-01-01T00:00:00.000Z"}`)
	a.expect("r1 not_found", "r2 ok")
	if n := len(w.core.Events()); n != 0 {
		t.Errorf("%d events of a stranger", n)
	}
}

// prepared builds a channel that holds what the suite needs.
func prepared(t testing.TB, s bridgetest.Setting) bridge.Adapter {
	t.Helper()
	l, err := New(testConfig(), s.Core, s.Log)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithoutCancel(t.Context())
	records := s.Core.Records()
	next := func(kind string) int64 {
		id, err := records.NextID(ctx, kind)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	now := time.Now()
	c := &conversation{
		ID: next(string(kindConversation)), UUID: thread1, Owner: "ana-suite", Created: now, LastMessage: 1, LastUUID: suiteMessage, Total: 1, Unread: 1,
	}
	stored := []served.Thing{
		&identity{ID: next(string(kindIdentity)), User: "ana-suite", DisplayName: "Ana Suite", Email: "ana@suite.example", Created: now},
		&session{ID: next(string(kindSession)), User: "ana-suite", Created: now, Expires: now.Add(time.Hour), TokenHash: digest(suiteToken), NonceHash: "n-1"},
		c,
		&message{
			ID: next(string(kindMessage)), UUID: suiteMessage, Conversation: c.ID, Thread: c.UUID, Owner: c.Owner, Sender: "agent",
			Parts: []part{{MIMEType: typePlain, Body: "hello"}}, Sent: now, Status: statusSent, Event: "dialog-0:0",
		},
	}
	if err := l.keep(ctx, nil, stored...); err != nil {
		t.Fatal(err)
	}
	return l
}

// refusedAsLayer checks that a refusal looks as Layer's do.
func refusedAsLayer(t testing.TB, resp *http.Response, body []byte) {
	t.Helper()
	var e errorObject
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || e.ID == "" || e.Code == 0 || e.Message == "" || e.Data == nil {
		t.Errorf("refused %d with %s", resp.StatusCode, body)
	}
	if resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}
