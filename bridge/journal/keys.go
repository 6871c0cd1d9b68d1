package journal

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sort"

	"lpbridge/bridge"
)

// Idempotency keys are hashes, so that those of one moment lie all over any
// index of them, and an index on disk would cost a page per event. So they are
// written without one: the event's own row stands in for its key until some
// tens of thousands have come together. These are then written as one sorted
// run, and their rows may go. In memory are the keys no run has yet, and of each
// run a filter that says of nearly every key it does not hold that it does not.

const (
	// runKeys is how many keys make a run. More save filters to ask, fewer save
	// memory and time at the start, when the keys no run has are read.
	runKeys = 1 << 15
	// partKeys is how many keys of a run are read to find one.
	partKeys = 256
	// filterBits is how many bits a run's filter has for each key, and
	// filterProbes how many of them are set for one: one key in two thousand is
	// looked for in vain.
	filterBits   = 16
	filterProbes = 8
)

// keyHash is what an idempotency key is stored as: ids may be long, and should
// not be kept once their event is gone.
type keyHash [16]byte

// hashKey returns the hash of an event's key. scratch saves an allocation.
func hashKey(scratch *[]byte, lane bridge.LaneKey, id bridge.EventID) keyHash {
	b := append((*scratch)[:0], lane.Channel...)
	b = append(b, arrow(lane.Direction)...)
	b = append(b, id...)
	*scratch = b
	sum := sha256.Sum256(b)
	return keyHash(sum[:16])
}

// run is a sorted run of keys.
type run struct {
	id int64
	// expires is when all its keys may be forgotten.
	expires int64
	filter  []byte
	// firsts are the first keys of its parts.
	firsts []byte
	// parts are there while the run is written.
	parts [][]byte
}

// newRun sorts keys into a run.
func newRun(keys map[keyHash]struct{}) *run {
	sorted := make([]keyHash, 0, len(keys))
	for k := range keys {
		sorted = append(sorted, k)
	}
	slices.SortFunc(sorted, func(a, b keyHash) int { return bytes.Compare(a[:], b[:]) })
	r := &run{filter: make([]byte, (len(sorted)*filterBits+7)/8)}
	for part := range slices.Chunk(sorted, partKeys) {
		packed := make([]byte, 0, len(part)*len(keyHash{}))
		for i := range part {
			packed = append(packed, part[i][:]...)
			r.mark(part[i])
		}
		r.parts = append(r.parts, packed)
		r.firsts = append(r.firsts, part[0][:]...)
	}
	return r
}

// probes calls f for each bit of the filter that belongs to a key until it
// returns false, and reports whether it never did.
func (r *run) probes(k keyHash, f func(bit uint64) bool) bool {
	at, stride := binary.LittleEndian.Uint64(k[:8]), binary.LittleEndian.Uint64(k[8:])|1
	bits := uint64(len(r.filter)) * 8
	for range filterProbes {
		if !f(at % bits) {
			return false
		}
		at += stride
	}
	return true
}

func (r *run) mark(k keyHash) {
	r.probes(k, func(bit uint64) bool {
		r.filter[bit/8] |= 1 << (bit % 8)
		return true
	})
}

// mayHold reports false of nearly every key the run does not hold.
func (r *run) mayHold(k keyHash) bool {
	return r.probes(k, func(bit uint64) bool { return r.filter[bit/8]&(1<<(bit%8)) != 0 })
}

// part returns the part that holds a key if any does, -1 for none.
func (r *run) part(k keyHash) int {
	size := len(k)
	return sort.Search(len(r.firsts)/size, func(i int) bool {
		return bytes.Compare(r.firsts[i*size:(i+1)*size], k[:]) > 0
	}) - 1
}

// holds reports whether a part of a run holds a key.
func holds(part []byte, k keyHash) bool {
	size := len(k)
	_, found := sort.Find(len(part)/size, func(i int) int { return bytes.Compare(k[:], part[i*size:(i+1)*size]) })
	return found
}

// keys are the idempotency keys that are known. They belong to the writer.
type keys struct {
	// fresh are those no run has yet, closing those of the run being written.
	fresh, closing map[keyHash]struct{}
	runs           []*run
	// mark is the last seq whose key is in a run.
	mark int64
	// old says that the first schema's table may still hold some.
	old bool
	// since is when the first of fresh came.
	since int64
	// added are those of the transaction at work.
	added   []keyHash
	scratch []byte
}

