package relay_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
	"lpbridge/connector/lpsim"
)

// bought is a button of a product.
func bought(title, of string) string {
	return `{"type":"button","title":"` + title + `","click":{"metadata":[{"type":"ExternalId","id":"` + of + `"}],"actions":[{"type":"publishText","text":"I take ` + of + `"}]}}`
}

func title(said string) string { return `{"type":"text","text":"` + said + `"}` }

func within(kind, elements string) string {
	return `{"type":"` + kind + `","elements":[` + elements + `]}`
}

// TestChoicesOfTheSameNameAreToldApart has an agent offer several things by the same
// name, and the consumer write what each is called.
func TestChoicesOfTheSameNameAreToldApart(t *testing.T) {
	tests := []struct {
		name, rich, quick string
		names             []string
	}{
		{"cards", within("carousel", within("vertical", title("Shoes")+","+title("$20")+","+bought("Buy", "1"))+","+within("vertical", title("Boots")+","+bought("Buy", "2"))), "",
			[]string{"Shoes: Buy", "Boots: Buy"}},
		{"one card", within("vertical", title("Shop")+","+within("horizontal", title("Shoes")+","+bought("Buy", "1"))+","+within("horizontal", title("Boots")+","+bought(" buy ", "2"))), "",
			[]string{"Shoes: Buy", "Boots: buy"}},
		{"a flat card", within("vertical", title("Shoes")+","+bought("Buy", "1")+","+title("Boots")+","+bought("Buy", "2")+","+bought("Other", "3")), "",
			[]string{"Shoes: Buy", "Boots: Buy", "Other"}},
		{"words in a box of their own", within("carousel", within("vertical", within("vertical", title("Shoes")+","+title("$20"))+","+within("horizontal", bought("Buy", "1")))+","+
			within("vertical", within("vertical", title("Boots"))+","+within("horizontal", bought("Buy", "2")))), "",
			[]string{"Shoes: Buy", "Boots: Buy"}},
		{"names that are too long or the same", within("carousel", within("vertical", title("A very long name of a product")+","+bought("Buy", "1"))+","+
			within("vertical", title("Boots")+","+bought("Buy", "2"))+","+within("vertical", title("Boots")+","+bought("Buy", "3"))), "",
			[]string{"Buy (1)", "Boots: Buy", "Buy (2)"}},
		{"a number that is taken", within("vertical", bought("Buy", "1")+","+bought("Buy", "2")+","+bought("Buy (1)", "3")), "", []string{"Buy (2)", "Buy (3)", "Buy (1)"}},
		{"quick replies beside", within("vertical", title("Shoes")+","+bought("Buy", "2")), `{"type":"quickReplies","replies":[` + bought("Buy", "1") + `]}`,
			[]string{"Buy (1)", "Shoes: Buy"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
				id := r.begin("t-1")
				m := lpsim.AgentMessage{Rich: json.RawMessage(test.rich)}
				if test.quick != "" {
					m.QuickReplies = json.RawMessage(test.quick)
				}
				if _, err := r.sim.AgentMessage(id, m); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				events := r.channel.events()
				var names []string
				for _, q := range events[len(events)-1].Message.QuickReplies {
					names = append(names, q.Name())
				}
				if diff := cmp.Diff(test.names, names); diff != "" {
					t.Fatalf("names (-want +got):\n%s", diff)
				}
				for i, name := range names {
					written := event(bridge.KindMessage, "t-1", "by-name-"+name)
					written.Message = &bridge.Message{Text: name, TypedChoice: true}
					r.accept(written)
					time.Sleep(time.Second)
					c, _ := r.sim.Conversation(id)
					of := string(rune('1' + i))
					last := c.Transcript[len(c.Transcript)-1]
					if last.Text != "I take "+of || string(last.Metadata) != `[{"type":"ExternalId","id":"`+of+`"}]` {
						t.Errorf("%s: the agent reads %q with %s", name, last.Text, last.Metadata)
					}
				}
			})
		})
	}
}
