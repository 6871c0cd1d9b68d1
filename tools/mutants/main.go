// Command mutants breaks promises of lpbridge on purpose, one at a time, in a copy
// of the checkout, and runs the tests that should notice. A mutant that survives
// is a promise without a test. It is run at the top of the checkout and takes half
// an hour; arguments choose mutants by a part of their name or file. It prints a
// table: what became of each, how long that took, and the test that noticed.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	survivors, err := run(ctx, os.Stdout, os.Args[1:])
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	case survivors > 0:
		os.Exit(1)
	}
}

// run makes the copy and tries every chosen mutant.
func run(ctx context.Context, out io.Writer, chosen []string) (survivors int, err error) {
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := copyTree(ctx, dir); err != nil {
		return 0, err
	}
	tried := 0
	for _, m := range mutants {
		if !wanted(m.name+" "+m.file, chosen) {
			continue
		}
		began := time.Now()
		noticed, err := m.try(ctx, dir)
		if err != nil {
			return survivors, fmt.Errorf("%s: %w", m.name, err)
		}
		fate := "killed"
		if noticed == "" {
			fate = "SURVIVED"
			survivors++
		}
		tried++
		fmt.Fprintf(out, "%-8s %5.1fs  %-88s %s\n", fate, time.Since(began).Seconds(), m.name, noticed)
	}
	fmt.Fprintf(out, "%d mutants, %d survived\n", tried, survivors)
	return survivors, nil
}

func wanted(name string, chosen []string) bool {
	for _, part := range chosen {
		if strings.Contains(name, part) {
			return true
		}
	}
	return len(chosen) == 0
}

// copyTree copies what git knows of, as it is in the work tree.
func copyTree(ctx context.Context, dir string) error {
	copying := exec.CommandContext(ctx, "sh", "-c", `git ls-files -z | xargs -0 cp --parents -t "$0"`, dir)
	copying.Stderr = os.Stderr
	return copying.Run()
}

// quickly are flags that save time: each mutant is built once and runs once.
var quickly = []string{"-vet=off", "-gcflags=lpbridge/...=-N -l", "-ldflags=-s -w", "-failfast", "-timeout=5m"}

// try breaks the promise, runs the tests, and mends it again. It returns the test
// that noticed, empty when none did.
func (m *mutant) try(ctx context.Context, dir string) (noticed string, err error) {
	path := filepath.Join(dir, m.file)
	whole, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	broken, err := m.breaks(string(whole))
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		return "", err
	}
	defer func() {
		if mended := os.WriteFile(path, whole, 0o600); err == nil {
			err = mended
		}
	}()
	if said, err := goIn(ctx, dir, "build", quickly[1], "./"+filepath.Dir(m.file)); err != nil {
		return "", fmt.Errorf("the mutant does not compile: %s", said)
	}
	said, failed := goIn(ctx, dir, append([]string{"test", "-run", m.run}, append(quickly, m.packages...)...)...)
	if failed == nil || ctx.Err() != nil {
		return "", ctx.Err()
	}
	return whoNoticed(said), nil
}

var failure = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)

// whoNoticed is the name of the test that failed, the innermost one. A test that
// hung or panicked noticed as well.
func whoNoticed(said string) string {
	found := failure.FindAllStringSubmatch(said, -1)
	if len(found) == 0 {
		return "(by a panic or in vain waiting)"
	}
	name := found[0][1]
	for _, f := range found {
		if strings.HasPrefix(f[1], name+"/") {
			name = f[1]
		}
	}
	return name
}

// breaks returns the text with the promise broken.
func (m *mutant) breaks(text string) (string, error) {
	if n := strings.Count(text, m.old); n != 1 {
		return "", fmt.Errorf("%s has the passage %d times: the mutant is out of date", m.file, n)
	}
	return strings.Replace(text, m.old, m.broken, 1), nil
}

func goIn(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}
