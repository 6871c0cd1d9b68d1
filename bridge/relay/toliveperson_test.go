package relay_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
	"lpbridge/bridge/relay/lane"
	"lpbridge/connector/lpsim"
)

func TestFirstMessageOpensAConversation(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.say("t-1", "e-1", "hello")
		synctest.Wait()
		r.say("t-1", "e-2", "are you there?")
		synctest.Wait()
		c := r.conversation()
		if diff := cmp.Diff([]string{"hello", "are you there?"}, consumerTexts(c)); diff != "" {
			t.Errorf("transcript (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"0.0 CONVERSATION", "0.0 ContentEvent", "0.0 ContentEvent"}, r.wire.timeline()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		if want := ext("user-of-t-1"); c.ExtConsumerID != want {
			t.Errorf("ext_consumer_id %q, want %q", c.ExtConsumerID, want)
		}
	})
}

// TestConsumersToldApartHaveConversationsOfTheirOwn has a channel learn that two
// threads, which had one consumer, are of two people.
func TestConsumersToldApartHaveConversationsOfTheirOwn(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		say := func(thread, consumer, id string) {
			e := event(bridge.KindMessage, thread, id)
			e.Consumer.ID, e.Message = bridge.ConsumerID(consumer), &bridge.Message{Text: id}
			r.accept(e)
			synctest.Wait()
		}
		say("t-1", "shared", "e-1")
		r.accept(event(bridge.KindClose, "t-1", "e-2"))
		time.Sleep(time.Minute)
		say("t-1", "first", "e-3")
		say("t-2", "second", "e-4")
		say("t-1", "first", "e-5")
		time.Sleep(time.Minute)
		texts := map[string][]string{}
		for _, c := range r.sim.Conversations() {
			whole, _ := r.sim.Conversation(c.ConversationID)
			texts[c.ExtConsumerID] = append(texts[c.ExtConsumerID], consumerTexts(whole)...)
		}
		want := map[string][]string{
			ext("shared"): {"e-1"}, ext("first"): {"e-3", "e-5"}, ext("second"): {"e-4"},
		}
		if diff := cmp.Diff(want, texts); diff != "" {
			t.Errorf("who said what (-want +got):\n%s", diff)
		}
	})
}

// consumerKey is the key of the rig's installation.
var consumerKey = []byte("a key of the test")

// ext is the ext_consumer_id of a consumer of the rig's channel.
func ext(consumer bridge.ConsumerID) string {
	return bridge.ExtConsumerID(consumerKey, "test", consumer)
}

func TestTwoFirstMessagesAtOnceOpenOneConversation(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.sim.SetFaults(lpsim.Faults{LatencyMinMs: 50, LatencyMaxMs: 50})
		for i := range 8 {
			go r.say("t-1", fmt.Sprint("e-", i), fmt.Sprint("text ", i))
		}
		time.Sleep(5 * time.Second)
		if n := len(r.sim.Conversations()); n != 1 {
			t.Errorf("%d conversations, want 1", n)
		}
		if n := len(consumerTexts(r.conversation())); n != 8 {
			t.Errorf("%d messages, want 8", n)
		}
	})
}

func TestSameEventTwiceArrivesOnce(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		e := event(bridge.KindMessage, "t-1", "e-1")
		e.Message = &bridge.Message{Text: "hello"}
		if done := r.accept(e, e); done != (bridge.Accepted{Events: 1, Duplicates: 1}) {
			t.Errorf("accepted %+v, want one event and one duplicate", done)
		}
		if done := r.accept(e); done != (bridge.Accepted{Duplicates: 1}) {
			t.Errorf("accepted %+v, want one duplicate", done)
		}
		synctest.Wait()
		if diff := cmp.Diff([]string{"hello"}, consumerTexts(r.conversation())); diff != "" {
			t.Errorf("transcript (-want +got):\n%s", diff)
		}
	})
}

