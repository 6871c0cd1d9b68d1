package main

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lpbridge/connector/lpsim"
)

// TestClicksOfEveryChannelComeBack has the agent send a card with two buttons and
// quick replies, and the consumer of every channel choose one of each: LivePerson
// wants ACTION with the element's metadata, and then what it publishes.
func TestClicksOfEveryChannelComeBack(t *testing.T) {
	t.Parallel()
	x := newEveryChannel(t, nil)
	const replies = `{"type":"quickReplies","replies":[
		{"type":"button","title":"Yes","click":{"metadata":[{"type":"ExternalId","id":"y-1"}],"actions":[{"type":"publishText","text":"yes please"}]}},
		{"type":"button","title":"No","click":{"metadata":[{"type":"ExternalId","id":"n-1"}],"actions":[{"type":"publishText","text":"no thanks"}]}}]}`
	card := rich(`{"type":"vertical","elements":[` + picture + `,{"type":"text","text":"Shoes"},` + buttons + `]}`)
	for n, tc := range []struct {
		sent         lpsim.AgentMessage
		chosen, says string
		metadata     string
	}{
		{card, "Blue", "I want blue", `[{"type":"ExternalId","id":"blue-1"}]`},
		{lpsim.AgentMessage{Text: "Shall we?", QuickReplies: json.RawMessage(replies)}, "No", "no thanks", `[{"type":"ExternalId","id":"n-1"}]`},
	} {
		shown, _ := x.agentSends(n, tc.sent)
		for _, p := range x.parties {
			for _, raw := range shown[p.channel] {
				p.choose(raw, tc.chosen)
			}
			var last []string
			await(t, "what was chosen in "+p.channel, func() bool {
				last = lastSaid(x.sim, p.conversation)
				return len(last) > 0 && last[len(last)-1] == tc.says
			})
			if diff := cmp.Diff([]string{"ACTION " + tc.metadata, tc.says}, last); diff != "" {
				t.Errorf("%s: the agent sees (-want +got):\n%s", p.channel, diff)
			}
		}
	}
}

// TestChoicesOfTheSameNameAreAllReached has the agent show two products with a button
// each that is called the same, where consumers only see names.
func TestChoicesOfTheSameNameAreAllReached(t *testing.T) {
	t.Parallel()
	x := newEveryChannel(t, nil)
	product := func(name string) string {
		return `{"type":"vertical","elements":[{"type":"text","text":"` + name + `"},{"type":"text","text":"9.99"},
			{"type":"button","title":"Buy","click":{"metadata":[{"type":"ExternalId","id":"` + name + `"}],"actions":[{"type":"publishText","text":"I buy ` + name + `"}]}}]}`
	}
	shown, _ := x.agentSends(0, rich(`{"type":"carousel","elements":[`+product("Shoes")+`,`+product("Boots")+`]}`))
	for _, p := range x.parties {
		if p.channel != "chatwoot" && p.channel != "livechatai" {
			continue
		}
		for _, name := range []string{"Boots", "Shoes"} {
			p.choose(shown[p.channel][0], name+": Buy")
			var last []string
			says := "I buy " + name
			await(t, "what was chosen in "+p.channel, func() bool {
				last = lastSaid(x.sim, p.conversation)
				return len(last) > 0 && last[len(last)-1] == says
			})
			if diff := cmp.Diff([]string{`ACTION [{"type":"ExternalId","id":"` + name + `"}]`, says}, last); diff != "" {
				t.Errorf("%s: the agent sees (-want +got):\n%s", p.channel, diff)
			}
		}
	}
}

// lastSaid are the consumer's last two entries of a conversation, receipts apart:
// actions with their metadata, and texts.
func lastSaid(sim *lpsim.Sim, conversation string) (said []string) {
	c, _ := sim.Conversation(conversation)
	for _, e := range c.Transcript {
		switch {
		case e.Role != "CONSUMER":
		case e.Status == "ACTION":
			said = append(said, "ACTION "+string(e.Metadata))
		case e.Type == "ContentEvent":
			said = append(said, e.Text)
		}
	}
	return said[max(0, len(said)-2):]
}
