package layer

import (
	"encoding/json"
	"strings"
	"testing"

	"lpbridge/bridge"
)

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
