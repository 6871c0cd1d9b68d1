package layer

import (
	"bytes"
	"flag"
	"strings"
	"testing"

	"lpbridge/bridge/bridgetest"
	"lpbridge/config"
)

var update = flag.Bool("update", false, "write the generated parts of the README")

func TestReadmeConfiguration(t *testing.T) {
	var table bytes.Buffer
	if err := config.WriteMarkdown(&table, config.Section{Variables: config.Reference(&Config{}, "LAYER_")}); err != nil {
		t.Fatal(err)
	}
	bridgetest.ReadmePart(t, *update, "configuration", table.String())
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
	bridgetest.ReadmePart(t, *update, "endpoints", table)
}
