package main

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"lpbridge/connector/lpsim"
)

// TestDeadLetters lists, replays and discards from the command line.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p, admin, deadletters := s.deadLetters("answer %d")
	var rows [][]string
	await(t, "three dead letters", func() bool {
		rows = regexp.MustCompile(`(?m)^(\d+) +webhook +to_channel +message +a +invalid +1 `).FindAllStringSubmatch(deadletters("list"), -1)
		return len(rows) == 3
	})
	s.far.refuseWith(0)
	if got := deadletters("replay", rows[1][1]); got != "replay: "+rows[1][1]+"\n" {
		t.Errorf("replay said %q", got)
	}
	await(t, "the replayed message", func() bool {
		_, ok := s.far.find(func(e farEvent) bool { return e.Message.Text == "answer 1" })
		return ok
	})
	if got := deadletters("discard", rows[0][1]); got != "discard: "+rows[0][1]+"\n" {
		t.Errorf("discard said %q", got)
	}
	if got := deadletters("--channel", "webhook", "replay", "--all"); got != "replay: 1\n" {
		t.Errorf("replay of all said %q", got)
	}
	await(t, "the last message", func() bool {
		_, ok := s.far.find(func(e farEvent) bool { return e.Message.Text == "answer 2" })
		return ok
	})
	if got := deadletters("list"); strings.Count(got, "\n") != 1 {
		t.Errorf("what is left: %s", got)
	}
	if got := outcome(t, admin, "deadletters", "replay", "999999"); got.code != exitFailed || got.stderr == "" {
		t.Errorf("replay of none: exit code %d: %s", got.code, got.stderr)
	}
	if _, ok := s.far.find(func(e farEvent) bool { return e.Message.Text == "answer 0" }); ok {
		t.Error("what was discarded was delivered")
	}
	p.terminate()
	if got := outcome(t, admin, "deadletters", "list"); got.code != exitFailed || !strings.Contains(got.stderr, "refused") {
		t.Errorf("without a bridge: exit code %d: %s", got.code, got.stderr)
	}
}

// TestResume: LivePerson asked to be left alone for minutes, and an operator knows
// that it is well.
func TestResume(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	admin := map[string]string{"LPBRIDGE_ADMIN_LISTEN": strings.TrimPrefix(p.admin, "http://")}
	s.post(p, message("a", "a1", "one"))
	s.awaitTexts("a", "one")
	if err := s.sim.SetFaults(lpsim.Faults{ThrottleRate: lpsim.Everywhere(1), RetryAfterSeconds: 280}); err != nil {
		t.Fatal(err)
	}
	s.post(p, message("a", "a2", "two"))
	await(t, "LivePerson to be left alone", func() bool { return strings.Contains(get(t, p.admin+"/status").body, `"state":"throttled"`) })
	if err := s.sim.SetFaults(lpsim.Faults{}); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args   []string
		code   int
		stdout string
		stderr string
	}{
		{[]string{"resume"}, exitConfig, "", "liveperson"},
		{[]string{"resume", "nobody"}, exitFailed, "", "no far side"},
		{[]string{"resume", "liveperson", "webhook"}, exitOK, "resume: liveperson\nresume: webhook\n", ""},
	} {
		if got := outcome(t, admin, test.args...); got.code != test.code || got.stdout != test.stdout || !strings.Contains(got.stderr, test.stderr) {
			t.Errorf("%v: exit code %d, said %q and %q", test.args, got.code, got.stdout, got.stderr)
		}
	}
	s.awaitTexts("a", "one", "two")
	p.terminate()
}

// TestSecretsFromFiles: both sides believe a bridge whose secrets are in files,
// as editors and orchestrators write them.
func TestSecretsFromFiles(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	dir := t.TempDir()
	changes := map[string]string{"LP_CLIENT_SECRET": "sandbox-secret\n", "WEBHOOK_SECRET": channelSecret + "\r\n"}
	for name, text := range maps.Clone(changes) {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		changes[name], changes[name+"_FILE"] = "", path
	}
	p := s.run(changes)
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	if _, err := s.sim.AgentMessage(s.conversations("a")[0].ConversationID, lpsim.AgentMessage{Text: "good day"}); err != nil {
		t.Fatal(err)
	}
	await(t, "the agent's message", func() bool {
		e, ok := s.far.find(func(e farEvent) bool { return e.Message.Text == "good day" })
		return ok && e.signed
	})
	p.terminate()
}

