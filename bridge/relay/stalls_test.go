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

// Some consumers get no token for an hour, while all others do: the
// others notice nothing, none of theirs is given up, and they get through soon after.
func TestConsumersWhoAloneGetNoTokenCostNobodyAnything(t *testing.T) {
	for name, c := range map[string]struct {
		refusal fault
		sick    int
	}{
		"one, 500": {answers(500), 1}, "one, 429": {answers(429), 1}, "one, no answer": {isLost, 1}, "one, a page": {says(403, "<html>"), 1},
		"forty of a shard": {answers(503), 40},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { someAreSick(t, c.refusal, c.sick) })
		})
	}
}

func someAreSick(t *testing.T, refusal fault, sick int) {
	r := newRig(t, rigOptions{quiet: true})
	r.begin("t-1")
	ids := make([]string, sick)
	for i := range ids {
		thread := fmt.Sprint("t-sick-", i)
		r.begin(thread)
		row, err := r.journal.Thread(t.Context(), bridge.ThreadKey{Channel: "test", Thread: bridge.ThreadID(thread)})
		if err != nil {
			t.Fatal(err)
		}
		ids[i] = row.ExtConsumer
	}
	r = r.restart(rigOptions{quiet: true})
	var asked atomic.Int64
	r.wire.fail(func(req *http.Request, body string) (*http.Response, error) {
		if strings.HasSuffix(req.URL.Path, "/consumer") && slices.ContainsFunc(ids, func(id string) bool { return strings.Contains(body, id) }) {
			asked.Add(1)
			return refusal(req, body)
		}
		return nil, nil
	})
	for i := range ids {
		r.say(fmt.Sprint("t-sick-", i), fmt.Sprint("s-", i), "from a sick one")
	}
	const hours, between = 1, 20 * time.Second
	const rounds = int(hours * time.Hour / (between + time.Second))
	for i := range rounds {
		if took := r.arrives("t-1", fmt.Sprint("known ", i)); took > time.Second {
			t.Errorf("another's message took %v", took)
		}
		if i%10 == 0 {
			r.say(fmt.Sprint("n-", i), fmt.Sprint("n-", i), "hello")
		}
		time.Sleep(time.Second)
		if n := int(r.journal.PendingCount()); n != sick {
			t.Fatalf("%d wait, want the sick ones alone", n)
		}
		time.Sleep(between)
	}
	// Each asks four times within a call, and once a minute or a little more after a while.
	if n := int(asked.Load()); n > sick*4*(hours*75+40) {
		t.Errorf("LivePerson was asked %d times", n)
	}
	r.wire.fail(nil)
	most := 75 * time.Second
	if sick > 1 {
		most = 20 * time.Second
	}
	if took := r.drained(time.Hour); took > most {
		t.Errorf("they got through after %v", took)
	}
	if dead, _ := r.journal.DeadLetters(t.Context(), 0, 10); len(dead) > 0 || count(r.allConsumerTexts(), "from a sick one") != sick {
		t.Errorf("%d dead letters, %d arrived", len(dead), count(r.allConsumerTexts(), "from a sick one"))
	}
	r.shutDown()
	r.sim.Close()
}

// What the identity provider refuses of a consumer for certain is the end of the message:
// it would be refused for ever, and the channel is told.
func TestConsumerWhoIsRefusedForCertainIsToldAtOnce(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		r.wire.fail(tokensOf("", says(400, `{"errorCode":40001,"message":"mandatory claim is missing"}`)))
		r.say("t-1", "e-1", "hello")
		time.Sleep(10 * time.Second)
		if got := r.channel.got(); count(got, "receipt:failed:[e-1]") != 1 || r.journal.PendingCount() > 0 {
			t.Errorf("the channel was told %v, %d pending", got, r.journal.PendingCount())
		}
	})
}

// A consumer who gets no token waits as long as anything may, and then the channel is told.
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
