package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// checkout is surveyed once, for that reads and weighs every file.
var checkout = sync.OnceValues(func() (*house, error) { return survey(filepath.Join("..", "..")) })

func surveyed(t *testing.T) *house {
	t.Helper()
	h, err := checkout()
	if err != nil {
		t.Fatal(err)
	}
	if len(h.files) < 100 {
		t.Fatalf("only %d files were found", len(h.files))
	}
	return h
}

// The limits.
const (
	mostMethods       = 59  // of a receiver
	mostFileLines     = 499 // of a file
	mostFunctionLines = 59  // of a function that is no test
	mostHelperLines   = 99  // of a function of a test that is no test itself
	mostComplexity    = 21  // cognitive, of a function that is no test
	mostMainLines     = 60  // of cmd/lpbridge/main.go
	mostWebhookLines  = 350 // of code, of the generic channel
	mostToyLines      = 99  // of the whole file
	mostVisits        = 2   // of a file on a walk
)

func TestReceiversStaySmall(t *testing.T) {
	for _, c := range surveyed(t).receivers() {
		if c.n > mostMethods {
			t.Errorf("%s has %d methods, at most %d are readable", c.name, c.n, mostMethods)
		}
	}
}

func TestFilesStayShort(t *testing.T) {
	for _, f := range surveyed(t).files {
		if f.lines > mostFileLines {
			t.Errorf("%s has %d lines, at most %d are readable", f.path, f.lines, mostFileLines)
		}
	}
}

func TestFunctionsStayShort(t *testing.T) {
	for _, c := range surveyed(t).longestFunctions() {
		if c.n > mostFunctionLines {
			t.Errorf("%s has %d lines, at most %d are readable", c.name, c.n, mostFunctionLines)
		}
	}
}

func TestFunctionsStayPlain(t *testing.T) {
	for _, c := range surveyed(t).mostInvolved() {
		if c.n > mostComplexity {
			t.Errorf("%s has a complexity of %d, at most %d can be followed", c.name, c.n, mostComplexity)
		}
	}
}

func TestHelpersOfTestsStayShort(t *testing.T) {
	for _, f := range surveyed(t).files {
		for _, fn := range f.functions {
			isTest := slices.ContainsFunc([]string{"Test", "Fuzz", "Benchmark", "Example"}, func(p string) bool { return strings.HasPrefix(fn.name, p) })
			if (f.test || strings.HasPrefix(f.path, "bridge/bridgetest/")) && !isTest && fn.lines > mostHelperLines {
				t.Errorf("%s: %s has %d lines, at most %d are readable", f.path, fn.name, fn.lines, mostHelperLines)
			}
		}
	}
}

func TestSizesThatWerePromised(t *testing.T) {
	h := surveyed(t)
	lines := func(path string) int {
		i := slices.IndexFunc(h.files, func(f file) bool { return f.path == path })
		if i < 0 {
			t.Fatalf("%s is not there", path)
		}
		return h.files[i].lines
	}
	if n := lines("cmd/lpbridge/main.go"); n > mostMainLines {
		t.Errorf("main.go has %d lines, at most %d", n, mostMainLines)
	}
	if n := lines("bridge/bridgetest/toy/toy.go"); n > mostToyLines {
		t.Errorf("the toy has %d lines, at most %d", n, mostToyLines)
	}
	for _, p := range h.packages() {
		if p.name == "bridge/webhook" && p.code > mostWebhookLines {
			t.Errorf("%s has %d lines of code, at most %d", p.name, p.code, mostWebhookLines)
		}
	}
}

// TestWalksAreRight: every stop is where it is said to be, and no file is
// entered again and again.
func TestWalksAreRight(t *testing.T) {
	h := surveyed(t)
	for _, w := range walks {
		visits := map[string]int{}
		for _, s := range w.stops {
			visits[s.file]++
			i := slices.IndexFunc(h.files, func(f file) bool { return f.path == s.file })
			if i < 0 || !slices.ContainsFunc(h.files[i].functions, func(fn function) bool { return fn.name == s.function }) {
				t.Errorf("%s: there is no %s in %s", w.of, s.function, s.file)
			}
		}
		for path, n := range visits {
			if n > mostVisits {
				t.Errorf("%s: %s is entered %d times", w.of, path, n)
			}
		}
	}
}

func TestReportIsComplete(t *testing.T) {
	var out strings.Builder
	if err := surveyed(t).print(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"bridge/relay", "lines of a function", "methods of a receiver", "a consumer's message", "toliveperson.go"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the report lacks %q", want)
		}
	}
}

func TestCountsCodeOnly(t *testing.T) {
	dir := t.TempDir()
	source := `// Package a is.
package a

/* one
   two */

var x = 1 // behind code

func (t *T[K]) f() {
	if x > 0 && x < 9 {
		x++
	}
}
`
	if err := os.WriteFile(filepath.Join(dir, "a.go"), []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	h, err := survey(dir)
	if err != nil || len(h.files) != 1 {
		t.Fatalf("%v, error %v", h, err)
	}
	f := h.files[0]
	want := function{name: "f", receiver: "T", lines: 5, complexity: 2}
	if f.lines != 13 || f.code != 7 || len(f.functions) != 1 || f.functions[0] != want {
		t.Errorf("found %+v", f)
	}
}
