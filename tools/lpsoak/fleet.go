package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/console"
	"lpbridge/internal/pgcluster"
)

// The kinds of store.
const (
	onSQLite   = "sqlite"
	onPostgres = "postgres"
)

const (
	// restartPause is how long a supervisor waits before it starts again what ended.
	restartPause = 200 * time.Millisecond
	// ownerTime is how long it may take until a replica owns the journal once nothing is
	// wrong any more, much longer than it takes on a machine that has time for it;
	// ownerLook is how often that is looked at.
	ownerTime = 5 * time.Minute
	ownerLook = 50 * time.Millisecond
)

// fleet is lpbridge as it runs: one process on SQLite, or several equal ones on one
// PostgreSQL, with a balancer in front and a wire behind each.
type fleet struct {
	replicas []*daemon
	// wires lie between each replica and PostgreSQL, peers between the other replicas and
	// each, whose peer listener is at one of the ports.
	wires    []*wire
	peers    []*wire
	ports    []int
	postgres *pgcluster.Cluster
	balancer *balancer
	breaks   func(format string, args ...any)
	// out gets what happens, and how long after it began.
	out   io.Writer
	began time.Time

	ctx        context.Context
	end        context.CancelFunc
	background sync.WaitGroup
	mu         sync.Mutex
	// history has what was struck, in order; who strikes writes it.
	history []struck
	// deposed counts the replicas that ended because another owned the journal.
	deposed int
}

// entrance is where lpbridge takes requests, empty while it is down.
type entrance interface{ address() string }

func newFleet(o options, dir string, out io.Writer, breaks func(string, ...any)) (_ *fleet, err error) {
	f := &fleet{breaks: breaks, out: out, began: time.Now()}
	f.ctx, f.end = context.WithCancel(context.Background())
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	for i := range o.replicas {
		name := "lpbridge.log"
		if o.replicas > 1 {
			name = fmt.Sprintf("lpbridge-%d.log", i+1)
		}
		log, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		d := &daemon{path: o.bridge, log: log}
		d.died = func(said string, err error) { f.died(d, said, err) }
		f.replicas = append(f.replicas, d)
	}
	if o.store == onSQLite {
		return f, nil
	}
	folder := filepath.Join(dir, "postgres")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return nil, err
	}
	if f.postgres, err = pgcluster.Start(folder); err != nil {
		return nil, err
	}
	for range f.replicas {
		if err := f.layWires(); err != nil {
			return nil, err
		}
	}
	if f.balancer, err = newBalancer(f.replicas); err != nil {
		return nil, err
	}
	f.background.Go(func() { f.balancer.watch(f.ctx) })
	return f, nil
}

// layWires puts one wire before and one behind a replica.
func (f *fleet) layWires() error {
	port, err := pgcluster.FreePort()
	if err != nil {
		return err
	}
	for _, end := range []struct {
		list *[]*wire
		port int
	}{{&f.wires, f.postgres.Port}, {&f.peers, port}} {
		w, err := newWire(net.JoinHostPort("127.0.0.1", strconv.Itoa(end.port)))
		if err != nil {
			return err
		}
		*end.list = append(*end.list, w)
	}
	f.ports = append(f.ports, port)
	return nil
}

// entrance is where consumers and LivePerson send to.
func (f *fleet) entrance() entrance {
	if f.balancer != nil {
		return f.balancer
	}
	return f.replicas[0]
}

// settings are those of a replica that depend on where the journal is.
func (f *fleet) settings(i int, dir string) []string {
	if f.postgres == nil {
		return []string{"LPBRIDGE_STORE=sqlite:" + filepath.Join(dir, journalFile)}
	}
	return []string{
		"LPBRIDGE_STORE=" + f.postgres.URLOn(f.wires[i].port(), "postgres", "postgres"),
		fmt.Sprintf("LPBRIDGE_PEER_LISTEN=127.0.0.1:%d", f.ports[i]),
		fmt.Sprintf("LPBRIDGE_PEER_ADDRESS=127.0.0.1:%d", f.peers[i].port()),
	}
}

