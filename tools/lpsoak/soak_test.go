package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"lpbridge/connector/lpsim"
)

// TestSmallSoak is the soak at a size that fits among tests, with the same
// faults and with kills. Nothing that was planted in it is in what was written.
func TestSmallSoak(t *testing.T) {
	t.Parallel()
	var out, log bytes.Buffer
	dir := t.TempDir()
	code := execute(t.Context(), []string{
		"-threads=10", "-messages=200", "-kills=2", "-closes=1", "-during=4s", "-echo-wait=5s", "-drain=1m", "-keep=" + dir,
	}, &out, &log)
	if code != exitKept {
		t.Errorf("exit code %d\n%s%s", code, out.String(), log.String())
	}
	checkNothingPlanted(t, dir, out.String()+log.String())
}

// checkNothingPlanted looks for secrets and texts of the soak in the logs of the processes
// and in what it said itself.
func checkNothingPlanted(t *testing.T, dir, said string) {
	t.Helper()
	written, err := filepath.Glob(filepath.Join(dir, "*.log"))
	if err != nil || len(written) == 0 {
		t.Fatalf("no logs were written: %v", err)
	}
	planted := regexp.MustCompile(`sandbox-secret|whsec_|YSBzZWNyZXQgb2YgdGhlIHNvYWs|eyJ[\w-]{8,}\.|message \d+ of consumer-|answer \d+ to consumer-|` + regexp.QuoteMeta(consumerKey))
	if found := planted.FindString(said); found != "" {
		t.Errorf("the soak said what was planted: %s", found)
	}
	for _, file := range written {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(text, []byte(`"msg":"delivery"`)) {
			t.Errorf("%s says too little for this to mean anything", file)
		}
		if found := planted.Find(text); found != nil {
			t.Errorf("%s has what was planted: %s", file, found)
		}
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
	if !strings.Contains(out.String(), "answer lost and echo withheld") {
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
	written := map[position]int{first: 0, second: 1}
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
			f.checkOrder("someone", shown, written, tc.taken)
			if broken := len(f.violations) > 0; broken != tc.broken {
				t.Errorf("broken %t, want %t: %v", broken, tc.broken, f.violations)
			}
		})
	}
	t.Run("put into the order of writing", func(t *testing.T) {
		var f findings
		f.checkOrder("someone", []arrival{shown[1], shown[0]}, written, map[position]promise{first: {at(2), at(3)}, second: {at(0), at(1)}})
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
		{"outages that end before they begin", []string{"-outage-min=2m", "-outage-max=1m"}, "-outage-max"},
		{"outages that grow", []string{"-scale=0.5"}, "-scale"},
		{"no end of outages", []string{"-outages=1000"}, "-outages"},
		{"no runs", []string{"-runs=0"}, "-runs"},
		{"unknown store", []string{"-store=mysql"}, "-store"},
		{"replicas on SQLite", []string{"-replicas=2"}, "-replicas"},
		{"too many replicas", []string{"-store=postgres", "-replicas=9"}, "-replicas"},
		{"unknown blow", []string{"-store=postgres", "-blows=flood"}, "kill owner"},
		{"no standby to kill", []string{"-store=postgres", "-blows=kill standby"}, "-blows"},
		{"absence of a day", []string{"-absence=24h"}, "-absence"},
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

// TestRunsHaveSeedsOfTheirOwn: each of several runs has the next seed, with the outages and faults of it, and
// a directory of its own.
func TestRunsHaveSeedsOfTheirOwn(t *testing.T) {
	args := []string{"-runs=2", "-seed=7", "-keep=/k", "-harsh"}
	o, err := parse(args, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	first, err := o.run(args, 0)
	if err != nil {
		t.Fatal(err)
	}
	second, err := o.run(args, 1)
	if err != nil {
		t.Fatal(err)
	}
	if second.seed != 8 || second.faults.Seed != 8 || second.keep != filepath.Join("/k", "seed-8") || slices.Equal(first.faults.Outages, second.faults.Outages) {
		t.Errorf("the second run has seed %d and %d, keeps in %s, and has the outages %v after %v", second.seed, second.faults.Seed, second.keep, second.faults.Outages, first.faults.Outages)
	}
}

// TestHarshIsOneFlag: what it sets gives way to flags of their own, and the
// outages fit into the traffic.
func TestHarshIsOneFlag(t *testing.T) {
	for _, tc := range []struct {
		name    string
		args    []string
		kills   int
		during  time.Duration
		longest time.Duration
	}{
		{"alone", []string{"-harsh"}, 30, 4 * time.Minute, 10 * time.Minute},
		{"scaled", []string{"-harsh", "-scale=20"}, 30, 40 * time.Second, 30 * time.Second},
		{"fewer kills", []string{"-harsh", "-scale=20", "-kills=3"}, 3, 40 * time.Second, 30 * time.Second},
		{"longer", []string{"-during=20m", "-harsh", "-scale=20"}, 30, 20 * time.Minute, 30 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, err := parse(tc.args, t.Output())
			if err != nil {
				t.Fatal(err)
			}
			if o.kills != tc.kills || o.faults.LostAnswerRate[lpsim.ConversationAPI] != 0.3 || o.faults.AppliedErrorRate[lpsim.SendAPI] != 0.05 ||
				o.faults.WebhookDelayMaxMs != 10_000 || len(o.faults.Outages) != harshOutages {
				t.Errorf("got %+v", o)
			}
			if o.during < tc.during {
				t.Errorf("traffic of %s, want at least %s", o.during, tc.during)
			}
			end := time.Duration(0)
			for _, w := range o.faults.Outages {
				at, length := time.Duration(w.AfterMs)*time.Millisecond, time.Duration(w.ForMs)*time.Millisecond
				if at <= end || length > tc.longest || length < tc.longest/10-time.Millisecond {
					t.Errorf("an outage of %s at %s, the one before ended at %s", length, at, end)
				}
				end = at + length
			}
			if end >= o.during {
				t.Errorf("the last outage ends at %s, the traffic at %s", end, o.during)
			}
		})
	}
}

func TestOutOfOrder(t *testing.T) {
	for _, tc := range []struct {
		name      string
		want, got []string
		broken    bool
	}{
		{"equal", []string{"a", "b"}, []string{"a", "b"}, false},
		{"missing is something else", []string{"a", "b", "c"}, []string{"a", "c"}, false},
		{"so is twice", []string{"a", "b"}, []string{"a", "a", "b"}, false},
		{"twice, the second one late", []string{"a", "b"}, []string{"a", "b", "a"}, false},
		{"other way round", []string{"a", "b"}, []string{"b", "a"}, true},
		{"and one missing", []string{"a", "b", "c"}, []string{"c", "a"}, true},
		{"same words", []string{"ok", "a", "ok"}, []string{"ok", "ok", "a"}, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := outOfOrder(tc.want, tc.got); got != tc.broken {
				t.Errorf("out of order: %t, want %t", got, tc.broken)
			}
		})
	}
}

// TestTally: every way in which a consumer's message can go wrong is counted as
// what it is.
func TestTally(t *testing.T) {
	at := func(s int) time.Time { return time.Unix(int64(s), 0) }
	first, second := position{"d", 1}, position{"d", 2}
	for _, tc := range []struct {
		name   string
		said   []string
		got    []told
		k      knowledge
		want   tally
		broken bool
	}{
		{"all is well", []string{"a"}, []told{{"a", first, at(0)}}, knowledge{map[position]time.Time{}, 35 * time.Second}, tally{}, false},
		{"lost", []string{"a"}, nil, knowledge{map[position]time.Time{}, 35 * time.Second}, tally{lost: 1}, true},
		{"out of order", []string{"a", "b"}, []told{{"b", first, at(0)}, {"a", second, at(1)}}, knowledge{map[position]time.Time{}, 35 * time.Second}, tally{reordered: 1}, true},
		{
			"twice although the echo came", []string{"a"}, []told{{"a", first, at(0)}, {"a", second, at(60)}},
			knowledge{map[position]time.Time{first: at(1)}, 35 * time.Second}, tally{twice: 1}, true,
		},
		{
			"twice without waiting for the echo", []string{"a"}, []told{{"a", first, at(0)}, {"a", second, at(20)}},
			knowledge{map[position]time.Time{}, 35 * time.Second}, tally{twice: 1}, true,
		},
		{
			"twice, the echo withheld", []string{"a"}, []told{{"a", first, at(0)}, {"a", second, at(60)}},
			knowledge{map[position]time.Time{first: at(61)}, 35 * time.Second}, tally{withheld: 1}, false,
		},
		{
			"twice, the echo came while the copy was on its way", []string{"a"}, []told{{"a", first, at(0)}, {"a", second, at(38)}},
			knowledge{map[position]time.Time{first: at(36)}, 35 * time.Second}, tally{withheld: 1}, false,
		},
		{
			"of same words the first one twice, its echo withheld", []string{"a", "a"},
			[]told{{"a", first, at(0)}, {"a", second, at(20)}, {"a", position{"d", 3}, at(60)}},
			knowledge{map[position]time.Time{second: at(21)}, 35 * time.Second}, tally{withheld: 1}, false,
		},
		{
			"of same words two twice, the echo of one withheld", []string{"a"},
			[]told{{"a", first, at(0)}, {"a", second, at(60)}, {"a", position{"d", 3}, at(70)}},
			knowledge{map[position]time.Time{second: at(61)}, 35 * time.Second}, tally{withheld: 1, twice: 1}, true,
		},
		{
			"twice without notifications", []string{"a"}, []told{{"a", first, at(0)}, {"a", second, at(1)}},
			knowledge{}, tally{withheld: 1}, false,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var f findings
			c := lpsim.Conversation{}
			for _, m := range tc.got {
				c.Transcript = append(c.Transcript, lpsim.Entry{
					Type: "ContentEvent", Role: lpsim.RoleConsumer, Text: m.text, DialogID: m.position.dialog, Sequence: m.position.sequence, Time: m.at,
				})
			}
			f.checkConsumer(&consumer{thread: "t", said: tc.said}, []lpsim.Conversation{c}, tc.k)
			if f.tally != tc.want || (len(f.violations) > 0) != tc.broken {
				t.Errorf("tally %+v, want %+v; broken: %v", f.tally, tc.want, f.violations)
			}
		})
	}
}

