// Package packed keeps many small values in little memory: a hundred thousand of a
// hundred bytes in a dozen MiB. They lie one after the other in memory the garbage
// collector does not look at, and, where the system allows, does not count either, so
// that they do not make room for as much garbage again.
//
// It is for what can be had again, at a price: what was put in first is given up
// first when there is no more room. It assumes that values are put in seldom, such as
// when they leave a cache of those in use, and are read in full.
package packed

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"
	"runtime"
)

// chunkBytes is the unit in which memory is taken and given up. No value is longer.
const chunkBytes = 64 << 10

// Values are bounded by bytes. The zero value keeps none. They are not safe for
// concurrent use.
type Values struct {
	seed maphash.Seed
	most int
	// chunks are filled one after the other and then again from the first; end is
	// where the one being filled ends so far.
	chunks []*chunk
	now    int
	end    int
	// slots is a hash table with linear probing of where values begin, counted
	// from one over all chunks, zero for none; used is how many there are.
	slots []uint32
	used  int
}

// chunk is memory that holds so many bytes of values.
type chunk struct {
	memory []byte
	filled int
}

// New makes room for values, with their keys, of so many bytes, rounded to 64 KiB.
func New(most int) *Values {
	return &Values{seed: maphash.MakeSeed(), most: (most + chunkBytes/2) / chunkBytes}
}

// Len is how many values there are.
func (v *Values) Len() int { return v.used }

// Get returns a value, which must not be changed and is good until the next call.
func (v *Values) Get(key []byte) (value []byte, ok bool) {
	at, found := v.find(key)
	if !found {
		return nil, false
	}
	_, value, _ = v.at(v.slots[at])
	return value, true
}

// Put keeps a value in the place of the one that was there. One that is too long is
// not kept.
func (v *Values) Put(key, value []byte) {
	if v.most == 0 {
		return
	}
	if at, found := v.find(key); found {
		if _, old, _ := v.at(v.slots[at]); len(old) == len(value) {
			copy(old, value)
			return
		}
		v.remove(at)
	}
	size := 2*binary.MaxVarintLen16 + len(key) + len(value)
	if size > chunkBytes || !v.room(size) {
		return
	}
	c := v.chunks[v.now]
	begins := uint32(v.now*chunkBytes + v.end + 1)
	b := binary.AppendUvarint(c.memory[:v.end], uint64(len(key)))
	b = binary.AppendUvarint(b, uint64(len(value)))
	b = append(append(b, key...), value...)
	v.end, c.filled = len(b), len(b)
	v.insert(key, begins)
}

// Drop forgets a value, and leaves nothing of it in memory.
func (v *Values) Drop(key []byte) {
	if at, found := v.find(key); found {
		_, value, _ := v.at(v.slots[at])
		clear(value)
		v.remove(at)
	}
}

// room makes sure that so many bytes fit into the chunk being filled.
func (v *Values) room(size int) bool {
	if len(v.chunks) > 0 && v.end+size <= chunkBytes {
		return true
	}
	if len(v.chunks) < v.most {
		memory, free, err := take(chunkBytes)
		if err != nil {
			return false
		}
		c := &chunk{memory: memory}
		runtime.AddCleanup(c, func(m []byte) { free(m) }, memory)
		v.chunks = append(v.chunks, c)
		v.now, v.end = len(v.chunks)-1, 0
		return true
	}
	v.now, v.end = (v.now+1)%len(v.chunks), 0
	v.empty(v.now)
	return true
}

// empty gives up what a chunk holds.
func (v *Values) empty(n int) {
	c := v.chunks[n]
	for at := 0; at < c.filled; {
		begins := uint32(n*chunkBytes + at + 1)
		key, _, size := v.at(begins)
		for slot := v.home(key); v.slots[slot] != 0; slot = v.next(slot) {
			if v.slots[slot] == begins {
				v.remove(slot)
				break
			}
		}
		at += size
	}
	c.filled = 0
}

// at reads what begins somewhere, and how many bytes it takes in all.
func (v *Values) at(begins uint32) (key, value []byte, size int) {
	n := int(begins - 1)
	b := v.chunks[n/chunkBytes].memory[n%chunkBytes:]
	k, kn := binary.Uvarint(b)
	l, ln := binary.Uvarint(b[kn:])
	from := kn + ln
	to := from + int(k)
	size = to + int(l)
	return b[from:to:to], b[to:size:size], size
}

func (v *Values) home(key []byte) int {
	return int(maphash.Bytes(v.seed, key) & uint64(len(v.slots)-1))
}

func (v *Values) next(slot int) int { return (slot + 1) & (len(v.slots) - 1) }

// find returns the slot of a key.
func (v *Values) find(key []byte) (slot int, found bool) {
	if v.used == 0 {
		return 0, false
	}
	for slot = v.home(key); v.slots[slot] != 0; slot = v.next(slot) {
		if k, _, _ := v.at(v.slots[slot]); bytes.Equal(k, key) {
			return slot, true
		}
	}
	return slot, false
}

// insert takes a slot for a key that has none.
func (v *Values) insert(key []byte, begins uint32) {
	if 4*(v.used+1) > 3*len(v.slots) {
		v.grow()
	}
	slot := v.home(key)
	for v.slots[slot] != 0 {
		slot = v.next(slot)
	}
	v.slots[slot] = begins
	v.used++
}

func (v *Values) grow() {
	old := v.slots
	v.slots = make([]uint32, max(64, 2*len(old)))
	for _, begins := range old {
		if begins == 0 {
			continue
		}
		key, _, _ := v.at(begins)
		slot := v.home(key)
		for v.slots[slot] != 0 {
			slot = v.next(slot)
		}
		v.slots[slot] = begins
	}
}

// remove frees a slot and moves up those behind it that would not be found any more.
func (v *Values) remove(slot int) {
	mask := len(v.slots) - 1
	v.used--
	for hole, i := slot, slot; ; {
		v.slots[hole] = 0
		for {
			i = v.next(i)
			if v.slots[i] == 0 {
				return
			}
			key, _, _ := v.at(v.slots[i])
			// It may move where its way from home leads past the hole.
			if (i-v.home(key))&mask >= (i-hole)&mask {
				break
			}
		}
		v.slots[hole] = v.slots[i]
		hole = i
	}
}
