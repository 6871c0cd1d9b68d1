package chatwootapi

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
)

// richMessage is an agent's structured content, with the replies that the core
// makes of what can be clicked.
func richMessage(id bridge.EventID, rich string, replies ...bridge.QuickReply) bridge.Event {
	e := agentSays(id, "plain words", replies...)
	e.Message.Rich = json.RawMessage(rich)
	return e
}

const twoCards = `{"type":"carousel","elements":[
	{"type":"vertical","elements":[{"type":"image","url":"https://a.example/red.png"},{"type":"text","text":"Red","tag":"title"},{"type":"text","text":"Runs"},
		{"type":"button","title":"Buy","click":{"actions":[{"type":"publishText","text":"I want red"}]}},
		{"type":"button","title":"Open","click":{"actions":[{"type":"link","uri":"https://a.example/red"}]}}]},
	{"type":"vertical","elements":[{"type":"text","text":"Blue"},{"type":"button","title":"Buy","click":{"actions":[{"type":"publishText","text":"I want blue"}]}}]}]}`

var cardReplies = []bridge.QuickReply{{ID: "0", Title: "Help"}, {ID: "1", Title: "Buy", Text: "I want red"}, {ID: "2", Title: "Buy", Text: "I want blue"}}

// contents are type and items of the messages.
func (w *world) contents(at string) []string {
	w.t.Helper()
	var list []struct {
		Content    *string
		Type       string          `json:"content_type"`
		Attributes json.RawMessage `json:"content_attributes"`
	}
	decodeInto(w.t, w.must("GET", at+"/messages", "").body, &list)
	var out []string
	for _, m := range list {
		out = append(out, m.Type+" "+string(m.Attributes))
	}
	return out
}

