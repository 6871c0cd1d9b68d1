package served

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"lpbridge/bridge"
)

// Kind is a kind of record whose data is a T as JSON. It may be followed by
// bytes, such as those of a file, which then need no encoding.
type Kind[T any] string

// Thing is what a record is made of.
type Thing interface {
	Record() (bridge.Record, error)
}

// Record returns the record of a value; bytes are kept behind it.
func (k Kind[T]) Record(id int64, parent string, keys []string, created time.Time, v *T, behind ...byte) (bridge.Record, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return bridge.Record{}, fmt.Errorf("encode %s: %w", k, err)
	}
	if len(behind) > 0 {
		// JSON as written here has no line breaks, so the first one ends it.
		data = slices.Concat(data, []byte("\n"), behind)
	}
	return bridge.Record{Kind: string(k), ID: id, Parent: parent, Keys: keys, Data: data, Time: created}, nil
}

// decode returns the value of a record.
func (k Kind[T]) decode(r bridge.Record) (*T, error) {
	v, _, err := k.DecodeWithBytes(r)
	return v, err
}

// DecodeWithBytes returns the value of a record and the bytes behind it.
func (k Kind[T]) DecodeWithBytes(r bridge.Record) (*T, []byte, error) {
	head, behind, _ := bytes.Cut(r.Data, []byte("\n"))
	v := new(T)
	if err := DecodeJSON(head, v); err != nil {
		return nil, nil, fmt.Errorf("decode %s %d: %w", k, r.ID, err)
	}
	return v, behind, nil
}

// Get reads a record by its id, or returns [bridge.ErrNoRecord].
func (k Kind[T]) Get(ctx context.Context, records bridge.RecordReader, id int64) (*T, error) {
	r, err := records.Get(ctx, string(k), id)
	if err != nil {
		return nil, err
	}
	return k.decode(r)
}

// Find reads a record by one of its keys, or returns [bridge.ErrNoRecord].
func (k Kind[T]) Find(ctx context.Context, records bridge.RecordReader, key string) (*T, error) {
	r, err := records.Find(ctx, string(k), key)
	if err != nil {
		return nil, err
	}
	return k.decode(r)
}

// NextID returns a number that no record of the kind had before.
func (k Kind[T]) NextID(ctx context.Context, records bridge.RecordWriter) (int64, error) {
	return records.NextID(ctx, string(k))
}

// batch is how many records are read at once.
const batch = 100

// Each goes through the records of a parent within the bounds of a page, whose
// Limit does not count. It ends with the first error.
func (k Kind[T]) Each(ctx context.Context, records bridge.RecordReader, parent string, p bridge.Page) iter.Seq2[*T, error] {
	return func(yield func(*T, error) bool) {
		p.Limit = batch
		for {
			page, err := records.List(ctx, string(k), parent, p)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, r := range page {
				v, err := k.decode(r)
				if !yield(v, err) || err != nil {
					return
				}
			}
			if len(page) < batch {
				return
			}
			if last := page[batch-1].ID; p.Newest {
				p.Before = last
			} else {
				p.After = last
			}
		}
	}
}

// All returns every record of a parent, oldest first.
func (k Kind[T]) All(ctx context.Context, records bridge.RecordReader, parent string) ([]*T, error) {
	all := []*T{}
	for v, err := range k.Each(ctx, records, parent, bridge.Page{}) {
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, nil
}

// Newest returns up to limit records of a parent with ids below before, the
// oldest of them first. A before of 0 is no bound.
func (k Kind[T]) Newest(ctx context.Context, records bridge.RecordReader, parent string, before int64, limit int) ([]*T, error) {
	page, err := records.List(ctx, string(k), parent, bridge.Page{Before: before, Limit: limit, Newest: true})
	if err != nil {
		return nil, err
	}
	newest := make([]*T, len(page))
	for i, r := range page {
		if newest[len(page)-1-i], err = k.decode(r); err != nil {
			return nil, err
		}
	}
	return newest, nil
}

// Acceptor makes events durable together with records; a [bridge.Core] is one.
type Acceptor interface {
	Accept(ctx context.Context, events []bridge.Event, records ...bridge.Record) (bridge.Accepted, error)
}

// Keep makes events and things durable in one write. It does not end with the
// request it is done for: a write given up half-way would leave caches and
// journal of two minds.
func Keep(ctx context.Context, core Acceptor, events []bridge.Event, things ...Thing) error {
	if len(events) == 0 && len(things) == 0 {
		return nil
	}
	records := make([]bridge.Record, len(things))
	for i, t := range things {
		var err error
		if records[i], err = t.Record(); err != nil {
			return err
		}
	}
	_, err := core.Accept(context.WithoutCancel(ctx), events, records...)
	return err
}

// errTrailing means that something follows a JSON value.
var errTrailing = errors.New("more than one JSON value")

// DecodeJSON decodes one JSON value and keeps numbers without a type of ours as
// they were written.
func DecodeJSON(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errTrailing
	}
	return nil
}
