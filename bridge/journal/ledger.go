package journal

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"lpbridge/bridge"
)

// The ledger is asked by dialog, and what comes at one moment is of many dialogs:
// a page each. So entries are first written one behind the other, and known to
// memory, until some thousands have come together; sorted, those of a dialog
// share a page.

const (
	// ledgerBatch is how many entries are moved at a time.
	ledgerBatch = 1 << 14
	// ledgerPage is how many of them one transaction moves.
	ledgerPage = 512
)

// position is a position in a dialog.
type position struct {
	dialog   string
	sequence int64
}

// entered is an entry on its way to the ledger's memory.
type entered struct {
	position
	bridge.LedgerEntry
	number, stamp int64
}

// ledger is the journal's [bridge.Ledger]. In memory are the entries that are not
// sorted yet.
type ledger struct {
	access
	background *sync.WaitGroup

	mu sync.Mutex
	// fresh are the newest, moving those that are being moved.
	fresh, moving map[position]entered
	// last are the highest sequences of their dialogs.
	last map[string]int64
	// since is when the first of fresh came.
	since int64
}

func newLedger(a access, background *sync.WaitGroup) *ledger {
	return &ledger{access: a, background: background, fresh: map[position]entered{}, last: map[string]int64{}}
}

func (l *ledger) enter(list []entered) {
	if len(list) == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.fresh) == 0 {
		l.since = list[0].stamp
	}
	for _, e := range list {
		l.fresh[e.position] = e
		if last, known := l.last[e.dialog]; !known || last < e.sequence {
			l.last[e.dialog] = e.sequence
		}
	}
}

func (l *ledger) at(p position) (bridge.LedgerEntry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e, there := l.fresh[p]
	if !there {
		e, there = l.moving[p]
	}
	return e.LedgerEntry, there
}

// inMemory copies what is known of a dialog and not sorted in yet.
func (l *ledger) inMemory(dialog string) map[position]bridge.LedgerEntry {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := map[position]bridge.LedgerEntry{}
	for _, unsorted := range []map[position]entered{l.fresh, l.moving} {
		for p, e := range unsorted {
			if p.dialog == dialog {
				found[p] = e.LedgerEntry
			}
		}
	}
	return found
}

func (l *ledger) lastOf(dialog string) (int64, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	last, known := l.last[dialog]
	return last, known
}

// begin takes the fresh entries to be moved, in the order of the ledger, if there
// are so many or they are older than a time, and none are being moved.
func (l *ledger) begin(least int, before int64) []entered {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.moving) > 0 || len(l.fresh) == 0 || len(l.fresh) < least && l.since >= before {
		return nil
	}
	l.moving, l.fresh = l.fresh, make(map[position]entered, len(l.fresh))
	return slices.SortedFunc(maps.Values(l.moving), func(a, b entered) int {
		return cmp.Or(cmp.Compare(a.dialog, b.dialog), cmp.Compare(a.sequence, b.sequence))
	})
}

// end forgets what was moved.
func (l *ledger) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.moving = nil
	clear(l.last)
	for p := range l.fresh {
		if last, known := l.last[p.dialog]; !known || last < p.sequence {
			l.last[p.dialog] = p.sequence
		}
	}
}

// enter writes an entry.
func (t *transaction) enter(s *bridge.Settlement) error {
	n, err := t.revision.next(t)
	if err != nil {
		return err
	}
	_, err = t.exec(insertPosition, n, s.Dialog, s.Sequence, s.Lane.Channel, string(s.Lane.Thread), string(s.Source), t.stamp)
	t.entered = append(t.entered, entered{
		position: position{s.Dialog, s.Sequence}, number: n, stamp: t.stamp,
		LedgerEntry: bridge.LedgerEntry{
			Sequence: s.Sequence, Channel: s.Lane.Channel, Thread: s.Lane.Thread, Source: s.Source,
		},
	})
	return err
}

