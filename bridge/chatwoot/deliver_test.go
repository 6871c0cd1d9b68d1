package chatwoot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/farside"
	"lpbridge/internal/attempt"

	"github.com/google/go-cmp/cmp"
)

func newClientOf(t testing.TB) *farside.Client { return client(newStub(t)) }

// agentSays is a message of an agent for conversation 42.
func agentSays(text string) *bridge.Event {
	e := bridgetest.AgentEvent(bridge.KindMessage)
	e.Thread, e.Message, e.Time = "42", &bridge.Message{Text: text}, time.Now()
	return &e
}

func state(s bridge.ConversationState, by string) *bridge.Event {
	e := bridgetest.AgentEvent(bridge.KindState)
	e.Thread, e.State = "42", &bridge.State{Conversation: s, By: by}
	return &e
}

func receipt(s bridge.ReceiptStatus, ids ...bridge.EventID) *bridge.Event {
	e := bridgetest.AgentEvent(bridge.KindReceipt)
	e.Thread, e.Receipt = "42", &bridge.Receipt{Status: s, MessageIDs: ids}
	return &e
}

func TestDeliver(t *testing.T) {
	choice := agentSays("Shall we?")
	choice.Message.QuickReplies = []bridge.QuickReply{{ID: "0", Title: "Yes", Text: "yes"}, {ID: "1", Title: "No"}}
	silent := agentSays("")
	silent.Message.QuickReplies = []bridge.QuickReply{{ID: "0", Title: "Yes"}}
	keep := func(c *Config) { c.OnOpen, c.OnClose = leave, leave }
	tests := []struct {
		name  string
		cfg   func(*Config)
		event *bridge.Event
		want  []string
	}{
		{"text", nil, agentSays("Hello"), []string{"0.0 message:Hello"}},
		{"escaped text", func(c *Config) { c.Markdown = markdownEscape }, agentSays("*a*"), []string{`0.0 message:\*a\*`}},
		{"choice", nil, choice, []string{"0.0 message:Shall we?\n1. Yes\n2. No [Yes=Yes] [No=No]"}},
		{"choice without words", nil, silent, []string{"0.0 message:1. Yes [Yes=Yes]"}},
		{"open", nil, state(bridge.StateOpen, ""), []string{"0.0 status:open"}},
		{"joined", nil, state(bridge.StateJoined, "agent"), []string{"0.0 status:open"}},
		{"transferred", nil, state(bridge.StateTransferred, "agent"), nil},
		{"survey", nil, state(bridge.StateSurvey, ""), nil},
		{"survey ended", nil, state(bridge.StateSurveyEnded, ""), nil},
		{"closed by an agent", nil, state(bridge.StateClosed, "agent"), []string{"0.0 status:resolved"}},
		{"closed by the system", nil, state(bridge.StateClosed, "system"), []string{"0.0 status:resolved"}},
		{"closed and given back", func(c *Config) { c.OnClose = onCloseBot }, state(bridge.StateClosed, "agent"), []string{"0.0 status:pending"}},
		{"closed because resolved here", nil, state(bridge.StateClosed, "consumer"), nil},
		{"open, left alone", keep, state(bridge.StateOpen, ""), nil},
		{"closed, left alone", keep, state(bridge.StateClosed, "agent"), nil},
		{"delivered", nil, receipt(bridge.ReceiptDelivered, "message:100"), []string{"0.0 receipt:100:delivered"}},
		{"read, in parts", nil, receipt(bridge.ReceiptRead, "message:100", "message:100\x1f1", "message:101"), []string{"0.0 receipt:100:read", "0.0 receipt:101:read"}},
		{"failed", nil, receipt(bridge.ReceiptFailed, "message:100"), []string{"0.0 receipt:100:failed"}},
		{"receipt for what is no message", nil, receipt(bridge.ReceiptRead, "click:103:1f", "message:", "message:0"), nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := goodConfig(t)
			if tt.cfg != nil {
				tt.cfg(&cfg)
			}
			c, _, far := newChatwoot(t, cfg)
			if err := c.Deliver(t.Context(), tt.event); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, far.timeline()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUndeliverable(t *testing.T) {
	thread := func(id string) *bridge.Event {
		e := agentSays("x")
		e.Thread = bridge.ThreadID(id)
		return e
	}
	other := agentSays("x")
	other.Kind = bridge.KindProfile
	tests := map[string]*bridge.Event{
		"thread in words":      thread("t-42"),
		"thread with a path":   thread("42/../43"),
		"thread zero":          thread("0"),
		"nothing to show":      agentSays(""),
		"another kind":         other,
		"unknown conversation": thread("43"),
	}
	for name, e := range tests {
		t.Run(name, func(t *testing.T) {
			c, _, _ := newChatwoot(t, goodConfig(t))
			d, ok := errors.AsType[*bridge.DeliveryError](c.Deliver(t.Context(), e))
			if !ok || d.Outcome != bridge.Invalid {
				t.Errorf("%v, want invalid", d)
			}
		})
	}
}

// TestReceiptElsewhereIsNoFault has an inbox that is no API inbox: the operator's
// token is good, so nothing may wait for another.
func TestReceiptElsewhereIsNoFault(t *testing.T) {
	c, _, far := newChatwoot(t, goodConfig(t))
	far.apiInbox = false
	d, ok := errors.AsType[*bridge.DeliveryError](c.Deliver(t.Context(), receipt(bridge.ReceiptRead, "message:100")))
	if !ok || d.Outcome != bridge.Invalid {
		t.Errorf("%v, want invalid", d)
	}
}

func TestMarkThatCannotBeKept(t *testing.T) {
	c, _, far := newChatwoot(t, goodConfig(t))
	c.core = brokenRecords{c.core}
	d, ok := errors.AsType[*bridge.DeliveryError](c.Deliver(t.Context(), state(bridge.StateClosed, "agent")))
	if !ok || d.Outcome != bridge.Retry || len(far.timeline()) != 0 {
		t.Errorf("%v after %v, want a retry and no call", d, far.timeline())
	}
	if rec := send(c, signed(accountSecret, recorded(t, "conversation_resolved"))); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("a resolve that cannot be looked up was answered %d, want 503", rec.Code)
	}
}

// brokenRecords is a journal that is away.
type brokenRecords struct{ bridge.Core }

func (brokenRecords) Records() bridge.Records { return awayRecords{} }

type awayRecords struct{ bridge.Records }

func (awayRecords) Get(context.Context, string, int64) (bridge.Record, error) {
	return bridge.Record{}, bridge.ErrStorage
}

func (awayRecords) Save(context.Context, ...bridge.Record) error { return bridge.ErrStorage }

// far answers every call alike.
type far func(*http.Request) (*http.Response, error)

func (f far) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answering(status int, header http.Header, body string) far {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func deliverTo(t testing.TB, f http.RoundTripper) error {
	t.Helper()
	c, err := New(goodConfig(t), bridgetest.NewCore(), client(f), discard)
	if err != nil {
		t.Fatal(err)
	}
	return c.Deliver(t.Context(), agentSays("Hello"))
}

// TestRefusals has the error bodies of Chatwoot's application API.
func TestRefusals(t *testing.T) {
	after := http.Header{"Retry-After": {"90"}}
	tests := []struct {
		name   string
		status int
		header http.Header
		body   string
		want   bridge.DeliveryError
		text   string
	}{
		{"no token", 401, nil, `{"errors":["You need to sign in or sign up before continuing."]}`, bridge.DeliveryError{Outcome: bridge.Unauthorized},
			"Chatwoot answered 401: the token did not arrive: a proxy may drop the header Api-Access-Token"},
		{"unknown token", 401, nil, `{"error":"Invalid Access Token"}`, bridge.DeliveryError{Outcome: bridge.Unauthorized}, "Chatwoot answered 401: the token is not known"},
		{"bot", 401, nil, `{"error":"Access to this endpoint is not authorized for bots"}`, bridge.DeliveryError{Outcome: bridge.Unauthorized},
			"Chatwoot answered 401: an agent bot may not call this"},
		{"wrong account", 401, nil, `{"error":"You are not authorized to access this account"}`, bridge.DeliveryError{Outcome: bridge.Unauthorized},
			"Chatwoot answered 401: the token's owner does not belong to the account"},
		{"not a member", 401, nil, `{"error":"You are not authorized to do this action"}`, bridge.DeliveryError{Outcome: bridge.Unauthorized},
			"Chatwoot answered 401: the token's owner is not a member of the inbox"},
		{"suspended", 401, nil, `{"error":"Account is suspended"}`, bridge.DeliveryError{Outcome: bridge.Unauthorized}, "Chatwoot answered 401: the account is suspended"},
		{"unknown conversation", 404, nil, `{"error":"Resource could not be found"}`, bridge.DeliveryError{Outcome: bridge.Invalid},
			"Chatwoot answered 404: there is no such conversation or message"},
		{"flood", 422, nil, `{"error":"Validation failed: Too many messages"}`, bridge.DeliveryError{Outcome: bridge.Retry, RetryAfter: floodPause},
			"Chatwoot answered 422: the conversation has had too many messages in a minute"},
		{"flood in the other shape", 422, nil, `{"message":"Too many messages","attributes":["base"]}`, bridge.DeliveryError{Outcome: bridge.Retry, RetryAfter: floodPause},
			"Chatwoot answered 422: the conversation has had too many messages in a minute"},
		{"bad type", 422, nil, `{"error":"'foo' is not a valid content_type"}`, bridge.DeliveryError{Outcome: bridge.Invalid}, "Chatwoot answered 422"},
		{"rate", 429, nil, "Retry later\n", bridge.DeliveryError{Outcome: bridge.Throttled}, "Chatwoot answered 429"},
		{"rate with a time", 429, after, "Retry later\n", bridge.DeliveryError{Outcome: bridge.Throttled, RetryAfter: 90 * time.Second}, "Chatwoot answered 429"},
		{"rate with nonsense", 429, http.Header{"Retry-After": {"soon"}}, "Retry later\n", bridge.DeliveryError{Outcome: bridge.Throttled}, "Chatwoot answered 429"},
		{"rate for ever", 429, http.Header{"Retry-After": {"99999999999"}}, "", bridge.DeliveryError{Outcome: bridge.Throttled, RetryAfter: attempt.MaxRetryAfter}, "Chatwoot answered 429"},
		{"down", 503, after, "<html>", bridge.DeliveryError{Outcome: bridge.Unknown, RetryAfter: 90 * time.Second}, "Chatwoot answered 503"},
		{"crashed", 500, nil, "", bridge.DeliveryError{Outcome: bridge.Unknown}, "Chatwoot answered 500"},
		{"crashed with words", 500, nil, `{"error":"Internal Server Error"}`, bridge.DeliveryError{Outcome: bridge.Unknown}, "Chatwoot answered 500"},
		{"elsewhere", 302, http.Header{"Location": {"https://elsewhere.example/"}}, "", bridge.DeliveryError{Outcome: bridge.Unknown},
			"Chatwoot answered 302: redirects are not followed, the configured address must be the final one"},
		{"firewall", 403, nil, "<html>Access Denied</html>", bridge.DeliveryError{Outcome: bridge.Unknown},
			"Chatwoot answered 403: in a form that is not its own, so something in between may have answered"},
		{"proxy without a route", 404, nil, "404 page not found", bridge.DeliveryError{Outcome: bridge.Unknown},
			"Chatwoot answered 404: in a form that is not its own, so something in between may have answered"},
		{"another address of Rails", 404, nil, `{"status":404,"error":"Not Found"}`, bridge.DeliveryError{Outcome: bridge.Retry}, "Chatwoot answered 404"},
		{"proxy with a limit", 413, nil, "<html>", bridge.DeliveryError{Outcome: bridge.Retry},
			"Chatwoot answered 413: in a form that is not its own, so something in between may have answered"},
		{"sign-in page", 200, nil, "<html>", bridge.DeliveryError{Outcome: bridge.Unknown}, "the response of 200 is not what Chatwoot sends"},
		{"no message", 200, nil, "{}", bridge.DeliveryError{Outcome: bridge.Unknown}, "the answer names no message"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d, ok := errors.AsType[*bridge.DeliveryError](deliverTo(t, answering(tt.status, tt.header, tt.body)))
			if !ok {
				t.Fatal("no *bridge.DeliveryError")
			}
			if d.Outcome != tt.want.Outcome || d.RetryAfter != tt.want.RetryAfter || d.Err.Error() != tt.text {
				t.Errorf("%s after %s: %v, want %s after %s: %s", d.Outcome, d.RetryAfter, d.Err, tt.want.Outcome, tt.want.RetryAfter, tt.text)
			}
		})
	}
}

// TestAddresses has the base address in the forms operators write.
func TestAddresses(t *testing.T) {
	for base, want := range map[string]string{
		"https://chat.example.com":        "https://chat.example.com/api/v1/accounts/1/conversations/42/messages",
		"https://chat.example.com/":       "https://chat.example.com/api/v1/accounts/1/conversations/42/messages",
		"https://example.com/chat":        "https://example.com/chat/api/v1/accounts/1/conversations/42/messages",
		"https://example.com/chat/":       "https://example.com/chat/api/v1/accounts/1/conversations/42/messages",
		"http://127.0.0.1:3000/a/b/c%2Fd": "http://127.0.0.1:3000/a/b/c%2Fd/api/v1/accounts/1/conversations/42/messages",
	} {
		cfg := goodConfig(t)
		cfg.BaseURL = mustURL(t, base)
		var got string
		c, err := New(cfg, bridgetest.NewCore(), client(far(func(r *http.Request) (*http.Response, error) {
			got = r.URL.String()
			return answering(200, nil, `{"id":5}`)(r)
		})), discard)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Deliver(t.Context(), agentSays("Hello")); err != nil || got != want {
			t.Errorf("%s: called %s, %v; want %s", base, got, err, want)
		}
	}
}

// TestTimeouts measures how long a Chatwoot that does not answer is waited for.
func TestTimeouts(t *testing.T) {
	silence := far(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	calls := map[string]struct {
		call func(*Chatwoot, context.Context) error
		want time.Duration
	}{
		"message": {func(c *Chatwoot, ctx context.Context) error { return c.Deliver(ctx, agentSays("x")) }, 10 * time.Second},
		"typing": {func(c *Chatwoot, ctx context.Context) error {
			return c.ShowTyping(ctx, bridge.TypingCue{Thread: "42", State: bridge.Composing})
		}, 2 * time.Second},
	}
	for name, tt := range calls {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, err := New(goodConfig(t), bridgetest.NewCore(), client(silence), discard)
				if err != nil {
					t.Fatal(err)
				}
				began := time.Now()
				if err := tt.call(c, t.Context()); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("%v, want a deadline", err)
				}
				if took := time.Since(began); took != tt.want {
					t.Errorf("took %s, want %s", took, tt.want)
				}
			})
		})
	}
}

