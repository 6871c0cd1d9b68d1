package journal

import (
	"context"
	"fmt"
	"strings"
	"time"

	"lpbridge/bridge"
)

// appendWrite stores a batch.
type appendWrite struct {
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
	if n == 0 && len(b.Records) == 0 && len(b.Consumers) == 0 && len(b.Unclaimed) == 0 {
		return nil, nil
	}
	if n > 0 && !j.shares.take(b.Entries) {
		return nil, fmt.Errorf("journal: append: %w", bridge.ErrBusy)
	}
	s := &appendWrite{wait: newWait(), j: j, batch: b}
	if err := j.w.do(ctx, s); err != nil {
		return nil, fmt.Errorf("journal: append: %w", err)
	}
	if s.refused != nil {
		return nil, fmt.Errorf("journal: append: %w", s.refused)
	}
	return s.seqs, nil
}

func (s *appendWrite) apply(t *transaction) error {
	refused, err := t.checkKeys(s.batch.Records)
	if err != nil || refused != nil {
		s.refused = refused
		return err
	}
	if !t.roomFor(s.batch.Unclaimed) {
		s.refused = bridge.ErrUnclaimedFull
		return nil
	}
	s.seqs = make([]int64, len(s.batch.Entries))
	for i := range s.batch.Entries {
		if s.seqs[i], err = t.add(s.batch.Entries[i]); err != nil {
			return err
		}
	}
	for i := range s.batch.Consumers {
		if err := t.saveConsumer(&s.batch.Consumers[i]); err != nil {
			return err
		}
	}
	if err := t.addUnclaimed(s.batch.Unclaimed); err != nil {
		return err
	}
	return t.saveRecords(s.batch.Records)
}

func (s *appendWrite) finish(err error) {
	s.j.shares.give(s.batch.Entries)
	if err == nil && s.refused == nil {
		s.j.counters.pass(s.batch.Records)
	}
	s.wait.finish(err)
}

// settleWrite records how a delivery ended.
type settleWrite struct{ bridge.Settlement }

// Settle implements [bridge.Journal]. It waits up to two milliseconds for
// a transaction to ride along with, for a flush of its own would hold up those
// who wait for an answer. When the disk is full, settlements are kept
// and tried again until they succeed or the journal is closed.
func (j *Journal) Settle(s bridge.Settlement) {
	patience := settlePatience
	if s.Next != 0 {
		// A lane waits for it.
		patience = 0
	}
	j.w.push(&settleWrite{s}, patience)
}

func (s *settleWrite) kept() bool { return true }

func (s *settleWrite) finish(err error) {
	if s.Durable != nil {
		s.Durable(err)
	}
}

func (s *settleWrite) apply(t *transaction) error {
	if err := t.conclude(&s.Settlement); err != nil {
		return err
	}
	if s.Dialog != "" {
		if err := t.enter(&s.Settlement); err != nil {
			return err
		}
	}
	if s.Next != 0 {
		if err := t.begin(s.Next); err != nil {
			return err
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
		doubt, dialogs := t.doubtRow(s.Doubt)
		n, err = t.exec(retryPending, s.Attempts, t.shift.steady(s.NextTry), s.Outcome.String(), cutReason(s.Reason), doubt, dialogs, s.Seq)
	case s.Final == bridge.Dead:
		doubt, dialogs := t.doubtRow(s.Doubt)
		n, err = t.exec(killPending, s.Attempts, s.Outcome.String(), t.stamp, cutReason(s.Reason), doubt, dialogs, s.Seq)
		t.dead += n
	case t.w.j.opts.Retention == 0:
		n, err = t.exec(clearPending, t.stamp, s.Seq)
	default:
		n, err = t.exec(finishPending, t.stamp, s.Seq)
	}
	if n > 0 {
		t.landed = append(t.landed, s.Seq)
	}
	if s.Final != bridge.Pending {
		t.moved(s.Lane, -n)
	}
	return err
}

// doubtRow is how a doubt stands in the database.
func (t *transaction) doubtRow(d *bridge.Doubt) (since int64, dialogs []byte) {
	if d == nil {
		return 0, []byte{}
	}
	at := d.Since
	if at.IsZero() {
		at = t.now
	}
	return t.shift.steady(at), packKeys(d.Dialogs)
}

// cutReason keeps a reason short, and whole in its last letter.
func cutReason(s string) string {
	if len(s) > bridge.MaxReason {
		s = s[:bridge.MaxReason]
	}
	return strings.ToValidUTF8(s, "")
}

// begin marks an entry as begun by this process.
func (t *transaction) begin(seq int64) error {
	epoch := t.epochIf(true)
	_, err := t.exec(beginPending, epoch, seq, epoch)
	return err
}

// beginWrite marks an entry as begun.
type beginWrite struct {
	seq     int64
	durable func(error)
}

// Begin implements [bridge.Journal].
func (j *Journal) Begin(seq int64, durable func(error)) {
	j.w.push(&beginWrite{seq, durable}, 0)
}

func (s *beginWrite) apply(t *transaction) error { return t.begin(s.seq) }

func (s *beginWrite) finish(err error) { s.durable(err) }

// kept is false: the lane asks again when it may send.
func (s *beginWrite) kept() bool { return false }

// reviveWrite makes a dead letter pending again.
type reviveWrite struct {
	wait
	seq            int64
	found, expired bool
}

// Revive implements [bridge.Journal].
func (j *Journal) Revive(ctx context.Context, seq int64) (bool, error) {
	s := &reviveWrite{wait: newWait(), seq: seq}
	if err := j.w.do(ctx, s); err != nil {
		return false, fmt.Errorf("journal: revive: %w", err)
	}
	if s.expired {
		return false, fmt.Errorf("journal: revive: %w", bridge.ErrExpired)
	}
	return s.found, nil
}

func (s *reviveWrite) apply(t *transaction) error {
	var row entry
	var err error
	if s.found, err = t.row(deadRow, []any{s.seq}, row.dest()...); err != nil || !s.found {
		return err
	}
	if s.expired = row.expired; s.expired {
		return nil
	}
	e, err := row.entry(t.w.j.reading())
	if err != nil {
		return err
	}
	if e.Seq, err = t.seq.next(t); err != nil {
		return err
	}
	e.Accepted, e.Attempts, e.Last = t.now, 0, parseOutcome("")
	e.NextTry, e.Reason = time.Time{}, ""
	if _, err := t.exec(reviveDead, e.Seq, t.stamp, s.seq); err != nil {
		return err
	}
	t.dead--
	t.moved(e.Lane, 1)
	t.fresh = append(t.fresh, e)
	return nil
}

// discardWrite removes a dead letter.
type discardWrite struct {
	wait
	seq   int64
	found bool
}

// Discard implements [bridge.Journal].
func (j *Journal) Discard(ctx context.Context, seq int64) (bool, error) {
	s := &discardWrite{wait: newWait(), seq: seq}
	if err := j.w.do(ctx, s); err != nil {
		return false, fmt.Errorf("journal: discard: %w", err)
	}
	return s.found, nil
}

func (s *discardWrite) apply(t *transaction) error {
	n, err := t.exec(discardDead, t.stamp, s.seq)
	s.found = n > 0
	t.dead -= n
	return err
}
