package journal

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"lpbridge/bridge"
)

// eraseEvery is how long is waited for what runs in the background before it is
// looked again whether a person can be erased.
const eraseEvery = 50 * time.Millisecond

// Erasing finds everything of a person that was identified, and returns what removes
// it together with the records that are named, in one transaction. Nothing is removed
// while a conversation of theirs is open or an event waits: [bridge.ErrNotAtRest]. What came meanwhile stays. [Journal.Scrub] must
// follow, and does after the next start if it does not.
func (j *Archive) Erasing(ctx context.Context, p *bridge.Person) (commit func(context.Context, []bridge.RecordKey) (bridge.Erased, error), err error) {
	j.sortLedger(ctx, p)
	rows, err := j.personal(ctx, p)
	if err == nil && len(rows.events) > 0 {
		err = j.keepKeys(ctx, rows.events[len(rows.events)-1])
	}
	if err != nil {
		return nil, fmt.Errorf("journal: erase: %w", err)
	}
	return func(ctx context.Context, records []bridge.RecordKey) (bridge.Erased, error) {
		s := &eraseWrite{wait: newWait(), j: j.Journal, person: p, rows: rows, records: records}
		err := j.w.do(ctx, s)
		if err == nil {
			err = s.refused
		}
		if err != nil {
			return bridge.Erased{}, fmt.Errorf("journal: erase: %w", err)
		}
		return s.erased, nil
	}, nil
}

// keepKeys has idempotency keys written for which events stand in, up to a seq.
func (j *Archive) keepKeys(ctx context.Context, upTo int64) error {
	for {
		s := &keptKeysWrite{keysWrite: keysWrite{wait: newWait(), w: j.w, now: math.MinInt64, before: math.MaxInt64}, upTo: upTo}
		if err := j.w.do(ctx, s); err != nil || s.whole {
			return err
		}
		if err := pauseFor(ctx, eraseEvery); err != nil {
			return err
		}
	}
}

// keptKeysWrite has the keys that are in no run written, and finds out whether some
// events stand in for none any more.
type keptKeysWrite struct {
	keysWrite
	upTo  int64
	whole bool
}

func (s *keptKeysWrite) apply(t *transaction) error {
	s.whole = t.w.keys.upTo(s.upTo)
	return s.keysWrite.apply(t)
}

// upTo reports whether the keys of events up to a seq are in runs.
func (k *keys) upTo(seq int64) bool { return k.mark >= seq || len(k.fresh) == 0 && k.closing == nil }

// sortLedger has the ledger sort in what it has of a person, and waits for it as
// long as ctx lasts.
func (j *Archive) sortLedger(ctx context.Context, p *bridge.Person) {
	for j.ledger.unsorted(p) && j.w.usable() == nil {
		j.ledger.move(1, math.MaxInt64)
		if pauseFor(ctx, eraseEvery) != nil {
			return
		}
	}
}

// unsorted reports whether something of a person is not sorted in.
func (l *ledger) unsorted(p *bridge.Person) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, list := range []map[position]entered{l.fresh, l.moving} {
		for at, e := range list {
			if slices.Contains(p.Dialogs, at.dialog) || e.Channel == p.Channel && slices.Contains(p.Threads, e.Thread) {
				return true
			}
		}
	}
	return false
}

