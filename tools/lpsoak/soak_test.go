package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSmallSoak is the soak at a size that fits among tests, with the same
// faults and with kills.
func TestSmallSoak(t *testing.T) {
	t.Parallel()
	var out, log bytes.Buffer
	code := execute(t.Context(), []string{
		"-threads=10", "-messages=200", "-kills=2", "-closes=1", "-during=4s", "-echo-wait=5s", "-drain=1m", "-keep=" + t.TempDir(),
	}, &out, &log)
	if code != exitKept {
		t.Errorf("exit code %d\n%s%s", code, out.String(), log.String())
	}
}

// TestWithoutNotifications is the mode of at least once: nothing may be missing
// or out of order, and what is there twice is counted.
func TestWithoutNotifications(t *testing.T) {
	t.Parallel()
	var out, log bytes.Buffer
	code := execute(t.Context(), []string{
		"-threads=5", "-messages=100", "-kills=1", "-closes=0", "-during=2s", "-no-notifications", "-drain=1m", "-keep=" + t.TempDir(),
		`-faults={"lostAnswerRate":{"send":0.2},"latencyMaxMs":20}`,
	}, &out, &log)
	if code != exitKept {
		t.Errorf("exit code %d\n%s%s", code, out.String(), log.String())
	}
	if !strings.Contains(out.String(), "messages LivePerson has more than once") {
		t.Errorf("repetitions are not counted:\n%s", out.String())
	}
}

func TestOldJournalIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, journalFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var out, log bytes.Buffer
	if code := execute(t.Context(), []string{"-keep=" + dir}, &out, &log); code != exitBroken || !strings.Contains(log.String(), "-keep") {
		t.Errorf("exit code %d, says %q", code, log.String())
	}
}

func TestDifference(t *testing.T) {
	for _, tc := range []struct {
		name      string
		want, got []string
		says      string
	}{
		{name: "equal", want: []string{"a", "b"}, got: []string{"a", "b"}},
		{name: "both empty"},
		{name: "missing", want: []string{"a", "b"}, got: []string{"a"}, says: `"b" is missing 1 times; they part at 1`},
		{name: "all missing", want: []string{"a"}, says: `"a" is missing 1 times; they part at 0`},
		{name: "repeated", want: []string{"a", "b"}, got: []string{"a", "a", "b"}, says: `"a" is there 1 times too often; they part at 1`},
		{name: "same texts", want: []string{"ok", "ok"}, got: []string{"ok", "ok", "ok"}, says: `"ok" is there 1 times too often`},
		{name: "order", want: []string{"a", "b"}, got: []string{"b", "a"}, says: "the order differs; they part at 0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			diff := difference(tc.want, tc.got)
			if tc.says == "" && diff != "" || !strings.Contains(diff, tc.says) {
				t.Errorf("difference says %q, want %q", diff, tc.says)
			}
		})
	}
}

func TestCheckOrder(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	first, second := position{"d", 1}, position{"d", 2}
	shown := []arrival{{id: "d:2", position: second}, {id: "d:1", position: first}}
	for _, tc := range []struct {
		name   string
		taken  map[position]promise
		broken bool
	}{
		{"accepted in order", map[position]promise{first: {at(0), at(1)}, second: {at(2), at(3)}}, true},
		{"accepted together", map[position]promise{first: {at(0), at(3)}, second: {at(1), at(2)}}, false},
		{"accepted the other way round", map[position]promise{first: {at(2), at(3)}, second: {at(0), at(1)}}, false},
		{"acceptance of the first was lost with the process", map[position]promise{second: {at(0), at(1)}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var f findings
			f.checkOrder("someone", shown, tc.taken)
			if broken := len(f.violations) > 0; broken != tc.broken {
				t.Errorf("broken %t, want %t: %v", broken, tc.broken, f.violations)
			}
		})
	}
	t.Run("put into the order of the dialog", func(t *testing.T) {
		var f findings
		f.checkOrder("someone", []arrival{shown[1], shown[0]}, map[position]promise{first: {at(2), at(3)}, second: {at(0), at(1)}})
		if len(f.violations) > 0 {
			t.Errorf("broken: %v", f.violations)
		}
	})
}

func TestFlags(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		says string
	}{
		{"unknown fault", []string{`-faults={"nonsense":1}`}, "nonsense"},
		{"rate out of range", []string{`-faults={"webhookDropRate":2}`}, "webhookDropRate"},
		{"no threads", []string{"-threads=0"}, "-threads"},
		{"fewer messages than threads", []string{"-threads=9", "-messages=8"}, "-messages"},
		{"more closes than threads", []string{"-closes=99"}, "-closes"},
		{"no time", []string{"-during=0s"}, "-during"},
		{"an argument", []string{"now"}, "flags only"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, log bytes.Buffer
			if code := execute(t.Context(), tc.args, &out, &log); code != exitUsage {
				t.Errorf("exit code %d, want %d", code, exitUsage)
			}
			if !strings.Contains(log.String(), tc.says) {
				t.Errorf("says %q, want something of %s", log.String(), tc.says)
			}
		})
	}
}
