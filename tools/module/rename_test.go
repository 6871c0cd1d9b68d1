package main

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/modfile"
)

const here, there = "example.org/m", "github.com/you/lpbridge"

func TestRenamesOnlyPackages(t *testing.T) {
	dir := t.TempDir()
	before := map[string]string{
		"go.mod":            "module example.org/m\n\ngo 1.26.0\n",
		"tools/lint/go.mod": "module example.org/m/tools/lint\n\ngo 1.26.0\n",
		"bridge/a.go":       "package a\n\nimport (\n\t\"fmt\"\n\n\tx \"example.org/m/tools/x\"\n)\n\nvar agent = \"example.org/m/1.0\" + fmt.Sprint(x.Y, `example.org/m/tools/lint`)\n",
		"README.md":         "`example.org/m/bridge` and example.org/m, not not-example.org/m/bridge or example.org/mm\n",
		"bridge/data.bin":   "\x00example.org/m/bridge",
		".git/config":       "example.org/m/bridge",
	}
	for path, text := range before {
		write(t, filepath.Join(dir, path), text)
	}
	changed, err := rename(dir, there)
	if err != nil || changed != 4 {
		t.Errorf("%d files changed, error %v", changed, err)
	}
	want := map[string]string{
		"go.mod":            "module github.com/you/lpbridge\n\ngo 1.26.0\n",
		"tools/lint/go.mod": "module github.com/you/lpbridge/tools/lint\n\ngo 1.26.0\n",
		"bridge/a.go":       "package a\n\nimport (\n\t\"fmt\"\n\n\tx \"github.com/you/lpbridge/tools/x\"\n)\n\nvar agent = \"example.org/m/1.0\" + fmt.Sprint(x.Y, `github.com/you/lpbridge/tools/lint`)\n",
		"README.md":         "`github.com/you/lpbridge/bridge` and example.org/m, not not-example.org/m/bridge or example.org/mm\n",
		"bridge/data.bin":   before["bridge/data.bin"],
		".git/config":       before[".git/config"],
	}
	got := map[string]string{}
	for path := range before {
		got[path] = read(t, filepath.Join(dir, path))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files differ (-want +got):\n%s", diff)
	}
	if changed, err := rename(dir, there); changed != 0 || err != nil {
		t.Errorf("the second time: %d files changed, error %v", changed, err)
	}
	if _, err := rename(dir, here); err != nil || read(t, filepath.Join(dir, "bridge/a.go")) != before["bridge/a.go"] {
		t.Errorf("the way back: error %v", err)
	}
}

func TestRefusesWhatIsNoPath(t *testing.T) {
	for _, args := range [][]string{nil, {""}, {"a", "b"}} {
		if run(args) == nil {
			t.Errorf("arguments %q were taken", args)
		}
	}
	dir := t.TempDir()
	write(t, filepath.Join(dir, "go.mod"), "module m\n")
	for _, bad := range []string{"https://github.com/you/x", "a b", "/x", "x/"} {
		if _, err := rename(dir, bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// TestRenamedTreeIsWhole renames a copy of this repository and resolves every
// import of it, those of tests included. .ci/run vets all of such a copy, and runs
// the tests of the packages that others may import.
func TestRenamedTreeIsWhole(t *testing.T) {
	const elsewhere = "example.org/elsewhere/lpbridge"
	dir := t.TempDir()
	copyTree(t, filepath.Join("..", ".."), dir)
	old := modfile.ModulePath([]byte(read(t, filepath.Join(dir, "go.mod"))))
	if changed, err := rename(dir, elsewhere); err != nil || changed < 100 {
		t.Fatalf("%d files changed, error %v", changed, err)
	}
	program := goTool(t, dir, "list", "./cmd/lpbridge")
	if strings.TrimSpace(program) != elsewhere+"/cmd/lpbridge" {
		t.Errorf("the program is %s", program)
	}
	for name := range strings.Lines(goTool(t, dir, "list", "-test", "-deps", "./...")) {
		if strings.HasPrefix(name, old+"/") {
			t.Errorf("%s is still needed", strings.TrimSpace(name))
		}
	}
	goTool(t, dir, "vet", "./config", "./lpauth", "./tools/module")
}

func goTool(t *testing.T, dir string, args ...string) string {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", args...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && path != from && left(d.Name()):
			return fs.SkipDir
		case d.Type().IsRegular():
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			write(t, filepath.Join(to, below), string(text))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
