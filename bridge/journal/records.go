package journal

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"lpbridge/bridge"
)

// recordStore is one channel's [bridge.Records].
type recordStore struct {
	j       *Journal
	channel string
}

// RecordsOf implements [bridge.Journal].
func (j *Journal) RecordsOf(channel string) bridge.Records { return &recordStore{j, channel} }

// NextID implements [bridge.Records].
func (b *recordStore) NextID(ctx context.Context, kind string) (int64, error) {
	return b.j.counters.next(ctx, b.j.w, counterKey{b.channel, kind})
}

// Get implements [bridge.Records].
func (b *recordStore) Get(ctx context.Context, kind string, id int64) (bridge.Record, error) {
	return b.one(ctx, recordByID, kind, b.channel, kind, id)
}

// Find implements [bridge.Records].
func (b *recordStore) Find(ctx context.Context, kind, key string) (bridge.Record, error) {
	return b.one(ctx, recordByKey, kind, b.channel, kind, b.channel, kind, key)
}

func (b *recordStore) one(ctx context.Context, s statement, kind string, args ...any) (bridge.Record, error) {
	row := record{kind: kind}
	found, err := b.j.find(ctx, s, args, row.dest()...)
	if err != nil {
		return bridge.Record{}, fmt.Errorf("journal: read a record: %w", err)
	}
	if !found {
		return bridge.Record{}, bridge.ErrNoRecord
	}
	return row.record()
}

// List implements [bridge.Records].
func (b *recordStore) List(ctx context.Context, kind, parent string, p bridge.Page) ([]bridge.Record, error) {
	s := recordsUp
	if p.Newest {
		s = recordsDown
	}
	args := []any{b.channel, kind, parent, p.After, cmp.Or(p.Before, math.MaxInt64), cmp.Or(p.Limit, 100)}
	var list []bridge.Record
	err := b.j.each(ctx, s, args, func(scan func(...any) error) error {
		row := record{kind: kind}
		if err := scan(row.dest()...); err != nil {
			return err
		}
		r, err := row.record()
		list = append(list, r)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("journal: list records: %w", err)
	}
	return list, nil
}

// Save implements [bridge.Records].
func (b *recordStore) Save(ctx context.Context, records ...bridge.Record) error {
	own := make([]bridge.ChannelRecord, len(records))
	for i, r := range records {
		own[i] = bridge.ChannelRecord{Channel: b.channel, Record: r}
	}
	_, err := b.j.Append(ctx, bridge.Batch{Records: own})
	return err
}

// Delete implements [bridge.Records].
func (b *recordStore) Delete(ctx context.Context, kind string, ids ...int64) error {
	s := &deleteWrite{wait: newWait(), channel: b.channel, kind: kind, ids: ids}
	if err := b.j.w.do(ctx, s); err != nil {
		return fmt.Errorf("journal: delete records: %w", err)
	}
	return nil
}

// deleteWrite removes records and their keys.
type deleteWrite struct {
	wait
	channel, kind string
	ids           []int64
}

func (s *deleteWrite) apply(t *transaction) error {
	for _, id := range s.ids {
		if err := t.dropKeys(s.channel, s.kind, id); err != nil {
			return err
		}
		if _, err := t.exec(deleteRecord, s.channel, s.kind, id); err != nil {
			return err
		}
	}
	return nil
}

// dropKeys frees the keys of a record, if it exists.
func (t *transaction) dropKeys(channel, kind string, id int64) error {
	var packed []byte
	found, err := t.row(recordKeysOf, []any{channel, kind, id}, &packed)
	if err != nil || !found {
		return err
	}
	keys, err := unpackKeys(packed)
	if err != nil {
		return err
	}
	for _, key := range keys {
		if _, err := t.exec(deleteKey, channel, kind, key); err != nil {
			return err
		}
	}
	return nil
}

// checkKeys finds keys that belong to another record, also within one call.
// The first result is the answer to the caller, the second an error of the
// database.
func (t *transaction) checkKeys(records []bridge.ChannelRecord) (refused, err error) {
	type name struct{ channel, kind, key string }
	claimed := map[name]int64{}
	for _, r := range records {
		for _, key := range r.Keys {
			n := name{r.Channel, r.Kind, key}
			owner, taken := claimed[n]
			if !taken {
				if taken, err = t.row(findKey, []any{n.channel, n.kind, n.key}, &owner); err != nil {
					return nil, err
				}
			}
			if taken && owner != r.ID {
				return fmt.Errorf("save %s: %w", r.Kind, bridge.ErrRecordTaken), nil
			}
			claimed[n] = r.ID
		}
	}
	return nil, nil
}

// saveRecords writes records whose keys were checked.
func (t *transaction) saveRecords(records []bridge.ChannelRecord) error {
	for i := range records {
		if err := t.saveRecord(&records[i]); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) saveRecord(r *bridge.ChannelRecord) error {
	if err := t.dropKeys(r.Channel, r.Kind, r.ID); err != nil {
		return err
	}
	at := r.Time
	if at.IsZero() {
		at = t.now
	}
	data := r.Data
	if data == nil {
		data = []byte{}
	}
	_, err := t.exec(upsertRecord, r.Channel, r.Kind, r.ID, r.Parent, packKeys(r.Keys), data, micros(at), t.stamp)
	if err != nil {
		return err
	}
	for _, key := range r.Keys {
		if _, err := t.exec(insertKey, r.Channel, r.Kind, key, r.ID); err != nil {
			return err
		}
	}
	if r.ID <= t.w.j.counters.setAside(counterKey{r.Channel, r.Kind}) {
		return nil
	}
	_, err = t.exec(raiseCounter, r.Channel, r.Kind, r.ID)
	return err
}

// packKeys writes keys one after the other, each preceded by its length.
func packKeys(keys []string) []byte {
	packed := []byte{}
	for _, key := range keys {
		packed = binary.AppendUvarint(packed, uint64(len(key)))
		packed = append(packed, key...)
	}
	return packed
}

// unpackKeys reads what packKeys wrote.
func unpackKeys(packed []byte) ([]string, error) {
	var keys []string
	for len(packed) > 0 {
		n, size := binary.Uvarint(packed)
		if size <= 0 || n > uint64(len(packed)-size) {
			return nil, errors.New("read the keys of a record: malformed")
		}
		keys = append(keys, string(packed[size:size+int(n)]))
		packed = packed[size+int(n):]
	}
	return keys, nil
}

// record is a row of recordColumns.
type record struct {
	kind, parent string
	id, saved    int64
	keys, data   []byte
}

func (r *record) dest() []any { return []any{&r.id, &r.parent, &r.keys, &r.data, &r.saved} }

func (r *record) record() (bridge.Record, error) {
	keys, err := unpackKeys(r.keys)
	if err != nil {
		return bridge.Record{}, fmt.Errorf("%w: %w", bridge.ErrStorage, err)
	}
	return bridge.Record{
		Kind: r.kind, ID: r.id, Parent: r.parent, Keys: keys, Data: r.data, Time: fromMicros(r.saved),
	}, nil
}
