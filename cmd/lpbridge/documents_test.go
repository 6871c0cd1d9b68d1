package main

import (
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
)

// TestDocuments: what the documents list is what the program lists. `make docs`
// writes it anew.
func TestDocuments(t *testing.T) {
	printed := func(t *testing.T, command string) string {
		got := outcome(t, nil, command)
		if got.code != exitOK || got.stderr != "" {
			t.Fatalf("exit code %d: %s", got.code, got.stderr)
		}
		return got.stdout
	}
	code := func(t *testing.T, path string) string {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
		if err != nil {
			t.Fatal(err)
		}
		return "```go\n" + string(text) + "```"
	}
	for _, tc := range []struct {
		region, file string
		make         func(t *testing.T, region string) string
	}{
		{"variables", "docs/configuration.md", printed},
		{"channels", "README.md", printed},
		{"content", "docs/content.md", contentTable},
		{"metrics", "docs/metrics.md", metricsTable},
		{"bridge/bridgetest/toy/toy.go", "docs/write-a-channel.md", code},
		{"bridge/bridgetest/toy/toy_test.go", "docs/write-a-channel.md", code},
	} {
		t.Run(tc.region, func(t *testing.T) {
			path := filepath.Join(root, filepath.FromSlash(tc.file))
			page, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			wanted, err := replaceRegion(string(page), tc.region, tc.make(t, tc.region))
			if err != nil {
				t.Fatalf("%s: %v", tc.file, err)
			}
			if *update && wanted != string(page) {
				if err := os.WriteFile(path, []byte(wanted), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(page), wanted); diff != "" {
				t.Errorf("%s is out of date, `make docs` writes it anew (-is +should be):\n%s", tc.file, diff)
			}
		})
	}
}

// replaceRegion puts text between the markers of a region, blank lines around it.
func replaceRegion(page, name, text string) (string, error) {
	begin, end := "<!-- generated:"+name+" -->\n", "<!-- /generated -->"
	before, rest, found := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return "", fmt.Errorf("there is no region between %q and %q to write to", strings.TrimSpace(begin), end)
	}
	if strings.Contains(after, begin) {
		return "", fmt.Errorf("there is more than one region %q", strings.TrimSpace(begin))
	}
	return before + begin + "\n" + strings.TrimSpace(text) + "\n\n" + end + after, nil
}

func TestReplaceRegion(t *testing.T) {
	const begin, end = "<!-- generated:x -->\n", "<!-- /generated -->"
	for _, tc := range []struct{ name, page, want, err string }{
		{"empty", "a\n" + begin + end + "\nb", "a\n" + begin + "\nnew\n\n" + end + "\nb", ""},
		{"filled", begin + "old\n" + end, begin + "\nnew\n\n" + end, ""},
		{"another before", "<!-- generated:y -->\ny\n" + end + "\n" + begin + end, "<!-- generated:y -->\ny\n" + end + "\n" + begin + "\nnew\n\n" + end, ""},
		{"none", "a", "", "no region"},
		{"not closed", begin + "a", "", "no region"},
		{"twice", begin + end + begin + end, "", "more than one"},
	} {
		got, err := replaceRegion(tc.page, "x", "new\n")
		if got != tc.want || (err == nil) != (tc.err == "") || err != nil && !strings.Contains(err.Error(), tc.err) {
			t.Errorf("%s: %q, %v; want %q, %q", tc.name, got, err, tc.want, tc.err)
		}
	}
}

// TestGuideIsTheREADMEs: a newcomer copies the lines of either.
func TestGuideIsTheREADMEs(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var channels []chosenChannel
	for _, a := range adapters {
		channels = append(channels, chosenChannel{adapterEntry: a})
	}
	guide := sandboxGuide(channels, "http://127.0.0.1:8090", "http://127.0.0.1:8081", "http://127.0.0.1:8080")
	n := 0
	for line := range strings.Lines(guide) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "curl ") {
			continue
		}
		n++
		if !strings.Contains(string(readme), line+"\n") {
			t.Errorf("README.md lacks the guide's line %s", line)
		}
	}
	if n < 3 {
		t.Errorf("the guide has %d lines to copy", n)
	}
}

// TestMisspeltVariables: a slip in a variable of any channel is told, whether or
// not the channel is served.
func TestMisspeltVariables(t *testing.T) {
	for _, a := range adapters {
		variable := strings.ToUpper(a.name) + "_NO_SUCH_VARIABLE"
		s, err := loadSettings(environment{lookup: envconfig.MapLookuper(nil), stderr: io.Discard})
		if err == nil {
			t.Fatal("an empty environment is enough")
		}
		if got := s.report.Warnings([]string{variable + "=1"}); len(got) != 1 || got[0].Variable != variable {
			t.Errorf("%s: warnings are %v", variable, got)
		}
	}
}

// TestConfigKnowsNoChannel: what the configuration says of a channel comes from
// the channel's own folder.
func TestConfigKnowsNoChannel(t *testing.T) {
	for _, path := range files(t) {
		if !strings.HasPrefix(path, "config/") || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range adapterNames() {
			if regexp.MustCompile(`(?i)\b` + name + `(_|\b)`).Match(text) {
				t.Errorf("%s names the channel %s", path, name)
			}
		}
	}
}

// TestAdapters: what every line of the list of adapters must bring.
func TestAdapters(t *testing.T) {
	if _, err := exampleChannels(); err != nil {
		t.Fatal(err)
	}
	for i, a := range adapters {
		if slices.Contains(adapterNames()[:i], a.name) {
			t.Errorf("%s is there twice", a.name)
		}
		known := map[string]bool{}
		for _, v := range a.variables() {
			known[v.Name] = true
			if v.File != "" {
				known[v.File] = true
			}
			if v.Description == "" {
				t.Errorf("%s has no description", v.Name)
			}
		}
		for _, names := range [][]string{slices.Collect(maps.Keys(a.example)), slices.Collect(maps.Keys(a.sandbox)), a.instead} {
			for _, name := range names {
				if !known[name] {
					t.Errorf("%s sets %s, which is no variable of it", a.name, name)
				}
			}
		}
	}
}
