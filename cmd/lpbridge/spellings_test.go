package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"lpbridge/connector/lpsim"
)

// TestSpellingsOfPathsOnTheRunningProgram asks every door as clients of Rails, proxies
// and people who paste addresses spell it.
func TestSpellingsOfPathsOnTheRunningProgram(t *testing.T) {
	t.Parallel()
	x := newEveryChannel(t, nil)
	for i, path := range []string{publicAPI, publicAPI + "/", "/" + publicAPI, publicAPI + ".json", strings.Replace(publicAPI, "/api/", "//api/", 1) + "//", publicAPI + ".json/"} {
		x.call(http.MethodPost, path, fmt.Sprintf(`{"source_id":"spelled-%d"}`, i), nil)
		x.call(http.MethodGet, publicAPI+fmt.Sprintf("/spelled-%d/", i), "", nil)
		x.call(http.MethodGet, publicAPI+fmt.Sprintf("/spelled-%d/conversations.json", i), "", nil)
		if a := do(t, http.MethodOptions, x.p.public+path, http.Header{"Origin": {"https://shop.example"}, "Access-Control-Request-Method": {"POST"}}, ""); a.status != http.StatusOK {
			t.Errorf("a preflight of %s is answered %d", path, a.status)
		}
	}
	for i, path := range []string{"/channels/webhook", "/channels/webhook/", "//channels//webhook//"} {
		body := message("t-1", fmt.Sprint("spelled-", i), "spelled")
		if a := do(t, http.MethodPost, x.p.public+path, signed(t, body), body); a.status != http.StatusOK {
			t.Errorf("%s is answered %d: %s", path, a.status, a.body)
		}
	}
	for i, path := range []string{"/channels/chatwoot/" + chatwootDoor + "/", "//channels/chatwoot//" + chatwootDoor} {
		x.call(http.MethodPost, path, fmt.Sprintf(`{"event":"message_created","id":%d,"message_type":"incoming","content":"by the path %d","account":{"id":1},"conversation":{"id":42,"inbox_id":3,"status":"open"}}`, 900+i, i), nil)
		x.consumerWho(fmt.Sprint("by the path ", i))
	}
	for _, path := range []string{"/layer/nonces/", "//layer//nonces"} {
		x.call(http.MethodPost, path, "", nil, layerAccept...)
	}
	for _, path := range []string{"/cable", "/cable/", "//cable", "//cable//"} {
		ctx, cancel := context.WithCancel(t.Context())
		c, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(x.p.public, "http")+path, &websocket.DialOptions{Subprotocols: []string{"actioncable-v1-json"}})
		if err != nil {
			t.Errorf("%s: %v", path, err)
		} else {
			_ = c.CloseNow()
		}
		cancel()
	}
}

// TestOddWebhooksOfChatwootOnTheRunningProgram reports what plug-ins, messengers and
// Chatwoot's own help page write: each comes once, and none may be lost.
func TestOddWebhooksOfChatwootOnTheRunningProgram(t *testing.T) {
	t.Parallel()
	v := newVisitors(t, "share")
	report := func(id any, members string) {
		v.report(fmt.Sprintf(`{"event":"message_created","id":%v,"message_type":"incoming","account":{"id":"1"},"inbox":{"id":"3"},
			"sender":{"id":"10","name":"Ana","phone_number":351900000001},"created_at":"2026-06-17T12:00:00.123Z",
			"conversation":{"id":"42","inbox_id":"3","status":"open","contact_inbox":{"id":"31","contact_id":"10"},"meta":{"sender":{"id":"10","type":"contact"}}},%s}`, id, members))
	}
	report(`"1"`, `"content":"ids as text"`)
	report(2, `"content":null,"attachments":[{"file_type":"location","coordinates_lat":"-23.55052","coordinates_long":-46.633308,"fallback_title":"Praça da Sé","data_url":"https://maps.example/?q=1"}]`)
	report(3, `"content":"","attachments":[{"file_type":"image","data_url":null}]`)
	report(4, `"content":42,"attachments":{}`)
	report(5, `"content":"with nulls","attachments":null,"content_attributes":null`)
	report(6, `"content":"the last"`)
	c := v.conversationOf("the last")
	var got []string
	for _, e := range c.Transcript {
		if e.Role == lpsim.RoleConsumer && e.Type == "ContentEvent" {
			got = append(got, e.Text)
		}
	}
	if want := []string{"ids as text", "Praça da Sé -23.55052, -46.633308", "[image]", "42", "with nulls", "the last"}; !slices.Equal(got, want) {
		t.Errorf("the agent reads %q, want %q", got, want)
	}
	if !v.knows(c, "351900000001") {
		t.Error("a telephone number that is a number is lost")
	}
	// A bot has the conversation: nothing goes on until it hands over, then all of it.
	pending := func(id int, kind, text, status string) {
		v.report(fmt.Sprintf(`{"event":"message_created","id":%d,"message_type":%q,"content":%q,"account":{"id":1},"conversation":{"id":60,"inbox_id":3,"status":%q,"contact_inbox":{"id":60,"contact_id":60}}}`, id, kind, text, status))
	}
	pending(70, "incoming", "to the bot", "pending")
	pending(71, "outgoing", "I am a bot", "pending")
	pending(72, "incoming", "a person, please", "open")
	taken := v.conversationOf("a person, please")
	for _, e := range taken.Transcript {
		if e.Text == "to the bot" {
			t.Error("what was said to a bot is a message of its own")
		}
	}
	if first := taken.Transcript[0].Text; !strings.Contains(first, "to the bot") || !strings.Contains(first, "I am a bot") {
		t.Errorf("the agent is told of the time before: %q", first)
	}
}
