package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestMutantsFitTheCode: a mutant whose passage is gone breaks nothing.
func TestMutantsFitTheCode(t *testing.T) {
	names := map[string]bool{}
	for _, m := range mutants {
		if names[m.name] {
			t.Errorf("%s: is there twice", m.name)
		}
		names[m.name] = true
		text, err := os.ReadFile(filepath.Join("..", "..", m.file))
		if err != nil {
			t.Fatal(err)
		}
		broken, err := m.breaks(string(text))
		if err != nil {
			t.Errorf("%s: %v", m.name, err)
		} else if broken == string(text) {
			t.Errorf("%s: changes nothing", m.name)
		}
	}
}

// TestMutantsNameTests: a pattern that no test has notices nothing.
func TestMutantsNameTests(t *testing.T) {
	for _, m := range mutants {
		top, _, _ := strings.Cut(m.run, "/")
		pattern, err := regexp.Compile(top)
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, p := range m.packages {
			found = found || testIn(t, filepath.Join("..", "..", p), pattern)
		}
		if !found {
			t.Errorf("%s: no test in %v has a name like %s", m.name, m.packages, m.run)
		}
	}
}

var testFunction = regexp.MustCompile(`(?m)^func (Test\w+)\(`)

func testIn(t *testing.T, dir string, pattern *regexp.Regexp) bool {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range testFunction.FindAllStringSubmatch(string(text), -1) {
			if pattern.MatchString(f[1]) {
				return true
			}
		}
	}
	return false
}

func TestWhoNoticed(t *testing.T) {
	for name, c := range map[string]struct{ said, want string }{
		"one":             {"--- FAIL: TestA (0.1s)\n    a_test.go:3: no\nFAIL\n", "TestA"},
		"a part of it":    {"--- FAIL: TestA (0.1s)\n    --- FAIL: TestA/b (0.1s)\nFAIL\n", "TestA/b"},
		"several at once": {"--- FAIL: TestA (0.1s)\n--- FAIL: TestB (0.1s)\n", "TestA"},
		"a panic":         {"panic: no\n", "(by a panic or in vain waiting)"},
	} {
		if got := whoNoticed(c.said); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