// A channel that repeats a long text repeats none of its parts.
func TestRepeatedLongTextArrivesOnce(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		long := strings.Repeat("all work and no play ", 1000)
		for range 3 {
			r.say("t-1", "e-1", long)
			time.Sleep(10 * time.Second)
		}
		if whole := strings.Join(r.allConsumerTexts(), ""); len(whole) > len(long) || len(whole) < len(long)-100 {
			t.Errorf("%d bytes arrived of %d", len(whole), len(long))
		}
	})
}

func TestLongTextIsSplitAndArrivesWhole(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		text := strings.Repeat("sieben Zwerge & <viele> 😉 Wörter ", 400)
		r.say("t-1", "e-1", text)
		time.Sleep(time.Second)
		parts := consumerTexts(r.conversation())
		if len(parts) < 2 {
			t.Fatalf("%d parts, want several", len(parts))
		}
		if got := strings.Join(parts, ""); got != text {
			t.Errorf("the parts do not add up: %d bytes of %d", len(got), len(text))
		}
		if done := r.accept(func() bridge.Event {
			e := event(bridge.KindMessage, "t-1", "e-1")
			e.Message = &bridge.Message{Text: text}
			return e
		}()); done.Duplicates != 1 || done.Events != 0 {
			t.Errorf("accepted %+v, want a duplicate", done)
		}
	})
}

func TestAttachmentsArriveAsText(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		e := event(bridge.KindMessage, "t-1", "e-1")
		e.Message = &bridge.Message{Text: "look", Attachments: []bridge.Attachment{{URL: "https://files.example/a.png", Name: "a.png"}}}
		r.accept(e)
		synctest.Wait()
		if diff := cmp.Diff([]string{"look", "a.png https://files.example/a.png"}, consumerTexts(r.conversation())); diff != "" {
			t.Errorf("transcript (-want +got):\n%s", diff)
		}
	})
}

func TestClosedConversationIsReopened(t *testing.T) {
	for name, notified := range map[string]bool{"told by a notification": true, "found out by sending": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
				if !notified {
					r.sim.SetWebhooks(lpsim.Webhooks{})
				}
				r.say("t-1", "e-1", "one")
				synctest.Wait()
				first := r.conversation().ConversationID
				if err := r.sim.AgentClose(first, lpsim.AgentClose{}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				r.say("t-1", "e-2", "two")
				time.Sleep(time.Second)
				c := r.conversation()
				if c.ConversationID == first {
					t.Fatal("no new conversation")
				}
				if diff := cmp.Diff([]string{"two"}, consumerTexts(c)); diff != "" {
					t.Errorf("new transcript (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestLostAnswerIsSettledByTheEcho(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.say("t-1", "e-0", "hello")
		synctest.Wait()
		r.loseAnswer("precious")
		r.say("t-1", "e-1", "precious")
		r.say("t-1", "e-2", "after")
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]string{"hello", "precious", "after"}, consumerTexts(r.conversation())); diff != "" {
			t.Errorf("transcript (-want +got):\n%s", diff)
		}
	})
}

func TestLostRequestIsSentAgainAfterTheWait(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.say("t-1", "e-0", "hello")
		time.Sleep(time.Second)
		r.wire.restartClock()
		r.wire.fail(about("precious", inTurn(isLost)))
		r.say("t-1", "e-1", "precious")
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]string{"hello", "precious"}, consumerTexts(r.conversation())); diff != "" {
			t.Errorf("transcript (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff([]string{"0.0 ContentEvent", "15.0 ACTIVE", "15.0 ContentEvent"}, r.wire.timeline()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

func TestSameTextTwiceIsNotMistakenForAnEcho(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		// The echo of the first "ok" is late: it comes while the second waits for
		// its own.
		r.sim.SetFaults(lpsim.Faults{WebhookDelayRate: 1, WebhookDelayMinMs: 3000, WebhookDelayMaxMs: 3000})
		r.say("t-1", "e-1", "ok")
		synctest.Wait()
		r.wire.fail(about(`"ok"`, inTurn(isLost)))
		r.say("t-1", "e-2", "ok")
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]string{"ok", "ok"}, consumerTexts(r.conversation())); diff != "" {
			t.Errorf("transcript (-want +got):\n%s", diff)
		}
	})
}

