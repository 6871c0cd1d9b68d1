package chatwoot

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// TestWebhooks has every kind of webhook and what follows from it.
func TestWebhooks(t *testing.T) {
	event := func(k bridge.Kind, id string, with func(*bridge.Event)) []bridge.Event {
		consumer := alice
		e := bridge.Event{ID: bridge.EventID(id), Kind: k, Thread: "42", Inbox: "3", Consumer: &consumer}
		if k == bridge.KindProfile {
			// A contact is of no inbox.
			e.Inbox = ""
		}
		if with != nil {
			with(&e)
		}
		return []bridge.Event{e}
	}
	said := func(text string) []bridge.Event {
		return event(bridge.KindMessage, "message:100", func(e *bridge.Event) {
			e.Time, e.Message = recordedAt, &bridge.Message{Text: text}
		})
	}
	types := func(id string, s bridge.TypingState) []bridge.Event {
		return event(bridge.KindTyping, "", func(e *bridge.Event) {
			e.Consumer, e.Typing = &bridge.Consumer{ID: bridge.ConsumerID(id)}, &bridge.Typing{State: s}
		})
	}
	closed := event(bridge.KindClose, "resolved:42:1781697660500000", func(e *bridge.Event) {
		e.Time = time.Date(2026, 6, 17, 12, 1, 0, 500e6, time.UTC)
	})
	tests := map[string][]bridge.Event{
		"message_created": said("hello"),
		"message_created_attachments": event(bridge.KindMessage, "message:100", func(e *bridge.Event) {
			e.Time = recordedAt
			e.Message = &bridge.Message{Text: "Lisbon 38.72, -9.14\n+351210000000", Attachments: []bridge.Attachment{{
				URL:         "https://chat.example.com/rails/active_storage/blobs/redirect/c2lnbmVk/parcel%20photo.png",
				ContentType: "image/png", Name: "parcel photo.png",
			}}}
		}),
		"message_created_empty":    nil,
		"message_created_private":  nil,
		"message_created_outgoing": nil,
		"message_created_own":      nil,
		"message_created_template": nil,
		"message_updated":          said("hello"),
		"message_updated_deleted":  nil,
		"message_updated_submitted": event(bridge.KindClick, string(answerID("click", 103, "0")), func(e *bridge.Event) {
			e.Click = &bridge.Click{MessageID: "dialog-1:4", ReplyID: "0"}
		}),
		"message_updated_foreign_form": nil,
		"message_updated_read": event(bridge.KindReceipt, string(answerID("read", 103, "dialog-1:4")), func(e *bridge.Event) {
			e.Receipt = &bridge.Receipt{Status: bridge.ReceiptRead, MessageIDs: []bridge.EventID{"dialog-1:4"}}
		}),
		"message_updated_rated": event(bridge.KindRating, string(answerID("rating", 105, "4 good")), func(e *bridge.Event) {
			e.Rating = &bridge.Rating{Score: 4, Comment: "good"}
		}),
		"conversation_typing_on":               types("contact-inbox:31", bridge.Composing),
		"conversation_typing_on_contact7":      types("contact-inbox:31", bridge.Composing),
		"conversation_typing_off":              types("contact-inbox:31", bridge.Stopped),
		"conversation_typing_on_user":          nil,
		"conversation_typing_on_bot":           nil,
		"conversation_typing_on_private":       nil,
		"conversation_status_changed_resolved": closed,
		"conversation_resolved":                closed,
		"conversation_status_changed_open":     nil,
		"conversation_opened":                  nil,
		"conversation_created":                 nil,
		"conversation_updated":                 nil,
		"contact_updated_activity":             nil,
		"contact_created":                      nil,
		"webwidget_triggered":                  nil,
		"inbox_created":                        nil,
		"inbox_updated":                        nil,
		// Nothing is known of a conversation of the contact yet.
		"contact_updated": nil,
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != len(tests) {
		t.Fatalf("%d recorded payloads, %d cases: %v", len(files), len(tests), err)
	}
	for name, want := range tests {
		t.Run(name, func(t *testing.T) {
			when(t, recordedAt.Add(time.Second), func(t *testing.T) {
				c, core, _ := newChatwoot(t, goodConfig(t))
				if rec := send(c, signed(accountSecret, recorded(t, name))); rec.Code != http.StatusOK {
					t.Fatalf("answered %d %s", rec.Code, rec.Body)
				}
				if diff := cmp.Diff(want, core.Events(), cmpopts.EquateEmpty()); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// changed is a recorded payload with one part replaced, named by its path.
func changed(t testing.TB, name, at string, value any) []byte {
	t.Helper()
	payload := fixture(t, name)
	place := payload
	parts := strings.Split(at, ".")
	for _, part := range parts[:len(parts)-1] {
		place = place[part].(map[string]any)
	}
	if last := parts[len(parts)-1]; value == nil {
		delete(place, last)
	} else {
		place[last] = value
	}
	return encode(t, payload)
}

func TestVariants(t *testing.T) {
	late := 10 * time.Minute
	tests := []struct {
		name  string
		body  []byte
		cfg   func(*Config)
		later time.Duration
		want  int
	}{
		{name: "before 4.14.2 a conversation has no account", body: changed(t, "conversation_typing_on", "conversation.account", nil), want: 1},
		{name: "another account", body: changed(t, "message_created", "account", map[string]any{"id": 2})},
		{name: "typing of another account", body: changed(t, "conversation_typing_on", "conversation.account", map[string]any{"id": 2})},
		{name: "resolved in another account", body: changed(t, "conversation_resolved", "account", map[string]any{"id": 2})},
		{name: "chosen inbox", body: recorded(t, "message_created"), cfg: func(c *Config) { c.InboxIDs = []string{"3"} }, want: 1},
		{name: "another inbox", body: recorded(t, "message_created"), cfg: func(c *Config) { c.InboxIDs = []string{"4", "5"} }},
		{name: "typing in another inbox", body: recorded(t, "conversation_typing_on"), cfg: func(c *Config) { c.InboxIDs = []string{"4"} }},
		{name: "resolved in another inbox", body: recorded(t, "conversation_resolved"), cfg: func(c *Config) { c.InboxIDs = []string{"4"} }},
		{name: "private as a string", body: changed(t, "message_created", "private", "true")},
		{name: "typing that is private as a string", body: changed(t, "conversation_typing_on", "is_private", "true")},
		{name: "typing that is private in other words", body: changed(t, "conversation_typing_on", "is_private", "yes"), want: 1},
		{name: "typing that says nothing of private", body: changed(t, "conversation_typing_on", "is_private", nil), want: 1},
		{name: "contact with a type", body: changed(t, "conversation_typing_on", "user.type", "contact"), want: 1},
		{name: "someone of an unknown type", body: changed(t, "conversation_typing_on", "user.type", "captain_assistant")},
		{name: "message without sender", body: changed(t, "message_created", "sender", nil), want: 1},
		{name: "message whose conversation is resolved", body: changed(t, "message_created", "conversation.status", "resolved"), want: 1},
		{name: "blank text", body: changed(t, "message_created", "content", " \n")},
		{name: "time in seconds", body: changed(t, "message_created", "created_at", 1781697600), want: 1},
		{name: "time in words", body: changed(t, "message_created", "created_at", "2020-03-03 13:05:57 UTC"), want: 1},
		{name: "old message that changed", body: recorded(t, "message_updated"), later: late},
		{name: "attributes in a string", body: changed(t, "message_updated_submitted", "content_attributes",
			`{"lpbridge_event_id":"d:1","submitted_values":[{"title":"x","value":"0"}]}`), want: 1},
		{name: "attributes of nonsense", body: changed(t, "message_updated_submitted", "content_attributes", []any{1, "x"})},
		{name: "choice of a message that is not ours", body: changed(t, "message_updated_submitted", "content_attributes.lpbridge_event_id", nil)},
		{name: "rating out of range", body: changed(t, "message_updated_rated", "content_attributes.submitted_values",
			map[string]any{"csat_survey_response": map[string]any{"rating": 6}})},
		{name: "status at the top", body: changed(t, "message_updated_read", "status", "delivered")},
		{name: "read, but of another message", body: changed(t, "message_updated_read", "id", 104)},
		{name: "snoozed", body: changed(t, "conversation_status_changed_resolved", "status", "snoozed")},
		{name: "resolved without a contact", body: func() []byte {
			p := fixture(t, "conversation_resolved")
			delete(p, "contact_inbox")
			delete(p["meta"].(map[string]any), "sender")
			return encode(t, p)
		}(), want: 1},
		{name: "resolved with a contact in one place", body: changed(t, "conversation_resolved", "meta.sender", nil), want: 1},
		{name: "unknown event", body: []byte(`{"event":"captain_did","id":{"a":1}}`)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			when(t, recordedAt.Add(tt.later+time.Second), func(t *testing.T) {
				cfg := goodConfig(t)
				if tt.cfg != nil {
					tt.cfg(&cfg)
				}
				c, core, _ := newChatwoot(t, cfg)
				if rec := send(c, signed(inboxSecret, tt.body)); rec.Code != http.StatusOK {
					t.Fatalf("answered %d %s", rec.Code, rec.Body)
				}
				if got := core.Events(); len(got) != tt.want {
					t.Errorf("%d events, want %d: %+v", len(got), tt.want, got)
				}
			})
		})
	}
}

func TestBadRequests(t *testing.T) {
	tests := []struct {
		name, body, field string
	}{
		{"no JSON", `{"event":`, "body"},
		{"two texts", `{"event":"x"}{}`, "body"},
		{"array", `[]`, "body"},
		{"no event", `{"id":1}`, "event"},
		{"event of another type", `{"event":[]}`, "event"},
		{"message without id", string(changed(t, "message_created", "id", nil)), "id"},
		{"message with an id in words", string(changed(t, "message_created", "id", "one hundred")), "id"},
		{"message with a broken number", string(changed(t, "message_created", "id", 1.5)), "id"},
		{"message without conversation", string(changed(t, "message_created", "conversation", nil)), "conversation.id"},
		{"conversation of another type", string(changed(t, "message_created", "conversation", "42")), "conversation.id"},
		{"typing of nobody", string(changed(t, "conversation_typing_on", "user", nil)), "user.id"},
		{"typing nowhere", string(changed(t, "conversation_typing_on", "conversation", nil)), "conversation.id"},
		{"resolved without id", string(changed(t, "conversation_resolved", "id", nil)), "id"},
		{"contact without id", string(changed(t, "contact_updated", "id", nil)), "id"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, core, _ := newChatwoot(t, goodConfig(t))
			rec := send(c, signed(accountSecret, []byte(tt.body)))
			var p bridge.Problem
			if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || rec.Code != http.StatusBadRequest || p.Field != tt.field {
				t.Errorf("answered %d %s, want a problem with %s", rec.Code, rec.Body, tt.field)
			}
			if strings.Contains(p.Detail, "one hundred") || strings.Contains(p.Detail, "1.5") {
				t.Errorf("detail %q quotes the value", p.Detail)
			}
			if n := len(core.Events()); n != 0 {
				t.Errorf("%d events", n)
			}
		})
	}
}

func TestMethods(t *testing.T) {
	c, _, _ := newChatwoot(t, goodConfig(t))
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodOptions} {
		rec := send(c, httptest.NewRequest(method, path, nil))
		if rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != "POST" {
			t.Errorf("%s: %d, Allow %q", method, rec.Code, rec.Header().Get("Allow"))
		}
	}
}
