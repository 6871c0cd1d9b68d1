package chatwoot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const stubToken = "token-of-the-application-api"

// stub is Chatwoot's application API below /sub, as strict as the real one and
// stricter: a request that Chatwoot would quietly misread fails the test.
type stub struct {
	t     testing.TB
	owner string // kindUser or kindBot
	role  string // of the user
	// release is its version; empty has no /api.
	release string
	// apiInbox says that inbox 3 is an API inbox.
	apiInbox bool
	// hook gets every webhook that a call causes; nil for none.
	hook func(payload map[string]any)
	// extra are account webhooks, by address.
	webhooks []map[string]any
	inboxURL string

	mu       sync.Mutex
	began    time.Time
	calls    []string
	messages []map[string]any
	status   string
	// lose is how many answers to messages are lost after the message is there.
	lose int
	// gateway is what something in front of Chatwoot answers to the next message
	// after Chatwoot has it; 0 for nothing.
	gateway int
	// uploadStatus is what a message with files is answered; 0 takes it.
	uploadStatus int
}

func newStub(t testing.TB) *stub {
	return &stub{
		t: t, owner: kindUser, role: "administrator", release: "4.15.1", apiInbox: true, status: statusOpen,
		began: time.Now(), inboxURL: "https://bridge.example/channels/chatwoot",
		webhooks: []map[string]any{
			{"id": 1, "url": "https://elsewhere.example/hook", "subscriptions": []string{"message_created"}, "secret": "private-secret"},
			{"id": 2, "url": "https://bridge.example/channels/chatwoot", "subscriptions": wanted, "secret": "private-secret"},
		},
	}
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mux := http.NewServeMux()
	const conversation = "/sub/api/v1/accounts/1/conversations/{id}"
	mux.HandleFunc("POST "+conversation+"/messages", s.forAll(s.create))
	mux.HandleFunc("GET "+conversation+"/messages", s.forUsers(s.list))
	mux.HandleFunc("PATCH "+conversation+"/messages/{message}", s.forUsers(s.update))
	mux.HandleFunc("POST "+conversation+"/toggle_typing_status", s.forAll(s.typing))
	mux.HandleFunc("POST "+conversation+"/toggle_status", s.forAll(s.toggle))
	mux.HandleFunc("GET "+conversation, s.forAll(func(w http.ResponseWriter, r *http.Request, _ map[string]any) {
		s.known(w, r)
	}))
	mux.HandleFunc("GET /sub/api/v1/profile", s.forUsers(s.profile))
	mux.HandleFunc("GET /sub/api/v1/accounts/1/inboxes", s.forUsers(s.inboxes))
	mux.HandleFunc("GET /sub/api/v1/accounts/1/webhooks", s.forUsers(s.listWebhooks))
	if s.release != "" {
		mux.HandleFunc("GET /sub/api", func(w http.ResponseWriter, _ *http.Request) {
			s.answer(w, 200, map[string]any{"version": s.release, "queue_services": "ok"})
		})
	}
	mux.ServeHTTP(w, r)
}

type stubHandler func(w http.ResponseWriter, r *http.Request, body map[string]any)

// forAll lets users and bots in.
func (s *stub) forAll(h stubHandler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		tokens := r.Header.Values("Api-Access-Token")
		switch {
		case len(tokens) == 0:
			s.answer(w, 401, map[string]any{"errors": []string{"You need to sign in or sign up before continuing."}})
			return
		case len(tokens) != 1 || tokens[0] != stubToken:
			s.answer(w, 401, map[string]any{"error": "Invalid Access Token"})
			return
		}
		if strings.Contains(r.URL.String(), stubToken) || r.Header.Get("Authorization") != "" {
			s.t.Error("the token is not only in its header")
		}
		var body map[string]any
		if r.Method != http.MethodGet {
			body = s.body(r)
		}
		h(w, r, body)
	}
}

// body reads the parameters of a call as Rails does.
func (s *stub) body(r *http.Request) (body map[string]any) {
	if ct := r.Header.Get("Content-Type"); strings.HasPrefix(ct, "multipart/form-data") {
		return s.form(r)
	} else if ct != "application/json" {
		s.t.Errorf("Content-Type %q", ct)
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		s.t.Errorf("body: %v", err)
	}
	return body
}

// form reads a message with files.
func (s *stub) form(r *http.Request) map[string]any {
	if err := r.ParseMultipartForm(1 << 20); err != nil {
		s.t.Errorf("form: %v", err)
		return nil
	}
	body := map[string]any{}
	for name, values := range r.MultipartForm.Value {
		body[name] = values[0]
	}
	body["private"] = body["private"] == "true"
	var attributes map[string]any
	if err := json.Unmarshal([]byte(body["content_attributes"].(string)), &attributes); err != nil {
		s.t.Errorf("content_attributes: %v", err)
	}
	body["content_attributes"] = attributes
	for name, files := range r.MultipartForm.File {
		if name != "attachments[]" {
			s.t.Errorf("files in a part named %q", name)
		}
		var uploads []string
		for _, f := range files {
			file, err := f.Open()
			if err != nil {
				s.t.Error(err)
				continue
			}
			data, err := io.ReadAll(file)
			if err != nil {
				s.t.Error(err)
			}
			uploads = append(uploads, fmt.Sprintf("%s %s %s", f.Filename, f.Header.Get("Content-Type"), data))
		}
		body["attachments"] = uploads
	}
	return body
}

