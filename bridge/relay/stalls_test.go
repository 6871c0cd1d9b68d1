package relay_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

// oldest is LivePerson's oldest conversation.
func (r *rig) oldest() lpsim.Conversation {
	r.t.Helper()
	all := r.sim.Conversations()
	c, ok := r.sim.Conversation(all[len(all)-1].ConversationID)
	if !ok {
		r.t.Fatal("the oldest conversation is gone")
	}
	return c
}

// arrives is how long a message of the oldest conversation's thread takes.
func (r *rig) arrives(thread, text string) time.Duration {
	began := time.Now()
	r.say(thread, text, text)
	for !slices.Contains(consumerTexts(r.oldest()), text) && time.Since(began) < 10*time.Minute {
		time.Sleep(100 * time.Millisecond)
	}
	return time.Since(began)
}

// tokensOf is a fault of the identity provider's answers about a consumer, of all
// where none is named.
func tokensOf(consumer string, f fault) fault {
	return func(req *http.Request, body string) (*http.Response, error) {
		if strings.HasSuffix(req.URL.Path, "/consumer") && strings.Contains(body, consumer) {
			return f(req, body)
		}
		return nil, nil
	}
}

// LivePerson gives no tokens, or opens no conversations: those who have one notice
// nothing, and the others get theirs as soon as it does again.
func TestOutageOfTokensOrConversationsHoldsUpNobodyElse(t *testing.T) {
	for name, f := range map[string]fault{
		"tokens, 503":                            tokensOf("", answers(503)),
		"tokens, no answer":                      tokensOf("", isLost),
		"tokens, 429 for two minutes":            tokensOf("", answers(429, "Retry-After", "120")),
		"conversations, 500":                     about("ConsumerRequestConversation", answers(500)),
		"conversations, refused by their set-up": about("ConsumerRequestConversation", says(400, `[{"code":"BAD_REQUEST","body":{"msg":"Bad Request"},"reqId":"2"}]`)),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
				r.begin("t-1")
				r.wire.fail(f)
				for i := range 6 {
					r.say(fmt.Sprint("n-", i), fmt.Sprint("n-", i), fmt.Sprint("new ", i))
				}
				for i := range 60 {
					if took := r.arrives("t-1", fmt.Sprint("known ", i)); took > time.Second {
						t.Errorf("a message of a consumer who has a conversation took %v", took)
					}
					time.Sleep(17 * time.Second)
				}
				r.wire.fail(nil)
				most := 10 * time.Second
				if strings.Contains(name, "429") {
					most = 2 * time.Minute
				}
				if took := r.drained(time.Hour); took > most {
					t.Errorf("the others' messages went out %v after LivePerson was well", took)
				}
				if dead, _ := r.journal.DeadLetters(t.Context(), 0, 10); len(dead) > 0 || len(r.sim.Conversations()) != 7 {
					t.Errorf("%d dead letters, %d conversations", len(dead), len(r.sim.Conversations()))
				}
			})
		})
	}
}

// One consumer gets no token while all others do: they notice nothing, and it ends.
func TestConsumerWhoAloneGetsNoTokenIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{quiet: true})
		r.begin("t-1")
		r.begin("t-sick")
		sick, err := r.journal.Thread(t.Context(), bridge.ThreadKey{Channel: "test", Thread: "t-sick"})
		if err != nil {
			t.Fatal(err)
		}
		r = r.restart(rigOptions{quiet: true})
		var asked atomic.Int64
		r.wire.fail(tokensOf(sick.ExtConsumer, counted(&asked, answers(500))))
		r.say("t-sick", "s-1", "from the sick one")
		began := time.Now()
		for i := 0; r.journal.PendingCount() > 0 && time.Since(began) < 24*time.Hour; i++ {
			if took := r.arrives("t-1", fmt.Sprint("known ", i)); took > time.Second {
				t.Errorf("another's message took %v", took)
			}
			r.say(fmt.Sprint("n-", i), fmt.Sprint("n-", i), "hello")
			time.Sleep(time.Second)
			if r.journal.PendingCount() > 1 {
				t.Errorf("%d wait, want the sick one alone", r.journal.PendingCount())
			}
			time.Sleep(20 * time.Second)
		}
		if took := time.Since(began); took > 30*time.Minute || took < 10*time.Minute || asked.Load() > 100 {
			t.Errorf("it took %v and %d calls", took, asked.Load())
		}
		if got := r.channel.got(); count(got, "receipt:failed:[s-1]") != 1 {
			t.Error("the channel was not told that the message will not arrive")
		}
		r.shutDown()
		r.sim.Close()
	})
}

