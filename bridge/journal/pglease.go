package journal

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"lpbridge/bridge"
)

const (
	// leaseTime is how long an owner may act without having renewed its lease, and
	// how long a lease must stand still before another takes it.
	leaseTime = 4 * time.Second
	// leaseMargin is how much sooner an owner stops than another may begin.
	leaseMargin = 500 * time.Millisecond
	renewEvery  = leaseTime / 4
	renewTime   = leaseTime / 4
	// watchEvery is how often a process that waits looks at the lease.
	watchEvery = 250 * time.Millisecond
	// releaseTime is how long a stop waits for the lease to be given back.
	releaseTime = 3 * time.Second
	// sizeEvery is how many renewals pass between two looks at the database's size.
	sizeEvery = 60
	// sayEvery is how often a process that waits says so.
	sayEvery = time.Minute
)

// Owner says whose the journal is, as far as this process knows.
type Owner struct {
	// Engine is "sqlite" or "postgres".
	Engine string
	// Name is the owner's, Epoch counts the owners, and Since is when it became one.
	// All are zero on SQLite, where the file has one owner.
	Name  string
	Epoch int64
	Since time.Time
	// Left is how much longer this process may act without renewing its lease: 0
	// when not at all.
	Left time.Duration
}

// lease is this process's right to act on the journal. Whether it still has it, it
// decides by its own count of elapsed time, from before a renewal was sent; whether
// another still has it, by how long nothing changed since that was read. So it needs no
// clock that is right.
type lease struct {
	engine *pgEngine
	log    *slog.Logger
	name   string
	// waiting is told why the process waits.
	waiting func(Wait)
	abstain func() bool
	size    atomic.Int64

	session *pgSession
	// layout is how many migrations were applied when that was last read.
	layout int
	beats  int64
	// news wakes who renews the lease.
	news    chan struct{}
	stop    context.CancelFunc
	keeping sync.WaitGroup

	mu    sync.Mutex
	ours  int64
	since time.Time
	until time.Time
	lost  bool
	// term ends when the lease does, and is another one after that.
	term    context.Context
	endTerm context.CancelFunc
	expiry  *time.Timer
	// onLost is told once that another process took the journal.
	onLost func()
	// local is this end of the connection to the database.
	local net.Addr
	// peer is where this process is reached, announced whether the database has it.
	peer      bridge.Peer
	announced bool
}

func newLease(e *pgEngine, opts *Options) *lease {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	l := &lease{
		engine: e, log: opts.Logger, name: host + ":" + strconv.Itoa(os.Getpid()) + ":" + rand.Text()[:6],
		waiting: opts.Waiting, onLost: func() {}, news: make(chan struct{}, 1), announced: true,
	}
	if l.waiting == nil {
		l.waiting = func(Wait) {}
	}
	if l.abstain = opts.Abstain; l.abstain == nil {
		l.abstain = func() bool { return false }
	}
	l.term, l.endTerm = context.WithCancel(context.Background())
	l.endTerm()
	l.expiry = time.AfterFunc(time.Hour, l.expire)
	return l
}

// sighting is a lease as it was read, and when that was first so.
type sighting struct {
	owner       string
	epoch, beat int64
	first       time.Time
	// since is when the owner became one, in milliseconds since 1970 by the database's
	// clock.
	since int64
	peer  bridge.Peer
}

// wait is what is told of a lease that another process has.
func (s *sighting) wait(reason string, err error) Wait {
	w := Wait{Reason: reason, Away: err != nil}
	if err == nil && s.owner != "" {
		w.Owner = Owner{Engine: enginePostgres, Name: s.owner, Epoch: s.epoch, Since: time.UnixMilli(s.since)}
		w.Peer = s.peer
	}
	return w
}

// await waits until this process has the lease, and then keeps it.
func (l *lease) await(ctx context.Context) error {
	var seen sighting
	said, saidAt := "", time.Time{}
	defer func() {
		if l.stop == nil && l.session != nil {
			l.session.close()
		}
	}()
	for {
		taken, reason, err := l.approach(ctx, &seen)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case taken:
			return nil
		case err != nil && hopeless(err):
			return explain(err)
		case err != nil:
			// Nobody could renew meanwhile.
			seen, reason = sighting{}, explain(err).Error()
		}
		if reason != said || time.Since(saidAt) > sayEvery {
			said, saidAt = reason, time.Now()
			l.log.Warn("waiting for the journal", "reason", reason)
		}
		l.waiting(seen.wait(reason, err))
		if err := pauseFor(ctx, watchEvery); err != nil {
			return err
		}
	}
}

