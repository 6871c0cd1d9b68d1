package chatwootapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
)

// epoch is when time begins in a synctest bubble.
var epoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

func consumerAlice() *bridge.Consumer {
	return &bridge.Consumer{
		ID: "source-1", FirstName: "Alice", LastName: "Ray", Email: "alice@acme.inc", Phone: "+123456789",
		Attributes: map[string]string{"identifier": "id-1", "plan": "premium"},
	}
}

func aliceEvent(id bridge.EventID, kind bridge.Kind) bridge.Event {
	return bridge.Event{ID: id, Kind: kind, Thread: "1", Inbox: "inbox-one", Time: epoch, Consumer: consumerAlice()}
}

func message1() bridge.Event {
	e := aliceEvent("msg-1", bridge.KindMessage)
	e.Message = &bridge.Message{Text: "hello"}
	return e
}

func typingEvent(s bridge.TypingState) bridge.Event {
	e := aliceEvent("", bridge.KindTyping)
	e.Typing = &bridge.Typing{State: s}
	return e
}

// agentSays delivers an agent's message.
func agentSays(id bridge.EventID, text string, replies ...bridge.QuickReply) bridge.Event {
	return bridge.Event{
		ID: id, Kind: bridge.KindMessage, Thread: "1", Agent: &bridge.Agent{ID: "lp-agent"},
		Message: &bridge.Message{Text: text, QuickReplies: replies},
	}
}

func state(s bridge.ConversationState, by string) bridge.Event {
	return bridge.Event{ID: bridge.EventID("state-" + string(s)), Kind: bridge.KindState, Thread: "1", State: &bridge.State{Conversation: s, By: by}}
}

func (w *world) deliver(e bridge.Event) {
	w.t.Helper()
	if err := w.api.Deliver(w.t.Context(), &e); err != nil {
		w.t.Fatal(err)
	}
}

var yesNo = []bridge.QuickReply{{ID: "r-yes", Title: "Yes", Text: "yes please"}, {ID: "r-no", Title: "No"}}

