package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/sethvargo/go-envconfig"

	"lpbridge/config"
)

// described is how the library writes down what a metric is.
var described = regexp.MustCompile(`^Desc\{fqName: ("(?:[^"\\]|\\.)*"), help: ("(?:[^"\\]|\\.)*")(?:, unit: "[^"]*")?, constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}\}$`)

// metricsTable is what the registry of a bridge with everything switched on knows.
func metricsTable(t *testing.T, _ string) string {
	s := newStage(t)
	dir := t.TempDir()
	cert, key := newPair(t, dir, "metrics")
	settings, err := loadSettings(environment{lookup: envconfig.MapLookuper(s.with(map[string]string{
		"LPBRIDGE_TLS_CERT": cert, "LPBRIDGE_TLS_KEY": key, "LPBRIDGE_ADMIN_TLS_CERT": cert, "LPBRIDGE_ADMIN_TLS_KEY": key,
	})), stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	a, err := newApp(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	defer a.abandon()
	// One that shares its journal has more to tell.
	if settings.Bridge.Store, err = config.ParseStore("postgres://u@db.example/lpbridge"); err != nil {
		t.Fatal(err)
	}
	// What is registered where it begins to serve.
	a.console()
	if err := a.joinReplicas(); err != nil {
		t.Fatal(err)
	}
	newConnections(a.listeners.public, settings.maxConnections(), settings.log, a.registry)
	descs := make(chan *prometheus.Desc)
	go func() { a.registry.Describe(descs); close(descs) }()
	rows := map[string]string{}
	for d := range descs {
		parts := described.FindStringSubmatch(d.String())
		if parts == nil {
			t.Fatalf("the library writes metrics down in another form: %s", d)
		}
		name, help := unquoted(t, parts[1]), unquoted(t, parts[2])
		if !strings.HasPrefix(name, "lpbridge_") {
			continue
		}
		labels := regexp.MustCompile(`=("(?:[^"\\]|\\.)*")`).ReplaceAllString(parts[3], "")
		labels = strings.Trim(labels+","+parts[4], ",")
		if labels != "" {
			labels = "`" + strings.ReplaceAll(labels, ",", "`, `") + "`"
		}
		rows[name] = fmt.Sprintf("| `%s` | %s | %s | %s |\n", name, metricType(name), labels, strings.ReplaceAll(help, "|", "\\|"))
	}
	table := "| name | type | labels | what |\n|---|---|---|---|\n"
	for _, name := range slices.Sorted(maps.Keys(rows)) {
		table += rows[name]
	}
	return table
}

func unquoted(t *testing.T, text string) string {
	t.Helper()
	plain, err := strconv.Unquote(text)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// histograms are those of our metrics that are neither counters nor gauges.
var histograms = regexp.MustCompile(`_(duration|lag|wait)_seconds$|_commit_events$`)

// metricType follows from the name, as promtool wants it.
func metricType(name string) string {
	switch {
	case strings.HasSuffix(name, "_total"):
		return "counter"
	case histograms.MatchString(name) && !strings.Contains(name, "oldest"):
		return "histogram"
	}
	return "gauge"
}

// TestMetricTypes holds what docs/metrics.md says of types against a running bridge.
func TestMetricTypes(t *testing.T) {
	t.Parallel()
	p := newStage(t).run(nil)
	types := regexp.MustCompile(`(?m)^# TYPE (lpbridge_\w+) (\w+)$`).FindAllStringSubmatch(get(t, p.admin+"/metrics").body, -1)
	if len(types) < 25 {
		t.Fatalf("only %d metrics", len(types))
	}
	for _, m := range types {
		if got := metricType(m[1]); got != m[2] {
			t.Errorf("%s is a %s, the page would say %s", m[1], m[2], got)
		}
	}
}

// TestErrorsPageHasEveryStatus: each status the code can answer with has a line with its reason.
func TestErrorsPageHasEveryStatus(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "errors.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines := map[int]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `(\\w+)` \\|").FindAllStringSubmatch(string(page), -1) {
		status, _ := strconv.Atoi(m[1])
		lines[status] = m[2]
	}
	for status, reason := range lines {
		if reasonOf(status) != reason {
			t.Errorf("the page says that %d is %s, the counter %s", status, reason, reasonOf(status))
		}
	}
	for status := range reasons {
		if lines[status] == "" {
			t.Errorf("no line for %d", status)
		}
	}
	answered := regexp.MustCompile(`\bStatus:\s+http\.Status(\w+)`)
	n := 0
	for _, s := range sources(t) {
		if s.test || !strings.HasPrefix(s.path, "bridge/") && !strings.HasPrefix(s.path, "cmd/lpbridge/") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(s.path)))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range answered.FindAllStringSubmatch(string(text), -1) {
			status := statusNamed(m[1])
			if status < http.StatusBadRequest {
				continue
			}
			n++
			if lines[status] == "" {
				t.Errorf("%s answers with %s, which has no line", s.path, m[1])
			}
		}
	}
	if n < 20 {
		t.Errorf("only %d answers were found", n)
	}
	for code, word := range map[int]string{exitOK: "it was done", exitFailed: "it failed", exitConfig: "wrong arguments"} {
		if !strings.Contains(string(page), fmt.Sprintf("| %d | %s", code, word)) {
			t.Errorf("exit code %d (%s) has no line", code, word)
		}
	}
}

// statusNamed is the status of a constant of net/http, 0 without one.
func statusNamed(name string) int {
	for status := 400; status < 600; status++ {
		if strings.ReplaceAll(strings.ReplaceAll(http.StatusText(status), " ", ""), "-", "") == name {
			return status
		}
	}
	return 0
}
