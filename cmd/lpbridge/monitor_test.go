package main

import (
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
)

// monitor stands for a Prometheus that scrapes one bridge and evaluates the alert rules
// of deploy/observability. That Prometheus understands the rules as we do is promtool's
// to say.
type monitor struct {
	t      *testing.T
	target string
	token  string
	rules  map[string]string
	taken  []scrape
}

// scrape is what was read at one time.
type scrape struct {
	at     time.Time
	series []series
}

// series is one value, by name and labels.
type series struct {
	name   string
	labels map[string]string
	value  float64
}

// alertRules are the expressions of the rules by the names of their alerts.
func alertRules(t *testing.T) map[string]string {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct{ Alert, Expr string }
		}
	}
	if err := yaml.Unmarshal([]byte(observability(t, "alerts.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	rules := map[string]string{}
	for _, group := range file.Groups {
		for _, rule := range group.Rules {
			rules[rule.Alert] = rule.Expr
		}
	}
	if len(rules) < 10 {
		t.Fatalf("only %d rules were found", len(rules))
	}
	return rules
}

// watched is a monitor of a bridge, which has scraped it once.
func watched(t *testing.T, p *process) *monitor {
	t.Helper()
	m := &monitor{t: t, rules: alertRules(t)}
	m.follow(p)
	return m
}

// follow has the monitor scrape the process that took another's place.
func (m *monitor) follow(p *process) {
	m.t.Helper()
	m.target = p.admin + "/metrics"
	m.scrape()
}

// scrape reads the metrics, or learns that nobody answers.
func (m *monitor) scrape() {
	m.t.Helper()
	header := http.Header{}
	if m.token != "" {
		header.Set("Authorization", "Bearer "+m.token)
	}
	a, err := try(http.MethodGet, m.target, header, "")
	up := series{name: "up", labels: map[string]string{"job": "lpbridge"}}
	if err != nil || a.status != http.StatusOK {
		m.taken = append(m.taken, scrape{time.Now(), []series{up}})
		return
	}
	up.value = 1
	m.taken = append(m.taken, scrape{time.Now(), append(exposition(m.t, a.body), up)})
}

var (
	exposedLine  = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? (\S+)$`)
	exposedLabel = regexp.MustCompile(`([a-z_]+)="([^"]*)"`)
)

// exposition reads our metrics from the text that Prometheus reads.
func exposition(t *testing.T, text string) (all []series) {
	t.Helper()
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "lpbridge_") {
			continue
		}
		found := exposedLine.FindStringSubmatch(strings.TrimSpace(line))
		if found == nil {
			t.Fatalf("not understood: %s", line)
		}
		value, err := strconv.ParseFloat(found[3], 64)
		if err != nil {
			t.Fatalf("not understood: %s", line)
		}
		s := series{name: found[1], labels: map[string]string{}, value: value}
		for _, label := range exposedLabel.FindAllStringSubmatch(found[2], -1) {
			s.labels[label[1]] = label[2]
		}
		all = append(all, s)
	}
	return all
}

// firing says whether the rule of an alert finds anything at a time, by what was scraped.
func (m *monitor) firing(alert string, at time.Time) bool {
	m.t.Helper()
	rule, found := m.rules[alert]
	if !found {
		m.t.Fatalf("there is no alert %s", alert)
	}
	return len(evaluate(m.t, rule, m.taken, at)) > 0
}

// fires waits until an alert's rule finds something.
func (m *monitor) fires(alert string) {
	m.t.Helper()
	await(m.t, "that "+alert+" fires", func() bool {
		m.scrape()
		return m.firing(alert, time.Now())
	})
}

// ends waits until an alert's rule finds nothing more in what is scraped from now on.
func (m *monitor) ends(alert string) {
	m.t.Helper()
	m.taken = nil
	await(m.t, "that "+alert+" ends", func() bool {
		m.scrape()
		m.scrape()
		return !m.firing(alert, time.Now())
	})
}

// quiet wants an alert's rule to find nothing, now.
func (m *monitor) quiet(alert string) {
	m.t.Helper()
	m.scrape()
	if m.firing(alert, time.Now()) {
		m.t.Errorf("%s fires", alert)
	}
}

// value is that of a metric with all these labels, name and value in turn, and 0 where
// there is none.
func (m *monitor) value(name string, labels ...string) float64 {
	m.t.Helper()
	m.scrape()
	last := m.taken[len(m.taken)-1].series
	i := slices.IndexFunc(last, func(s series) bool {
		for n := 0; n+1 < len(labels); n += 2 {
			if s.labels[labels[n]] != labels[n+1] {
				return false
			}
		}
		return s.name == name
	})
	if i < 0 {
		return 0
	}
	return last[i].value
}
