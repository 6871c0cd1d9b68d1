package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestBackupAndRestore does what docs/operations.md says: a copy beside a running
// bridge, the loss of the disk, the copy put back; what had waited in it arrives.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	s.post(p, message("a", "a1", "before"))
	s.awaitTexts("a", "before")
	s.away(t, true)
	s.post(p, message("a", "a2", "waits"))
	copied, path := filepath.Join(t.TempDir(), "copy.db"), strings.TrimPrefix(s.settings["LPBRIDGE_STORE"], "sqlite:")
	if got := outcome(t, s.with(nil), "backup", copied); got.code != exitOK || !strings.HasPrefix(got.stdout, copied+": ") {
		t.Fatalf("exit code %d: %s", got.code, got.stdout+got.stderr)
	}
	streamed := outcome(t, s.with(nil), "backup", "-")
	if streamed.code != exitOK || !strings.HasPrefix(streamed.stdout, "SQLite format 3") {
		t.Fatalf("exit code %d: %.100s", streamed.code, streamed.stdout+streamed.stderr)
	}
	for _, e := range mustReadDir(t, filepath.Dir(path)) {
		if strings.HasPrefix(e.Name(), "backup-") {
			t.Errorf("%s was left", e.Name())
		}
	}
	if got := outcome(t, s.with(nil), "backup", copied); got.code != exitFailed || !strings.Contains(got.stderr, "file exists") {
		t.Errorf("a copy is written over: exit code %d: %s", got.code, got.stderr)
	}
	p.kill()

	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(copied, path); err != nil {
		t.Fatal(err)
	}
	s.away(t, false)
	p = s.run(nil)
	s.post(p, message("a", "a3", "after"))
	s.awaitTexts("a", "before", "waits", "after")
	p.terminate()
}

func mustReadDir(t *testing.T, dir string) []os.DirEntry {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

// TestCheckFindsADamagedJournal: before consumers do.
func TestCheckFindsADamagedJournal(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	for _, id := range []string{"a1", "a2", "a3"} {
		s.post(p, message("a", id, strings.Repeat(id, 500)))
	}
	s.awaitTexts("a", strings.Repeat("a1", 500), strings.Repeat("a2", 500), strings.Repeat("a3", 500))
	p.terminate()
	path := strings.TrimPrefix(s.settings["LPBRIDGE_STORE"], "sqlite:")
	bytes, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := len(bytes) / 4; i < 3*len(bytes)/4; i++ {
		bytes[i] ^= 0x5a
	}
	if err := os.WriteFile(path, bytes, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := outcome(t, s.with(nil), "check"); got.code != exitFailed || !strings.Contains(got.stdout, "FAIL  store ") {
		t.Errorf("exit code %d: %s", got.code, got.stdout)
	}
}

// TestEverySecretCanBeReplaced: docs/operations.md says of each how.
func TestEverySecretCanBeReplaced(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Replace a secret\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, v := range reference() {
		if v.File != "" && !strings.Contains(section, "`"+v.Name+"`") {
			t.Errorf("docs/operations.md does not say how to replace %s", v.Name)
		}
	}
}
