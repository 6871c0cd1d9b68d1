package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"lpbridge/bridge"
	"lpbridge/config"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// example finds blocks of the README that are marked as tested.
var example = regexp.MustCompile("(?s)<!-- ([^>]+) -->\n```[a-z]+\n(.*?)```")

// examples returns the blocks of the README marked so; there must be some.
func examples(t testing.TB, mark string) []string {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, block := range example.FindAllStringSubmatch(string(readme), -1) {
		if block[1] == mark {
			found = append(found, block[2])
		}
	}
	if len(found) == 0 {
		t.Fatalf("the README has no block marked %q", mark)
	}
	return found
}

// schema compiles a part of the envelope's schema, "" for the root.
func schema(t testing.TB, part string) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	s, err := c.Compile("envelope.schema.json" + part)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func fits(t testing.TB, s *jsonschema.Schema, text string) error {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(value)
}

func TestExamplesToLivePerson(t *testing.T) {
	w, core := newWebhook(t, unsigned())
	s := schema(t, "")
	for _, text := range examples(t, "to LivePerson") {
		if err := fits(t, s, text); err != nil {
			t.Errorf("schema: %v", err)
		}
		if rec := post(w, request(text)); rec.Code != http.StatusOK {
			t.Errorf("%s\nanswered %d %s", text, rec.Code, rec.Body)
		}
	}
	seen := map[bridge.Kind]bool{}
	for _, e := range core.Events() {
		seen[e.Kind] = true
	}
	for _, k := range w.Channel().Reports {
		if !seen[k] {
			t.Errorf("the README has no example of %s", k)
		}
	}
}

func TestExamplesToChannel(t *testing.T) {
	var body []byte
	w := deliverTo(t, unsigned(), func(r *http.Request) (*http.Response, error) {
		body, _ = io.ReadAll(r.Body)
		return answer(http.StatusOK, nil), nil
	})
	s := schema(t, "#/$defs/toChannel")
	seen := map[bridge.Kind]bool{}
	for _, text := range examples(t, "to channel") {
		var e bridge.Event
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatal(err)
		}
		seen[e.Kind] = true
		if err := w.Deliver(t.Context(), &e); err != nil {
			t.Error(err)
		}
		checkSent(t, s, text, body)
	}
	for _, k := range w.Channel().Delivers {
		if !seen[k] {
			t.Errorf("the README has no example of %s", k)
		}
	}
	for _, text := range examples(t, "to channel typing") {
		var e bridge.Event
		if err := json.Unmarshal([]byte(text), &e); err != nil {
			t.Fatal(err)
		}
		cue := bridge.TypingCue{Thread: e.Thread, Agent: *e.Agent, State: e.Typing.State}
		if err := w.ShowTyping(t.Context(), cue); err != nil {
			t.Error(err)
		}
		checkSent(t, s, text, body)
	}
}

// checkSent compares what was sent with an example. Of typing the id and time
// are fresh, but look the same.
func checkSent(t *testing.T, s *jsonschema.Schema, text string, body []byte) {
	t.Helper()
	for _, doc := range []string{text, string(body)} {
		if err := fits(t, s, doc); err != nil {
			t.Errorf("schema: %v", err)
		}
	}
	var want, got map[string]any
	for doc, into := range map[string]*map[string]any{text: &want, string(body): &got} {
		if err := json.Unmarshal([]byte(doc), into); err != nil {
			t.Fatal(err)
		}
	}
	if want["type"] == "typing" {
		id := got["id"].(string)
		if !strings.HasPrefix(id, "typing-") || len(id) != len(want["id"].(string)) {
			t.Errorf("id %q does not look like %q", id, want["id"])
		}
		delete(got, "id")
		delete(want, "id")
		delete(got, "time")
		delete(want, "time")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("envelope (-README +sent):\n%s", diff)
	}
}