// move moves entries to where they are sorted, if there are so many or
// they are older than a time.
func (l *ledger) move(least int, before int64) {
	list := l.begin(least, before)
	if len(list) == 0 {
		return
	}
	l.background.Go(func() {
		var upTo int64
		for i := range list {
			upTo = max(upTo, list[i].number)
		}
		// Each page is written when the one before is, so that the writer has room
		// for others.
		for page := range slices.Chunk(list, ledgerPage) {
			if !l.movePage(&moveWrite{page: page}) {
				return
			}
		}
		if l.movePage(&moveWrite{upTo: upTo}) {
			l.end()
		}
	})
}

func (l *ledger) movePage(s *moveWrite) bool {
	s.done = make(chan error, 1)
	l.w.push(s, retryPatience)
	return <-s.done == nil
}

// moveWrite sorts a page of entries in, or forgets those that were.
type moveWrite struct {
	done chan error
	page []entered
	upTo int64
}

func (s *moveWrite) apply(t *transaction) error {
	for i := range s.page {
		e := &s.page[i]
		_, err := t.exec(insertLedger, e.dialog, e.position.sequence, e.Channel, string(e.Thread), string(e.Source), e.stamp)
		if err != nil {
			return err
		}
	}
	if s.upTo == 0 {
		return nil
	}
	_, err := t.exec(deletePositions, s.upTo)
	return err
}

func (s *moveWrite) finish(err error) { s.done <- err }

func (*moveWrite) kept() bool { return true }

// load reads the entries that are not sorted yet.
func (l *ledger) load(ctx context.Context) error {
	var list []entered
	err := l.db.list(ctx, positions, nil, func(scan func(...any) error) error {
		var e entered
		err := scan(&e.number, &e.dialog, &e.position.sequence, &e.Channel, &e.Thread, &e.Source, &e.stamp)
		e.LedgerEntry.Sequence = e.position.sequence
		list = append(list, e)
		return err
	})
	l.enter(list)
	if err != nil {
		return fmt.Errorf("read the ledger: %w", err)
	}
	return nil
}

// MessagesAt implements [bridge.Journal].
func (l *ledger) MessagesAt(ctx context.Context, dialog string, sequences []int64) ([]bridge.LedgerEntry, error) {
	var list []bridge.LedgerEntry
	for _, sequence := range sequences {
		// Memory is asked first: what it forgets is in the table by then.
		if e, there := l.at(position{dialog, sequence}); there && l.w.usable() == nil {
			list = append(list, e)
			continue
		}
		e := bridge.LedgerEntry{Sequence: sequence}
		found, err := l.find(ctx, messageAt, []any{dialog, sequence}, &e.Channel, &e.Thread, &e.Source)
		if err != nil {
			return nil, fmt.Errorf("journal: messages at a position: %w", err)
		}
		if found {
			list = append(list, e)
		}
	}
	return list, nil
}

// LastOfThread implements [bridge.Journal].
func (l *ledger) LastOfThread(ctx context.Context, dialog string, of bridge.ThreadKey) (int64, error) {
	last := int64(-1)
	// Memory is asked first: what it forgets is in the table by then.
	for p, e := range l.inMemory(dialog) {
		if e.Channel == of.Channel && e.Thread == of.Thread {
			last = max(last, p.sequence)
		}
	}
	stored := int64(-1)
	if _, err := l.find(ctx, lastOfThread, []any{dialog, of.Channel, string(of.Thread)}, &stored); err != nil {
		return 0, fmt.Errorf("journal: last message of a thread in a dialog: %w", err)
	}
	return max(last, stored), nil
}

// LastOf implements [bridge.Journal].
func (l *ledger) LastOf(ctx context.Context, dialog string) (int64, error) {
	last := int64(-1)
	memory, known := l.lastOf(dialog)
	if _, err := l.find(ctx, lastOf, []any{dialog}, &last); err != nil {
		return 0, fmt.Errorf("journal: last message of a dialog: %w", err)
	}
	if known {
		last = max(last, memory)
	}
	return last, nil
}
