package relay_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

// typists are the conversations in which an agent sees the consumer typing.
func (r *rig) typists() (ids []string) {
	for _, c := range r.sim.Conversations() {
		if c.ConsumerTyping {
			ids = append(ids, c.ConversationID)
		}
	}
	return ids
}

// marks is how many marks of typing stand in a direction.
func (r *rig) marks(d bridge.Direction) (n int) {
	r.t.Helper()
	all, err := r.journal.Composing(r.t.Context())
	if err != nil {
		r.t.Fatal(err)
	}
	for _, m := range all {
		if m.Direction == d {
			n++
		}
	}
	return n
}

// down makes LivePerson's message API answer 503 until the returned function is
// called.
func (r *rig) down() (well func()) {
	r.wire.fail(func(req *http.Request, _ string) (*http.Response, error) {
		if strings.Contains(req.URL.Path, "conversation") {
			return answerWith(http.StatusServiceUnavailable), nil
		}
		return nil, nil
	})
	return func() { r.wire.fail(nil) }
}

// TestTypingEndsAfterAnOutage has LivePerson away while the consumer stops. The end
// is told with the next of the tries after 2, 5 and 9 s; after these, when a lane or
// a probe has found out that LivePerson is back.
func TestTypingEndsAfterAnOutage(t *testing.T) {
	for _, c := range []struct {
		outage time.Duration
		// told is when the end is told after the consumer stopped, zero when that is
		// left to lanes and probes.
		told time.Duration
	}{
		{time.Second, 2 * time.Second}, {4 * time.Second, 5 * time.Second}, {7 * time.Second, 9 * time.Second},
		{12 * time.Second, 0}, {time.Minute, 0}, {time.Hour, 0},
	} {
		for _, traffic := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v, traffic %t", c.outage, traffic), func(t *testing.T) {
				inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) { typingOutlives(t, r, c.outage, c.told, traffic) })
			})
		}
	}
}

func typingOutlives(t *testing.T, r *rig, outage, told time.Duration, traffic bool) {
	r.begin("t-1")
	r.types("t-1", bridge.Composing)
	time.Sleep(time.Second)
	well := r.down()
	stopped := time.Now()
	r.types("t-1", bridge.Stopped)
	if traffic {
		r.say("t-2", "x-1", "are you there")
	}
	time.Sleep(outage)
	if r.marks(bridge.ToLivePerson) != 1 {
		t.Error("the mark does not stand while the end is owed")
	}
	well()
	switch {
	case told > 0:
		time.Sleep(time.Until(stopped.Add(told - time.Millisecond)))
		if len(r.typists()) != 1 {
			t.Error("the end was told before its time")
		}
		time.Sleep(100 * time.Millisecond)
	case traffic:
		// The lanes find out first.
		for !slices.Contains(r.allConsumerTexts(), "are you there") {
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(time.Second)
	default:
		time.Sleep(10100 * time.Millisecond)
	}
	if still := r.typists(); len(still) > 0 {
		t.Errorf("after an outage of %v the agent sees typing in %v", outage, still)
	}
	time.Sleep(time.Second)
	if n := r.marks(bridge.ToLivePerson); n > 0 {
		t.Errorf("%d marks stand", n)
	}
}

// TestTypingEndsAfterRestartsInAnOutage has two processes come and go while
// LivePerson is away.
func TestTypingEndsAfterRestartsInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{quiet: true})
		r.begin("t-1")
		r.types("t-1", bridge.Composing)
		time.Sleep(time.Second)
		for range 2 {
			r.down()
			r.stop()
			<-r.stopped
			r.close()
			r.journal.Close()
			r = newRig(t, rigOptions{journal: r.journal.Reopen(), sim: r.sim, door: r.door, channel: r.channel, quiet: true})
			well := r.down()
			time.Sleep(time.Minute)
			well()
		}
		time.Sleep(15 * time.Second)
		if still := r.typists(); len(still) > 0 {
			t.Errorf("the agent sees typing in %v", still)
		}
		r.shutDown()
		r.sim.Close()
	})
}

