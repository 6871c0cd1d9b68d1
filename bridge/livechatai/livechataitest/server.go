package livechataitest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Key is the API key that the server accepts.
const Key = "key-of-the-workspace"

// Server is LiveChatAI. Its fields are set before it is used.
type Server struct {
	// ReplyRole is the role of replies in a conversation; the vendor names none.
	ReplyRole string
	// WholeSeconds cuts times to seconds, as the vendor's examples show them.
	WholeSeconds bool

	check *contract

	mu            sync.Mutex
	conversations map[string]*Conversation
	ids           int
	calls         []Call
	typing        map[string]*indicator
	complaints    []string
	before        func(c Call) *Answer
	after         func(c Call) *Answer
}

// Conversation is a conversation as the API shows it.
type Conversation struct {
	ID, Agent  string
	Contact    Contact
	IsResolved bool
	IsAgent    bool
	// Foreign conversations are of another workspace.
	Foreign  bool
	messages []Message
	created  time.Time
	last     time.Time
}

// Contact is a visitor.
type Contact struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
	Phone string `json:"phone"`
}

// Message is a message of a conversation.
type Message struct {
	ID      string
	Content string
	Role    string
	Type    string
	userID  string
	Created time.Time
}

// Call is a request the server received.
type Call struct {
	At     time.Time
	method string
	// Verb is list, read, reply, typing or end.
	Verb         string
	Conversation string
	Query        string
	Body         string
}

// Answer replaces the server's own.
type Answer struct {
	Status     int
	RetryAfter string
	Body       string
	// Lost closes the connection instead.
	Lost bool
}

// New returns an empty workspace.
func New() *Server {
	return &Server{
		ReplyRole: "agent", check: newContract(), conversations: map[string]*Conversation{}, typing: map[string]*indicator{},
	}
}

// Before has f answer calls that it returns an answer for; they change nothing.
func (s *Server) Before(f func(c Call) *Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = f
}

// After has f replace answers of calls that had their effect.
func (s *Server) After(f func(c Call) *Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.after = f
}

// Open begins a conversation of an AI agent with a visitor.
func (s *Server) Open(c Conversation) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.created = cmp.Or(c.created, s.now())
	c.last = cmp.Or(c.last, c.created)
	s.conversations[c.ID] = &c
}

// Change changes a conversation.
func (s *Server) Change(id string, f func(c *Conversation)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(s.conversations[id])
}

// Remove makes a conversation unknown.
func (s *Server) Remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conversations, id)
}

// Say writes as the visitor and returns the message's id.
func (s *Server) Say(id, text string) string {
	return s.Write(id, Message{Content: text, Role: "user", Type: "TEXT"})
}

// Write adds a message and returns its id.
func (s *Server) Write(id string, m Message) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.write(s.conversations[id], m)
}

func (s *Server) write(c *Conversation, m Message) string {
	if m.ID == "" {
		s.ids++
		m.ID = "msg_" + strconv.Itoa(s.ids)
	}
	m.Created = cmp.Or(m.Created, s.now())
	c.messages = append(c.messages, m)
	if m.Created.After(c.last) {
		c.last = m.Created
	}
	return m.ID
}

func (s *Server) now() time.Time {
	if s.WholeSeconds {
		return time.Now().UTC().Truncate(time.Second)
	}
	return time.Now().UTC()
}

// Messages returns a conversation's messages as "role: content".
func (s *Server) Messages(id string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, m := range s.conversations[id].messages {
		lines = append(lines, m.Role+": "+m.Content)
	}
	return lines
}

// Resolved reports whether a conversation is resolved.
func (s *Server) Resolved(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conversations[id].IsResolved
}

// Calls returns the calls of the given verbs, of all when none is given.
func (s *Server) Calls(verbs ...string) []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.calls), func(c Call) bool {
		return len(verbs) > 0 && !slices.Contains(verbs, c.Verb)
	})
}

// ForgetCalls empties the list of calls.
func (s *Server) ForgetCalls() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = nil
}

// Complaints are the broken rules: requests that the vendor's OpenAPI text does
// not allow, and typing at another pace than it asks for.
func (s *Server) Complaints() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.complaints)
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer := s.answer(r)
	if answer.Lost {
		panic(http.ErrAbortHandler)
	}
	if answer.RetryAfter != "" {
		w.Header().Set("Retry-After", answer.RetryAfter)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(answer.Status)
	_, _ = io.WriteString(w, answer.Body)
}

func (s *Server) answer(r *http.Request) *Answer {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return failure(http.StatusBadRequest)
	}
	call := callOf(r, body)
	s.mu.Lock()
	s.calls = append(s.calls, call)
	before, after := s.before, s.after
	s.mu.Unlock()
	if before != nil {
		if a := before(call); a != nil {
			return a
		}
	}
	if r.Header.Get("Authorization") != "Bearer "+Key {
		return failure(http.StatusUnauthorized)
	}
	a := s.serve(r, call)
	if after != nil {
		if instead := after(call); instead != nil {
			return instead
		}
	}
	return a
}

func callOf(r *http.Request, body []byte) Call {
	c := Call{At: time.Now(), method: r.Method, Query: r.URL.RawQuery, Body: string(body)}
	rest, ok := strings.CutPrefix(r.URL.Path, "/api/v2/conversations")
	rest = strings.TrimPrefix(rest, "/")
	id, verb, _ := strings.Cut(rest, "/")
	switch {
	case !ok:
		c.Verb = "unknown"
	case rest == "":
		c.Verb = "list"
	default:
		c.Conversation, c.Verb = id, cmp.Or(verb, "read")
	}
	return c
}

