package relay_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/connector/lpsim"
)

// TestLateEchoOfAClosedConversation repeats the echo of a message of a closed
// conversation while a newer message with the same words is being tried in the
// next one. The newer one must be sent all the same.
func TestLateEchoOfAClosedConversation(t *testing.T) {
	for _, tc := range []struct {
		name    string
		restart bool
	}{{"known in memory", false}, {"known to the journal only", true}} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{})
				r.begin("t-1")
				r.say("t-1", "e-1", "ok")
				synctest.Wait()
				time.Sleep(time.Second)
				former := r.conversation()
				echo := echoOf(t, former, "ok")
				if err := r.sim.AgentClose(former.ConversationID, lpsim.AgentClose{}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				r.say("t-1", "e-2", "one more thing")
				time.Sleep(time.Second)
				if tc.restart {
					r.stop()
					if err := <-r.stopped; err != nil {
						t.Error(err)
					}
					r.close()
					if err := r.journal.Close(); err != nil {
						t.Error(err)
					}
					r = newRig(t, rigOptions{journal: r.journal.Reopen(), sim: r.sim, door: r.door})
				}
				r.sim.SetFaults(lpsim.Faults{ErrorRate: lpsim.Rates{lpsim.SendAPI: 1}})
				r.say("t-1", "e-3", "ok")
				time.Sleep(time.Second)
				if status := r.notify(echo, nil); status != 200 {
					t.Errorf("status %d", status)
				}
				r.sim.SetFaults(lpsim.Faults{})
				time.Sleep(time.Minute)
				if diff := cmp.Diff([]string{"one more thing", "ok"}, consumerTexts(r.conversation())); diff != "" {
					t.Errorf("transcript (-want +got):\n%s", diff)
				}
				r.shutDown()
				r.sim.Close()
			})
		})
	}
}

// echoOf writes LivePerson's notification of a consumer's message.
func echoOf(t *testing.T, c lpsim.Conversation, text string) string {
	t.Helper()
	for _, e := range c.Transcript {
		if e.Text == text {
			return echoed(e)
		}
	}
	t.Fatal("the message is not in the transcript")
	return ""
}