// TestMarksOfConversationsThatEndedUnnoticed: what LivePerson says is over is
// not looked after for ever.
func TestMarksOfConversationsThatEndedUnnoticed(t *testing.T) {
	inBubble(t, rigOptions{notifications: relay.NotificationsOff, quiet: true}, func(t *testing.T, r *rig) {
		if err := r.sim.SetWebhooks(lpsim.Webhooks{}); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			thread := fmt.Sprint("t-", i)
			r.say(thread, fmt.Sprint("e-", i), "hello")
			time.Sleep(time.Second)
			r.types(thread, bridge.Composing)
			time.Sleep(time.Second)
			if err := r.sim.AgentClose(r.conversation().ConversationID, lpsim.AgentClose{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(40 * time.Second)
		}
		time.Sleep(time.Hour)
		if n := r.marks(bridge.ToLivePerson); n > 0 {
			t.Errorf("%d of 20 ended conversations are marked as composing", n)
		}
	})
}

// TestTypingOfAnAgentWhoLeft ends at the channel with the news that the agent is
// not in the conversation any more.
func TestTypingOfAnAgentWhoLeft(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		if err := r.sim.AgentTyping(id, "COMPOSING", lpsim.Agent{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if err := r.sim.AgentLeave(id, lpsim.Agent{}, ""); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		if shown := r.channel.shown(); !slices.Equal(shown, []string{"composing", "stopped"}) {
			t.Errorf("the channel was shown %v", shown)
		}
	})
}

// TestAgentWhoTypesBehindAMessage is shown once the message is through, however
// long that took.
func TestAgentWhoTypesBehindAMessage(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		r.channel.refuseWith(func(e *bridge.Event) error {
			if e.Kind == bridge.KindMessage {
				return &bridge.DeliveryError{Outcome: bridge.Retry}
			}
			return nil
		})
		if _, err := r.sim.AgentMessage(id, lpsim.AgentMessage{Text: "one moment"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := r.sim.AgentTyping(id, "COMPOSING", lpsim.Agent{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if shown := r.channel.shown(); len(shown) > 0 {
			t.Errorf("before the message the channel was shown %v", shown)
		}
		r.channel.refuseWith(nil)
		time.Sleep(20 * time.Second)
		if shown := r.channel.shown(); !slices.Equal(shown, []string{"composing"}) {
			t.Errorf("after the message the channel was shown %v", shown)
		}
	})
}

// TestTwoDevicesOfOneConsumer are two typists: one that stops does not end what
// the other types.
func TestTwoDevicesOfOneConsumer(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		r.wire.restartClock()
		on := func(device string, state bridge.TypingState) {
			if _, err := r.core.Accept(t.Context(), []bridge.Event{{
				Kind: bridge.KindTyping, Thread: "t-1", Consumer: &bridge.Consumer{ID: "user-of-t-1"},
				Typing: &bridge.Typing{State: state, Device: device},
			}}); err != nil {
				t.Fatal(err)
			}
		}
		on("a", bridge.Composing)
		time.Sleep(1200 * time.Millisecond)
		on("b", bridge.Stopped)
		time.Sleep(1300 * time.Millisecond)
		on("a", bridge.Composing)
		time.Sleep(time.Second)
		on("a", bridge.Stopped)
		time.Sleep(time.Minute)
		if calls := r.wire.timeline(); !slices.Equal(calls, []string{"0.0 COMPOSING", "3.5 ACTIVE"}) {
			t.Errorf("LivePerson was told %v", calls)
		}
	})
}

// TestTypingGoesWithTheConversation: what a thread told its conversation is
// ended there, also when another thread of the consumer has taken it over while
// LivePerson did not answer.
func TestTypingGoesWithTheConversation(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		say := func(thread, id string) {
			if _, err := r.core.Accept(t.Context(), []bridge.Event{{
				ID: bridge.EventID(id), Kind: bridge.KindMessage, Thread: bridge.ThreadID(thread),
				Consumer: &bridge.Consumer{ID: "u-1"}, Message: &bridge.Message{Text: id},
			}}); err != nil {
				t.Fatal(err)
			}
		}
		say("t-1", "e-1")
		time.Sleep(time.Second)
		r.types("t-1", bridge.Composing)
		time.Sleep(time.Second)
		r.wire.fail(func(_ *http.Request, body string) (*http.Response, error) {
			if strings.Contains(body, "ACTIVE") || strings.Contains(body, "PAUSE") {
				return answerWith(http.StatusServiceUnavailable), nil
			}
			return nil, nil
		})
		say("t-2", "e-2")
		time.Sleep(5 * time.Second)
		if len(r.typists()) != 1 {
			t.Fatalf("typing in %v, want it not ended yet", r.typists())
		}
		r.wire.fail(nil)
		time.Sleep(15 * time.Second)
		if still := r.typists(); len(still) > 0 || len(r.sim.Conversations()) != 1 {
			t.Errorf("%d conversations, typing in %v", len(r.sim.Conversations()), still)
		}
	})
}