func TestWithoutNotificationsALostAnswerMayArriveTwice(t *testing.T) {
	inBubble(t, rigOptions{notifications: relay.NotificationsOff}, func(t *testing.T, r *rig) {
		r.sim.SetWebhooks(lpsim.Webhooks{})
		r.loseAnswer("precious")
		r.say("t-1", "e-1", "precious")
		time.Sleep(time.Minute)
		if diff := cmp.Diff([]string{"precious", "precious"}, consumerTexts(r.conversation())); diff != "" {
			t.Errorf("transcript (-want +got):\n%s", diff)
		}
	})
}

// answer makes an HTTP answer.
func answer(status int, body string, header ...string) *http.Response {
	h := http.Header{}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body))}
}

// refuseTexts answers SENDs of messages as the function says.
func (r *rig) refuseTexts(with func(n int) *http.Response) {
	var n atomic.Int64
	r.wire.fail(about(`"ContentEvent"`, func(*http.Request, string) (*http.Response, error) {
		return with(int(n.Add(1))), nil
	}))
}

func TestServerErrorsAreRetriedOnceNoEchoCame(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.say("t-1", "e-0", "hello")
		time.Sleep(time.Second)
		r.wire.restartClock()
		r.refuseTexts(func(n int) *http.Response {
			if n <= 8 {
				return answer(503, "")
			}
			return nil
		})
		r.say("t-1", "e-1", "patience")
		time.Sleep(10 * time.Minute)
		at := r.wire.sent("ContentEvent")
		if len(at) != 9 {
			t.Fatalf("calls %v, want 9", at)
		}
		// Each waits the 15 seconds in which an echo may show that it arrived.
		var before float64
		for i, call := range at {
			s := call.Seconds()
			if i > 0 && (s-before < 15 || s-before > 15+lane.ProbeBound.Seconds()) {
				t.Errorf("call %d at %.1f s, the one before at %.1f s", i, s, before)
			}
			before = s
		}
		if diff := cmp.Diff([]string{"hello", "patience"}, consumerTexts(r.conversation())); diff != "" {
			t.Errorf("transcript (-want +got):\n%s", diff)
		}
	})
}

func TestThrottlingHoldsTheWholeAccount(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.say("t-1", "e-0", "hello")
		r.say("t-2", "e-1", "hello")
		time.Sleep(time.Second)
		r.wire.restartClock()
		r.refuseTexts(func(n int) *http.Response {
			if n == 1 {
				return answer(429, "", "Retry-After", "7")
			}
			return nil
		})
		r.say("t-1", "e-2", "one")
		synctest.Wait()
		r.say("t-2", "e-3", "two")
		time.Sleep(time.Minute)
		want := []string{"0.0 ContentEvent", "7.0 ContentEvent", "7.0 ContentEvent"}
		if diff := cmp.Diff(want, r.wire.timeline()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

func TestInvalidMessageBecomesADeadLetterAndTheLaneGoesOn(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.say("t-1", "e-0", "hello")
		time.Sleep(time.Second)
		// Once more into the conversation that LivePerson says is open.
		r.refuseTexts(func(n int) *http.Response {
			if n <= 2 {
				return answer(400, `{"code":"BAD_REQUEST","body":{"msg":"Bad Request"},"reqId":"1"}`)
			}
			return nil
		})
		r.say("t-1", "e-1", "poison")
		r.say("t-1", "e-2", "fine")
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{"hello", "fine"}, consumerTexts(r.conversation())); diff != "" {
			t.Errorf("transcript (-want +got):\n%s", diff)
		}
		dead, err := r.journal.DeadLetters(t.Context(), 0, 10)
		if err != nil || len(dead) != 1 || dead[0].ID != "e-1" || dead[0].Last != bridge.Invalid {
			t.Fatalf("dead letters %+v, %v; want e-1 as invalid", dead, err)
		}
		if ok, err := r.journal.Revive(t.Context(), dead[0].Seq); !ok || err != nil {
			t.Fatalf("revive: %v, %v", ok, err)
		}
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{"hello", "fine", "poison"}, consumerTexts(r.conversation())); diff != "" {
			t.Errorf("transcript after the replay (-want +got):\n%s", diff)
		}
	})
}

