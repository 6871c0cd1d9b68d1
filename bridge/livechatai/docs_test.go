package livechatai

import (
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"lpbridge/bridge"
	"lpbridge/bridge/livechatai/livechataitest"
	"lpbridge/config"
)

func readme(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// blocks returns the code blocks of the README below a mark.
func blocks(t *testing.T, mark string) []string {
	t.Helper()
	found := regexp.MustCompile("(?s)<!-- "+mark+" -->\n```[a-z]+\n(.*?)```").FindAllStringSubmatch(readme(t), -1)
	if len(found) == 0 {
		t.Fatalf("the README has no block %q", mark)
	}
	var texts []string
	for _, m := range found {
		texts = append(texts, m[1])
	}
	return texts
}

func TestReadmePushes(t *testing.T) {
	types := map[string]bool{}
	for _, body := range blocks(t, "push") {
		p, err := decodePush([]byte(body))
		if err != nil {
			t.Errorf("%s\n%v", body, err)
		}
		types[p.Type] = true
	}
	for _, want := range []string{pushMessage, pushTyping, pushResolved, pushChanged} {
		if !types[want] {
			t.Errorf("no example of %s", want)
		}
	}
}

// TestReadmeSigns runs the README's commands against the door.
func TestReadmeSigns(t *testing.T) {
	for _, tool := range []string{"sh", "openssl", "curl", "sed"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatalf("the README's example needs %s", tool)
		}
	}
	l, core := newAdapter(t, livechataitest.New(), nil)
	server := httptest.NewServer(l.Routes()[0].Handler)
	defer server.Close()
	command := exec.CommandContext(t.Context(), "sh", "-c", blocks(t, "runs: sign")[0])
	command.Env = append(os.Environ(), "BRIDGE="+server.URL, "LIVECHATAI_SECRET="+secret)
	answer, err := command.CombinedOutput()
	if err != nil || strings.TrimSpace(string(answer)) != `{"accepted":1,"duplicates":0}` {
		t.Fatalf("answered %s, %v", answer, err)
	}
	if e := core.Events(); len(e) != 1 || e[0].Kind != bridge.KindMessage || e[0].ID != "msg_1" {
		t.Errorf("events %v", e)
	}
}

func TestReadmeNamesEveryVariable(t *testing.T) {
	text := readme(t)
	named := map[string]bool{}
	for _, v := range config.Reference(new(Config), "LIVECHATAI_") {
		named[v.Name] = true
		if row := fmt.Sprintf("\n| `%s` |", v.Name); strings.Count(text, row) != 1 {
			t.Errorf("%s has no row of its own", v.Name)
		}
	}
	for _, name := range regexp.MustCompile("LIVECHATAI_[A-Z_]+").FindAllString(text, -1) {
		if !named[strings.TrimSuffix(name, "_FILE")] {
			t.Errorf("%s does not exist", name)
		}
	}
}
