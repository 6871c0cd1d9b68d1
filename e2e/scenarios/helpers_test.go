//go:build e2e

package scenarios_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// helper is a test in another language, with the command that runs it.
var helper = regexp.MustCompile("(?s)<!-- helper: (\\S+) (.*?) (\\S+) -->\n```\\w+\n(.*?)```")

// TestTheReadmesHelpers: the tests in Python and Node that the README shows pass with lpbridge, and fail with a connector
// that takes messages and does nothing.
func TestTheReadmesHelpers(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../connector/lpsim/README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := helper.FindAllStringSubmatch(string(readme), -1)
	if len(found) != 2 {
		t.Fatalf("the README has %d tests", len(found))
	}
	lpsim, lpbridge := build(t, "lpsim"), build(t, "lpbridge")
	channel := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }))
	defer channel.Close()
	idle := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }))
	defer idle.Close()
	for _, h := range found {
		h := shown{program: h[1], options: h[2], file: h[3], text: h[4], path: filepath.Dir(lpsim)}
		t.Run(h.program, func(t *testing.T) {
			p := newPlaces(t)
			p.channel = strings.TrimPrefix(channel.URL, "http://")
			bridge(t, lpbridge, p)
			if out, err := h.run(t, p.livePerson, "http://"+p.connector); err != nil {
				t.Errorf("%v: %s", err, out)
			}
			if out, err := h.run(t, p.livePerson, idle.URL); err == nil || !strings.Contains(out, "it did not happen") {
				t.Errorf("with a connector that does nothing: %v: %s", err, out)
			}
		})
	}
}

// shown is one of the README's tests.
type shown struct{ program, options, file, text, path string }

func (h shown) run(t *testing.T, livePerson, connector string) (string, error) {
	t.Helper()
	dir, name := t.TempDir(), h.file
	if filepath.Ext(name) == "" {
		name += ".py"
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte(h.text), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.program, append(strings.Fields(h.options), h.file)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+h.path+":"+os.Getenv("PATH"), "LPSIM_LISTEN="+livePerson, "CONNECTOR="+connector)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
