package main

import (
	"encoding/json"
	"go/ast"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// observability reads a file of deploy/observability.
func observability(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "deploy", "observability", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestEveryAlertHasItsEntry: whoever is woken finds what to do, the rule was seen to fire,
// and the entry was followed by the test it names. That metrics exist which files name is
// TestNamedMetricsExist.
func TestEveryAlertHasItsEntry(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	rules, tests := observability(t, "alerts.yaml"), observability(t, "alerts_test.yaml")
	entries, followed := entriesOf(string(page)), testBodies(t, "cmd/lpbridge")
	alerts := alertRules(t)
	for name := range alerts {
		if !strings.Contains(rules, "runbook: docs/operations.md#"+strings.ToLower(name)+"\n") {
			t.Errorf("%s leads to another entry", name)
		}
		fires := regexp.MustCompile(`alertname: ` + name + `\n +eval_time: \w+\n +exp_alerts:\n +- exp_labels:`)
		if !fires.MatchString(tests) {
			t.Errorf("no test of the rules sees %s fire", name)
		}
		entry, found := entries[name]
		if !found {
			t.Errorf("docs/operations.md has no entry for %s", name)
			continue
		}
		named := regexp.MustCompile(`(?m)^Test: ` + "`(Test[A-Za-z0-9]+)`" + `\.$`).FindStringSubmatch(entry)
		if named == nil {
			t.Errorf("the entry of %s names no test that follows it", name)
			continue
		}
		if body := followed[named[1]]; !strings.Contains(body, `"`+name+`"`) || !strings.Contains(body, "watched(") && !strings.Contains(body, "monitor{") {
			t.Errorf("%s, which is there: %t, does not see %s fire", named[1], body != "", name)
		}
	}
	for name := range entries {
		if alerts[name] == "" {
			t.Errorf("docs/operations.md has an entry for %s, which there is not", name)
		}
	}
}

// entriesOf are the entries of the runbook by the names of their alerts.
func entriesOf(page string) map[string]string {
	entries := map[string]string{}
	for _, part := range strings.Split(page, "\n### ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		text, _, _ = strings.Cut(text, "\n## ")
		if strings.HasPrefix(name, "Lpbridge") {
			entries[name] = text
		}
	}
	return entries
}

// testBodies are the texts of the tests of a folder by their names.
func testBodies(t *testing.T, folder string) map[string]string {
	t.Helper()
	bodies := map[string]string{}
	for _, s := range sources(t) {
		if !s.test || s.folder() != folder {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, s.path))
		if err != nil {
			t.Fatal(err)
		}
		start := s.tree.FileStart
		for _, d := range s.tree.Decls {
			if f, is := d.(*ast.FuncDecl); is && f.Recv == nil {
				bodies[f.Name.Name] = string(text[f.Pos()-start : f.End()-start])
			}
		}
	}
	return bodies
}

// laterMetrics are by label and there once something happened.
var laterMetrics = map[string]bool{
	"lpbridge_channel_polled_timestamp_seconds": true, "lpbridge_delivery_lag_seconds": true,
	"lpbridge_typing_change_duration_seconds": true, "lpbridge_echo_wait_seconds": true,
}

// TestDashboard: each of its panels asks for metrics of the running bridge.
func TestDashboard(t *testing.T) {
	var dashboard struct {
		Panels []struct {
			ID      int
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(observability(t, "dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	s := newStage(t)
	dir := t.TempDir()
	cert, key := newPair(t, dir, "dashboard")
	p := s.run(map[string]string{"LPBRIDGE_TLS_CERT": cert, "LPBRIDGE_TLS_KEY": key})
	served := get(t, p.admin+"/metrics").body
	name := regexp.MustCompile(`\blpbridge_[a-z_]*[a-z]\b`)
	ids := map[int]bool{}
	for _, panel := range dashboard.Panels {
		if ids[panel.ID] || panel.Title == "" || len(panel.Targets) == 0 {
			t.Errorf("panel %d is there twice or says nothing", panel.ID)
		}
		ids[panel.ID] = true
		for _, target := range panel.Targets {
			for _, metric := range name.FindAllString(target.Expr, -1) {
				base := strings.TrimSuffix(strings.TrimSuffix(metric, "_bucket"), "_count")
				// Counters by label are there once something happened; what the code
				// makes is held by TestNamedMetricsExist.
				if !strings.Contains(served, "# TYPE "+base+" ") && !strings.HasSuffix(base, "_total") && !laterMetrics[base] {
					t.Errorf("%s asks for %s, which the bridge does not have", panel.Title, metric)
				}
			}
		}
	}
	if len(ids) < 10 {
		t.Errorf("only %d panels were found", len(ids))
	}
	p.terminate()
}