// loadKeys reads the runs and the keys whose events stand in for them.
func (j *Journal) loadKeys(ctx context.Context) (keys, error) {
	k := keys{fresh: map[keyHash]struct{}{}}
	mark, _, err := j.db.meta(ctx, metaKeys)
	if err != nil {
		return k, err
	}
	k.mark = mark
	err = j.db.list(ctx, keyRuns, nil, func(scan func(...any) error) error {
		r := &run{}
		k.runs = append(k.runs, r)
		return scan(&r.id, &r.expires, &r.filter, &r.firsts)
	})
	if err != nil {
		return k, fmt.Errorf("read runs of keys: %w", err)
	}
	err = j.db.list(ctx, freshKeys, []any{mark}, func(scan func(...any) error) error {
		var name, id string
		if err := scan(&name, &id); err != nil {
			return err
		}
		lane, err := parseLane(name)
		if err != nil {
			return err
		}
		k.fresh[hashKey(&k.scratch, lane, bridge.EventID(id))] = struct{}{}
		return nil
	})
	if err != nil {
		return k, fmt.Errorf("read keys: %w", err)
	}
	var one int
	if k.old, err = j.db.find(ctx, anyDedupe, nil, &one); err != nil {
		return k, fmt.Errorf("look for keys of the first schema: %w", err)
	}
	k.since = j.clock.shift().steady(j.clock.read())
	return k, nil
}

// learn notes an event's key and reports whether it was new.
func (t *transaction) learn(lane bridge.LaneKey, id bridge.EventID) (bool, error) {
	k := &t.w.keys
	hash := hashKey(&k.scratch, lane, id)
	if _, known := k.fresh[hash]; known {
		return false, nil
	}
	if _, known := k.closing[hash]; known {
		return false, nil
	}
	for _, r := range k.runs {
		if !r.mayHold(hash) {
			continue
		}
		if found, err := t.inRun(r, hash); found || err != nil {
			return false, err
		}
	}
	if k.old {
		var one int
		if found, err := t.row(dedupeOf, []any{hash[:]}, &one); found || err != nil {
			return false, err
		}
	}
	if len(k.fresh) == 0 {
		k.since = t.stamp
	}
	k.fresh[hash] = struct{}{}
	k.added = append(k.added, hash)
	return true, nil
}

func (t *transaction) inRun(r *run, hash keyHash) (bool, error) {
	i := r.part(hash)
	if i < 0 {
		return false, nil
	}
	var part []byte
	found, err := t.row(keyPart, []any{r.id, i}, &part)
	return found && holds(part, hash), err
}

// forget drops what a transaction learned that was undone.
func (k *keys) forget() {
	for _, hash := range k.added {
		delete(k.fresh, hash)
	}
	k.added = k.added[:0]
}

// closeRun has the fresh keys written as a run, if there are at least so many
// and no other run is being written.
func (w *writer) closeRun(least int) {
	k := &w.keys
	if len(k.fresh) < max(least, 1) || k.closing != nil {
		return
	}
	k.closing, k.fresh = k.fresh, make(map[keyHash]struct{}, len(k.fresh))
	closing, upTo := k.closing, w.seq.last
	w.j.background.Go(func() { w.push(&runWrite{w: w, run: newRun(closing), upTo: upTo}, retryPatience) })
}

// runWrite writes a run.
type runWrite struct {
	w    *writer
	run  *run
	upTo int64
}

func (s *runWrite) apply(t *transaction) error {
	var err error
	if s.run.id, err = t.revision.next(t); err != nil {
		return err
	}
	s.run.expires = t.stamp + t.w.j.opts.DedupeRetention.Microseconds()
	for i, part := range s.run.parts {
		if _, err := t.exec(insertKeyPart, s.run.id, i, part); err != nil {
			return err
		}
	}
	if _, err := t.exec(insertKeyRun, s.run.id, s.run.expires, s.run.filter, s.run.firsts); err != nil {
		return err
	}
	_, err = t.exec(upsertMeta, metaKeys, s.upTo)
	return err
}

// finish runs on the writer, but for a journal that is closed.
func (s *runWrite) finish(err error) {
	if err != nil {
		return
	}
	k := &s.w.keys
	s.run.parts = nil
	k.runs = append(k.runs, s.run)
	k.closing, k.mark = nil, s.upTo
	s.w.j.purger.free(s.upTo)
}

func (*runWrite) kept() bool { return true }

// keysWrite forgets runs that expired, and has the fresh keys written when the
// first of them came before a time.
type keysWrite struct {
	wait
	w           *writer
	now, before int64
	dropped     []*run
	old         bool
}

func (s *keysWrite) apply(t *transaction) error {
	s.dropped = nil
	for _, r := range t.w.keys.runs {
		if r.expires >= s.now {
			continue
		}
		if _, err := t.exec(deleteKeyParts, r.id); err != nil {
			return err
		}
		if _, err := t.exec(deleteKeyRun, r.id); err != nil {
			return err
		}
		s.dropped = append(s.dropped, r)
	}
	var one int
	var err error
	s.old, err = t.row(anyDedupe, nil, &one)
	return err
}

// finish runs on the writer, but for a journal that is closed.
func (s *keysWrite) finish(err error) {
	if err == nil {
		k := &s.w.keys
		k.runs = slices.DeleteFunc(k.runs, func(r *run) bool { return slices.Contains(s.dropped, r) })
		k.old = s.old
		if k.since < s.before {
			s.w.closeRun(1)
		}
	}
	s.wait.finish(err)
}
