package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-envconfig"

	"lpbridge/config"
)

// chartDir is the Helm chart's. tools/chart renders it; here is what it must know
// of the program.
var chartDir = filepath.Join(root, "deploy", "chart")

// reference is what there is to configure, channel by channel.
func reference() []config.Variable {
	all := config.Reference(new(config.Config), "")
	for _, a := range adapters {
		all = append(all, a.variables()...)
	}
	return all
}

// setByChart are the variables whose values follow from others of the chart's.
func setByChart(t *testing.T) []string {
	t.Helper()
	template, err := os.ReadFile(filepath.Join(chartDir, "templates", "_pod.tpl"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^ +- name: (LP[A-Z_]+)$`).FindAllStringSubmatch(string(template), -1) {
		names = append(names, m[1])
	}
	if len(names) < 5 {
		t.Fatalf("only %v were found", names)
	}
	return names
}

// written compares a file with what it should hold, or writes it.
func written(t *testing.T, path string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	is, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(is), string(want)); diff != "" {
		t.Errorf("%s is out of date, `make docs` writes it anew (-is +should be):\n%s", path, diff)
	}
}

// TestDocumentsOfChart: the schema of the chart's values knows every variable
// there is, and no channel's by hand.
func TestDocumentsOfChart(t *testing.T) {
	path := filepath.Join(chartDir, "values.schema.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var schema map[string]any
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	env, secrets, taken := map[string]any{}, map[string]any{}, setByChart(t)
	for _, v := range reference() {
		switch {
		case slices.Contains(taken, v.Name):
		case v.File != "":
			secrets[v.Name] = map[string]any{"$ref": "#/definitions/secretFile", "description": v.Description}
		default:
			env[v.Name] = envSchema(v)
		}
	}
	properties := schema["properties"].(map[string]any)
	properties["env"].(map[string]any)["properties"] = env
	properties["secretFiles"].(map[string]any)["properties"] = secrets
	written(t, path, indented(t, schema))
}

func indented(t *testing.T, v any) []byte {
	t.Helper()
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// envSchema is what a value of a variable may look like. What only the program
// can judge, it judges at its start.
func envSchema(v config.Variable) map[string]any {
	schema := map[string]any{"description": v.Description, "type": []string{"string", "number", "boolean"}}
	if words := strings.Split(strings.ReplaceAll(v.Type, " or ", ", "), ", "); len(words) > 1 && !strings.Contains(v.Type, " of ") && !strings.Contains(v.Type, "at ") && v.Type != "true or false" {
		return map[string]any{"description": v.Description, "enum": words}
	}
	return schema
}

// TestDocumentsOfChartsChannels: the chart is rendered with every channel, each
// with the variables of its example.
func TestDocumentsOfChartsChannels(t *testing.T) {
	values := exampleValues()
	var out strings.Builder
	out.WriteString("# Every channel with its example; `make docs` writes it.\nenv:\n")
	for _, name := range slices.Sorted(maps.Keys(values.env)) {
		fmt.Fprintf(&out, "  %s: %q\n", name, values.env[name])
	}
	out.WriteString("secretFiles:\n")
	for _, name := range slices.Sorted(maps.Keys(values.secrets)) {
		fmt.Fprintf(&out, "  %s: {secret: lpbridge, key: %s}\n", name, strings.ReplaceAll(strings.ToLower(name), "_", "-"))
	}
	written(t, filepath.Join(chartDir, "testdata", "every-channel.yaml"), []byte(out.String()))
}

// chartValues are variables and secrets.
type chartValues struct{ env, secrets map[string]string }

// exampleValues serve every channel.
func exampleValues() chartValues {
	v := chartValues{
		map[string]string{"LP_ACCOUNT_ID": "12345678", "LP_CLIENT_ID": "lpbridge", "LPBRIDGE_CHANNELS": strings.Join(adapterNames(), ","), "LPBRIDGE_PUBLIC_URL": "https://bridge.example"},
		map[string]string{"LP_CLIENT_SECRET": "client-secret", "LPBRIDGE_ADMIN_TOKEN": "9b1c2e7f4a6d8035c1e2f3a4"},
	}
	secret := map[string]bool{}
	for _, r := range reference() {
		secret[r.Name] = r.File != ""
	}
	for _, a := range adapters {
		for name, value := range a.example {
			if secret[name] {
				v.secrets[name] = value
			} else {
				v.env[name] = value
			}
		}
	}
	return v
}

// TestChartsEnvironmentIsTaken: the program starts with what the chart gives it,
// nothing in it is without effect, and secrets come from files only.
func TestChartsEnvironmentIsTaken(t *testing.T) {
	rendered, err := os.ReadFile(filepath.Join(chartDir, "testdata", "every-channel.golden"))
	if err != nil {
		t.Fatal(err)
	}
	dir, secrets := t.TempDir(), exampleValues().secrets
	settings := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^ +- name: ([A-Z_]+)\n +value: "?(.*?)"?$`).FindAllStringSubmatch(string(rendered), -1) {
		settings[m[1]] = strings.ReplaceAll(m[2], `\"`, `"`)
		if name, is := strings.CutSuffix(m[1], "_FILE"); is && secrets[name] != "" {
			settings[m[1]] = filepath.Join(dir, name)
			if want := "/run/secrets/lpbridge/" + name; m[2] != want {
				t.Errorf("%s is %s, want %s", m[1], m[2], want)
			}
			// Whoever writes a Secret by hand ends it with a newline.
			if err := os.WriteFile(filepath.Join(dir, name), []byte(secrets[name]+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			delete(secrets, name)
		}
	}
	if len(secrets) > 0 {
		t.Errorf("the chart leaves out %v", slices.Sorted(maps.Keys(secrets)))
	}
	s, err := loadSettings(environment{lookup: envconfig.MapLookuper(settings), stderr: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.channels) != len(adapters) {
		t.Errorf("%d channels are served, want %d", len(s.channels), len(adapters))
	}
	for _, w := range s.report.Warnings(environ(settings)) {
		if w.Variable != "GOMEMLIMIT" {
			t.Errorf("%s: %s", w.Variable, w.Message)
		}
	}
	if s.Bridge.DrainDelay == 0 {
		t.Error("the bridge does not drain")
	}
}

// TestChartKnowsNoChannel: what it says of channels comes from their folders.
func TestChartKnowsNoChannel(t *testing.T) {
	for path, text := range texts(t, func(path string) bool {
		return strings.HasPrefix(path, "deploy/chart/") && !strings.Contains(path, "testdata/") && !strings.HasSuffix(path, ".schema.json")
	}) {
		for _, name := range adapterNames() {
			if regexp.MustCompile(`(?i)\b` + name + `_[A-Z]`).MatchString(text) {
				t.Errorf("%s names a variable of the channel %s", path, name)
			}
		}
	}
}
