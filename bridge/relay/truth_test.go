package relay_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

func TestContentWithoutAFormIsToldToBothSides(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		for i, event := range []string{
			`{"type":"ContentEvent","message":{"formId":"1","invitationId":"2","title":"Your card"},"contentType":"forms/secure-invitation"}`,
			`{"type":"ContentEvent","message":{"colour":"red"},"contentType":"hosted/hologram"}`,
			`{"type":"RichContentEvent","content":"{\"type\":\"vertical\",\"elements\":["}`,
			`{"type":"ContentEvent","message":{"caption":"a file without a path"},"contentType":"hosted/file"}`,
			`{"type":"RichContentEvent","content":{"type":"vertical","elements":[]}}`,
			`{"type":"RichContentEvent","content":{"type":"vertical","elements":[{"type":"hologram","beam":7}]}}`,
			`{"type":"RichContentEvent","content":{}}`,
		} {
			body := changed(fmt.Sprintf(`{"sequence":%d,"originatorId":"a-1","originatorMetadata":{"id":"a-1","role":"ASSIGNED_AGENT"},"serverTimestamp":1528371199686,"event":%s,"conversationId":%q,"dialogId":%q,"messageAudience":"ALL"}`, 20+i, event, id, id))
			if s := r.notify(body, nil); s != 200 {
				t.Fatal("status", s)
			}
		}
		time.Sleep(time.Minute)
		if got := r.channel.texts(); len(got) != 7 || slices.Contains(got, "") {
			t.Errorf("of seven messages without a form the consumer reads %q", got)
		}
		if seen := receiptsSeen(r); count(seen, "NACK") == 0 || count(seen, "ACCEPT") != 0 {
			t.Errorf("the agent saw %v", seen)
		}
	})
}

func TestAgentIsToldWhenTheChannelTakesNoMessages(t *testing.T) {
	deaf := newChannel()
	deaf.about.Delivers = []bridge.Kind{bridge.KindReceipt}
	inBubble(t, rigOptions{channel: deaf}, func(t *testing.T, r *rig) {
		r.agentSays(r.begin("t-1"), "is anybody there?")
		time.Sleep(time.Minute)
		if seen := receiptsSeen(r); !slices.Contains(seen, "NACK") {
			t.Errorf("the agent saw %v", seen)
		}
	})
}

func TestChannelIsToldOfAMessageThatWillNotArrive(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		r.wire.fail(about("poison", says(400, `{"code":"BAD_REQUEST","body":{"msg":"Bad Request, message is not supported"},"reqId":"1"}`)))
		r.say("t-1", "e-1", "poison")
		r.say("t-1", "e-2", strings.Repeat("poison ", 2000))
		time.Sleep(time.Minute)
		for _, want := range []string{"receipt:failed:[e-1]", "receipt:failed:[e-2]"} {
			if got := r.channel.got(); count(got, want) != 1 {
				t.Errorf("the channel was told %v, want %s once", got, want)
			}
		}
	})
}

func TestConversationLivePersonForgotIsReplaced(t *testing.T) {
	for _, answer := range []string{"bad_request", "unauthorized", "not_found"} {
		t.Run(answer, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, rigOptions{quiet: true})
				r.begin("t-1")
				r.stop()
				if err := <-r.stopped; err != nil {
					t.Error(err)
				}
				r.close()
				if err := r.journal.Close(); err != nil {
					t.Error(err)
				}
				// LivePerson was set up anew and has none of it.
				former := r.sim
				r = newRig(t, rigOptions{journal: r.journal.Reopen(), quiet: true})
				r.sim.SetFaults(lpsim.Faults{UnknownConversation: answer})
				for i := range 5 {
					r.say("t-1", fmt.Sprint("n-", i), fmt.Sprint("new ", i))
					time.Sleep(time.Minute)
				}
				dead, _ := r.journal.DeadLetters(t.Context(), 0, 100)
				if got := r.allConsumerTexts(); !slices.Equal(got, []string{"new 0", "new 1", "new 2", "new 3", "new 4"}) {
					t.Errorf("LivePerson has %q, %d dead letters, %d pending", got, len(dead), r.journal.PendingCount())
				}
				if n := len(r.sim.Conversations()); n != 1 {
					t.Errorf("%d conversations were opened", n)
				}
				r.shutDown()
				r.sim.Close()
				former.Close()
			})
		})
	}
}