// TestFullJournal: what cannot be kept is not answered for.
func TestFullJournal(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(map[string]string{"LPBRIDGE_MAX_PENDING": "2"})
	s.away(t, true)
	s.post(p, message("a", "a1", "one"))
	s.post(p, message("a", "a2", "two"))
	body := message("a", "a3", "three")
	a := do(t, http.MethodPost, p.public+"/channels/webhook", signed(t, body), body)
	if a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("a full journal answered %d, Retry-After %q: %s", a.status, a.header.Get("Retry-After"), a.body)
	}
	a.problem(t)
	s.away(t, false)
	await(t, "room in the journal", func() bool {
		a, err := try(http.MethodPost, p.public+"/channels/webhook", signed(t, body), body)
		return err == nil && a.status == http.StatusOK
	})
	s.awaitTexts("a", "one", "two", "three")
	p.terminate()
}

// TestDefaultsAndWarnings: the default store is made where the process runs,
// for its owner only, and misspelt variables are named.
func TestDefaultsAndWarnings(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(map[string]string{
		"LPBRIDGE_STORE": "", "LP_ACOUNT_ID": "7", "LPSIM_LISTEN": "x", "LPBRIDGE_SERVICE_HOST": "10.0.0.1",
	})
	warning := p.awaitLine("a variable has no effect")
	if warning["variable"] != "LP_ACOUNT_ID" || warning["level"] != "WARN" || !strings.Contains(fmt.Sprint(warning["reason"]), "did you mean LP_ACCOUNT_ID?") {
		t.Errorf("warning %v", warning)
	}
	if n := strings.Count(p.stderr.String(), "a variable has no effect"); n != 1 {
		t.Errorf("%d warnings", n)
	}
	for path, mode := range map[string]os.FileMode{"data": 0o700, "data/lpbridge.db": 0o600, "data/lpbridge.db-wal": 0o600} {
		info, err := os.Stat(filepath.Join(p.cmd.Dir, path))
		if err != nil {
			t.Error(err)
		} else if info.Mode().Perm() != mode {
			t.Errorf("%s has mode %v, want %v", path, info.Mode().Perm(), mode)
		}
	}
	p.signal(os.Interrupt)
	if code := p.exit(); code != exitOK {
		t.Errorf("exit code %d after SIGINT", code)
	}
}

// TestStopWithADribblingClient: a request that never ends takes no time from
// deliveries that might, and the stop keeps to its budget although neither ends.
func TestStopWithADribblingClient(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(map[string]string{"LPBRIDGE_SHUTDOWN_TIMEOUT": "8s"})
	s.wire.hold("stuck")
	s.post(p, message("a", "a1", "stuck"))
	await(t, "the SEND", func() bool { return s.wire.waiting() == 1 })
	conn, err := net.Dial("tcp", strings.TrimPrefix(p.public, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := fmt.Fprint(conn, "POST /channels/webhook HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	// The interim answer says that the handler reads the body.
	if _, err := conn.Read(make([]byte, 25)); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitFailed {
		t.Errorf("exit code %d, want %d", code, exitFailed)
	}
	for _, want := range []string{"connections were cut", "stop: deliveries were cut off"} {
		if !strings.Contains(p.stderr.String(), want) {
			t.Errorf("the process did not say %q", want)
		}
	}
}

// TestStopWhileLivePersonIsAway: typing cannot be ended there, which must not
// keep the process; the next one does it.
func TestStopWhileLivePersonIsAway(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(map[string]string{"LPBRIDGE_SHUTDOWN_TIMEOUT": "4s"})
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	s.post(p, typing("a", "composing"))
	s.agentSeesTyping("a", true)
	s.away(t, true)
	s.post(p, message("a", "a2", "kept"))
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
	s.agentSeesTyping("a", true)
	s.away(t, false)
	p = s.run(nil)
	s.agentSeesTyping("a", false)
	s.awaitTexts("a", "hello", "kept")
	p.terminate()
}

// deadLetters runs a bridge to whose channel three messages of an agent are lost
// for good, each a dead letter by its time. It returns the bridge, the environment
// of its operator, and what a subcommand of deadletters prints.
func (s *stage) deadLetters(text string) (p *process, admin map[string]string, deadletters func(args ...string) string) {
	s.t.Helper()
	p = s.run(nil)
	admin = map[string]string{"LPBRIDGE_ADMIN_LISTEN": strings.TrimPrefix(p.admin, "http://")}
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	s.far.refuseWith(http.StatusGone)
	for n := range 3 {
		if _, err := s.sim.AgentMessage(s.conversations("a")[0].ConversationID, lpsim.AgentMessage{Text: fmt.Sprintf(text, n)}); err != nil {
			s.t.Fatal(err)
		}
	}
	return p, admin, func(args ...string) string {
		s.t.Helper()
		got := outcome(s.t, admin, append([]string{"deadletters"}, args...)...)
		if got.code != exitOK || got.stderr != "" {
			s.t.Fatalf("deadletters %v: exit code %d: %s", args, got.code, got.stderr)
		}
		return got.stdout
	}
}
