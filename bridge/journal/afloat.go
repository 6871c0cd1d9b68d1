package journal

import (
	"maps"
	"slices"
	"sync"

	"lpbridge/bridge"
)

// Most events are delivered within milliseconds. Those that begin at once are
// not entered in the index of what waits, which would write a page for coming
// and one for going: they are afloat, known to memory, until a settlement makes
// them wait after all. After a crash they are found by walking the events from
// the lowest that was afloat, which is written down once a second, and entered
// then.

// afloat are the pending events the index does not have.
type afloat struct {
	mu     sync.Mutex
	lanes  map[int64]bridge.LaneKey
	byLane map[bridge.LaneKey][]int64
	// order has their seqs as they came, and those that are gone since.
	order []int64
}

func newAfloat() *afloat {
	return &afloat{lanes: map[int64]bridge.LaneKey{}, byLane: map[bridge.LaneKey][]int64{}}
}

func (a *afloat) add(lane bridge.LaneKey, seq int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lanes[seq] = lane
	a.byLane[lane] = append(a.byLane[lane], seq)
	a.order = append(a.order, seq)
}

func (a *afloat) remove(seqs []int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, seq := range seqs {
		lane, there := a.lanes[seq]
		if !there {
			continue
		}
		delete(a.lanes, seq)
		rest := slices.DeleteFunc(a.byLane[lane], func(n int64) bool { return n == seq })
		if len(rest) == 0 {
			delete(a.byLane, lane)
		} else {
			a.byLane[lane] = rest
		}
	}
	for len(a.order) > 0 {
		if _, there := a.lanes[a.order[0]]; there {
			return
		}
		a.order = a.order[1:]
	}
	a.order = nil
}

// lowest is the lowest of them, or none if there are none.
func (a *afloat) lowest(none int64) int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.order) == 0 {
		return none
	}
	return a.order[0]
}

// all lists them.
func (a *afloat) all() []int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Sorted(maps.Keys(a.lanes))
}

// landAll enters in the index what is afloat when the journal is closed, so that the
// next process need not walk the events that came after the first of them.
func (t *transaction) landAll() error {
	for _, seq := range t.w.j.afloat.all() {
		if _, err := t.exec(listEvent, seq); err != nil {
			return err
		}
	}
	_, err := t.exec(upsertMeta, metaAfloat, t.seq.last+1)
	return err
}

// of lists those of a lane with a seq above after.
func (a *afloat) of(lane bridge.LaneKey, after int64) []int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []int64
	for _, seq := range a.byLane[lane] {
		if seq > after {
			list = append(list, seq)
		}
	}
	return list
}

// names lists the lanes that have some, by their names in the database, after a
// name.
func (a *afloat) names(after string) []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	var list []string
	for lane := range a.byLane {
		if name := laneName(lane); name > after {
			list = append(list, name)
		}
	}
	return list
}
