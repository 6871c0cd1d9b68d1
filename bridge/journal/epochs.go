package journal

import (
	"context"
	"fmt"
	"time"

	"lpbridge/bridge"
)

// An epoch is the number of a process that started the journal. Entries are
// marked with it when their delivery begins, which costs one write where an
// inference from how the process ended could not tell one entry from another.

// aliveEvery is how often it is noted that the process lives, if it writes at
// all.
const aliveEvery = time.Second

// epochs is what is known of the processes before this one.
type epochs struct {
	// current is that of this process.
	current int64
	// broken are those that did not close their journal, with the time when that
	// was found out as the database has it.
	broken map[int64]int64
	// Of those up to forgotten nothing is known any more, and the worst is
	// assumed.
	forgotten   int64
	forgottenAt int64
	// from is when the process before last wrote, to when this one opened the
	// journal.
	from, to time.Time
}

// loadEpochs reads the epochs, notes when the last one did not end in order, and
// sets the clock going where that left it.
func loadEpochs(ctx context.Context, db store, clock *steadyClock) (epochs, error) {
	now, before := clock.read(), db.left()
	e := epochs{broken: map[int64]int64{}, to: now, from: before.touched}
	last, _, err := db.meta(ctx, metaEpoch)
	if err != nil {
		return e, err
	}
	e.current = last + 1
	wrote, known, err := resumeClock(ctx, db, clock)
	if err != nil {
		return e, err
	}
	if known {
		e.from = wrote
	}
	switch {
	case e.from.IsZero() || before.fresh:
		e.from = now
	case e.from.After(now.Add(jump)):
		// The clock went back, and nobody knows for how long.
		e.from = now.Add(-maxAbsence)
	case e.from.After(now):
		e.from = now
	}
	clean, known, err := db.meta(ctx, metaClean)
	if err != nil {
		return e, err
	}
	// A journal that never started cut nothing off.
	if known && clean == 0 {
		s := clock.shift()
		if err := db.noteBroken(ctx, last, s.steady(now), s.steady(e.from)); err != nil {
			return e, fmt.Errorf("note that the process before was cut off: %w", err)
		}
	}
	return e, e.loadBroken(ctx, db)
}

func (e *epochs) loadBroken(ctx context.Context, db store) error {
	forgotten, _, err := db.meta(ctx, metaForgotten)
	if err != nil {
		return err
	}
	at, _, err := db.meta(ctx, metaForgottenAt)
	if err != nil {
		return err
	}
	e.forgotten, e.forgottenAt = forgotten, at
	return db.list(ctx, brokenEpochs, nil, func(scan func(...any) error) error {
		var epoch, found int64
		if err := scan(&epoch, &found); err != nil {
			return err
		}
		e.broken[epoch] = found
		return nil
	})
}

// noteBroken writes down that an epoch did not end in order. Only the first
// note counts: what is in doubt must not wait anew with each start.
func (s store) noteBroken(ctx context.Context, epoch, found, alive int64) error {
	_, err := s.exec(ctx, insertEpoch, []any{epoch, found, alive})
	return err
}

// found says when it was found out that a delivery begun in an epoch may have
// been cut off, and whether it may.
func (e *epochs) found(begun int64) (at int64, broken bool) {
	switch {
	case begun == 0 || begun == e.current:
		return 0, false
	case begun <= e.forgotten:
		return e.forgottenAt, true
	}
	at, broken = e.broken[begun]
	return at, broken
}

// resumeClock sets the clock going where the process before left it, and
// returns what the machine's clock said when that last wrote.
func resumeClock(ctx context.Context, db store, clock *steadyClock) (wrote time.Time, known bool, err error) {
	ahead, _, err := db.meta(ctx, metaAhead)
	if err != nil {
		return wrote, false, err
	}
	alive, known, err := db.meta(ctx, metaAlive)
	if err != nil {
		return wrote, false, err
	}
	before := shift(ahead) * shift(time.Microsecond)
	wrote = before.read(alive)
	clock.resume(time.Duration(before), wrote)
	return wrote, known, nil
}

// Absence implements [bridge.Journal].
func (j *Journal) Absence() (from, to time.Time) { return j.epochs.from, j.epochs.to }

// live notes now and then that the process lives.
func (t *transaction) live() error {
	if since := t.now.Sub(t.w.alive); since >= 0 && since < aliveEvery && t.shift == t.w.shift {
		return nil
	}
	t.alive = t.now
	if err := t.w.j.db.verify(); err != nil {
		return err
	}
	if _, err := t.exec(upsertMeta, metaAlive, t.stamp); err != nil {
		return err
	}
	if _, err := t.exec(upsertMeta, metaAfloat, t.w.j.afloat.lowest(t.w.seq.last+1)); err != nil {
		return err
	}
	// With it the next process knows what the machine's clock said.
	_, err := t.exec(upsertMeta, metaAhead, time.Duration(t.shift).Microseconds())
	return err
}

// startWrite makes a start known, so that an end without close can be told.
type startWrite struct {
	wait
	j         *Journal
	committed func([]bridge.Entry)
}

func (s *startWrite) apply(t *transaction) error {
	t.w.committed = s.committed
	if _, err := t.exec(upsertMeta, metaClean, 0); err != nil {
		return err
	}
	_, err := t.exec(upsertMeta, metaEpoch, s.j.epochs.current)
	return err
}

// closeWrite leaves everything as an orderly end should: the marker, and no
// numbers set aside.
type closeWrite struct {
	wait
	j       *Journal
	started bool
}

func (s *closeWrite) apply(t *transaction) error {
	if !s.started {
		return nil
	}
	if _, err := t.exec(upsertMeta, metaSeq, t.seq.last); err != nil {
		return err
	}
	if _, err := t.exec(upsertMeta, metaRevision, t.revision.last); err != nil {
		return err
	}
	if err := t.noteCounts(); err != nil {
		return err
	}
	if err := t.landAll(); err != nil {
		return err
	}
	for _, u := range s.j.counters.unused() {
		if _, err := t.exec(setCounter, u.last, u.channel, u.kind, u.limit); err != nil {
			return err
		}
	}
	// A settlement that could not be written leaves its entry in doubt.
	if t.w.gaveUp {
		return nil
	}
	_, err := t.exec(upsertMeta, metaClean, 1)
	return err
}

// checkWrite writes something.
type checkWrite struct{ wait }

func (checkWrite) apply(t *transaction) error {
	if err := t.w.j.db.verify(); err != nil {
		return err
	}
	_, err := t.exec(upsertMeta, metaChecked, t.stamp)
	return err
}
