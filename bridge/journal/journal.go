package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"lpbridge/bridge"
)

// minDedupeRetention is the least time idempotency keys are kept: LivePerson
// repeats a notification for three days.
const minDedupeRetention = 72 * time.Hour

// defaultMaxPending is how many events may be pending unless Options say
// otherwise.
const defaultMaxPending = 1_000_000

// Options are what a journal is opened with.
type Options struct {
	// Store is the kind of store and where it is: "sqlite:" and a path, or the address
	// of a database, "postgres://…".
	Store string
	// Password is the database's, instead of one in the address.
	Password string
	// Waiting, if set, is told why [Open] waits to own a database, several times a second
	// while the database answers.
	Waiting func(Wait)
	// Abstain, if set, reports whether a process that waits must not become the owner,
	// for it is about to stop.
	Abstain func() bool
	// Retention is how long an event is kept after it was delivered; 0 clears
	// its content with the transaction that records the delivery. Dead letters are kept
	// until somebody revives or discards them; for their text see
	// HistoryRetention.
	Retention time.Duration
	// DedupeRetention is how long idempotency keys are kept at least; 0 means
	// [minDedupeRetention], and less is an error.
	DedupeRetention time.Duration
	// HistoryRetention is how long records of the kinds in Expire are kept, and
	// threads, conversations that ended and the texts of dead letters after they
	// were last touched; 0 keeps them for ever.
	HistoryRetention time.Duration
	// Expire names, by channel, the kinds of record that are history.
	Expire map[string][]string
	// MaxPending is how many events may be pending before Append answers
	// [bridge.ErrBusy]; 0 means a million.
	MaxPending int64
	// Channels are those that share what may be pending: a quarter of it is set
	// aside for all of them, in equal parts for each direction. None share nothing.
	Channels []string
	// Logger gets what an operator should know; it must not be nil.
	Logger *slog.Logger
	// clock reads the machine's clock; tests have their own.
	clock func() (wall func() time.Time, elapsed func() time.Duration)
	// runKeys is how many keys make a run, ledgerBatch how many entries of the
	// ledger are sorted at a time; tests have fewer.
	runKeys, ledgerBatch int
	// Observe, if set, is told of every transaction that was tried. It runs on
	// the writer and must not block.
	Observe func(CommitInfo)
}

// CommitInfo describes one transaction.
type CommitInfo struct {
	// Entries is how many events it added.
	Entries  int
	Duration time.Duration
	Err      error
}

// Stats are the numbers an operator watches.
type Stats struct {
	// Dead counts dead letters.
	Dead int64
	// Lost is how many accepted events may be missing because the log lost its
	// end before this process; 0 where nothing tells of that.
	Lost int64
	// Scarce says why nothing is accepted for want of space; empty while there is.
	Scarce string
	// DatabaseBytes and LogBytes are what the files take.
	DatabaseBytes, LogBytes int64
}

// Journal is a [bridge.Journal] on disk. Open makes one.
type Journal struct {
	access
	*standings
	*ledger

	opts Options
	log  *slog.Logger
	// epochs do not change after Open.
	epochs   epochs
	afloat   *afloat
	counters *counters
	purger   *purger
	clock    *steadyClock

	pending atomic.Int64
	dead    atomic.Int64
	shares  *shares

	mu      sync.Mutex
	started bool
	closing bool

	// boot is the highest seq set aside before this process.
	boot int64
	// lost is how many events may be missing.
	lost int64

	// background builds runs of keys and sorts the ledger.
	background sync.WaitGroup
}

var _ bridge.Journal = (*Journal)(nil)

// Open opens the journal, creating it where there is none, and takes it for
// this process alone. A journal on PostgreSQL that another process owns, or that does
// not answer, is waited for. The context bounds opening, not the journal.
func Open(ctx context.Context, opts Options) (*Journal, error) {
	if err := opts.check(); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	s, err := openEngine(ctx, &opts)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	for {
		j := newJournal(opts, s)
		start, err := j.load(ctx)
		switch {
		case err == nil:
			j.boot = start.seq.last
			j.w.start(start)
			j.watchTenure()
			return j, nil
		case !errors.Is(err, errAway) || pauseFor(ctx, retryPatience) != nil:
			return nil, fmt.Errorf("journal: %w", errors.Join(err, s.close()))
		}
		// What is read changes nothing that is not the same the next time.
		j.log.Warn("journal: it could not be read, it is tried again", "error", err)
	}
}

// openEngine opens the kind of database that the store names.
func openEngine(ctx context.Context, opts *Options) (engine, error) {
	if path, ok := strings.CutPrefix(opts.Store, "sqlite:"); ok && path != "" {
		return openSQLite(ctx, path)
	}
	if strings.HasPrefix(opts.Store, "postgres://") || strings.HasPrefix(opts.Store, "postgresql://") {
		return openPostgres(ctx, opts)
	}
	return nil, errors.New("store: must be sqlite: and the path of a file, or postgres:// and the address of a database")
}

func newJournal(opts Options, engine engine) *Journal {
	j := &Journal{
		opts: opts, log: opts.Logger, afloat: newAfloat(), counters: newCounters(), clock: newSteadyClock(opts.clock()),
		shares: newShares(opts.MaxPending, opts.Channels),
	}
	j.access = access{db: store{engine}, w: newWriter(j)}
	j.standings = &standings{access: j.access}
	j.ledger = newLedger(j.access, &j.background)
	j.purger = newPurger(j)
	return j
}

