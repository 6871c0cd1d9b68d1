package lpsim_test

import (
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"lpbridge/connector/lpsim"
)

// demoSession is what LivePerson's published demo app asked of a simulator: its server ran unmodified but for the domain in
// its settings, and its own REST interface was used as its pages use it. Ids and tokens are names in braces.
//
//go:embed testdata/demo-session.json
var demoSession []byte

// demoStep is a call of the demo app, something that the agent did meanwhile, or a notification it needs.
type demoStep struct {
	Method     string            `json:"method"`
	Path       string            `json:"path"`
	Headers    map[string]string `json:"headers"`
	Body       string            `json:"body"`
	BodyBase64 string            `json:"bodyBase64"`
	Status     int               `json:"status"`
	// Keep and KeepHeader name what later steps have in braces, by where it is in the answer.
	Keep       map[string]string `json:"keep"`
	KeepHeader map[string]string `json:"keepHeader"`
	// Reads is where the demo app's server and pages look for something.
	Reads []string `json:"reads"`

	Agent string          `json:"agent"`
	Told  string          `json:"told"`
	Do    json.RawMessage `json:"-"`
}

// UnmarshalJSON reads the body of an agent's step as it is.
func (s *demoStep) UnmarshalJSON(data []byte) error {
	var raw struct {
		Agent string          `json:"agent"`
		Body  json.RawMessage `json:"body"`
	}
	if err := json.Unmarshal(data, &raw); err != nil {
		return err
	}
	type plain demoStep
	if raw.Agent != "" {
		*s = demoStep{Agent: raw.Agent, Do: raw.Body}
		return nil
	}
	return json.Unmarshal(data, (*plain)(s))
}

const demoHook = "http://demo.invalid/notifications/event"

// demo plays the demo app again.
type demo struct {
	w     *world
	hook  *receiver
	known map[string]string
}

// TestLivePersonsDemoApp: the demo app's session goes again as it went, and whatever the app reads is there.
func TestLivePersonsDemoApp(t *testing.T) {
	var steps []demoStep
	if err := json.Unmarshal(demoSession, &steps); err != nil {
		t.Fatal(err)
	}
	listen(t, lpsim.Config{Survey: lpsim.DefaultSurvey()}, func(t *testing.T, w *world, r *receiver) {
		d := &demo{w, r, map[string]string{"notifications": demoHook}}
		for i, step := range steps {
			switch {
			case step.Agent != "":
				if got := w.do("POST", "/sim/conversations/"+d.known["conversation"]+"/agent/"+step.Agent, string(step.Do)); got.status >= 300 {
					t.Fatalf("step %d, the agent's %s: %d %s", i, step.Agent, got.status, got.text)
				}
			case step.Told != "":
				d.read(t, i, step, d.told(t, step.Told))
			default:
				d.read(t, i, step, d.call(t, i, step))
			}
			synctest.Wait()
		}
	})
}

func (d *demo) call(t *testing.T, i int, step demoStep) reply {
	t.Helper()
	body := d.fill(step.Body)
	if step.BodyBase64 != "" {
		data, err := base64.StdEncoding.DecodeString(step.BodyBase64)
		if err != nil {
			t.Fatal(err)
		}
		body = string(data)
	}
	var headers []string
	for name, value := range step.Headers {
		headers = append(headers, name, d.fill(value))
	}
	got := d.w.do(step.Method, d.fill(step.Path), body, headers...)
	if got.status != step.Status {
		t.Fatalf("step %d, %s %s: %d (%s), want %d", i, step.Method, step.Path, got.status, got.header.Get("X-Lpsim-Reason"), step.Status)
	}
	return got
}

// told is the first notification of a kind that came to the app, as the app reads it: its first change.
func (d *demo) told(t *testing.T, kind string) reply {
	t.Helper()
	marks := map[string]string{"survey": `"dialogType":"POST_SURVEY"`, "closed": `"stage":"CLOSE"`}
	want := []string{marks[kind]}
	if marks[kind] == "" {
		want = []string{`"type":"` + kind + `"`, `"role":"ASSIGNED_AGENT"`}
	}
	for _, got := range d.hook.all() {
		missing := slices.ContainsFunc(want, func(text string) bool { return !strings.Contains(got.body, text) })
		if got.url != demoHook || missing {
			continue
		}
		var note struct {
			Body struct {
				Changes []json.RawMessage `json:"changes"`
			} `json:"body"`
		}
		if err := json.Unmarshal([]byte(got.body), &note); err != nil {
			t.Fatal(err)
		}
		return reply{text: string(note.Body.Changes[0])}
	}
	t.Fatalf("the app was not told of %s", kind)
	return reply{}
}

// read keeps what later steps need, and misses nothing that the app reads.
func (d *demo) read(t *testing.T, i int, step demoStep, got reply) {
	t.Helper()
	for _, path := range step.Reads {
		if got.field(t, path) == nil {
			t.Errorf("step %d, %s %s%s: there is no %s in %s", i, step.Method, step.Path, step.Told, path, got.text)
		}
	}
	for name, path := range step.Keep {
		value, isText := got.field(t, path).(string)
		if !isText || value == "" {
			t.Fatalf("step %d, %s %s%s: %s is no text in %s", i, step.Method, step.Path, step.Told, path, got.text)
		}
		d.known[name] = value
	}
	for name, header := range step.KeepHeader {
		d.known[name] = got.header.Get(header)
	}
}

// fill puts what is known in the place of names in braces.
func (d *demo) fill(text string) string {
	for name, value := range d.known {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text
}
