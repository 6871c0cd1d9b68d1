package chatwoot

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"

	"github.com/google/go-cmp/cmp"
)

// said has a consumer's message of a conversation as a webhook.
func said(t testing.TB, id int, text string, change func(p map[string]any)) []byte {
	t.Helper()
	p := fixture(t, "message_created")
	p["id"], p["content"], p["created_at"] = id, text, time.Now().UTC().Format(time.RFC3339Nano)
	p["conversation"].(map[string]any)["updated_at"] = float64(time.Now().UnixMilli()) / 1000
	if change != nil {
		change(p)
	}
	return encode(t, p)
}

// told lists what agents would read of the events.
func told(events []bridge.Event) []string {
	var lines []string
	for _, e := range events {
		switch e.Kind {
		case bridge.KindMessage:
			line := e.Message.Text
			for _, a := range e.Message.Attachments {
				line += " <" + a.URL + ">"
			}
			lines = append(lines, line)
		case bridge.KindClick:
			lines = append(lines, "click "+e.Click.ReplyID)
		default:
			lines = append(lines, string(e.Kind))
		}
	}
	return lines
}

// TestOddTypesNeverCostAMessage has payloads as plug-ins, proxies and Chatwoot's
// own help page write them. Webhooks come once.
func TestOddTypesNeverCostAMessage(t *testing.T) {
	conversation := func(p map[string]any) map[string]any { return p["conversation"].(map[string]any) }
	tests := map[string]struct {
		change func(p map[string]any)
		odd    int
	}{
		"ids as text": {func(p map[string]any) {
			p["id"], conversation(p)["id"] = "100", "42"
			p["sender"].(map[string]any)["id"] = "10"
			p["account"].(map[string]any)["id"] = "1"
			conversation(p)["inbox_id"] = "3"
		}, 0},
		"ids as fractions":       {func(p map[string]any) { p["id"], conversation(p)["id"] = json.Number("100.0"), json.Number("4.2e1") }, 0},
		"telephone as a number":  {func(p map[string]any) { p["sender"].(map[string]any)["phone_number"] = 12025550123 }, 0},
		"name as an object":      {func(p map[string]any) { p["sender"].(map[string]any)["name"] = map[string]any{"first": "A"} }, 1},
		"type as a number":       {func(p map[string]any) { p["message_type"] = 0 }, 0},
		"type as a digit":        {func(p map[string]any) { p["message_type"] = "0" }, 0},
		"time as nonsense":       {func(p map[string]any) { p["created_at"] = []any{} }, 1},
		"text as a number":       {func(p map[string]any) { p["content"] = 7 }, 0},
		"attachments as text":    {func(p map[string]any) { p["attachments"] = "none" }, 1},
		"attachments of nothing": {func(p map[string]any) { p["attachments"] = []any{nil, 7} }, 2},
		"messages as an object":  {func(p map[string]any) { conversation(p)["messages"] = map[string]any{} }, 1},
		"nulls": {func(p map[string]any) {
			p["sender"], p["inbox"], p["account"], p["attachments"] = nil, nil, nil, nil
			conversation(p)["meta"], conversation(p)["messages"], conversation(p)["updated_at"] = nil, nil, nil
		}, 0},
		"nobody": {func(p map[string]any) {
			delete(p, "sender")
			delete(conversation(p), "meta")
			delete(conversation(p), "contact_inbox")
		}, 0},
		"status as a number": {func(p map[string]any) { conversation(p)["status"] = 0 }, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			when(t, recordedAt, func(t *testing.T) {
				c, core, _ := newChatwoot(t, goodConfig(t))
				body := said(t, 100, "hello", tt.change)
				for range 2 {
					if rec := send(c, signed(accountSecret, body)); rec.Code != http.StatusOK {
						t.Fatalf("answered %d %s", rec.Code, rec.Body)
					}
				}
				got := core.Events()
				if len(got) != 1 || got[0].ID != "message:100" || got[0].Thread != "42" || got[0].Message.Text == "" {
					t.Errorf("events %+v, want the message", got)
				}
				if n := core.LeftOuts()["member"]; n != 2*tt.odd {
					t.Errorf("%d members counted, want %d", n, 2*tt.odd)
				}
			})
		})
	}
}

