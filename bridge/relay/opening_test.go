package relay_test

import (
	"fmt"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector/lpsim"
)

// LivePerson allows a consumer one conversation: who writes in several threads at
// once asks for one only, and nobody waits for the answer to a second question.
func TestThreadsOfOneConsumerTakeTurnsAtOpening(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.sim.SetFaults(lpsim.Faults{LatencyMinMs: 500, LatencyMaxMs: 500})
		for i := range 4 {
			e := event(bridge.KindMessage, fmt.Sprint("t-", i), fmt.Sprint("e-", i))
			e.Consumer.ID = "same"
			e.Message = &bridge.Message{Text: fmt.Sprint("text ", i)}
			r.accept(e)
		}
		time.Sleep(time.Minute)
		if calls := r.sim.Stats().Calls[lpsim.ConversationAPI]; len(calls) != 1 || calls["200"] != 1 {
			t.Errorf("LivePerson was asked for conversations %v, want once", calls)
		}
		if n := len(consumerTexts(r.conversation())); n != 4 {
			t.Errorf("%d messages arrived, want 4", n)
		}
	})
}
