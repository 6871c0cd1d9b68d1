package journal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"lpbridge/bridge"
)

// access is how the journal's trades get at what is kept, for as long as it can
// be trusted: they read from the database, and write through the writer.
type access struct {
	db store
	w  *writer
}

// find reads the row a statement may have and reports whether it had.
func (a access) find(ctx context.Context, s statement, args []any, dest ...any) (bool, error) {
	if err := a.w.usable(); err != nil {
		return false, err
	}
	return a.db.find(ctx, s, args, dest...)
}

// each calls row for every row of a statement, which must not read by itself.
func (a access) each(ctx context.Context, s statement, args []any, row func(scan func(...any) error) error) error {
	if err := a.w.usable(); err != nil {
		return err
	}
	return a.db.list(ctx, s, args, row)
}

// readError marks an error of the database. The end of a context is the
// caller's doing and stays what it is.
func readError(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%w: %w", bridge.ErrStorage, err)
}

// Lanes implements [bridge.Journal].
func (j *Journal) Lanes(ctx context.Context, after bridge.LaneKey, limit int) ([]bridge.LaneKey, error) {
	var start string
	if after != (bridge.LaneKey{}) {
		start = laneName(after)
	}
	// What is afloat is looked at first: it may be entered in the index meanwhile.
	names := j.afloat.names(start)
	err := j.each(ctx, lanesAfter, []any{start, limit}, func(scan func(...any) error) error {
		var name string
		err := scan(&name)
		names = append(names, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("journal: lanes: %w", err)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	names = names[:min(len(names), limit)]
	lanes := make([]bridge.LaneKey, len(names))
	for i, name := range names {
		if lanes[i], err = parseLane(name); err != nil {
			return nil, fmt.Errorf("journal: lanes: %w", err)
		}
	}
	return lanes, nil
}

// PendingOf implements [bridge.Journal].
func (j *Journal) PendingOf(ctx context.Context, lane bridge.LaneKey, after int64, limit int) ([]bridge.Entry, error) {
	var list []bridge.Entry
	add := func(scan func(...any) error) error {
		var row entry
		if err := scan(row.dest()...); err != nil {
			return err
		}
		e, err := row.entry(j.reading())
		list = append(list, e)
		return err
	}
	// What is afloat is looked at first: it may be entered in the index meanwhile.
	for _, seq := range j.afloat.of(lane, after) {
		if err := j.each(ctx, pendingAfloat, []any{seq}, add); err != nil {
			return nil, fmt.Errorf("journal: pending events: %w", err)
		}
	}
	if err := j.each(ctx, pendingOf, []any{laneName(lane), after, limit}, add); err != nil {
		return nil, fmt.Errorf("journal: pending events: %w", err)
	}
	slices.Reverse(list)
	slices.SortStableFunc(list, func(a, b bridge.Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	list = slices.CompactFunc(list, func(a, b bridge.Entry) bool { return a.Seq == b.Seq })
	return list[:min(len(list), limit)], nil
}

// DeadLetters implements [bridge.Journal].
func (j *Journal) DeadLetters(ctx context.Context, after int64, limit int) ([]bridge.DeadLetter, error) {
	return j.deadLetters(ctx, deadLetters, after, limit)
}

// DeadLetter implements [bridge.Journal].
func (j *Journal) DeadLetter(ctx context.Context, seq int64) (*bridge.DeadLetter, error) {
	list, err := j.deadLetters(ctx, deadEntry, seq)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

func (j *Journal) deadLetters(ctx context.Context, s statement, args ...any) ([]bridge.DeadLetter, error) {
	var list []bridge.DeadLetter
	err := j.each(ctx, s, args, func(scan func(...any) error) error {
		var row entry
		if err := scan(row.dest()...); err != nil {
			return err
		}
		r := j.reading()
		e, err := row.entry(r)
		list = append(list, bridge.DeadLetter{Entry: e, Died: r.shift.past(row.settled, r.now), Expired: row.expired})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("journal: dead letters: %w", err)
	}
	return list, nil
}
