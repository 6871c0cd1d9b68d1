package front

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/connector/lpsim"
)

// TestCompare: messages in the same words are told apart by their number.
func TestCompare(t *testing.T) {
	for name, tc := range map[string]struct {
		sent, arrived texts
		idle          bool
		want          Counts
	}{
		"nothing":              {},
		"once":                 {texts{"a": 1, "b": 1}, texts{"a": 1, "b": 1}, true, Counts{Sent: 2, Once: 2}},
		"the same words twice": {texts{"a": 2}, texts{"a": 2}, true, Counts{Sent: 2, Once: 2}},
		"one twice":            {texts{"a": 1}, texts{"a": 2}, true, Counts{Sent: 1, Twice: 1}},
		"one of two twice":     {texts{"a": 2}, texts{"a": 3}, true, Counts{Sent: 2, Once: 1, Twice: 1}},
		"on the way":           {texts{"a": 2}, texts{"a": 1}, false, Counts{Sent: 2, Once: 1, OnTheWay: 1}},
		"lost":                 {texts{"a": 2}, texts{"a": 1}, true, Counts{Sent: 2, Once: 1, Lost: 1}},
		"from elsewhere":       {texts{"a": 1}, texts{"a": 1, "b": 9}, true, Counts{Sent: 1, Once: 1}},
	} {
		if diff := cmp.Diff(tc.want, compare(tc.sent, tc.arrived, tc.idle)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// seen is a watch at a fixed time, and a conversation to say things in.
type seen struct {
	*Watch
	clock time.Time
	c     lpsim.Conversation
}

func newSeen() *seen {
	s := &seen{Watch: NewWatch(), clock: time.Unix(1_800_000_000, 0)}
	s.now = func() time.Time { return s.clock }
	s.c.ConversationID, s.c.ExtConsumerID, s.c.State = "c", "webhook:1", "OPEN"
	return s
}

func (s *seen) after(ms int) { s.clock = s.clock.Add(time.Duration(ms) * time.Millisecond) }

// says puts an event into the transcript and has it seen.
func (s *seen) says(role, text string) position {
	e := lpsim.Entry{DialogID: "d", Sequence: int64(len(s.c.Transcript)), Role: role, Type: "ContentEvent", Text: text, Time: s.clock, Audience: "ALL"}
	s.c.Transcript = append(s.c.Transcript, e)
	s.entry(&s.c, &e)
	return position{e.DialogID, e.Sequence}
}

func milestonesOf(f Flow) map[string]float64 {
	steps := map[string]float64{}
	for _, s := range f.Milestones {
		steps[s.Name] = s.Ms
	}
	return steps
}

// TestWayOfAMessage: each milestone is told with its time. Where LivePerson is heard of before
// the door has answered, and its notification before its event, the earlier one was
// over by then.
func TestWayOfAMessage(t *testing.T) {
	s := newSeen()
	begun := s.begin([]said{{channel: "webhook", id: "1", text: "hello"}})
	s.after(4)
	s.notify(position{"d", 0}, true, s.clock)
	s.after(1)
	s.says(lpsim.RoleConsumer, "hello")
	s.after(2)
	s.answered(begun, true)
	got := s.flowsNow()
	if len(got) != 1 {
		t.Fatalf("flows %+v", got)
	}
	if diff := cmp.Diff(map[string]float64{reachedEchoed: 4, reachedSent: 4, reachedOnDisk: 4}, milestonesOf(got[0])); diff != "" {
		t.Errorf("to LivePerson (-want +got):\n%s", diff)
	}

	at := s.says(lpsim.RoleAssignedAgent, "Good day")
	s.after(3)
	s.notify(at, false, s.clock)
	s.after(3)
	s.shown(&at, "")
	s.after(3)
	accept := lpsim.Entry{DialogID: "d", Sequence: 9, Role: lpsim.RoleConsumer, Type: "AcceptStatusEvent", Status: "ACCEPT", SequenceList: []int64{at.sequence}, Time: s.clock}
	s.entry(&s.c, &accept)
	got = s.flowsNow()
	if diff := cmp.Diff(map[string]float64{reachedOnDisk: 3, reachedDelivered: 6, reachedTold: 9}, milestonesOf(got[len(got)-1])); diff != "" {
		t.Errorf("to the channel (-want +got):\n%s", diff)
	}
	want := Ledger{ToLivePerson: Counts{Sent: 1, Once: 1}, ToChannel: Counts{Sent: 1, Once: 1}}
	if diff := cmp.Diff(want, s.ledgerNow()); diff != "" {
		t.Errorf("the ledger (-want +got):\n%s", diff)
	}
}

// TestLedgerFollows: what was repeated is one message, what arrived twice is seen, and
// what is refused never was.
func TestLedgerFollows(t *testing.T) {
	s := newSeen()
	for range 2 {
		s.answered(s.begin([]said{{channel: "webhook", id: "1", text: "hello"}}), true)
	}
	s.answered(s.begin([]said{{channel: "webhook", id: "2", text: "refused"}}), false)
	// Without ids, the same words are two messages.
	for range 2 {
		s.answered(s.begin([]said{{channel: "chatwootapi", text: "yes"}}), true)
	}
	s.says(lpsim.RoleConsumer, "hello")
	s.says(lpsim.RoleConsumer, "yes")
	s.says(lpsim.RoleConsumer, "yes")
	if diff := cmp.Diff(Counts{Sent: 3, Once: 3}, s.ledgerNow().ToLivePerson); diff != "" {
		t.Errorf("all arrived once (-want +got):\n%s", diff)
	}
	s.says(lpsim.RoleConsumer, "hello")
	if diff := cmp.Diff(Counts{Sent: 3, Once: 2, Twice: 1}, s.ledgerNow().ToLivePerson); diff != "" {
		t.Errorf("one arrived twice (-want +got):\n%s", diff)
	}
	if f := s.flowsNow()[0]; f.Copies != 1 {
		t.Errorf("the flow of what arrived twice: %+v", f)
	}
	s.answered(s.begin([]said{{channel: "webhook", id: "3", text: "gone"}}), true)
	s.settle(true, 1)
	if l := s.ledgerNow(); l.ToLivePerson.Lost != 1 || l.TypingLeft != 1 {
		t.Errorf("lost: %+v", l)
	}
	// An agent's words that a client says it got twice.
	s.says(lpsim.RoleAssignedAgent, "Hi")
	s.says(lpsim.RoleAssignedAgent, "Hi")
	for range 3 {
		s.shown(nil, "Hi")
	}
	if diff := cmp.Diff(Counts{Sent: 2, Once: 1, Twice: 1}, s.ledgerNow().ToChannel); diff != "" {
		t.Errorf("to the channel (-want +got):\n%s", diff)
	}
	s.reset()
	if diff := cmp.Diff(Ledger{}, s.ledgerNow()); diff != "" || len(s.flowsNow()) > 0 {
		t.Errorf("after a reset (-want +got):\n%s", diff)
	}
}

// TestTypingIsWatched: from the door to what ends it, in both directions.
func TestTypingIsWatched(t *testing.T) {
	s := newSeen()
	s.composing("webhook")
	s.after(30)
	say := func(role, state string) {
		s.state("c", "webhook", lpsim.ChatStateRecord{Role: role, ChatState: state, Time: s.clock})
	}
	say(lpsim.RoleConsumer, "COMPOSING")
	s.after(70)
	say(lpsim.RoleConsumer, "ACTIVE")
	say(lpsim.RoleAssignedAgent, "COMPOSING")
	s.after(5)
	s.shownTyping("webhook", true)
	s.after(5)
	s.shownTyping("webhook", true)
	say(lpsim.RoleAssignedAgent, "ACTIVE")
	s.shownTyping("webhook", false)
	got := s.flowsNow()
	if len(got) != 2 {
		t.Fatalf("flows %+v", got)
	}
	if diff := cmp.Diff(map[string]float64{reachedShown: 30, reachedCleared: 100}, milestonesOf(got[0])); diff != "" {
		t.Errorf("the consumer's (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]float64{reachedShown: 5, reachedCleared: 10}, milestonesOf(got[1])); diff != "" {
		t.Errorf("the agent's (-want +got):\n%s", diff)
	}
}

// TestTypingLeft: an indicator counts as left only when nobody will put it out.
func TestTypingLeft(t *testing.T) {
	begin := time.Unix(1_800_000_000, 0)
	at := func(s int) time.Time { return begin.Add(time.Duration(s) * time.Second) }
	typed := lpsim.Conversation{ChatStates: []lpsim.ChatStateRecord{{Role: lpsim.RoleConsumer, ChatState: "COMPOSING", Time: at(10)}}}
	wrote := typed
	wrote.Transcript = []lpsim.Entry{{Role: lpsim.RoleConsumer, Type: "ContentEvent", Time: at(20)}}
	again := wrote
	again.Transcript = []lpsim.Entry{{Role: lpsim.RoleConsumer, Type: "ContentEvent", Time: at(5)}}
	for name, tc := range map[string]struct {
		c         lpsim.Conversation
		born, now int
		want      bool
	}{
		"somebody types":                   {typed, 0, 40, false},
		"a message was just sent":          {wrote, 0, 21, false},
		"a message was sent, and it is on": {wrote, 0, 23, true},
		"typing again after a message":     {again, 0, 40, false},
		"the bridge has just come back":    {typed, 12, 20, false},
		"a bridge came back and forgot it": {typed, 12, 23, true},
	} {
		if got := leftTyping(&tc.c, at(tc.born), at(tc.now)); got != tc.want {
			t.Errorf("%s: left %t", name, got)
		}
	}
}
