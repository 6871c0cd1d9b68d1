package journal_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
)

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return "sqlite:" + path
	}
	for _, c := range []struct {
		name string
		opts journal.Options
		want string
	}{
		{"no store", journal.Options{}, "store: must be sqlite:"},
		{"no path", journal.Options{Store: "sqlite:"}, "store: must be sqlite:"},
		{"other engine", journal.Options{Store: "mysql:x"}, "store: must be sqlite:"},
		{"short dedupe", journal.Options{Store: "sqlite:x", DedupeRetention: time.Hour}, "dedupe retention: must be at least 72h"},
		{"negative retention", journal.Options{Store: "sqlite:x", Retention: -1}, "retention: must not be negative"},
		{"negative limit", journal.Options{Store: "sqlite:x", MaxPending: -1}, "max pending: must not be negative"},
		{"not a database", journal.Options{Store: write("garbage", strings.Repeat("garbage ", 1000))}, "not a database"},
		{"directory that is a file", journal.Options{Store: write("file", "x") + "/journal.db"}, "make the directory"},
	} {
		t.Run(c.name, func(t *testing.T) {
			j, err := journal.Open(t.Context(), c.opts)
			if err == nil {
				j.Close()
				t.Fatal("opened")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want %q in it", err, c.want)
			}
		})
	}
}

func TestOpenNewerSchema(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	if err := open(t, options(path)).Close(); err != nil {
		t.Fatal(err)
	}
	execute(t, path, "PRAGMA user_version = 99")
	_, err := journal.Open(t.Context(), options(path))
	if err == nil || !strings.Contains(err.Error(), "a newer release of lpbridge wrote this database") {
		t.Errorf("error %v, want that a newer release of lpbridge wrote this database", err)
	}
}

// execute runs a statement on the database behind the journal's back.
func execute(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), statement); err != nil {
		t.Fatal(err)
	}
}

func TestOpenTwice(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, options(path))
	_, err := journal.Open(t.Context(), options(path))
	if err == nil || !strings.Contains(err.Error(), "another process has") {
		t.Errorf("error %v, want that another process has it", err)
	}
	if _, err := j.Append(t.Context(), batch("m-1")); err != nil {
		t.Errorf("append after somebody else tried to open: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := open(t, options(path)).Close(); err != nil {
		t.Errorf("open after close: %v", err)
	}
}

func TestFileModes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	path := filepath.Join(dir, "journal.db")
	j := open(t, options(path))
	defer j.Close()
	if err := j.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{
		dir: 0o700 | os.ModeDir, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600, path + ".lock": 0o600,
	} {
		fi, err := os.Stat(name)
		if err != nil {
			t.Error(err)
		} else if fi.Mode() != want {
			t.Errorf("%s has mode %v, want %v", filepath.Base(name), fi.Mode(), want)
		}
	}
}

// TestLockedDatabase has somebody else hold SQLite's write lock for longer than
// the journal waits.
func TestLockedDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.db")
	j := open(t, options(path))
	defer j.Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), batch("m-1")); !errors.Is(err, bridge.ErrStorage) {
		t.Errorf("error %v, want ErrStorage", err)
	}
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	seqs, err := j.Append(t.Context(), batch("m-1"))
	if err != nil || seqs[0] == 0 {
		t.Errorf("seqs %v, error %v, want the event stored once the lock is free", seqs, err)
	}
}

func TestMaxPending(t *testing.T) { journal.OnEngines(t, maxPendingOn) }

func maxPendingOn(t *testing.T, store string) {
	opts := on(store)
	opts.MaxPending = 2
	j := open(t, opts)
	defer j.Close()
	seqs, err := j.Append(t.Context(), batch("m-1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), batch("m-2", "m-3")); !errors.Is(err, bridge.ErrBusy) {
		t.Errorf("error %v, want ErrBusy", err)
	}
	// Duplicates and refusals give back the room they asked for.
	for range 5 {
		if _, err := j.Append(t.Context(), batch("m-1")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := j.Append(t.Context(), batch("m-2")); err != nil {
		t.Fatal(err)
	}
	if _, err := j.Append(t.Context(), batch("m-3")); !errors.Is(err, bridge.ErrBusy) {
		t.Errorf("error %v, want ErrBusy", err)
	}
	durable := make(chan error, 1)
	j.Settle(bridge.Settlement{
		Seq: seqs[0], Final: bridge.Done, Follow: batch("f-1", "f-2").Entries, Durable: func(err error) { durable <- err },
	})
	if err := <-durable; err != nil {
		t.Fatal(err)
	}
	if n := j.PendingCount(); n != 3 {
		t.Errorf("pending count %d, want 3: the limit holds back no follow-up", n)
	}
}

func TestStats(t *testing.T) {
	j := open(t, options(filepath.Join(t.TempDir(), "journal.db")))
	defer j.Close()
	seqs, err := j.Append(t.Context(), batch("m-1", "m-2", "m-3"))
	if err != nil {
		t.Fatal(err)
	}
	j.Settle(bridge.Settlement{Seq: seqs[0], Final: bridge.Dead, Outcome: bridge.Invalid})
	if err := j.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := j.Stats()
	if j.PendingCount() != 2 || s.Dead != 1 || j.Commits() < 1 || s.DatabaseBytes == 0 || s.LogBytes == 0 {
		t.Errorf("stats %+v, want 2 pending, 1 dead and files", s)
	}
}
