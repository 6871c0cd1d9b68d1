//go:build unix

package main

import (
	"net/http"
	"strings"
	"syscall"
	"testing"

	"lpbridge/internal/pgcluster"
)

// standBy launches a second process on the same database and waits until it says that it
// is a standby.
func (s *stage) standBy(changes map[string]string) *process {
	s.t.Helper()
	p := launch(s.t, s.with(changes), "run")
	line := p.awaitLine("standby")
	p.public, p.admin = "http://"+line["listen"].(string), "http://"+line["admin"].(string)
	return p
}

// awaitSettled waits until nothing is on its way: what is, is in doubt after a kill, and an
// echo that meets nobody comes late.
func (s *stage) awaitSettled(p *process) {
	s.t.Helper()
	await(s.t, "the last settlement", func() bool { return p.status(s.t).Pending == 0 })
}

// replicas makes a stage whose journal is on a PostgreSQL of its own.
func newReplicas(t *testing.T) (*stage, *pgcluster.Cluster) {
	t.Helper()
	s, c := newStage(t), pgcluster.ForTest(t)
	s.settings["LPBRIDGE_STORE"] = c.URL("postgres", "postgres")
	s.settings["LPBRIDGE_PEER_LISTEN"] = "127.0.0.1:0"
	// A busy machine takes over more slowly.
	s.settings["LPBRIDGE_HOLD_FOR"] = "25s"
	return s, c
}

// awaitReady waits until a replica says that it takes requests.
func (p *process) awaitReady() {
	p.t.Helper()
	await(p.t, "the replica to be ready", func() bool { return get(p.t, p.admin+"/readyz").status == http.StatusOK })
}

// TestStandbyTakesOver: of two replicas one owns the journal and the other hands on what
// comes to it, until the first is killed, and then again until the second ends in order.
// Every message arrives once and in order.
func TestStandbyTakesOver(t *testing.T) {
	t.Parallel()
	s, _ := newReplicas(t)
	// The first one is reached where it listens by default.
	first := s.run(map[string]string{"LPBRIDGE_PEER_LISTEN": ""})
	second := s.standBy(nil)
	second.awaitReady()
	for _, path := range []string{"/healthz", "/readyz", "/status", "/metrics"} {
		if a := do(t, http.MethodGet, second.admin+path, nil, ""); a.status != http.StatusOK {
			t.Errorf("standby: GET %s answered %d %s", path, a.status, a.body)
		}
	}
	if text := do(t, http.MethodGet, second.admin+"/metrics", nil, "").body; !strings.Contains(text, "lpbridge_journal_owner 0") {
		t.Error("metrics of a standby do not say so")
	}
	s.post(first, message("t-1", "m-1", "one"))
	s.post(second, message("t-1", "m-2", "two"))
	s.awaitTexts("t-1", "one", "two")
	s.awaitSettled(first)
	first.kill()
	s.post(second, message("t-1", "m-3", "three"))
	second.awaitStart()
	s.lead(second)
	s.awaitTexts("t-1", "one", "two", "three")
	if a := do(t, http.MethodGet, second.admin+"/status", nil, ""); !strings.Contains(a.body, `"engine":"postgres"`) || !strings.Contains(a.body, `"epoch":2`) {
		t.Errorf("status %s, want the second owner on PostgreSQL", a.body)
	}
	s.awaitSettled(second)
	third := s.standBy(nil)
	third.awaitReady()
	s.post(third, message("t-1", "m-4", "four"))
	second.terminate()
	s.post(third, message("t-1", "m-5", "five"))
	third.awaitStart()
	s.lead(third)
	s.awaitTexts("t-1", "one", "two", "three", "four", "five")
	fourth := s.standBy(nil)
	fourth.terminate()
	third.terminate()
}

// TestFrozenOwnerChangesNothing: an owner that is stopped for longer than its lease, and
// then goes on, finds that another process has the journal: it says so and ends, what it takes
// then is refused, and everything arrives once.
func TestFrozenOwnerChangesNothing(t *testing.T) {
	t.Parallel()
	s, _ := newReplicas(t)
	first := s.run(nil)
	s.post(first, message("t-1", "m-1", "one"))
	s.awaitTexts("t-1", "one")
	s.awaitSettled(first)
	second := s.standBy(nil)
	first.signal(syscall.SIGSTOP)
	second.awaitStart()
	s.lead(second)
	s.post(second, message("t-1", "m-2", "two"))
	s.awaitTexts("t-1", "one", "two")
	first.signal(syscall.SIGCONT)
	if a, err := try(http.MethodPost, first.public+"/channels/webhook", signed(t, message("t-1", "m-3", "three")), message("t-1", "m-3", "three")); err == nil && a.status != http.StatusServiceUnavailable {
		t.Errorf("the deposed owner answered %d", a.status)
	}
	if code := first.exit(); code != exitFailed {
		t.Errorf("the deposed owner ended with %d, want %d", code, exitFailed)
	}
	if first.line("another process owns the journal now") == nil {
		t.Error("the deposed owner does not say why it ended")
	}
	s.post(second, message("t-1", "m-3", "three"))
	s.awaitTexts("t-1", "one", "two", "three")
	second.terminate()
}

// TestPostgresAway: while PostgreSQL is away, doors answer 503 with Retry-After and /readyz
// says no; when it is back, the same process goes on by itself.
func TestPostgresAway(t *testing.T) {
	t.Parallel()
	s, c := newReplicas(t)
	p := s.run(nil)
	s.post(p, message("t-1", "m-1", "one"))
	s.awaitTexts("t-1", "one")
	s.awaitSettled(p)
	c.Kill()
	body := message("t-1", "m-2", "two")
	if a := do(t, http.MethodPost, p.public+"/channels/webhook", signed(t, body), body); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("answered %d %v, want 503 with Retry-After", a.status, a.header)
	}
	await(t, "the bridge to be unready", func() bool { return get(t, p.admin+"/readyz").status == http.StatusServiceUnavailable })
	await(t, "the end of the lease", func() bool { return strings.Contains(get(t, p.admin+"/metrics").body, "lpbridge_journal_owner 0") })
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
	await(t, "the bridge to be ready again", func() bool { return get(t, p.admin+"/readyz").status == http.StatusOK })
	s.post(p, body)
	s.awaitTexts("t-1", "one", "two")
	p.terminate()
	if strings.Contains(p.stderr.String(), "cluster-password") {
		t.Error("the log shows the password")
	}
}