// A message that lpbridge was asked to keep before it was killed may be in the journal
// since then, whenever its repetition is answered.
func TestPromiseBeginsWithTheFirstRequest(t *testing.T) {
	p := newProxy(nil, nil, nil)
	messages := messagesIn([]byte(`{"kind":"notification","type":"ms.MessagingEventNotification","body":{"changes":[{"dialogId":"d","sequence":7,"originatorId":"x",` +
		`"originatorMetadata":{"id":"x","role":"ASSIGNED_AGENT"},"event":{"type":"ContentEvent","contentType":"text/plain","message":"hello"}}]}}`))
	p.ask(messages)
	killed := time.Now()
	p.ask(messages)
	given := time.Now().Add(time.Second)
	p.note(messages, given)
	if made := p.taken[position{"d", 7}]; made.asked.IsZero() || made.asked.After(killed) || !made.given.Equal(given) {
		t.Errorf("the promise is %+v, asked for before %v and given at %v", made, killed, given)
	}
}

// An agent's composing that reached lpbridge late, after a kill or behind its own end,
// stands for a minute from then on: it bears no time.
func TestTypingMayBeShownAMinuteAfterItWasHeardOf(t *testing.T) {
	p := newProxy(nil, nil, nil)
	began := time.Now()
	quiet := began.Add(-10 * time.Minute)
	if end := typingMustEnd(began, quiet, p.heardTyping()); !end.Equal(began.Add(3 * typingHold)) {
		t.Errorf("typing must end %v after the beginning although nobody typed", end.Sub(began))
	}
	for _, role := range []string{lpsim.RoleConsumer, "ASSIGNED_AGENT"} {
		p.note(messagesIn([]byte(`{"kind":"notification","type":"ms.MessagingEventNotification","body":{"changes":[{"dialogId":"d","originatorId":"x",`+
			`"originatorMetadata":{"id":"x","role":"`+role+`"},"event":{"type":"ChatStateEvent","chatState":"COMPOSING"}}]}}`)), began.Add(time.Second))
		want := began.Add(3 * typingHold)
		if role != lpsim.RoleConsumer {
			want = began.Add(time.Second + typingEnd)
		}
		if end := typingMustEnd(began, quiet, p.heardTyping()); !end.Equal(want) {
			t.Errorf("typing of %s must end %v after the beginning, want %v", role, end.Sub(began), want.Sub(began))
		}
	}
}
