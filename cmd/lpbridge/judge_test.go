package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestDeadLettersAreJudged: what an operator needs to decide is there, what it
// says is shown to who asks and that is logged, and it is kept before it goes.
func TestDeadLettersAreJudged(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p, admin, deadletters := s.deadLetters("private answer %d")
	await(t, "three dead letters", func() bool { return p.status(t).Journal.DeadLetters == 3 })
	const private = "private answer"
	seq := regexp.MustCompile(`(?m)^(\d+) +webhook`).FindStringSubmatch(deadletters("list"))[1]
	shown := deadletters("show", seq)
	for _, want := range []string{
		`(?m)^why +the channel webhook will not take it`, `(?m)^answer +.*410`, `(?m)^thread +a$`, `(?m)^event +\S+`, `(?m)^attempts +1$`, `(?m)^died +20`,
	} {
		if !regexp.MustCompile(want).MatchString(shown) {
			t.Errorf("show says nothing like %s:\n%s", want, shown)
		}
	}
	if strings.Contains(shown, private) || strings.Contains(deadletters("list"), private) || strings.Contains(deadletters("export"), private) {
		t.Error("what it says is shown to who did not ask")
	}
	if p.line("an operator read a dead letter") != nil {
		t.Error("the log says that somebody read what nobody did")
	}
	if got := deadletters("show", "--content", seq); !strings.Contains(got, private+" 0") {
		t.Errorf("asked for its content: %s", got)
	}
	if line := p.awaitLine("an operator read a dead letter"); line["level"] != "WARN" || fmt.Sprint(line["seq"]) != seq {
		t.Errorf("logged %v", line)
	}
	died := p.awaitLine("dead letter")
	if died["thread"] != "a" || died["event"] == "" || died["outcome"] != "invalid" {
		t.Errorf("logged %v", died)
	}
	if delivery := p.line("delivery"); delivery["thread"] != "a" || delivery["event"] == "" || delivery["next"] != nil {
		t.Errorf("logged %v", delivery)
	}
	kept := filepath.Join(t.TempDir(), "kept.ndjson")
	if got := deadletters("discard", seq, "--export", kept); !strings.HasPrefix(got, "discard: 1, kept in ") {
		t.Errorf("discard said %q", got)
	}
	if got := outcome(t, admin, "deadletters", "discard", "--all", "--export", kept); got.code != exitFailed || !strings.Contains(got.stderr, "nothing was discarded") {
		t.Errorf("a file that is there: exit code %d: %s", got.code, got.stderr)
	}
	all := kept + ".all"
	if got := deadletters("discard", "--all", "--export", all); !strings.HasPrefix(got, "discard: 2, kept in ") {
		t.Errorf("discard of all said %q", got)
	}
	for path, want := range map[string]int{kept: 1, all: 2} {
		text, err := os.ReadFile(path)
		if err != nil || strings.Count(string(text), private) != want || strings.Count(string(text), "\n") != want {
			t.Errorf("%s holds %s, %v", path, text, err)
		}
	}
	metrics := get(t, p.admin+"/metrics").body
	for _, want := range []string{
		`lpbridge_dead_letters 0`, `lpbridge_dead_letters_total{channel="webhook",direction="to_channel",outcome="invalid"} 3`,
		`lpbridge_dead_letter_actions_total{action="discard"} 3`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	checkMetricNames(t, metrics)
	p.terminate()
	if strings.Contains(p.stderr.String(), private) {
		t.Error("the log has what an agent wrote")
	}
}
