package layer

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"lpbridge/bridge"
)

// TestUsersAreKeptApart has two users with the same e-mail address and names;
// one knows all ids of the other.
func TestUsersAreKeptApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		victim, stranger := w.login("victim"), w.login("stranger")
		w.converse(victim)
		w.must(201, victim, "POST", "/conversations/"+thread1+"/messages", newMessage(message1, "my IBAN?"))
		w.deliver(agentSays("dialog-1:1", "it is fine"))
		content, _ := w.must(201, victim, "POST", "/content", "", "Upload-Content-Length", "1", "Upload-Content-Type", "image/png").has("id").(string)
		ear := w.connect(stranger, "layer-3.0")

		message := strings.TrimPrefix(message1, prefixMessage)
		for _, r := range [][3]string{
			{"GET", "/conversations/" + thread1, ""}, {"GET", "/conversations/" + thread1 + "/messages", ""},
			{"POST", "/conversations/" + thread1 + "/messages", newMessage(message2, "x")},
			{"POST", "/conversations/" + thread1 + "/mark_all_read", `{"position":1}`},
			{"PATCH", "/conversations/" + thread1, `[{"operation":"set","property":"metadata.a","value":"b"}]`},
			{"DELETE", "/conversations/" + thread1 + "?mode=all_participants", ""},
			{"GET", "/messages/" + message, ""}, {"DELETE", "/messages/" + message + "?mode=all_participants", ""},
			{"POST", "/messages/" + message + "/receipts", `{"type":"read"}`},
			{"GET", "/identities/victim", ""}, {"GET", "/content/" + strings.TrimPrefix(content, prefixContent), ""},
			{"DELETE", "/sessions/" + victim, ""},
		} {
			if got := w.send(stranger, r[0], r[1], r[2]); got.status != 404 {
				t.Errorf("%s %s answers a stranger with %d: %v", r[0], r[1], got.status, got.body)
			}
		}
		if got := w.send(stranger, "POST", "/conversations", newConversation(conversation1, false)); got.status != 409 || got.has("data", "id") != nil {
			t.Errorf("a conversation's id was taken: %d %v", got.status, got.body)
		}
		w.must(201, stranger, "POST", "/conversations", newConversation(conversation2, false))
		body := fmt.Sprintf(`{"id":%q,"parts":[{"mime_type":"image/png","content":{"id":%q}}]}`, message2, content)
		own := "/conversations/" + strings.TrimPrefix(conversation2, prefixConversation) + "/messages"
		if got := w.send(stranger, "POST", own, body); got.status != 422 {
			t.Errorf("a stranger sends the file of somebody else: %d", got.status)
		}
		w.must(201, stranger, "POST", own, newMessage(message2, "hello"))
		consumers := map[bridge.ConsumerID]bool{}
		for _, e := range w.core.Events() {
			consumers[e.Consumer.ID] = true
		}
		if len(consumers) != 2 {
			t.Errorf("two users are the consumers %v in LivePerson", consumers)
		}

		ear.signal(conversation1, "started")
		ear.expect("create Conversation", "create Message", "update Conversation")
		w.deliver(agentSays("dialog-1:2", "for the victim only"))
		ear.request("r", "Counter.read", "", "")
		ear.expect("r ok")
		for _, e := range w.core.Events() {
			if e.Kind == bridge.KindTyping && e.Thread == thread1 {
				t.Error("a stranger types in the victim's conversation")
			}
		}
	})
}
