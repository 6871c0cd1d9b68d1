package journal

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"lpbridge/bridge"
)

const (
	// mostTraced is how many events of a trace are listed, the newest.
	mostTraced = 500
	// tracedConversations is how many conversations of a thread are.
	tracedConversations = 20
)

// Trace tells the way of an event, or of all events of a thread, by its id; of
// one channel only where one is named. It reads all events that are kept, a page
// at a time, so that nobody who writes waits for it.
func (j *Journal) Trace(ctx context.Context, channel, id string) (bridge.Trace, error) {
	t := tracing{journal: j, channel: channel, id: id, threads: map[bridge.ThreadKey]bool{}}
	if err := t.follow(ctx); err != nil {
		return bridge.Trace{}, fmt.Errorf("journal: trace: %w", err)
	}
	return t.trace, nil
}

// tracing is a trace that is being made.
type tracing struct {
	journal     *Journal
	channel, id string
	trace       bridge.Trace
	threads     map[bridge.ThreadKey]bool
	// about are the positions of messages that were asked for by their id.
	about map[position]bool
}

func (t *tracing) follow(ctx context.Context) error {
	if err := t.scan(ctx, tracedEvents, t.take, t.id, t.id); err != nil {
		return err
	}
	if t.channel != "" {
		// A thread without an event that is kept is one all the same.
		t.threads[bridge.ThreadKey{Channel: t.channel, Thread: bridge.ThreadID(t.id)}] = true
	}
	if err := t.positions(ctx); err != nil {
		return err
	}
	if err := t.receipts(ctx); err != nil {
		return err
	}
	slices.SortFunc(t.trace.Events, func(a, b bridge.TracedEvent) int { return cmp.Compare(a.Seq, b.Seq) })
	t.trace.Events = slices.CompactFunc(t.trace.Events, func(a, b bridge.TracedEvent) bool { return a.Seq == b.Seq })
	return nil
}

// take reports whether a row is the event that is asked for, a part of it, a receipt
// of ours about it, or of the thread, and remembers the thread of one that is.
func (t *tracing) take(r *traced) bool {
	if t.channel != "" && r.lane.Channel != t.channel {
		return false
	}
	whole, _ := bridge.EventID(r.entry.id).Whole()
	if string(whole) != t.id && string(r.lane.Thread) != t.id {
		return false
	}
	t.threads[bridge.ThreadKey{Channel: r.lane.Channel, Thread: r.lane.Thread}] = true
	return true
}

// traced is a row of tracedColumns.
type traced struct {
	entry entry
	state int
	lane  bridge.LaneKey
}

// scan goes through all events that are kept, page by page.
func (t *tracing) scan(ctx context.Context, s statement, wanted func(*traced) bool, args ...any) error {
	for after, end := int64(0), false; !end; {
		var bound int64
		found, err := t.journal.find(ctx, doneBound, []any{after, int64(maxSeq)}, &bound)
		if err != nil {
			return err
		}
		if !found {
			bound, end = maxSeq, true
		}
		err = t.journal.each(ctx, s, append([]any{after, bound}, args...), func(scan func(...any) error) error {
			var r traced
			err := scan(append(r.entry.dest(), &r.state)...)
			if err == nil {
				r.lane, err = parseLane(r.entry.lane)
			}
			if err != nil || !wanted(&r) {
				return err
			}
			return t.add(&r)
		})
		if err != nil {
			return err
		}
		after = bound
	}
	return nil
}

// maxSeq is above every seq.
const maxSeq = 1<<63 - 1

func (t *tracing) add(r *traced) error {
	now := t.journal.reading()
	e, err := r.entry.entry(now)
	if err != nil {
		return err
	}
	whole, part := e.ID.Whole()
	event := bridge.TracedEvent{
		Seq: e.Seq, Channel: e.Lane.Channel, Thread: e.Lane.Thread, Direction: e.Lane.Direction.String(), Kind: e.Kind, ID: whole, Part: part,
		Accepted: e.Accepted, State: states[r.state], Failures: e.Attempts, Answer: e.Reason,
	}
	if e.Attempts > 0 {
		event.Last = r.entry.last
	}
	switch r.state {
	case 0:
		event.NextTry = e.NextTry
		if e.Doubt != nil {
			event.InDoubtSince = e.Doubt.Since
		}
	default:
		event.Settled = now.shift.past(r.entry.settled, now.now)
		if e.Doubt != nil && r.state == 2 {
			event.InDoubtSince = e.Doubt.Since
		}
	}
	if dialog, sequence, ok := whole.Position(); ok && e.Lane.Direction == bridge.ToChannel && part == "" {
		event.Dialog, event.Sequence = dialog, &sequence
	}
	t.trace.Events = append(t.trace.Events, event)
	if len(t.trace.Events) > mostTraced {
		t.trace.Events, t.trace.Older = slices.Delete(t.trace.Events, 0, 1), true
	}
	return nil
}

