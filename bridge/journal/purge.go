package journal

import (
	"context"
	"fmt"
	"math"
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

// purgeLoop forgets what is old until ctx ends.
func (j *Journal) purgeLoop(ctx context.Context) {
	tick := time.NewTicker(purgeEvery)
	defer tick.Stop()
	var keys time.Time
	for {
		now := j.clock.shift().steady(j.clock.now())
		withKeys := time.Since(keys) >= keysEvery
		if withKeys {
			keys = time.Now()
		}
		if err := j.purge(ctx, now, withKeys); err != nil && ctx.Err() == nil {
			j.log.Error("journal: purge", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-j.swept:
			now := j.clock.shift().steady(j.clock.now())
			if err := j.purgeEvents(ctx, now); err != nil && ctx.Err() == nil {
				j.log.Error("journal: purge", "error", err)
			}
			continue
		}
	}
}

// purge walks the tables once and forgets what is old at the given time, which
// is the database's: the machine's may jump meanwhile.
func (j *Journal) purge(ctx context.Context, now int64, withKeys bool) error {
	if err := j.purgeKeys(ctx, now); err != nil {
		return fmt.Errorf("idempotency keys: %w", err)
	}
	if err := j.purgeEvents(ctx, now); err != nil {
		return fmt.Errorf("delivered events: %w", err)
	}
	j.moveLedger(math.MaxInt, now-keysEvery.Microseconds())
	if err := j.purgeRecords(ctx, now); err != nil {
		return fmt.Errorf("records: %w", err)
	}
	if !withKeys {
		return nil
	}
	if err := j.purgeRows(ctx, now); err != nil {
		return err
	}
	if err := j.purgeEpochs(ctx, now); err != nil {
		return fmt.Errorf("epochs: %w", err)
	}
	if err := walk(ctx, j, dedupeBound, forgetDedupe, []byte{}, endOfHashes, now); err != nil {
		return fmt.Errorf("idempotency keys of the first schema: %w", err)
	}
	if err := walk(ctx, j, ledgerBound, forgetLedger, "", endOfText, now-ledgerRetention.Microseconds()); err != nil {
		return fmt.Errorf("positions of messages: %w", err)
	}
	return nil
}

// sweep has delivered events forgotten soon that nothing keeps any more.
func (j *Journal) sweep() {
	select {
	case j.swept <- struct{}{}:
	default:
	}
}

// purgeEvents forgets delivered events as far as they stand in for no key.
func (j *Journal) purgeEvents(ctx context.Context, now int64) error {
	cutoff := now - j.opts.Retention.Microseconds()
	if j.opts.Retention == 0 {
		cutoff = math.MaxInt64
	}
	return walk(ctx, j, doneBound, forgetDone, int64(0), j.keysUpTo.Load(), cutoff)
}

// endOfHashes and endOfText come after every key there is: a hash has 16 bytes,
// and no text holds a byte above 0xf7.
var endOfHashes = []byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")

const endOfText = "\xff\xff"

// walk forgets rows older than cutoff, one range of keys after the other.
func walk[K int64 | string | []byte](
	ctx context.Context, j *Journal, bound, forget statement, from, end K, cutoff int64,
) error {
	for {
		to := end
		more, err := j.scanFound(ctx, bound, []any{from, end}, &to)
		if err != nil {
			return err
		}
		if !more {
			to = end
		}
		s := &forgetWrite{wait: newWait(), statement: forget, args: []any{from, to, cutoff}}
		if err := j.w.do(ctx, s); err != nil {
			return err
		}
		if !more {
			return nil
		}
		from = to
		if err := pause(ctx); err != nil {
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
func (j *Journal) purgeRecords(ctx context.Context, now int64) error {
	if j.opts.HistoryRetention == 0 {
		return nil
	}
	cutoff := now - j.opts.HistoryRetention.Microseconds()
	for channel, kinds := range j.opts.Expire {
		for _, kind := range kinds {
			if err := j.purgeKind(ctx, channel, kind, cutoff); err != nil {
				return err
			}
		}
	}
	return nil
}

func (j *Journal) purgeKind(ctx context.Context, channel, kind string, cutoff int64) error {
	var from int64
	for {
		to := int64(math.MaxInt64)
		more, err := j.scanFound(ctx, recordBound, []any{channel, kind, from}, &to)
		if err != nil {
			return err
		}
		var ids []int64
		args := []any{channel, kind, from, to, cutoff}
		err = j.each(ctx, expiredRecords, args, func(scan func(...any) error) error {
			var id int64
			err := scan(&id)
			ids = append(ids, id)
			return err
		})
		if err != nil {
			return err
		}
		if len(ids) > 0 {
			if err := j.RecordsOf(channel).Delete(ctx, kind, ids...); err != nil {
				return err
			}
		}
		if !more {
			return nil
		}
		from = to
		if err := pause(ctx); err != nil {
			return err
		}
	}
}

// pause leaves the writer to others for a moment.
func pause(ctx context.Context) error {
	timer := time.NewTimer(purgePause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
