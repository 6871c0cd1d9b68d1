package chatwootapi

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
)

const agentOne = `{"id":1,"name":"Jane","available_name":"Jane","avatar_url":"","type":"user","availability_status":null,"thumbnail":""}`

// TestDeliver checks what apps read back after events from LivePerson.
func TestDeliver(t *testing.T) {
	withFiles := agentSays("a-1", "")
	withFiles.Message.Attachments = []bridge.Attachment{
		{URL: "https://lp.example/a.png", ContentType: "image/png; x=y", Name: "a.png"}, {URL: "https://lp.example/b", Name: "b"},
	}
	for _, tc := range []struct {
		name   string
		events []bridge.Event
		want   string
	}{
		{
			"text", []bridge.Event{agentSays("a-1", "hi <b>")},
			`[{"id":1,"content":"hi \u003cb\u003e","message_type":1,"content_type":"text","content_attributes":{},"created_at":946684800,"conversation_id":1,"sender":` + agentOne + `}]`,
		},
		{
			"the same event twice", []bridge.Event{agentSays("a-1", "hi"), agentSays("a-1", "hi")},
			`[{"id":1,"content":"hi","message_type":1,"content_type":"text","content_attributes":{},"created_at":946684800,"conversation_id":1,"sender":` + agentOne + `}]`,
		},
		{
			"quick replies", []bridge.Event{agentSays("a-1", "sure?", yesNo...)},
			`[{"id":1,"content":"sure?","message_type":1,"content_type":"input_select","content_attributes":{"items":[{"title":"Yes","value":"yes please"},{"title":"No","value":"No"}]},` +
				`"created_at":946684800,"conversation_id":1,"sender":` + agentOne + `}]`,
		},
		{
			"files", []bridge.Event{withFiles},
			`[{"id":1,"content":null,"message_type":1,"content_type":"text","content_attributes":{},"created_at":946684800,"conversation_id":1,"attachments":[` +
				`{"id":1,"message_id":1,"file_type":"image","account_id":1,"extension":"png","content_type":"image/png","data_url":"https://lp.example/a.png","thumb_url":"https://lp.example/a.png","file_size":0,"width":null,"height":null},` +
				`{"id":2,"message_id":1,"file_type":"file","account_id":1,"extension":"","content_type":"application/octet-stream","data_url":"https://lp.example/b","thumb_url":"","file_size":0,"width":null,"height":null}],"sender":` + agentOne + `}]`,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				at := w.conversation()
				for _, e := range tc.events {
					w.deliver(e)
				}
				if diff := cmp.Diff(tc.want, w.must("GET", at+"/messages", "").body); diff != "" {
					t.Errorf("messages (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAgentsKeepTheirNumbers(t *testing.T) {
	w := newWorld(t)
	w.conversation()
	for i, id := range []string{"x", "y", "x", ""} {
		e := agentSays(bridge.EventID("a-"+formatID(int64(i))), "hi")
		e.Agent.ID = id
		w.deliver(e)
	}
	var list []struct{ Sender struct{ ID int64 } }
	decodeInto(t, w.must("GET", base+"/contacts/s1/conversations/1/messages", "").body, &list)
	var got []int64
	for _, m := range list {
		got = append(got, m.Sender.ID)
	}
	if diff := cmp.Diff([]int64{1, 2, 1, 3}, got); diff != "" {
		t.Errorf("numbers (-want +got):\n%s", diff)
	}
}

// TestReceipts checks the statuses of a contact's messages as stored.
func TestReceipts(t *testing.T) {
	for _, tc := range []struct {
		name     string
		receipts []bridge.ReceiptStatus
		want     string
	}{
		{"none", nil, messageSent},
		{"delivered", []bridge.ReceiptStatus{bridge.ReceiptDelivered}, messageDelivered},
		{"read before delivered", []bridge.ReceiptStatus{bridge.ReceiptRead, bridge.ReceiptDelivered}, messageRead},
		{"failed", []bridge.ReceiptStatus{bridge.ReceiptFailed}, messageFailed},
		{"failed after delivered", []bridge.ReceiptStatus{bridge.ReceiptDelivered, bridge.ReceiptFailed}, messageDelivered},
		{"delivered after failed", []bridge.ReceiptStatus{bridge.ReceiptFailed, bridge.ReceiptDelivered}, messageDelivered},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			at := w.conversation()
			w.must("POST", at+"/messages", "content=x")
			for _, s := range tc.receipts {
				w.deliver(bridge.Event{
					ID: "r", Kind: bridge.KindReceipt, Thread: "1",
					Receipt: &bridge.Receipt{Status: s, MessageIDs: []bridge.EventID{"msg-1", "msg-1", "msg-99", "other", "msg-x"}},
				})
			}
			m, err := w.api.messageOf(t.Context(), &conversation{ID: 1}, 1)
			if err != nil || m.Status != tc.want {
				t.Errorf("status %q, %v; want %q", m.Status, err, tc.want)
			}
		})
	}
}

func TestReadReceiptMarksTheAgentsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		at := w.conversation()
		w.must("POST", at+"/messages", "content=x")
		w.deliver(bridge.Event{ID: "r", Kind: bridge.KindReceipt, Thread: "1", Receipt: &bridge.Receipt{Status: bridge.ReceiptRead, MessageIDs: []bridge.EventID{"msg-1"}}})
		if got := w.must("GET", at, ""); !strings.Contains(got.body, `"agent_last_seen_at":946684800`) {
			t.Errorf("conversation is %s", scrub(got.body))
		}
	})
}

