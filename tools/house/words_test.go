package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestWordsMeanOneThing: what once meant several things is defined in the glossary or
// in no name, and the glossary defines every word once and none that nobody uses.
func TestWordsMeanOneThing(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "bridge", "doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	names, err := declaredNames(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	defined := glossary(string(doc))
	if len(defined) < 30 || len(names) < 5000 {
		t.Fatalf("found %d words of the glossary and %d names", len(defined), len(names))
	}
	for i, word := range defined {
		if slices.Contains(defined[:i], word) {
			t.Errorf("bridge/doc.go defines %q twice", word)
		}
		if !slices.ContainsFunc(names, func(n declared) bool { return n.speaksOf(word) }) {
			t.Errorf("bridge/doc.go defines %q, which no name has", word)
		}
	}
	for _, n := range names {
		for _, word := range contested {
			if n.speaksOf(word) && !slices.Contains(defined, word) {
				t.Errorf("%s: %s: %q meant several things: take another word, or define it in bridge/doc.go and use it for that only", n.path, n.name, word)
			}
		}
	}
}

// speaksOf reports whether a name has a word, or several in a row.
func (n declared) speaksOf(word string) bool {
	return strings.Contains(" "+strings.Join(n.words, " ")+" ", " "+strings.TrimSuffix(word, "s")+" ")
}

func TestWordsOfNames(t *testing.T) {
	for name, want := range map[string][]string{
		"turnOver": {"turn", "over"}, "toLivePerson": {"to", "liveperson"}, "HTTPAnswers": {"http", "answer"}, "deadLetter": {"dead", "letter"},
		"PersonID": {"person", "id"}, "place": {"place"}, "returned": {"returned"}, "booksURL": {"book", "url"},
	} {
		if diff := cmp.Diff(want, wordsOf(name)); diff != "" {
			t.Errorf("words of %s (-want +got):\n%s", name, diff)
		}
	}
	doc := "// Package bridge is.\n//\n//   - place, turn: a\n//     gate: b.\n//   - far side: c\n"
	if diff := cmp.Diff([]string{"place", "turn", "far side"}, glossary(doc)); diff != "" {
		t.Errorf("glossary (-want +got):\n%s", diff)
	}
}