// start starts all, and waits until one serves.
func (f *fleet) start(ctx context.Context) error {
	for _, d := range f.replicas {
		if err := d.start(ctx); err != nil {
			return err
		}
	}
	if f.postgres == nil {
		return nil
	}
	_, _, err := f.awaitOwner(ctx)
	return err
}

// close ends what is left, without a word.
func (f *fleet) close() {
	f.end()
	for _, d := range f.replicas {
		d.kill()
	}
	f.background.Wait()
	if f.balancer != nil {
		f.balancer.door.close()
	}
	for _, w := range slices.Concat(f.wires, f.peers) {
		w.close()
	}
	if f.postgres != nil {
		f.postgres.Kill()
	}
	for _, d := range f.replicas {
		d.log.Close()
	}
}

// died is told of a replica that ended by itself. One that says that it was deposed is
// started again, as by a supervisor.
func (f *fleet) died(d *daemon, said string, err error) {
	if said == "" || len(f.replicas) == 1 {
		f.breaks("lpbridge: it ended by itself: %v", err)
	} else {
		f.mu.Lock()
		f.deposed++
		f.mu.Unlock()
	}
	if f.postgres == nil {
		return
	}
	f.background.Go(func() {
		if pause(f.ctx, restartPause) != nil {
			return
		}
		if _, err := d.spawn(true); err != nil {
			f.breaks("lpbridge: it could not be started again: %v", err)
		}
	})
}

// owner returns which replica owns the journal, as it says itself, and its epoch; -1 when
// none says so.
func (f *fleet) owner(ctx context.Context) (at int, epoch int64) {
	at = -1
	if f.postgres == nil {
		return 0, 0
	}
	type answer struct {
		owns  bool
		epoch int64
	}
	found := make([]answer, len(f.replicas))
	var asking sync.WaitGroup
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	for i, d := range f.replicas {
		asking.Go(func() { found[i].owns, found[i].epoch = d.owns(ctx) })
	}
	asking.Wait()
	for i, a := range found {
		if a.owns && a.epoch > epoch {
			at, epoch = i, a.epoch
		}
	}
	return at, epoch
}

// awaitOwner waits until a replica owns the journal and is ready.
func (f *fleet) awaitOwner(ctx context.Context) (at int, epoch int64, err error) {
	for limit := time.Now().Add(ownerTime); time.Now().Before(limit); {
		if at, epoch = f.owner(ctx); at >= 0 && f.replicas[at].ready(ctx) {
			return at, epoch, nil
		}
		if err := pause(ctx, ownerLook); err != nil {
			return -1, 0, err
		}
	}
	return -1, 0, fmt.Errorf("nobody owns the journal %s after all was mended", ownerTime)
}

// serving is the replica that knows how things are.
func (f *fleet) serving(ctx context.Context) (*daemon, error) {
	at, _ := f.owner(ctx)
	if at < 0 {
		return nil, errors.New("no replica owns the journal")
	}
	return f.replicas[at], nil
}

func (f *fleet) status(ctx context.Context) (bridge.Status, error) {
	d, err := f.serving(ctx)
	if err != nil {
		return bridge.Status{}, err
	}
	return d.status(ctx)
}

func (f *fleet) deadLetters(ctx context.Context) ([]console.Letter, error) {
	d, err := f.serving(ctx)
	if err != nil {
		return nil, err
	}
	return d.deadLetters(ctx)
}

// stop ends all in order, and reports which did not.
func (f *fleet) stop() (err error) {
	for i, d := range f.replicas {
		if failed := d.stop(); failed != nil {
			err = errors.Join(err, fmt.Errorf("replica %d: %w", i+1, failed))
		}
	}
	return err
}

// odd returns the lines of the logs that should not be there.
func (f *fleet) odd() (lines []string) {
	for _, d := range f.replicas {
		lines = append(lines, d.odd()...)
	}
	return lines
}

func (f *fleet) ended() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.deposed
}
