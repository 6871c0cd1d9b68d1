package lane

import (
	"slices"
	"sync"
	"time"

	"lpbridge/bridge"
)

const (
	// gapWait is how long an event waits for one before it that is missing.
	gapWait = 300 * time.Millisecond
	// gapMost is how many may be missing for that to be worth while.
	gapMost = 8
	// gapVain is after how many waits in vain nobody waits any more, and gapAgain
	// the number of gaps after which it is tried again: an account may not be told
	// of everything that takes a number.
	gapVain, gapAgain = 3, 64
	// dialogsKept is how many dialogs' numbers are known.
	dialogsKept = 1 << 13
)

// Order is what is known of the numbers that the far side, where events come
// from, gave them. Lanes towards a channel use it to bring in order what
// came otherwise.
type Order struct {
	// position is an event's dialog and number; ok is false when it has none.
	position func(e *bridge.Entry) (dialog string, sequence int64, ok bool)

	mu sync.Mutex
	// dialogs are those lately seen, before those seen before them.
	dialogs, before map[string]*numbers
	// vain counts waits in a row that brought nothing, gaps those passed over.
	vain, gaps int
}

// numbers are those seen in a dialog: all up to upTo, and some above it.
type numbers struct {
	upTo  int64
	above []int64
}

// NewOrder makes an order of events by their positions.
func NewOrder(position func(e *bridge.Entry) (string, int64, bool)) *Order {
	return &Order{position: position, dialogs: map[string]*numbers{}}
}

// Saw notes that a number of a dialog is accounted for: something that has it came
// or was sent by us.
func (o *Order) Saw(dialog string, sequence int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.numbersOf(dialog)
	if n == nil {
		if len(o.dialogs) >= dialogsKept {
			o.before, o.dialogs = o.dialogs, map[string]*numbers{}
		}
		o.dialogs[dialog] = &numbers{upTo: sequence}
		return
	}
	n.saw(sequence)
}

func (o *Order) numbersOf(dialog string) *numbers {
	if n := o.dialogs[dialog]; n != nil {
		return n
	}
	return o.before[dialog]
}

func (n *numbers) saw(sequence int64) {
	if sequence <= n.upTo || slices.Contains(n.above, sequence) {
		return
	}
	n.above = append(n.above, sequence)
	slices.Sort(n.above)
	for len(n.above) > 0 && (n.above[0] == n.upTo+1 || len(n.above) > gapMost) {
		n.upTo, n.above = n.above[0], n.above[1:]
	}
}

// missing reports whether a number before a position is not accounted for.
func (o *Order) missing(dialog string, sequence int64) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := o.numbersOf(dialog)
	if n == nil || sequence <= n.upTo+1 || sequence > n.upTo+1+gapMost {
		return false
	}
	for before := n.upTo + 1; before < sequence; before++ {
		if !slices.Contains(n.above, before) {
			return true
		}
	}
	return false
}

// spendPatience reports whether to wait once more for a number that is missing.
func (o *Order) spendPatience() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.vain < gapVain {
		return true
	}
	o.gaps++
	return o.gaps%gapAgain == 0
}

// waited notes how a wait ended.
func (o *Order) waited(came bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.vain++; came {
		o.vain = 0
	}
}

// insert puts an entry into the queue of a lane: behind all others, but before
// those of the same dialog that have higher numbers and were not sent. Without an
// order it always comes last.
func (o *Order) insert(l *lane, e *bridge.Entry) {
	at := len(l.queue)
	if o != nil && at > 0 {
		dialog, sequence, ok := o.position(e)
		for ok && at > 0 && o.overtaken(l, l.queue[at-1], dialog, sequence) {
			at--
		}
	}
	l.queue = slices.Insert(l.queue, at, e)
	if at == 0 && len(l.queue) > 1 {
		l.trouble, l.fixed = trouble{}, false
	}
}

// overtaken reports whether an event that has not been sent comes after a
// position.
func (o *Order) overtaken(l *lane, e *bridge.Entry, dialog string, sequence int64) bool {
	if e == l.delivering || e.Doubt != nil {
		return false
	}
	d, n, ok := o.position(e)
	return ok && d == dialog && n > sequence
}

// gap is until when the first entry of a lane waits for one that is missing before
// it; zero when it does not.
func (o *Order) gap(l *lane) time.Time {
	first := l.queue[0]
	if o == nil || first.Attempts > 0 || l.waitedFor == first.Seq {
		return time.Time{}
	}
	until := first.Accepted.Add(gapWait)
	if time.Until(until) <= 0 || time.Until(until) > gapWait {
		return time.Time{}
	}
	dialog, sequence, ok := o.position(first)
	if !ok || !o.missing(dialog, sequence) || !o.spendPatience() {
		return time.Time{}
	}
	l.waitedFor = first.Seq
	return until
}

// gapEnded notes how the wait of a lane for what was missing ended, when there
// was one.
func (o *Order) gapEnded(l *lane) {
	if l.waitedFor != 0 && len(l.queue) > 0 {
		o.waited(l.queue[0].Seq != l.waitedFor)
		l.waitedFor = 0
	}
}
