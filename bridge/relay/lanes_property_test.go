package relay_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

// TestEverythingArrivesOnceAndInOrder lives random lives: consumers write in
// several threads, agents answer, and both sides, the journal and the process
// fail at random moments. When the trouble is over, it judges what LivePerson
// and the channel have by the promise alone.
func TestEverythingArrivesOnceAndInOrder(t *testing.T) {
	for range 4 {
		rapid.Check(t, func(rt *rapid.T) {
			s := drawStory(rt)
			var faults []string
			// Each story has a bubble of its own, for rapid counts its time limits
			// by the clock around it.
			synctest.Test(t, func(t *testing.T) { faults = s.live(t) })
			if len(faults) > 0 {
				rt.Fatalf("%s\nstory:\n%s", strings.Join(faults, "\n"), s)
			}
		})
	}
}

// storyThreads are the threads of a story and whose they are: the last two
// belong to one consumer.
var storyThreads = []struct{ thread, consumer string }{
	{"t-0", "u-0"}, {"t-1", "u-1"}, {"t-2", "u-2"}, {"t-3", "u-2"},
}

const lonelyThreads = 2

// story is one random life.
type story struct {
	// deaf says that echoes may be missing: LivePerson's webhooks are off or
	// some are dropped. A message may then arrive twice.
	deaf          bool
	notifications relay.Notifications
	survey        bool
	steps         []step

	t *testing.T
	r *rig
	// accepted are the texts answered 2xx, by thread.
	accepted map[string][]string
	said     []lpsim.Sent
	private  []string
	refused  map[bridge.EventID]bool
	// shaken says that the journal refused something since the process began.
	shaken    bool
	restarted bool
	mixed     bool
	ids       int
	lost      []string
}

type step struct {
	verb   string
	thread int
	text   string
	n      int
	pause  time.Duration
}

func (s step) String() string {
	return fmt.Sprintf("  %-10s thread=%d text=%q n=%d then %v", s.verb, s.thread, s.text, s.n, s.pause)
}

func (s *story) String() string {
	lines := []string{fmt.Sprintf("  deaf=%t notifications=%s survey=%t", s.deaf, s.notifications, s.survey)}
	for _, step := range s.steps {
		lines = append(lines, step.String())
	}
	return strings.Join(lines, "\n")
}

// storyVerbs are what happens, the frequent more often.
var storyVerbs = []string{
	"say", "say", "say", "say", "say", "say", "say", "burst", "type",
	"agent", "agent", "agent", "private", "join", "close", "survey", "leave", "read",
	"end", "reopen", "profile", "rating",
	"faults", "faults", "faults", "calm", "channel", "channel", "journal", "crash", "restart",
}

func drawStory(rt *rapid.T) *story {
	s := &story{
		deaf:          rapid.IntRange(0, 5).Draw(rt, "deaf") == 0,
		notifications: rapid.SampledFrom([]relay.Notifications{relay.NotificationsOn, relay.NotificationsOn, relay.NotificationsAuto, relay.NotificationsOff}).Draw(rt, "notifications"),
		survey:        rapid.Bool().Draw(rt, "survey"),
		accepted:      map[string][]string{},
		refused:       map[bridge.EventID]bool{},
	}
	s.deaf = s.deaf || s.notifications != relay.NotificationsOn
	for range rapid.IntRange(4, 40).Draw(rt, "steps") {
		s.steps = append(s.steps, step{
			verb:   rapid.SampledFrom(storyVerbs).Draw(rt, "verb"),
			thread: rapid.IntRange(0, len(storyThreads)-1).Draw(rt, "thread"),
			text:   rapid.SampledFrom([]string{"ok", "ok", "yes", ""}).Draw(rt, "text"),
			n:      rapid.IntRange(0, 1000).Draw(rt, "n"),
			pause: rapid.SampledFrom([]time.Duration{
				0, 0, time.Millisecond, 30 * time.Millisecond, 300 * time.Millisecond, time.Second, 4 * time.Second, 12 * time.Second,
				40 * time.Second, 3 * time.Minute,
			}).Draw(rt, "pause"),
		})
	}
	return s
}

