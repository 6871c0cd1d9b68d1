package relay_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

// words is a notification of an agent's words at a position.
func words(conversation, dialog string, sequence int, text string) string {
	return changed(fmt.Sprintf(`{"sequence":%d,"originatorId":"a-1","originatorMetadata":{"id":"a-1","role":"ASSIGNED_AGENT"},"serverTimestamp":1528371199686,`+
		`"event":{"type":"ContentEvent","message":%q,"contentType":"text/plain"},"conversationId":%q,"dialogId":%q,"messageAudience":"ALL"}`,
		sequence, text, conversation, dialog))
}

// changed is a notification of messaging changes.
func changed(changes ...string) string {
	return `{"kind":"notification","type":"ms.MessagingEventNotification","body":{"changes":[` + strings.Join(changes, ",") + `]}}`
}

// news is a notification of a conversation that is open.
func news(id, consumer string, at time.Time) string {
	return fmt.Sprintf(`{"kind":"notification","type":"cqm.ExConversationChangeNotification","body":{"changes":[{"type":"UPSERT","result":{"convId":%[1]q,"conversationDetails":{`+
		`"convId":%[1]q,"state":"OPEN","stage":"OPEN","participants":[{"id":%[2]q,"role":"CONSUMER"}],"metaDataLastUpdateTs":%[3]d,"startTs":%[3]d,`+
		`"dialogs":[{"dialogId":%[1]q,"dialogType":"MAIN","state":"OPEN","channelType":"MESSAGING","participantsDetails":[{"id":%[2]q,"role":"CONSUMER","state":"ACTIVE"}]}]}}}]}}`,
		id, consumer, at.UnixMilli())
}

// sayAs accepts a message of a consumer who may have several threads.
func (r *rig) sayAs(thread, consumer, id, text string) {
	r.t.Helper()
	r.accept(bridge.Event{
		ID: bridge.EventID(id), Kind: bridge.KindMessage, Thread: bridge.ThreadID(thread),
		Consumer: &bridge.Consumer{ID: bridge.ConsumerID(consumer)}, Message: &bridge.Message{Text: text},
	})
}

// consumerID is LivePerson's id of the newest conversation's consumer.
func (r *rig) consumerID() string {
	r.t.Helper()
	for _, e := range r.conversation().Transcript {
		if e.Role == "CONSUMER" {
			return e.OriginatorID
		}
	}
	r.t.Fatal("no consumer wrote")
	return ""
}

// restart stops the bridge in order and starts it anew.
func (r *rig) restart(o rigOptions) *rig {
	r.t.Helper()
	r.stop()
	if err := <-r.stopped; err != nil {
		r.t.Error(err)
	}
	r.close()
	if err := r.journal.Close(); err != nil {
		r.t.Error(err)
	}
	o.journal, o.sim, o.door, o.channel = r.journal.Reopen(), r.sim, r.door, r.channel
	return newRig(r.t, o)
}

// wantMessage reports whether the channel got a text.
func (r *rig) wantMessage(text string) {
	r.t.Helper()
	if got := r.channel.got(); !slices.Contains(got, "message:"+text) {
		r.t.Errorf("the channel never got %q: %v", text, got)
	}
}

func TestLateWordsOfAnyEarlierConversationArrive(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		var ids []string
		for i := range 4 {
			r.say("t-1", fmt.Sprint("e-", i), "hello")
			time.Sleep(time.Second)
			ids = append(ids, r.conversation().ConversationID)
			if i < 3 {
				if err := r.sim.AgentClose(ids[i], lpsim.AgentClose{}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
			}
		}
		for i, id := range ids {
			r.notify(words(id, id, 40, fmt.Sprint("late word ", i)), nil)
			time.Sleep(time.Second)
			r.wantMessage(fmt.Sprint("late word ", i))
		}
	})
}

func TestLastWordAfterTheNextConversationsNewsArrives(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		old := r.begin("t-1")
		consumer := r.consumerID()
		if s := r.notify(news("new-1", consumer, time.Now().Add(5*time.Millisecond)), nil); s != 200 {
			t.Fatal("status", s)
		}
		time.Sleep(time.Second)
		r.notify(words(old, old, 40, "last word"), nil)
		time.Sleep(time.Second)
		r.wantMessage("last word")
	})
}

