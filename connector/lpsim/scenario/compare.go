package scenario

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lpbridge/connector/lpsim"
)

// Kind is a way in which a connector can be wrong.
type Kind string

// The ways.
const (
	// Stuck: a step could not be made, as the connector did not do its part.
	Stuck Kind = "stuck"
	// Lost: a message never arrived. Twice: it arrived more than once. Order: messages of one thread overtook each other.
	Lost  Kind = "lost"
	Twice Kind = "twice"
	Order Kind = "out of order"
	// Mixed: something of one consumer is with another.
	Mixed Kind = "mixed up"
	// Conversations: a consumer has more than one open conversation.
	Conversations Kind = "conversations"
	// Receipt: an agent's message was shown and not accepted, or accepted though the channel refused it.
	Receipt Kind = "receipt"
	// Again: a message was brought again that the channel refused for good.
	Again Kind = "brought again"
	// TypingLeft: somebody seems to type who does not.
	TypingLeft Kind = "typing left"
)

// Complaint is one thing a connector did wrong.
type Complaint struct {
	Kind   Kind
	Detail string
}

// String is the kind and the detail, without a secret or an id of LivePerson's.
func (c Complaint) String() string { return string(c.Kind) + ": " + c.Detail }

// receiptTime is how long a receipt may take.
const receiptTime = 10 * time.Second

// afterwards is how long nothing may change once everything is right: what arrives twice arrives late.
const afterwards = 2 * time.Second

// await compares again and again until nothing is wrong, and once more a while later.
func (p *play) await(ctx context.Context, within time.Duration) []Complaint {
	limit, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if len(p.stuck) > 0 {
		return append(p.stuck, p.compare()...)
	}
	for len(p.compare()) > 0 {
		if pause(limit, 50*time.Millisecond) != nil {
			return p.compare()
		}
	}
	_ = pause(ctx, afterwards)
	return p.compare()
}

// compare holds what was done against what both sides have.
func (p *play) compare() (wrong []Complaint) {
	conversations := p.conversations()
	wrong = append(wrong, p.compareSaid(conversations)...)
	wrong = append(wrong, p.compareWritten()...)
	for _, thread := range slices.Sorted(maps.Keys(conversations)) {
		open := 0
		for _, c := range conversations[thread] {
			if others := p.threadsIn(c); len(others) > 1 {
				wrong = append(wrong, Complaint{Mixed, fmt.Sprintf("%s write in one conversation", strings.Join(others, " and "))})
			}
			if c.State != "CLOSE" && c.Lost == "" {
				open++
			}
			wrong = append(wrong, p.compareScreen(thread, c)...)
		}
		if open > 1 {
			wrong = append(wrong, Complaint{Conversations, fmt.Sprintf("%s has %d open ones", thread, open)})
		}
	}
	return wrong
}

// compareSaid looks for what consumers said, in the order of the conversations and of their events.
func (p *play) compareSaid(conversations map[string][]lpsim.Conversation) (wrong []Complaint) {
	want := byThread(p.said, func(s said) (string, string) { return s.thread, strings.TrimSpace(s.text) })
	for _, thread := range slices.Sorted(maps.Keys(want)) {
		var got []string
		for _, c := range conversations[thread] {
			for _, e := range c.Transcript {
				if e.Role == lpsim.RoleConsumer && e.Type == "ContentEvent" {
					got = append(got, textOf(e))
				}
			}
		}
		wrong = append(wrong, differ("LivePerson", thread, want[thread], got)...)
	}
	return wrong
}

// compareWritten looks for what agents wrote. What nobody of them wrote, a survey's questions for example, does not count.
func (p *play) compareWritten() (wrong []Complaint) {
	all, composing := p.channel.state()
	want := byThread(slices.DeleteFunc(slices.Clone(p.written), p.wasRefused), func(w written) (string, string) { return w.thread, w.text })
	got := map[string][]string{}
	for _, s := range all {
		owner := p.ownerOf(s.text)
		if owner == "" {
			continue
		}
		if p.thread(owner) != s.thread {
			wrong = append(wrong, Complaint{Mixed, fmt.Sprintf("what was written to %s is shown to %s", owner, strings.TrimSuffix(s.thread, "-"+p.run))})
			continue
		}
		if p.channel.gone(s) > 0 {
			wrong = append(wrong, Complaint{Again, fmt.Sprintf("%q, though the channel answered 410", s.text)})
			continue
		}
		got[owner] = append(got[owner], s.text)
	}
	for _, thread := range slices.Sorted(maps.Keys(want)) {
		wrong = append(wrong, differ("the channel", thread, want[thread], got[thread])...)
	}
	for _, thread := range composing {
		wrong = append(wrong, Complaint{TypingLeft, fmt.Sprintf("the channel of %s still shows an agent typing", strings.TrimSuffix(thread, "-"+p.run))})
	}
	return wrong
}

