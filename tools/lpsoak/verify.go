package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"lpbridge/connector/lpsim"
)

// findings is what the soak found out.
type findings struct {
	tally      tally
	violations []string
	facts      []fact
	// row is the run as a line of a table, of runs with replicas.
	row string
}

// tally is how often each part of the promise was broken.
type tally struct {
	lost, reordered int
	// twice is there again although lpbridge knew of the first one, or did not
	// wait for its echo; withheld is what nobody could have known.
	twice, withheld int
	// Typing that was left, as the agent sees it and as the channel does.
	agentSees, channelShows int
}

func (t tally) print(out io.Writer) {
	for _, line := range []fact{
		{"lost", t.lost}, {"out of order", t.reordered}, {"twice, although its echo came or was not awaited", t.twice},
		{"twice, answer lost and echo withheld", t.withheld},
		{"typing left, as the agent sees it", t.agentSees}, {"typing left, as the channel shows it", t.channelShows},
	} {
		fmt.Fprintf(out, "%-52s %v\n", line.name, line.value)
	}
}

// fact is one line of the summary.
type fact struct {
	name  string
	value any
}

func (f *findings) breaks(format string, args ...any) {
	f.violations = append(f.violations, fmt.Sprintf(format, args...))
}

func (f *findings) note(name string, value any) { f.facts = append(f.facts, fact{name, value}) }

// maxShown is how many violations are printed.
const maxShown = 40

func (f *findings) print(out io.Writer) {
	f.tally.print(out)
	for _, fact := range f.facts {
		fmt.Fprintf(out, "%-52s %v\n", fact.name, fact.value)
	}
	for i, v := range f.violations {
		if i == maxShown {
			fmt.Fprintf(out, "… and %d more\n", len(f.violations)-maxShown)
			break
		}
		fmt.Fprintf(out, "BROKEN: %s\n", v)
	}
	if len(f.violations) == 0 {
		fmt.Fprintln(out, "the promise held")
	}
}

// transcripts are LivePerson's records by consumer, their conversations in the
// order in which they began.
func transcripts(ctx context.Context, lp *livePerson) (map[string][]lpsim.Conversation, error) {
	all, err := lp.own(ctx)
	if err != nil {
		return nil, err
	}
	by := map[string][]lpsim.Conversation{}
	for _, s := range all {
		c, err := lp.conversation(ctx, s.ConversationID)
		if err != nil {
			return nil, err
		}
		by[consumerOf(s)] = append(by[consumerOf(s)], c)
	}
	return by, nil
}

// written are the messages of one side in a consumer's conversations. Private
// notes are not meant for the consumer.
func written(conversations []lpsim.Conversation, consumer bool) []told {
	var found []told
	for _, c := range conversations {
		for _, e := range c.Transcript {
			if e.Type == "ContentEvent" && (e.Role == lpsim.RoleConsumer) == consumer && e.Audience != "AGENTS_AND_MANAGERS" {
				found = append(found, told{e.Text, position{e.DialogID, e.Sequence}, e.Time})
			}
		}
	}
	return found
}

func texts(list []told) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = list[i].text
	}
	return out
}

// checkConsumer compares what a consumer said with what LivePerson has. A
// message may be there twice where nobody could know that it had arrived.
func (f *findings) checkConsumer(c *consumer, conversations []lpsim.Conversation, k knowledge) {
	record := written(conversations, true)
	got := texts(record)
	broken := outOfOrder(c.said, got)
	if broken {
		f.tally.reordered++
	}
	for text, missing := range balanceOf(c.said, got) {
		if missing > 0 {
			f.tally.lost += missing
			broken = true
			continue
		}
		excusable := min(k.excusable(copiesOf(record, text)), -missing)
		f.tally.withheld += excusable
		f.tally.twice += -missing - excusable
		broken = broken || excusable < -missing
	}
	if broken {
		f.breaks("%s to LivePerson: %s", c.thread, difference(c.said, got))
	}
}

// knowledge is what lpbridge could know of a consumer's messages.
type knowledge struct {
	// echoes says when it took the echo of which message; nil without notifications.
	echoes   map[position]time.Time
	echoWait time.Duration
}

// excusable is how many of the copies of one text may have been sent without
// knowing of one before: its echo had not come in the time it is waited for.
func (k knowledge) excusable(copies []told) (n int) {
	slices.SortFunc(copies, func(a, b told) int { return a.at.Compare(b.at) })
	for i, c := range copies {
		if k.echoes == nil {
			n += min(i, 1)
			continue
		}
		// Each one before that was not known excuses one copy.
		excuses := 0
		for _, before := range copies[:i] {
			echo := k.echoes[before.position]
			// One that came while the copy was on its way came too late.
			if unknown := echo.IsZero() || echo.After(c.at.Add(-callTime)); unknown && c.at.Sub(before.at) >= k.echoWait {
				excuses++
			}
		}
		if excuses > n {
			n++
		}
	}
	return n
}

func copiesOf(list []told, text string) []told {
	return slices.DeleteFunc(slices.Clone(list), func(t told) bool { return t.text != text })
}