// A message that the second conversation refuses as well is what is wrong: no third
// one is opened for it, and the message behind it goes on.
func TestMessageThatEveryConversationRefusesIsGivenUp(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		refusal := says(400, `{"code":"BAD_REQUEST","body":{"msg":"Bad Request"},"reqId":"1"}`)
		r.wire.fail(about("cursed", inTurn(slices.Repeat([]fault{refusal}, 10)...)))
		r.say("t-1", "e-1", "cursed")
		r.say("t-1", "e-2", "and another")
		time.Sleep(time.Minute)
		dead, err := r.journal.DeadLetters(t.Context(), 0, 10)
		if err != nil || len(dead) != 1 || dead[0].ID != "e-1" {
			t.Errorf("dead letters %v, %v; want e-1", dead, err)
		}
		if got := r.channel.got(); count(got, "receipt:failed:[e-1]") != 1 {
			t.Errorf("the channel was told %v", got)
		}
		if texts := r.allConsumerTexts(); count(texts, "and another") != 1 || count(texts, "cursed") != 0 || len(r.sim.Conversations()) > 2 {
			t.Errorf("LivePerson has %q in %d conversations", texts, len(r.sim.Conversations()))
		}
	})
}

func TestConsumerWhoseIdChangedIsNotLockedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{quiet: true})
		r.begin("t-1")
		// The app was installed anew: the same consumer has another id.
		r.sim.SetFaults(lpsim.Faults{IdentityIncludesApp: true})
		r = r.restart(rigOptions{quiet: true})
		for i := range 3 {
			r.say("t-1", fmt.Sprint("n-", i), fmt.Sprint("new ", i))
			time.Sleep(time.Minute)
		}
		dead, _ := r.journal.DeadLetters(t.Context(), 0, 100)
		if got := r.allConsumerTexts(); len(got) != 4 {
			t.Errorf("LivePerson has %q, %d dead letters, %d pending", got, len(dead), r.journal.PendingCount())
		}
		r.shutDown()
		r.sim.Close()
	})
}

func TestPassingRefusalsOfSomethingInBetweenLoseNothing(t *testing.T) {
	for _, status := range []int{408, 425, 409, 403, 404, 407, 421, 423, 451} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
				r.begin("t-1")
				r.wire.fail(says(status, "<html>Access Denied. Reference #18.2d</html>"))
				for i := range 20 {
					r.say("t-1", fmt.Sprint("e-", i), fmt.Sprint("text ", i))
				}
				time.Sleep(2 * time.Second)
				r.wire.fail(nil)
				time.Sleep(time.Hour)
				if dead, _ := r.journal.DeadLetters(t.Context(), 0, 100); len(dead) > 0 {
					t.Errorf("two seconds of %d: %d of 20 messages are dead letters", status, len(dead))
				}
				if got := r.allConsumerTexts(); len(got) != 21 {
					t.Errorf("LivePerson has %d texts, want 21", len(got))
				}
			})
		})
	}
}

func TestErrorAfterApplyingSendsNothingTwice(t *testing.T) {
	for name, refusal := range map[string]fault{
		"server error":         answers(504),
		"page of a proxy, 403": says(403, "<html>Access Denied. Reference #18.2d</html>"),
		"page of a proxy, 451": says(451, "<html>"),
		"sent elsewhere":       says(302, "<html>", "Location", "https://signin.example/"),
		"sent elsewhere, 307":  answers(307, "Location", "https://signin.example/"),
		"not modified":         answers(304),
		"timeout of a proxy":   says(408, "<html>"),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, rigOptions{echoWait: 35 * time.Second}, func(t *testing.T, r *rig) {
				r.begin("t-1")
				r.sim.SetFaults(lpsim.Faults{WebhookDelayRate: 1, WebhookDelayMinMs: 10_000, WebhookDelayMaxMs: 10_000})
				r.wire.fail(about("precious", inTurn(r.appliedThen(refusal))))
				r.say("t-1", "e-1", "precious")
				time.Sleep(5 * time.Minute)
				if n := count(r.allConsumerTexts(), "precious"); n != 1 {
					t.Errorf("LivePerson has the message %d times", n)
				}
			})
		})
	}
}

