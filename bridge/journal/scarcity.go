package journal

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"lpbridge/bridge"
)

// scarcity is what the writer knows of the space there is.
type scarcity struct {
	// scarce says why nothing is accepted, nil while there is space.
	scarce error
	// shortage is the same in words, for others than the writer; nil while there is
	// space.
	shortage atomic.Pointer[string]
	// full is when a transaction last found no space.
	full time.Time
	// cramped says that it is not known whether there has been space since.
	cramped bool
	// again is when it is next looked whether there is space.
	again time.Time
	// unseen is what was written since the log's length and the space were last
	// looked at, in writes and in bytes.
	unseen, unseenBytes int
	// complained is when a transaction that was undone was last logged.
	complained time.Time
}

const (
	// lookEvery and lookBytes are how many writes and entries, and how many bytes
	// of content, pass between two looks at the log's length; each write makes a
	// few pages.
	lookEvery = 512
	lookBytes = 4 << 20
	// fullFor is how long the log is kept short after a transaction found no space.
	fullFor = time.Minute
	// complainEvery is how often it is logged that transactions are undone.
	complainEvery = 10 * time.Second
)

// grows reports whether a write brings something new, which somebody else still
// has. All others finish what was accepted.
func grows(s write) bool {
	a, ok := s.(*appendWrite)
	return ok && (len(a.batch.Entries) > 0 || len(a.batch.Unclaimed) > 0)
}

// admit refuses what brings something new while space is scarce, and returns
// the rest.
func (w *writer) admit(writes []write) []write {
	if w.scarce == nil {
		return writes
	}
	if time.Now().After(w.again) {
		w.again = time.Now().Add(scarceEvery)
		if w.reserve(); w.scarce == nil {
			return writes
		}
	}
	return refuseGrowth(writes, fmt.Errorf("%w: %w", bridge.ErrStorage, w.scarce))
}

// refuseGrowth ends what brings something new and returns the rest.
func refuseGrowth(writes []write, err error) []write {
	rest := make([]write, 0, len(writes))
	for _, s := range writes {
		if grows(s) {
			s.finish(err)
		} else {
			rest = append(rest, s)
		}
	}
	return rest
}

// makeRoom deals with a transaction that found no space: what brings something
// new is refused, the log starts over in the space it has, and the rest, which
// it returns, is worth another try.
func (w *writer) makeRoom(writes []write, err error) []write {
	w.full, w.cramped = time.Now(), true
	w.checkpoint()
	return refuseGrowth(writes, err)
}

func (w *writer) becomeScarce(cause error) {
	if w.scarce == nil {
		w.j.log.Error("journal: no space, nothing new is accepted until there is", "error", cause)
	}
	w.scarce, w.again = cause, time.Now().Add(scarceEvery)
	words := cause.Error()
	w.shortage.Store(&words)
}

// reserve sets space aside and decides by that whether it is scarce.
func (w *writer) reserve() {
	err := w.j.db.reserve(context.Background(), w.cramped)
	if err != nil {
		w.becomeScarce(err)
		return
	}
	w.cramped = false
	if w.scarce != nil {
		w.j.log.Info("journal: there is space again")
		w.scarce = nil
		w.shortage.Store(nil)
	}
}

// complain logs that a transaction was undone, now and then.
func (w *writer) complain(cause error) {
	if time.Since(w.complained) < complainEvery {
		return
	}
	w.complained = time.Now()
	w.j.log.Error("journal: a transaction was undone", "error", cause)
}

// lookAfter looks at the log and at the space now and then.
func (w *writer) lookAfter(writes []write) {
	w.unseen += len(writes) + len(w.tx.fresh)
	for i := range w.tx.fresh {
		w.unseenBytes += len(w.tx.fresh[i].Payload)
	}
	if w.unseen < lookEvery && w.unseenBytes < lookBytes && w.scarce == nil {
		return
	}
	w.unseen, w.unseenBytes = 0, 0
	w.checkpoint()
}

// checkpoint copies the log into the database when it is long enough, and sets
// space aside for the next.
func (w *writer) checkpoint() {
	limit := checkpointPages
	if w.scarce != nil || time.Since(w.full) < fullFor {
		limit = scarcePages
	}
	done, err := w.j.db.checkpoint(context.Background(), limit)
	switch {
	case err == nil:
		if done {
			w.checkpoints.Add(1)
		}
	case w.j.db.severityOf(err) == later, w.j.db.severityOf(err) == full:
		// The log stays longer, nothing else.
		w.j.log.Warn("journal: the log could not be copied into the database", "error", err)
	default:
		w.fail(nil, err)
		return
	}
	if w.scarce == nil {
		w.reserve()
	}
}