func (s *stub) forUsers(h stubHandler) http.HandlerFunc {
	return s.forAll(func(w http.ResponseWriter, r *http.Request, body map[string]any) {
		if s.owner == kindBot {
			s.answer(w, 401, map[string]any{"error": "Access to this endpoint is not authorized for bots"})
			return
		}
		h(w, r, body)
	})
}

// known answers 404 unless the conversation is 42.
func (s *stub) known(w http.ResponseWriter, r *http.Request) bool {
	if r.PathValue("id") == "42" {
		return true
	}
	s.answer(w, 404, map[string]any{"error": "Resource could not be found"})
	return false
}

func (s *stub) create(w http.ResponseWriter, r *http.Request, body map[string]any) {
	if !s.known(w, r) {
		return
	}
	s.members(body, "content", "message_type", "private", "content_type", "content_attributes", "attachments")
	content, _ := body["content"].(string)
	if strings.Contains(content, "{{") || strings.Contains(content, "{%") {
		s.t.Errorf("Liquid would be evaluated in %q", content)
	}
	if body["message_type"] != "outgoing" || body["private"] != false {
		s.t.Errorf("message %v", body)
	}
	attributes, _ := body["content_attributes"].(map[string]any)
	what := "message:" + content
	if body["content_type"] == "input_select" {
		items, _ := attributes["items"].([]any)
		if len(items) == 0 {
			s.answer(w, 422, map[string]any{"error": "Validation failed: Content attributes At least one item is required."})
			return
		}
		for _, i := range items {
			s.members(i.(map[string]any), "title", "value")
			what += fmt.Sprintf(" [%v=%v]", i.(map[string]any)["title"], i.(map[string]any)["value"])
		}
	} else if items, ok := attributes["items"].([]any); ok {
		what += s.structure(body["content_type"], items)
	} else if body["content_type"] != "text" || content == "" && body["attachments"] == nil {
		s.t.Errorf("message %v", body)
	}
	if uploads, ok := body["attachments"].([]string); ok {
		what += fmt.Sprintf(" %q", uploads)
		if s.uploadStatus != 0 {
			s.answer(w, s.uploadStatus, map[string]any{"error": "Validation failed: Attachments is too big"})
			return
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	id := 1000 + len(s.messages)
	message := map[string]any{
		"id": id, "content": content, "message_type": 1, "content_type": body["content_type"], "private": false,
		"content_attributes": attributes, "created_at": time.Now().Unix(), "conversation_id": 42,
	}
	s.messages = append(s.messages, message)
	s.noteLocked(what)
	s.hookLocked("message_created_own", func(p map[string]any) {
		p["id"], p["content"], p["content_attributes"] = id, content, attributes
	})
	if s.lose > 0 {
		s.lose--
		panic(http.ErrAbortHandler)
	}
	if status := s.gateway; status != 0 {
		s.gateway = 0
		w.WriteHeader(status)
		return
	}
	s.answer(w, 200, message)
}

// structure writes the items of cards and articles, which may have no other keys
// and no card without actions.
func (s *stub) structure(kind any, items []any) string {
	known := map[any][]string{"cards": {"title", "description", "media_url", "actions"}, "article": {"title", "description", "link"}}[kind]
	if known == nil || len(items) == 0 {
		s.t.Errorf("items %v of type %v", items, kind)
	}
	for _, i := range items {
		s.members(i.(map[string]any), known...)
		if actions, ok := i.(map[string]any)["actions"].([]any); kind == "cards" && (!ok || len(actions) == 0) {
			s.t.Error("a card without actions")
		}
	}
	text, err := json.Marshal(items)
	if err != nil {
		s.t.Error(err)
	}
	return fmt.Sprintf(" %v %s", kind, text)
}

// list gives the newest 20, oldest first.
func (s *stub) list(w http.ResponseWriter, r *http.Request, _ map[string]any) {
	if !s.known(w, r) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	page := slices.Clone(s.messages)
	if before := r.URL.Query().Get("before"); before != "" {
		id, err := strconv.Atoi(before)
		if err != nil {
			s.t.Errorf("before=%q", before)
		}
		page = slices.DeleteFunc(page, func(m map[string]any) bool { return m["id"].(int) >= id })
	}
	page = page[max(0, len(page)-20):]
	s.noteLocked("list")
	s.answer(w, 200, map[string]any{"meta": map[string]any{}, "payload": page})
}

func (s *stub) update(w http.ResponseWriter, r *http.Request, body map[string]any) {
	if !s.known(w, r) {
		return
	}
	if !s.apiInbox {
		s.answer(w, 403, map[string]any{"error": "Message status update is only allowed for API inboxes"})
		return
	}
	s.members(body, "status", "external_error")
	if !slices.Contains([]any{"delivered", "read", "failed"}, body["status"]) {
		s.t.Errorf("status %v", body["status"])
	}
	s.note(fmt.Sprintf("receipt:%s:%v", r.PathValue("message"), body["status"]))
	s.answer(w, 200, map[string]any{})
}

func (s *stub) typing(w http.ResponseWriter, r *http.Request, body map[string]any) {
	if !s.known(w, r) {
		return
	}
	s.members(body, "typing_status", "is_private")
	if body["is_private"] != false || body["typing_status"] != "on" && body["typing_status"] != "off" {
		s.t.Errorf("typing %v", body)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteLocked(fmt.Sprintf("typing:%v", body["typing_status"]))
	s.hookLocked("conversation_typing_on_user", func(p map[string]any) {
		p["event"] = fmt.Sprintf("conversation_typing_%v", body["typing_status"])
	})
}

func (s *stub) toggle(w http.ResponseWriter, r *http.Request, body map[string]any) {
	if !s.known(w, r) {
		return
	}
	s.members(body, "status")
	status, _ := body["status"].(string)
	if status != statusOpen && status != statusResolved && status != statusPending {
		s.answer(w, 500, nil)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteLocked("status:" + status)
	if s.status != status {
		s.status = status
		s.hookLocked("conversation_status_changed_resolved", func(p map[string]any) {
			p["status"], p["updated_at"] = status, float64(time.Now().UnixMilli())/1000
		})
	}
	s.answer(w, 200, map[string]any{"payload": map[string]any{"success": true, "current_status": status}})
}

func (s *stub) profile(w http.ResponseWriter, _ *http.Request, _ map[string]any) {
	s.answer(w, 200, map[string]any{
		"id": 7, "name": "private-name", "email": "private@example.com", "access_token": stubToken, "role": s.role,
		"accounts": []any{map[string]any{"id": 9, "role": "agent"}, map[string]any{"id": 1, "name": "private-account", "role": s.role}},
	})
}

func (s *stub) inboxes(w http.ResponseWriter, _ *http.Request, _ map[string]any) {
	s.answer(w, 200, map[string]any{"payload": []any{
		map[string]any{"id": 3, "name": "private-inbox", "channel_type": "Channel::Api", "webhook_url": s.inboxURL, "secret": "private-secret"},
		map[string]any{"id": 4, "name": "private-inbox", "channel_type": "Channel::WebWidget"},
	}})
}

func (s *stub) listWebhooks(w http.ResponseWriter, _ *http.Request, _ map[string]any) {
	s.answer(w, 200, map[string]any{"payload": map[string]any{"webhooks": s.webhooks}})
}

func (s *stub) answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		s.t.Error(err)
	}
}

// members fails for a parameter that Chatwoot would not know.
func (s *stub) members(body map[string]any, known ...string) {
	for name := range body {
		if !slices.Contains(known, name) {
			s.t.Errorf("unknown parameter %q", name)
		}
	}
}

func (s *stub) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteLocked(what)
}

func (s *stub) noteLocked(what string) {
	s.calls = append(s.calls, fmt.Sprintf("%.1f %s", time.Since(s.began).Seconds(), what))
}

func (s *stub) hookLocked(name string, change func(map[string]any)) {
	if s.hook == nil {
		return
	}
	payload := fixture(s.t, name)
	change(payload)
	s.hook(payload)
}

// restartClock forgets the calls and counts time from now.
func (s *stub) restartClock() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls, s.began = nil, time.Now()
}

// timeline lists the calls so far as "0.0 typing:on", those of the kinds given.
func (s *stub) timeline(kinds ...string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, c := range s.calls {
		_, what, _ := strings.Cut(c, " ")
		kind, _, _ := strings.Cut(what, ":")
		if len(kinds) == 0 || slices.Contains(kinds, kind) {
			lines = append(lines, c)
		}
	}
	return lines
}

// RoundTrip reaches the stub without a socket.
func (s *stub) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	defer func() {
		if reason := recover(); reason == http.ErrAbortHandler {
			resp, err = nil, io.ErrUnexpectedEOF
		} else if reason != nil {
			panic(reason)
		}
	}()
	rec := httptest.NewRecorder()
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	s.ServeHTTP(rec, in)
	return rec.Result(), nil
}

// fixture reads a recorded payload, for changing.
func fixture(t testing.TB, name string) map[string]any {
	t.Helper()
	var payload map[string]any
	if err := json.Unmarshal(recorded(t, name), &payload); err != nil {
		t.Fatal(err)
	}
	return payload
}

func encode(t testing.TB, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.NewEncoder(&b).Encode(v); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func mustURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}