func TestReceiptsFollowTheirConversationIntoAnotherThread(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.sayAs("t-a", "u-1", "a-0", "hello")
		time.Sleep(time.Second)
		id := r.conversation().ConversationID
		r.channel.refuseWith(func(e *bridge.Event) error {
			if e.Kind == bridge.KindMessage {
				return &bridge.DeliveryError{Outcome: bridge.Retry, Err: errors.New("down")}
			}
			return nil
		})
		r.agentSays(id, "answer")
		time.Sleep(500 * time.Millisecond)
		r.sayAs("t-b", "u-1", "b-0", "from the other thread")
		time.Sleep(time.Second)
		r.channel.refuseWith(nil)
		time.Sleep(time.Minute)
		r.wantMessage("answer")
		if seen := receiptsSeen(r); !slices.Contains(seen, "ACCEPT") {
			t.Errorf("the channel has the answer, the agent saw %v", seen)
		}
	})
}

// offering has an agent offer one reply, and returns the id of that message.
func (r *rig) offering(conversation string) bridge.EventID {
	r.t.Helper()
	_, err := r.sim.AgentMessage(conversation, lpsim.AgentMessage{Text: "choose", QuickReplies: []byte(
		`{"type":"quickReplies","itemsPerRow":8,"replies":[{"type":"button","title":"Yes","click":{"actions":[{"type":"publishText","text":"yes please"}],"metadata":[{"type":"ExternalId","id":"Y"}]}}]}`)})
	if err != nil {
		r.t.Fatal(err)
	}
	time.Sleep(time.Second)
	ids := r.channel.messages()
	return ids[len(ids)-1]
}

func TestClickOnAnEarlierConversationsOfferSaysTheWordsOnly(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		old := r.begin("t-1")
		offer := r.offering(old)
		if err := r.sim.AgentClose(old, lpsim.AgentClose{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.say("t-1", "e-1", "again")
		time.Sleep(time.Second)
		r.wire.restartClock()
		e := event(bridge.KindClick, "t-1", "click-1")
		e.Click = &bridge.Click{MessageID: offer, ReplyID: "0"}
		r.accept(e)
		time.Sleep(time.Minute)
		if calls := r.wire.timeline(); !slices.Equal(calls, []string{"0.0 ContentEvent"}) {
			t.Errorf("calls %v, want the words alone", calls)
		}
		if n := count(consumerTexts(r.conversation()), "yes please"); n != 1 {
			t.Errorf("the words arrived %d times in the present conversation", n)
		}
		if dead, _ := r.journal.DeadLetters(t.Context(), 0, 10); len(dead) > 0 {
			t.Errorf("%d dead letters", len(dead))
		}
	})
}

// cutJournal loses its power at the next change of rows.
type cutJournal struct {
	bridge.Journal
	armed atomic.Bool
	cut   func()
}

func (j *cutJournal) Save(ctx context.Context, s bridge.Standing) error {
	if len(s.Threads) > 1 && j.armed.Swap(false) {
		j.cut()
	}
	return j.Journal.Save(ctx, s)
}

func TestCrashInATakeOverLeavesOneHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cut *cutJournal
		r := newRig(t, rigOptions{adjust: func(o *relay.Options) {
			cut = &cutJournal{Journal: o.Journal, cut: func() { o.Journal.(*bridgetest.Journal).Break(errors.New("power cut")) }}
			o.Journal = cut
		}})
		r.sayAs("t-a", "u-1", "a-0", "hello")
		time.Sleep(time.Second)
		cut.armed.Store(true)
		r.sayAs("t-b", "u-1", "b-0", "from the other thread")
		time.Sleep(time.Second)
		j := r.crash()
		r = newRig(t, rigOptions{journal: j, sim: r.sim, door: r.door, channel: r.channel})
		time.Sleep(2 * time.Minute)
		id := r.conversation().ConversationID
		held, holders := 0, []string{}
		for _, thread := range []bridge.ThreadID{"t-a", "t-b"} {
			row, err := r.journal.Thread(t.Context(), bridge.ThreadKey{Channel: "test", Thread: thread})
			if err != nil {
				t.Fatal(err)
			}
			if row.Conversation == id {
				held++
				holders = append(holders, string(thread))
			}
		}
		if held != 1 {
			t.Errorf("the conversation is held by %v", holders)
		}
		r.sayAs("t-a", "u-1", "a-1", "back in the first")
		time.Sleep(time.Minute)
		r.agentSays(r.conversation().ConversationID, "where do you read this?")
		time.Sleep(time.Minute)
		for _, e := range r.channel.events() {
			if e.Kind == bridge.KindMessage && e.Message.Text == "where do you read this?" && e.Thread != "t-a" {
				t.Errorf("the consumer wrote last in t-a, the answer went to %s", e.Thread)
			}
		}
		r.shutDown()
		r.sim.Close()
	})
}

func TestThirdThreadFindsTheConversationAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.sayAs("t-a", "u-1", "a-0", "hello")
		time.Sleep(time.Second)
		r.sayAs("t-b", "u-1", "b-0", "second")
		time.Sleep(time.Second)
		r = r.restart(rigOptions{})
		r.sim.SetFaults(lpsim.Faults{Engagement: "none"})
		r.sayAs("t-c", "u-1", "c-0", "third")
		time.Sleep(time.Minute)
		if n := count(r.allConsumerTexts(), "third"); n != 1 {
			t.Errorf("LivePerson has the third thread's message %d times; pending %d", n, r.journal.PendingCount())
		}
		r.shutDown()
		r.sim.Close()
	})
}

func TestSameWordsInTwoThreadsHoldUpNobodyElse(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.sayAs("t-c", "u-2", "c-0", "hello")
		time.Sleep(time.Second)
		other := r.conversation().ConversationID
		r.sayAs("t-a", "u-1", "a-0", "hello")
		time.Sleep(time.Second)
		r.wire.fail(func(req *http.Request, body string) (*http.Response, error) {
			if !strings.Contains(body, `"ok"`) {
				return nil, nil
			}
			time.Sleep(200 * time.Millisecond)
			return r.answeredAfter(8*time.Second)(req, body)
		})
		r.sayAs("t-a", "u-1", "a-1", "ok")
		time.Sleep(50 * time.Millisecond)
		r.sayAs("t-b", "u-1", "b-1", "ok")
		time.Sleep(time.Second)
		r.agentSays(other, "an answer to somebody else")
		began := time.Now()
		for !slices.Contains(r.channel.got(), "message:an answer to somebody else") && time.Since(began) < time.Minute {
			time.Sleep(100 * time.Millisecond)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("an answer to another consumer took %v", took)
		}
		time.Sleep(10 * time.Minute)
		if n := count(r.allConsumerTexts(), "ok"); n != 2 {
			t.Errorf("LivePerson has the words %d times, want twice", n)
		}
	})
}

func TestLateEchoAfterATakeOverAndARestartSettlesNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{echoWait: 35 * time.Second})
		r.sayAs("t-a", "u-1", "a-0", "hello")
		time.Sleep(time.Second)
		r.sim.SetFaults(lpsim.Faults{WebhookDelayRate: 1, WebhookDelayMinMs: 8000, WebhookDelayMaxMs: 8000})
		slowed := about(`"yes"`, inTurn(r.answeredAfter(400*time.Millisecond)))
		r.wire.fail(func(req *http.Request, body string) (*http.Response, error) {
			if strings.Contains(body, `"x"`) {
				return nil, io.ErrUnexpectedEOF
			}
			return slowed(req, body)
		})
		r.sayAs("t-a", "u-1", "a-1", "yes")
		time.Sleep(100 * time.Millisecond)
		r.sayAs("t-b", "u-1", "b-0", "x")
		time.Sleep(time.Second)
		r = r.restart(rigOptions{echoWait: 35 * time.Second})
		r.wire.fail(about(`"yes"`, inTurn(isLost)))
		r.sayAs("t-a", "u-1", "a-2", "yes")
		time.Sleep(10 * time.Minute)
		if n := count(r.allConsumerTexts(), "yes"); n != 2 {
			t.Errorf("the consumer wrote yes twice, LivePerson has it %d times: %q; pending %d", n, r.allConsumerTexts(), r.journal.PendingCount())
		}
		r.shutDown()
		r.sim.Close()
	})
}

func TestMaskedEchoSettlesTheOnlyMessageInDoubt(t *testing.T) {
	inBubble(t, rigOptions{echoWait: 35 * time.Second}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		r.sim.SetFaults(lpsim.Faults{MaskCardNumbers: true})
		r.loseAnswer("4111")
		r.say("t-1", "e-1", "my card is 4111 1111 1111 1111")
		time.Sleep(5 * time.Minute)
		sends := 0
		for _, e := range r.conversation().Transcript {
			if strings.HasPrefix(e.Text, "my card is") {
				sends++
			}
		}
		if sends != 1 || r.journal.PendingCount() != 0 {
			t.Errorf("LivePerson has the message %d times, %d pending", sends, r.journal.PendingCount())
		}
	})
}

func TestEchoWithoutARoleWeKnowIsTheConsumersOwn(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		consumer := r.consumerID()
		shown := len(r.channel.shown())
		for _, ev := range []string{
			`{"type":"ContentEvent","message":"my own words","contentType":"text/plain"}`,
			`{"type":"ChatStateEvent","chatState":"COMPOSING"}`,
		} {
			for _, role := range []string{"", `"originatorMetadata":{"role":"VISITOR"},`} {
				r.notify(changed(fmt.Sprintf(`{"sequence":30,"originatorId":%q,%s"serverTimestamp":1528371199686,"event":%s,"conversationId":%q,"dialogId":%q}`,
					consumer, role, ev, id, id)), nil)
			}
		}
		time.Sleep(time.Minute)
		if got := r.channel.texts(); slices.Contains(got, "my own words") || len(r.channel.shown()) != shown {
			t.Errorf("the consumer was shown their own words or typing: %q, %v", got, r.channel.shown())
		}
	})
}

