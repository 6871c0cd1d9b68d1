package journal

import (
	"context"
	"encoding/binary"
	"fmt"
)

// SQLite takes a log that ends early for one that was never longer: a disk that
// did not keep its word, or a backup without the log, would lose accepted events
// without a word. So the seq of the last event is noted outside of the database
// after each transaction, in the lock file. The note is not flushed, which would cost as
// much as the transaction: it is never ahead of what was, and after a power cut
// it may be behind.

// witness is a seq and what proves that it was written whole.
type witness [16]byte

func newWitness(seq int64) witness {
	var w witness
	binary.LittleEndian.PutUint64(w[:8], uint64(seq))
	binary.LittleEndian.PutUint64(w[8:], ^uint64(seq))
	return w
}

// seq returns the seq, 0 when it was not written whole or not at all.
func (w witness) seq() int64 {
	seq := binary.LittleEndian.Uint64(w[:8])
	if seq != ^binary.LittleEndian.Uint64(w[8:]) {
		return 0
	}
	return int64(seq)
}

// readWitness reads the note of the process before.
func (s *sqliteEngine) readWitness() {
	var w witness
	if n, err := s.lock.ReadAt(w[:], 0); n == len(w) || err == nil {
		s.seen = w.seq()
	}
}

// note writes down the last seq. That it cannot is no reason to stop: what it
// would tell of has not happened.
func (s *sqliteEngine) note(seq int64) {
	if seq == s.seen {
		return
	}
	s.seen = seq
	w := newWitness(seq)
	_, _ = s.lock.WriteAt(w[:], 0)
}

// checkEnd compares the note with what the database holds, and returns the
// highest seq there was.
func (j *Journal) checkEnd(ctx context.Context) (int64, error) {
	var last int64
	if err := j.db.scan(ctx, lastEvent, &last); err != nil {
		return 0, fmt.Errorf("read the last event: %w", err)
	}
	mark, _, err := j.db.meta(ctx, metaKeys)
	if err != nil {
		return 0, err
	}
	// An event's row is there as long as no run has its key.
	last = max(last, mark)
	seen := j.db.left().seen
	if seen > last {
		j.lost = seen - last
		j.log.Error("journal: the log lost its end, or the files are not those of the last process; events that were accepted are gone",
			"events_at_most", j.lost, "last_event", last, "was", seen)
	}
	return max(last, seen), nil
}
