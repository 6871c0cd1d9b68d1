package chatwoot

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"lpbridge/config"

	"github.com/google/go-cmp/cmp"
)

// TestREADME holds the page and the code together.
func TestREADME(t *testing.T) {
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	readme := string(data)
	_, table, _ := strings.Cut(readme, "## Configuration")
	table, _, _ = strings.Cut(table, "## What to know")
	var told, known []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(CHATWOOT_[A-Z_]+)` \\|").FindAllStringSubmatch(table, -1) {
		told = append(told, row[1])
	}
	for _, v := range config.Reference(new(Config), "CHATWOOT_") {
		known = append(known, v.Name)
	}
	if diff := cmp.Diff(known, told); diff != "" {
		t.Errorf("variables (-code +README):\n%s", diff)
	}
	for _, want := range append([]string{path, markKey, "SAFE_FETCH_ALLOW_PRIVATE_NETWORK=true"}, wanted...) {
		if !strings.Contains(readme, want) {
			t.Errorf("the README does not mention %s", want)
		}
	}
	for _, link := range regexp.MustCompile(`\]\(#([a-z-]+)\)`).FindAllStringSubmatch(readme, -1) {
		heading := strings.ToLower(strings.ReplaceAll(link[1], "-", " "))
		if !regexp.MustCompile(`(?mi)^#+ ` + heading + `$`).MatchString(readme) {
			t.Errorf("the README links to #%s, which it has not", link[1])
		}
	}
}