// live lives the story and returns what is wrong in the end.
func (s *story) live(t *testing.T) []string {
	s.t = t
	s.r = newRig(t, s.options(nil))
	for _, step := range s.steps {
		s.happen(step)
		time.Sleep(step.pause)
	}
	s.calm()
	s.r.journal.Break(nil)
	s.r.channel.refuseWith(nil)
	time.Sleep(2 * time.Hour)
	s.judge()
	s.r.shutDown()
	s.r.sim.Close()
	return s.lost
}

func (s *story) options(journal *bridgetest.Journal) rigOptions {
	o := rigOptions{
		journal: journal, notifications: s.notifications, survey: s.survey, quiet: !testing.Verbose(),
		// Longer than LivePerson's pauses grow while a process is away.
		echoWait: 2 * time.Minute,
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
		s.shaken = true
		s.r.journal.Break(errors.New("disk full"))
		time.Sleep(time.Duration(e.n) * 2 * time.Millisecond)
		s.r.journal.Break(nil)
	case "crash":
		s.restart(true, e.n)
	case "restart":
		s.restart(s.shaken, e.n)
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

// restart ends the process, in order or not, and starts the next one.
func (s *story) restart(crash bool, n int) {
	var journal *bridgetest.Journal
	s.restarted = true
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
	s.shaken = false
	time.Sleep(time.Duration(n) * 4 * time.Millisecond)
	s.r = newRig(s.t, s.options(journal))
}

func (s *story) judge() {
	s.judgeConsumers()
	s.judgeAgents()
	s.judgeRest()
}

// judgeConsumers compares what was accepted with LivePerson's transcripts.
func (s *story) judgeConsumers() {
	there := map[string][]string{}
	for _, c := range slices.Backward(s.r.sim.Conversations()) {
		full, _ := s.r.sim.Conversation(c.ConversationID)
		there[c.ExtConsumerID] = append(there[c.ExtConsumerID], consumerTexts(full)...)
	}
	for _, of := range storyThreads[:lonelyThreads] {
		s.judgeTexts(of.consumer, there[ext(bridge.ConsumerID(of.consumer))], s.deaf, s.accepted[of.thread])
	}
	// The next process does not know that a message in doubt stands in a
	// conversation that moved on to the other thread.
	a, b := storyThreads[lonelyThreads], storyThreads[lonelyThreads+1]
	s.judgeTexts(a.consumer, there[ext(bridge.ConsumerID(a.consumer))], s.deaf || s.restarted, s.accepted[a.thread], s.accepted[b.thread])
}

// judgeTexts reports unless got has the texts of all threads, each in order.
func (s *story) judgeTexts(consumer string, got []string, repeats bool, threads ...[]string) {
	if len(threads) == 1 {
		threads = append(threads, nil)
	}
	if !weaves(got, threads[0], threads[1], repeats) {
		s.wrong("%s: LivePerson has %q, accepted were %q", consumer, got, threads)
	}
}

// weaves reports whether got is made of a and b, each in its order. With
// repeats, got may have each of them again right after itself or later, before
// the next of its kind.
func weaves(got, a, b []string, repeats bool) bool {
	type at struct{ i, j int }
	states := map[at]bool{{}: true}
	for _, text := range got {
		next := map[at]bool{}
		for s := range states {
			if s.i < len(a) && a[s.i] == text {
				next[at{s.i + 1, s.j}] = true
			}
			if s.j < len(b) && b[s.j] == text {
				next[at{s.i, s.j + 1}] = true
			}
			// After a crash two messages of a lane are in doubt, not one.
			if repeats && (slices.Contains(a[max(s.i-2, 0):s.i], text) || slices.Contains(b[max(s.j-2, 0):s.j], text)) {
				next[s] = true
			}
		}
		states = next
	}
	return states[at{len(a), len(b)}]
}

// judgeAgents compares what agents said with what the channel was given.
func (s *story) judgeAgents() {
	first, thread := map[bridge.EventID]int{}, map[bridge.EventID]bridge.ThreadID{}
	ids := map[string]bridge.EventID{}
	for i, e := range s.r.channel.events() {
		if e.Kind != bridge.KindMessage {
			continue
		}
		if slices.Contains(s.private, e.Message.Text) {
			s.wrong("the private note %q reached the consumer", e.Message.Text)
		}
		if _, again := first[e.ID]; !again {
			first[e.ID], thread[e.ID] = i, e.Thread
		}
		if id, known := ids[e.Message.Text]; known && id != e.ID && strings.HasPrefix(e.Message.Text, "answer") {
			s.wrong("%q came as %s and as %s", e.Message.Text, id, e.ID)
		}
		ids[e.Message.Text] = e.ID
	}
	if s.deaf {
		return
	}
	// A conversation may move to another thread; order holds within each.
	last := map[string]int{}
	for _, sent := range s.said {
		id := bridge.AgentEventID(sent.DialogID, sent.Sequence)
		place, arrived := first[id]
		lane := sent.ConversationID + string(thread[id])
		switch {
		case s.refused[id]:
		case !arrived:
			s.wrong("an agent's message %s never reached the channel", id)
		case !s.mixed && place < last[lane]:
			s.wrong("an agent's message %s came too late", id)
		default:
			last[lane] = place
		}
	}
}

// judgeRest looks at what must not be left.
func (s *story) judgeRest() {
	status := s.r.bridge.Status()
	if status.LivePerson.Lanes > 0 || status.Channels[0].Flow.Lanes > 0 {
		s.wrong("lanes are left: %+v", status)
	}
	if n := s.r.journal.PendingCount(); n > 0 {
		s.wrong("%d events are pending", n)
	}
	if n := s.r.bridge.TypingPending(); n > 0 {
		s.wrong("the typing clocks wait for %d messages", n)
	}
	if n := s.r.bridge.Doubted(); n > 0 {
		s.wrong("%d dialogs are in doubt", n)
	}
	dead, err := s.r.journal.DeadLetters(s.t.Context(), 0, 100)
	if err != nil {
		s.wrong("dead letters: %v", err)
	}
	for _, d := range dead {
		if !s.refused[d.ID] {
			s.wrong("%s of %s is dead: %s", d.ID, d.Lane.Thread, d.Last)
		}
	}
	open := map[string]bridge.ThreadID{}
	for _, of := range storyThreads {
		row, err := s.r.journal.Thread(s.t.Context(), bridge.ThreadKey{Channel: "test", Thread: bridge.ThreadID(of.thread)})
		if err != nil {
			s.wrong("thread: %v", err)
		}
		if row == nil || row.Conversation == "" {
			continue
		}
		held, err := s.r.journal.Conversation(s.t.Context(), row.Conversation)
		if err != nil {
			s.wrong("conversation: %v", err)
		}
		if held == nil || !held.Open {
			continue
		}
		if other, taken := open[row.Conversation]; taken && !s.restarted {
			s.wrong("%s and %s both hold %s", other, row.ID, row.Conversation)
		}
		open[row.Conversation] = row.ID
		if c, ok := s.r.sim.Conversation(row.Conversation); !ok || c.Stage != "OPEN" && !s.deaf {
			s.wrong("%s holds %s, which has ended", row.ID, row.Conversation)
		}
	}
	for _, c := range s.r.sim.Conversations() {
		if c.ConsumerTyping && c.State == "OPEN" && !c.Foreign {
			s.wrong("typing is left in %s", c.ConversationID)
		}
	}
}