func TestStructuredContent(t *testing.T) {
	for _, tc := range []struct {
		name  string
		event bridge.Event
		want  []string
	}{
		{"cards and quick replies", richMessage("a-1", twoCards, cardReplies...), []string{
			`cards {"items":[{"actions":[{"payload":"I want red","text":"Buy","type":"postback"},{"text":"Open","type":"link","uri":"https://a.example/red"}],` +
				`"description":"Runs","media_url":"https://a.example/red.png","title":"Red"},` +
				`{"actions":[{"payload":"I want blue","text":"Buy","type":"postback"}],"description":"","media_url":"","title":"Blue"}]}`,
			`input_select {"items":[{"title":"Help","value":"Help"}]}`,
		}},
		{"links", richMessage("a-1", `{"type":"vertical","elements":[{"type":"text","text":"Read on"},{"type":"text","text":"More words"},
			{"type":"button","title":"Here","click":{"actions":[{"type":"link","uri":"https://a.example/x"}]}}]}`), []string{
			`article {"items":[{"description":"More words","link":"https://a.example/x","title":"Read on"}]}`,
		}},
		{"what cards cannot show", richMessage("a-1", `{"type":"tabs"}`, cardReplies[0]), []string{`input_select {"items":[{"title":"Help","value":"Help"}]}`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			at := w.conversation()
			w.deliver(tc.event)
			w.deliver(tc.event)
			if diff := cmp.Diff(tc.want, w.contents(at)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestClicksOnCards answers cards by payload, by title where that is plain, and
// by what is only a word.
func TestClicksOnCards(t *testing.T) {
	for _, tc := range []struct {
		name, values string
		replies      []bridge.QuickReply
		click, said  string
	}{
		{name: "payload", values: `[{"value":"I want blue"}]`, replies: cardReplies, click: "2"},
		{name: "payload in an object", values: `{"title":"Buy","value":"I want red"}`, replies: cardReplies, click: "1"},
		{name: "title", values: `[{"title":"Buy"}]`, replies: cardReplies, click: "1"},
		{name: "nothing that was offered", values: `[{"value":"I want green"}]`, replies: cardReplies},
		{name: "what only says something", values: `[{"value":"I want blue"}]`, said: "I want blue"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			at := w.conversation()
			w.deliver(richMessage("a-1", twoCards, tc.replies...))
			w.must("PATCH", at+"/messages/1", `{"submitted_values":`+tc.values+`}`)
			click, said := "", ""
			for _, e := range w.core.Events() {
				switch {
				case e.Click != nil && e.Click.MessageID == "a-1":
					click = e.Click.ReplyID
				case e.Message != nil:
					said = e.Message.Text
				}
			}
			if click != tc.click || said != tc.said {
				t.Errorf("click %q, said %q", click, said)
			}
		})
	}
}

func TestAgentsAreShownByName(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		at := s.conversation()
		l := s.line()
		l.subscribe(s.token("s1"))
		joined := state(bridge.StateJoined, "agent")
		joined.Agent = &bridge.Agent{ID: "agent-1", Name: "Mia", AvatarURL: "https://a.example/mia.png"}
		s.deliver(joined)
		if frame := l.next(); !strings.Contains(frame, `"assignee":{"id":1,"name":"Mia","available_name":"Mia","avatar_url":"https://a.example/mia.png"`) {
			t.Errorf("joined as %s", frame)
		}
		e := agentSays("a-1", "hi")
		e.Agent = joined.Agent
		s.deliver(e)
		if frame := l.next(); !strings.Contains(frame, `"sender":{"id":1,"name":"Mia","available_name":"Mia","avatar_url":"https://a.example/mia.png"`) {
			t.Errorf("message of %s", frame)
		}
		if got := s.must("GET", at+"/messages", ""); !strings.Contains(got.body, `"name":"Mia"`) {
			t.Errorf("messages %s", got.body)
		}
	})
}

// receipts are the delivered receipts told to LivePerson.
func (w *world) receipts() []bridge.EventID {
	var ids []bridge.EventID
	for _, e := range w.core.Events() {
		if e.Receipt != nil && e.Receipt.Status == bridge.ReceiptDelivered {
			ids = append(ids, e.Receipt.MessageIDs...)
		}
	}
	return ids
}

// TestDeliveredMeansThatADeviceHasIt has messages come while nobody is there, be
// read by a request, and come while somebody listens.
func TestDeliveredMeansThatADeviceHasIt(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		at := s.conversation()
		s.deliver(agentSays("a-1", "one"))
		s.deliver(richMessage("a-2", twoCards, cardReplies...))
		if got := s.receipts(); got != nil {
			t.Errorf("%v are delivered to nobody", got)
		}
		// The contact's own requests bring no messages of agents.
		s.must("POST", at+"/messages", "content=x")
		s.must("POST", at+"/toggle_typing?typing_status=on", "")
		if got := s.receipts(); got != nil {
			t.Errorf("%v are delivered by writing", got)
		}
		s.must("GET", at+"/messages?before=2", "")
		if diff := cmp.Diff([]bridge.EventID{"a-1"}, s.receipts()); diff != "" {
			t.Errorf("after reading the first (-want +got):\n%s", diff)
		}
		s.must("GET", base+"/contacts/s1/conversations", "")
		s.must("GET", at, "")
		if diff := cmp.Diff([]bridge.EventID{"a-1", "a-2"}, s.receipts()); diff != "" {
			t.Errorf("after reading all (-want +got):\n%s", diff)
		}
		l := s.line()
		l.subscribe(s.token("s1"))
		s.deliver(agentSays("a-3", "three"))
		l.events(2) // the message, and conversation.updated
		synctest.Wait()
		if diff := cmp.Diff([]bridge.EventID{"a-1", "a-2", "a-3"}, s.receipts()); diff != "" {
			t.Errorf("after listening (-want +got):\n%s", diff)
		}
	})
}

// TestReadIsNotDeliveredAgain reads messages before they were taken.
func TestReadIsNotDeliveredAgain(t *testing.T) {
	w := newWorld(t)
	at := w.conversation()
	w.deliver(agentSays("a-1", "one"))
	w.must("POST", at+"/update_last_seen", "")
	w.must("GET", at+"/messages", "")
	if got := w.receipts(); got != nil {
		t.Errorf("%v are delivered after they were read", got)
	}
}
