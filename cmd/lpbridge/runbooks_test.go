package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"lpbridge/connector/lpsim"
)

// The tests of the runbook bring a bridge into the trouble an alert tells of, do what its
// entry in docs/operations.md says, and see the trouble end.

// operator runs a command beside a bridge, which must succeed, and returns what it said.
func (p *process) operator(args ...string) string {
	p.t.Helper()
	got := outcome(p.t, map[string]string{"LPBRIDGE_ADMIN_LISTEN": strings.TrimPrefix(p.admin, "http://")}, args...)
	if got.code != exitOK || got.stderr != "" {
		p.t.Fatalf("lpbridge %v: exit code %d: %s", args, got.code, got.stderr)
	}
	return got.stdout
}

// journalFile is the database of a stage.
func (s *stage) journalFile() string {
	return strings.TrimPrefix(s.settings["LPBRIDGE_STORE"], "sqlite:")
}

func TestRunbookDown(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	tokens := map[string]string{"LPBRIDGE_ADMIN_TOKEN": adminToken, "LPBRIDGE_METRICS_TOKEN": metricsToken}
	p := s.run(tokens)
	m := watched(t, p)
	m.fires("LpbridgeDown")
	m.token = metricsToken
	m.ends("LpbridgeDown")
	s.away(t, true)
	s.post(p, message("a", "a1", "kept"))
	p.kill()
	m.fires("LpbridgeDown")
	if got := outcome(t, s.with(map[string]string{"WEBHOOK_SECRET": "", "LPBRIDGE_ECHO_WAIT": "soon"}), "run"); got.code != exitConfig ||
		!strings.Contains(got.stderr, "WEBHOOK_SECRET") || !strings.Contains(got.stderr, "LPBRIDGE_ECHO_WAIT") {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	p = s.run(tokens)
	m.follow(p)
	m.ends("LpbridgeDown")
	s.away(t, false)
	s.awaitTexts("a", "kept")
	p.terminate()
}

func TestRunbookFarSideUnwell(t *testing.T) {
	t.Parallel()
	for state, faults := range map[string]lpsim.Faults{
		"down":      {Outages: []lpsim.Outage{{ForMs: 3_600_000, Status: http.StatusServiceUnavailable}}},
		"stalled":   {ErrorRate: lpsim.Rates{lpsim.IDPAPI: 1}, ErrorStatus: http.StatusServiceUnavailable},
		"throttled": {ThrottleRate: lpsim.Everywhere(1), RetryAfterSeconds: 280},
	} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			p := s.run(nil)
			m := watched(t, p)
			m.quiet("LpbridgeFarSideUnwell")
			s.post(p, message("a", "a1", "one"))
			s.awaitTexts("a", "one")
			if err := s.sim.SetFaults(faults); err != nil {
				t.Fatal(err)
			}
			if state == "stalled" {
				// Who has a token and a conversation writes on.
				s.post(p, message("a", "a2", "two"))
				s.awaitTexts("a", "one", "two")
			} else {
				s.post(p, message("a", "a2", "two"))
			}
			for n := range 3 {
				s.post(p, message(fmt.Sprint("new", n), fmt.Sprint("m", n), "two"))
			}
			m.fires("LpbridgeFarSideUnwell")
			await(t, "what the status says", func() bool {
				flow := p.status(t).LivePerson
				return flow.State == state && !flow.Since.IsZero() && flow.LastError != ""
			})
			if err := s.sim.SetFaults(lpsim.Faults{}); err != nil {
				t.Fatal(err)
			}
			if state == "throttled" {
				p.operator("resume", "liveperson")
			}
			for n := range 3 {
				s.awaitTexts(fmt.Sprint("new", n), "two")
			}
			m.ends("LpbridgeFarSideUnwell")
			p.terminate()
		})
	}
}

