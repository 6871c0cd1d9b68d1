package scenario

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestShippedScenariosCanBePlayed(t *testing.T) {
	if n := len(Shipped()); n < 10 {
		t.Errorf("%d scenarios are shipped", n)
	}
	for _, name := range Shipped() {
		if _, err := Load(name); err != nil {
			t.Error(err)
		}
	}
}

func TestWhatIsWrongWithAFileIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"steps: [":             "not YAML",
		"steps: []":            "about: say what is tried",
		"about: x":             "steps: there are none",
		"about: x\nstep: []":   "step: is not known",
		"about: x\nwithin: 5x": "within: want a duration such as 30s",
		"about: x\nsteps: [{say: {thread: a, text: b, time: 2}}]":                                 "steps/0/say/time: is not known",
		"about: x\nsteps: [{}]":                                                                   "steps/0: want exactly one thing to happen, not 0",
		"about: x\nsteps: [{pause: 1s, await: said}]":                                             "steps/0: want exactly one thing to happen, not 2",
		"about: x\nsteps: [{say: {text: b}}]":                                                     "steps/0: say: want a thread",
		"about: x\nsteps: [{agent: {thread: a, text: b}}]":                                        `steps/0: thread: nothing was said in "a" before`,
		"about: x\nsteps: [{say: {thread: a, text: b}}, {agent: {thread: a}}]":                    "steps/1: agent: want exactly one of",
		"about: x\nsteps: [{say: {thread: a, text: b}}, {type: {thread: a}}]":                     "steps/1: type/state: want composing",
		"about: x\nsteps: [{channel: sideways}]":                                                  "steps/0: channel: want up or down",
		"about: x\nsteps: [{spoil: {}}]":                                                          "steps/0: spoil: want exactly one of",
		"about: x\nsteps: [{spoil: {status: 500, lost: true}}]":                                   "steps/0: spoil: want exactly one of",
		"about: x\nsteps: [{spoil: {status: 200}}]":                                               "steps/0: spoil/status: want 410",
		"about: x\nsteps: [{spoil: {lost: true, times: -1}}]":                                     "steps/0: spoil/times",
		"about: x\nsteps: [{await: everything}]":                                                  "steps/0: await: want said or written",
		"about: x\nfaults: {errorRate: 2}\nsteps: [{pause: 1s}]":                                  "faults: errorRate",
		"about: x\nfaults: {erorRate: 1}\nsteps: [{pause: 1s}]":                                   "faults/erorRate: is not known",
		"about: x\nsteps: [{faults: {throttleRate: -1}}]":                                         "steps/0: throttleRate",
		"about: x\nsteps: [{say: {thread: a, text: b}}, {agent: {thread: a, chatState: TYPING}}]": "steps/1: agent/chatState: want one of",
	} {
		if _, err := parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := Load("no-such"); err == nil || !strings.Contains(err.Error(), "lost-answers") {
		t.Errorf("a scenario that is none: %v", err)
	}
}

// TestTheReadmesScenarioCanBePlayed: it has every kind of step that is not self-evident.
func TestTheReadmesScenarioCanBePlayed(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(readme), "<!-- scenario -->\n```yaml\n")
	text, _, found := strings.Cut(rest, "```")
	s, err := parse([]byte(text))
	if !found || err != nil || len(s.Steps) != 9 || s.Within != 2*Duration(time.Minute) {
		t.Errorf("%d steps within %v: %v", len(s.Steps), time.Duration(s.Within), err)
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range Shipped() {
		text, err := shipped.ReadFile("shipped/" + name + ".yaml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := parse(text); err == nil && (s.Within <= 0 || len(s.Steps) == 0) {
			t.Errorf("accepted %+v", s)
		}
	})
}
