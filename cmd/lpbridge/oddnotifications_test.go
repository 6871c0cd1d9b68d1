package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"lpbridge/connector/lpsim"
	"lpbridge/lpauth"
)

// notify brings a notification to the bridge as LivePerson does.
func (s *stage) notify(p *process, body string) {
	s.t.Helper()
	header := http.Header{
		"Content-Type": {"application/json"}, "X-Liveperson-Account-Id": {"sandbox"}, "X-Liveperson-Client-Id": {"sandbox-client"},
		"X-Liveperson-Signature": {lpauth.Sign(lpauth.SHA1, "sandbox-secret", []byte(body))},
	}
	if a := do(s.t, http.MethodPost, p.public+"/webhooks/liveperson", header, body); a.status != http.StatusOK {
		s.t.Errorf("a notification is answered %d: %s", a.status, a.body)
	}
}

// TestOddNotificationsOnTheRunningProgram brings what agents' clients, bots and
// LivePerson's older pages write: the channel gets the words, in order, once, and
// nothing that is not the consumer's to read.
func TestOddNotificationsOnTheRunningProgram(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	s.post(p, message("t-1", "m-1", "hello"))
	s.awaitTexts("t-1", "hello")
	c := s.conversations("t-1")[0]
	number := 40
	change := func(event, more string) string {
		number++
		return fmt.Sprintf(`{"sequence":%d,"originatorId":"agent-1","originatorMetadata":{"id":"agent-1","role":"ASSIGNED_AGENT"},"conversationId":%q,"dialogId":%q,"event":%s%s}`,
			number, c.ConversationID, c.ConversationID, event, more)
	}
	text := func(words string) string {
		return `{"type":"ContentEvent","contentType":"text/plain","message":"` + words + `"}`
	}
	notification := func(changes ...string) string {
		return `{"kind":"notification","type":"ms.MessagingEventNotification","body":{"changes":[` + strings.Join(changes, ",") + `]}}`
	}
	rich := func(content string) string { return `{"type":"RichContentEvent","content":` + content + `}` }
	s.notify(p, notification(change(text("one"), ""), change(text("two"), `,"serverTimestamp":1528371199686123`), change(text("three"), `,"serverTimestamp":"soon"`)))
	late, early := change(text("second"), ""), change(text("first"), "")
	early, late = strings.Replace(early, `"sequence":45`, `"sequence":44.0`, 1), strings.Replace(late, `"sequence":44`, `"sequence":"45"`, 1)
	s.notify(p, notification(late, early))
	s.notify(p, notification(late, early))
	s.notify(p, notification(change(rich(`"{\"type\":\"vertical\",\"elements\":\"[{\\\"type\\\":\\\"text\\\",\\\"text\\\":\\\"product\\\"}]\"}"`), "")))
	s.notify(p, notification(change(rich(`{"type":"text","text":"caf`+"\xe9"+`"}`), "")))
	s.notify(p, notification(change(text("between us"), `,"messageAudience":"AGENTS"`), change(text("to some"), `,"messageAudience":["AGENTS"]`), change(text("to all"), `,"messageAudience":["ALL"]`)))
	own := strings.NewReplacer("agent-1", c.ConsumerID, `,"role":"ASSIGNED_AGENT"`, "").Replace(change(text("my own words"), ""))
	s.notify(p, notification(own, `"my private words"`, `7`, change(`{"type":"SingingEvent","song":"x"}`, "")))
	s.notify(p, notification(change(text("the end"), "")))
	await(t, "what comes last", func() bool {
		_, found := s.far.find(func(e farEvent) bool { return e.Message.Text == "the end" })
		return found
	})
	var got []string
	s.far.mu.Lock()
	for _, e := range s.far.got {
		if e.Type == "message" {
			got = append(got, e.Message.Text)
		}
	}
	s.far.mu.Unlock()
	if want := []string{"one", "two", "three", "first", "second", "product", "caf\ufffd", "to all", "the end"}; !slices.Equal(got, want) {
		t.Errorf("the channel got %q, want %q", got, want)
	}
	if all := p.stderr.String(); strings.Contains(all, "private words") || strings.Contains(all, "between us") {
		t.Errorf("the log quotes what was written:\n%s", all)
	}
}