func TestShowTyping(t *testing.T) {
	c, _, far := newChatwoot(t, goodConfig(t))
	for _, s := range []bridge.TypingState{bridge.Composing, bridge.Paused, bridge.Stopped} {
		if err := c.ShowTyping(t.Context(), bridge.TypingCue{Thread: "42", State: s}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"0.0 typing:on", "0.0 typing:off", "0.0 typing:off"}, far.timeline()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	if err := c.ShowTyping(t.Context(), bridge.TypingCue{Thread: "x", State: bridge.Composing}); err == nil {
		t.Error("a thread that is no conversation has typing")
	}
}

func TestSettled(t *testing.T) {
	fill := func(s *stub, n int, at time.Time) {
		for range n {
			s.messages = append(s.messages, map[string]any{"id": 1000 + len(s.messages), "content": "x", "created_at": at.Unix(), "content_attributes": map[string]any{}})
		}
	}
	mine := func(s *stub) {
		fill(s, 1, time.Now())
		s.messages[len(s.messages)-1]["content_attributes"] = map[string]any{markKey: "dialog-1:message"}
	}
	tests := []struct {
		name  string
		kind  string
		event *bridge.Event
		fill  func(s *stub)
		want  bool
		lists int
	}{
		{"newest", kindUser, agentSays("x"), mine, true, 1},
		{"none", kindUser, agentSays("x"), func(*stub) {}, false, 1},
		{"on a later page", kindUser, agentSays("x"), func(s *stub) { mine(s); fill(s, 50, time.Now()) }, true, 3},
		{"not there", kindUser, agentSays("x"), func(s *stub) { fill(s, 50, time.Now()) }, false, 4},
		{"older messages are not searched", kindUser, agentSays("x"), func(s *stub) { fill(s, 50, time.Now().Add(-time.Hour)) }, false, 1},
		{"at most ten pages", kindUser, agentSays("x"), func(s *stub) { fill(s, 500, time.Now()) }, false, 10},
		{"a bot cannot tell", kindBot, agentSays("x"), mine, false, 0},
		{"a state may be repeated", kindUser, state(bridge.StateClosed, "agent"), mine, false, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := goodConfig(t)
			cfg.TokenKind = tt.kind
			c, _, far := newChatwoot(t, cfg)
			tt.fill(far)
			got, err := c.Settled(t.Context(), tt.event)
			if err != nil || got != tt.want {
				t.Errorf("%t, %v, want %t", got, err, tt.want)
			}
			if n := len(far.timeline("list")); n != tt.lists {
				t.Errorf("%d lists, want %d", n, tt.lists)
			}
		})
	}
}

