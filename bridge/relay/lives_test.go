package relay_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

var (
	livesFlag = flag.Int("lives", 200, "how many random lives the engine lives through")
	baseFlag  = flag.Uint64("base", 1, "number of the first life; 0 draws one")
)

// defaultEchoWait is the default of LPBRIDGE_ECHO_WAIT.
const defaultEchoWait = 35 * time.Second

// TestEverythingArrivesOnceAndInOrder lives random lives: consumers write in
// several threads, agents answer, and both sides, the journal and the process
// fail at random moments. When the trouble is over, it judges what LivePerson
// and the channel have by the promise alone. Every life is another: its number
// is the base plus how many were before it, and brings back what happens in it.
// How goroutines that are ready at the same instant follow each other, it does
// not bring back, nor how long pauses are stretched; so a life that fails tells
// all that happened, and how often of ten tries it fails. The first that did came
// again in 2, 3, 5 and 10 of them. make lives lives more.
func TestEverythingArrivesOnceAndInOrder(t *testing.T) {
	base := *baseFlag
	if base == 0 {
		base = rand.Uint64N(1 << 40)
	}
	t.Logf("lives %d to %d; one comes again with -run %s -lives 1 -base N", base, base+uint64(*livesFlag)-1, t.Name())
	for number := base; number < base+uint64(*livesFlag); number++ {
		s := drawStory(number)
		if faults := s.live(t); len(faults) > 0 {
			t.Errorf("life %d, again in %d of 10 tries:\n%s\n%s\nwhat happened:\n%s",
				number, again(t, number), strings.Join(faults, "\n"), s, s.chronicle)
		}
	}
}

// again is how often of ten tries a life fails.
func again(t *testing.T, number uint64) (failed int) {
	for range 10 {
		if len(drawStory(number).live(t)) > 0 {
			failed++
		}
	}
	return failed
}

// live lives the story and returns what is wrong in the end.
func (s *story) live(t *testing.T) []string {
	synctest.Test(t, func(t *testing.T) { s.run(t) })
	return s.lost
}

func (s *story) run(t *testing.T) {
	s.t = t
	s.chronicle = newChronicle()
	s.r = newRig(t, s.options(nil))
	s.r.sim.SetWebhooks(lpsim.Webhooks{URL: "http://bridge.test/webhooks/liveperson", RetentionSeconds: 3 * 24 * 3600})
	for _, step := range s.steps {
		s.happen(step)
		time.Sleep(step.pause)
	}
	s.chronicle.add("calm", "until the end")
	s.calm()
	s.r.journal.Break(nil)
	s.r.channel.refuseWith(nil)
	time.Sleep(2 * time.Hour)
	s.judge()
	s.r.shutDown()
	s.r.sim.Close()
}

func (s *story) options(journal *bridgetest.Journal) rigOptions {
	o := rigOptions{
		journal: journal, notifications: s.notifications, survey: s.survey, chronicle: s.chronicle, pace: s.pace,
		echoWait: defaultEchoWait,
		// A life may last longer than the default, whose end is not what it is about.
		adjust: func(o *relay.Options) { o.DeadLetterAfter = 30 * 24 * time.Hour },
	}
	if s.r != nil {
		o.sim, o.door, o.channel = s.r.sim, s.r.door, s.r.channel
	}
	return o
}

func (s *story) wrong(format string, args ...any) {
	s.lost = append(s.lost, fmt.Sprintf(format, args...))
}

func (s *story) nextID(of string) string {
	s.ids++
	return fmt.Sprint(of, "-", s.ids)
}

