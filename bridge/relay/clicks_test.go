package relay_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
	"lpbridge/connector/lpsim"
)

// TestElementsOfStructuredContentAreClicked has an agent send a card with two
// buttons, of which one only leads somewhere.
func TestElementsOfStructuredContentAreClicked(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		_, err := r.sim.AgentMessage(id, lpsim.AgentMessage{Rich: json.RawMessage(`{"type":"vertical","elements":[{"type":"text","text":"Pick"},
			{"type":"button","title":"Shop","click":{"actions":[{"type":"link","uri":"https://x.test/"}]}},
			{"type":"button","title":"Red","click":{"metadata":[{"type":"ExternalId","id":"red-1"}],"actions":[{"type":"publishText","text":"I want red"}]}}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		events := r.channel.events()
		card := events[len(events)-1]
		if diff := cmp.Diff([]bridge.QuickReply{{ID: "1", Title: "Red", Text: "I want red"}}, card.Message.QuickReplies); diff != "" {
			t.Fatalf("what can be chosen (-want +got):\n%s", diff)
		}
		r.wire.restartClock()
		click := event(bridge.KindClick, "t-1", "k-1")
		click.Click = &bridge.Click{MessageID: card.ID, ReplyID: "1"}
		r.accept(click)
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{"0.0 ACTION", "0.0 ContentEvent"}, r.wire.timeline()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		c, _ := r.sim.Conversation(id)
		last := c.Transcript[len(c.Transcript)-1]
		if last.Text != "I want red" || string(last.Metadata) != `[{"type":"ExternalId","id":"red-1"}]` {
			t.Errorf("the agent reads %+v", last)
		}
	})
}
