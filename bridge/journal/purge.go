package journal

import (
	"context"
	"fmt"
	"log/slog"
	"lpbridge/bridge"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// purgeEvery is how often old rows are looked for.
	purgeEvery = time.Hour
	// keysEvery is how often idempotency keys and positions are. They lie scattered
	// over their tables, so that a rare walk that finds many per page costs far
	// less than many that find few.
	keysEvery = 12 * time.Hour
	// purgePause is what the writer has to itself after each range.
	purgePause = 50 * time.Millisecond
)

// purger forgets what is old, in a goroutine of its own.
type purger struct {
	access
	opts      *Options
	log       *slog.Logger
	clock     *steadyClock
	ledger    *ledger
	recordsOf func(channel string) bridge.Records

	// keysUpTo is the last seq whose idempotency key needs its event no more.
	keysUpTo atomic.Int64
	// swept asks for delivered events to be purged.
	swept  chan struct{}
	cancel context.CancelFunc
	done   sync.WaitGroup
}

func newPurger(j *Journal) *purger {
	return &purger{
		access: j.access, opts: &j.opts, log: j.log, clock: j.clock, ledger: j.ledger, recordsOf: j.RecordsOf,
		swept: make(chan struct{}, 1),
	}
}

func (p *purger) start() {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.done.Go(func() { p.run(ctx) })
}

// stop ends a purger that was started, and waits for it.
func (p *purger) stop() {
	p.cancel()
	p.done.Wait()
}

// run forgets what is old until ctx ends.
func (p *purger) run(ctx context.Context) {
	tick := time.NewTicker(purgeEvery)
	defer tick.Stop()
	var keys time.Time
	for {
		now := p.clock.shift().steady(p.clock.read())
		withKeys := time.Since(keys) >= keysEvery
		if withKeys {
			keys = time.Now()
		}
		if err := p.purge(ctx, now, withKeys); err != nil && ctx.Err() == nil {
			p.log.Error("journal: purge", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-p.swept:
			now := p.clock.shift().steady(p.clock.read())
			if err := p.purgeEvents(ctx, now); err != nil && ctx.Err() == nil {
				p.log.Error("journal: purge", "error", err)
			}
			continue
		}
	}
}

// purge walks the tables once and forgets what is old at the given time, which
// is the database's: the machine's may jump meanwhile.
func (p *purger) purge(ctx context.Context, now int64, withKeys bool) error {
	if err := p.purgeKeys(ctx, now); err != nil {
		return fmt.Errorf("idempotency keys: %w", err)
	}
	if err := p.purgeEvents(ctx, now); err != nil {
		return fmt.Errorf("delivered events: %w", err)
	}
	p.ledger.move(math.MaxInt, now-keysEvery.Microseconds())
	if err := p.purgeRecords(ctx, now); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	if !withKeys {
		return nil
	}
	if err := p.purgeRows(ctx, now); err != nil {
		return err
	}
	if err := p.purgeEpochs(ctx, now); err != nil {
		return fmt.Errorf("epochs: %w", err)
	}
	if err := walk(ctx, p.access, dedupeBound, forgetDedupe, []byte{}, endOfHashes, now); err != nil {
		return fmt.Errorf("idempotency keys of the first schema: %w", err)
	}
	if err := walk(ctx, p.access, ledgerBound, forgetLedger, "", endOfText, now-ledgerRetention.Microseconds()); err != nil {
		return fmt.Errorf("positions of messages: %w", err)
	}
	return nil
}

// free says that the events up to a seq stand in for no key any more, and has
// those that were delivered forgotten soon.
func (p *purger) free(upTo int64) {
	p.keysUpTo.Store(upTo)
	select {
	case p.swept <- struct{}{}:
	default:
	}
}

// purgeEvents forgets delivered events as far as they stand in for no key.
func (p *purger) purgeEvents(ctx context.Context, now int64) error {
	cutoff := now - p.opts.Retention.Microseconds()
	if p.opts.Retention == 0 {
		cutoff = math.MaxInt64
	}
	return walk(ctx, p.access, doneBound, forgetDone, int64(0), p.keysUpTo.Load(), cutoff)
}

// endOfHashes and endOfText come after every key there is: a hash has 16 bytes, and no
// id begins with the last letters of Unicode, which mean nothing. A byte that is in no text
// would do on SQLite only.
var endOfHashes = []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")

const endOfText = "\U0010ffff\U0010ffff"

// walk forgets rows older than cutoff, one range of keys after the other.
func walk[K int64 | string | []byte](
	ctx context.Context, a access, bound, forget statement, from, end K, cutoff int64,
) error {
	for {
		to := end
		more, err := a.find(ctx, bound, []any{from, end}, &to)
		if err != nil {
			return err
		}
		if !more {
			to = end
		}
		s := &forgetWrite{wait: newWait(), statement: forget, args: []any{from, to, cutoff}}
		if err := a.w.do(ctx, s); err != nil {
			return err
		}
		if !more {
			return nil
		}
		from = to
		if err := pauseFor(ctx, purgePause); err != nil {
			return err
		}
	}
}

// forgetWrite deletes what is old in one range of keys.
type forgetWrite struct {
	wait
	statement statement
	args      []any
}

func (s *forgetWrite) apply(t *transaction) error {
	_, err := t.exec(s.statement, s.args...)
	return err
}

// purgeRecords deletes history. Records have keys beside them, so they are
// deleted one by one.
func (p *purger) purgeRecords(ctx context.Context, now int64) error {
	if p.opts.HistoryRetention == 0 {
		return nil
	}
	cutoff := now - p.opts.HistoryRetention.Microseconds()
	for channel, kinds := range p.opts.Expire {
		for _, kind := range kinds {
			if err := p.purgeKind(ctx, channel, kind, cutoff); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *purger) purgeKind(ctx context.Context, channel, kind string, cutoff int64) error {
	var from int64
	for {
		to := int64(math.MaxInt64)
		more, err := p.find(ctx, recordBound, []any{channel, kind, from}, &to)
		if err != nil {
			return err
		}
		var ids []int64
		args := []any{channel, kind, from, to, cutoff}
		err = p.each(ctx, expiredRecords, args, func(scan func(...any) error) error {
			var id int64
			err := scan(&id)
			ids = append(ids, id)
			return err
		})
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			if err := p.recordsOf(channel).Delete(ctx, kind, ids...); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		from = to
		if err := pauseFor(ctx, purgePause); err != nil {
			return err
		}
	}
}

// purgeKeys forgets keys. now is the database's time.
func (p *purger) purgeKeys(ctx context.Context, now int64) error {
	// An event whose retention has passed must not stand in for its key.
	age := min(max(p.opts.Retention, purgeEvery), keysEvery)
	return p.w.do(ctx, &keysWrite{wait: newWait(), w: p.w, now: now, before: now - age.Microseconds()})
}