func (s *story) happen(e step) {
	s.chronicle.add("step", "%s", e)
	switch e.verb {
	case "say":
		s.say(e, 1)
	case "burst":
		s.say(e, 1+e.n%90)
	case "type":
		typing := s.event(bridge.KindTyping, e.thread)
		typing.Typing = &bridge.Typing{State: []bridge.TypingState{bridge.Composing, bridge.Composing, bridge.Stopped}[e.n%3]}
		s.offer(typing)
	case "end":
		s.offer(s.event(bridge.KindClose, e.thread))
	case "reopen":
		s.offer(s.event(bridge.KindReopen, e.thread))
	case "profile":
		s.offer(s.event(bridge.KindProfile, e.thread))
	case "rating":
		rating := s.event(bridge.KindRating, e.thread)
		rating.Rating = &bridge.Rating{Score: 1 + e.n%5}
		s.offer(rating)
	case "faults":
		s.misbehave(e.n)
	case "calm":
		s.calm()
	case "channel":
		s.trouble(e.n)
	case "journal":
		s.r.journal.Break(errors.New("disk full"))
		time.Sleep(time.Duration(e.n) * 2 * time.Millisecond)
		s.r.journal.Break(nil)
	case "crash":
		s.restart(true, e.n)
	case "restart":
		s.restart(false, e.n)
	default:
		s.agent(e)
	}
}

func (s *story) event(kind bridge.Kind, thread int) bridge.Event {
	e := event(kind, storyThreads[thread].thread, "")
	e.Consumer.ID = bridge.ConsumerID(storyThreads[thread].consumer)
	if kind != bridge.KindTyping {
		e.ID = bridge.EventID(s.nextID("e"))
	}
	return e
}

func (s *story) offer(events ...bridge.Event) bool {
	_, err := s.r.core.Accept(s.t.Context(), events)
	if err != nil && !errors.Is(err, bridge.ErrStorage) {
		s.wrong("accept: %v", err)
	}
	return err == nil
}

// pace is how long a step of journal and network takes: mostly about as long as on
// a good day, so that next to nothing happens at the same instant.
func (s *story) pace() time.Duration {
	s.pacing.Lock()
	defer s.pacing.Unlock()
	most := pick(s.paces, []time.Duration{100 * time.Microsecond, time.Millisecond, time.Millisecond, 10 * time.Millisecond})
	return time.Duration(s.paces.Int64N(int64(most)))
}

// say writes n messages at once; some are the same as others.
func (s *story) say(e step, n int) {
	var events []bridge.Event
	var texts []string
	for range n {
		m := s.event(bridge.KindMessage, e.thread)
		text := e.text
		if text == "" {
			text = "unique " + string(m.ID)
		}
		m.Message = &bridge.Message{Text: text}
		events, texts = append(events, m), append(texts, text)
	}
	if s.offer(events...) {
		thread := storyThreads[e.thread].thread
		s.accepted[thread] = append(s.accepted[thread], texts...)
	}
}

// agent lets an agent do something in the thread's newest conversation.
func (s *story) agent(e step) {
	for _, c := range s.r.sim.Conversations() {
		if c.ExtConsumerID != ext(bridge.ConsumerID(storyThreads[e.thread].consumer)) {
			continue
		}
		id := c.ConversationID
		switch e.verb {
		case "agent":
			sent, err := s.r.sim.AgentMessage(id, lpsim.AgentMessage{Text: s.nextID("answer")})
			if err == nil {
				s.said = append(s.said, sent)
			}
		case "private":
			text := s.nextID("note")
			s.private = append(s.private, text)
			s.r.sim.AgentMessage(id, lpsim.AgentMessage{Text: text, Private: true})
		case "join":
			s.r.sim.AgentJoin(id, lpsim.Agent{ID: "a-1"}, "ACTIVE")
		case "leave":
			s.r.sim.AgentLeave(id, lpsim.Agent{ID: "a-1"}, "42")
		case "read":
			s.r.sim.AgentRead(id, "READ", nil, lpsim.Agent{})
		case "close":
			s.r.sim.AgentClose(id, lpsim.AgentClose{Survey: new(false)})
		case "survey":
			s.r.sim.AgentClose(id, lpsim.AgentClose{Survey: new(true)})
		}
		return
	}
}

