package layer

import (
	"bytes"
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lpbridge/config"
)

var update = flag.Bool("update", false, "write the generated parts of the README")

// generated is a part of the README between two comments with its name.
func generated(t *testing.T, name, want string) {
	t.Helper()
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	head, rest, opened := strings.Cut(string(readme), "<!-- "+name+" -->\n")
	part, tail, closed := strings.Cut(rest, "<!-- end of "+name+" -->")
	if !opened || !closed {
		t.Fatalf("the README has no part %q", name)
	}
	if *update {
		page := head + "<!-- " + name + " -->\n" + want + "<!-- end of " + name + " -->" + tail
		if err := os.WriteFile("README.md", []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, part); diff != "" {
		t.Errorf("%s in the README (-want +got), run the test with -update:\n%s", name, diff)
	}
}

func TestReadmeConfiguration(t *testing.T) {
	var table bytes.Buffer
	if err := config.WriteMarkdown(&table, config.Section{Variables: config.Reference(&Config{}, "LAYER_")}); err != nil {
		t.Fatal(err)
	}
	generated(t, "configuration", table.String())
}

// purposes says what each endpoint is for, by its path below the mount.
var purposes = map[string]string{
	pathRoot:          "the WebSocket; check of a session before it; discovery",
	pathPing:          "whether the client is online",
	pathNonces:        "begin of a login",
	pathSessions:      "login with an identity token",
	pathSession:       "logout",
	pathIdentities:    "the agent",
	pathIdentity:      "the user or an agent",
	pathConversations: "list or create conversations",
	pathConversation:  "read, change, leave or delete a conversation",
	pathReadAll:       "the agent's messages are read",
	pathMessages:      "list or create messages",
	pathMessage:       "read or delete a message",
	pathReceipts:      "an agent's message arrived or was read",
	pathContents:      "begin of an upload",
	pathContent:       "where an upload can be read",
	pathUpload:        "the upload itself",
	pathFile:          "what was uploaded",
	pathSandbox:       "identity tokens for anybody, if switched on",
	"/":               "preflights, and 404 for everything else",
}

func TestReadmeEndpoints(t *testing.T) {
	var order []string
	methods := map[string][]string{}
	w := newWorld(t, func(c *Config) { c.SandboxIdentities = true })
	for _, r := range w.layer.Routes() {
		method, path, found := strings.Cut(r.Pattern, " ")
		if !found {
			method, path = "any", r.Pattern
		}
		path = strings.TrimPrefix(path, mount)
		if methods[path] == nil {
			order = append(order, path)
		}
		methods[path] = append(methods[path], method)
	}
	table := "| Method | Path | What |\n|---|---|---|\n"
	for _, path := range order {
		if purposes[path] == "" {
			t.Errorf("no purpose is given for %s", path)
		}
		table += "| " + strings.Join(methods[path], ", ") + " | `" + mount + strings.TrimSuffix(path, "{$}") + "` | " + purposes[path] + " |\n"
	}
	if len(order) != len(purposes) {
		t.Errorf("%d paths and %d purposes", len(order), len(purposes))
	}
	generated(t, "endpoints", table)
}
