package layer

import (
	"encoding/json"
	"strings"
	"testing"

	"lpbridge/bridge"
)

// TestPlacesAndLinksByThemselves are what web-xdk's clients send of their own; with
// anything beside them they are buttons.
func TestPlacesAndLinksByThemselves(t *testing.T) {
	const place, link = `{"type":"map","la":38.72,"lo":-9.14,"title":"Lisbon"}`, `{"type":"linkPreview","url":"https://shop.example/","title":"Our shop"}`
	for _, tt := range []struct{ name, rich, parts string }{
		{"place", place, `location {"latitude":38.72,"longitude":-9.14,"title":"Lisbon"}`},
		{"place as text", `{"type":"vertical","elements":[{"type":"map","la":"38.72","lo":"-9.14"}]}`, `location {"latitude":38.72,"longitude":-9.14,"title":"Map"}`},
		{"link", link, `link {"title":"Our shop","url":"https://shop.example/"}`},
		{"link without a title", `{"type":"link","url":"https://shop.example/"}`, `link {"url":"https://shop.example/"}`},
		{"button that leads somewhere", `{"type":"button","title":"Go","click":{"actions":[{"type":"navigate","la":1,"lo":2}]}}`, `location {"latitude":1,"longitude":2,"title":"Go"}`},
		{"place with words", `{"type":"vertical","elements":[{"type":"text","text":"Here we are"},` + place + `]}`,
			`buttons {"buttons":[{"data":{"url":"https://www.openstreetmap.org/?mlat=38.72&mlon=-9.14"},"event":"open-url","text":"Lisbon","type":"action"}]} text {"text":"Here we are"}`},
		{"carousel", `{"type":"carousel","elements":[` + place + `,` + link + `]}`,
			`carousel {} location {"latitude":38.72,"longitude":-9.14,"title":"Lisbon"} link {"title":"Our shop","url":"https://shop.example/"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			token := w.login("consumer-1")
			w.converse(token)
			e := agentSays("dialog-1:5", "words")
			e.Message.Rich = json.RawMessage(tt.rich)
			w.deliver(e)
			shown := w.must(200, token, "GET", "/conversations/"+thread1+"/messages", "")
			parts, _ := shown.has(0, "parts").([]any)
			var got []string
			for i := range parts {
				kind, _, _ := strings.Cut(shown.has(0, "parts", i, "mime_type").(string), "+json")
				got = append(got, strings.TrimPrefix(kind, "application/vnd.layer.")+" "+shown.has(0, "parts", i, "body").(string))
			}
			if strings.Join(got, " ") != tt.parts {
				t.Errorf("parts %s, want %s", got, tt.parts)
			}
		})
	}
}

// TestTitleOfACardStandsAboveItsText: web-xdk shows the title of a text below it, so a
// card without a picture has both in its text.
func TestTitleOfACardStandsAboveItsText(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	e := agentSays("dialog-1:5", "")
	e.Message = &bridge.Message{
		QuickReplies: []bridge.QuickReply{{ID: "0", Title: "Red", Text: "I want red"}},
		Rich: json.RawMessage(`{"type":"vertical","elements":[{"type":"text","text":"Running shoes","tag":"title"},{"type":"text","text":"Which colour?"},
			{"type":"button","title":"Red","click":{"actions":[{"type":"publishText","text":"I want red"}]}}]}`),
	}
	w.deliver(e)
	shown := w.must(200, token, "GET", "/conversations/"+thread1+"/messages", "")
	for i := range 2 {
		kind, _ := shown.has(0, "parts", i, "mime_type").(string)
		if body, _ := shown.has(0, "parts", i, "body").(string); strings.HasPrefix(kind, typeText) && body != `{"text":"Running shoes\nWhich colour?"}` {
			t.Errorf("the card says %s", body)
		}
	}
	if shown.has(0, "parts", 1) == nil {
		t.Errorf("shown is %v", shown.body)
	}
}
