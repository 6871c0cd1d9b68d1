package typing

import (
	"testing"
	"time"

	"lpbridge/bridge"
)

// TestTypingInvariants has a story for each promise that the timelines above
// do not already hold the clock to.
func TestTypingInvariants(t *testing.T) {
	second := time.Second
	runTimelines(t, []timeline{
		{
			name: "C1 a close clears first", from: chatwootSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}, {0.4, "clear"}, {0.5, "forget"}},
			want:   []string{"0 composing", "0.4 stopped", "0.4 clear: <nil>"},
		},
		{
			name: "C1 a message that does not get through keeps nothing on", from: chatwootSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}, {2, "queued"}, {150, "sent"}},
			want:   []string{"0 composing", "2 message", "30 stopped"},
		},
		{
			name: "C2 a message ends typing at once, whatever the rate", from: chatwootSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}, {0.3, "message"}},
			want:   []string{"0 composing", "0.3 message", "0.3 stopped"},
		},
		{
			name: "C2 a message after a pause has nothing to end", from: layerSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}, {2, "paused"}, {4, "message"}},
			want:   []string{"0 composing", "2 paused", "4 message"},
		},
		{
			name: "C2 a message after a pause ends it where pauses are shown", from: agentSource, to: layerTarget,
			inputs: []input{{0, "A composing"}, {2, "A paused"}, {4, "A message"}},
			want:   []string{"0 A composing", "2 A paused", "4 A message", "4 A stopped"},
		},
		{
			name: "C3 a deferred composing does not follow its message", from: layerSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}, {0.2, "stopped"}, {0.4, "composing"}, {0.6, "queued"}, {1.5, "sent"}},
			want:   []string{"0 composing", "0.6 message", "1.5 stopped"},
		},
		{
			name: "C3 a composing that waits for a sender does not follow its message", from: layerSource, to: livePersonTarget,
			replies: []reply{applied.in(2 * second), applied.in(2 * second)},
			inputs: []input{
				{0, "#1 composing"}, {0.05, "#2 composing"}, {0.1, "#3 composing"}, {0.5, "#3 message"},
				{1, "#1 stopped"}, {1, "#2 stopped"}, {1, "#3 stopped"},
			},
			want: []string{"0 #1 composing", "0.05 #2 composing", "0.5 #3 message", "2 #1 stopped", "2.05 #2 stopped"},
		},
		{
			name: "C3 a refresh does not follow the message", from: agentSource, to: layerTarget,
			inputs: []input{{0, "A composing"}, {2.4, "A queued"}, {4, "A sent"}},
			want:   []string{"0 A composing", "2.4 A message", "4 A stopped"},
		},
		{
			name: "C4 the mark stands from before composing until typing is known to have ended", from: chatwootSource, to: livePersonTarget, marks: true,
			replies: []reply{applied, unanswered},
			inputs:  []input{{0, "composing"}, {5, "stopped"}},
			want:    []string{"0 mark true", "0 composing", "5 stopped", "7 stopped", "7 mark false"},
		},
		{
			name: "C4 composing waits for its mark", from: chatwootSource, to: livePersonTarget, marks: true, disk: 500 * time.Millisecond,
			inputs: []input{{0, "composing"}, {5, "stopped"}},
			want:   []string{"0 mark true", "0.5 composing", "5 stopped", "5 mark false"},
		},
		{
			name: "C4 and is not told when typing ends meanwhile", from: chatwootSource, to: livePersonTarget, marks: true, disk: 500 * time.Millisecond,
			inputs: []input{{0, "composing"}, {0.2, "stopped"}},
			want:   []string{"0 mark true", "0.5 mark false"},
		},
		{
			name: "C4 nor behind a message that is faster", from: layerSource, to: livePersonTarget, marks: true, disk: 500 * time.Millisecond,
			inputs: []input{{0, "composing"}, {0.1, "queued"}, {0.2, "composing"}, {0.7, "sent"}, {1.5, "stopped"}},
			want:   []string{"0 mark true", "0.1 message", "0.7 composing", "1.7 stopped", "1.7 mark false"},
		},
		{
			name: "C4 one mark for each agent who is shown", from: agentSource, to: layerTarget, marks: true,
			inputs: []input{{0, "A composing"}, {1, "B composing"}, {2, "A stopped"}, {3, "B stopped"}},
			want: []string{
				"0 A mark true", "0 A composing", "1 B mark true", "1 B composing", "2 A stopped", "2 A mark false", "3 B stopped", "3 B mark false",
			},
		},
		{
			name: "C4 a refused end keeps its mark and is tried ever more rarely", from: chatwootSource, to: livePersonTarget, marks: true,
			replies: []reply{applied, refused, refused, refused, refused, refused, refused},
			inputs:  []input{{0, "composing"}, {5, "stopped"}},
			want: []string{
				"0 mark true", "0 composing", "5 stopped", "7 stopped", "10 stopped", "14 stopped", "44 stopped", "104 stopped",
			},
			stuck: 1,
		},
		{
			name: "C4 typing that a conversation shows is ended there, wherever the thread is", from: chatwootSource, to: livePersonTarget, marks: true,
			conversation: "c-1", replies: []reply{applied, applied, applied, unanswered},
			inputs: []input{{0, "composing"}, {2, "c-2 moved"}, {2, "leave"}, {3, "composing"}, {5, "stopped"}},
			want: []string{
				"0 c-1 mark true", "0 c-1 composing", "2 c-1 stopped", "2 c-1 mark false",
				"3 c-2 mark true", "3 c-2 composing", "5 c-2 stopped", "7 c-2 stopped", "7 c-2 mark false",
			},
		},
		{
			name: "C4 and is owed there while the thread types elsewhere", from: chatwootSource, to: livePersonTarget, marks: true,
			conversation: "c-1", replies: []reply{applied, unanswered, applied},
			inputs: []input{{0, "composing"}, {2, "c-2 moved"}, {2, "leave"}, {2.5, "composing"}, {8, "stopped"}},
			want: []string{
				"0 c-1 mark true", "0 c-1 composing", "2 c-1 stopped", "2.5 c-2 mark true", "2.5 c-2 composing",
				"4 c-1 stopped", "4 c-1 mark false", "8 c-2 stopped", "8 c-2 mark false",
			},
		},
		{
			name: "C4 what is owed in a conversation is taken over by who types in it next", from: chatwootSource, to: livePersonTarget, marks: true,
			conversation: "c-1", replies: []reply{applied, {Result: Result{End: Uncertain}}, refused, applied},
			inputs: []input{{0, "#1 composing"}, {2, "#1 leave"}, {3, "#2 composing"}, {8, "#2 stopped"}},
			want: []string{
				"0 #1 c-1 mark true", "0 #1 c-1 composing", "2 #1 c-1 stopped", "3 #2 c-1 mark true", "3 #1 c-1 mark false",
				"3 #2 c-1 composing", "8 #2 c-1 stopped", "8 #2 c-1 mark false",
			},
		},
		{
			name: "C14 typing that no conversation shows", from: chatwootSource, to: livePersonTarget, marks: true, conversation: "c-1",
			inputs: []input{{0, " moved"}, {1, "composing"}, {3, "stopped"}},
		},
		{
			name: "a conversation that is over is told nothing more", from: chatwootSource, to: livePersonTarget, marks: true,
			replies: []reply{applied, {Result: Result{End: Over}}},
			inputs:  []input{{0, "composing"}, {5, "stopped"}},
			want:    []string{"0 mark true", "0 composing", "5 stopped", "5 mark false"},
		},
		{
			name: "C4 a forgotten conversation keeps no mark", from: chatwootSource, to: livePersonTarget, marks: true,
			inputs: []input{{0, "composing"}, {1, "forget"}},
			want:   []string{"0 mark true", "0 composing", "1 mark false"},
		},
		{
			name: "C4 a refused composing keeps no mark", from: chatwootSource, to: livePersonTarget, marks: true,
			replies: []reply{refused},
			inputs:  []input{{0, "composing"}, {1, "stopped"}},
			want:    []string{"0 mark true", "0 composing", "0 mark false"},
		},
		{
			name: "C5 repeats keep their cadence when the far side is slow", from: agentSource, to: layerTarget,
			replies: []reply{applied.in(second), applied.in(second), applied.in(second)},
			inputs:  []input{{0, "A composing"}, {7, "A stopped"}},
			want:    []string{"0 A composing", "2.5 A composing", "5 A composing", "7 A stopped"},
		},
		{
			name: "C6 a repeat renews the hold only", from: chatwootSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}, {20, "composing"}, {40, "composing"}},
			want:   []string{"0 composing", "70 paused"},
		},
		{
			name: "C7 silence of an agent within the hold means nothing", from: agentSource, to: webhookTarget,
			inputs: []input{{0, "A composing"}, {59, "A stopped"}},
			want:   []string{"0 A composing", "59 A stopped"},
		},
		{
			name: "C8 a change of state may go at once, the same state may not", from: agentSource, to: layerTarget,
			inputs: []input{
				{0, "A composing"}, {0.5, "A paused"}, {0.7, "A stopped"}, {0.9, "A composing"}, {3, "A stopped"},
			},
			want: []string{"0 A composing", "0.5 A paused", "0.7 A stopped", "2.5 A composing", "3 A stopped"},
		},
		{
			name: "C8 the interval outlives the lease", from: chatwootSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}, {5, "stopped"}, {5.5, "composing"}, {8, "stopped"}},
			want:   []string{"0 composing", "5 stopped", "6 composing", "8 stopped"},
		},
		{
			name: "C9 the last state wins", from: chatwootSource, to: livePersonTarget,
			inputs: append(flapping(20, 0.095), input{1.9, "composing"}, input{9, "stopped"}),
			want:   []string{"0 composing", "1.045 stopped", "2.045 composing", "9 stopped"},
		},
		{
			name: "C10 ends of nothing and doubled inputs say nothing", from: layerSource, to: livePersonTarget,
			inputs: []input{
				{0, "stopped"}, {1, "paused"}, {2, "composing"}, {2, "composing"}, {4, "stopped"}, {4, "stopped"}, {5, "lost"}, {6, "message"},
			},
			want: []string{"2 composing", "4 stopped", "6 message"},
		},
		{
			name: "C11 a throttled end is told after the pause, a throttled composing not at all", from: chatwootSource, to: livePersonTarget,
			replies: []reply{applied, throttled},
			inputs:  []input{{0, "#1 composing"}, {1, "#1 stopped"}, {2, "#2 composing"}, {7, "#2 stopped"}, {8, "#2 composing"}, {9, "#2 stopped"}},
			want:    []string{"0 #1 composing", "1 #1 stopped", "6 #1 stopped", "8 #2 composing", "9 #2 stopped"},
		},
		{
			name: "C11 repeats rest during the pause and go on after it", from: agentSource, to: chatwootTarget,
			replies: []reply{applied, {Result: Result{End: Refused, Pause: 20 * second}}},
			inputs:  []input{{0, "composing"}, {50, "stopped"}},
			want:    []string{"0 composing", "15 composing", "45 composing", "50 stopped"},
		},
		{
			name: "C13 a composing heard behind a message waits for it", from: layerSource, to: livePersonTarget,
			inputs: []input{{0, "queued"}, {1, "composing"}, {2, "sent"}, {4, "stopped"}},
			want:   []string{"0 message", "2 composing", "4 stopped"},
		},
		{
			name: "C13 and is dropped when that takes too long", from: chatwootSource, to: livePersonTarget,
			inputs: []input{{0, "queued"}, {1.5, "composing"}, {4.6, "sent"}, {9, "stopped"}},
			want:   []string{"0 message"},
		},
		{
			name: "C13 unless it is repeated", from: layerSource, to: livePersonTarget,
			inputs: []input{{0, "queued"}, {1, "composing"}, {3.5, "composing"}, {6, "sent"}, {7, "stopped"}},
			want:   []string{"0 message", "6 composing", "7 stopped"},
		},
		{
			name: "C13 the composing of the next message waits behind the end of the last", from: layerSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}, {2, "queued"}, {2.5, "composing"}, {3, "sent"}, {6, "stopped"}},
			want:   []string{"0 composing", "2 message", "3 stopped", "4 composing", "6 stopped"},
		},
		{
			name: "C13 several messages on their way", from: layerSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}, {1, "queued"}, {1.2, "queued"}, {1.5, "composing"}, {2, "sent"}, {3, "sent"}, {6, "stopped"}},
			want:   []string{"0 composing", "1 message", "1.2 message", "2 stopped", "3 composing", "6 stopped"},
		},
		{
			name: "C13 an agent who begins while their message is on its way is shown after it", from: agentSource, to: layerTarget,
			inputs: []input{{0, "A queued"}, {1, "A composing"}, {12, "A sent"}, {13, "A stopped"}},
			want:   []string{"0 A message", "12 A composing", "13 A stopped"},
		},
		{
			name: "C13 unless the hold is over by then", from: agentSource, to: webhookTarget,
			inputs: []input{{0, "A queued"}, {1, "A composing"}, {62, "A sent"}},
			want:   []string{"0 A message"},
		},
		{
			name: "C13 the next message's composing of an agent waits behind the end of the last", from: agentSource, to: webhookTarget,
			inputs: []input{{0, "A composing"}, {2, "A queued"}, {3, "A composing"}, {9, "A sent"}, {20, "A stopped"}},
			want:   []string{"0 A composing", "2 A message", "9 A stopped", "10 A composing", "20 A stopped"},
		},
		{
			name: "C14 a target that shows no typing", from: layerSource, to: bridge.TypingTarget{},
			inputs: []input{{0, "composing"}, {1, "message"}, {2, "recover"}},
			want:   []string{"1 message"},
		},
		{
			name: "C17 what follows a clear is told anew", from: chatwootSource, to: livePersonTarget,
			inputs: []input{{0, "composing"}, {3, "clear"}, {5, "composing"}, {7, "stopped"}},
			want:   []string{"0 composing", "3 stopped", "3 clear: <nil>", "5 composing", "7 stopped"},
		},
		{
			name: "C17 a clear that fails says so", from: chatwootSource, to: livePersonTarget, replies: []reply{applied, refused.in(second)},
			inputs: []input{{0, "composing"}, {3, "clear"}, {4.1, "forget"}},
			want:   []string{"0 composing", "3 stopped", "4 clear: " + errNotCleared.Error()},
		},
		{
			name: "C17 a clear waits for the composing that is under way", from: chatwootSource, to: livePersonTarget, replies: []reply{applied.in(second)},
			inputs: []input{{0, "composing"}, {0.2, "clear"}},
			want:   []string{"0 composing", "1 stopped", "1 clear: <nil>"},
		},
		{
			name: "C17 a clear gives up with its context", from: chatwootSource, to: livePersonTarget,
			replies: []reply{applied, {Result: Result{End: Refused, Pause: 30 * second}}},
			inputs:  []input{{0, "#1 composing"}, {0.1, "#2 composing"}, {1, "#1 composing"}, {2, "clear"}, {3, "#1 clear"}, {8, "#1 forget"}},
			want:    []string{"0 #1 composing", "0.1 #2 composing", "2 clear: <nil>", "7 clear: typing: clear: context deadline exceeded"},
		},
		{
			name: "C18 one device of a consumer does not end what another types", from: layerSource, to: livePersonTarget,
			inputs: []input{{0, "A composing"}, {1.2, "B stopped"}, {2.5, "A composing"}, {3, "B composing"}, {4, "B stopped"}, {5, "A composing"}, {6, "A stopped"}},
			want:   []string{"0 composing", "6 stopped"},
		},
		{
			name: "C18 a consumer's message ends typing on all devices, and who goes on is shown again", from: layerSource, to: livePersonTarget,
			inputs: []input{{0, "A composing"}, {1, "B composing"}, {2, "message"}, {3.5, "B composing"}, {5, "B stopped"}},
			want:   []string{"0 composing", "2 message", "2 stopped", "3.5 composing", "5 stopped"},
		},
		{
			name: "an agent who left does not type", from: agentSource, to: layerTarget,
			inputs: []input{{0, "A composing"}, {0.5, "B composing"}, {2, "A left"}, {4, "B stopped"}},
			want:   []string{"0 A composing", "0.5 B composing", "2 A stopped", "3 B composing", "4 B stopped"},
		},
		{
			name: "C18 the second agent keeps a merged indicator on", from: agentSource, to: chatwootTarget,
			inputs: []input{{0, "A composing"}, {1, "B composing"}, {2, "A stopped"}, {20, "B stopped"}},
			want:   []string{"0 composing", "15 composing", "20 stopped"},
		},
		{
			name: "C19 what is not composing does not turn typing on", from: agentSource, to: layerTarget,
			inputs: []input{{0, "A paused"}, {1, "A BACKGROUND"}},
		},
		{
			name: "C19 an unknown state ends typing", from: agentSource, to: layerTarget,
			inputs: []input{{0, "A composing"}, {1, "A BACKGROUND"}},
			want:   []string{"0 A composing", "1 A stopped"},
		},
		{
			name: "C19 a pause ends with its time at a target that forgets", from: agentSource, to: layerTarget,
			inputs: []input{{0, "A composing"}, {1, "A paused"}},
			want:   []string{"0 A composing", "1 A paused", "7 A stopped"},
		},
		{
			name: "C19 a pause ends with the hold at a target that does not", from: agentSource, to: webhookTarget,
			inputs: []input{{0, "A composing"}, {1, "A paused"}},
			want:   []string{"0 A composing", "1 A paused", "61 A stopped"},
		},
		{
			name: "C19 a pause is a stop for a target without pauses", from: agentSource, to: liveChatAITarget,
			inputs: []input{{0, "A composing"}, {1, "A paused"}, {2, "A stopped"}},
			want:   []string{"0 composing", "1 stopped"},
		},
		{
			name: "C20 the end that belongs to a message waits for the composing that is under way", from: chatwootSource, to: livePersonTarget,
			replies: []reply{applied.in(1500 * time.Millisecond)},
			inputs:  []input{{0, "composing"}, {0.2, "queued"}, {0.4, "sent"}},
			want:    []string{"0 composing", "0.2 message", "1.5 stopped"},
		},
		{
			name: "C20 a thread that waits twice for a sender has one call at a time", from: agentSource, to: webhookTarget,
			replies: []reply{applied, applied.in(1500 * time.Millisecond), applied.in(1900 * time.Millisecond), applied.in(second)},
			inputs: []input{
				{0, "#3 A composing"}, {2, "#1 A composing"}, {2.1, "#2 A composing"}, {2.2, "#3 B composing"}, {2.3, "#3 A stopped"},
				{5, "#1 forget"}, {5, "#2 forget"}, {6, "#3 B stopped"},
			},
			want: []string{
				"0 #3 A composing", "2 #1 A composing", "2.1 #2 A composing", "3.5 #3 A stopped", "4.5 #3 B composing", "6 #3 B stopped",
			},
		},
		{
			name: "C20 an off that comes before its on is mended by the hold", from: chatwootSource, to: livePersonTarget,
			inputs: []input{{0, "stopped"}, {0.1, "composing"}},
			want:   []string{"0.1 composing", "30.1 paused"},
		},
		{
			name: "an unanswered composing is not tried again, and ended", from: layerSource, to: livePersonTarget, replies: []reply{unanswered},
			inputs: []input{{0, "composing"}, {2.5, "composing"}, {5, "composing"}, {7, "stopped"}},
			want:   []string{"0 composing", "7 stopped"},
		},
		{
			name: "a newer composing ends the tries of an end", from: chatwootSource, to: livePersonTarget,
			replies: []reply{applied, unanswered},
			inputs:  []input{{0, "composing"}, {3, "stopped"}, {4, "composing"}, {20, "stopped"}},
			want:    []string{"0 composing", "3 stopped", "5 composing", "20 stopped"},
		},
		{
			name: "an expiring far side heals by itself", from: agentSource, to: liveChatAITarget,
			replies: []reply{applied, refused, refused, refused, refused, refused},
			inputs:  []input{{0, "composing"}, {2, "stopped"}},
			want:    []string{"0 composing", "2 stopped", "4 stopped", "7 stopped"},
		},
		{
			name: "a call of a forgotten conversation changes nothing in the next", from: chatwootSource, to: livePersonTarget,
			replies: []reply{applied.in(2 * second)},
			inputs:  []input{{0, "composing"}, {0.5, "forget"}, {1, "composing"}, {4, "stopped"}},
			want:    []string{"0 composing", "2 composing", "4 stopped"},
		},
		{
			name: "a conversation that is forgotten tells nobody", from: agentSource, to: layerTarget,
			inputs: []input{{0, "A composing"}, {1, "forget"}, {2, "A stopped"}},
			want:   []string{"0 A composing"},
		},
		{
			name: "shutdown does not outlast its time", from: chatwootSource, to: livePersonTarget, replies: []reply{applied, unanswered.in(time.Hour)},
			inputs: []input{{0, "composing"}, {1, "shutdown"}},
			want:   []string{"0 composing", "1 stopped", "3 shutdown: " + errNotCleared.Error() + " in 1 threads"},
			stuck:  1,
		},
	})
}
