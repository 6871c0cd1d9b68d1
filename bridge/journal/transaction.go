package journal

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"lpbridge/bridge"
)

// transaction is what the steps of one commit share.
type transaction struct {
	w   *writer
	now time.Time

	// fresh are new pending entries in the order of Seq.
	fresh []bridge.Entry
	// pending and dead are by how much the counts change.
	pending, dead int64
	// places and marks are changes of threads that are written once at the end,
	// however many steps brought one.
	places map[bridge.ThreadKey]place
	marks  map[bridge.ThreadKey]bool

	seq, seqLimit int64
}

// place is a sequence in a dialog.
type place struct {
	dialog   string
	sequence int64
}

func (t *transaction) reset(now time.Time) {
	t.now = now
	// The hook may keep the entries it was given.
	t.fresh = nil
	t.pending, t.dead = 0, 0
	clear(t.places)
	clear(t.marks)
	t.seq, t.seqLimit = t.w.seq, t.w.seqLimit
}

func (t *transaction) applyAll(steps []step) error {
	for _, s := range steps {
		if err := s.apply(t); err != nil {
			return err
		}
	}
	if err := t.writePlaces(); err != nil {
		return err
	}
	return t.writeMarks()
}

// exec runs a statement and returns how many rows it changed.
func (t *transaction) exec(s statement, args ...any) (int64, error) {
	res, err := t.w.j.store.stmts[s].ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// row runs a statement that finds one row and reports whether it did.
func (t *transaction) row(s statement, args []any, dest ...any) (bool, error) {
	err := t.w.j.store.stmts[s].QueryRowContext(context.Background(), args...).Scan(dest...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// nextSeq returns the next place in the journal.
func (t *transaction) nextSeq() (int64, error) {
	if t.seq == t.seqLimit {
		t.seqLimit += seqBlock
		if _, err := t.exec(upsertMeta, metaSeq, t.seqLimit); err != nil {
			return 0, err
		}
	}
	t.seq++
	return t.seq, nil
}

// add stores an entry unless its idempotency key is known, and returns its Seq
// or 0.
func (t *transaction) add(e bridge.Entry) (int64, error) {
	seq, err := t.nextSeq()
	if err != nil {
		return 0, err
	}
	if e.ID != "" {
		expires := t.now.Add(t.w.j.opts.DedupeRetention)
		n, err := t.exec(insertDedupe, dedupeHash(e.Lane, e.ID), seq, micros(expires))
		if err != nil {
			return 0, err
		}
		if n == 0 {
			t.seq--
			return 0, nil
		}
	}
	e.Seq = seq
	if e.Accepted.IsZero() {
		e.Accepted = t.now
	}
	payload := e.Payload
	if payload == nil {
		payload = []byte{}
	}
	_, err = t.exec(insertEvent, seq, laneName(e.Lane), string(e.ID), string(e.Kind), payload,
		micros(e.Accepted), e.Attempts, micros(e.NextTry), outcomeName(e.Attempts, e.Last))
	if err != nil {
		return 0, err
	}
	t.pending++
	t.fresh = append(t.fresh, e)
	return seq, nil
}

// raise notes that a thread's message got a place in a dialog.
func (t *transaction) raise(k bridge.ThreadKey, p place) error {
	if known, ok := t.places[k]; ok {
		if known.dialog != p.dialog {
			// Two dialogs of one thread in one transaction are rare: write the first
			// now.
			if err := t.writePlace(k, known); err != nil {
				return err
			}
		} else if known.sequence >= p.sequence {
			return nil
		}
	}
	t.places[k] = p
	return nil
}

// flushPlace writes what is noted of a thread before the thread itself is saved.
func (t *transaction) flushPlace(k bridge.ThreadKey) error {
	p, ok := t.places[k]
	if !ok {
		return nil
	}
	delete(t.places, k)
	return t.writePlace(k, p)
}

func (t *transaction) writePlaces() error {
	for k, p := range t.places {
		if err := t.writePlace(k, p); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) writePlace(k bridge.ThreadKey, p place) error {
	_, err := t.exec(raiseSequence, p.sequence, k.Channel, string(k.Thread), p.dialog, p.sequence)
	return err
}

func (t *transaction) writeMarks() error {
	for k, composing := range t.marks {
		if _, err := t.exec(markThread, composing, k.Channel, string(k.Thread), composing); err != nil {
			return err
		}
	}
	return nil
}

// The letters that separate channel and thread in the name of a lane. No
// channel's name holds them.
const (
	towardsLivePerson = ">"
	towardsChannel    = "<"
)

func arrow(d bridge.Direction) string {
	if d == bridge.ToChannel {
		return towardsChannel
	}
	return towardsLivePerson
}

// laneName writes a lane as it stands in the database.
func laneName(k bridge.LaneKey) string {
	return k.Channel + arrow(k.Direction) + string(k.Thread)
}

// parseLane reads what laneName wrote.
func parseLane(name string) (bridge.LaneKey, error) {
	i := strings.IndexAny(name, towardsLivePerson+towardsChannel)
	if i < 0 {
		return bridge.LaneKey{}, errors.New("read lane: the name has no direction")
	}
	k := bridge.LaneKey{Channel: name[:i], Thread: bridge.ThreadID(name[i+1:])}
	if name[i:i+1] == towardsChannel {
		k.Direction = bridge.ToChannel
	}
	return k, nil
}

// dedupeHash is what an idempotency key is stored as: ids may be long, and
// should not be kept once their event is gone.
func dedupeHash(lane bridge.LaneKey, id bridge.EventID) []byte {
	sum := sha256.Sum256([]byte(lane.Channel + arrow(lane.Direction) + string(id)))
	return sum[:16]
}

// micros writes a time as it stands in the database.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros reads what micros wrote.
func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// outcomes are found by name, as names last longer than numbers.
var outcomes = func() map[string]bridge.Outcome {
	byName := map[string]bridge.Outcome{}
	for _, o := range []bridge.Outcome{
		bridge.Delivered, bridge.Throttled, bridge.Unauthorized, bridge.Closed,
		bridge.Retry, bridge.Invalid, bridge.Unknown,
	} {
		byName[o.String()] = o
	}
	return byName
}()

// outcomeName writes the last outcome of an entry; there is none before the
// first attempt.
func outcomeName(attempts int, o bridge.Outcome) string {
	if attempts == 0 {
		return ""
	}
	return o.String()
}

// parseOutcome reads what outcomeName wrote. A name that a later release
// might have written counts as unknown, the outcome that promises least.
func parseOutcome(name string) bridge.Outcome {
	if name == "" {
		var none bridge.Outcome
		return none
	}
	if o, ok := outcomes[name]; ok {
		return o
	}
	return bridge.Unknown
}

// entry is a row of eventColumns.
type entry struct {
	seq, accepted, nextTry, settled int64
	attempts                        int
	lane, id, kind, last            string
	payload                         []byte
}

func (e *entry) dest() []any {
	return []any{&e.seq, &e.lane, &e.id, &e.kind, &e.payload, &e.accepted, &e.attempts, &e.nextTry, &e.last, &e.settled}
}

func (e *entry) entry() (bridge.Entry, error) {
	lane, err := parseLane(e.lane)
	if err != nil {
		return bridge.Entry{}, fmt.Errorf("read event %d: %w", e.seq, err)
	}
	return bridge.Entry{
		Seq: e.seq, Lane: lane, ID: bridge.EventID(e.id), Kind: bridge.Kind(e.kind), Payload: e.payload,
		Accepted: fromMicros(e.accepted), Attempts: e.attempts, NextTry: fromMicros(e.nextTry),
		Last: parseOutcome(e.last),
	}, nil
}