// TestChannelIsToldTheEndAfterACrash: a channel that was told composing by a
// process that died is told the end by the next, of the agent it shows.
func TestChannelIsToldTheEndAfterACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{quiet: true})
		id := r.begin("t-1")
		if err := r.sim.AgentTyping(id, "COMPOSING", lpsim.Agent{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		after := r.journal.Reopen()
		r.stop()
		<-r.stopped
		r.close()
		r.channel.mu.Lock()
		told := len(r.channel.cues)
		r.channel.mu.Unlock()
		r = newRig(t, rigOptions{journal: after, sim: r.sim, door: r.door, channel: r.channel, quiet: true})
		time.Sleep(time.Second)
		r.channel.mu.Lock()
		cues := r.channel.cues
		r.channel.mu.Unlock()
		if len(cues) == told || cues[len(cues)-1].State != bridge.Stopped || cues[len(cues)-1].Agent.ID != cues[0].Agent.ID {
			t.Errorf("the channel was told %v", cues)
		}
		if n := r.marks(bridge.ToChannel); n > 0 {
			t.Errorf("%d marks stand", n)
		}
		r.shutDown()
		r.sim.Close()
	})
}

// LivePerson asks for minutes of rest when it is told of typing: that delays no
// message, whose own answers say whether LivePerson takes messages.
func TestThrottledTypingDelaysNoMessage(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		r.wire.fail(about("COMPOSING", answers(http.StatusTooManyRequests, "Retry-After", "280")))
		for i := range 12 {
			r.types(fmt.Sprint("t-", i), bridge.Composing)
		}
		r.types("t-1", bridge.Composing)
		time.Sleep(2 * time.Second)
		began := time.Now()
		r.say("t-1", "e-1", "help me please")
		r.drained(time.Minute)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the message took %v", took)
		}
		if state := r.bridge.Status().LivePerson.State; state != "well" {
			t.Errorf("LivePerson is %s", state)
		}
	})
}

// TestTypingIsShownAgainAfterAnOutage: the harmless call that asks whether LivePerson
// is back ends what the agent sees of a consumer whose message waits. Who goes on
// typing is shown right after that message, whatever device it is.
func TestTypingIsShownAgainAfterAnOutage(t *testing.T) {
	for _, devices := range [][]string{{""}, {"a"}, {"a", "b"}} {
		for _, outage := range []time.Duration{12 * time.Second, time.Minute, time.Hour} {
			t.Run(fmt.Sprint(devices, " ", outage), func(t *testing.T) {
				inBubble(t, rigOptions{quiet: true, echoWait: 35 * time.Second}, func(t *testing.T, r *rig) {
					r.begin("t-1")
					typing := func(state bridge.TypingState) {
						for _, d := range devices {
							e := event(bridge.KindTyping, "t-1", "")
							e.Typing = &bridge.Typing{State: state, Device: d}
							r.accept(e)
						}
					}
					typing(bridge.Composing)
					time.Sleep(2 * time.Second)
					well := r.down()
					r.say("t-1", "e-1", "in the outage")
					for left := outage; left > 0; left -= 10 * time.Second {
						time.Sleep(min(left, 10*time.Second))
						typing(bridge.Composing)
					}
					well()
					for i := 0; !slices.Contains(r.allConsumerTexts(), "in the outage") && i < 3000; i++ {
						time.Sleep(100 * time.Millisecond)
						if i%100 == 0 {
							typing(bridge.Composing)
						}
					}
					time.Sleep(time.Second)
					if len(r.typists()) != 1 {
						t.Errorf("the agent sees no typing: %v", r.wire.timeline())
					}
					typing(bridge.Stopped)
					time.Sleep(10 * time.Second)
					if still := r.typists(); len(still) > 0 || r.marks(bridge.ToLivePerson) > 0 {
						t.Errorf("typing in %v", still)
					}
				})
			})
		}
	}
}

