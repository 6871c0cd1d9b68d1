package bridgetest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"
	"time"

	"lpbridge/bridge"
)

// Append implements [bridge.Journal].
func (j *Journal) Append(ctx context.Context, b bridge.Batch) ([]int64, error) {
	if len(b.Entries) == 0 && len(b.Records) == 0 && len(b.Consumers) == 0 && len(b.Unclaimed) == 0 {
		return nil, nil
	}
	var seqs []int64
	err := j.do(ctx, func() ([]bridge.Entry, error) {
		m := j.mem
		if m.maxPending > 0 && len(m.entries)+len(b.Entries) > m.maxPending {
			return nil, bridge.ErrBusy
		}
		if m.maxUnclaimed > 0 && len(b.Unclaimed) > 0 && len(m.unclaimed)+len(b.Unclaimed) > m.maxUnclaimed {
			return nil, bridge.ErrUnclaimedFull
		}
		if err := m.saveRecords(b.Records); err != nil {
			return nil, err
		}
		var fresh []bridge.Entry
		seqs, fresh = m.add(b.Entries, j.begins())
		for _, c := range b.Consumers {
			m.saveConsumer(c)
		}
		m.addUnclaimed(b.Unclaimed)
		return fresh, nil
	})
	if err != nil {
		return nil, err
	}
	return seqs, nil
}

// saveRecords saves all or none, whatever channels they belong to.
func (m *memory) saveRecords(records []bridge.ChannelRecord) error {
	byChannel := map[string][]bridge.Record{}
	for _, r := range records {
		byChannel[r.Channel] = append(byChannel[r.Channel], r.Record)
	}
	for channel, list := range byChannel {
		b := m.store(channel)
		b.mu.Lock()
		err := b.checkKeys(list)
		b.mu.Unlock()
		if err != nil {
			return err
		}
	}
	for channel, list := range byChannel {
		if err := m.store(channel).Save(context.Background(), list...); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) store(channel string) *recordTable {
	b := m.stores[channel]
	if b == nil {
		b = newRecordTable()
		m.stores[channel] = b
	}
	return b
}

// add stores entries whose idempotency key is new. epoch is that in which they
// begin, 0 when none can.
func (m *memory) add(entries []bridge.Entry, epoch int64) (seqs []int64, fresh []bridge.Entry) {
	seqs = make([]int64, len(entries))
	for i, e := range entries {
		k := idempotencyKey{e.Lane.Channel, e.Lane.Direction, e.ID}
		if e.ID != "" && m.known[k] {
			continue
		}
		m.known[k] = true
		m.seq++
		e.Seq = m.seq
		if e.Accepted.IsZero() {
			e.Accepted = clock()
		}
		e.Doubt = nil
		if e.Begun && epoch != 0 {
			m.begun[e.Seq] = epoch
		}
		seqs[i] = e.Seq
		fresh = append(fresh, e)
		kept := e
		kept.Event, kept.Begun = nil, false
		kept.Payload = slices.Clone(e.Payload)
		m.entries[e.Seq] = &kept
	}
	return seqs, fresh
}

// Settle implements [bridge.Journal].
func (j *Journal) Settle(s bridge.Settlement) {
	j.push(&memoryWrite{
		apply: func() ([]bridge.Entry, error) {
			j.mem.conclude(&s)
			j.mem.enter(&s)
			if s.Next != 0 {
				j.begin(s.Next)
			}
			_, fresh := j.mem.add(s.Follow, j.begins())
			return fresh, nil
		},
		done: func(err error) {
			if s.Durable != nil {
				s.Durable(err)
			}
		},
	})
}

func (m *memory) conclude(s *bridge.Settlement) {
	e := m.entries[s.Seq]
	if e == nil {
		return
	}
	delete(m.begun, s.Seq)
	if s.Final == bridge.Done {
		delete(m.entries, s.Seq)
		return
	}
	e.Attempts, e.Last, e.Reason, e.Doubt = s.Attempts, s.Outcome, cutReason(s.Reason), keptDoubt(s.Doubt)
	if s.Final == bridge.Pending {
		e.NextTry = s.NextTry
		return
	}
	delete(m.entries, s.Seq)
	m.dead[s.Seq] = &bridge.DeadLetter{Entry: *e, Died: clock()}
}

// keptDoubt is a doubt as it is kept.
func keptDoubt(d *bridge.Doubt) *bridge.Doubt {
	if d == nil {
		return nil
	}
	return &bridge.Doubt{
		Since: cmp.Or(d.Since.UTC().Truncate(time.Microsecond), clock()), Dialogs: slices.Clone(d.Dialogs),
	}
}

// cutReason keeps a reason short, and whole in its last letter.
func cutReason(s string) string {
	return strings.ToValidUTF8(s[:min(len(s), bridge.MaxReason)], "")
}

// Begin implements [bridge.Journal].
func (j *Journal) Begin(seq int64, durable func(error)) {
	j.push(&memoryWrite{
		apply: func() ([]bridge.Entry, error) {
			j.begin(seq)
			return nil, nil
		},
		done: durable,
	})
}

// begin marks a pending entry as begun by this process.
func (j *Journal) begin(seq int64) {
	if epoch := j.begins(); epoch != 0 && j.mem.entries[seq] != nil {
		j.mem.begun[seq] = epoch
	}
}

// begins is the epoch in which entries begin, 0 before the start.
func (j *Journal) begins() int64 {
	if j.mem.epoch != j.epoch {
		return 0
	}
	return j.epoch
}

// Lanes implements [bridge.Journal].
func (j *Journal) Lanes(_ context.Context, after bridge.LaneKey, limit int) ([]bridge.LaneKey, error) {
	var lanes []bridge.LaneKey
	err := j.read(func() {
		held := map[bridge.LaneKey]bool{}
		for _, e := range j.mem.entries {
			held[e.Lane] = true
		}
		lanes = slices.SortedFunc(maps.Keys(held), compareLanes)
	})
	if after != (bridge.LaneKey{}) {
		lanes = slices.DeleteFunc(lanes, func(k bridge.LaneKey) bool { return compareLanes(k, after) <= 0 })
	}
	return lanes[:min(len(lanes), limit)], err
}

func compareLanes(a, b bridge.LaneKey) int {
	return cmp.Or(
		cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Thread, b.Thread),
	)
}