func TestExampleProblem(t *testing.T) {
	w, _ := newWebhook(t, unsigned())
	rec := post(w, request("["+message+","+with(`"hello"`, `"hello","html":"<b>"`)+"]"))
	for _, want := range examples(t, "problem") {
		if rec.Body.String() != want {
			t.Errorf("answered %s, the README says %s", rec.Body, want)
		}
	}
}

// TestExampleCommands needs sh, openssl and curl, as a reader of the README does.
func TestExampleCommands(t *testing.T) {
	tests := []struct {
		mark string
		cfg  Config
		env  string
	}{
		{"runs: sign", Config{Secret: config.NewSecret(newSecret)}, "WEBHOOK_SECRET=" + newSecret},
		{"runs: token", Config{Token: config.NewSecret(token)}, "WEBHOOK_TOKEN=" + token},
	}
	for _, tt := range tests {
		t.Run(tt.mark, func(t *testing.T) {
			w, core := newWebhook(t, tt.cfg)
			server := httptest.NewServer(w.Routes()[0].Handler)
			defer server.Close()
			cmd := exec.CommandContext(t.Context(), "sh", "-c", examples(t, tt.mark)[0])
			cmd.Env = append(os.Environ(), "NO_PROXY=*", "BRIDGE="+server.URL, tt.env)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v: %s", err, &stderr)
			}
			if got := strings.TrimSpace(string(out)); got != `{"accepted":1,"duplicates":0}` {
				t.Errorf("printed %s", got)
			}
			if n := len(core.Events()); n != 1 {
				t.Errorf("%d events, want 1", n)
			}
		})
	}
}

// TestSchemaRefusesWhatWeRefuse holds schema and code together.
func TestSchemaRefusesWhatWeRefuse(t *testing.T) {
	s := schema(t, "")
	for _, tt := range badRequests {
		t.Run(tt.name, func(t *testing.T) {
			if !json.Valid([]byte(tt.body)) {
				return
			}
			if err := fits(t, s, tt.body); (err == nil) != tt.lax {
				t.Errorf("schema: %v, want it to take the body: %t", err, tt.lax)
			}
		})
	}
}

func TestSchemaKnowsEveryField(t *testing.T) {
	in := schemaNames(schema(t, "#/$defs/toLivePerson"), "")
	for _, name := range in {
		if !slices.Contains(typeNames(reflect.TypeFor[bridge.Event](), ""), name) {
			t.Errorf("the schema lets a sender use %s, which is not known", name)
		}
	}
	known := schemaNames(schema(t, "#/$defs/toChannel"), "")
	for _, name := range typeNames(reflect.TypeFor[bridge.Event](), "") {
		part, _, _ := strings.Cut(name, ".")
		if part == "click" || part == "rating" || strings.HasPrefix(name, "consumer.") || name == "typing.device" || name == "inbox" || name == "message.typedChoice" {
			continue // the bridge does not send these
		}
		if !slices.Contains(known, name) {
			t.Errorf("the schema does not know %s, which the bridge may send", name)
		}
	}
}

// schemaNames lists the members that a schema names, sorted.
func schemaNames(s *jsonschema.Schema, at string) []string {
	names := map[string]bool{}
	for ; s != nil; s = s.Ref {
		for name, member := range s.Properties {
			names[at+name] = true
			for _, n := range schemaNames(member, at+name+".") {
				names[n] = true
			}
		}
		for _, items := range []*jsonschema.Schema{s.Items2020, anySchema(s.Items)} {
			if items != nil {
				for _, n := range schemaNames(items, at) {
					names[n] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func anySchema(v any) *jsonschema.Schema {
	s, _ := v.(*jsonschema.Schema)
	return s
}

// typeNames lists the JSON members of a type.
func typeNames(t reflect.Type, at string) []string {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t.String() == "time.Time" {
		return nil
	}
	var names []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		names = append(append(names, at+name), typeNames(field.Type, fmt.Sprint(at, name, "."))...)
	}
	return names
}
