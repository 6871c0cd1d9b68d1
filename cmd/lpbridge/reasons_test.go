package main

import (
	"go/ast"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"lpbridge/bridge"
)

// Nothing is dropped without a counter by reason, and every reason stands in
// docs/operations.md. They are looked up where they are made.

// counting are the functions that take a reason.
var counting = []string{"drop", "dropMany", "undelivered", "LeftOut", "typed", "tell", "WithLabelValues"}

// counters are those that WithLabelValues is asked of for a reason.
var counters = []string{"leftOut", "refusals"}

var reasonWord = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

// reasons are all reasons the code can give.
func reasonsInCode(t *testing.T) map[string]bool {
	found := map[string]bool{}
	note := func(prefix string, e ast.Expr) {
		lit, ok := e.(*ast.BasicLit)
		if !ok {
			return
		}
		if word, err := strconv.Unquote(lit.Value); err == nil && reasonWord.MatchString(word) {
			found[prefix+word] = true
		}
	}
	for _, s := range sources(t) {
		if s.test || !strings.HasPrefix(s.path, "bridge/") || strings.HasPrefix(s.path, "bridge/bridgetest/") {
			continue
		}
		ast.Inspect(s.tree, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if countsReason(n) {
					for _, a := range n.Args {
						note("", a)
					}
				}
			case *ast.ValueSpec:
				if kind, ok := n.Type.(*ast.Ident); ok && (kind.Name == "Drop" || kind.Name == "Reason") {
					for _, v := range n.Values {
						note(map[string]string{"Drop": "dropped_"}[kind.Name], v)
					}
				}
			case *ast.KeyValueExpr:
				// Of a socket that is ended.
				if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Counted" {
					note("", n.Value)
				}
			case *ast.AssignStmt:
				if name, ok := n.Lhs[0].(*ast.Ident); ok && name.Name == "reason" {
					note("", n.Rhs[0])
				}
			}
			return true
		})
	}
	// Typing that was seen was not dropped.
	delete(found, "observed")
	return found
}

func countsReason(call *ast.CallExpr) bool {
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains(counting, f.Sel.Name) {
		return false
	}
	if f.Sel.Name != "WithLabelValues" {
		return true
	}
	of, ok := f.X.(*ast.SelectorExpr)
	return ok && slices.Contains(counters, of.Sel.Name)
}

// reasonsInDocument are those of the table in docs/operations.md.
func reasonsInDocument(t *testing.T) map[string]bool {
	page, err := os.ReadFile(filepath.Join(root, "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(page), "\n## What is left out\n")
	if !found {
		t.Fatal("docs/operations.md has no section on what is left out")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	documented := map[string]bool{}
	for row := range strings.Lines(section) {
		cells := strings.Split(row, "|")
		if len(cells) < 4 {
			continue
		}
		for _, word := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(cells[2], -1) {
			documented[word[1]] = true
		}
	}
	return documented
}

func TestReasonsAreDocumented(t *testing.T) {
	code, document := reasonsInCode(t), reasonsInDocument(t)
	if len(code) < 40 {
		t.Fatalf("only %d reasons found: %v", len(code), slices.Sorted(maps.Keys(code)))
	}
	for _, reason := range slices.Sorted(maps.Keys(code)) {
		if !document[reason] {
			t.Errorf("docs/operations.md does not say what the reason %s is", reason)
		}
	}
	for _, o := range []bridge.Outcome{bridge.Retry, bridge.Unknown, bridge.Throttled, bridge.Unauthorized, bridge.Closed, bridge.Invalid} {
		code[o.String()] = true
	}
	for _, reason := range slices.Sorted(maps.Keys(document)) {
		if !code[reason] {
			t.Errorf("docs/operations.md names the reason %s, which nobody gives", reason)
		}
	}
}