// TestReceiverThatIsAwayForAMoment answers an agent's message 404, as during a
// deployment, and then takes it: it arrives once, and the agent is told so.
func TestReceiverThatIsAwayForAMoment(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusNotFound, http.StatusForbidden, http.StatusBadGateway} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			p := s.run(nil)
			s.post(p, message("t-1", "m-1", "hello"))
			s.awaitTexts("t-1", "hello")
			id := s.conversations("t-1")[0].ConversationID
			s.far.refuseWith(status)
			sent, err := s.sim.AgentMessage(id, lpsim.AgentMessage{Text: "are you there?"})
			if err != nil {
				t.Fatal(err)
			}
			await(t, "the refusal", func() bool { return strings.Contains(p.stderr.String(), fmt.Sprint(status)) })
			s.far.refuseWith(0)
			await(t, "the receipt", func() bool {
				c, _ := s.sim.Conversation(id)
				return slices.ContainsFunc(c.AgentSees.Receipts, func(r lpsim.Receipt) bool { return r.Sequence == sent.Sequence })
			})
			c, _ := s.sim.Conversation(id)
			for _, r := range c.AgentSees.Receipts {
				if r.Sequence == sent.Sequence && r.Status != "ACCEPT" {
					t.Errorf("the agent is told %s", r.Status)
				}
			}
			n := 0
			s.far.mu.Lock()
			for _, e := range s.far.got {
				if e.Message.Text == "are you there?" {
					n++
				}
			}
			s.far.mu.Unlock()
			if n != 1 {
				t.Errorf("it arrived %d times", n)
			}
		})
	}
}

// TestPiecesOfAProfileOnTheRunningProgram tells who a consumer is in several events, of
// which one comes before any conversation and one between two, and rates without words
// on the resolution.
func TestPiecesOfAProfileOnTheRunningProgram(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	tell := func(kind, id, consumer, rest string) {
		s.post(p, fmt.Sprintf(`{"id":%q,"type":%q,"thread":"t-1","consumer":{"id":"consumer-of-t-1"%s}%s}`, id, kind, consumer, rest))
	}
	tell("profile", "p-1", `,"firstName":"Ana","phone":"+351900000001"`, "")
	tell("message", "m-1", `,"lastName":"Silva","attributes":{"customerId":"c-9","company":"Sol"}`, `,"message":{"text":"hello"}`)
	s.awaitTexts("t-1", "hello")
	tell("message", "m-2", `,"email":"ana@example.com"`, `,"message":{"text":"and"}`)
	s.awaitTexts("t-1", "hello", "and")
	knows := func(c lpsim.Conversation, what ...string) bool {
		now, _ := s.sim.Conversation(c.ConversationID)
		return !slices.ContainsFunc(what, func(w string) bool { return !strings.Contains(string(now.Profile), w) })
	}
	all := []string{"Ana", "Silva", "+351900000001", "c-9", "Sol", "ana@example.com"}
	first := s.conversations("t-1")[0]
	await(t, "all pieces of the profile", func() bool { return knows(first, all...) })
	tell("rating", "r-1", "", `,"rating":{"score":4}`)
	await(t, "the rating", func() bool { c, _ := s.sim.Conversation(first.ConversationID); return c.CSAT != nil })
	if c, _ := s.sim.Conversation(first.ConversationID); c.CSAT.Rate != 4 || c.CSAT.Resolution != nil || c.CSAT.Status != "PARTIALLY_FILLED" {
		t.Errorf("rated %+v", c.CSAT)
	}
	if err := s.sim.AgentClose(first.ConversationID, lpsim.AgentClose{}); err != nil {
		t.Fatal(err)
	}
	await(t, "the end", func() bool {
		_, found := s.far.find(func(e farEvent) bool { return e.State.Conversation == "closed" })
		return found
	})
	tell("profile", "p-2", `,"phone":"+351900000002"`, "")
	tell("message", "m-3", "", `,"message":{"text":"again"}`)
	s.awaitTexts("t-1", "hello", "and", "again")
	second := s.conversations("t-1")[1]
	if !knows(second, "Ana", "Silva", "+351900000002", "c-9", "Sol", "ana@example.com") {
		t.Errorf("the second conversation knows %s", second.Profile)
	}
}
