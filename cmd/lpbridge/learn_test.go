package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"lpbridge/connector/lpsim"
)

// TestCheckLearns: what an account answers becomes a file that turns the simulator into it.
func TestCheckLearns(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	if err := s.sim.SetFaults(lpsim.Faults{UnknownConversation: "not_found", BearerPrefix: "accept", TTRNames: "any"}); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "learnt.json")
	code, said := command(t, s.with(nil), "check", "--learn", "--report", file)
	if code != exitOK {
		t.Fatalf("exit code %d: %s", code, said)
	}
	before, after, found := strings.Cut(said, "come into the account's queue")
	if !found || !strings.Contains(before, "learning from account sandbox") || !strings.Contains(after, "learnt unknownConversation") {
		t.Errorf("it does not say beforehand what an agent will see:\n%s", said)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var report struct{ Faults json.RawMessage }
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	learnt, err := lpsim.ParseFaults(report.Faults)
	if err != nil {
		t.Fatalf("the simulator does not take the report: %v", err)
	}
	if learnt.UnknownConversation != "not_found" || learnt.BearerPrefix != "accept" || learnt.TTRNames != "any" {
		t.Errorf("learnt %+v", learnt)
	}
}

func TestNothingIsLearntUnasked(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	if code, said := command(t, s.with(nil), "check"); code != exitOK {
		t.Errorf("exit code %d: %s", code, said)
	}
	if n := len(s.sim.Conversations()); n != 0 {
		t.Errorf("%d conversations of a check that was not asked to learn", n)
	}
	if code, said := command(t, s.with(nil), "check", "--report", "x"); code != exitConfig || !strings.Contains(said, "--learn") {
		t.Errorf("--report alone: exit code %d, %s", code, said)
	}
}

// command runs one that ends by itself, and returns what it said.
func command(t *testing.T, settings map[string]string, args ...string) (code int, said string) {
	t.Helper()
	var out bytes.Buffer
	code = execute(t.Context(), args, environment{lookup: envconfig.MapLookuper(settings), stdout: &out, stderr: &out})
	return code, out.String()
}
