package relay_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

// begin opens a conversation and returns its id.
func (r *rig) begin(thread string) string {
	r.t.Helper()
	r.say(thread, "first-of-"+thread, "hello")
	time.Sleep(time.Second)
	return r.conversation().ConversationID
}

func (r *rig) agentSays(id, text string) lpsim.Sent {
	r.t.Helper()
	sent, err := r.sim.AgentMessage(id, lpsim.AgentMessage{Text: text})
	if err != nil {
		r.t.Fatal(err)
	}
	return sent
}

func TestAgentMessageReachesTheChannelAndIsConfirmed(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		sent := r.agentSays(id, "good morning")
		time.Sleep(time.Second)
		want := []string{"state:open", "state:joined", "message:good morning"}
		if diff := cmp.Diff(want, r.channel.got()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
		if got := r.channel.messages(); len(got) != 1 || got[0] != bridge.AgentEventID(sent.DialogID, sent.Sequence) {
			t.Errorf("ids %v, want dialog and sequence", got)
		}
		if !slices.Contains(receiptsSeen(r), "ACCEPT") {
			t.Errorf("the agent saw %v, want ACCEPT", receiptsSeen(r))
		}
	})
}

func receiptsSeen(r *rig) []string {
	var seen []string
	for _, receipt := range r.conversation().AgentSees.Receipts {
		seen = append(seen, receipt.Status)
	}
	return seen
}

func TestAcceptWaitsForTheChannel(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		tries := 0
		r.channel.refuseWith(func(e *bridge.Event) error {
			if e.Kind != bridge.KindMessage {
				return nil
			}
			if tries++; tries <= 2 {
				return &bridge.DeliveryError{Outcome: bridge.Retry, Err: errors.New("down")}
			}
			return nil
		})
		r.agentSays(id, "one")
		time.Sleep(1500 * time.Millisecond)
		if seen := receiptsSeen(r); len(seen) > 0 {
			t.Errorf("the agent saw %v while the channel was down", seen)
		}
		r.agentSays(id, "two")
		time.Sleep(time.Minute)
		want := []string{"state:open", "state:joined", "message:one", "message:two"}
		if diff := cmp.Diff(want, r.channel.got()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
		if seen := receiptsSeen(r); !slices.Contains(seen, "ACCEPT") {
			t.Errorf("the agent saw %v, want ACCEPT", seen)
		}
	})
}

func TestDeadLetterIsToldToTheAgent(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		r.channel.refuseWith(func(e *bridge.Event) error {
			if e.Kind == bridge.KindMessage && e.Message.Text == "poison" {
				return &bridge.DeliveryError{Outcome: bridge.Invalid, Err: errors.New("too long")}
			}
			return nil
		})
		r.agentSays(id, "poison")
		r.agentSays(id, "fine")
		time.Sleep(5 * time.Second)
		if got := r.channel.got(); !slices.Contains(got, "message:fine") {
			t.Errorf("delivered %v, want the message behind the dead letter", got)
		}
		if seen := receiptsSeen(r); !slices.Contains(seen, "NACK") {
			t.Errorf("the agent saw %v, want NACK", seen)
		}
	})
}

func TestReadReceiptsOfTheChannelReachTheAgentTogether(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		for _, text := range []string{"one", "two", "three"} {
			r.agentSays(id, text)
		}
		time.Sleep(time.Second)
		r.wire.restartClock()
		e := event(bridge.KindReceipt, "t-1", "r-1")
		e.Receipt = &bridge.Receipt{Status: bridge.ReceiptRead, MessageIDs: r.channel.messages()}
		r.accept(e)
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{"0.0 READ"}, r.wire.timeline()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
	})
}

func TestAgentReceiptsReachTheChannel(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		if _, err := r.sim.AgentRead(id, "READ", nil, lpsim.Agent{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if got := r.channel.got(); !slices.Contains(got, "receipt:read:[first-of-t-1]") {
			t.Errorf("delivered %v, want a read receipt of the consumer's message", got)
		}
	})
}