func TestOneThreadsTroubleDoesNotHoldAnother(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.failing(500, "stuck")
		r.say("t-1", "e-1", "stuck")
		r.say("t-2", "e-2", "moving")
		time.Sleep(time.Second)
		var arrived []string
		for _, c := range r.sim.Conversations() {
			full, _ := r.sim.Conversation(c.ConversationID)
			arrived = append(arrived, consumerTexts(full)...)
		}
		if diff := cmp.Diff([]string{"moving"}, arrived); diff != "" {
			t.Errorf("transcripts (-want +got):\n%s", diff)
		}
	})
}

func TestUndeliverableForTooLongBecomesADeadLetter(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.refuseTexts(func(int) *http.Response { return answer(500, "") })
		r.say("t-1", "e-1", "never")
		time.Sleep(25 * time.Hour)
		dead, err := r.journal.DeadLetters(t.Context(), 0, 10)
		if err != nil || len(dead) != 1 || dead[0].Last != bridge.Unknown {
			t.Fatalf("dead letters %+v, %v; want one", dead, err)
		}
	})
}

func TestConsumerInTwoThreadsKeepsOneConversation(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		in := func(thread, id, text string) {
			e := event(bridge.KindMessage, thread, id)
			e.Consumer.ID = "same"
			e.Message = &bridge.Message{Text: text}
			r.accept(e)
			time.Sleep(time.Second)
		}
		in("t-1", "e-1", "from one")
		in("t-2", "e-2", "from two")
		id := r.conversation().ConversationID
		if n := len(r.sim.Conversations()); n != 1 {
			t.Fatalf("%d conversations, want 1", n)
		}
		if _, err := r.sim.AgentMessage(id, lpsim.AgentMessage{Text: "to two"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		in("t-1", "e-3", "again from one")
		if _, err := r.sim.AgentMessage(id, lpsim.AgentMessage{Text: "to one"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{"from one", "from two", "again from one"}, consumerTexts(r.conversation())); diff != "" {
			t.Errorf("transcript (-want +got):\n%s", diff)
		}
		want := map[string]bridge.ThreadID{"to two": "t-2", "to one": "t-1"}
		for _, e := range r.channel.events() {
			if e.Kind == bridge.KindMessage && e.Thread != want[e.Message.Text] {
				t.Errorf("the message %q went to %s", e.Message.Text, e.Thread)
			}
		}
	})
}

func TestLostConversationIdIsFoundAgain(t *testing.T) {
	for name, notified := range map[string]bool{"by the notification": true, "by the engagement": false} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
				if !notified {
					r.sim.SetWebhooks(lpsim.Webhooks{})
				}
				r.loseAnswer("ConsumerRequestConversation")
				r.say("t-1", "e-1", "hello")
				time.Sleep(time.Minute)
				if n := len(r.sim.Conversations()); n != 1 {
					t.Errorf("%d conversations, want 1", n)
				}
				if diff := cmp.Diff([]string{"hello"}, consumerTexts(r.conversation())); diff != "" {
					t.Errorf("transcript (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestAcceptRefusesIncompleteEvents(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		e := event(bridge.KindMessage, "t-1", "e-1")
		_, err := r.core.Accept(t.Context(), []bridge.Event{e})
		if f, ok := errors.AsType[*bridge.FieldError](err); !ok || f.Field != "message" {
			t.Errorf("error %v, want one that names message", err)
		}
		e.Message = &bridge.Message{Text: "x"}
		e.Position = &bridge.Position{Dialog: "d"}
		_, err = r.core.Accept(t.Context(), []bridge.Event{e})
		if f, ok := errors.AsType[*bridge.FieldError](err); !ok || f.Field != "liveperson" {
			t.Errorf("error %v, want one that names liveperson", err)
		}
	})
}
