package journal

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"lpbridge/bridge"
)

// pageRows is how many rows the statements for pages return at most.
const pageRows = 1000

// Archive finds, shows and erases what a journal keeps of one person.
type Archive struct{ *Journal }

// Archive returns the journal's.
func (j *Journal) Archive() *Archive { return &Archive{j} }

// Identify adds to a person what the journal knows them by: their ids with
// LivePerson, threads, conversations. Of a thread that is named its consumer is
// the person, unless another one is named: [bridge.ErrAnothers] then.
func (j *Archive) Identify(ctx context.Context, p *bridge.Person) error {
	for _, step := range []func(context.Context, *bridge.Person) error{j.ownersOf, j.consumersOf, j.threadsOf, j.strayThreads, j.conversationsOf} {
		if err := step(ctx, p); err != nil {
			return fmt.Errorf("journal: identify a consumer: %w", err)
		}
	}
	return nil
}

// ownersOf finds whose the threads are that are named.
func (j *Archive) ownersOf(ctx context.Context, p *bridge.Person) error {
	named := len(p.Consumers) > 0
	for _, id := range p.Threads {
		t, err := j.Thread(ctx, bridge.ThreadKey{Channel: p.Channel, Thread: id})
		switch {
		case err != nil:
			return err
		case t == nil || t.Consumer == "":
		case !named:
			add(&p.Consumers, t.Consumer)
		case !slices.Contains(p.Consumers, t.Consumer):
			return bridge.ErrAnothers
		}
	}
	return nil
}

// consumersOf finds what is kept of the consumers, also by an ext_consumer_id.
func (j *Archive) consumersOf(ctx context.Context, p *bridge.Person) error {
	if len(p.Consumers) == 0 && len(p.ExtConsumers) > 0 {
		if err := j.consumersCalled(ctx, p); err != nil {
			return err
		}
	}
	for _, id := range p.Consumers {
		row, err := j.Consumer(ctx, p.Channel, id)
		if err != nil {
			return err
		}
		if row != nil {
			add(&p.ExtConsumers, row.ExtConsumer)
			add(&p.LPConsumers, row.LPConsumer)
		}
	}
	return nil
}

// consumersCalled finds the consumers that LivePerson knows by an ext_consumer_id,
// by what is kept of them or by their threads.
func (j *Archive) consumersCalled(ctx context.Context, p *bridge.Person) error {
	channel, id := p.Channel, ""
	after := func() []any { return []any{channel, id} }
	err := j.pages(ctx, consumersPage, after, func(scan func(...any) error) error {
		var ext, lp string
		err := scan(&channel, &id, &ext, &lp)
		if channel == p.Channel && slices.Contains(p.ExtConsumers, ext) {
			add(&p.Consumers, bridge.ConsumerID(id))
		}
		return err
	})
	if err != nil {
		return err
	}
	channel, id = p.Channel, ""
	return j.pages(ctx, threadsPage, after, func(scan func(...any) error) error {
		var consumer, ext string
		err := scan(&channel, &id, &consumer, &ext)
		if channel == p.Channel && slices.Contains(p.ExtConsumers, ext) {
			add(&p.Consumers, bridge.ConsumerID(consumer))
		}
		return err
	})
}

// threadsOf finds the threads of the consumers.
func (j *Archive) threadsOf(ctx context.Context, p *bridge.Person) error {
	for _, consumer := range p.Consumers {
		list, err := j.threadList(ctx, threadsOfConsumer, p.Channel, string(consumer))
		if err != nil {
			return err
		}
		for i := range list {
			add(&p.Threads, list[i].ID)
			add(&p.ExtConsumers, list[i].ExtConsumer)
			add(&p.LPConsumers, list[i].LPConsumer)
		}
	}
	return nil
}

// strayThreads finds threads that have no row, by the events in them that name the
// person: those whose first message became a dead letter.
func (j *Archive) strayThreads(ctx context.Context, p *bridge.Person) error {
	for _, consumer := range p.Consumers {
		name, err := json.Marshal(string(consumer))
		if err != nil {
			return err
		}
		var found []int64
		err = j.eachEvent(ctx, name, func(seq int64, lane bridge.LaneKey, named bool) {
			if named && lane.Channel == p.Channel && !slices.Contains(p.Threads, lane.Thread) {
				found = append(found, seq)
			}
		})
		if err != nil {
			return err
		}
		for _, seq := range found {
			if err := j.strayThread(ctx, p, consumer, seq); err != nil {
				return err
			}
		}
	}
	return nil
}

// strayThread adds the thread of an event if it has no row and the event is the
// consumer's: their id may be in it as something else.
func (j *Archive) strayThread(ctx context.Context, p *bridge.Person, consumer bridge.ConsumerID, seq int64) error {
	e, _, err := j.eventAt(ctx, seq)
	if err != nil || e == nil {
		return err
	}
	event, err := e.Decode()
	if err != nil || event.Consumer == nil || event.Consumer.ID != consumer {
		// What cannot be read names nobody.
		return nil
	}
	t, err := j.Thread(ctx, e.ThreadKey())
	if err == nil && (t == nil || t.Consumer == "") {
		add(&p.Threads, e.Lane.Thread)
	}
	return err
}