func TestAgentTypingShowsAndEnds(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		typing := func(state string) {
			if err := r.sim.AgentTyping(id, state, lpsim.Agent{}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(2 * time.Second)
		}
		typing("COMPOSING")
		typing("ACTIVE")
		typing("COMPOSING")
		r.agentSays(id, "there you are")
		time.Sleep(2 * time.Second)
		typing("COMPOSING")
		if err := r.sim.AgentClose(id, lpsim.AgentClose{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		want := []string{"composing", "stopped", "composing", "stopped", "composing", "stopped"}
		if diff := cmp.Diff(want, r.channel.shown()); diff != "" {
			t.Errorf("shown (-want +got):\n%s", diff)
		}
	})
}

func TestLostStopOfAnAgentEndsByItself(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		if err := r.sim.AgentTyping(id, "COMPOSING", lpsim.Agent{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(relay.LivePersonHold + 2*time.Second)
		if diff := cmp.Diff([]string{"composing", "stopped"}, r.channel.shown()); diff != "" {
			t.Errorf("shown (-want +got):\n%s", diff)
		}
	})
}

// TestTypingBeforeAMessageInOneNotification is D20 of the timelines.
func TestTypingBeforeAMessageInOneNotification(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		body := `{"kind":"notification","type":"ms.MessagingEventNotification","body":{"changes":[` +
			`{"originatorId":"a","originatorMetadata":{"id":"a","role":"ASSIGNED_AGENT"},"event":{"type":"ChatStateEvent","chatState":"COMPOSING"},"conversationId":"` + id + `","dialogId":"` + id + `"},` +
			`{"sequence":5,"originatorId":"a","originatorMetadata":{"id":"a","role":"ASSIGNED_AGENT"},"serverTimestamp":1,"event":{"type":"ContentEvent","message":"hi","contentType":"text/plain"},"conversationId":"` + id + `","dialogId":"` + id + `"}]}}`
		if status := r.notify(body, nil); status != 200 {
			t.Fatalf("status %d", status)
		}
		time.Sleep(time.Second)
		if shown := r.channel.shown(); len(shown) != 0 {
			t.Errorf("shown %v, want nothing", shown)
		}
		if got := r.channel.got(); !slices.Contains(got, "message:hi") {
			t.Errorf("delivered %v, want the message", got)
		}
	})
}

func TestCloseAndReopenAskedByTheChannel(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		r.types("t-1", bridge.Composing)
		time.Sleep(2 * time.Second)
		r.wire.restartClock()
		r.accept(event(bridge.KindClose, "t-1", "c-1"))
		time.Sleep(5 * time.Second)
		if diff := cmp.Diff([]string{"0.0 ACTIVE", "0.0 CLOSE"}, r.wire.timeline()); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		if got := r.channel.got(); got[len(got)-1] != "state:closed" {
			t.Errorf("delivered %v, want the close at last", got)
		}
		r.accept(event(bridge.KindReopen, "t-1", "c-2"))
		time.Sleep(5 * time.Second)
		if c := r.conversation(); c.ConversationID == id || c.Stage != "OPEN" {
			t.Errorf("conversation %s %s, want a new one that is open", c.ConversationID, c.Stage)
		}
	})
}

func TestRatingAndProfile(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		profile := event(bridge.KindProfile, "t-1", "p-1")
		profile.Consumer.FirstName, profile.Consumer.Email = "Ana", "ana@example.org"
		r.accept(profile)
		r.accept(event(bridge.KindClose, "t-1", "c-1"))
		rating := event(bridge.KindRating, "t-1", "g-1")
		rating.Rating = &bridge.Rating{Score: 4, Resolved: new(true)}
		r.accept(rating)
		time.Sleep(5 * time.Second)
		c, _ := r.sim.Conversation(id)
		if c.CSAT == nil || c.CSAT.Rate != 4 {
			t.Errorf("CSAT %+v, want 4", c.CSAT)
		}
		if !strings.Contains(string(c.Profile), "Ana") {
			t.Errorf("profile %s, want the new name", c.Profile)
		}
	})
}

