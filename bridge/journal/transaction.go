package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"lpbridge/bridge"
)

// transaction is what the writes of one commit share.
type transaction struct {
	w   *writer
	now time.Time
	// stamp is now as the database has it, shift how the two differ.
	stamp int64
	shift shift

	// fresh are new pending entries in the order of Seq.
	fresh []bridge.Entry
	// landed are the seqs of entries that are afloat no more.
	landed []int64
	// entered are entries of the ledger.
	entered []entered
	// pending, dead and unclaimed are by how much the counts change.
	pending, dead int64
	unclaimed     volume
	// pendingOf is pending by whose they are.
	pendingOf map[party]int64

	seq, revision allotted
	// alive is the last time that was noted.
	alive time.Time
	// args are those of the statement that runs.
	args []any
}

// allotted are numbers that grow for ever, though rows that had one are
// deleted: some are set aside at a time, and no number is given twice.
type allotted struct {
	name        string
	last, limit int64
}

func (a *allotted) next(t *transaction) (int64, error) {
	if a.last >= a.limit {
		a.limit = a.last + allotment
		if _, err := t.exec(upsertMeta, a.name, a.limit); err != nil {
			return 0, err
		}
	}
	a.last++
	return a.last, nil
}

func (t *transaction) reset() {
	t.shift = t.w.j.clock.shift()
	t.now = t.w.j.clock.read()
	t.stamp = t.shift.steady(t.now)
	// The hook may keep the entries it was given.
	t.fresh = nil
	t.pending, t.dead, t.unclaimed = 0, 0, volume{}
	clear(t.pendingOf)
	t.landed, t.entered = t.landed[:0], t.entered[:0]
	t.w.keys.added = t.w.keys.added[:0]
	t.seq, t.revision, t.alive = t.w.seq, t.w.revision, t.w.alive
}

func (t *transaction) applyAll(writes []write) error {
	if err := t.live(); err != nil {
		return err
	}
	for _, s := range writes {
		if err := s.apply(t); err != nil {
			return err
		}
	}
	if t.w.committed == nil && len(t.pendingOf) > 0 {
		// A journal that was not started does not begin an epoch.
		_, err := t.exec(upsertMeta, metaCounted, uncounted)
		return err
	}
	return nil
}

// exec runs a statement and returns how many rows it changed.
func (t *transaction) exec(s statement, args ...any) (int64, error) {
	// The arguments stay on the caller's stack.
	t.args = append(t.args[:0], args...)
	n, err := t.w.j.db.exec(context.Background(), s, t.args)
	// What was written is not kept in memory by this.
	clear(t.args)
	return n, err
}

// row runs a statement that finds one row and reports whether it did.
func (t *transaction) row(s statement, args []any, dest ...any) (bool, error) {
	return t.w.j.db.row(context.Background(), s, args, dest)
}

// add stores an entry unless its idempotency key is known, and returns its Seq
// or 0.
func (t *transaction) add(e bridge.Entry) (int64, error) {
	seq, err := t.seq.next(t)
	if err != nil {
		return 0, err
	}
	if e.ID != "" {
		if isNew, err := t.learn(e.Lane, e.ID); !isNew || err != nil {
			t.seq.last--
			return 0, err
		}
	}
	e.Seq = seq
	if e.Accepted.IsZero() {
		e.Accepted = t.now
	}
	e.Doubt = nil
	_, err = t.exec(insertEvent, seq, laneName(e.Lane), string(e.ID), string(e.Kind), bytesOf(e.Payload),
		t.shift.steady(e.Accepted), e.Attempts, t.shift.steady(e.NextTry), outcomeName(e.Attempts, e.Last), t.stamp,
		e.Reason, t.epochIf(e.Begun), !t.floats(&e))
	if err != nil {
		return 0, err
	}
	t.moved(e.Lane, 1)
	t.fresh = append(t.fresh, e)
	return seq, nil
}

// moved counts entries of a lane that are pending now, or no more.
func (t *transaction) moved(lane bridge.LaneKey, n int64) {
	t.pending += n
	if n != 0 {
		t.pendingOf[partyOf(lane)] += n
	}
}

// floats reports whether an entry begins at once and is left out of the index.
func (t *transaction) floats(e *bridge.Entry) bool { return e.Begun && t.epochIf(true) != 0 }

// epochIf returns what marks an entry as begun. Before the start nobody sends.
func (t *transaction) epochIf(begun bool) int64 {
	if !begun || t.w.committed == nil {
		return 0
	}
	return t.w.j.epochs.current
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

// towards reads what arrow wrote.
func towards(arrow string) bridge.Direction {
	if arrow == towardsChannel {
		return bridge.ToChannel
	}
	return bridge.ToLivePerson
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
	k := bridge.LaneKey{Channel: name[:i], Thread: bridge.ThreadID(name[i+1:]), Direction: towards(name[i : i+1])}
	return k, nil
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
	seq, accepted, nextTry, settled, begun, doubt int64

	expired                      bool
	attempts                     int
	lane, id, kind, last, reason string
	payload, dialogs             []byte
}

func (e *entry) dest() []any {
	return []any{
		&e.seq, &e.lane, &e.id, &e.kind, &e.payload, &e.accepted, &e.attempts, &e.nextTry, &e.last, &e.settled,
		&e.reason, &e.begun, &e.doubt, &e.dialogs, &e.expired,
	}
}

// reading is what it takes to read an entry as it stands now.
type reading struct {
	past  *epochs
	shift shift
	now   time.Time
}

func (j *Journal) reading() reading {
	return reading{past: &j.epochs, shift: j.clock.shift(), now: j.clock.read()}
}

func (e *entry) entry(r reading) (bridge.Entry, error) {
	lane, err := parseLane(e.lane)
	if err != nil {
		return bridge.Entry{}, fmt.Errorf("read event %d: %w", e.seq, err)
	}
	doubt, err := e.inDoubt(r)
	if err != nil {
		return bridge.Entry{}, fmt.Errorf("read event %d: %w", e.seq, err)
	}
	next := r.shift.read(e.nextTry)
	if next.Sub(r.now) > bridge.MaxPause {
		next = time.Time{}
	}
	return bridge.Entry{
		Seq: e.seq, Lane: lane, ID: bridge.EventID(e.id), Kind: bridge.Kind(e.kind), Payload: e.payload,
		Accepted: r.shift.past(e.accepted, r.now), Attempts: e.attempts, NextTry: next,
		Last: parseOutcome(e.last), Reason: e.reason, Begun: e.begun == r.past.current, Doubt: doubt,
	}, nil
}

// inDoubt says whether the event may have arrived: because a settlement said
// so, or because the process that last began its delivery was cut off, which
// may have sent it to any dialog.
func (e *entry) inDoubt(r reading) (*bridge.Doubt, error) {
	found, broken := r.past.found(e.begun)
	if broken {
		return &bridge.Doubt{Since: r.shift.past(max(found, e.doubt), r.now)}, nil
	}
	if e.doubt == 0 {
		return nil, nil
	}
	dialogs, err := unpackKeys(e.dialogs)
	return &bridge.Doubt{Since: r.shift.past(e.doubt, r.now), Dialogs: dialogs}, err
}
