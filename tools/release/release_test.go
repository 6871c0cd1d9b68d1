package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

var commitTime = time.Unix(1_800_000_000, 0).UTC()

// packed is an archive of two files, made at the given time by the clock of files.
func packed(t *testing.T, written time.Time) (path string) {
	t.Helper()
	dir := t.TempDir()
	var entries []entry
	for name, mode := range map[string]int64{"a": 0o755, "b": 0o644} {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte("content of "+name), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, written, written); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, entry{"top/" + name, file, mode})
	}
	if entries[0].name > entries[1].name {
		entries[0], entries[1] = entries[1], entries[0]
	}
	path = filepath.Join(dir, "out.tar.gz")
	if err := pack(path, entries, commitTime); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestArchivesAreReproducible: who builds when, where and as whom leaves no trace.
func TestArchivesAreReproducible(t *testing.T) {
	one, err := os.ReadFile(packed(t, time.Unix(1, 0)))
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.ReadFile(packed(t, time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(one, other) {
		t.Error("two archives of the same files differ")
	}
	zip, err := gzip.NewReader(bytes.NewReader(one))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for archive := tar.NewReader(zip); ; {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, h.Name)
		if !h.ModTime.Equal(commitTime) || h.Uid != 0 || h.Gid != 0 || h.Uname != "" {
			t.Errorf("%s: %s, %d %d %q", h.Name, h.ModTime, h.Uid, h.Gid, h.Uname)
		}
		if executable := h.Mode&0o111 != 0; executable != (h.Name == "top/a") {
			t.Errorf("%s has the mode %o", h.Name, h.Mode)
		}
	}
	if got := strings.Join(names, " "); got != "top/a top/b" {
		t.Errorf("the archive holds %s", got)
	}
}

// TestChecksumsAreThoseOfSha256sum: what is published can be checked with what
// everybody has.
func TestChecksumsAreThoseOfSha256sum(t *testing.T) {
	path := packed(t, commitTime)
	dir := filepath.Dir(path)
	sums, err := checksums(dir, []string{"out.tar.gz", "a"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "checksums.txt"), []byte(sums), 0o600); err != nil {
		t.Fatal(err)
	}
	check := exec.CommandContext(t.Context(), "sha256sum", "--check", "--strict", "checksums.txt")
	check.Dir = dir
	if out, err := check.CombinedOutput(); err != nil || strings.Count(string(out), ": OK") != 2 {
		t.Errorf("sha256sum says %v: %s", err, out)
	}
	if _, err := checksums(dir, []string{"nothing"}); err == nil {
		t.Error("a file that is not there has a checksum")
	}
}

// TestBill: every module once, whichever program has it, with the hash that go.sum
// has; a module without one is no bill.
func TestBill(t *testing.T) {
	const sum = "h1:ungWe4tOEAQyeaAkIjNWJEbNSsZiyvzqoSwgsPJa9iM="
	sqlite, uuid := &debug.Module{Path: "modernc.org/sqlite", Version: "v1.2.3", Sum: sum}, &debug.Module{Path: "github.com/google/uuid", Version: "v1.6.0", Sum: sum}
	r := release{version: "1.2.3", at: commitTime}
	infos := []*debug.BuildInfo{{GoVersion: "go1.26.0", Deps: []*debug.Module{sqlite, uuid}}, {GoVersion: "go1.26.0", Deps: []*debug.Module{uuid}}}
	bom, err := r.billOf(platform{"linux", "arm64"}, infos)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := cdx.NewBOMEncoder(&text, cdx.BOMFileFormatJSON).Encode(bom); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"purl":"pkg:golang/modernc.org/sqlite@v1.2.3"`, `"purl":"pkg:golang/std@1.26.0"`, `"timestamp":"2027-01-15T08:00:00Z"`,
		`"content":"ba78167b8b4e10043279a0242233562446cd4ac662cafceaa12c20b0f25af623"`,
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("no %s in %s", want, &text)
		}
	}
	if n := strings.Count(text.String(), `"type":"library"`); n != 3 {
		t.Errorf("%d libraries, want 3: %s", n, &text)
	}
	sqlite.Sum = ""
	if _, err := r.billOf(platform{"linux", "arm64"}, infos); err == nil {
		t.Error("a module without a hash is listed")
	}
}

// TestCompanionsExist: what an archive holds besides programs is in the repository.
func TestCompanionsExist(t *testing.T) {
	for _, path := range companions {
		if _, err := os.Stat(filepath.Join("..", "..", path)); err != nil {
			t.Error(err)
		}
	}
}
