package bridgetest

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ReadmePart checks a part of the README.md of a channel's folder, between two
// comments with its name, against what the code says it is. With update it is written.
func ReadmePart(t *testing.T, update bool, name, want string) {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+name+" -->\n", "<!-- end of "+name+" -->"
	head, rest, opened := strings.Cut(string(readme), begin)
	part, tail, closed := strings.Cut(rest, end)
	if !opened || !closed {
		t.Fatalf("the README has no part %q", name)
	}
	if update {
		if err := os.WriteFile("README.md", []byte(head+begin+want+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, part); diff != "" {
		t.Errorf("%s in the README (-want +got), run the test with -update:\n%s", name, diff)
	}
}
