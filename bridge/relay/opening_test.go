package relay_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

// LivePerson allows a consumer one conversation: who writes in several threads at
// once asks for one only, and nobody waits for the answer to a second question.
func TestThreadsOfOneConsumerTakeTurnsAtOpening(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		// No notification names the conversation to those who have not asked yet.
		r.sim.SetWebhooks(lpsim.Webhooks{})
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

// asksForConversation is in each request that asks for one.
const asksForConversation = "ConsumerRequestConversation"

// The answer to an opening was lost, and asking again is refused for minutes. What
// an agent says in the conversation that there is since is kept until it is known
// whose it is.
func TestOpeningWhoseAnswerWasLostStaysInDoubtThroughRefusals(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		time.Sleep(2 * relay.DefaultUnclaimedFor)
		r.sim.SetWebhooks(lpsim.Webhooks{})
		var asked atomic.Int64
		r.wire.fail(about(asksForConversation, func(req *http.Request, body string) (*http.Response, error) {
			if asked.Add(1) == 1 {
				return r.appliedThen(isLost)(req, body)
			}
			return answers(http.StatusTooManyRequests, "Retry-After", "100")(req, body)
		}))
		r.say("t-1", "e-1", "hello")
		for asked.Load() < 2 {
			time.Sleep(time.Second)
		}
		time.Sleep(time.Second)
		id := r.conversation().ConversationID
		r.notify(words(id, id, 0, "welcome"), nil)
		r.wire.fail(nil)
		time.Sleep(20 * time.Minute)
		r.wantMessage("welcome")
	})
}

// An opening that was surely refused is no reason to keep what other connectors'
// conversations say.
func TestRefusedOpeningKeepsNothingOfOthers(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		time.Sleep(2 * relay.DefaultUnclaimedFor)
		r.wire.fail(about(asksForConversation, answers(http.StatusTooManyRequests, "Retry-After", "100")))
		r.say("t-1", "e-1", "hello")
		time.Sleep(10 * time.Second)
		r.notify(words("other", "other", 3, "of another connector"), nil)
		if kept, err := r.journal.AllUnclaimed(t.Context(), 0, 10); err != nil || len(kept) != 0 {
			t.Errorf("%d changes are kept, %v", len(kept), err)
		}
		r.wire.fail(nil)
		time.Sleep(10 * time.Minute)
	})
}

// What came about a conversation is taken when the answer names it, not with the
// next look at what is kept.
func TestAnswerThatNamesAConversationClaimsAtOnce(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.sim.SetWebhooks(lpsim.Webhooks{})
		r.wire.fail(about(asksForConversation, inTurn(r.answeredAfter(2*time.Second))))
		r.say("t-1", "e-1", "hello")
		time.Sleep(500 * time.Millisecond)
		id := r.conversation().ConversationID
		r.notify(words(id, id, 0, "welcome"), nil)
		time.Sleep(3 * time.Second)
		r.wantMessage("welcome")
	})
}

// A thread whose next conversation LivePerson reports has one that is open, not two.
func TestNextConversationEndsTheOneBefore(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		old := r.begin("t-1")
		began := time.Now().Add(5 * time.Millisecond)
		if s := r.notify(news("new-1", r.consumerID(), began), nil); s != 200 {
			t.Fatal("status", s)
		}
		time.Sleep(time.Second)
		for id, open := range map[string]bool{old: false, "new-1": true} {
			c, err := r.journal.Conversation(t.Context(), id)
			if err != nil || c == nil || c.Open != open {
				t.Errorf("conversation %s is %+v, %v; want it open: %t", id, c, err, open)
			}
		}
	})
}

// An older state of a conversation that comes late says nothing: the agent it
// tells of has left since.
func TestOlderStateOfAConversationIsNotBelieved(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		consumer := r.consumerID()
		late := time.Now().Add(time.Second)
		time.Sleep(2 * time.Second)
		r.notify(news(id, consumer, time.Now()), nil)
		told := len(r.channel.events())
		withAgent := strings.ReplaceAll(news(id, consumer, late), `"state":"ACTIVE"}`, `"state":"ACTIVE"},{"id":"a-9","role":"ASSIGNED_AGENT","state":"ACTIVE"}`)
		if s := r.notify(withAgent, nil); s != 200 {
			t.Fatal("status", s)
		}
		time.Sleep(time.Second)
		if now := r.channel.events(); len(now) != told {
			t.Errorf("the channel was told %+v", now[told:])
		}
		if c, err := r.journal.Conversation(t.Context(), id); err != nil || c == nil || c.Joined == "a-9" {
			t.Errorf("the conversation is %+v, %v", c, err)
		}
	})
}

// News of an older conversation that come late do not bring it back: the thread
// goes on where it began last.
func TestOlderConversationDoesNotComeBack(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		before := time.Now().Add(-time.Minute)
		current := r.begin("t-1")
		if s := r.notify(news("older", r.consumerID(), before), nil); s != 200 {
			t.Fatal("status", s)
		}
		time.Sleep(time.Second)
		th, err := r.journal.Thread(t.Context(), bridge.ThreadKey{Channel: "test", Thread: "t-1"})
		if err != nil || th == nil || th.Conversation != current {
			t.Errorf("the thread is %+v, %v; want it in %s", th, err, current)
		}
	})
}
