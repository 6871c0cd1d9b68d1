package journal_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
	"lpbridge/internal/pgcluster"
)

// reasons are what a process that waits was told.
type reasons struct {
	mu   sync.Mutex
	list []string
	last journal.Wait
	come chan struct{}
}

func newReasons() *reasons { return &reasons{come: make(chan struct{}, 1)} }

func (r *reasons) add(w journal.Wait) {
	r.mu.Lock()
	r.list = append(r.list, w.Reason)
	r.last = w
	r.mu.Unlock()
	select {
	case r.come <- struct{}{}:
	default:
	}
}

// await waits until a reason holds some words.
func (r *reasons) await(t *testing.T, words string) {
	t.Helper()
	for end := time.After(time.Minute); ; {
		r.mu.Lock()
		for _, why := range r.list {
			if strings.Contains(why, words) {
				r.mu.Unlock()
				return
			}
		}
		last := strings.Join(r.list, "; ")
		r.mu.Unlock()
		select {
		case <-r.come:
		case <-end:
			t.Fatalf("it never waited because of %q, but: %.2000s", words, last)
		}
	}
}

// opening opens a journal in the background.
type opening struct {
	reasons *reasons
	done    chan struct{}
	j       *journal.Journal
	err     error
	cancel  context.CancelFunc
}

func openLater(t *testing.T, opts journal.Options) *opening {
	ctx, cancel := context.WithCancel(t.Context())
	o := &opening{reasons: newReasons(), done: make(chan struct{}), cancel: cancel}
	opts.Waiting = o.reasons.add
	go func() {
		defer close(o.done)
		o.j, o.err = journal.Open(ctx, opts)
	}()
	t.Cleanup(func() {
		cancel()
		<-o.done
	})
	return o
}

func (o *opening) journal(t *testing.T) *journal.Journal {
	t.Helper()
	select {
	case <-o.done:
	case <-time.After(time.Minute):
		t.Fatal("the journal was not opened within a minute")
	}
	if o.err != nil {
		t.Fatal(o.err)
	}
	return o.j
}

// TestSecondProcessWaits: the owner's journal is not opened by another process before
// the owner closes it, and then at once.
func TestSecondProcessWaits(t *testing.T) {
	t.Parallel()
	opts := on(pgcluster.Schema(t))
	first := open(t, opts)
	if err := first.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	second := openLater(t, opts)
	second.reasons.await(t, "standby: "+first.Owner().Name+" owns the journal (epoch 1)")
	if _, err := first.Append(t.Context(), batch("m-1")); err != nil {
		t.Fatal(err)
	}
	select {
	case <-second.done:
		t.Fatal("two processes own one journal")
	default:
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	j := second.journal(t)
	defer j.Close()
	if o := j.Owner(); o.Epoch != 2 || !o.Holds() || o.Engine != "postgres" {
		t.Errorf("owner %+v, want the second", o)
	}
	if n := j.PendingCount(); n != 1 {
		t.Errorf("%d events wait, want 1", n)
	}
}

// TestCancelledWaitEnds: a process that is told to stop while it waits does.
func TestCancelledWaitEnds(t *testing.T) {
	t.Parallel()
	opts := on(pgcluster.Schema(t))
	first := open(t, opts)
	defer first.Close()
	second := openLater(t, opts)
	second.reasons.await(t, "standby")
	second.cancel()
	<-second.done
	if !errors.Is(second.err, context.Canceled) {
		t.Errorf("error %v, want that of the context", second.err)
	}
}

// TestDeposedOwnerChangesNothing: an owner whose lease another process took, as after
// having been frozen, writes nothing, and its journal fails.
func TestDeposedOwnerChangesNothing(t *testing.T) {
	t.Parallel()
	c := pgcluster.Shared(t)
	address := pgcluster.Schema(t)
	j := open(t, on(address))
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	seqs, err := j.Append(t.Context(), batch("m-1"))
	if err != nil {
		t.Fatal(err)
	}
	schema := address[strings.LastIndex(address, "=")+1:]
	_, err = c.Run("postgres", "SET search_path = "+schema+"; UPDATE fence SET epoch = 7, tx = 0; UPDATE lease SET owner = 'another', epoch = 7")
	if err != nil {
		t.Fatal(err)
	}
	settled := make(chan error, 1)
	j.Settle(bridge.Settlement{Seq: seqs[0], Lane: batch("m-1").Entries[0].Lane, Final: bridge.Done, Durable: func(err error) { settled <- err }})
	if err := <-settled; !errors.Is(err, bridge.ErrStorage) || !strings.Contains(err.Error(), "another process owns the journal now") {
		t.Errorf("settled with error %v, want that another process owns the journal", err)
	}
	<-j.Failed()
	if _, err := j.Append(t.Context(), batch("m-2")); !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("append: error %v, want ErrStorage", err)
	}
	if _, release, err := j.Hold(t.Context()); !errors.Is(err, bridge.ErrStorage) {
		release()
		t.Errorf("hold: error %v, want ErrStorage", err)
	}
	if err := j.Close(); err == nil {
		t.Error("closed without an error")
	}
	if n, err := c.Run("postgres", "SELECT count(*) FROM "+schema+".events WHERE state = 0"); n != "1" || err != nil {
		t.Errorf("%s events wait, error %v, want 1", n, err)
	}
	if owner, err := c.Run("postgres", "SELECT owner FROM "+schema+".lease"); owner != "another" || err != nil {
		t.Errorf("owner %q, error %v, want the other", owner, err)
	}
}

