package bridgetest

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"lpbridge/bridge"
)

// Journal is a [bridge.Journal] that keeps everything in memory. It behaves as
// the one on disk does, seen from outside, and does no input or output, so that
// tests can run it in a synctest bubble. Its one goroutine ends with Close.
type Journal struct {
	mem *memory

	wake chan struct{}
	done chan struct{}

	mu        sync.Mutex
	queue     []*memoryWrite
	closed    bool
	broken    error
	started   bool
	committed func([]bridge.Entry)
	pause     func()
	boot      int64
	epoch     int64
	from, to  time.Time
}

// memory is what outlives a process.
type memory struct {
	mu            sync.Mutex
	seq           int64
	saved         int64
	entries       map[int64]*bridge.Entry
	dead          map[int64]*bridge.DeadLetter
	known         map[idempotencyKey]bool
	threads       map[bridge.ThreadKey]*savedThread
	conversations map[string]*savedConversation
	dialogs       map[string]string
	consumers     map[consumerKey]bridge.ConsumerRow
	ledger        map[position]bridge.LedgerEntry
	unclaimed     []bridge.Unclaimed
	composing     []bridge.ComposingMark
	flags         map[string]string
	stores        map[string]*recordTable
	maxPending    int
	maxUnclaimed  int

	// epoch counts starts; unclean says that the one started last was not closed.
	epoch   int64
	unclean bool
	begun   map[int64]int64
	broken  map[int64]time.Time
	alive   time.Time
}

type idempotencyKey struct {
	channel   string
	direction bridge.Direction
	id        bridge.EventID
}

type position struct {
	dialog   string
	sequence int64
}

type consumerKey struct {
	channel string
	id      bridge.ConsumerID
}

type savedConversation struct {
	bridge.Conversation
	created, saved int64
}

type savedThread struct {
	bridge.Thread
	saved int64
}

// memoryWrite is one call that waits for its transaction.
type memoryWrite struct {
	apply func() ([]bridge.Entry, error)
	done  func(error)
}

var _ bridge.Journal = (*Journal)(nil)

// NewJournal returns an empty journal.
func NewJournal() *Journal {
	return open(&memory{
		entries: map[int64]*bridge.Entry{}, dead: map[int64]*bridge.DeadLetter{}, known: map[idempotencyKey]bool{},
		threads: map[bridge.ThreadKey]*savedThread{}, conversations: map[string]*savedConversation{}, dialogs: map[string]string{},
		consumers: map[consumerKey]bridge.ConsumerRow{}, ledger: map[position]bridge.LedgerEntry{},
		flags: map[string]string{}, stores: map[string]*recordTable{},
		begun: map[int64]int64{}, broken: map[int64]time.Time{},
	})
}

// Reopen returns a journal with what this one holds, as the next process finds
// it. Without a Close before it, this one is cut off as by a crash: what it has
// not committed is lost, and what it had begun is in doubt.
func (j *Journal) Reopen() *Journal {
	j.Break(errors.New("the process crashed"))
	j.mu.Lock()
	closed := j.closed
	j.closed = true
	j.mu.Unlock()
	if !closed {
		j.nudge()
		<-j.done
	}
	return open(j.mem)
}

func open(m *memory) *Journal {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := clock()
	j := &Journal{
		mem: m, wake: make(chan struct{}, 1), done: make(chan struct{}), boot: m.seq,
		epoch: m.epoch + 1, from: cmp.Or(m.alive, now), to: now,
	}
	if _, noted := m.broken[m.epoch]; m.unclean && !noted {
		m.broken[m.epoch] = now
	}
	go j.run()
	return j
}

// clock is what the time is to the microsecond, as far as journals keep it.
func clock() time.Time { return time.Now().UTC().Truncate(time.Microsecond) }

// LimitPending makes Append answer [bridge.ErrBusy] instead of holding more
// than n pending events.
func (j *Journal) LimitPending(n int) {
	j.mem.mu.Lock()
	defer j.mem.mu.Unlock()
	j.mem.maxPending = n
}

// LimitUnclaimed makes Append answer [bridge.ErrUnclaimedFull] instead of
// holding more than n unclaimed changes.
func (j *Journal) LimitUnclaimed(n int) {
	j.mem.mu.Lock()
	defer j.mem.mu.Unlock()
	j.mem.maxUnclaimed = n
}

// Break makes every call from now on fail with [bridge.ErrStorage] and cause,
// until it is called with nil.
func (j *Journal) Break(cause error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = cause
}

// Slow has pause called before and after every transaction and read, which takes as
// long as it wants to. It must be called before the journal is used.
func (j *Journal) Slow(pause func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.pause = pause
}