// TestEvents checks what LivePerson is told of what a contact does.
func TestEvents(t *testing.T) {
	at := base + "/contacts/s1/conversations/1"
	click := func(id bridge.EventID, reply string) bridge.Event {
		e := aliceEvent(id, bridge.KindClick)
		e.Click = &bridge.Click{MessageID: "a-1", ReplyID: reply}
		return e
	}
	rated := func(id bridge.EventID, score int, comment string) bridge.Event {
		e := aliceEvent(id, bridge.KindRating)
		e.Rating = &bridge.Rating{Score: score, Comment: comment}
		return e
	}
	seen := func(id bridge.EventID, ids ...bridge.EventID) bridge.Event {
		e := aliceEvent(id, bridge.KindReceipt)
		e.Receipt = &bridge.Receipt{Status: bridge.ReceiptRead, MessageIDs: ids}
		return e
	}
	renamed := aliceEvent("profile-1-1-1", bridge.KindProfile)
	renamed.Consumer.FirstName, renamed.Consumer.LastName = "Al", ""

	for _, tc := range []struct {
		name     string
		config   func(*Config)
		delivers []bridge.Event
		requests []request
		want     []bridge.Event
	}{
		{name: "nothing before a message", want: nil},
		{name: "message", requests: []request{sayHello}, want: []bridge.Event{message1()}},
		{name: "message without content", requests: []request{{"POST", at + "/messages", ""}}, want: nil},
		{
			name:     "typing",
			requests: []request{{"POST", at + "/toggle_typing", "typing_status=on"}, {"POST", at + "/toggle_typing?typing_status=off", `{"typing_status":"on"}`}},
			want:     []bridge.Event{typingEvent(bridge.Composing), typingEvent(bridge.Stopped)},
		},
		{name: "typing with another word", requests: []request{{"POST", at + "/toggle_typing", "typing_status=paused"}}, want: nil},
		{name: "resolve, twice", requests: []request{resolve, resolve}, want: []bridge.Event{aliceEvent("close-1-1", bridge.KindClose)}},
		{
			name: "message opens again", requests: []request{resolve, sayHello, resolve},
			want: []bridge.Event{aliceEvent("close-1-1", bridge.KindClose), aliceEvent("reopen-1-1", bridge.KindReopen), message1(), aliceEvent("close-1-2", bridge.KindClose)},
		},
		{
			name: "message in a survey does not open again", delivers: []bridge.Event{state(bridge.StateSurvey, "")}, requests: []request{resolve, sayHello},
			want: []bridge.Event{aliceEvent("close-1-1", bridge.KindClose), message1()},
		},
		{
			name: "seen, twice", delivers: []bridge.Event{agentSays("a-1", "hi"), agentSays("a-2", "there")},
			requests: []request{{"POST", at + "/update_last_seen", ""}, {"POST", at + "/update_last_seen", ""}},
			want:     []bridge.Event{seen("seen-1-2", "a-1", "a-2")},
		},
		{
			name: "contact changed, the same again", requests: []request{
				{"PATCH", base + "/contacts/s1", "name=Al"}, {"PATCH", base + "/contacts/s1", "name=Al&email=ALICE@acme.inc"}, {"PATCH", base + "/contacts/s1", ""},
			},
			want: []bridge.Event{renamed},
		},
		{name: "contact changed when all is resolved", requests: []request{resolve, {"PATCH", base + "/contacts/s1", "name=Al"}}, want: []bridge.Event{aliceEvent("close-1-1", bridge.KindClose)}},
		{
			name: "quick reply chosen, the same again, and another", delivers: []bridge.Event{agentSays("a-1", "sure?", yesNo...)},
			requests: []request{
				{"PATCH", at + "/messages/1", `{"submitted_values":[{"title":"Yes","value":"yes please"}]}`},
				{"PATCH", at + "/messages/1", `{"submitted_values":[{"title":"Yes","value":"yes please"}]}`},
				{"PATCH", at + "/messages/1", "submitted_values[][title]=No&submitted_values[][value]="},
				{"PATCH", at + "/messages/1", `{"submitted_values":[{"title":"Maybe","value":"x"}]}`},
			},
			want: []bridge.Event{click("click-1-1", "r-yes"), click("click-1-2", "r-no")},
		},
		{
			name: "answer to a message without choices", delivers: []bridge.Event{agentSays("a-1", "hi")},
			requests: []request{{"PATCH", at + "/messages/1", `{"submitted_values":[{"title":"","value":""}]}`}}, want: nil,
		},
		{
			name: "rating through the message, changed, wrong", config: withCSAT, delivers: []bridge.Event{state(bridge.StateClosed, "agent")},
			requests: []request{
				{"PATCH", at + "/messages/1", `{"submitted_values":{"csat_survey_response":{"rating":5,"feedback_message":"great"}}}`},
				{"PATCH", at + "/messages/1", `{"submitted_values":{"csat_survey_response":{"rating":"4"}}}`},
				{"PATCH", at + "/messages/1", `{"submitted_values":{"csat_survey_response":{"rating":6}}}`},
			},
			want: []bridge.Event{rated("rating-1-1", 5, "great"), rated("rating-1-2", 4, "")},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(c *Config) {
					if tc.config != nil {
						tc.config(c)
					}
				})
				for _, r := range withThread {
					w.must(r.method, r.path, r.body)
				}
				for _, e := range tc.delivers {
					w.deliver(e)
				}
				for _, r := range tc.requests {
					w.must(r.method, r.path, r.body)
				}
				if diff := cmp.Diff(tc.want, w.core.Events()); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestMessagePaging(t *testing.T) {
	w := newWorld(t)
	at := w.conversation()
	for i := range 45 {
		w.must("POST", at+"/messages", fmt.Sprintf("content=%d", i+1))
	}
	for _, tc := range []struct {
		query       string
		first, last int64
		count       int
	}{{"", 26, 45, 20}, {"?before=26", 6, 25, 20}, {"?before=6", 1, 5, 5}, {"?before=100&after=3&limit=2", 26, 45, 20}, {"?before=26x", 6, 25, 20}} {
		var list []struct{ ID int64 }
		decodeInto(t, w.must("GET", at+"/messages"+tc.query, "").body, &list)
		if len(list) != tc.count || list[0].ID != tc.first || list[len(list)-1].ID != tc.last {
			t.Errorf("%q lists %v", tc.query, list)
		}
	}
	var whole struct{ Messages []struct{ ID int64 } }
	decodeInto(t, w.must("GET", at, "").body, &whole)
	if len(whole.Messages) != 45 || whole.Messages[0].ID != 1 {
		t.Errorf("the conversation has %d messages", len(whole.Messages))
	}
}

func TestFloodGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		at := w.conversation()
		for range floodLimit {
			w.must("POST", at+"/messages", "content=x")
		}
		got := w.call("POST", at+"/messages", "content=x")
		if got.status != http.StatusUnprocessableEntity || got.body != `{"message":"Too many messages","attributes":["base"]}` {
			t.Errorf("answered %d %s", got.status, got.body)
		}
		w.deliver(agentSays("a-1", "an agent is never refused"))
		other := w.another("s1")
		w.must("POST", other+"/messages", "content=x")
		time.Sleep(time.Minute + time.Millisecond)
		w.must("POST", at+"/messages", "content=x")
	})
}