// pauseFor waits, or until ctx ends.
func pauseFor(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// eraseWrite removes a person.
type eraseWrite struct {
	wait
	j       *Journal
	person  *bridge.Person
	rows    personal
	records []bridge.RecordKey
	// refused is why nothing was removed.
	refused error
	erased  bridge.Erased
}

func (s *eraseWrite) apply(t *transaction) error {
	s.erased = bridge.Erased{}
	refused, err := s.mayErase(t)
	if s.refused = refused; refused != nil || err != nil {
		return err
	}
	for _, part := range []func(*transaction) error{s.eraseEvents, s.eraseStandings, s.eraseRest, s.eraseRecords} {
		if err := part(t); err != nil {
			return err
		}
	}
	_, err = t.exec(upsertMeta, metaScrub, 1)
	return err
}

// mayErase says why nothing can be removed now, nil when it can.
func (s *eraseWrite) mayErase(t *transaction) (refused, err error) {
	for _, thread := range s.person.Threads {
		key := bridge.ThreadKey{Channel: s.person.Channel, Thread: thread}
		for _, d := range []bridge.Direction{bridge.ToLivePerson, bridge.ToChannel} {
			waits, err := t.waitsIn(key.Lane(d))
			if err != nil || waits {
				return bridge.ErrNotAtRest, err
			}
		}
		var one int
		if open, err := t.row(openIn, []any{key.Channel, string(key.Thread)}, &one); open || err != nil {
			return bridge.ErrNotAtRest, err
		}
	}
	for _, id := range s.person.Conversations {
		var one int
		if open, err := t.row(openOne, []any{id}, &one); open || err != nil {
			return bridge.ErrNotAtRest, err
		}
	}
	if n := len(s.rows.events); n > 0 && !t.w.keys.upTo(s.rows.events[n-1]) || s.j.ledger.unsorted(s.person) {
		return bridge.ErrNotAtRest, nil
	}
	return nil, nil
}

// waitsIn reports whether an event of a lane is pending.
func (t *transaction) waitsIn(lane bridge.LaneKey) (bool, error) {
	of := func(e bridge.Entry) bool { return e.Lane == lane }
	if len(t.w.j.afloat.of(lane, 0)) > 0 || slices.ContainsFunc(t.fresh, of) {
		return true, nil
	}
	var one int
	return t.row(waitsIn, []any{laneName(lane)}, &one)
}

func (s *eraseWrite) eraseEvents(t *transaction) error {
	for _, seq := range s.rows.events {
		dead, err := t.exec(eraseDead, seq)
		if err != nil {
			return err
		}
		done, err := t.exec(eraseDone, seq)
		if err != nil {
			return err
		}
		t.dead -= dead
		s.erased.DeadLetters += int(dead)
		s.erased.Events += int(dead + done)
	}
	return nil
}

func (s *eraseWrite) eraseStandings(t *transaction) error {
	p := s.person
	for _, thread := range p.Threads {
		n, err := t.exec(eraseThread, p.Channel, string(thread))
		if err != nil {
			return err
		}
		s.erased.Threads += int(n)
	}
	for _, id := range p.Conversations {
		n, err := t.exec(eraseConversation, id)
		if err != nil {
			return err
		}
		s.erased.Conversations += int(n)
		if _, err := t.exec(deleteDialogs, id); err != nil {
			return err
		}
	}
	for _, id := range p.Consumers {
		n, err := t.exec(eraseConsumer, p.Channel, string(id))
		if err != nil {
			return err
		}
		s.erased.Consumers += int(n)
	}
	return nil
}

// eraseRest removes positions, marks, and changes nobody claimed.
func (s *eraseWrite) eraseRest(t *transaction) error {
	var total int64
	for _, at := range s.rows.positions {
		n, err := t.exec(erasePosition, at.dialog, at.sequence)
		if err != nil {
			return err
		}
		total += n
	}
	for _, thread := range s.person.Threads {
		for _, st := range []statement{eraseComposing, erasePositions} {
			n, err := t.exec(st, s.person.Channel, string(thread))
			if err != nil {
				return err
			}
			total += n
		}
	}
	before := t.unclaimed.rows
	if err := (&dropWrite{ids: s.rows.unclaimed}).apply(t); err != nil {
		return err
	}
	s.erased.Others = int(total + before - t.unclaimed.rows)
	return nil
}

func (s *eraseWrite) eraseRecords(t *transaction) error {
	for _, r := range s.records {
		if err := t.dropKeys(r.Channel, r.Kind, r.ID); err != nil {
			return err
		}
		n, err := t.exec(deleteRecord, r.Channel, r.Kind, r.ID)
		if err != nil {
			return err
		}
		s.erased.Records += int(n)
	}
	return nil
}
