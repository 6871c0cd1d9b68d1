package main

import (
	"os"
	"path/filepath"
	"testing"
)

// TestMutantsFitTheCode: a mutant whose passage is gone breaks nothing.
func TestMutantsFitTheCode(t *testing.T) {
	for _, m := range mutants {
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
