package main

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// module is loaded once, for that has every package built.
var module = sync.OnceValues(func() (*search, error) { return findNames(filepath.Join("..", "..")) })

func loaded(t *testing.T) *search {
	t.Helper()
	s, err := module()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestNothingIsExportedForNobody holds what [search.idle] has as a rule.
func TestNothingIsExportedForNobody(t *testing.T) {
	s := loaded(t)
	if len(s.names) < 1000 {
		t.Fatalf("only %d exported names were found", len(s.names))
	}
	for _, n := range s.idle() {
		t.Errorf("%s: %s is exported for nobody: unexport or remove it", n.folder, n.full)
	}
}

// searched is a module of some files.
func searched(t *testing.T, files map[string]string) *search {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module example.org/m\n\ngo 1.26\n"
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s, err := findNames(dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestIdleNamesAreFound has a module of two packages, one of them published.
func TestIdleNamesAreFound(t *testing.T) {
	s := searched(t, map[string]string{
		"lane/lane.go": `package lane

import "errors"

type Lane struct{ Length int }                      // used
type Idle struct{ Length int }                      // by itself only
type Kind string                                    // seen in Lane.Kind
type Stored struct { Seq int ` + "`json:\"seq\"`" + ` } // encoded
type Options struct{ Width, Depth int }             // Depth is set by nobody

const ( First Kind = "first"; Second Kind = "second" )

var ErrGone = errors.New("gone")

func (l *Lane) Kind() Kind     { return First }
func (l *Lane) Unused() bool   { return l.Length > 0 }
func (l *Lane) Error() string  { return "lane" }
func New(o Options) *Lane      { return &Lane{o.Width + o.Depth} }
func Help() (Idle, error)      { return Idle{1}, ErrGone }
`,
		"lane/lane_test.go": "package lane_test\n\nimport \"example.org/m/lane\"\n\nvar _, _ = lane.Help()\n",
		"lpauth/auth.go": `package lpauth

import "errors"

var ErrDenied = errors.New("denied") // callers tell it apart
const Scheme = "Bearer"              // a word of a protocol

func Token() (string, error) { return Scheme, ErrDenied } // tried from outside
func Hidden() int            { return 1 }                 // tried from inside
`,
		"lpauth/outside_test.go": "package lpauth_test\n\nimport \"example.org/m/lpauth\"\n\nvar _, _ = lpauth.Token()\n",
		"lpauth/inside_test.go":  "package lpauth\n\nvar _ = Hidden()\n",
		"main.go": `package main

import "example.org/m/lane"

func main() { l := lane.New(lane.Options{Width: 1}); println(l.Length, l.Kind()) }
`,
	})
	var found []string
	for _, n := range s.idle() {
		found = append(found, n.folder+" "+n.full)
	}
	want := []string{"lane ErrGone", "lane Help", "lane Idle", "lane Idle.Length", "lane Lane.Unused", "lane Options.Depth", "lpauth Hidden"}
	if diff := cmp.Diff(want, found); diff != "" {
		t.Errorf("exported for nobody (-want +got):\n%s", diff)
	}
}
