package journal_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
)

// namesIn are the files of a folder with their sizes and times.
func namesIn(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			t.Fatal(err)
		}
		found[e.Name()] = info.ModTime().String()
	}
	return found
}

func accept(t *testing.T, j *journal.Journal, ids ...bridge.EventID) {
	t.Helper()
	if _, err := j.Append(t.Context(), batch(ids...)); err != nil {
		t.Fatal(err)
	}
}

// TestBackupOfAJournalInUse: the copy holds what was accepted, opens as a journal,
// and is the operator's alone.
func TestBackupOfAJournalInUse(t *testing.T) {
	dir := t.TempDir()
	path, to := filepath.Join(dir, "j.db"), filepath.Join(dir, "copy.db")
	j := open(t, options(path))
	accept(t, j, "a1", "b1")
	if err := journal.Inspect(t.Context(), path); err != nil {
		t.Errorf("a journal in use: %v", err)
	}
	if err := journal.Backup(t.Context(), path, to); err != nil {
		t.Fatal(err)
	}
	accept(t, j, "a2")
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v, %v", info, err)
	}
	if err := journal.Backup(t.Context(), path, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a copy is written over: %v", err)
	}
	restored := open(t, options(to))
	defer restored.Close()
	defer j.Close()
	if n := restored.PendingCount(); n != 2 {
		t.Errorf("%d events are pending in the copy, want 2", n)
	}
	if n := j.PendingCount(); n != 3 {
		t.Errorf("%d events are pending, want 3", n)
	}
}

// TestInspectChangesNothing: the next start finds database, log and lock as the
// last process left them, and their times, by which it tells how long it was away.
func TestInspectChangesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "j.db")
	if err := journal.Inspect(t.Context(), path); err != nil {
		t.Errorf("without a database: %v", err)
	}
	j := open(t, options(path))
	accept(t, j, "a1")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	before := namesIn(t, dir)
	if err := journal.Inspect(t.Context(), path); err != nil {
		t.Error(err)
	}
	after := namesIn(t, dir)
	for name, at := range after {
		if before[name] != at && name != "j.db-shm" {
			t.Errorf("%s was written", name)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := journal.Inspect(ended, path); !errors.Is(err, context.Canceled) {
		t.Errorf("without time: %v", err)
	}
}

// TestInspectFindsDamage: a database whose pages were written over, one that is
// none, and one of a newer release.
func TestInspectFindsDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.db")
	j := open(t, options(path))
	for i := range 400 {
		accept(t, j, bridge.EventID(strconv.Itoa(i)))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte(nil), whole...)
	for i := len(damaged) / 4; i < 3*len(damaged)/4; i++ {
		damaged[i] ^= 0x5a
	}
	newer := append([]byte(nil), whole...)
	newer[62] = 0x7f // user_version, see SQLite's file format
	for name, tc := range map[string]struct {
		bytes []byte
		want  string
	}{
		"damaged": {damaged, "damaged"}, "none": {[]byte(strings.Repeat("no database\n", 1000)), "not a database"}, "newer": {newer, "a newer release of lpbridge wrote this database"},
	} {
		if err := os.WriteFile(path, tc.bytes, 0o600); err != nil {
			t.Fatal(err)
		}
		err := journal.Inspect(t.Context(), path)
		if err == nil || !strings.Contains(err.Error(), tc.want) && !strings.Contains(err.Error(), "malformed") {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
		if err := journal.Backup(t.Context(), path, path+".copy"); err == nil {
			t.Errorf("%s: it was copied", name)
		}
		if _, err := os.Stat(path + ".copy"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a copy was left: %v", name, err)
		}
	}
}
