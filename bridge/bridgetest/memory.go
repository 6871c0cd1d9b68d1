package bridgetest

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
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
	queue     []*memoryStep
	closed    bool
	broken    error
	started   bool
	committed func([]bridge.Entry)
	clean     bool
	boot      int64
}

// memory is what outlives a process.
type memory struct {
	mu         sync.Mutex
	seq        int64
	saved      int64
	entries    map[int64]*bridge.Entry
	dead       map[int64]*bridge.DeadLetter
	known      map[idempotencyKey]bool
	threads    map[bridge.ThreadKey]*savedThread
	sent       map[sentKey]bridge.EventID
	flags      map[string]string
	books      map[string]*Records
	unclean    bool
	maxPending int
}

type idempotencyKey struct {
	channel   string
	direction bridge.Direction
	id        bridge.EventID
}

type sentKey struct {
	dialog   string
	sequence int64
}

type savedThread struct {
	bridge.Thread
	saved int64
}

// memoryStep is one call that waits its turn.
type memoryStep struct {
	apply func() ([]bridge.Entry, error)
	done  func(error)
}

var _ bridge.Journal = (*Journal)(nil)

// NewJournal returns an empty journal.
func NewJournal() *Journal {
	return open(&memory{
		entries: map[int64]*bridge.Entry{}, dead: map[int64]*bridge.DeadLetter{}, known: map[idempotencyKey]bool{},
		threads: map[bridge.ThreadKey]*savedThread{}, sent: map[sentKey]bridge.EventID{},
		flags: map[string]string{}, books: map[string]*Records{},
	})
}

// Reopen returns a journal with what this one holds, as the next process finds
// it. Without a Close before it, this one is cut off as by a crash: what it has
// not committed is lost, and the new one is not clean.
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
	j := &Journal{mem: m, wake: make(chan struct{}, 1), done: make(chan struct{}), clean: !m.unclean, boot: m.seq}
	go j.run()
	return j
}

// LimitPending makes Append answer [bridge.ErrBusy] instead of holding more
// than n pending events.
func (j *Journal) LimitPending(n int) {
	j.mem.mu.Lock()
	defer j.mem.mu.Unlock()
	j.mem.maxPending = n
}

// Break makes every call from now on fail with [bridge.ErrStorage] and cause,
// until it is called with nil.
func (j *Journal) Break(cause error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.broken = cause
}

func (j *Journal) run() {
	defer close(j.done)
	for range j.wake {
		for {
			j.mu.Lock()
			steps, committed, broken := j.queue, j.committed, j.broken
			j.queue = nil
			closed := j.closed
			j.mu.Unlock()
			if len(steps) == 0 {
				if closed {
					return
				}
				break
			}
			serve(j.mem, steps, committed, broken)
		}
	}
}

// serve does what a transaction does: all steps, then the hook, then the callers.
func serve(m *memory, steps []*memoryStep, committed func([]bridge.Entry), broken error) {
	var fresh []bridge.Entry
	results := make([]error, len(steps))
	m.mu.Lock()
	for i, s := range steps {
		if broken != nil {
			results[i] = errors.Join(bridge.ErrStorage, broken)
			continue
		}
		var added []bridge.Entry
		added, results[i] = s.apply()
		fresh = append(fresh, added...)
	}
	m.mu.Unlock()
	if committed != nil && len(fresh) > 0 {
		committed(fresh)
	}
	for i, s := range steps {
		s.done(results[i])
	}
}

func (j *Journal) nudge() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