// conversationsOf finds LivePerson's conversations of the person, also those that
// no thread holds any more.
func (j *Archive) conversationsOf(ctx context.Context, p *bridge.Person) error {
	var id string
	err := j.pages(ctx, conversationsPage, func() []any { return []any{id} }, func(scan func(...any) error) error {
		var channel, thread, ext, lp string
		err := scan(&id, &channel, &thread, &ext, &lp)
		if channel == p.Channel && slices.Contains(p.Threads, bridge.ThreadID(thread)) || slices.Contains(p.ExtConsumers, ext) || slices.Contains(p.LPConsumers, lp) {
			add(&p.Conversations, id)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, conversation := range p.Conversations {
		err := j.each(ctx, dialogsOf, []any{conversation}, func(scan func(...any) error) error {
			var dialog string
			err := scan(&dialog)
			add(&p.Dialogs, dialog)
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// pages goes through all rows of a statement that returns them a page at a time,
// after the key of the last.
func (j *Archive) pages(ctx context.Context, s statement, after func() []any, row func(scan func(...any) error) error) error {
	for {
		n := 0
		err := j.each(ctx, s, after(), func(scan func(...any) error) error {
			n++
			return row(scan)
		})
		if err != nil || n < pageRows {
			return err
		}
	}
}

// eachEvent goes through all events that are kept and says of each whether some
// bytes are in it, which must not be none.
func (j *Archive) eachEvent(ctx context.Context, part []byte, event func(seq int64, lane bridge.LaneKey, has bool)) error {
	var seq int64
	return j.pages(ctx, eventsPage, func() []any { return []any{part, seq} }, func(scan func(...any) error) error {
		var name string
		var has bool
		if err := scan(&seq, &name, &has); err != nil {
			return err
		}
		lane, err := parseLane(name)
		if err == nil {
			event(seq, lane, has)
		}
		return err
	})
}

// eventAt reads an event whatever became of it; nil when it is gone.
func (j *Archive) eventAt(ctx context.Context, seq int64) (*bridge.Entry, *traced, error) {
	var row traced
	found, err := j.find(ctx, eventAt, []any{seq}, append(row.entry.dest(), &row.state)...)
	if err != nil || !found {
		return nil, nil, err
	}
	e, err := row.entry.entry(j.reading())
	return &e, &row, err
}

// personal are the rows of a person that their own keys do not name.
type personal struct {
	events    []int64
	positions []placed
	unclaimed []int64
}

// personal finds them.
func (j *Archive) personal(ctx context.Context, p *bridge.Person) (personal, error) {
	var rows personal
	err := j.eachEvent(ctx, []byte{0}, func(seq int64, lane bridge.LaneKey, _ bool) {
		if lane.Channel == p.Channel && slices.Contains(p.Threads, lane.Thread) {
			rows.events = append(rows.events, seq)
		}
	})
	if err != nil {
		return rows, err
	}
	if rows.positions, err = j.positionsOf(ctx, p); err != nil {
		return rows, err
	}
	err = j.eachUnclaimed(ctx, p, func(u *bridge.Unclaimed) error {
		rows.unclaimed = append(rows.unclaimed, u.ID)
		return nil
	})
	return rows, err
}

// placed is a position and the message that stands there.
type placed struct {
	position
	source string
	saved  time.Time
}

// positionsOf lists what the ledger has of a person, but for what it has not sorted
// in.
func (j *Archive) positionsOf(ctx context.Context, p *bridge.Person) (list []placed, err error) {
	var at position
	shift, now := j.clock.shift(), j.clock.read()
	err = j.pages(ctx, positionsPage, func() []any { return []any{at.dialog, at.sequence} }, func(scan func(...any) error) error {
		var channel, thread, source string
		var saved int64
		err := scan(&at.dialog, &at.sequence, &channel, &thread, &source, &saved)
		if slices.Contains(p.Dialogs, at.dialog) || channel == p.Channel && slices.Contains(p.Threads, bridge.ThreadID(thread)) {
			list = append(list, placed{at, source, shift.past(saved, now)})
		}
		return err
	})
	return list, err
}

// eachUnclaimed goes through the changes nobody claimed that name something of a
// person.
func (j *Archive) eachUnclaimed(ctx context.Context, p *bridge.Person, each func(*bridge.Unclaimed) error) error {
	for after := int64(0); ; {
		list, err := j.AllUnclaimed(ctx, after, pageRows)
		if err != nil || len(list) == 0 {
			return err
		}
		for i := range list {
			if slices.Contains(p.Conversations, list[i].Conversation) || p.NamedIn(list[i].Body) {
				if err := each(&list[i]); err != nil {
					return err
				}
			}
		}
		after = list[len(list)-1].ID
	}
}

// add adds an id that is not there yet; none is no id.
func add[T ~string](to *[]T, id T) {
	if id != "" && !slices.Contains(*to, id) {
		*to = append(*to, id)
	}
}

// number writes one as an id.
func number(n int64) string { return strconv.FormatInt(n, 10) }