func TestSurvey(t *testing.T) {
	inBubble(t, rigOptions{survey: true}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		r.agentSays(id, "bye")
		time.Sleep(time.Second)
		if err := r.sim.AgentClose(id, lpsim.AgentClose{Survey: new(true)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		var question *bridge.Event
		for _, e := range r.channel.events() {
			if e.Kind == bridge.KindMessage && len(e.Message.QuickReplies) > 0 {
				question = &e
			}
		}
		if question == nil || !question.Message.Survey {
			t.Fatalf("delivered %v, want a survey question with quick replies", r.channel.got())
		}
		r.wire.restartClock()
		r.types("t-1", bridge.Composing) // D23: no chat states into a survey
		click := event(bridge.KindClick, "t-1", "k-1")
		click.Click = &bridge.Click{MessageID: question.ID, ReplyID: question.Message.QuickReplies[0].ID}
		r.accept(click)
		time.Sleep(30 * time.Second)
		calls := r.wire.timeline()
		if len(calls) < 2 || calls[0] != "0.0 ACTION" || calls[1] != "0.0 ContentEvent" {
			t.Errorf("calls %v, want ACTION and the text, and no chat state", calls)
		}
		for _, line := range calls {
			if strings.Contains(line, "COMPOSING") || strings.Contains(line, "ACTIVE") {
				t.Errorf("a chat state went into the survey: %v", calls)
			}
		}
		c, _ := r.sim.Conversation(id)
		if len(c.SurveyAnswers) != 1 {
			t.Errorf("survey answers %+v, want one", c.SurveyAnswers)
		}
		if got := r.channel.got(); !slices.Contains(got, "state:survey") {
			t.Errorf("delivered %v, want the survey's beginning", got)
		}
	})
}

// TestTypingEndsWhereASurveyBegins at once: what was told before is owed no end, for
// a survey takes no chat states.
func TestTypingEndsWhereASurveyBegins(t *testing.T) {
	inBubble(t, rigOptions{survey: true}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		r.agentSays(id, "bye")
		time.Sleep(time.Second)
		r.types("t-1", bridge.Composing)
		time.Sleep(time.Second)
		if n := r.marks(bridge.ToLivePerson); n != 1 {
			t.Fatalf("%d marks of composing, want 1", n)
		}
		r.wire.restartClock()
		if err := r.sim.AgentClose(id, lpsim.AgentClose{Survey: new(true)}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := r.marks(bridge.ToLivePerson); n != 0 {
			t.Errorf("%d marks of composing in a survey, want none", n)
		}
		time.Sleep(time.Minute)
		for _, call := range r.wire.timeline() {
			if !strings.HasSuffix(call, " ACCEPT") {
				t.Errorf("%s went into the survey", call)
			}
		}
	})
}

func TestUnknownClickIsRefused(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		r.begin("t-1")
		click := event(bridge.KindClick, "t-1", "k-1")
		click.Click = &bridge.Click{MessageID: "nowhere:1", ReplyID: "0"}
		_, err := r.core.Accept(t.Context(), []bridge.Event{click})
		if f, ok := errors.AsType[*bridge.FieldError](err); !ok || f.Field != "click.messageId" {
			t.Errorf("error %v, want one that names click.messageId", err)
		}
	})
}

func TestJoinedAndTransferredAreTold(t *testing.T) {
	inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		if _, err := r.sim.AgentJoin(id, lpsim.Agent{ID: "a-1"}, "SUGGESTED"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if got := r.channel.got(); slices.Contains(got, "state:joined") {
			t.Errorf("delivered %v: a suggested agent has not joined", got)
		}
		if _, err := r.sim.AgentJoin(id, lpsim.Agent{ID: "a-1"}, "ACTIVE"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if err := r.sim.AgentLeave(id, lpsim.Agent{ID: "a-1"}, "42"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		want := []string{"state:open", "state:joined", "state:transferred"}
		if diff := cmp.Diff(want, r.channel.got()); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}

// TestShutdownClearsTyping is D21 of the timelines.
func TestShutdownClearsTyping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.begin("t-1")
		r.types("t-1", bridge.Composing)
		time.Sleep(time.Second)
		if !r.conversation().AgentSees.ConsumerTyping {
			t.Error("typing is not shown")
		}
		r.shutDown()
		if sees := r.conversation().AgentSees; sees.ConsumerTyping {
			t.Errorf("typing is left behind: %+v", sees)
		}
		r.sim.Close()
	})
}

