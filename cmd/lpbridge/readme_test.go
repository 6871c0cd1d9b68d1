package main

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The lines a newcomer pastes from the README.
var (
	sandboxExample = regexp.MustCompile("(?s)<!-- example:sandbox -->\n```sh\n(.*?)```")
	pastedCurl     = regexp.MustCompile(`(?m)^curl -sS (\S+)(?: -H '([^:]+): ([^']+)')?(?: -d '([^']+)')?$`)
)

// paste does what the README's lines do, against this sandbox, and returns the
// answers.
func (b *sandbox) paste(t *testing.T) []string {
	t.Helper()
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	example := sandboxExample.FindSubmatch(page)
	if example == nil {
		t.Fatal("README.md has no example of the sandbox")
	}
	here := strings.NewReplacer("http://127.0.0.1:8080", b.public, "http://127.0.0.1:8090", b.simulator)
	var answers []string
	for _, line := range pastedCurl.FindAllStringSubmatch(string(example[1]), -1) {
		if guide := b.stdout.String(); !strings.Contains(guide, here.Replace(line[0])) {
			t.Errorf("the sandbox's guide lacks %q", line[0])
		}
		method, header := http.MethodGet, http.Header{}
		if line[4] != "" {
			method = http.MethodPost
			header.Set(line[2], line[3])
		}
		await(t, line[1], func() bool {
			a := do(t, method, here.Replace(line[1]), header, line[4])
			// Whoever is faster than the bridge repeats the last line.
			if method == http.MethodGet && a.status == http.StatusNotFound {
				return false
			}
			if a.status != http.StatusOK {
				t.Fatalf("%s answered %d: %s", line[1], a.status, a.body)
			}
			answers = append(answers, strings.TrimSpace(a.body))
			return true
		})
	}
	if n := strings.Count(string(example[1]), "curl "); n != len(answers) {
		t.Fatalf("%d of the README's %d lines were understood", len(answers), n)
	}
	return answers
}

// TestReadme pastes the README's first screen and sees what it promises. The
// lines may be pasted at once: the typing waits for the conversation.
func TestReadme(t *testing.T) {
	t.Parallel()
	b := newSandbox(t, nil)
	answers := b.paste(t)
	for i, answer := range answers[:2] {
		if answer != `{"accepted":1,"duplicates":0}` {
			t.Errorf("line %d answered %s", i+1, answer)
		}
	}
	looks := 0
	await(t, "what the README promises", func() bool {
		// On a machine too busy for typing to be told in time it is over: one goes on
		// typing.
		if looks++; looks%100 == 0 {
			b.paste(t)
		}
		c := b.agentSees(t)
		return c.AgentSees.ConsumerTyping && c.AgentSees.ChatState == "COMPOSING" && c.LastText == "hello"
	})
}
