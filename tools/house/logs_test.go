package main

import (
	"path/filepath"
	"testing"
)

// TestErrorsHaveOneKey: who looks for errors in logs looks for one word.
func TestErrorsHaveOneKey(t *testing.T) {
	for _, at := range loaded(t).strayErrors() {
		t.Errorf("%s: an error is logged under another key than %q", at, errorKey)
	}
}

func TestStrayErrorsAreFound(t *testing.T) {
	s := searched(t, map[string]string{"a/a.go": `package a

import ("errors"; "log/slog")

func f(l *slog.Logger) {
	err := errors.New("x")
	l.Info("gone", "error", err, "how", err.Error())
	l.With("cause", err).Info("gone")
	l.Info("gone", slog.Any("why", err), "thread", 1)
	_ = errors.Join(err)
}
`})
	var lines []string
	for _, at := range s.strayErrors() {
		lines = append(lines, filepath.Base(at))
	}
	if len(lines) != 2 || lines[0] != "a.go:8:18" || lines[1] != "a.go:9:33" {
		t.Errorf("found %v", lines)
	}
}