func (j *Journal) push(s *memoryStep) {
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

// do runs a step and waits for its end.
func (j *Journal) do(ctx context.Context, apply func() ([]bridge.Entry, error)) error {
	done := make(chan error, 1)
	j.push(&memoryStep{apply, func(err error) { done <- err }})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// read runs f while nothing changes.
func (j *Journal) read(f func()) error {
	j.mu.Lock()
	closed, broken := j.closed, j.broken
	j.mu.Unlock()
	if closed || broken != nil {
		return errors.Join(bridge.ErrStorage, broken)
	}
	j.mem.mu.Lock()
	defer j.mem.mu.Unlock()
	f()
	return nil
}

// LastSeq implements [bridge.Journal].
func (j *Journal) LastSeq() int64 { return j.boot }

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
	j.mem.unclean = true
	j.mem.mu.Unlock()
	return nil
}

// Append implements [bridge.Journal].
func (j *Journal) Append(ctx context.Context, b bridge.Batch) ([]int64, error) {
	if len(b.Entries) == 0 && len(b.Records) == 0 {
		return nil, nil
	}
	var seqs []int64
	err := j.do(ctx, func() ([]bridge.Entry, error) {
		m := j.mem
		if m.maxPending > 0 && len(m.entries)+len(b.Entries) > m.maxPending {
			return nil, bridge.ErrBusy
		}
		if err := m.saveRecords(b.Records); err != nil {
			return nil, err
		}
		var fresh []bridge.Entry
		seqs, fresh = m.add(b.Entries)
		return fresh, nil
	})
	if err != nil {
		return nil, err
	}
	return seqs, nil
}

// saveRecords saves all or none, whatever channels they belong to.
func (m *memory) saveRecords(records []bridge.ChannelRecord) error {
	byChannel := map[string][]bridge.Record{}
	for _, r := range records {
		byChannel[r.Channel] = append(byChannel[r.Channel], r.Record)
	}
	for channel, list := range byChannel {
		b := m.book(channel)
		b.mu.Lock()
		err := b.checkKeys(list)
		b.mu.Unlock()
		if err != nil {
			return err
		}
	}
	for channel, list := range byChannel {
		if err := m.book(channel).Save(context.Background(), list...); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) book(channel string) *Records {
	b := m.books[channel]
	if b == nil {
		b = NewRecords()
		m.books[channel] = b
	}
	return b
}

// add stores entries whose idempotency key is new.
func (m *memory) add(entries []bridge.Entry) (seqs []int64, fresh []bridge.Entry) {
	seqs = make([]int64, len(entries))
	for i, e := range entries {
		k := idempotencyKey{e.Lane.Channel, e.Lane.Direction, e.ID}
		if e.ID != "" && m.known[k] {
			continue
		}
		m.known[k] = true
		m.seq++
		e.Seq = m.seq
		if e.Accepted.IsZero() {
			e.Accepted = time.Now()
		}
		seqs[i] = e.Seq
		fresh = append(fresh, e)
		kept := e
		kept.Event = nil
		kept.Payload = slices.Clone(e.Payload)
		m.entries[e.Seq] = &kept
	}
	return seqs, fresh
}

// Settle implements [bridge.Journal].
func (j *Journal) Settle(s bridge.Settlement) {
	j.push(&memoryStep{
		apply: func() ([]bridge.Entry, error) {
			j.mem.conclude(&s)
			j.mem.place(&s)
			_, fresh := j.mem.add(s.Follow)
			return fresh, nil
		},
		done: func(err error) {
			if s.Durable != nil {
				s.Durable(err)
			}
		},
	})
}

func (m *memory) conclude(s *bridge.Settlement) {
	e := m.entries[s.Seq]
	if e == nil {
		return
	}
	if s.Final == bridge.Done {
		delete(m.entries, s.Seq)
		return
	}
	e.Attempts, e.Last = s.Attempts, s.Outcome
	if s.Final == bridge.Pending {
		e.NextTry = s.NextTry
		return
	}
	delete(m.entries, s.Seq)
	m.dead[s.Seq] = &bridge.DeadLetter{Entry: *e, Died: time.Now()}
}

func (m *memory) place(s *bridge.Settlement) {
	if s.Dialog == "" {
		return
	}
	th := m.threads[bridge.ThreadKey{Channel: s.Lane.Channel, Thread: s.Lane.Thread}]
	if th != nil && th.Dialog == s.Dialog {
		th.Sequence = max(th.Sequence, s.Sequence)
	}
	if s.Source != "" {
		m.sent[sentKey{s.Dialog, s.Sequence}] = s.Source
	}
}

// SaveThread implements [bridge.Journal].
func (j *Journal) SaveThread(ctx context.Context, t bridge.Thread) error {
	return j.do(ctx, func() ([]bridge.Entry, error) {
		m := j.mem
		k := bridge.ThreadKey{Channel: t.Channel, Thread: t.ID}
		t.ToldComposing = false
		if old := m.threads[k]; old != nil {
			t.ToldComposing = old.ToldComposing
			if old.Dialog == t.Dialog {
				t.Sequence = max(t.Sequence, old.Sequence)
			}
		}
		m.saved++
		m.threads[k] = &savedThread{t, m.saved}
		return nil, nil
	})
}

// MarkComposing implements [bridge.Journal].
func (j *Journal) MarkComposing(k bridge.ThreadKey, composing bool) {
	j.push(&memoryStep{
		apply: func() ([]bridge.Entry, error) {
			if th := j.mem.threads[k]; th != nil {
				th.ToldComposing = composing
			}
			return nil, nil
		},
		done: func(error) {},
	})
}

// Lanes implements [bridge.Journal].
func (j *Journal) Lanes(_ context.Context, after bridge.LaneKey, limit int) ([]bridge.LaneKey, error) {
	var lanes []bridge.LaneKey
	err := j.read(func() {
		held := map[bridge.LaneKey]bool{}
		for _, e := range j.mem.entries {
			held[e.Lane] = true
		}
		lanes = slices.SortedFunc(maps.Keys(held), compareLanes)
	})
	if after != (bridge.LaneKey{}) {
		lanes = slices.DeleteFunc(lanes, func(k bridge.LaneKey) bool { return compareLanes(k, after) <= 0 })
	}
	return lanes[:min(len(lanes), limit)], err
}

func compareLanes(a, b bridge.LaneKey) int {
	return cmp.Or(
		cmp.Compare(a.Channel, b.Channel), cmp.Compare(a.Direction, b.Direction), cmp.Compare(a.Thread, b.Thread),
	)
}

// PendingOf implements [bridge.Journal].
func (j *Journal) PendingOf(_ context.Context, lane bridge.LaneKey, after int64, limit int) ([]bridge.Entry, error) {
	var list []bridge.Entry
	err := j.read(func() {
		for _, e := range j.mem.entries {
			if e.Lane == lane && e.Seq > after {
				list = append(list, *e)
			}
		}
	})
	slices.SortFunc(list, func(a, b bridge.Entry) int { return cmp.Compare(a.Seq, b.Seq) })
	return list[:min(len(list), limit)], err
}

// PendingCount implements [bridge.Journal].
func (j *Journal) PendingCount() int64 {
	j.mem.mu.Lock()
	defer j.mem.mu.Unlock()
	return int64(len(j.mem.entries))
}

// Thread implements [bridge.Journal].
func (j *Journal) Thread(_ context.Context, k bridge.ThreadKey) (*bridge.Thread, error) {
	return j.newest(func(t *savedThread) bool { return t.Channel == k.Channel && t.ID == k.Thread })
}

// ThreadByConversation implements [bridge.Journal].
func (j *Journal) ThreadByConversation(_ context.Context, conversation string) (*bridge.Thread, error) {
	return j.newest(func(t *savedThread) bool {
		return conversation != "" &&
			(t.Conversation == conversation || t.Dialog == conversation || t.Survey == conversation || t.Former == conversation)
	})
}

// ThreadByConsumer implements [bridge.Journal].
func (j *Journal) ThreadByConsumer(_ context.Context, lpConsumer string) (*bridge.Thread, error) {
	return j.newest(func(t *savedThread) bool { return lpConsumer != "" && t.LPConsumer == lpConsumer })
}

// newest returns the thread saved last of those that match.
func (j *Journal) newest(match func(*savedThread) bool) (*bridge.Thread, error) {
	var found *savedThread
	err := j.read(func() {
		for _, t := range j.mem.threads {
			if match(t) && (found == nil || t.saved > found.saved) {
				held := *t
				found = &held
			}
		}
	})
	if found == nil {
		return nil, err
	}
	return &found.Thread, err
}

// ComposingThreads implements [bridge.Journal].
func (j *Journal) ComposingThreads(context.Context) ([]bridge.Thread, error) {
	var list []bridge.Thread
	err := j.read(func() {
		byAge := slices.SortedFunc(maps.Values(j.mem.threads), func(a, b *savedThread) int {
			return cmp.Compare(a.saved, b.saved)
		})
		for _, t := range byAge {
			if t.ToldComposing {
				list = append(list, t.Thread)
			}
		}
	})
	return list, err
}

// SentAs implements [bridge.Journal].
func (j *Journal) SentAs(_ context.Context, dialog string, sequences []int64) ([]bridge.EventID, error) {
	var list []bridge.EventID
	err := j.read(func() {
		for _, sequence := range sequences {
			if id, ok := j.mem.sent[sentKey{dialog, sequence}]; ok {
				list = append(list, id)
			}
		}
	})
	return list, err
}

// Clean implements [bridge.Journal].
func (j *Journal) Clean() bool { return j.clean }

// Flag implements [bridge.Journal].
func (j *Journal) Flag(_ context.Context, name string) (string, error) {
	var value string
	err := j.read(func() { value = j.mem.flags[name] })
	return value, err
}

// SetFlag implements [bridge.Journal].
func (j *Journal) SetFlag(ctx context.Context, name, value string) error {
	return j.do(ctx, func() ([]bridge.Entry, error) {
		j.mem.flags[name] = value
		return nil, nil
	})
}

// RecordsOf implements [bridge.Journal].
func (j *Journal) RecordsOf(channel string) bridge.Records {
	j.mem.mu.Lock()
	defer j.mem.mu.Unlock()
	return j.mem.book(channel)
}

// DeadLetters implements [bridge.Journal].
func (j *Journal) DeadLetters(_ context.Context, after int64, limit int) ([]bridge.DeadLetter, error) {
	var list []bridge.DeadLetter
	err := j.read(func() {
		for _, d := range j.mem.dead {
			if d.Seq > after {
				list = append(list, *d)
			}
		}
	})
	slices.SortFunc(list, func(a, b bridge.DeadLetter) int { return cmp.Compare(a.Seq, b.Seq) })
	return list[:min(len(list), limit)], err
}

// Revive implements [bridge.Journal].
func (j *Journal) Revive(ctx context.Context, seq int64) (bool, error) {
	var found bool
	err := j.do(ctx, func() ([]bridge.Entry, error) {
		m := j.mem
		d := m.dead[seq]
		if d == nil {
			return nil, nil
		}
		found = true
		delete(m.dead, seq)
		m.seq++
		e := bridge.Entry{
			Seq: m.seq, Lane: d.Lane, ID: d.ID, Kind: d.Kind, Payload: d.Payload, Accepted: time.Now(),
		}
		m.entries[e.Seq] = &e
		return []bridge.Entry{e}, nil
	})
	return err == nil && found, err
}

// Discard implements [bridge.Journal].
func (j *Journal) Discard(ctx context.Context, seq int64) (bool, error) {
	var found bool
	err := j.do(ctx, func() ([]bridge.Entry, error) {
		found = j.mem.dead[seq] != nil
		delete(j.mem.dead, seq)
		return nil, nil
	})
	return err == nil && found, err
}

// Check implements [bridge.Journal].
func (j *Journal) Check(ctx context.Context) error {
	return j.do(ctx, func() ([]bridge.Entry, error) { return nil, nil })
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