// misbehave lets LivePerson misbehave in one or two ways.
func (s *story) misbehave(n int) {
	f := lpsim.Faults{Seed: uint64(n), NewDuringSurvey: "reject", LatencyMinMs: 5, LatencyMaxMs: 200, LatencyBeforeShare: 0.5}
	everywhere := lpsim.Everywhere(0.3)
	for _, way := range []int{n % 14, n / 14 % 14} {
		switch way {
		case 0:
			f.LostAnswerRate = everywhere
		case 1:
			f.LostRequestRate = everywhere
		case 2:
			f.LostAnswerRate, f.LostRequestRate = lpsim.Everywhere(0.2), lpsim.Everywhere(0.2)
		case 3:
			f.ErrorRate, f.ErrorStatus = everywhere, 503
		case 4:
			f.ThrottleRate, f.RetryAfterSeconds = everywhere, n%3
		case 5:
			f.UnauthorizedRate = lpsim.Everywhere(0.2)
		case 6:
			f.LatencyMaxMs = 30_000
		case 7:
			f.WebhookDuplicateRate = 0.5
		case 8:
			f.WebhookReorderRate, s.mixed = 0.4, true
		case 9:
			f.WebhookDelayRate, f.WebhookDelayMaxMs, s.mixed = 0.4, 4000, true
		case 10:
			f.WebhookEarlyRate = 0.7
		case 11:
			f.OmitConversationIDRate, f.OmitDialogsRate, f.WebhookBareChangeRate = 0.5, 0.5, 0.5
		case 12:
			f.Outages = []lpsim.Outage{{AfterMs: n, ForMs: 20_000, Status: 503 * (n % 2)}}
		case 13:
			f.WebhookForeignRate, f.WebhookBatchMs = 0.5, n
		}
	}
	if s.deaf && n%3 == 0 {
		f.WebhookDropRate = 0.3
	}
	if err := s.r.sim.SetFaults(f); err != nil {
		s.wrong("faults: %v", err)
	}
}

func (s *story) calm() {
	if err := s.r.sim.SetFaults(lpsim.Faults{}); err != nil {
		s.wrong("faults: %v", err)
	}
}

// trouble makes the channel's next deliveries end otherwise than well.
func (s *story) trouble(n int) {
	left := 1 + n%5
	outcome := []bridge.Outcome{bridge.Retry, bridge.Throttled, bridge.Unknown, bridge.Unauthorized, bridge.Closed, bridge.Invalid}[n%6]
	s.r.channel.refuseWith(func(e *bridge.Event) error {
		if left == 0 {
			return nil
		}
		left--
		switch {
		case n%7 == 0:
			panic("a mistake in the adapter")
		case outcome == bridge.Invalid:
			s.refused[e.ID] = true
		case n%7 == 1:
			return errors.New("an error that says nothing")
		}
		return &bridge.DeliveryError{Outcome: outcome, Err: errors.New("trouble")}
	})
}

// absences are how long no process is there.
var absences = []time.Duration{
	0, 100 * time.Millisecond, time.Second, 4 * time.Second, 15 * time.Second, 40 * time.Second, 65 * time.Second,
	3 * time.Minute, 12 * time.Minute, time.Hour, 7 * time.Hour, 30 * time.Hour,
}

// restart ends the process, in order or not, and starts the next one.
func (s *story) restart(crash bool, n int) {
	var journal *bridgetest.Journal
	if crash {
		journal = s.r.crash()
	} else {
		s.r.door.lead(nil)
		s.r.stop()
		// A stop may cut deliveries off; that is a part of the story.
		<-s.r.stopped
		s.r.close()
		if err := s.r.journal.Close(); err != nil {
			s.wrong("close: %v", err)
		}
		journal = s.r.journal.Reopen()
	}
	time.Sleep(absences[n%len(absences)])
	s.chronicle.add("process", "starts")
	s.r = newRig(s.t, s.options(journal))
}
