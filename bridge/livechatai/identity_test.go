package livechatai

import (
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/livechatai/livechataitest"

	"github.com/google/go-cmp/cmp"
)

// TestContactSaysWhoSomebodyIs has visitors share all details but their ids, and
// two of them none.
func TestContactSaysWhoSomebodyIs(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.rounds(5 * time.Second)
		for chat, contact := range map[string]string{"chat_1": "contact_1", "chat_2": "contact_2", "chat_3": "", "chat_4": "", "chat_5": "contact_1"} {
			p.far.Open(livechataitest.Conversation{
				ID: chat, Agent: aiAgent, IsAgent: true,
				Contact: livechataitest.Contact{ID: contact, Name: "Ana Silva", Email: "ana@example.com", Phone: "+351210000000"},
			})
			p.far.Say(chat, "hello")
		}
		p.rounds(30 * time.Second)
		got := map[bridge.ThreadID]bridge.ConsumerID{}
		for _, e := range p.core.Events() {
			got[e.Thread] = e.Consumer.ID
		}
		want := map[bridge.ThreadID]bridge.ConsumerID{
			"chat_1": "contact_1", "chat_2": "contact_2", "chat_3": "chat_3", "chat_4": "chat_4", "chat_5": "contact_1",
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("consumers (-want +got):\n%s", diff)
		}
	})
}