// rest takes the time that something takes.
func (j *Journal) rest() {
	j.mu.Lock()
	pause := j.pause
	j.mu.Unlock()
	if pause != nil {
		pause()
	}
}

func (j *Journal) run() {
	defer close(j.done)
	for range j.wake {
		for {
			j.rest()
			j.mu.Lock()
			writes, committed, broken := j.queue, j.committed, j.broken
			j.queue = nil
			closed := j.closed
			j.mu.Unlock()
			if len(writes) == 0 {
				if closed {
					return
				}
				break
			}
			j.rest()
			serve(j.mem, writes, committed, broken)
		}
	}
}

// serve does what a transaction does: all writes, then the hook, then the callers.
func serve(m *memory, writes []*memoryWrite, committed func([]bridge.Entry), broken error) {
	var fresh []bridge.Entry
	results := make([]error, len(writes))
	m.mu.Lock()
	for i, s := range writes {
		if broken != nil {
			results[i] = errors.Join(bridge.ErrStorage, broken)
			continue
		}
		var added []bridge.Entry
		added, results[i] = s.apply()
		fresh = append(fresh, added...)
		m.alive = clock()
	}
	m.mu.Unlock()
	if committed != nil && len(fresh) > 0 {
		committed(fresh)
	}
	for i, s := range writes {
		s.done(results[i])
	}
}

func (j *Journal) nudge() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

func (j *Journal) push(s *memoryWrite) {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		s.done(bridge.ErrStorage)
		return
	}
	j.queue = append(j.queue, s)
	j.mu.Unlock()
	j.nudge()
}

// do runs a write and waits for its end.
func (j *Journal) do(ctx context.Context, apply func() ([]bridge.Entry, error)) error {
	done := make(chan error, 1)
	j.push(&memoryWrite{apply, func(err error) { done <- err }})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read runs f while nothing changes.
func (j *Journal) read(f func()) error {
	j.rest()
	defer j.rest()
	j.mu.Lock()
	closed, broken := j.closed, j.broken
	j.mu.Unlock()
	if closed || broken != nil {
		return errors.Join(bridge.ErrStorage, broken)
	}
	j.mem.mu.Lock()
	f()
	j.mem.mu.Unlock()
	return nil
}

// LastSeq implements [bridge.Journal].
func (j *Journal) LastSeq() int64 { return j.boot }

// Absence implements [bridge.Journal].
func (j *Journal) Absence() (from, to time.Time) { return j.from, j.to }

// Start implements [bridge.Journal].
func (j *Journal) Start(committed func([]bridge.Entry)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.started || j.closed {
		return errors.New("start: started or closed before")
	}
	j.started = true
	j.committed = committed
	j.mem.mu.Lock()
	j.mem.unclean, j.mem.epoch = true, j.epoch
	j.mem.mu.Unlock()
	return nil
}

// Check implements [bridge.Journal].
func (j *Journal) Check(ctx context.Context) error {
	return j.do(ctx, func() ([]bridge.Entry, error) { return nil, nil })
}

// Hold implements [bridge.Journal]. Nobody else reaches this memory.
func (*Journal) Hold(ctx context.Context) (context.Context, context.CancelFunc, error) {
	return ctx, func() {}, nil
}

// Close implements [bridge.Journal].
func (j *Journal) Close() error {
	j.mu.Lock()
	if j.closed {
		j.mu.Unlock()
		return bridge.ErrStorage
	}
	j.closed = true
	started := j.started
	j.mu.Unlock()
	j.nudge()
	<-j.done
	if started {
		j.mem.mu.Lock()
		j.mem.unclean = false
		j.mem.mu.Unlock()
	}
	return nil
}

// RecordsOf implements [bridge.Journal].
func (j *Journal) RecordsOf(channel string) bridge.Records {
	j.mem.mu.Lock()
	defer j.mem.mu.Unlock()
	return records{j.mem.store(channel), j}
}

// records are those of a journal; they fail when it does.
type records struct {
	*recordTable
	journal *Journal
}

// NextID implements [bridge.Records].
func (r records) NextID(ctx context.Context, kind string) (id int64, err error) {
	if err := r.journal.read(func() {}); err != nil {
		return 0, err
	}
	return r.recordTable.NextID(ctx, kind)
}

// Save implements [bridge.Records].
func (r records) Save(ctx context.Context, list ...bridge.Record) error {
	if err := r.journal.read(func() {}); err != nil {
		return err
	}
	return r.recordTable.Save(ctx, list...)
}

// Delete implements [bridge.Records].
func (r records) Delete(ctx context.Context, kind string, ids ...int64) error {
	if err := r.journal.read(func() {}); err != nil {
		return err
	}
	return r.recordTable.Delete(ctx, kind, ids...)
}
