package relay_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector/lpsim"
)

// TestConversationThatEndedBeforeItsOpeningWasAnswered stays ended: that a
// conversation was begun is older news than that it was closed.
func TestConversationThatEndedBeforeItsOpeningWasAnswered(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		var begun atomic.Bool
		var ended atomic.Value
		r.wire.fail(func(req *http.Request, body string) (*http.Response, error) {
			if !strings.HasSuffix(req.URL.Path, "/consumer/conversation") || !begun.CompareAndSwap(false, true) {
				return nil, nil
			}
			resp, err := r.applied(req, body)
			first := r.conversation().ConversationID
			ended.Store(first)
			if err := r.sim.AgentClose(first, lpsim.AgentClose{}); err != nil {
				t.Error(err)
			}
			time.Sleep(time.Second)
			return resp, err
		})
		r.accept(event(bridge.KindReopen, "t-1", "e-1"))
		time.Sleep(time.Minute)
		first, _ := ended.Load().(string)
		row, err := r.journal.Conversation(t.Context(), first)
		if err != nil || row == nil || row.Open {
			t.Errorf("the conversation that ended is kept as %+v, %v", row, err)
		}
		current := r.conversation().ConversationID
		if thread, err := r.journal.Thread(t.Context(), bridge.ThreadKey{Channel: "test", Thread: "t-1"}); err != nil || thread.Conversation != current || current == first {
			t.Errorf("the thread is at %+v, %v, want the conversation opened after the one that ended", thread, err)
		}
	})
}