func TestRefusedMessageLeavesNothing(t *testing.T) {
	for _, refusal := range []error{bridge.ErrBusy, bridge.ErrStorage} {
		w := newWorld(t)
		at := w.conversation()
		w.core.Refuse(fmt.Errorf("accept: %w", refusal))
		got := w.call("POST", at+"/messages", "content=x")
		if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != "5" || got.body != `{"status":503,"error":"Service Unavailable"}` {
			t.Errorf("%v: answered %d %v %s", refusal, got.status, got.header, got.body)
		}
		w.core.Refuse(nil)
		if got := w.must("GET", at+"/messages", ""); got.body != "[]" {
			t.Errorf("%v: the history has %s", refusal, got.body)
		}
	}
}

func TestConcurrentMessagesAreAllKept(t *testing.T) {
	w := newWorld(t)
	at := w.conversation()
	const writers, each = 8, 10
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				if got := w.call("POST", at+"/messages", "content=x"); got.status != http.StatusOK {
					t.Errorf("answered %d", got.status)
				}
			}
		})
		wg.Go(func() {
			w.call("POST", at+"/update_last_seen", "")
			w.call("GET", at, "")
			w.call("PATCH", base+"/contacts/s1", "name=New")
		})
	}
	for i := range each {
		wg.Go(func() {
			e := agentSays(bridge.EventID(fmt.Sprintf("a-%d", i)), "hi")
			for range 2 {
				if err := w.api.Deliver(t.Context(), &e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	last := bridge.EventID("")
	kept := 0
	for _, e := range w.core.Events() {
		if e.Kind == bridge.KindMessage {
			if kept++; len(e.ID) < len(last) || len(e.ID) == len(last) && e.ID <= last {
				t.Errorf("%s was accepted after %s", e.ID, last)
			}
			last = e.ID
		}
	}
	var whole struct{ Messages []struct{ ID int64 } }
	decodeInto(t, w.must("GET", at, "").body, &whole)
	if kept != writers*each || len(whole.Messages) != writers*each+each {
		t.Errorf("%d events and %d messages", kept, len(whole.Messages))
	}
	w.deliver(bridge.Event{ID: "r", Kind: bridge.KindReceipt, Thread: "1", Receipt: &bridge.Receipt{Status: bridge.ReceiptRead, MessageIDs: []bridge.EventID{last}}})
}

func TestStateSurvivesRestart(t *testing.T) {
	w := newWorld(t)
	at := w.conversation()
	w.must("POST", at+"/messages", "content=x")
	w.deliver(agentSays("a-1", "hi", yesNo...))
	before := w.must("GET", at, "").body
	second := *w
	second.mux = http.NewServeMux()
	api, err := New(testConfig(), w.core, w.api.log)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range api.Routes() {
		second.mux.Handle(r.Pattern, r.Handler)
	}
	if diff := cmp.Diff(before, second.must("GET", at, "").body); diff != "" {
		t.Errorf("conversation (-before +after):\n%s", diff)
	}
	if got := second.must("POST", at+"/messages", "content=y"); !strings.HasPrefix(got.body, `{"id":3,`) {
		t.Errorf("the next message is %s", got.body)
	}
}

// TestChoiceThatCameTooLate has the bridge not know any more what a message
// offered: the answer is kept, LivePerson is not told.
func TestChoiceThatCameTooLate(t *testing.T) {
	w := newWorld(t)
	at := w.conversation()
	w.deliver(agentSays("a-1", "sure?", yesNo...))
	w.api.core = forgetful{w.core}
	got := w.must("PATCH", at+"/messages/1", `{"submitted_values":[{"value":"No"}]}`)
	if !strings.Contains(got.body, `"submitted_values":[{"value":"No"}]`) {
		t.Errorf("answered %s", got.body)
	}
	if events := w.core.Events(); len(events) != 1 || events[0].Kind != bridge.KindMessage || events[0].Message.Text != "No" {
		t.Errorf("a choice that came too late is told as %+v", events)
	}
	if got := w.must("GET", at+"/messages", ""); !strings.Contains(got.body, `"submitted_values":[{"value":"No"}]`) {
		t.Errorf("messages %s", got.body)
	}
}

// forgetful is a core that knows no offers.
type forgetful struct{ bridge.Core }

func (f forgetful) Accept(ctx context.Context, events []bridge.Event, records ...bridge.Record) (bridge.Accepted, error) {
	for _, e := range events {
		if e.Kind == bridge.KindClick {
			return bridge.Accepted{}, &bridge.FieldError{Field: "click.messageId", Reason: "is not a message that offered replies"}
		}
	}
	return f.Core.Accept(ctx, events, records...)
}