// PendingOf implements [bridge.Journal].
func (j *Journal) PendingOf(_ context.Context, lane bridge.LaneKey, after int64, limit int) ([]bridge.Entry, error) {
	var list []bridge.Entry
	err := j.read(func() {
		for _, e := range j.mem.entries {
			if e.Lane == lane && e.Seq > after {
				list = append(list, j.shown(e))
			}
		}
	})
	slices.SortFunc(list, func(a, b bridge.Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	return list[:min(len(list), limit)], err
}

// shown is an entry as it is read: with what its epoch says of it.
func (j *Journal) shown(e *bridge.Entry) bridge.Entry {
	read := *e
	now := clock()
	if read.NextTry.Sub(now) > bridge.MaxPause {
		read.NextTry = time.Time{}
	}
	if read.Accepted.After(now) {
		read.Accepted = now
	}
	if e.Doubt != nil && e.Doubt.Since.After(now) {
		read.Doubt = &bridge.Doubt{Since: now, Dialogs: e.Doubt.Dialogs}
	}
	begun := j.mem.begun[e.Seq]
	read.Begun = begun == j.epoch
	found, broken := j.mem.broken[begun]
	if !broken || begun == j.epoch {
		return read
	}
	if e.Doubt != nil && e.Doubt.Since.After(found) {
		found = e.Doubt.Since
	}
	read.Doubt = &bridge.Doubt{Since: found}
	return read
}

// PendingCount implements [bridge.Journal].
func (j *Journal) PendingCount() int64 {
	j.mem.mu.Lock()
	defer j.mem.mu.Unlock()
	return int64(len(j.mem.entries))
}

// DeadLetters implements [bridge.Journal].
func (j *Journal) DeadLetters(_ context.Context, after int64, limit int) ([]bridge.DeadLetter, error) {
	var list []bridge.DeadLetter
	err := j.read(func() {
		for _, d := range j.mem.dead {
			if d.Seq > after {
				shown := *d
				shown.Payload = nil
				list = append(list, shown)
			}
		}
	})
	slices.SortFunc(list, func(a, b bridge.DeadLetter) int { return cmp.Compare(a.Seq, b.Seq) })
	return list[:min(len(list), limit)], err
}

// DeadLetter implements [bridge.Journal].
func (j *Journal) DeadLetter(_ context.Context, seq int64) (*bridge.DeadLetter, error) {
	var found *bridge.DeadLetter
	err := j.read(func() {
		if d := j.mem.dead[seq]; d != nil {
			shown := *d
			found = &shown
		}
	})
	return found, err
}

// Revive implements [bridge.Journal].
func (j *Journal) Revive(ctx context.Context, seq int64) (bool, error) {
	var found bool
	err := j.do(ctx, func() ([]bridge.Entry, error) {
		m := j.mem
		d := m.dead[seq]
		if d == nil {
			return nil, nil
		}
		found = true
		delete(m.dead, seq)
		m.seq++
		e := bridge.Entry{
			Seq: m.seq, Lane: d.Lane, ID: d.ID, Kind: d.Kind, Payload: d.Payload, Accepted: clock(),
			Doubt: d.Doubt,
		}
		m.entries[e.Seq] = &e
		return []bridge.Entry{e}, nil
	})
	return err == nil && found, err
}

// Discard implements [bridge.Journal].
func (j *Journal) Discard(ctx context.Context, seq int64) (bool, error) {
	var found bool
	err := j.do(ctx, func() ([]bridge.Entry, error) {
		found = j.mem.dead[seq] != nil
		delete(j.mem.dead, seq)
		return nil, nil
	})
	return err == nil && found, err
}
