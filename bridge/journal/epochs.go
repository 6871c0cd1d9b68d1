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
	// was found out.
	broken map[int64]time.Time
	// Of those up to forgotten nothing is known any more, and the worst is
	// assumed.
	forgotten   int64
	forgottenAt time.Time
	// from is when the process before last wrote, to when this one opened the
	// journal.
	from, to time.Time
}

// loadEpochs reads the epochs and notes when the last one did not end in order.
func (j *Journal) loadEpochs(ctx context.Context, now time.Time) error {
	e := epochs{broken: map[int64]time.Time{}, to: now, from: j.db.touched}
	last, _, err := j.meta(ctx, metaEpoch)
	if err != nil {
		return err
	}
	e.current = last + 1
	alive, known, err := j.meta(ctx, metaAlive)
	if err != nil {
		return err
	}
	if known {
		e.from = fromMicros(alive)
	}
	if e.from.IsZero() || j.db.fresh {
		e.from = now
	}
	clean, known, err := j.meta(ctx, metaClean)
	if err != nil {
		return err
	}
	// A journal that never started cut nothing off.
	j.clean = !known || clean == 1
	if !j.clean {
		if err := j.db.noteBroken(ctx, last, now, e.from); err != nil {
			return fmt.Errorf("note that the process before was cut off: %w", err)
		}
	}
	if err := j.loadBroken(ctx, &e); err != nil {
		return err
	}
	j.epochs = e
	return nil
}

func (j *Journal) loadBroken(ctx context.Context, e *epochs) error {
	forgotten, _, err := j.meta(ctx, metaForgotten)
	if err != nil {
		return err
	}
	at, _, err := j.meta(ctx, metaForgottenAt)
	if err != nil {
		return err
	}
	e.forgotten, e.forgottenAt = forgotten, fromMicros(at)
	return j.db.each(ctx, brokenEpochs, nil, func(scan func(...any) error) error {
		var epoch, found int64
		if err := scan(&epoch, &found); err != nil {
			return err
		}
		e.broken[epoch] = fromMicros(found)
		return nil
	})
}

// noteBroken writes down that an epoch did not end in order. Only the first
// note counts: what is in doubt must not wait anew with each start.
func (d *database) noteBroken(ctx context.Context, epoch int64, found, alive time.Time) error {
	_, err := d.stmts[insertEpoch].ExecContext(ctx, epoch, micros(found), micros(alive))
	return err
}

// doubt says whether an entry may have arrived. begun is the epoch in which its
// delivery last began, stored what a settlement left.
func (e *epochs) doubt(begun int64, stored *bridge.Doubt) *bridge.Doubt {
	if begun == 0 || begun == e.current {
		return stored
	}
	found, broken := e.broken[begun]
	if begun <= e.forgotten {
		found, broken = e.forgottenAt, true
	}
	if !broken {
		return stored
	}
	// The delivery that was cut off may have gone to any dialog.
	if stored != nil && stored.Since.After(found) {
		found = stored.Since
	}
	return &bridge.Doubt{Since: found}
}

// Absence implements [bridge.Journal].
func (j *Journal) Absence() (from, to time.Time) { return j.epochs.from, j.epochs.to }

// Clean implements [bridge.Journal].
func (j *Journal) Clean() bool { return j.clean }

// live notes now and then that the process lives.
func (t *transaction) live() error {
	if since := t.now.Sub(t.w.alive); since >= 0 && since < aliveEvery {
		return nil
	}
	t.alive = t.now
	_, err := t.exec(upsertMeta, metaAlive, micros(t.now))
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
	for _, u := range s.j.unusedNumbers() {
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
	_, err := t.exec(upsertMeta, metaChecked, micros(t.now))
	return err
}