// ownerOf is the thread whose agent wrote a text.
func (p *play) ownerOf(text string) string {
	for _, w := range p.written {
		if w.text == text {
			return w.thread
		}
	}
	return ""
}

// compareScreen looks at what the agent has in front of them.
func (p *play) compareScreen(thread string, c lpsim.Conversation) (wrong []Complaint) {
	if c.AgentSees.ConsumerTyping && c.Lost == "" && c.State != "CLOSE" {
		wrong = append(wrong, Complaint{TypingLeft, fmt.Sprintf("the agent still sees %s typing", thread)})
	}
	for _, w := range p.written {
		if w.sent.ConversationID != c.ConversationID || w.thread != thread {
			continue
		}
		switch refused := p.wasRefused(w); {
		case refused && confirmed(c, w.sent):
			wrong = append(wrong, Complaint{Receipt, fmt.Sprintf("an ACCEPT for %q, which the channel refused", w.text)})
		case !refused && !confirmed(c, w.sent) && !closedUpon(c, w):
			wrong = append(wrong, Complaint{Receipt, fmt.Sprintf("no ACCEPT for %q", w.text)})
		}
	}
	return wrong
}

// wasRefused tells whether the channel answered 410 for what an agent wrote.
func (p *play) wasRefused(w written) bool {
	return p.channel.gone(shown{p.thread(w.thread), w.text}) > 0
}

// closedUpon reports whether a dialog was closed so soon after a message that LivePerson may have refused the receipt.
func closedUpon(c lpsim.Conversation, w written) bool {
	return slices.ContainsFunc(c.Dialogs, func(d lpsim.Dialog) bool {
		return d.DialogID == w.sent.DialogID && d.Ended != nil && d.Ended.Sub(w.at) < receiptTime
	})
}

func confirmed(c lpsim.Conversation, s lpsim.Sent) bool {
	return slices.ContainsFunc(c.AgentSees.Receipts, func(r lpsim.Receipt) bool {
		return r.DialogID == s.DialogID && r.Sequence == s.Sequence && (r.Status == "ACCEPT" || r.Status == "READ")
	})
}

func byThread[T any](list []T, of func(T) (thread, text string)) map[string][]string {
	found := map[string][]string{}
	for _, one := range list {
		thread, text := of(one)
		found[thread] = append(found[thread], text)
	}
	return found
}

// differ says what of a thread did not arrive as it should. Words that were said several times must arrive as often.
func differ(where, thread string, want, got []string) (wrong []Complaint) {
	count := map[string]int{}
	for _, text := range got {
		count[text]++
	}
	var rest []string
	for _, text := range want {
		if count[text] == 0 {
			wrong = append(wrong, Complaint{Lost, fmt.Sprintf("%q never arrived at %s", text, where)})
			continue
		}
		count[text]--
		rest = append(rest, text)
	}
	for _, text := range slices.Sorted(maps.Keys(count)) {
		if n := count[text]; n > 0 && slices.Contains(want, text) {
			wrong = append(wrong, Complaint{Twice, fmt.Sprintf("%q arrived %d times too often at %s", text, n, where)})
		}
	}
	if len(wrong) == 0 && !slices.Equal(rest, slices.DeleteFunc(slices.Clone(got), func(text string) bool { return !slices.Contains(want, text) })) {
		wrong = append(wrong, Complaint{Order, fmt.Sprintf("what belongs to %s at %s", thread, where)})
	}
	return wrong
}

func (p *play) missingAtLivePerson() []Complaint {
	return slices.DeleteFunc(p.compareSaid(p.conversations()), func(c Complaint) bool { return c.Kind != Lost })
}

func (p *play) missingAtChannel() []Complaint {
	return slices.DeleteFunc(p.compareWritten(), func(c Complaint) bool { return c.Kind != Lost })
}

// refusals sums up what LivePerson refused for a reason of its documentation. Faults do not count, nor profiles of agents
// that have none.
func refusals(calls []lpsim.Request) (lines []string) {
	type refusal struct {
		api          lpsim.API
		status       int
		reason, page string
	}
	count := map[refusal]int{}
	for _, c := range calls {
		if c.Page != "" && c.API != lpsim.ProfileAPI && !strings.HasPrefix(c.Reason, "fault:") {
			count[refusal{c.API, c.Status, c.Reason, c.Page}]++
		}
	}
	for r, n := range count {
		lines = append(lines, fmt.Sprintf("%d × %s answered %d: %s (%s)", n, r.api, r.status, r.reason, r.page))
	}
	slices.SortFunc(lines, cmp.Compare[string])
	return lines
}
