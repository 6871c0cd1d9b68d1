//go:build unix

package main

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"lpbridge/connector/lpsim"
	"lpbridge/internal/pgcluster"
)

// TestMigrateStore moves the journal of a bridge that was killed, with one message in doubt, one that waits and one that is
// dead, to PostgreSQL, and back to a file: everything arrives once and in order, what came before is still known, and
// the dead letter is one still.
func TestMigrateStore(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	address := pgcluster.ForTest(t).URL("postgres", "postgres")
	file, second := s.settings["LPBRIDGE_STORE"], "sqlite:"+filepath.Join(t.TempDir(), "second.db")
	p := s.run(nil)
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	s.far.refuseWith(http.StatusGone)
	if _, err := s.sim.AgentMessage(s.conversations("a")[0].ConversationID, lpsim.AgentMessage{Text: "nobody takes this"}); err != nil {
		t.Fatal(err)
	}
	await(t, "the dead letter", func() bool { return p.status(t).Journal.DeadLetters == 1 })
	s.awaitSettled(p)
	s.far.refuseWith(0)
	s.ingress.Store(nil)
	if err := s.sim.SetFaults(lpsim.Faults{LatencyMinMs: 600_000}); err != nil {
		t.Fatal(err)
	}
	s.post(p, message("a", "a2", "arrived, unanswered"))
	s.post(p, message("a", "a3", "waits behind"))
	s.awaitTexts("a", "hello", "arrived, unanswered")
	if got := outcome(t, s.with(nil), "migrate-store", "--to", address); got.code != exitFailed || !strings.Contains(got.stderr, "stop it first") {
		t.Errorf("beside a running bridge: exit code %d: %s", got.code, got.stderr)
	}
	p.kill()
	printed := shell(t, s.with(nil), t.TempDir(), pagesLines(t, "docs/operations.md", "TestMigrateStore", "postgres://lpbridge@db.example:5432/lpbridge?sslmode=verify-full", address))
	if !transferred.MatchString(printed) {
		t.Errorf("printed %s", printed)
	}
	if err := s.sim.SetFaults(lpsim.Faults{}); err != nil {
		t.Fatal(err)
	}

	// Without the echo what is in doubt would wait much longer than this test does.
	s.settings["LPBRIDGE_ECHO_WAIT"] = "10m"
	s.settings["LPBRIDGE_STORE"] = address
	p = s.run(nil)
	s.awaitTexts("a", "hello", "arrived, unanswered", "waits behind")
	s.knows(p, "hello", "arrived, unanswered", "waits behind")
	s.post(p, message("a", "a4", "on PostgreSQL"))
	s.awaitTexts("a", "hello", "arrived, unanswered", "waits behind", "on PostgreSQL")
	s.awaitSettled(p)
	if got := outcome(t, s.with(nil), "migrate-store", "--to", second); got.code != exitFailed || !strings.Contains(got.stderr, "stop every lpbridge that uses this database") {
		t.Errorf("beside a running bridge: exit code %d: %s", got.code, got.stderr)
	}
	p.terminate()
	if got := outcome(t, s.with(nil), "migrate-store", "--from", file); got.code != exitFailed || !strings.Contains(got.stderr, "the target holds a journal already") {
		t.Errorf("over another journal: exit code %d: %s", got.code, got.stderr)
	}
	s.migrated("--to", second)

	s.settings["LPBRIDGE_STORE"] = second
	p = s.run(nil)
	s.post(p, message("a", "a4", "on PostgreSQL"))
	s.knows(p, "hello", "arrived, unanswered", "waits behind", "on PostgreSQL")
	s.post(p, message("a", "a5", "back"))
	s.awaitTexts("a", "hello", "arrived, unanswered", "waits behind", "on PostgreSQL", "back")
	p.terminate()
}

// transferred is what the command says when it succeeded.
var transferred = regexp.MustCompile(`(?m)^events +\d+ +[0-9a-f]{32}$(.|\n)*^\d+ rows of 18 tables are the same in \S+ and in \S+\. Start lpbridge with the second`)

// migrated runs the command, which must succeed and say so.
func (s *stage) migrated(args ...string) {
	s.t.Helper()
	got := outcome(s.t, s.with(nil), append([]string{"migrate-store"}, args...)...)
	if got.code != exitOK || !transferred.MatchString(got.stdout) || strings.Contains(got.stdout+got.stderr, "cluster-password") {
		s.t.Fatalf("exit code %d: %s", got.code, got.stdout+got.stderr)
	}
}

// knows wants a bridge to know what came before another had the journal: nothing waits, the events are no news, and the dead
// letter is there.
func (s *stage) knows(p *process, texts ...string) {
	s.t.Helper()
	s.post(p, message("a", "a1", "hello"))
	s.post(p, message("a", "a2", "arrived, unanswered"))
	s.awaitSettled(p)
	s.awaitTexts("a", texts...)
	if n := p.status(s.t).Journal.DeadLetters; n != 1 {
		s.t.Errorf("%d dead letters, want 1", n)
	}
}

// TestMigrateStoreArguments: what cannot be meant is refused before any store is touched, and never with a password.
func TestMigrateStoreArguments(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	for _, of := range []struct {
		args []string
		want string
		code int
	}{
		{nil, "migrate-store takes --from, --to, or both", exitConfig},
		{[]string{"--to", "mysql://x"}, "--to must be sqlite:PATH or postgres://USER@HOST/DATABASE", exitConfig},
		{[]string{"--from", "postgres://u:some-password@/x"}, "--from must name a host", exitConfig},
		{[]string{"--to", "sqlite:other.db"}, "one store must be a file", exitFailed},
		{[]string{"--to", "postgres://u@127.0.0.1:1/x"}, "there is no journal: stat ", exitFailed},
		{[]string{"somewhere"}, "migrate-store takes none", exitConfig},
	} {
		got := outcome(t, s.with(nil), append([]string{"migrate-store"}, of.args...)...)
		if got.code != of.code || !strings.Contains(got.stderr, of.want) || got.stdout != "" || strings.Contains(got.stderr, "some-password") {
			t.Errorf("%q: exit code %d: %s, want %d: %s", of.args, got.code, got.stdout+got.stderr, of.code, of.want)
		}
	}
	if got := outcome(t, s.with(nil), "help", "migrate-store"); got.code != exitOK || !strings.Contains(got.stdout, "LPBRIDGE_STORE_PASSWORD") {
		t.Errorf("help: exit code %d: %s", got.code, got.stdout+got.stderr)
	}
}