// positions finds the conversations, and where LivePerson has what was delivered.
func (t *tracing) positions(ctx context.Context) error {
	keys := make([]bridge.ThreadKey, 0, len(t.threads))
	for k := range t.threads {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b bridge.ThreadKey) int {
		return cmp.Or(cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Thread, b.Thread))
	})
	t.about = map[position]bool{}
	for _, k := range keys {
		thread, err := t.journal.Thread(ctx, k)
		if err != nil {
			return err
		}
		conversations, err := t.journal.ConversationsOf(ctx, k, tracedConversations)
		if err != nil {
			return err
		}
		if thread == nil && len(conversations) == 0 {
			continue
		}
		shown := bridge.TracedThread{Channel: k.Channel, Thread: k.Thread, Conversations: []bridge.TracedConversation{}}
		if thread != nil {
			shown.ExtConsumer, shown.LPConsumer = thread.ExtConsumer, thread.LPConsumer
		}
		for _, c := range conversations {
			shown.Conversations = append(shown.Conversations, bridge.TracedConversation{ID: c.ID, Open: c.Open, Began: c.Began, Ended: c.Ended})
			for _, dialog := range c.Dialogs {
				if err := t.positionsIn(ctx, dialog); err != nil {
					return err
				}
			}
		}
		t.trace.Threads = append(t.trace.Threads, shown)
	}
	return nil
}

// positionsIn sets where messages are that lie in a dialog.
func (t *tracing) positionsIn(ctx context.Context, dialog string) error {
	at := map[bridge.EventID]int64{}
	for p, e := range t.journal.ledger.inMemory(dialog) {
		at[e.Source] = p.sequence
	}
	err := t.journal.each(ctx, ledgerOf, []any{dialog}, func(scan func(...any) error) error {
		var sequence int64
		var source bridge.EventID
		err := scan(&sequence, &source)
		at[source] = sequence
		return err
	})
	if err != nil {
		return err
	}
	for i := range t.trace.Events {
		e := &t.trace.Events[i]
		own := e.ID
		if e.Part != "" {
			own += bridge.PartMark + bridge.EventID(e.Part)
		}
		sequence, there := at[own]
		if there && e.ID != "" && e.Direction == bridge.ToLivePerson.String() && e.Kind == bridge.KindMessage {
			e.Dialog, e.Sequence = dialog, &sequence
			t.about[position{dialog, sequence}] = true
		}
	}
	return nil
}

// receipts adds those that name the events by where LivePerson has them, or by
// their id. Of a thread all are there already.
func (t *tracing) receipts(ctx context.Context) error {
	for k := range t.threads {
		if string(k.Thread) == t.id {
			continue
		}
		lanes := []any{laneName(k.Lane(bridge.ToLivePerson)), laneName(k.Lane(bridge.ToChannel))}
		if err := t.scan(ctx, tracedReceipts, func(r *traced) bool { return t.isAbout(r.entry.payload) }, lanes...); err != nil {
			return err
		}
	}
	return nil
}

func (t *tracing) isAbout(payload []byte) bool {
	var e bridge.Event
	// What cannot be read is about nothing that we know.
	if json.Unmarshal(payload, &e) != nil {
		return false
	}
	if e.Position != nil {
		for _, sequence := range e.Position.Sequences {
			if t.about[position{e.Position.Dialog, sequence}] {
				return true
			}
		}
	}
	return e.Receipt != nil && slices.ContainsFunc(e.Receipt.MessageIDs, func(id bridge.EventID) bool { return string(id) == t.id })
}