// TestWhatCannotBeReadIsToldOnce has many webhooks of one kind that say nothing
// readable, and of members that are odd: one line each, all of them counted.
func TestWhatCannotBeReadIsToldOnce(t *testing.T) {
	var log bytes.Buffer
	core := bridgetest.NewCore()
	c, err := New(goodConfig(t), core, client(newStub(t)), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		send(c, signed(accountSecret, changed(t, "message_created", "id", "private words")))
		send(c, signed(accountSecret, changed(t, "message_created", "sender.name", []any{"private words"})))
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 2 || strings.Contains(log.String(), "private") {
		t.Errorf("%d warnings, want 2 that quote nothing:\n%s", n, &log)
	}
	if diff := cmp.Diff(map[string]int{"member": 5, "webhook": 5}, core.LeftOuts()); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

func TestAttachmentsThatAreNoFiles(t *testing.T) {
	const page = "https://maps.example/?q=-23.55052,-46.633308"
	tests := []struct {
		name       string
		attachment map[string]any
		want       string
		counted    int
	}{
		{"place with a map", map[string]any{"file_type": "location", "coordinates_lat": -23.55052, "coordinates_long": -46.633308,
			"fallback_title": "Praça da Sé", "data_url": page}, "Praça da Sé -23.55052, -46.633308", 0},
		{"coordinates as text", map[string]any{"file_type": "location", "coordinates_lat": "-23.5", "coordinates_long": " 46 "}, "-23.5, 46", 0},
		{"on the equator", map[string]any{"file_type": "location", "coordinates_lat": 0, "coordinates_long": 6.6}, "0, 6.6", 0},
		{"nowhere with a title", map[string]any{"file_type": "location", "coordinates_lat": 0.0, "coordinates_long": 0.0, "fallback_title": "Home"}, "Home", 0},
		{"nowhere with a map", map[string]any{"file_type": "location", "coordinates_lat": 0, "coordinates_long": 0, "data_url": page}, page, 0},
		{"nowhere", map[string]any{"file_type": "location", "coordinates_lat": 0, "coordinates_long": 0}, "[location]", 1},
		{"picture without an address", map[string]any{"file_type": "image", "data_url": nil}, "[image]", 1},
		{"voice without an address", map[string]any{"file_type": "audio", "data_url": ""}, "[audio]", 1},
		{"file whose address is a path", map[string]any{"file_type": "file", "data_url": "/rails/x"}, "[file]", 1},
		{"type of nobody", map[string]any{"file_type": "<b>private</b>"}, "[file]", 1},
		{"address card", map[string]any{"file_type": "contact", "fallback_title": "+351210000000", "data_url": nil}, "+351210000000", 0},
		{"shared page", map[string]any{"file_type": "fallback", "fallback_title": "News", "data_url": "https://news.example/1"}, "News https://news.example/1", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			when(t, recordedAt, func(t *testing.T) {
				c, core, _ := newChatwoot(t, goodConfig(t))
				send(c, signed(accountSecret, said(t, 100, "", func(p map[string]any) { p["attachments"] = []any{tt.attachment} })))
				if diff := cmp.Diff([]string{tt.want}, told(core.Events())); diff != "" {
					t.Errorf("the agent reads (-want +got):\n%s", diff)
				}
				if n := core.LeftOuts()["attachment_without_address"]; n != tt.counted {
					t.Errorf("%d counted, want %d", n, tt.counted)
				}
			})
		})
	}
}

// TestFilesThatAreAttachedLater: some of Chatwoot's channels attach a file after
// message_created was sent.
func TestFilesThatAreAttachedLater(t *testing.T) {
	files := func(p map[string]any) {
		p["attachments"] = []any{map[string]any{"file_type": "image", "data_url": "https://chat.example.com/a.png"}}
	}
	later := func(change func(p map[string]any)) func(p map[string]any) {
		return func(p map[string]any) { p["event"] = eventMessageUpdated; change(p) }
	}
	none := func(map[string]any) {}
	tests := []struct {
		name          string
		text          string
		first, second func(p map[string]any)
		want          []string
	}{
		{"words before", "look", none, later(files), []string{"look", " <https://chat.example.com/a.png>"}},
		{"nothing before", "", none, later(files), []string{" <https://chat.example.com/a.png>"}},
		{"files before", "look", files, later(files), []string{"look <https://chat.example.com/a.png>"}},
		{"no files at all", "look", none, later(none), []string{"look"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			when(t, recordedAt, func(t *testing.T) {
				c, core, _ := newChatwoot(t, goodConfig(t))
				send(c, signed(accountSecret, said(t, 100, tt.text, tt.first)))
				for range 2 {
					send(c, signed(accountSecret, said(t, 100, tt.text, tt.second)))
				}
				if diff := cmp.Diff(tt.want, told(core.Events())); diff != "" {
					t.Errorf("the agent reads (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestConversationsOfUnprovenContactsAreKeptApart: who gives somebody's e-mail
// becomes the same contact in Chatwoot, which proves nothing.
func TestConversationsOfUnprovenContactsAreKeptApart(t *testing.T) {
	kept := share
	who := func(door int, conversation int, verified bool) bridge.ConsumerID {
		var id bridge.ConsumerID
		when(t, recordedAt, func(t *testing.T) {
			cfg := goodConfig(t)
			cfg.Verified = kept
			c, core, _ := newChatwoot(t, cfg)
			send(c, signed(accountSecret, said(t, 100, "hello", func(p map[string]any) {
				conv := p["conversation"].(map[string]any)
				conv["id"] = conversation
				conv["contact_inbox"].(map[string]any)["id"] = door
				conv["contact_inbox"].(map[string]any)["hmac_verified"] = verified
			})))
			if got := core.Events(); len(got) == 1 {
				id = got[0].Consumer.ID
			}
		})
		return id
	}
	if a, b := who(31, 42, false), who(32, 43, false); a == b || a == "" {
		t.Errorf("two contact-inboxes of one contact are both %q", a)
	}
	if a, b := who(31, 42, false), who(31, 43, false); a != b {
		t.Errorf("one contact-inbox is %q and %q", a, b)
	}
	if a, b := who(31, 42, true), who(32, 43, true); a != b || a == who(31, 42, false) {
		t.Errorf("a proven contact is %q and %q", a, b)
	}
	kept = apart
	if a, b := who(31, 42, true), who(32, 43, true); a == b || a != who(31, 42, false) {
		t.Errorf("kept apart, a proven contact is %q and %q", a, b)
	}
}

// TestProofsCountForNothingWhereContactsAreKeptApart: all webhooks of a conversation
// name the same consumer.
func TestProofsCountForNothingWhereContactsAreKeptApart(t *testing.T) {
	proven := func(conv map[string]any) {
		conv["contact_inbox"].(map[string]any)["hmac_verified"] = true
	}
	when(t, recordedAt, func(t *testing.T) {
		cfg := goodConfig(t)
		cfg.Verified = apart
		c, core, _ := newChatwoot(t, cfg)
		send(c, signed(accountSecret, said(t, 100, "hello", func(p map[string]any) { proven(p["conversation"].(map[string]any)) })))
		send(c, signed(accountSecret, changed(t, "conversation_typing_on", "conversation.contact_inbox.hmac_verified", true)))
		send(c, signed(accountSecret, changed(t, "conversation_resolved", "contact_inbox.hmac_verified", true)))
		got := core.Events()
		if len(got) != 3 {
			t.Fatalf("events %+v", got)
		}
		for _, e := range got {
			if !strings.HasPrefix(string(e.Consumer.ID), "contact-inbox:") {
				t.Errorf("a %s is of %q", e.Kind, e.Consumer.ID)
			}
		}
	})
}

// TestProfileOfAnOlderRecord has a journal of before contact-inboxes were the
// consumers.
func TestProfileOfAnOlderRecord(t *testing.T) {
	c, core, _ := newChatwoot(t, goodConfig(t))
	if err := core.Records().Save(t.Context(), bridge.Record{Kind: recordContact, ID: 10, Data: []byte("42")}); err != nil {
		t.Fatal(err)
	}
	send(c, signed(accountSecret, recorded(t, "contact_updated")))
	got := core.Events()
	if len(got) != 1 || got[0].Consumer.ID != "10" || got[0].Thread != "42" {
		t.Errorf("events %+v, want a profile of consumer 10 in 42", got)
	}
}

func TestAddressWithAFinalSlash(t *testing.T) {
	when(t, recordedAt, func(t *testing.T) {
		c, core, _ := newChatwoot(t, goodConfig(t))
		r := signed(accountSecret, said(t, 100, "hello", nil))
		r.URL.Path += "/"
		if rec := send(c, r); rec.Code != http.StatusOK || len(core.Events()) != 1 {
			t.Errorf("answered %d", rec.Code)
		}
	})
}

// TestRatingsInAnyWords has surveys of other clients than Chatwoot's own page.
func TestRatingsInAnyWords(t *testing.T) {
	for name, c := range map[string]struct {
		rating any
		want   int
	}{
		"number": {4, 4}, "text": {"5", 5}, "fraction": {json.Number("4.0"), 4}, "with words": {"3 stars", 3}, "stars": {"★★★", 3}, "face": {"😍", 5}, "word": {"Five", 5},
		"too much": {6, 0}, "nothing": {nil, 0}, "a list": {[]any{5}, 0}, "other words": {"great", 0}, "nought": {0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			ch, core, _ := newChatwoot(t, goodConfig(t))
			body := changed(t, "message_updated_rated", "content_attributes.submitted_values", map[string]any{"csat_survey_response": map[string]any{"rating": c.rating, "feedback_message": "words"}})
			for range 2 {
				if rec := send(ch, signed(accountSecret, body)); rec.Code != http.StatusOK {
					t.Fatalf("answered %d", rec.Code)
				}
			}
			got := 0
			for _, e := range core.Events() {
				if e.Rating != nil && e.Rating.Comment == "words" {
					got = e.Rating.Score
				}
			}
			if left := core.LeftOuts()["rating_unreadable"]; got != c.want || (left > 0) != (c.want == 0) {
				t.Errorf("counts as %d, want %d; %d are left out", got, c.want, left)
			}
		})
	}
}