func TestRunbookCredentialRefused(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	path := filepath.Join(t.TempDir(), "secret")
	write := func(secret string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("no-secret-of-theirs")
	p := s.run(map[string]string{"LP_CLIENT_SECRET": "", "LP_CLIENT_SECRET_FILE": path})
	m := watched(t, p)
	s.post(p, message("a", "a1", "kept"))
	m.fires("LpbridgeCredentialRefused")
	write("sandbox-secret")
	p.signal(syscall.SIGHUP)
	p.awaitLine("client secret replaced")
	s.awaitTexts("a", "kept")
	m.ends("LpbridgeCredentialRefused")
	p.terminate()
}

func TestRunbookEventsWait(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	s.away(t, true)
	s.post(p, message("a", "a1", "one"))
	p.kill()
	// Six minutes go by.
	s.changeJournal("UPDATE events SET accepted = accepted - ?", (6 * time.Minute).Microseconds())
	p = s.run(nil)
	m := watched(t, p)
	m.fires("LpbridgeEventsWait")
	s.post(p, message("a", "a2", "two"))
	labels := []string{"channel", "webhook", "direction", "to_liveperson"}
	if accepted, delivered := m.value("lpbridge_events_accepted_total", labels...), m.value("lpbridge_deliveries_total", append(labels, "outcome", "delivered")...); accepted != 1 || delivered != 0 {
		t.Errorf("%v accepted and %v delivered", accepted, delivered)
	}
	if limit := m.value("lpbridge_far_side_deliveries_limit", "far_side", "liveperson"); limit < 1 {
		t.Errorf("the limiter says %v", limit)
	}
	await(t, "what holds the thread up", func() bool { return regexp.MustCompile(`(?s)failed .*503`).MatchString(p.operator("trace", "a")) })
	s.away(t, false)
	s.awaitTexts("a", "one", "two")
	m.ends("LpbridgeEventsWait")
	p.terminate()
}

func TestRunbookBacklogNearLimit(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(map[string]string{"LPBRIDGE_MAX_PENDING": "4"})
	m := watched(t, p)
	m.quiet("LpbridgeBacklogNearLimit")
	s.away(t, true)
	for n := range 4 {
		s.post(p, message("a", fmt.Sprint("a", n), fmt.Sprint("text ", n)))
	}
	m.fires("LpbridgeBacklogNearLimit")
	if liveperson, webhook := m.value("lpbridge_far_side_oldest_waiting_seconds", "far_side", "liveperson"), m.value("lpbridge_far_side_oldest_waiting_seconds", "far_side", "webhook"); liveperson <= 0 || webhook != 0 {
		t.Errorf("LivePerson's oldest waits for %v s, the channel's for %v s", liveperson, webhook)
	}
	body := message("a", "a4", "text 4")
	if a := do(t, http.MethodPost, p.public+"/channels/webhook", signed(t, body), body); a.status != http.StatusServiceUnavailable {
		t.Errorf("past the limit: %d: %s", a.status, a.body)
	}
	p.terminate()
	p = s.run(map[string]string{"LPBRIDGE_MAX_PENDING": "400"})
	m.follow(p)
	m.ends("LpbridgeBacklogNearLimit")
	s.post(p, body)
	s.away(t, false)
	s.awaitTexts("a", "text 0", "text 1", "text 2", "text 3", "text 4")
	p.terminate()
}

func TestRunbookDeadLetters(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p, _, deadletters := s.deadLetters("answer %d")
	m := watched(t, p)
	m.fires("LpbridgeDeadLetters")
	var rows [][]string
	await(t, "three letters, and why", func() bool {
		rows = regexp.MustCompile(`(?m)^(\d+) +webhook .*invalid`).FindAllStringSubmatch(deadletters("list"), -1)
		return len(rows) == 3
	})
	s.far.refuseWith(0)
	deadletters("replay", rows[0][1])
	await(t, "what was replayed", func() bool {
		_, ok := s.far.find(func(e farEvent) bool { return e.Message.Text == "answer 0" })
		return ok
	})
	deadletters("discard", "--all", "--export", filepath.Join(t.TempDir(), "kept.ndjson"))
	m.ends("LpbridgeDeadLetters")
	p.terminate()
}

func TestRunbookRequestsRefused(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	m := watched(t, p)
	m.quiet("LpbridgeRequestsRefused")
	body := message("a", "a1", "hello")
	wrong := signed(t, body)
	wrong.Set("webhook-signature", "v1,bm90IHRoZSBzaWduYXR1cmU=")
	if a := do(t, http.MethodPost, p.public+"/channels/webhook", wrong, body); a.status != http.StatusUnauthorized {
		t.Fatalf("answered %d", a.status)
	}
	m.fires("LpbridgeRequestsRefused")
	if line := p.awaitLine("requests are refused"); line["channel"] != "webhook" || line["reason"] != "unauthorized" {
		t.Errorf("logged %v", line)
	}
	if seen := p.status(t).Refusals; len(seen) != 1 || seen[0].Channel != "webhook" || seen[0].Detail == "" {
		t.Errorf("the console shows %+v", seen)
	}
	s.post(p, body)
	m.ends("LpbridgeRequestsRefused")
	p.terminate()
}

func TestRunbookGuessedTokens(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	path := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(path, []byte(adminToken), 0o600); err != nil {
		t.Fatal(err)
	}
	p := s.run(map[string]string{"LPBRIDGE_ADMIN_TOKEN_FILE": path, "LPBRIDGE_METRICS_TOKEN": metricsToken})
	m := &monitor{t: t, rules: alertRules(t), token: metricsToken}
	m.follow(p)
	m.quiet("LpbridgeGuessedTokens")
	ask := func(token string) int {
		return do(t, http.MethodGet, p.admin+"/status", http.Header{"Authorization": {"Bearer " + token}}, "").status
	}
	for status := 0; status != http.StatusTooManyRequests; {
		if status = ask("guess"); status != http.StatusUnauthorized && status != http.StatusTooManyRequests {
			t.Fatalf("a guess was answered %d", status)
		}
	}
	// The monitor is of the same address: it has a token and must be let in all the same.
	m.fires("LpbridgeGuessedTokens")
	await(t, "a line of the admin listener", func() bool {
		return regexp.MustCompile(`"requests are refused","channel":"admin","reason":"too_many"`).MatchString(p.stderr.String())
	})
	if err := os.WriteFile(path, []byte("Ym9uLW9wZXJhdG9yLW9mLXRoZS10ZXN0"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGHUP)
	p.awaitLine("tokens of the admin listener replaced")
	m.ends("LpbridgeGuessedTokens")
	p.terminate()
}