// crash takes the process away: nothing more reaches LivePerson or the journal.
func (r *rig) crash() *bridgetest.Journal {
	r.wire.fail(func(*http.Request, string) (*http.Response, error) { return nil, errors.New("dead") })
	r.door.lead(nil)
	next := r.journal.Reopen()
	r.stop()
	<-r.stopped
	r.close()
	return next
}

// TestCrashWhileComposing is D22 of the timelines.
func TestCrashWhileComposing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.begin("t-1")
		r.types("t-1", bridge.Composing)
		time.Sleep(time.Second)
		journal := r.crash()
		time.Sleep(10 * time.Second)
		again := newRig(t, rigOptions{journal: journal, sim: r.sim, door: r.door})
		time.Sleep(2 * time.Second)
		if sees := r.conversation().AgentSees; sees.ConsumerTyping {
			t.Errorf("typing is left behind: %+v", sees)
		}
		calls := again.wire.timeline()
		if len(calls) != 1 || !strings.HasSuffix(calls[0], "PAUSE") && !strings.HasSuffix(calls[0], "ACTIVE") {
			t.Errorf("calls %v, want one that ends typing", calls)
		}
		again.shutDown()
		r.sim.Close()
	})
}

// TestCrashInMidAttempt cuts the process off after LivePerson applied a message
// and before the answer was noted. The echo, sent again by LivePerson's retry
// because nobody answered it, settles the message.
func TestCrashInMidAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.begin("t-1")
		r.journal.Break(errors.New("the disk is slow"))
		r.door.lead(nil) // LivePerson's webhooks find nobody
		r.journal.Break(nil)
		r.say("t-1", "e-1", "once only")
		r.say("t-1", "e-2", "and then this")
		synctest.Wait()
		journal := r.crash()
		time.Sleep(5 * time.Second)
		again := newRig(t, rigOptions{journal: journal, sim: r.sim, door: r.door})
		time.Sleep(2 * time.Minute)
		if diff := cmp.Diff([]string{"hello", "once only", "and then this"}, consumerTexts(r.conversation())); diff != "" {
			t.Errorf("transcript (-want +got):\n%s", diff)
		}
		again.shutDown()
		r.sim.Close()
	})
}

// TestStopThatCutsADeliveryOff stops in order while an answer is awaited for
// longer than the stop may take: the message counts as in doubt afterwards.
func TestStopThatCutsADeliveryOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, rigOptions{})
		r.begin("t-1")
		r.sim.SetFaults(lpsim.Faults{LatencyMinMs: 60_000, LatencyMaxMs: 60_000})
		r.say("t-1", "e-1", "once only")
		time.Sleep(time.Second)
		r.door.lead(nil) // the echo finds nobody
		r.stop()
		if err := <-r.stopped; err == nil {
			t.Error("a stop that cut deliveries off did not say so")
		}
		r.close()
		if err := r.journal.Close(); err != nil {
			t.Error(err)
		}
		r.sim.SetFaults(lpsim.Faults{})
		again := newRig(t, rigOptions{journal: r.journal.Reopen(), sim: r.sim, door: r.door})
		time.Sleep(5 * time.Minute)
		if diff := cmp.Diff([]string{"hello", "once only"}, consumerTexts(r.conversation())); diff != "" {
			t.Errorf("transcript (-want +got):\n%s", diff)
		}
		again.shutDown()
		r.sim.Close()
	})
}