// approach looks at the lease and takes it when it may. It says why it does not.
func (l *lease) approach(ctx context.Context, seen *sighting) (taken bool, reason string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*connectTime)
	defer cancel()
	if l.session == nil || l.session.conn.IsClosed() {
		if l.session, err = l.engine.connect(ctx); err != nil {
			return false, "", err
		}
		err := prepareLayout(ctx, l.session)
		if err == nil {
			err = l.engine.admits(ctx, l.session)
		}
		if err != nil {
			l.session.close()
			return false, "", err
		}
	}
	now, err := l.look(ctx)
	if err != nil {
		l.session.close()
		return false, "", err
	}
	now.first = seen.first
	if now.owner != seen.owner || now.epoch != seen.epoch || now.beat != seen.beat || seen.first.IsZero() {
		now.first = time.Now()
	}
	*seen = now
	if now.owner != "" && now.owner != l.name && time.Since(seen.first) < leaseTime {
		return false, fmt.Sprintf("standby: %s owns the journal (epoch %d)", now.owner, now.epoch), nil
	}
	if l.abstain() {
		return false, "standby: nobody owns the journal, and this process is about to stop", nil
	}
	if err := l.engine.admits(ctx, l.session); err != nil {
		return false, "", err
	}
	taken, err = l.take(ctx, *seen)
	return taken, "standby: another process took the journal", err
}

// look reads the lease, and where its owner is reached once the layout has that.
func (l *lease) look(ctx context.Context) (now sighting, err error) {
	const lease = `SELECT l.owner, l.epoch, l.beat, (extract(epoch FROM l.since) * 1000)::bigint, v.version, `
	query := lease + `'', '', '' FROM lease l CROSS JOIN layout v WHERE l.part = 0`
	if l.layout >= withPeers {
		query = lease + `coalesce(p.address, ''), coalesce(p.certificate, ''), coalesce(p.token, '') FROM lease l CROSS JOIN layout v
			LEFT JOIN peer p ON p.part = l.part AND p.epoch = l.epoch AND l.owner <> '' WHERE l.part = 0`
	}
	var token string
	_, err = l.session.ask(ctx, query, nil, &now.owner, &now.epoch, &now.beat, &now.since, &l.layout, &now.peer.Address, &now.peer.Certificate, &token)
	now.peer.Token = bridge.PeerToken(token)
	return now, err
}

// take makes this process the owner, unless the lease changed. It waits for a transaction
// of the owner before that has not ended.
func (l *lease) take(ctx context.Context, seen sighting) (bool, error) {
	sent := time.Now()
	epoch := seen.epoch + 1
	var changed int64
	found, err := l.session.ask(ctx, `WITH taken AS (
			UPDATE lease SET owner = $1, epoch = $2::bigint, beat = 0, since = now(), renewed = now()
			WHERE part = 0 AND epoch = $3::bigint AND beat = $4::bigint AND owner = $5 RETURNING epoch
		) UPDATE fence SET epoch = taken.epoch, tx = 0 FROM taken WHERE fence.part = 0 RETURNING taken.epoch`,
		[]string{l.name, strconv.FormatInt(epoch, 10), strconv.FormatInt(seen.epoch, 10), strconv.FormatInt(seen.beat, 10), seen.owner}, &changed)
	if err != nil {
		l.session.close()
		return false, err
	}
	if !found {
		return false, nil
	}
	l.mu.Lock()
	l.ours, l.since, l.local = epoch, time.Now(), l.session.conn.Conn().LocalAddr()
	l.mu.Unlock()
	l.renewed(sent)
	keep, stop := context.WithCancel(context.Background())
	l.stop = stop
	l.keeping.Go(func() { l.keep(keep) })
	l.log.Info("this process owns the journal", "owner", l.name, "epoch", epoch)
	return true, nil
}

// keep renews the lease until ctx ends or another process has it.
func (l *lease) keep(ctx context.Context) {
	defer func() {
		if l.session != nil {
			l.session.close()
		}
	}()
	pause, failing := renewEvery, false
	for l.pauseFor(ctx, pause) == nil {
		err := l.renew(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errDeposed):
			l.depose()
			return
		case err != nil:
			if !failing {
				l.log.Warn("the lease of the journal could not be renewed", "error", explain(err), "left", l.owner().Left)
			}
			pause = watchEvery
		default:
			if failing {
				l.log.Info("the lease of the journal is renewed again")
			}
			pause = renewEvery
		}
		failing = err != nil
	}
}

