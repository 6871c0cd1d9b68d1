package bridgetest

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"lpbridge/bridge"
)

// recordTable has a channel's records in memory.
type recordTable struct {
	mu    sync.Mutex
	kinds map[string]*shelf
}

// shelf holds the records of one kind.
type shelf struct {
	last int64
	byID map[int64]bridge.Record
	keys map[string]int64
}

var _ bridge.Records = (*recordTable)(nil)

// newRecordTable returns an empty store.
func newRecordTable() *recordTable { return &recordTable{kinds: map[string]*shelf{}} }

// ensureShelf returns the shelf of a kind, and puts it up when there is none.
func (r *recordTable) ensureShelf(kind string) *shelf {
	s := r.kinds[kind]
	if s == nil {
		s = &shelf{byID: map[int64]bridge.Record{}, keys: map[string]int64{}}
		r.kinds[kind] = s
	}
	return s
}

// NextID implements [bridge.Records].
func (r *recordTable) NextID(_ context.Context, kind string) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.ensureShelf(kind)
	s.last++
	return s.last, nil
}

// Get implements [bridge.Records].
func (r *recordTable) Get(_ context.Context, kind string, id int64) (bridge.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rec, ok := r.ensureShelf(kind).byID[id]
	if !ok {
		return bridge.Record{}, bridge.ErrNoRecord
	}
	return clone(rec), nil
}

// Find implements [bridge.Records].
func (r *recordTable) Find(_ context.Context, kind, key string) (bridge.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.ensureShelf(kind)
	id, ok := s.keys[key]
	if !ok {
		return bridge.Record{}, bridge.ErrNoRecord
	}
	return clone(s.byID[id]), nil
}

// List implements [bridge.Records].
func (r *recordTable) List(_ context.Context, kind, parent string, p bridge.Page) ([]bridge.Record, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []bridge.Record
	for _, rec := range r.ensureShelf(kind).byID {
		if rec.Parent == parent && rec.ID > p.After && (p.Before == 0 || rec.ID < p.Before) {
			out = append(out, clone(rec))
		}
	}
	slices.SortFunc(out, func(a, b bridge.Record) int {
		if p.Newest {
			a, b = b, a
		}
		return cmp.Compare(a.ID, b.ID)
	})
	return out[:min(len(out), cmp.Or(p.Limit, 100))], nil
}

// Save implements [bridge.Records].
func (r *recordTable) Save(_ context.Context, records ...bridge.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.checkKeys(records); err != nil {
		return err
	}
	for _, rec := range records {
		r.put(clone(rec))
	}
	return nil
}

// checkKeys finds keys that belong to another record, also within one call.
func (r *recordTable) checkKeys(records []bridge.Record) error {
	claimed := map[[2]string]int64{}
	for _, rec := range records {
		s := r.ensureShelf(rec.Kind)
		for _, k := range rec.Keys {
			owner, taken := s.keys[k]
			if other, ok := claimed[[2]string{rec.Kind, k}]; ok {
				owner, taken = other, true
			}
			if taken && owner != rec.ID {
				return fmt.Errorf("save %s: %w", rec.Kind, bridge.ErrRecordTaken)
			}
			claimed[[2]string{rec.Kind, k}] = rec.ID
		}
	}
	return nil
}

func (r *recordTable) put(rec bridge.Record) {
	s := r.ensureShelf(rec.Kind)
	if old, ok := s.byID[rec.ID]; ok {
		for _, k := range old.Keys {
			delete(s.keys, k)
		}
		rec.Time = old.Time
	}
	if rec.Time.IsZero() {
		rec.Time = time.Now()
	}
	s.last = max(s.last, rec.ID)
	s.byID[rec.ID] = rec
	for _, k := range rec.Keys {
		s.keys[k] = rec.ID
	}
}

// Delete implements [bridge.Records].
func (r *recordTable) Delete(_ context.Context, kind string, ids ...int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.ensureShelf(kind)
	for _, id := range ids {
		for _, k := range s.byID[id].Keys {
			delete(s.keys, k)
		}
		delete(s.byID, id)
	}
	return nil
}

func clone(rec bridge.Record) bridge.Record {
	rec.Keys = slices.Clone(rec.Keys)
	rec.Data = slices.Clone(rec.Data)
	return rec
}