// outOfOrder says whether one sequence has what it has of another in another
// order. What is there again counts where it fits.
func outOfOrder(want, got []string) bool {
	left := map[string]int{}
	for _, s := range got {
		left[s]++
	}
	at := 0
	for _, s := range want {
		if left[s]--; left[s] < 0 {
			continue // It is missing.
		}
		for at < len(got) && got[at] != s {
			at++
		}
		if at == len(got) {
			return true
		}
		at++
	}
	return false
}

// balanceOf says how many of each text are missing, below zero too many.
func balanceOf(want, got []string) map[string]int {
	balance := map[string]int{}
	for _, s := range want {
		balance[s]++
	}
	for _, s := range got {
		balance[s]--
	}
	return balance
}

// difference says in one line how two sequences differ, empty when they do not.
func difference(want, got []string) string {
	if slices.Equal(want, got) {
		return ""
	}
	balance := balanceOf(want, got)
	var parts []string
	for _, s := range slices.Sorted(maps.Keys(balance)) {
		switch n := balance[s]; {
		case n > 0:
			parts = append(parts, fmt.Sprintf("%q is missing %d times", s, n))
		case n < 0:
			parts = append(parts, fmt.Sprintf("%q is there %d times too often", s, -n))
		}
	}
	if len(parts) == 0 {
		parts = append(parts, "the order differs")
	}
	at := 0
	for at < min(len(want), len(got)) && want[at] == got[at] {
		at++
	}
	return fmt.Sprintf("%s; they part at %d of %d: want %s, got %s", strings.Join(parts, ", "), at, len(want), around(want, at), around(got, at))
}

// around shows where two sequences part.
func around(list []string, at int) string {
	return fmt.Sprintf("%.240q", list[max(0, min(at-1, len(list))):min(len(list), at+4)])
}

// checkAgent compares what agents told a consumer, what LivePerson has of that,
// and what the channel shows. Where LivePerson's notifications came in another
// order than the messages were written, that order counts.
func (f *findings) checkAgent(a *agent, conversations []lpsim.Conversation, shown []arrival, taken map[position]promise) {
	record := written(conversations, false)
	byPosition := func(x, y told) int {
		return cmp.Or(cmp.Compare(x.position.dialog, y.position.dialog), cmp.Compare(x.position.sequence, y.position.sequence))
	}
	said := slices.SortedFunc(slices.Values(a.told), byPosition)
	sameWords := func(a, b told) bool { return a.text == b.text && a.position == b.position }
	if kept := slices.SortedFunc(slices.Values(record), byPosition); !slices.EqualFunc(said, kept, sameWords) {
		f.breaks("%s: the simulator's transcript is not what its agents were told to write", a.consumer)
	}
	got := make([]told, len(shown))
	for i, s := range shown {
		got[i] = told{text: s.text, position: s.position}
		if want := fmt.Sprintf("%s:%d", s.position.dialog, s.position.sequence); s.id != want {
			f.breaks("%s: the channel got event %s at position %s", a.consumer, s.id, want)
		}
	}
	if sorted := slices.SortedFunc(slices.Values(got), byPosition); !slices.EqualFunc(said, sorted, sameWords) {
		f.countShown(said, sorted)
		f.breaks("%s to the channel: %s", a.consumer, difference(texts(said), texts(sorted)))
		return
	}
	f.checkOrder(a.consumer, shown, a.written(), taken)
}

// countShown counts what the channel does not show, and what it shows twice.
func (f *findings) countShown(said, shown []told) {
	at := map[position]int{}
	for _, t := range said {
		at[t.position]++
	}
	for _, t := range shown {
		at[t.position]--
	}
	for _, missing := range at {
		f.tally.lost += max(missing, 0)
		f.tally.twice += max(-missing, 0)
	}
}

// checkOrder holds lpbridge to the order in which it accepted messages. Two
// that it accepted at the same time may arrive either way, and so may those that
// arrive as they were written: what waits is put in the order of its dialog, and
// what nobody knew of yet comes when its conversation is known.
func (f *findings) checkOrder(consumer string, shown []arrival, written map[position]int, taken map[position]promise) {
	for i := range shown {
		for _, later := range shown[i+1:] {
			first, second := taken[later.position], taken[shown[i].position]
			if written[shown[i].position] < written[later.position] {
				continue
			}
			if !first.given.IsZero() && first.given.Before(second.asked) {
				f.tally.reordered++
				f.breaks("%s to the channel: %s was accepted before %s was sent and arrived after it", consumer, later.id, shown[i].id)
			}
		}
	}
}

// written says which message the agent wrote when.
func (a *agent) written() map[position]int {
	order := map[position]int{}
	for i, t := range a.told {
		order[t.position] = i
	}
	return order
}

// checkReceipts wants the truth told to agents: all that reached the channel
// was confirmed.
func (f *findings) checkReceipts(a *agent, conversations []lpsim.Conversation) {
	confirmed := map[position]bool{}
	for _, c := range conversations {
		for _, r := range c.AgentSees.Receipts {
			if r.Status == "ACCEPT" {
				confirmed[position{r.DialogID, r.Sequence}] = true
			}
		}
	}
	open := map[string]bool{}
	for _, c := range conversations {
		open[c.ConversationID] = c.Stage == "OPEN"
	}
	for _, t := range a.told {
		if open[t.position.dialog] && !confirmed[t.position] {
			f.breaks("%s: the agent was never told that message %d of %s arrived", a.consumer, t.position.sequence, t.position.dialog)
		}
	}
}
