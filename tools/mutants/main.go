// Command mutants breaks promises of the engine on purpose, one at a time, in a
// copy of the checkout, and runs the tests that should notice. A mutant that
// survives is a promise without a test. It is run at the top of the checkout and
// takes minutes; arguments choose mutants by a part of their name.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	survivors, err := run(ctx, os.Args[1:])
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	case survivors > 0:
		os.Exit(1)
	}
}

// run makes the copy and tries every chosen mutant.
func run(ctx context.Context, chosen []string) (survivors int, err error) {
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	if err := copyTree(ctx, dir); err != nil {
		return 0, err
	}
	for _, m := range mutants {
		if !wanted(m.name, chosen) {
			continue
		}
		killed, err := m.try(ctx, dir)
		switch {
		case err != nil:
			return survivors, fmt.Errorf("%s: %w", m.name, err)
		case killed:
			fmt.Println("killed   ", m.name)
		default:
			fmt.Println("SURVIVED ", m.name)
			survivors++
		}
	}
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

// try breaks the promise, runs the tests, and mends it again.
func (m *mutant) try(ctx context.Context, dir string) (killed bool, err error) {
	path := filepath.Join(dir, m.file)
	whole, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	broken, err := m.breaks(string(whole))
	if err != nil {
		return false, err
	}
	if err := os.WriteFile(path, []byte(broken), 0o600); err != nil {
		return false, err
	}
	defer func() {
		if mended := os.WriteFile(path, whole, 0o600); err == nil {
			err = mended
		}
	}()
	if out, err := goIn(ctx, dir, "build", "./"+filepath.Dir(m.file)); err != nil {
		return false, fmt.Errorf("the mutant does not compile: %s", out)
	}
	_, failed := goIn(ctx, dir, append([]string{"test", "-timeout=5m"}, m.packages...)...)
	return failed != nil, ctx.Err()
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