// TestMessageWaitsWhereLivePersonContradictsItself: it says that a conversation is
// open, and that it is closed to who writes there.
func TestMessageWaitsWhereLivePersonContradictsItself(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		closed := says(400, `{"code":"BAD_REQUEST","body":{"msg":"Bad Request, Conversation is close"},"reqId":"1"}`)
		r.wire.fail(about("precious", inTurn(closed, closed, closed)))
		r.say("t-1", "e-1", "precious")
		time.Sleep(10 * time.Minute)
		if n := count(r.allConsumerTexts(), "precious"); n != 1 {
			t.Errorf("LivePerson has the message %d times", n)
		}
	})
}

func TestThrottlesDoNotEndASurvey(t *testing.T) {
	inBubble(t, rigOptions{survey: true, notifications: relay.NotificationsOff}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		r.agentSays(id, "join first")
		time.Sleep(time.Second)
		r.sim.SetWebhooks(lpsim.Webhooks{})
		r.sim.SetFaults(lpsim.Faults{NewDuringSurvey: "reject"})
		if err := r.sim.AgentClose(id, lpsim.AgentClose{Survey: new(true)}); err != nil {
			t.Fatal(err)
		}
		r.wire.restartClock()
		r.wire.fail(about("ContentEvent", inTurn(answers(429), answers(429))))
		r.say("t-1", "e-1", "one more thing")
		time.Sleep(4 * time.Second)
		for _, call := range r.wire.timeline() {
			if strings.HasSuffix(call, " CLOSE") {
				t.Errorf("a survey was ended after two 429s: %v", r.wire.timeline())
			}
		}
	})
}

func TestRatingGoesToTheConversationItRates(t *testing.T) {
	rate := func(r *rig, id, conversation string) {
		e := event(bridge.KindRating, "t-1", id)
		e.Rating = &bridge.Rating{Score: 4, Conversation: conversation}
		r.accept(e)
		time.Sleep(time.Second)
	}
	rated := func(r *rig) (ids []string) {
		for _, c := range r.sim.Conversations() {
			if whole, _ := r.sim.Conversation(c.ConversationID); whole.CSAT != nil {
				ids = append(ids, c.ConversationID)
			}
		}
		return ids
	}
	for _, tc := range []struct {
		name  string
		named int
		want  int
	}{{"the one that ended last", -1, 1}, {"the one it names", 0, 0}} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
				var all []string
				for i := range 3 {
					r.say("t-1", fmt.Sprint("e-", i), "hello")
					time.Sleep(time.Second)
					all = append(all, r.conversation().ConversationID)
					if i < 2 {
						if err := r.sim.AgentClose(all[i], lpsim.AgentClose{}); err != nil {
							t.Fatal(err)
						}
						time.Sleep(time.Second)
					}
				}
				named := ""
				if tc.named >= 0 {
					named = all[tc.named]
				}
				rate(r, "rating", named)
				if got := rated(r); !slices.Equal(got, []string{all[tc.want]}) {
					t.Errorf("rated is %v, want conversation %d of %v", got, tc.want, all)
				}
			})
		})
	}
}

func TestRatingOfAnotherThreadsConversationIsRefused(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		other := r.begin("t-2")
		e := event(bridge.KindRating, "t-1", "rating")
		e.Rating = &bridge.Rating{Score: 1, Conversation: other}
		if _, err := r.core.Accept(t.Context(), []bridge.Event{e}); err == nil {
			t.Error("a rating of another thread's conversation was accepted")
		}
	})
}

func TestNotificationNobodyCanReadIsSetAside(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		broken := words(id, id, 20, "never to be read")
		broken = broken[:len(broken)/2]
		for range 2 {
			if status := r.notify(broken, nil); status != 200 {
				t.Errorf("status %d", status)
			}
		}
		kept, err := r.journal.RecordsOf("").List(t.Context(), relay.UnreadableRecords, "", bridge.Page{})
		if err != nil || len(kept) != 1 || string(kept[0].Data) != broken {
			t.Errorf("%d bodies are kept, %v; want the one", len(kept), err)
		}
		r.notify(changed(`7`, strings.TrimSuffix(strings.TrimPrefix(words(id, id, 21, "readable"), changed()[:len(changed())-3]), "]}}")), nil)
		time.Sleep(time.Minute)
		r.wantMessage("readable")
	})
}
