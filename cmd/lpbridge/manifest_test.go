package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestSetUpPageReadsTheCheck: the lines that docs/liveperson.md explains are those
// of a check that finds all well (TestCheckAllWell).
func TestSetUpPageReadsTheCheck(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "liveperson.md"))
	if err != nil {
		t.Fatal(err)
	}
	check, err := os.ReadFile(filepath.Join("testdata", "check.txt"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| line | what it proves |")
	table, _, _ = strings.Cut(table, "\n\n")
	lines := regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(table, -1)
	if len(lines) < 4 {
		t.Fatalf("only %d lines are explained", len(lines))
	}
	for _, m := range lines {
		if subject := strings.TrimSuffix(m[1], "…"); !strings.Contains(string(check), "\nok    "+subject) {
			t.Errorf("the check says nothing of %s", m[1])
		}
	}
}