// TestSettledOfAnOddServer has a server that ignores the page that is asked for.
func TestSettledOfAnOddServer(t *testing.T) {
	calls := 0
	c, err := New(goodConfig(t), bridgetest.NewCore(), client(far(func(r *http.Request) (*http.Response, error) {
		calls++
		return answering(200, nil, fmt.Sprintf(`{"payload":[{"id":7,"created_at":%d,"content_attributes":"{}"}]}`, time.Now().Unix()))(r)
	})), discard)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Settled(t.Context(), agentSays("x")); got || err != nil || calls != 2 {
		t.Errorf("%t, %v after %d calls, want false after 2", got, err, calls)
	}
	for body, status := range map[string]int{"<html>": 200, "": 502} {
		c.far.side.Client = client(answering(status, nil, body))
		d, ok := errors.AsType[*bridge.DeliveryError](func() error { _, err := c.Settled(t.Context(), agentSays("x")); return err }())
		if !ok || d.Outcome != bridge.Unknown {
			t.Errorf("%d %q: %v, want the doubt to stay", status, body, d)
		}
	}
}

// TestRequest shows what Chatwoot is sent, byte for byte.
func TestRequest(t *testing.T) {
	var got map[string]any
	err := deliverTo(t, far(func(r *http.Request) (*http.Response, error) {
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		if r.Header.Get("api-access-token") != stubToken || r.URL.RawQuery != "" {
			t.Error("the token belongs into its header and nowhere else")
		}
		return answering(200, nil, `{"id":102}`)(r)
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"content": "Hello", "message_type": "outgoing", "private": false, "content_type": "text",
		"content_attributes": map[string]any{"lpbridge_event_id": "dialog-1:message"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
}