// methods are the methods of the calls.
var methods = map[string]string{
	"list": http.MethodGet, "read": http.MethodGet, "reply": http.MethodPost, "typing": http.MethodPost, "end": http.MethodPost,
}

func (s *Server) serve(r *http.Request, call Call) *Answer {
	if methods[call.Verb] != call.method {
		return failure(http.StatusNotFound)
	}
	if call.method == http.MethodPost && r.Header.Get("Content-Type") != "application/json" {
		return failure(http.StatusBadRequest)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if call.Verb == "list" {
		return s.list(r)
	}
	if call.Verb == "typing" {
		if err := s.check.typing(r, []byte(call.Body)); err != nil {
			s.complain("typing: %v", err)
			return failure(http.StatusBadRequest)
		}
	}
	c := s.conversations[call.Conversation]
	switch {
	case c == nil:
		return failure(http.StatusNotFound)
	case c.Foreign:
		return failure(http.StatusForbidden)
	}
	switch call.Verb {
	case "reply":
		return s.reply(c, call)
	case "typing":
		return s.showTyping(c, call)
	case "end":
		c.IsResolved = true
		return success(map[string]any{"conversationId": c.ID})
	}
	return success(s.shown(c))
}

func (s *Server) complain(format string, args ...any) {
	s.complaints = append(s.complaints, fmt.Sprintf(format, args...))
}

func (s *Server) list(r *http.Request) *Answer {
	q := r.URL.Query()
	page, size := number(q.Get("page"), 1), number(q.Get("perPage"), 20)
	if q.Get("agentId") == "" || page < 1 || size < 1 || size > 100 {
		return failure(http.StatusBadRequest)
	}
	var found []*Conversation
	for _, c := range s.conversations {
		if c.Agent == q.Get("agentId") && !c.Foreign && (q.Get("status") != "open" || !c.IsResolved) {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b *Conversation) int { return cmp.Or(b.last.Compare(a.last), cmp.Compare(a.ID, b.ID)) })
	total := len(found)
	found = found[min((page-1)*size, total):min(page*size, total)]
	shown := []any{}
	for _, c := range found {
		shown = append(shown, map[string]any{
			"id": c.ID, "isResolved": c.IsResolved, "isStarred": false, "isMuted": false, "isAgent": c.IsAgent,
			"integrationType": "INLINECHAT", "contact": c.Contact, "lastMessageDate": s.stamp(c.last),
			"createdAt": s.stamp(c.created), "updatedAt": s.stamp(c.last),
		})
	}
	return success(map[string]any{
		"conversations": shown,
		"meta":          map[string]any{"total": total, "perPage": size, "currentPage": page, "totalPages": (total + size - 1) / size},
	})
}

func number(text string, fallback int) int {
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

func (s *Server) stamp(t time.Time) string {
	if s.WholeSeconds {
		return t.Format("2006-01-02T15:04:05Z")
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

// shown is a conversation with its messages. As in the vendor's example every
// message has an agent object, the visitor's too.
func (s *Server) shown(c *Conversation) map[string]any {
	agent := map[string]any{"id": "agent_1", "name": "Jane Smith", "email": "jane@company.example"}
	messages := []any{}
	for _, m := range c.messages {
		messages = append(messages, map[string]any{
			"id": m.ID, "content": m.Content, "role": m.Role, "type": m.Type, "source": []any{}, "agent": agent,
			"createdAt": s.stamp(m.Created),
		})
	}
	return map[string]any{
		"id": c.ID, "contactId": c.Contact.ID, "agentId": c.Agent, "isResolved": c.IsResolved, "isAgent": c.IsAgent,
		"isMuted": false, "isStarred": false, "lastMessageDate": s.stamp(c.last), "agent": agent, "messages": messages,
		"createdAt": s.stamp(c.created), "updatedAt": s.stamp(c.last),
	}
}

func (s *Server) reply(c *Conversation, call Call) *Answer {
	var body struct {
		Message, UserID, MessageType string
	}
	if json.Unmarshal([]byte(call.Body), &body) != nil || body.Message == "" ||
		!slices.Contains([]string{"", "TEXT", "IMAGE"}, body.MessageType) {
		return failure(http.StatusBadRequest)
	}
	id := s.write(c, Message{Content: body.Message, Role: s.ReplyRole, Type: cmp.Or(body.MessageType, "TEXT"), userID: body.UserID})
	return success(map[string]any{
		"messageId": id, "conversationId": c.ID,
		"message": map[string]any{"id": id, "text": body.Message, "sender": "AGENT", "type": "TEXT", "createdAt": s.stamp(s.now())},
	})
}

func success(data any) *Answer {
	body, err := json.Marshal(map[string]any{"status": "success", "data": data})
	if err != nil {
		return failure(http.StatusInternalServerError)
	}
	return &Answer{Status: http.StatusOK, Body: string(body)}
}

func failure(status int) *Answer {
	return &Answer{Status: status, Body: `{"status":"error","message":"failed","code":"error_code"}`}
}

// Transport carries requests to the server without sockets, so that tests can
// run in fake time.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ server *Server }

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	body := []byte{}
	if r.Body != nil {
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	inner := r.Clone(r.Context())
	inner.Body, inner.RequestURI = io.NopCloser(bytes.NewReader(body)), r.URL.RequestURI()
	rec := httptest.NewRecorder()
	defer func() {
		if recover() != nil {
			resp, err = nil, io.ErrUnexpectedEOF
		}
	}()
	t.server.ServeHTTP(rec, inner)
	resp = rec.Result()
	resp.Request = r
	return resp, nil
}