// renew writes down that the owner lives.
func (l *lease) renew(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	if l.session == nil || l.session.conn.IsClosed() {
		if l.session, err = l.engine.connect(ctx); err != nil {
			return err
		}
	}
	sent := time.Now()
	var beat int64
	found, err := l.session.ask(ctx, `UPDATE lease SET beat = beat + 1, renewed = now()
		WHERE part = 0 AND epoch = $1::bigint AND owner = $2 RETURNING beat`, []string{strconv.FormatInt(l.epoch(), 10), l.name}, &beat)
	if err != nil {
		l.session.close()
		return err
	}
	if !found {
		return errDeposed
	}
	l.renewed(sent)
	if err := l.tellPeers(ctx); err != nil {
		l.session.close()
		return err
	}
	if l.beats%sizeEvery == 0 {
		l.measure(ctx)
	}
	l.beats++
	return nil
}

// measure reads how much the database takes. That it cannot is no harm.
func (l *lease) measure(ctx context.Context) {
	var size int64
	_, err := l.session.ask(ctx, `SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint FROM pg_class c
		WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r'`, nil, &size)
	if err == nil {
		l.size.Store(size)
	}
}

// renewed notes that the lease lasts from a moment on.
func (l *lease) renewed(sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = sent.Add(leaseTime - leaseMargin)
	left := time.Until(l.until)
	if left <= 0 {
		return
	}
	if l.term.Err() != nil {
		l.term, l.endTerm = context.WithCancel(context.Background())
	}
	l.expiry.Reset(left)
}

// expire ends the term when the lease was not renewed.
func (l *lease) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost || l.term.Err() != nil {
		return
	}
	if left := time.Until(l.until); left > 0 {
		l.expiry.Reset(left)
		return
	}
	l.endTerm()
	l.log.Warn("the lease of the journal ended: nothing is delivered until it is renewed")
}

// depose ends this process's ownership for good.
func (l *lease) depose() {
	l.mu.Lock()
	if l.lost {
		l.mu.Unlock()
		return
	}
	l.lost = true
	l.endTerm()
	tell := l.onLost
	l.mu.Unlock()
	l.log.Error("another process owns the journal now")
	tell()
}

// whenLost sets what is told when another process takes the journal.
func (l *lease) whenLost(tell func()) {
	l.mu.Lock()
	l.onLost = tell
	lost := l.lost
	l.mu.Unlock()
	if lost {
		tell()
	}
}

func (l *lease) deposed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lost
}

func (l *lease) epoch() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ours
}

// hold returns a context that ends with ctx or with the lease, and false when that
// has ended. A process that was frozen finds out here.
func (l *lease) hold(ctx context.Context) (context.Context, context.CancelFunc, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost || !time.Now().Before(l.until) {
		return ctx, func() {}, false
	}
	held, cancel := context.WithCancel(ctx)
	release := context.AfterFunc(l.term, cancel)
	return held, func() { release(); cancel() }, true
}

// owner says whose the journal is.
func (l *lease) owner() Owner {
	l.mu.Lock()
	defer l.mu.Unlock()
	o := Owner{Engine: enginePostgres, Name: l.name, Epoch: l.ours, Since: l.since}
	if !l.lost {
		o.Left = max(0, time.Until(l.until))
	}
	return o
}

// release gives the lease back, so that the next process need not wait. That it cannot
// delays the next process and does no other harm.
func (l *lease) release() {
	l.stop()
	l.keeping.Wait()
	l.expiry.Stop()
	l.mu.Lock()
	l.endTerm()
	lost := l.lost
	l.mu.Unlock()
	if lost {
		return
	}
	if err := l.giveBack(); err != nil {
		l.log.Warn("the lease of the journal could not be given back, another process waits until it ends", "error", explain(err))
	}
}

func (l *lease) giveBack() error {
	ctx, cancel := context.WithTimeout(context.Background(), releaseTime)
	defer cancel()
	s, err := newSession(ctx, l.engine.config)
	if err != nil {
		return err
	}
	defer s.close()
	_, err = s.ask(ctx, `UPDATE lease SET owner = '', beat = 0 WHERE part = 0 AND epoch = $1::bigint AND owner = $2`,
		[]string{strconv.FormatInt(l.epoch(), 10), l.name})
	return err
}