func TestStates(t *testing.T) {
	statusOf := func(w *world) string {
		var c struct{ Status string }
		decodeInto(w.t, w.must("GET", base+"/contacts/s1/conversations/1", "").body, &c)
		return c.Status
	}
	for _, tc := range []struct {
		name string
		run  func(w *world)
		want string
	}{
		{"closed by an agent", func(w *world) { w.deliver(state(bridge.StateClosed, "agent")) }, statusResolved},
		{"closed by nobody known", func(w *world) { w.deliver(state(bridge.StateClosed, "")) }, statusResolved},
		{"open", func(w *world) { w.deliver(state(bridge.StateOpen, "")) }, statusOpen},
		{"survey", func(w *world) { w.deliver(state(bridge.StateSurvey, "")) }, statusOpen},
		{"unknown step", func(w *world) { w.deliver(state("snoozing", "")) }, statusOpen},
		{
			// LivePerson's word comes late: the contact has written again.
			"closed by the consumer and open again", func(w *world) {
				w.must(resolve.method, resolve.path, "")
				w.must(sayHello.method, sayHello.path, "content=x")
				w.deliver(state(bridge.StateClosed, "consumer"))
			}, statusOpen,
		},
		{
			// An agent closed the conversation before the one that is going on.
			"closed before the present one", func(w *world) {
				w.deliver(stateIn("lp-1", bridge.StateOpen))
				w.deliver(stateIn("lp-2", bridge.StateOpen))
				w.deliver(stateIn("lp-1", bridge.StateClosed))
			}, statusOpen,
		},
		{
			"the present one closed", func(w *world) {
				w.deliver(stateIn("lp-1", bridge.StateOpen))
				w.deliver(stateIn("lp-1", bridge.StateClosed))
			}, statusResolved,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			w.conversation()
			tc.run(w)
			if got := statusOf(w); got != tc.want {
				t.Errorf("status %q, want %q", got, tc.want)
			}
		})
	}
}

func TestSurveyIsSentOnce(t *testing.T) {
	w := newWorld(t, withCSAT)
	at := w.conversation()
	w.deliver(state(bridge.StateClosed, "agent"))
	w.must("POST", at+"/messages", "content=again")
	w.deliver(state(bridge.StateClosed, "agent"))
	if got := w.must("GET", at+"/messages", ""); strings.Count(got.body, `"input_csat"`) != 1 {
		t.Errorf("messages %s", got.body)
	}
}

func TestUndeliverable(t *testing.T) {
	w := newWorld(t)
	w.conversation()
	stranger := agentSays("a-1", "hi")
	stranger.Thread = "99"
	odd := agentSays("a-1", "hi")
	odd.Thread = "one"
	receipt := bridge.Event{ID: "r", Kind: bridge.KindReceipt, Thread: "1", Receipt: &bridge.Receipt{Status: "lost", MessageIDs: []bridge.EventID{"msg-1"}}}
	for name, e := range map[string]bridge.Event{
		"unknown thread": stranger, "thread that is no number": odd, "unknown receipt": receipt,
		"kind not delivered": {ID: "k", Kind: bridge.KindRating, Thread: "1"}, "message without message": {ID: "m", Kind: bridge.KindMessage, Thread: "1"},
	} {
		err := w.api.Deliver(t.Context(), &e)
		if d, ok := errors.AsType[*bridge.DeliveryError](err); !ok || d.Outcome != bridge.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	w.core.Refuse(bridge.ErrStorage)
	e := agentSays("a-2", "hi")
	err := w.api.Deliver(context.WithoutCancel(t.Context()), &e)
	if d, ok := errors.AsType[*bridge.DeliveryError](err); !ok || d.Outcome != bridge.Retry {
		t.Errorf("storage failure: %v", err)
	}
}

// stateIn is a step of one of LivePerson's conversations.
func stateIn(conversation string, s bridge.ConversationState) bridge.Event {
	e := state(s, "agent")
	e.Position = &bridge.Position{Conversation: conversation}
	return e
}

func TestChoiceValues(t *testing.T) {
	for _, tc := range []struct {
		name    string
		replies []bridge.QuickReply
		want    []string
	}{
		{"texts", yesNo, []string{"yes please", "No"}},
		{"same text", []bridge.QuickReply{{ID: "0", Title: "A", Text: "x"}, {ID: "1", Title: "B", Text: "x"}}, []string{"0", "1"}},
		{"nothing to say", []bridge.QuickReply{{ID: "0"}}, []string{"0"}},
		{"ids that look like titles", []bridge.QuickReply{{ID: "0", Title: "1"}, {ID: "1", Title: "0"}}, []string{"1", "0"}},
	} {
		for i, r := range tc.replies {
			value := choiceValue(tc.replies, r)
			if value != tc.want[i] {
				t.Errorf("%s: value %q, want %q", tc.name, value, tc.want[i])
			}
			if got := chosen(tc.replies, map[string]any{"title": r.Title, "value": value}); got == nil || got.ID != r.ID {
				t.Errorf("%s: %q means reply %q, want %q", tc.name, value, got, r.ID)
			}
		}
	}
}
