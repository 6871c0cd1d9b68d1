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

// TestWordsChooseWhereNothingCanBeClicked writes into a thread in which an agent
// offered two choices, on a channel that shows them as words.
func TestWordsChooseWhereNothingCanBeClicked(t *testing.T) {
	const offer = `{"type":"quickReplies","replies":[
		{"type":"button","title":"Red ","click":{"metadata":[{"type":"ExternalId","id":"r"}],"actions":[{"type":"publishText","text":"I want red"}]}},
		{"type":"button","title":"Blue","click":{"metadata":[{"type":"ExternalId","id":"b"}]}}]}`
	said := func(calls ...string) []string { return calls }
	tests := []struct {
		name    string
		typed   string
		clicked bool
		later   time.Duration
		calls   []string
		reads   string
	}{
		{"its name in any case", " rED", false, 0, said("0.0 ACTION", "0.0 ContentEvent"), "I want red"},
		{"its number", "2", false, 0, said("0.0 ACTION", "0.0 ContentEvent"), "Blue"},
		{"a number that is not offered", "3", false, 0, said("0.0 ContentEvent"), "3"},
		{"other words", "red please", false, 0, said("0.0 ContentEvent"), "red please"},
		{"a day later", "1", false, 25 * time.Hour, said("0.0 ContentEvent"), "1"},
		{"where one can click", "Red", true, 0, said("0.0 ContentEvent"), "Red"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
				written := event(bridge.KindMessage, "t-1", "typed")
				written.Message = &bridge.Message{Text: test.typed, TypedChoice: !test.clicked}
				id := r.begin("t-1")
				if _, err := r.sim.AgentMessage(id, lpsim.AgentMessage{Text: "Which?", QuickReplies: json.RawMessage(offer)}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second + test.later)
				r.wire.restartClock()
				r.accept(written)
				time.Sleep(time.Second)
				if diff := cmp.Diff(test.calls, r.wire.timeline()); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
				c, _ := r.sim.Conversation(id)
				if last := c.Transcript[len(c.Transcript)-1]; last.Text != test.reads {
					t.Errorf("the agent reads %q, want %q", last.Text, test.reads)
				}
				// The channel repeats itself: nothing is said twice.
				r.wire.restartClock()
				r.accept(written)
				time.Sleep(time.Second)
				if calls := r.wire.timeline(); len(calls) > 0 {
					t.Errorf("said twice: %v", calls)
				}
			})
		})
	}
}
