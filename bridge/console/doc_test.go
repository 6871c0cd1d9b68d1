package console

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPackageCommentListsThePaths: what the console serves, to the last path.
func TestPackageCommentListsThePaths(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	route, line := regexp.MustCompile(`"((?:GET|POST|DELETE) /[^"]*)"`), regexp.MustCompile(`(?m)^//\t(GET|POST|DELETE) +(/\S*)`)
	served, told := []string{"GET /", "GET " + metricsPath}, []string{}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if name == "doc.go" {
			for _, m := range line.FindAllStringSubmatch(string(text), -1) {
				told = append(told, m[1]+" "+m[2])
			}
		} else if matched, _ := filepath.Match("*_test.go", name); !matched {
			for _, m := range route.FindAllStringSubmatch(string(text), -1) {
				served = append(served, m[1])
			}
		}
	}
	// The profiles are one entry.
	served = slices.DeleteFunc(served, func(s string) bool {
		matched, _ := regexp.MatchString("/debug/pprof/.", s)
		return matched
	})
	slices.Sort(served)
	// A standby serves some of them too.
	served = slices.Compact(served)
	slices.Sort(told)
	if diff := cmp.Diff(served, told); diff != "" {
		t.Errorf("doc.go lists other paths than are served (-served +told):\n%s", diff)
	}
}