// An agent who types in a conversation that is over, or that the thread has left, is not
// shown in the present one.
func TestTypingInAFormerConversationIsNotShown(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		former := r.begin("t-1")
		if err := r.sim.AgentClose(former, lpsim.AgentClose{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.say("t-1", "e-2", "once more")
		time.Sleep(time.Second)
		shown := len(r.channel.shown())
		r.notify(changed(fmt.Sprintf(`{"originatorId":"a-1","originatorMetadata":{"id":"a-1","role":"ASSIGNED_AGENT"},`+
			`"event":{"type":"ChatStateEvent","chatState":"COMPOSING"},"conversationId":%q,"dialogId":%q}`, former, former)), nil)
		time.Sleep(time.Minute)
		if got := r.channel.shown(); len(got) != shown {
			t.Errorf("the consumer was shown %v", got[shown:])
		}
	})
}

func TestOnlyWhatIsForEverybodyReachesTheConsumer(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		for i, audience := range []string{"AGENTS_AND_MANAGERS", "AGENTS", "MANAGERS", "NOBODY", "ALL", ""} {
			body := words(id, id, 20+i, "for "+audience)
			r.notify(strings.Replace(body, `"messageAudience":"ALL"`, `"messageAudience":"`+audience+`"`, 1), nil)
		}
		time.Sleep(time.Minute)
		if got := r.channel.texts(); !slices.Equal(got, []string{"for ALL", "for"}) {
			t.Errorf("the consumer reads %q", got)
		}
	})
}

func TestChangesOfOneNotificationAreTakenBySequence(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		var changes []string
		for _, n := range []int{12, 10, 11} {
			body := words(id, id, n, fmt.Sprint("word ", n))
			var whole struct {
				Body struct{ Changes []json.RawMessage }
			}
			if err := json.Unmarshal([]byte(body), &whole); err != nil {
				t.Fatal(err)
			}
			changes = append(changes, string(whole.Body.Changes[0]))
		}
		r.notify(changed(changes...), nil)
		time.Sleep(time.Minute)
		if got := r.channel.texts(); !slices.Equal(got, []string{"word 10", "word 11", "word 12"}) {
			t.Errorf("the channel got %q", got)
		}
	})
}

func TestReceiptsOfOneMomentAreToldApart(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		var changes []string
		for _, status := range []string{"ACCEPT", "READ"} {
			changes = append(changes, fmt.Sprintf(`{"originatorId":"a-1","originatorMetadata":{"id":"a-1","role":"ASSIGNED_AGENT"},"serverTimestamp":1528371199686,`+
				`"event":{"type":"AcceptStatusEvent","status":%q,"sequenceList":[0]},"conversationId":%q,"dialogId":%q}`, status, id, id))
		}
		r.notify(changed(changes...), nil)
		time.Sleep(time.Minute)
		for _, want := range []string{"receipt:delivered:[first-of-t-1]", "receipt:read:[first-of-t-1]"} {
			if got := r.channel.got(); count(got, want) != 1 {
				t.Errorf("the channel got %v, want %s", got, want)
			}
		}
	})
}

// texts lists what the channel was given to show.
func (c *channel) texts() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []string
	for _, e := range c.delivered {
		if e.Kind == bridge.KindMessage {
			all = append(all, e.Message.Text)
		}
	}
	return all
}

func TestNewsOfAFormerConversationEndsNoTyping(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		former := r.begin("t-1")
		consumer := r.consumerID()
		if err := r.sim.AgentClose(former, lpsim.AgentClose{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		r.say("t-1", "e-2", "again")
		time.Sleep(time.Second)
		id := r.conversation().ConversationID
		if err := r.sim.AgentTyping(id, "COMPOSING", lpsim.Agent{ID: "a-1"}); err != nil {
			t.Fatal(err)
		}
		r.types("t-1", bridge.Composing)
		time.Sleep(time.Second)
		late := strings.ReplaceAll(news(former, consumer, time.Now().Add(time.Hour)), `"OPEN"`, `"CLOSE"`)
		r.notify(late, nil)
		time.Sleep(5 * time.Second)
		if got := r.channel.shown(); !slices.Equal(got, []string{"composing"}) {
			t.Errorf("the channel was told %v of the agent's typing", got)
		}
		if !r.conversation().ConsumerTyping {
			t.Error("the agent no longer sees the consumer typing")
		}
	})
}
