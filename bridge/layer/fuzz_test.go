package layer

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

// recorder is a line that keeps what is sent.
type recorder struct{ frames [][]byte }

func (r *recorder) Send(frame []byte) { r.frames = append(r.frames, frame) }

func (r *recorder) End(served.Reason) {}

// FuzzFrames throws frames at a connection: whatever they are, the channel keeps
// working for everybody else.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		`{"type":"request","body":{"request_id":"r1","method":"Presence.subscribe"}}`,
		`{"type":"request","body":{"request_id":"r","method":"Message.create","object_id":"` + conversation1 + `","data":` + newMessage(message1, "hi") + `}}`,
		`{"type":"request","body":{"request_id":"r","method":"Conversation.create","data":` + newConversation(conversation2, true) + `}}`,
		`{"type":"request","body":{"request_id":"r","method":"Event.replay","data":{"from_timestamp":"2026-11-20T18:09:28.720Z"}}}`,
		`{"type":"signal","body":{"type":"typing_indicator","object":{"id":"` + conversation1 + `"},"data":{"action":"started"}}}`,
		`{"type":"request","body":{"request_id":"r","method":"Message.create","object_id":"` + conversation1 + `","data":` +
			root("location", `{"latitude":1,"longitude":"2","title":[],"city":{}}`) + `}}`,
		`{"type":"request","body":{"request_id":"r","method":"Message.create","object_id":"` + conversation1 + `","data":` +
			root("response-v2", `{"response_to":"`+message1+`","changes":[{"value":"1"}],"participant_data":{"a":"1,2"}}`) + `}}`,
		`{"type":"request","body":null}`, `[]`, `{"type":7}`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	w := newWorld(f)
	token := w.login("consumer-1")
	w.converse(token)
	who, err := w.layer.authenticate(f.Context(), token)
	if err != nil {
		f.Fatal(err)
	}
	u, release := w.layer.users.hold("consumer-1")
	f.Cleanup(release)
	f.Fuzz(func(t *testing.T, frame []byte) {
		sent := &recorder{}
		s := &socket{line: sent, log: w.layer.log, user: u, session: who.session, version: version3}
		w.layer.handleFrame(t.Context(), s, frame)
		for i, raw := range sent.frames {
			var p packet
			if err := json.Unmarshal(raw, &p); err != nil || p.Counter != int64(i) {
				t.Errorf("packet %d is numbered %d: %v", i, p.Counter, err)
			}
		}
		for _, e := range w.core.Events() {
			if err := e.Validate(); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzIdentityToken(f *testing.F) {
	w := newWorld(f)
	good := sign(f, claimsOf("consumer-1", "nonce"))
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add("a.b.c")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		claims, err := w.layer.verify(token)
		if err == nil && (claims.User != "consumer-1" || !strings.HasPrefix(good, token[:strings.LastIndexByte(token, '.')])) {
			t.Errorf("a token that nobody signed was believed")
		}
	})
}

func FuzzPatch(f *testing.F) {
	f.Add("set", `metadata.a\.b.c`, `"x"`)
	f.Add("delete", "metadata", "null")
	f.Add("set", "metadata", `{"a":{"b":"c"}}`)
	f.Add("remove", "participants", `"layer:///identities/agent"`)
	w := newWorld(f)
	v := view{history: w.layer.history, version: version3, viewer: &identity{User: "consumer-1"}}
	f.Fuzz(func(t *testing.T, do, property, value string) {
		s := patchOperation{Operation: do, Property: property}
		if json.Unmarshal([]byte(value), &s.Value) != nil {
			return
		}
		before := map[string]any{"title": "example", "a": map[string]any{"b": "c"}}
		c := &conversation{UUID: thread1, Owner: "consumer-1", Metadata: before}
		tr := &transaction{user: &user{typing: map[bridge.ThreadID]map[string]bool{}}, identity: v.viewer}
		err := w.layer.patch(tr, v, c, []patchOperation{s})
		if err == nil && w.layer.checkMetadata(c.Metadata) != nil {
			t.Errorf("metadata became %v", c.Metadata)
		}
		if diff := cmp.Diff(map[string]any{"title": "example", "a": map[string]any{"b": "c"}}, before); diff != "" {
			t.Errorf("the metadata of others changed:\n%s", diff)
		}
	})
}

// FuzzREST sends bodies to the REST API, as who is logged in and as a stranger: whatever
// they are, the answer is a refusal in Layer's form or a success, and what is passed on
// can be delivered.
func FuzzREST(f *testing.F) {
	places := []string{
		"POST /nonces", "POST /sessions", "POST /conversations", "POST /conversations/" + thread1 + "/messages", "PATCH /conversations/" + thread1,
		"POST /content", "POST /messages/" + message1[strings.LastIndexByte(message1, '/')+1:] + "/receipts", "GET /conversations", "DELETE /conversations/" + thread1,
		"POST /conversations/" + thread1 + "/mark_all_read", "GET /conversations/" + thread1 + "/messages", "PUT /content/x/upload",
	}
	for _, body := range []string{
		"", "null", "[]", "{", `{"identity_token":"a.b.c","app_id":"x"}`, newConversation(conversation2, true), newMessage(message1, "hi"),
		`[{"operation":"set","property":"metadata.a","value":"b"}]`, `{"type":"read"}`, `{"parts":[{"mime_type":"text/plain","body":7}]}`,
		`{"parts":[{"mime_type":"image/png","body":"AAAA","encoding":"base64"}]}`, root("location", `{"latitude":"x"}`), "\xff\x00",
	} {
		for i := range places {
			f.Add(i, body, "application/json", true)
		}
	}
	w := newWorld(f, func(c *Config) { c.Requests, c.Logins = 0, 0 })
	token := w.login("consumer-1")
	w.converse(token)
	mux := http.NewServeMux()
	for _, r := range w.layer.Routes() {
		mux.Handle(r.Pattern, r.Handler)
	}
	f.Fuzz(func(t *testing.T, place int, body, contentType string, known bool) {
		if place < 0 || len(body) > 1<<16 {
			return
		}
		method, path, _ := strings.Cut(places[place%len(places)], " ")
		r := httptest.NewRequestWithContext(t.Context(), method, "/layer"+path, strings.NewReader(body))
		r.Header.Set("Accept", "application/vnd.layer+json; version=3.0")
		r.Header.Set("Content-Type", contentType)
		if known {
			r.Header.Set("Authorization", `Layer session-token="`+token+`"`)
		}
		got := httptest.NewRecorder()
		mux.ServeHTTP(got, r)
		if got.Code >= http.StatusInternalServerError {
			t.Errorf("%s %s answered %d: %s", method, path, got.Code, got.Body)
		}
		var refusal struct{ ID, Message string }
		if got.Code >= http.StatusBadRequest && (json.Unmarshal(got.Body.Bytes(), &refusal) != nil || refusal.ID == "" || refusal.Message == "") {
			t.Errorf("%s %s answered %d without Layer's form: %s", method, path, got.Code, got.Body)
		}
		for _, e := range w.core.Events() {
			if err := e.Validate(); err != nil {
				t.Error(err)
			}
		}
	})
}