// TestAgentsTypingEndsWithWhatTheConsumerClosed: the agent types while the consumer ends
// the conversation and begins another. Nothing of it is shown there.
func TestAgentsTypingEndsWithWhatTheConsumerClosed(t *testing.T) {
	for _, stops := range []bool{false, true} {
		for _, pause := range []time.Duration{0, 100 * time.Millisecond, 5 * time.Second} {
			t.Run(fmt.Sprint("agent stops ", stops, ", ", pause), func(t *testing.T) {
				inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
					id := r.begin("t-1")
					r.agentSays(id, "I am here")
					if err := r.sim.AgentTyping(id, "COMPOSING", lpsim.Agent{}); err != nil {
						t.Fatal(err)
					}
					time.Sleep(2 * time.Second)
					if got := r.channel.shown(); !slices.Contains(got, "composing") {
						t.Fatalf("shown %v", got)
					}
					r.accept(event(bridge.KindClose, "t-1", "c-1"))
					time.Sleep(pause)
					if stops {
						// It may be refused: the conversation is over.
						_ = r.sim.AgentTyping(id, "ACTIVE", lpsim.Agent{})
					}
					r.say("t-1", "e-2", "another thing")
					time.Sleep(3 * time.Second)
					if got := r.channel.shown(); got[len(got)-1] != "stopped" {
						t.Errorf("in the new conversation the consumer sees %v", got)
					}
					time.Sleep(3 * time.Minute)
					if got := r.channel.shown(); got[len(got)-1] != "stopped" || count(got, "composing") > 3 || r.marks(bridge.ToChannel) > 0 {
						t.Errorf("afterwards %v, %d marks", got, r.marks(bridge.ToChannel))
					}
				})
			})
		}
	}
}

// TestTypingByWhoIsNamedInANotification: who is no longer named types no more; one that
// names nobody at all says nothing of that.
func TestTypingByWhoIsNamedInANotification(t *testing.T) {
	for name, c := range map[string]struct {
		participants string
		ends         bool
	}{
		"without the agent":       {`"participants":[{"id":"%s","role":"CONSUMER"}],`, true},
		"another agent":           {`"participants":[{"id":"%s","role":"CONSUMER"},{"id":"a-2","role":"ASSIGNED_AGENT"}],`, true},
		"as a map, another agent": {`"participants":{"CONSUMER":["%s"],"ASSIGNED_AGENT":["a-2"]},`, true},
		"the agent":               {`"participants":[{"id":"%s","role":"CONSUMER"},{"id":"a-1","role":"ASSIGNED_AGENT"}],`, false},
		"the agent as a manager":  {`"participants":[{"id":"%s","role":"CONSUMER"},{"id":"a-1","role":"MANAGER"}],`, false},
		"as a map, the agent":     {`"participants":{"CONSUMER":["%s"],"ASSIGNED_AGENT":["a-1"]},`, false},
		"nobody is named":         {``, false},
		"null":                    {`"participants":null,`, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
				id := r.begin("t-1")
				types := fmt.Sprintf(`{"originatorId":"a-1","originatorMetadata":{"id":"a-1","role":"ASSIGNED_AGENT"},"event":{"type":"ChatStateEvent","chatState":"COMPOSING"},"conversationId":%q,"dialogId":%q}`, id, id)
				r.notify(changed(types), nil)
				time.Sleep(2 * time.Second)
				participants := c.participants
				if participants != "" && strings.Contains(participants, "%s") {
					participants = fmt.Sprintf(participants, r.consumerID())
				}
				at := time.Now().UnixMilli()
				r.notify(fmt.Sprintf(`{"kind":"notification","type":"cqm.ExConversationChangeNotification","body":{"changes":[{"type":"UPSERT","result":{"convId":%[1]q,"conversationDetails":{`+
					`"convId":%[1]q,"state":"OPEN","stage":"OPEN",%[2]s"metaDataLastUpdateTs":%[3]d,"startTs":%[3]d}}}]}}`, id, participants, at), nil)
				time.Sleep(time.Second)
				if got := r.channel.shown(); (got[len(got)-1] == "stopped") != c.ends {
					t.Errorf("the channel was shown %v", got)
				}
			})
		})
	}
}