// TestDatabaseThatWentBack: a database that lost what it had confirmed, as after a failover
// to a standby that was behind, ends the owner: what is in its memory is no longer true.
func TestDatabaseThatWentBack(t *testing.T) {
	t.Parallel()
	c := pgcluster.Shared(t)
	address := pgcluster.Schema(t)
	j := open(t, on(address))
	for _, id := range []bridge.EventID{"m-1", "m-2"} {
		if _, err := j.Append(t.Context(), batch(id)); err != nil {
			t.Fatal(err)
		}
	}
	schema := address[strings.LastIndex(address, "=")+1:]
	if _, err := c.Run("postgres", "UPDATE "+schema+".fence SET tx = tx - 1"); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), batch("m-3")); !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("append: error %v, want ErrStorage", err)
	}
	<-j.Failed()
	if err := j.Err(); !strings.Contains(err.Error(), "lost transactions that it confirmed") {
		t.Errorf("failed with %v", err)
	}
	_ = j.Close()
}

// TestPostgresRestarts: an owner whose PostgreSQL is killed or stopped and comes back goes on
// by itself: who asks meanwhile is refused, and what nobody would repeat is written after.
func TestPostgresRestarts(t *testing.T) {
	t.Parallel()
	c := pgcluster.ForTest(t)
	for _, of := range []struct {
		name string
		end  func()
	}{{"killed", c.Kill}, {"stopped", c.Stop}} {
		t.Run(of.name, func(t *testing.T) { restarts(t, c, of.end, "r_"+of.name) })
	}
}

func restarts(t *testing.T, c *pgcluster.Cluster, end func(), schema string) {
	if _, err := c.Run("postgres", "CREATE SCHEMA "+schema); err != nil {
		t.Fatal(err)
	}
	address := c.URL("postgres", "postgres") + "&search_path=" + schema
	var log bytes.Buffer
	opts := on(address)
	opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	j := open(t, opts)
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	seqs, err := j.Append(t.Context(), batch("m-1", "m-2"))
	if err != nil {
		t.Fatal(err)
	}
	end()
	settled := make(chan error, 1)
	j.Settle(bridge.Settlement{Seq: seqs[0], Lane: batch("m-1").Entries[0].Lane, Final: bridge.Done, Durable: func(err error) { settled <- err }})
	if _, err := j.Append(t.Context(), batch("m-3")); !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("append: error %v, want ErrStorage", err)
	}
	if _, err := j.PendingOf(t.Context(), bridge.LaneKey{}, 0, 1); !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("pending: error %v, want ErrStorage", err)
	}
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := <-settled; err != nil {
		t.Errorf("settled with error %v", err)
	}
	for err = errors.New("not yet"); err != nil; {
		if t.Context().Err() != nil {
			t.Fatal(err)
		}
		_, err = j.Append(t.Context(), batch("m-3"))
	}
	if n := j.PendingCount(); n != 2 {
		t.Errorf("%d events wait, want 2", n)
	}
	if o := j.Owner(); o.Epoch != 1 {
		t.Errorf("epoch %d, want the same as before", o.Epoch)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(log.String(), "cluster-password") {
		t.Error("the log shows the password")
	}
	again := open(t, on(address))
	defer again.Close()
	if n := again.PendingCount(); n != 2 {
		t.Errorf("after a restart %d events wait, want 2", n)
	}
}

// TestPostgresAwayAtStart: a process whose PostgreSQL is not there yet waits for it.
func TestPostgresAwayAtStart(t *testing.T) {
	t.Parallel()
	c := pgcluster.ForTest(t)
	c.Kill()
	o := openLater(t, on(c.URL("postgres", "postgres")))
	o.reasons.await(t, "connect")
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	if err := o.journal(t).Close(); err != nil {
		t.Error(err)
	}
}

// TestPostgresLeavesWhileTheJournalIsRead: a process whose PostgreSQL goes away between the
// lease and the first event reads the journal once it is back.
func TestPostgresLeavesWhileTheJournalIsRead(t *testing.T) {
	t.Parallel()
	c := pgcluster.ForTest(t)
	opts := on(c.URL("postgres", "postgres"))
	j := open(t, opts)
	if _, err := j.Append(t.Context(), batch("m-1")); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	owned := make(chan struct{})
	away := make(chan struct{})
	opts.Logger = slog.New(&onMessage{Handler: slog.NewTextHandler(t.Output(), nil), words: "this process owns the journal", do: func() {
		close(owned)
		<-away
	}})
	o := openLater(t, opts)
	<-owned
	c.Kill()
	close(away)
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	j = o.journal(t)
	defer j.Close()
	if n := j.PendingCount(); n != 1 {
		t.Errorf("%d events wait, want 1", n)
	}
}

// onMessage calls a function at a log line.
type onMessage struct {
	slog.Handler
	words string
	do    func()
}

func (h *onMessage) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == h.words {
		h.do()
	}
	return h.Handler.Handle(ctx, r)
}
