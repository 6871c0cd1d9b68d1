package main

import (
	"bytes"
	"maps"
	"strings"
	"testing"
	"time"
)

func TestNumbersAreFoundInWhateverCarriesThem(t *testing.T) {
	event := message(nil, 3, 42, 17)
	for name, body := range map[string][]byte{"event": event, "rewritten": rewrite(event)} {
		if n, ok := messageNumber(body); !ok || n != 42 {
			t.Errorf("%s: message %d, %t", name, n, ok)
		}
		if thread, ok := threadNumber(body); !ok || thread != 17 {
			t.Errorf("%s: thread %d, %t", name, thread, ok)
		}
		if isComposing(body) {
			t.Errorf("%s: a message counts as composing", name)
		}
	}
	typing := rewrite(composing(5))
	if _, ok := messageNumber(typing); ok || !isComposing(typing) {
		t.Errorf("composing is not recognised: %s", typing)
	}
	if _, ok := messageNumber([]byte(mark + "12")); ok {
		t.Error("a number that was cut off counts")
	}
}

func TestTextHasItsLength(t *testing.T) {
	_, text, _ := bytes.Cut(message(nil, 1, 1, 1), []byte(`"text":"`))
	if got := bytes.IndexByte(text, '"'); got != textBytes {
		t.Errorf("the text has %d bytes, want %d", got, textBytes)
	}
}

func TestHeldAgainstTargets(t *testing.T) {
	for _, tc := range []struct {
		name  string
		row   row
		t     target
		ratio float64
		met   bool
	}{
		{"more is better, met", row{Value: 60, Floor: 100}, target{must: 0.6, more: true}, 0.6, true},
		{"more is better, missed", row{Value: 59, Floor: 100}, target{must: 0.6, more: true}, 0.59, false},
		{"less is better, met", row{Value: 3, Floor: 2}, target{must: 1.5}, 1.5, true},
		{"less is better, missed", row{Value: 4, Floor: 2}, target{must: 1.5}, 2, false},
		{"no floor, missed", row{Value: 41}, target{must: 40}, 0, false},
		{"no target", row{Value: 41, Floor: 1}, target{}, 41, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := held(tc.row, tc.t)
			if got.Ratio != tc.ratio || got.Met != tc.met {
				t.Errorf("ratio %g, met %t; want %g, %t", got.Ratio, got.Met, tc.ratio, tc.met)
			}
		})
	}
}

func TestChangesOfTwoBinaries(t *testing.T) {
	r := &run{load: &load{}, found: series{}}
	for range 3 {
		r.found.add("delivered/s", "before", 1000)
		r.found.add("delivered/s", "bridge", 1500)
		r.found.add("CPU per 1000, known threads", "before", 40)
		r.found.add("CPU per 1000, known threads", "bridge", 30)
	}
	r.found.add("cold start", "before", 0)
	r.found.add("cold start", "bridge", 0.03)
	r.found.add("restart, ready", "bridge", 0.03)
	var out strings.Builder
	printChanges(&out, "before", "now", r.changes("before", "bridge"))
	table := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{
		"delivered messages/s, saturated 1000 /s 1500 /s 1.50 more",
		"CPU per 1000, 0 threads 40 ms 30 ms 0.75 less",
		"cold start to ready 0 s 0.03 s less",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, &out)
		}
	}
	if strings.Contains(table, "restart") {
		t.Errorf("the table has what one alone was measured for:\n%s", &out)
	}
}

// TestLoadGoesToAllReplicas: each replica of a system is asked as often as the others.
func TestLoadGoesToAllReplicas(t *testing.T) {
	s := &system{events: "a", standbys: []*system{{events: "b"}, {events: "c"}}}
	asked := map[string]int{}
	for range 30 {
		asked[s.chooseDoor()]++
	}
	if want := map[string]int{"a": 10, "b": 10, "c": 10}; !maps.Equal(asked, want) {
		t.Errorf("asked %v, want %v", asked, want)
	}
}

func TestTicksOf(t *testing.T) {
	used, parent, err := ticksOf("17 (a name) with) S 4 17 17 0 -1 4194560 1 2 3 4 250 50 0 0 20 0")
	if err != nil || parent != 4 || used != 3*time.Second {
		t.Errorf("used %v, parent %d, error %v", used, parent, err)
	}
	if _, _, err := ticksOf("17 (a) S 4"); err == nil {
		t.Error("a line that is too short says nothing")
	}
}

func TestPercentile(t *testing.T) {
	values := []time.Duration{4, 1, 3, 2}
	for p, want := range map[float64]time.Duration{0: 1, 0.5: 3, 0.99: 4, 1: 4} {
		if got := percentile(values, p); got != want {
			t.Errorf("percentile %g is %d, want %d", p, got, want)
		}
	}
	if got := percentile(nil, 0.5); got != 0 {
		t.Errorf("percentile of nothing is %d", got)
	}
}

func TestFlags(t *testing.T) {
	for _, args := range [][]string{{"-threads=0"}, {"-rate=1"}, {"-rounds=99"}, {"-pending=2000000"}, {"-stage=1ms"}, {"-only=sums"}, {"-replicas=9"}, {"now"}} {
		var out, log bytes.Buffer
		if code := execute(t.Context(), args, &out, &log); code != 2 {
			t.Errorf("%s: exit code %d, want 2", strings.Join(args, " "), code)
		}
	}
}

// TestTypingThatHadToWaitIsApart: what LivePerson's second or a message on its way
// holds back says nothing of how quick typing is.
func TestTypingThatHadToWaitIsApart(t *testing.T) {
	due := time.Unix(1000, 0)
	told := func(after time.Duration, composing bool) typingArrival {
		return typingArrival{At: due.Add(after).UnixNano(), Composing: composing}
	}
	for _, tc := range []struct {
		name                string
		through             time.Duration
		told                []typingArrival
		typing, held, typed int
	}{
		{"told at once", -time.Second, []typingArrival{told(-2*time.Second, true), told(time.Millisecond, true)}, 1, 0, 1},
		{"an end was told just before", -time.Second, []typingArrival{told(-100*time.Millisecond, false), told(900*time.Millisecond-1, true)}, 0, 1, 0},
		{"a message is on its way", time.Millisecond, []typingArrival{told(2*time.Millisecond, true)}, 0, 1, 0},
		{"only an end came after it", -time.Second, []typingArrival{told(time.Millisecond, false)}, 0, 0, 1},
		{"it came for another", -time.Second, []typingArrival{told(typingMatch, true)}, 0, 0, 1},
	} {
		var l latencies
		l.addTyping(due, due.Add(tc.through), tc.told)
		if len(l.typing) != tc.typing || len(l.held) != tc.held || l.typed != tc.typed {
			t.Errorf("%s: %d at once of %d, %d held; want %d of %d, %d", tc.name, len(l.typing), l.typed, len(l.held), tc.typing, tc.typed, tc.held)
		}
	}
}
