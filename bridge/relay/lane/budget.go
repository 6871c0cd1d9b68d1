package lane

import (
	"cmp"
	"sync/atomic"

	"lpbridge/bridge"
)

const (
	// entryBytes is what an entry costs in memory besides its payload.
	entryBytes    = 700
	defaultBudget = 16 << 20
	// maxLanes is how many lanes of a set are known at once; what others hold is
	// in the journal only, until there is room.
	maxLanes = 1 << 14
)

// Budget bounds what all lanes of a process keep of their entries in memory. What
// exceeds it stays in the journal, where it is anyway, and is read when its lane
// gets there.
type Budget struct {
	most int64
	used atomic.Int64
}

// NewBudget makes a budget of so many bytes.
func NewBudget(bytes int64) *Budget { return &Budget{most: bytes} }

// spent says that nothing more should be kept, and tight that what waits should
// be given back.
func (b *Budget) spent() bool { return b.used.Load() >= b.most }
func (b *Budget) tight() bool { return b.used.Load() >= b.most/2 }

// hold puts an entry into a lane's memory.
func (s *Set) hold(l *lane, e *bridge.Entry) {
	size := int64(len(e.Payload)) + entryBytes
	s.Order.insert(l, e)
	if e.Event != nil && len(l.queue) == 1 {
		// It goes out next. The journal has the encoded form; one of the two is
		// enough.
		e.Trace = cmp.Or(e.Trace, bridge.TraceOf(e.Payload))
		e.Payload = nil
	} else {
		e.Event = nil
	}
	l.held += size
	l.last = max(l.last, e.Seq)
	s.Budget.used.Add(size)
}

// unhold takes n entries out of a lane's memory; its queue still has them.
func (s *Set) unhold(l *lane, n int) {
	size := l.held
	if n < len(l.queue) {
		size = l.held * int64(n) / int64(len(l.queue))
	}
	l.held -= size
	s.Budget.used.Add(-size)
}

// giveBack leaves to the journal what a lane that waits keeps in memory. What is
// in doubt stays: its echo must find it.
func (s *Set) giveBack(l *lane) {
	if len(l.open) > 0 || l.loading != nil || l.trouble.second || !s.Budget.tight() {
		return
	}
	kept := 0
	for i, e := range l.queue {
		if e.Doubt != nil {
			kept = i + 1
		}
	}
	if kept == len(l.queue) {
		return
	}
	first := l.queue[kept].Seq
	for _, e := range l.queue[kept:] {
		first = min(first, e.Seq)
		s.Unloaded(e)
	}
	if kept == 0 {
		l.oldest = l.queue[0].Accepted
	}
	s.unhold(l, len(l.queue)-kept)
	clear(l.queue[kept:])
	l.queue = l.queue[:kept:kept]
	if kept == 0 {
		l.queue = nil
	}
	l.last, l.behind = first-1, true
}

// forget drops a parked lane of which the journal knows all, when there are too
// many.
func (s *Set) forget(l *lane) bool {
	if len(s.byKey) <= maxLanes || len(l.queue) > 0 || len(l.open) > 0 || l.loading != nil || l.recovered {
		return false
	}
	s.expecting.remove(l)
	s.Schedule.Stop(&l.wake)
	delete(s.byKey, l.key)
	s.sweeper.stray(l.key.Channel, l.oldest)
	return true
}
