package journal_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/internal/pgcluster"
)

// followed is a server and one that follows it and confirms what it confirms.
func followed(t *testing.T) (primary, standby *pgcluster.Cluster) {
	t.Helper()
	primary = pgcluster.ForTest(t)
	standby = primary.Standby(t)
	// A commit waits until the standby has it.
	if _, err := primary.Run("postgres", "ALTER SYSTEM SET synchronous_standby_names = '*'"); err != nil {
		t.Fatal(err)
	}
	if _, err := primary.Run("postgres", "SELECT pg_reload_conf()"); err != nil {
		t.Fatal(err)
	}
	for state, end := "", time.Now().Add(time.Minute); state != "sync"; {
		var err error
		if state, err = primary.Run("postgres", "SELECT sync_state FROM pg_stat_replication"); err != nil || time.Now().After(end) {
			t.Fatalf("the standby is %q: %v", state, err)
		}
	}
	return primary, standby
}

// TestReadOnlyStandbyIsWaitedFor: a process that is led to a standby says what to do, and goes on by itself when
// that is promoted, with what the primary had.
func TestReadOnlyStandbyIsWaitedFor(t *testing.T) {
	t.Parallel()
	primary, standby := followed(t)
	j := open(t, on(primary.URL("postgres", "postgres")))
	accept(t, j, "m-1")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	o := openLater(t, on(standby.URL("postgres", "postgres")))
	o.reasons.await(t, "read-only standby: name the primary in LPBRIDGE_STORE, or all hosts with target_session_attrs=read-write, or promote it")
	primary.Kill()
	if err := standby.Promote(); err != nil {
		t.Fatal(err)
	}
	j = o.journal(t)
	defer j.Close()
	if n := j.PendingCount(); n != 1 {
		t.Errorf("%d events wait, want 1", n)
	}
}

// TestFailover: an owner whose address names both servers goes on with the one that was promoted when the primary
// dies, and nothing that was confirmed is lost, for the standby was synchronous.
func TestFailover(t *testing.T) {
	t.Parallel()
	primary, standby := followed(t)
	opts := on(fmt.Sprintf("postgres://postgres:cluster-password@127.0.0.1:%d,127.0.0.1:%d/postgres?sslmode=disable&target_session_attrs=read-write", primary.Port, standby.Port))
	j := open(t, opts)
	if err := j.Start(func([]bridge.Entry) {}); err != nil {
		t.Fatal(err)
	}
	accept(t, j, "m-1")
	primary.Kill()
	if err := standby.Promote(); err != nil {
		t.Fatal(err)
	}
	if seq := appendAtLast(t, j, "m-2"); seq < 2 {
		t.Errorf("the number %d was given twice", seq)
	}
	if again := appendAtLast(t, j, "m-1"); again != 0 {
		t.Errorf("what was confirmed before the failover got the number %d", again)
	}
	if n, o := j.PendingCount(), j.Owner(); n != 2 || o.Epoch != 1 {
		t.Errorf("%d events wait in epoch %d, want 2 in the first", n, o.Epoch)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	next := open(t, on(standby.URL("postgres", "postgres")))
	defer next.Close()
	if n := next.PendingCount(); n != 2 {
		t.Errorf("the next process finds %d events, want 2", n)
	}
}

// TestDumpIsPutBack: what pg_dump writes beside an owner, put into another database, is the journal as it was
// then, with its ids, and the first start waits for nobody who is gone.
func TestDumpIsPutBack(t *testing.T) {
	t.Parallel()
	c := pgcluster.ForTest(t)
	if _, err := c.Run("postgres", "CREATE DATABASE copied TEMPLATE template0 ENCODING 'UTF8'"); err != nil {
		t.Fatal(err)
	}
	address := c.URL("postgres", "postgres")
	j := open(t, on(address))
	accept(t, j, "m-1", "m-2")
	dump := exec.Command(filepath.Join(c.Binaries(), "pg_dump"), "--schema=lpbridge", address)
	dump.Stderr = os.Stderr
	text, err := dump.Output()
	if err != nil {
		t.Fatal(err)
	}
	accept(t, j, "m-3")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	restore := exec.Command(filepath.Join(c.Binaries(), "psql"), "--set", "ON_ERROR_STOP=1", "--quiet", c.URL("postgres", "copied"))
	restore.Stdin = bytes.NewReader(text)
	if out, err := restore.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	j = open(t, on(c.URL("postgres", "copied")))
	defer j.Close()
	if n, o := j.PendingCount(), j.Owner(); n != 2 || o.Epoch != 2 {
		t.Errorf("%d events wait in epoch %d, want 2 in the second", n, o.Epoch)
	}
	seqs, err := j.Append(t.Context(), batch("m-1", "m-2", "m-3"))
	if err != nil || seqs[0] != 0 || seqs[1] != 0 || seqs[2] == 0 {
		t.Errorf("the events again got %v, error %v, want the third one new", seqs, err)
	}
}