// Where nobody else is given anything it cannot be told from an outage, and lasts
// as long as anything may.
func TestConsumerWithoutATokenWaitsAsLongAsAnything(t *testing.T) {
	adjust := func(o *relay.Options) { o.DeadLetterAfter = 2 * time.Hour }
	inBubble(t, rigOptions{quiet: true, adjust: adjust}, func(t *testing.T, r *rig) {
		r.wire.fail(tokensOf("", answers(500)))
		r.say("t-1", "e-1", "hello")
		if took := r.drained(24 * time.Hour); took < 2*time.Hour || took > 2*time.Hour+time.Minute {
			t.Errorf("it ended after %v", took)
		}
		time.Sleep(time.Second)
		if got := r.channel.got(); count(got, "receipt:failed:[e-1]") != 1 {
			t.Errorf("the channel was told %v", got)
		}
	})
}

// Very many who lack a conversation do not ask all at once.
func TestConsumersWithoutTokensAskInTurn(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		const consumers = 300
		r.begin("t-1")
		var asked atomic.Int64
		r.wire.fail(tokensOf("", counted(&asked, answers(503))))
		for i := range consumers {
			r.say(fmt.Sprint("n-", i), fmt.Sprint("n-", i), "hello")
		}
		if took := r.arrives("t-1", "known"); took > 5*time.Second {
			t.Errorf("a message of a consumer who has a conversation took %v", took)
		}
		time.Sleep(5 * time.Minute)
		asked.Store(0)
		time.Sleep(5 * time.Minute)
		// Each asks three times within a call.
		if n := asked.Load(); n == 0 || n > 3*2*5*60 {
			t.Errorf("LivePerson was asked %d times in five minutes", n)
		}
		r.wire.fail(nil)
		if took := r.drained(time.Hour); took > 15*time.Second {
			t.Errorf("all were through after %v", took)
		}
	})
}

// While many get no conversation, one who is told that theirs is open has it: in it a
// survey is under way that nobody told us of, and their message waits only for its end.
func TestConversationThatIsOpenEndsAStall(t *testing.T) {
	inBubble(t, rigOptions{survey: true, notifications: relay.NotificationsOff}, func(t *testing.T, r *rig) {
		var known string
		r.wire.fail(about("ConsumerRequestConversation", func(req *http.Request, _ string) (*http.Response, error) {
			known = req.Header.Get("X-LP-ON-BEHALF")
			return nil, nil
		}))
		id := r.begin("t-1")
		r.agentSays(id, "join first")
		time.Sleep(time.Second)
		r.sim.SetWebhooks(lpsim.Webhooks{})
		r.sim.SetFaults(lpsim.Faults{NewDuringSurvey: "reject"})
		if err := r.sim.AgentClose(id, lpsim.AgentClose{Survey: new(true)}); err != nil {
			t.Fatal(err)
		}
		r.wire.fail(about("ConsumerRequestConversation", func(req *http.Request, body string) (*http.Response, error) {
			if req.Header.Get("X-LP-ON-BEHALF") == known {
				return nil, nil
			}
			return answers(500)(req, body)
		}))
		for i := range 6 {
			r.say(fmt.Sprint("n-", i), fmt.Sprint("n-", i), "hello")
		}
		time.Sleep(10 * time.Second)
		r.say("t-1", "e-1", "one more thing")
		time.Sleep(10 * time.Minute)
		if !slices.Contains(r.allConsumerTexts(), "one more thing") {
			t.Error("the message waits for others who get no conversation")
		}
	})
}