// check fills in defaults.
func (o *Options) check() error {
	if o.DedupeRetention == 0 {
		o.DedupeRetention = minDedupeRetention
	}
	if o.DedupeRetention < minDedupeRetention {
		return fmt.Errorf("dedupe retention: must be at least %s", minDedupeRetention)
	}
	if o.Retention < 0 || o.HistoryRetention < 0 {
		return errors.New("retention: must not be negative")
	}
	if o.clock == nil {
		o.clock = machineClock
	}
	if o.runKeys == 0 {
		o.runKeys = runKeys
	}
	if o.ledgerBatch == 0 {
		o.ledgerBatch = ledgerBatch
	}
	if o.MaxPending == 0 {
		o.MaxPending = defaultMaxPending
	}
	if o.MaxPending < 0 {
		return errors.New("max pending: must not be negative")
	}
	return nil
}

// load reads what is kept in memory.
func (j *Journal) load(ctx context.Context) (start state, err error) {
	low, _, err := j.db.meta(ctx, metaAfloat)
	if err != nil {
		return start, err
	}
	if _, err := j.db.exec(ctx, listAfloat, []any{low}); err != nil {
		return start, fmt.Errorf("enter what was afloat: %w", err)
	}
	if start.left, err = countPending(ctx, j.db); err != nil {
		return start, err
	}
	j.pending.Store(j.shares.load(start.left))
	var dead int64
	if err := j.db.scan(ctx, countDead, &dead); err != nil {
		return start, fmt.Errorf("count dead letters: %w", err)
	}
	j.dead.Store(dead)
	if err := j.db.scan(ctx, countUnclaimed, &start.unclaimed.rows, &start.unclaimed.bytes); err != nil {
		return start, fmt.Errorf("count unclaimed changes: %w", err)
	}
	for _, a := range []struct {
		to   *allotted
		name string
	}{{&start.seq, metaSeq}, {&start.revision, metaRevision}} {
		last, _, err := j.db.meta(ctx, a.name)
		if err != nil {
			return start, err
		}
		*a.to = allotted{name: a.name, last: last, limit: last}
	}
	last, err := j.checkEnd(ctx)
	if err != nil {
		return start, err
	}
	if last > start.seq.last {
		start.seq.last, start.seq.limit = last, last
	}
	if j.epochs, err = loadEpochs(ctx, j.db, j.clock); err != nil {
		return start, err
	}
	if err := j.ledger.load(ctx); err != nil {
		return start, err
	}
	start.keys, err = j.loadKeys(ctx)
	j.purger.keysUpTo.Store(start.keys.mark)
	return start, err
}

// LastSeq implements [bridge.Journal].
func (j *Journal) LastSeq() int64 { return j.boot }

// Start implements [bridge.Journal].
func (j *Journal) Start(committed func([]bridge.Entry)) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.started || j.closing {
		return errors.New("journal: start: started or closed before")
	}
	if err := j.w.do(context.Background(), &startWrite{wait: newWait(), j: j, committed: committed}); err != nil {
		return fmt.Errorf("journal: start: %w", err)
	}
	j.started = true
	j.purger.start()
	if err := j.resumeScrub(); err != nil {
		return fmt.Errorf("journal: start: %w", err)
	}
	return nil
}

// Close implements [bridge.Journal]. What was handed over before is committed;
// calls that come later fail with [bridge.ErrStorage], a second Close too.
func (j *Journal) Close() error {
	j.mu.Lock()
	started, closing := j.started, j.closing
	j.closing = true
	j.mu.Unlock()
	if closing {
		return fmt.Errorf("journal: close: %w: the journal is closed", bridge.ErrStorage)
	}
	if started {
		j.purger.stop()
	}
	err := j.w.stop(&closeWrite{wait: newWait(), j: j, started: started})
	j.background.Wait()
	if err != nil {
		return errors.Join(fmt.Errorf("journal: close: %w", err), j.db.abandon())
	}
	if err := j.db.close(); err != nil {
		return fmt.Errorf("journal: close: %w", err)
	}
	return nil
}

// Failed is closed once the disk or the database can no longer be trusted.
// Nothing is tried again on the same files by this process: it should exit
// with an error and be started anew. [Journal.Err] says what happened.
func (j *Journal) Failed() <-chan struct{} { return j.w.failed }

// Err returns why the journal failed, or nil.
func (j *Journal) Err() error { return j.w.failure() }

// Stats returns current numbers.
func (j *Journal) Stats() Stats {
	s := Stats{Dead: j.dead.Load(), Lost: j.lost}
	if cause := j.w.shortage.Load(); cause != nil {
		s.Scarce = *cause
	}
	s.DatabaseBytes, s.LogBytes = j.db.sizes()
	return s
}

// PendingCount implements [bridge.Journal].
func (j *Journal) PendingCount() int64 { return j.pending.Load() }

// Check implements [bridge.Journal].
func (j *Journal) Check(ctx context.Context) error {
	if err := j.w.do(ctx, checkWrite{newWait()}); err != nil {
		return fmt.Errorf("journal: check: %w", err)
	}
	if cause := j.w.shortage.Load(); cause != nil {
		// What finishes deliveries is written all the same.
		return fmt.Errorf("journal: check: %w: no space for anything new: %s", bridge.ErrStorage, *cause)
	}
	return nil
}
