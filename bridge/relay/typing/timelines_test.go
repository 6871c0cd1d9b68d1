package typing

import (
	"slices"
	"testing"
)

// TestTypingTimelines has the stories any two of our sides can live through,
// with the calls they lead to. Stories of which the clock sees nothing are
// decided before it and tested there: an echo of our own state, typing in a
// private note, a survey dialog, a thread without a conversation, and typing
// that stands before a message in one webhook body.
func TestTypingTimelines(t *testing.T) {
	runTimelines(t, []timeline{
		{
			name: "D1 a client that repeats writes a message", from: layerSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}, {2.5, "composing"}, {5, "composing"}, {6, "message"}, {6, "stopped"}},
			want:   []string{"0 composing", "6 message", "6 stopped"},
		},
		{
			name: "D2 a client that repeats falls silent", from: layerSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}},
			want:   []string{"0 composing", "6 paused"},
		},
		{
			name: "D3 the socket is lost", from: layerSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}, {1, "lost"}},
			want:   []string{"0 composing", "1 paused"},
		},
		{
			name: "D4 a pause", from: layerSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}, {2.5, "paused"}, {5, "paused"}, {7, "composing"}, {8, "stopped"}},
			want:   []string{"0 composing", "2.5 paused", "7 composing", "8 stopped"},
		},
		{
			name: "D5 a client that does not repeat types for long", from: chatwootSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}, {34, "stopped"}},
			want:   []string{"0 composing", "30 paused"},
		},
		{
			name: "D6 the Enter key after a message", from: chatwootSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}, {5, "stopped"}, {8, "message"}, {8.1, "composing"}, {12.1, "stopped"}},
			want:   []string{"0 composing", "5 stopped", "8 message"},
		},
		{
			name: "D7 a composing that a message overtook on the way to us", from: chatwootSource, to: livePersonTarget,
			inputs: []input{{3, "message"}, {3.2, "composing"}, {7, "stopped"}},
			want:   []string{"3 message"},
		},
		{
			name: "D6 a phantom whose end never comes was none", from: chatwootSource, to: livePersonTarget,
			inputs: []input{{8, "message"}, {8.5, "composing"}, {23.5, "stopped"}},
			want:   []string{"8 message", "13 composing", "23.5 stopped"},
		},
		{
			name: "D6 a phantom and a message", from: chatwootSource, to: livePersonTarget,
			inputs: []input{{8, "message"}, {8.5, "composing"}, {10, "message"}, {11.5, "composing"}, {13, "stopped"}},
			want:   []string{"8 message", "10 message", "11.5 composing", "13 stopped"},
		},
		{
			name: "D6 composing that is said again is believed", from: chatwootSource, to: livePersonTarget,
			inputs: []input{{8, "message"}, {8.5, "composing"}, {8.6, "composing"}, {10, "composing"}, {45, "stopped"}},
			want:   []string{"8 message", "10 composing", "40 paused"},
		},
		{
			name: "D8 a sticky source and a target that forgets", from: agentSource, to: liveChatAITarget,
			inputs: []input{{0, "composing"}, {12.3, "stopped"}},
			want:   []string{"0 composing", "5 composing", "10 composing", "12.3 stopped"},
		},
		{
			name: "D9 flapping that ends in a message", from: agentSource, to: liveChatAITarget,
			inputs: []input{{0, "composing"}, {1, "stopped"}, {2, "composing"}, {7, "message"}},
			want:   []string{"0 composing", "1 stopped", "5 composing", "7 message", "7 stopped"},
		},
		{
			name: "D10 flapping that ends", from: agentSource, to: liveChatAITarget,
			inputs: []input{{0, "composing"}, {1, "stopped"}, {2, "composing"}, {3, "stopped"}},
			want:   []string{"0 composing", "1 stopped"},
		},
		{
			name: "D11 the stop is lost", from: agentSource, to: liveChatAITarget,
			inputs: []input{{0, "composing"}},
			want: []string{
				"0 composing", "5 composing", "10 composing", "15 composing", "20 composing", "25 composing", "30 composing",
				"35 composing", "40 composing", "45 composing", "50 composing", "55 composing", "60 stopped",
			},
		},
		{
			name: "D12 an agent writes a message", from: agentSource, to: layerTarget,
			inputs: []input{{0, "A composing"}, {6, "A message"}},
			want:   []string{"0 A composing", "2.5 A composing", "5 A composing", "6 A message", "6 A stopped"},
		},
		{
			name: "D13 a target with a long guard", from: agentSource, to: chatwootTarget,
			inputs: []input{{0, "A composing"}, {40, "A stopped"}},
			want:   []string{"0 composing", "15 composing", "30 composing", "40 stopped"},
		},
		{
			name: "D14 two agents and a target that shows persons", from: agentSource, to: layerTarget,
			inputs: []input{{0, "A composing"}, {1, "B composing"}, {3, "A message"}, {9, "B stopped"}},
			want: []string{
				"0 A composing", "1 B composing", "2.5 A composing", "3 A message", "3 A stopped",
				"3.5 B composing", "6 B composing", "8.5 B composing", "9 B stopped",
			},
		},
		{
			name: "D15 two agents and a target that shows no persons", from: agentSource, to: liveChatAITarget,
			inputs: []input{{0, "A composing"}, {1, "B composing"}, {3, "A message"}, {9, "B stopped"}},
			want:   []string{"0 composing", "3 A message", "5 composing", "9 stopped"},
		},
		{
			name: "D16 twenty changes in two seconds", from: chatwootSource, to: livePersonTarget,
			inputs: flapping(20, 0.095),
			want:   []string{"0 composing", "1.045 stopped"},
		},
		{
			name: "D17 a throttled composing and a message", from: chatwootSource, to: livePersonTarget, replies: []reply{throttled},
			inputs: []input{{0, "composing"}, {0.5, "message"}},
			want:   []string{"0 composing", "0.5 message"},
		},
		{
			name: "D18 LivePerson is down", from: chatwootSource, to: livePersonTarget, replies: down(5),
			inputs: []input{{0, "composing"}, {4, "stopped"}},
			want:   []string{"0 composing", "4 stopped", "6 stopped", "9 stopped", "13 stopped", "25 stopped"},
		},
		{
			name: "D18 and then the consumer is heard of again", from: chatwootSource, to: livePersonTarget, replies: down(5),
			inputs: []input{{0, "composing"}, {4, "stopped"}, {20, "traffic"}},
			want:   []string{"0 composing", "4 stopped", "6 stopped", "9 stopped", "13 stopped", "20 stopped"},
		},
		{
			name: "D18 and then LivePerson is said to be well", from: chatwootSource, to: livePersonTarget, replies: down(5),
			inputs: []input{{0, "composing"}, {4, "stopped"}, {17, "well"}},
			want:   []string{"0 composing", "4 stopped", "6 stopped", "9 stopped", "13 stopped", "17 stopped"},
		},
		{
			name: "D18 for a minute", from: chatwootSource, to: livePersonTarget, replies: down(9),
			inputs: []input{{0, "composing"}, {4, "stopped"}},
			want: []string{
				"0 composing", "4 stopped", "6 stopped", "9 stopped", "13 stopped", "25 stopped", "37 stopped", "49 stopped",
				"61 stopped", "73 stopped",
			},
		},
		{
			name: "D18 and what somebody else types shows that it is over", from: chatwootSource, to: livePersonTarget, replies: down(5),
			inputs: []input{{0, "#1 composing"}, {4, "#1 stopped"}, {23.5, "#2 composing"}, {25, "#2 stopped"}},
			want: []string{
				"0 #1 composing", "4 #1 stopped", "6 #1 stopped", "9 #1 stopped", "13 #1 stopped",
				"23.5 #2 composing", "23.5 #1 stopped", "25 #2 stopped",
			},
		},
		{
			name: "D21 shutdown while composing", from: chatwootSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}, {1, "shutdown"}, {2, "composing"}},
			want:   []string{"0 composing", "1 stopped", "1 shutdown: <nil>"},
		},
		{
			name: "D22 after a crash", from: chatwootSource, to: livePersonTarget, marks: true,
			replies: []reply{applied, unanswered},
			inputs:  []input{{10, "recover"}},
			want: []string{
				"10 #1 paused", "10 #1 mark false", "10.05 #2 paused", "10.1 #3 paused", "10.1 #3 mark false",
				"12.05 #2 paused", "12.05 #2 mark false",
			},
		},
	})
}

// down are calls that a far side which is down does not answer.
func down(n int) []reply {
	return slices.Repeat([]reply{unanswered}, n)
}

// flapping are changes between composing and stopped, ending in stopped.
func flapping(n int, every float64) []input {
	var ins []input
	for i := range n {
		verb := "composing"
		if i%2 == 1 {
			verb = "stopped"
		}
		ins = append(ins, input{float64(i) * every, verb})
	}
	return ins
}
