package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"lpbridge/internal/pgcluster"
)

// The ways in which an owner ends.
const (
	givesBack = iota
	isKilled
	freezes
	allEnds
)

// TestOwnersOneAfterTheOther: several processes contend for one journal, write as fast as they can, and end in order, are
// killed or freeze for as long as it takes another to own it, and then write on. What was committed is in the order
// of the owners' numbers: nobody's transaction took place after the next owner took the journal.
func TestOwnersOneAfterTheOther(t *testing.T) {
	t.Parallel()
	const contenders, reigns = 3, 4
	c := pgcluster.Shared(t)
	address := pgcluster.Schema(t)
	schema := address[strings.LastIndex(address, "=")+1:]
	if _, err := c.Run("postgres", "CREATE TABLE "+schema+".written (at BIGSERIAL PRIMARY KEY, epoch BIGINT NOT NULL, owner TEXT NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	opts := Options{Store: address, Logger: slog.New(slog.DiscardHandler)}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	var all sync.WaitGroup
	for i := range contenders {
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		all.Go(func() {
			for range reigns {
				if err := reign(t.Context(), &opts, random); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	disorder, err := c.Run("postgres", "SELECT count(*) FROM (SELECT epoch < lag(epoch) OVER (ORDER BY at) OR epoch = lag(epoch) OVER (ORDER BY at) AND owner <> lag(owner) OVER (ORDER BY at) AS wrong FROM "+
		schema+".written) w WHERE wrong")
	if err != nil || disorder != "0" {
		t.Errorf("%s transactions of a deposed owner took place, error %v", disorder, err)
	}
	owners, err := c.Run("postgres", "SELECT count(DISTINCT epoch) FROM "+schema+".written")
	if n, bad := strconv.Atoi(owners); err != nil || bad != nil || n < contenders {
		t.Errorf("%s owners wrote, error %v", owners, err)
	}
}

// reign is one process's: it waits until it owns the journal, writes, and ends one way or another. Its error says what
// must not be.
func reign(ctx context.Context, opts *Options, random *rand.Rand) error {
	e, err := openPostgres(ctx, opts)
	if err != nil {
		// A busy machine takes it for gone.
		return nil
	}
	defer e.close()
	for range 1 + random.IntN(30) {
		if err := e.write(ctx); err != nil {
			return e.mayFail(err)
		}
		<-time.After(time.Duration(random.IntN(20)) * time.Millisecond)
	}
	switch random.IntN(allEnds) {
	case givesBack:
		return nil
	case isKilled:
		// It says nothing to anybody any more.
		e.lease.stop()
		e.lease.keeping.Wait()
		e.lease.depose()
		return nil
	}
	e.lease.stop()
	e.lease.keeping.Wait()
	return e.thaw(ctx)
}

// thaw has an owner that renews nothing write now and then, until that is refused.
func (e *pgEngine) thaw(ctx context.Context) error {
	for range 600 {
		if err := e.write(ctx); err != nil {
			return e.mayFail(err)
		}
		<-time.After(20 * time.Millisecond)
	}
	// Nobody else wanted it.
	return nil
}

// write leaves a trace, with the number of the owner.
func (e *pgEngine) write(ctx context.Context) error {
	return e.transact(ctx, func(ctx context.Context, s *pgSession) error {
		return s.run(ctx, fmt.Sprintf(`INSERT INTO written (epoch, owner) VALUES (%d, '%s')`, e.lease.epoch(), e.lease.name))
	})
}

// mayFail reports an error that is none of an owner that was deposed or cut off.
func (e *pgEngine) mayFail(err error) error {
	if errors.Is(err, errDeposed) || errors.Is(err, errAway) || errors.Is(err, errUnanswered) {
		return nil
	}
	return err
}
