package journal

import (
	"context"
	"fmt"

	"lpbridge/bridge"
)

// startStep makes a start known, so that an end without close can be told.
type startStep struct {
	wait
	committed func([]bridge.Entry)
}

func (s *startStep) apply(t *transaction) error {
	t.w.committed = s.committed
	_, err := t.exec(upsertMeta, metaClean, 0)
	return err
}

// closeStep leaves everything as an orderly end should: the marker, and no
// numbers set aside.
type closeStep struct {
	wait
	j       *Journal
	started bool
}

func (s *closeStep) apply(t *transaction) error {
	if !s.started {
		return nil
	}
	if _, err := t.exec(upsertMeta, metaSeq, t.seq); err != nil {
		return err
	}
	for _, u := range s.j.unusedNumbers() {
		if _, err := t.exec(setCounter, u.last, u.channel, u.kind, u.limit); err != nil {
			return err
		}
	}
	_, err := t.exec(upsertMeta, metaClean, 1)
	return err
}

// checkStep writes something.
type checkStep struct{ wait }

func (checkStep) apply(t *transaction) error {
	_, err := t.exec(upsertMeta, metaChecked, micros(t.now))
	return err
}

// flagStep writes a flag.
type flagStep struct {
	wait
	name, value string
}

func (s *flagStep) apply(t *transaction) error {
	_, err := t.exec(upsertFlag, s.name, s.value)
	return err
}

// Flag implements [bridge.Journal].
func (j *Journal) Flag(ctx context.Context, name string) (string, error) {
	var value string
	if _, err := j.scanFound(ctx, flagOf, []any{name}, &value); err != nil {
		return "", fmt.Errorf("journal: flag: %w", err)
	}
	return value, nil
}

// SetFlag implements [bridge.Journal].
func (j *Journal) SetFlag(ctx context.Context, name, value string) error {
	if err := j.w.do(ctx, &flagStep{wait: newWait(), name: name, value: value}); err != nil {
		return fmt.Errorf("journal: set flag: %w", err)
	}
	return nil
}

// appendStep stores a batch.
type appendStep struct {
	wait
	j     *Journal
	batch bridge.Batch
	seqs  []int64
	// refused is why the batch as such cannot be stored.
	refused error
}

// Append implements [bridge.Journal]. When ctx ends before the batch is on
// disk, Append returns the error of ctx and the batch may be stored all the
// same; whoever sends it again meets the idempotency keys.
func (j *Journal) Append(ctx context.Context, b bridge.Batch) ([]int64, error) {
	n := int64(len(b.Entries))
	if n == 0 && len(b.Records) == 0 {
		return nil, nil
	}
	if n > 0 && j.pending.Load()+j.queued.Add(n) > j.opts.MaxPending {
		j.queued.Add(-n)
		return nil, fmt.Errorf("journal: append: %w", bridge.ErrBusy)
	}
	s := &appendStep{wait: newWait(), j: j, batch: b}
	if err := j.w.do(ctx, s); err != nil {
		return nil, fmt.Errorf("journal: append: %w", err)
	}
	if s.refused != nil {
		return nil, fmt.Errorf("journal: append: %w", s.refused)
	}
	return s.seqs, nil
}

func (s *appendStep) apply(t *transaction) error {
	refused, err := t.checkKeys(s.batch.Records)
	if err != nil || refused != nil {
		s.refused = refused
		return err
	}
	s.seqs = make([]int64, len(s.batch.Entries))
	for i := range s.batch.Entries {
		if s.seqs[i], err = t.add(s.batch.Entries[i]); err != nil {
			return err
		}
	}
	return t.saveRecords(s.batch.Records)
}

func (s *appendStep) finish(err error) {
	s.j.queued.Add(-int64(len(s.batch.Entries)))
	if err == nil && s.refused == nil {
		s.j.passNumbers(s.batch.Records)
	}
	s.wait.finish(err)
}

// settleStep records how a delivery ended.
type settleStep struct{ bridge.Settlement }

// Settle implements [bridge.Journal]. It waits up to two milliseconds for
// a transaction to ride along with, for a flush of its own would hold up those
// who wait for an answer. When the disk is full, settlements are kept
// and tried again until they succeed or the journal is closed.
func (j *Journal) Settle(s bridge.Settlement) {
	j.w.push(&settleStep{s}, settlePatience)
}

func (s *settleStep) kept() bool { return true }

func (s *settleStep) finish(err error) {
	if s.Durable != nil {
		s.Durable(err)
	}
}

func (s *settleStep) apply(t *transaction) error {
	if err := t.conclude(&s.Settlement); err != nil {
		return err
	}
	if s.Dialog != "" {
		if err := t.raise(bridge.ThreadKey{Channel: s.Lane.Channel, Thread: s.Lane.Thread}, place{s.Dialog, s.Sequence}); err != nil {
			return err
		}
		if s.Source != "" {
			if _, err := t.exec(insertSent, s.Dialog, s.Sequence, string(s.Source), micros(t.now)); err != nil {
				return err
			}
		}
	}
	for _, e := range s.Follow {
		if _, err := t.add(e); err != nil {
			return err
		}
	}
	return nil
}

// conclude decides what becomes of the entry. An entry that is not pending
// stays as it is.
func (t *transaction) conclude(s *bridge.Settlement) error {
	var n int64
	var err error
	switch {
	case s.Final == bridge.Pending:
		_, err = t.exec(retryPending, s.Attempts, micros(s.NextTry), s.Outcome.String(), s.Seq)
		return err
	case s.Final == bridge.Dead:
		n, err = t.exec(killPending, s.Attempts, s.Outcome.String(), micros(t.now), s.Seq)
		t.dead += n
	case t.w.j.opts.Retention == 0:
		n, err = t.exec(deletePending, s.Seq)
	default:
		n, err = t.exec(finishPending, micros(t.now), s.Seq)
	}
	t.pending -= n
	return err
}

// reviveStep makes a dead letter pending again.
type reviveStep struct {
	wait
	seq   int64
	found bool
}

// Revive implements [bridge.Journal].
func (j *Journal) Revive(ctx context.Context, seq int64) (bool, error) {
	s := &reviveStep{wait: newWait(), seq: seq}
	if err := j.w.do(ctx, s); err != nil {
		return false, fmt.Errorf("journal: revive: %w", err)
	}
	return s.found, nil
}

func (s *reviveStep) apply(t *transaction) error {
	var row entry
	var err error
	if s.found, err = t.row(deadEntry, []any{s.seq}, row.dest()...); err != nil || !s.found {
		return err
	}
	e, err := row.entry()
	if err != nil {
		return err
	}
	if e.Seq, err = t.nextSeq(); err != nil {
		return err
	}
	e.Accepted, e.Attempts, e.Last = t.now, 0, parseOutcome("")
	e.NextTry = fromMicros(0)
	if _, err := t.exec(reviveDead, e.Seq, micros(e.Accepted), s.seq); err != nil {
		return err
	}
	t.dead--
	t.pending++
	t.fresh = append(t.fresh, e)
	return nil
}

// discardStep removes a dead letter.
type discardStep struct {
	wait
	seq   int64
	found bool
}

// Discard implements [bridge.Journal].
func (j *Journal) Discard(ctx context.Context, seq int64) (bool, error) {
	s := &discardStep{wait: newWait(), seq: seq}
	if err := j.w.do(ctx, s); err != nil {
		return false, fmt.Errorf("journal: discard: %w", err)
	}
	return s.found, nil
}

func (s *discardStep) apply(t *transaction) error {
	n, err := t.exec(discardDead, s.seq)
	s.found = n > 0
	t.dead -= n
	return err
}
