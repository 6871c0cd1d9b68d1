package relay_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/connector/lpsim"
)

// proven is a message of somebody who proved something in one place, and may be
// somebody else in another.
func proven(thread, place, id, text string) bridge.Event {
	e := event(bridge.KindMessage, thread, id)
	e.Consumer = &bridge.Consumer{ID: "contact", Apart: bridge.ConsumerID(place), FirstName: "of " + place}
	e.Message = &bridge.Message{Text: text}
	return e
}

// talk is LivePerson's conversation in which somebody wrote a text.
func (r *rig) talk(text string) lpsim.Conversation {
	r.t.Helper()
	for _, summary := range r.sim.Conversations() {
		c, _ := r.sim.Conversation(summary.ConversationID)
		if slices.Contains(consumerTexts(c), text) {
			return c
		}
	}
	r.t.Fatalf("nobody wrote %q", text)
	return lpsim.Conversation{}
}

// heardIn lists the agent's words of each thread.
func (r *rig) heardIn(thread string) (texts []string) {
	for _, e := range r.channel.events() {
		if e.Kind == bridge.KindMessage && string(e.Thread) == thread {
			texts = append(texts, e.Message.Text)
		}
	}
	return texts
}

// TestNobodyTakesOverWhatMayBeAnothers: two places of one proven contact have a
// conversation each while both are open, and one after the other the contact's.
func TestNobodyTakesOverWhatMayBeAnothers(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.accept(proven("t-1", "door-1", "a-1", "my IBAN?"))
		time.Sleep(time.Second)
		r.accept(proven("t-2", "door-2", "b-1", "what did I ask?"))
		time.Sleep(time.Second)
		first, second := r.talk("my IBAN?"), r.talk("what did I ask?")
		if first.ConversationID == second.ConversationID || first.ExtConsumerID == second.ExtConsumerID {
			t.Fatal("the second took over what the first asked")
		}
		r.agentSays(first.ConversationID, "PT50 0002")
		r.agentSays(second.ConversationID, "I do not know")
		time.Sleep(time.Second)
		for thread, want := range map[string]string{"t-1": "PT50 0002", "t-2": "I do not know"} {
			if got := r.heardIn(thread); !slices.Equal(got, []string{want}) {
				t.Errorf("%s reads %q, want %q", thread, got, want)
			}
		}
		// A place of the second's own may take its conversation over.
		r.accept(proven("t-3", "door-2", "c-1", "from another window"))
		time.Sleep(time.Second)
		if got := r.talk("from another window"); got.ConversationID != second.ConversationID {
			t.Error("one place has two conversations")
		}
		for _, id := range []string{first.ConversationID, second.ConversationID} {
			if err := r.sim.AgentClose(id, lpsim.AgentClose{}); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		r.accept(proven("t-2", "door-2", "b-2", "again"))
		time.Sleep(time.Second)
		if got := r.talk("again"); got.ExtConsumerID != first.ExtConsumerID {
			t.Error("the contact is no longer one consumer")
		}
		r.accept(proven("t-1", "door-1", "a-2", "and again"))
		time.Sleep(time.Second)
		if r.talk("and again").ExtConsumerID == first.ExtConsumerID {
			t.Error("the first took over what the second asked")
		}
	})
}

// TestNobodyTakesOverWhatIsBeingOpened, or what LivePerson knows of and we do not.
func TestNobodyTakesOverWhatIsBeingOpened(t *testing.T) {
	t.Run("the answer was lost", func(t *testing.T) {
		inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
			r.wire.fail(func(req *http.Request, body string) (*http.Response, error) {
				if strings.HasSuffix(req.URL.Path, "/consumer/conversation") && strings.Contains(body, "of door-1") {
					return r.answeredAfter(0)(req, body)
				}
				return nil, nil
			})
			r.sim.SetFaults(lpsim.Faults{WebhookDelayRate: 1, WebhookDelayMinMs: 60_000, WebhookDelayMaxMs: 60_000})
			r.accept(proven("t-1", "door-1", "a-1", "my IBAN?"))
			time.Sleep(20 * time.Millisecond)
			r.accept(proven("t-2", "door-2", "b-1", "what did I ask?"))
			time.Sleep(10 * time.Minute)
			if r.talk("my IBAN?").ConversationID == r.talk("what did I ask?").ConversationID {
				t.Error("the second took over what the first asked")
			}
		})
	})
	t.Run("nobody knows who opened it", func(t *testing.T) {
		inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
			refused := 0
			r.wire.fail(func(req *http.Request, body string) (*http.Response, error) {
				if strings.HasSuffix(req.URL.Path, "/consumer/conversation") && refused == 0 {
					refused++
					return says(400, `{"code":"BAD_REQUEST","body":{"msg":"Bad Request, consumer 0 already has open conversation 1"},"reqId":"1"}`)(req, body)
				}
				return nil, nil
			})
			r.accept(proven("t-2", "door-2", "b-1", "what did I ask?"))
			time.Sleep(time.Minute)
			if got := r.talk("what did I ask?"); got.ExtConsumerID != bridge.ExtConsumerID(consumerKey, "test", "door-2") {
				t.Errorf("it is said as %s", got.ExtConsumerID)
			}
		})
	})
}

// TestProfileIsToldToWhomItIsOf: what is known of a contact is not told in the
// conversation of a place that may be somebody else's.
func TestProfileIsToldToWhomItIsOf(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.accept(proven("t-1", "door-1", "a-1", "hello"))
		time.Sleep(time.Second)
		r.accept(proven("t-2", "door-2", "b-1", "hello too"))
		time.Sleep(time.Second)
		r.wire.restartClock()
		for _, thread := range []string{"t-2", "t-1"} {
			e := event(bridge.KindProfile, thread, "p-"+thread)
			e.Consumer = &bridge.Consumer{ID: "contact", Email: thread + "@example.com"}
			r.accept(e)
			time.Sleep(time.Second)
		}
		if got := r.wire.timeline(); len(got) != 1 || !strings.HasPrefix(got[0], "1.0 ") {
			t.Errorf("LivePerson is told %v, want the second only", got)
		}
	})
}
