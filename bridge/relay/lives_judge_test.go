package relay_test

import (
	"slices"
	"strings"

	"lpbridge/bridge"
)

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
	a, b := storyThreads[lonelyThreads], storyThreads[lonelyThreads+1]
	s.judgeTexts(a.consumer, there[ext(bridge.ConsumerID(a.consumer))], s.deaf, s.accepted[a.thread], s.accepted[b.thread])
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
		if other, taken := open[row.Conversation]; taken {
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
