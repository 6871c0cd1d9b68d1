package main

import (
	"encoding/json"
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

// TestEveryAlertHasItsEntry: whoever is woken finds what to do, and the rule was
// seen to fire. That metrics exist which files name is TestNamedMetricsExist.
func TestEveryAlertHasItsEntry(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	rules, tests := observability(t, "alerts.yaml"), observability(t, "alerts_test.yaml")
	alerts := regexp.MustCompile(`- alert: (\w+)`).FindAllStringSubmatch(rules, -1)
	if len(alerts) < 10 {
		t.Fatalf("only %d alerts were found", len(alerts))
	}
	known := map[string]bool{}
	for _, m := range alerts {
		name := m[1]
		known[name] = true
		if !strings.Contains(string(page), "\n### "+name+"\n") {
			t.Errorf("docs/operations.md has no entry for %s", name)
		}
		if !strings.Contains(rules, "runbook: docs/operations.md#"+strings.ToLower(name)+"\n") {
			t.Errorf("%s leads to another entry", name)
		}
		fires := regexp.MustCompile(`alertname: ` + name + `\n +eval_time: \w+\n +exp_alerts:\n +- exp_labels:`)
		if !fires.MatchString(tests) {
			t.Errorf("no test sees %s fire", name)
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^### (Lpbridge\w+)$`).FindAllStringSubmatch(string(page), -1) {
		if !known[m[1]] {
			t.Errorf("docs/operations.md has an entry for %s, which there is not", m[1])
		}
	}
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
