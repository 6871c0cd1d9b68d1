package chatwootapi

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
	if err := config.WriteMarkdown(&table, config.Section{Variables: config.Reference(&Config{}, "CHATWOOTAPI_")}); err != nil {
		t.Fatal(err)
	}
	generated(t, "configuration", table.String())
}

// purposes says what each endpoint is for, by its path.
var purposes = map[string]string{
	pathInbox:                        "inbox details",
	pathContacts:                     "create or find a contact",
	pathContact:                      "read or change a contact",
	pathThreads:                      "list or create conversations",
	pathThread:                       "read a conversation",
	pathThread + "/toggle_status":    "resolve: the conversation in LivePerson is closed",
	pathThread + "/toggle_typing":    "the agent sees the consumer type, or stop",
	pathThread + "/update_last_seen": "the agent's messages are read",
	pathMessages:                     "list or create messages",
	pathMessage:                      "answer a choice, a form or a survey",
	pathCSAT:                         "read or answer the satisfaction survey",
	pathSurvey:                       "the survey as a page for people, without script",
	pathCable:                        "ActionCable, RoomChannel",
	pathFile:                         "a file a contact sent",
	pathThumb:                        "the same, as the preview of an image",
	pathUnrouted:                     "preflights, and 404 for everything else",
}

func TestReadmeEndpoints(t *testing.T) {
	var order []string
	methods := map[string][]string{}
	for _, r := range newWorld(t).api.Routes() {
		method, path, found := strings.Cut(r.Pattern, " ")
		if !found {
			method, path = "any", r.Pattern
		}
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
		table += "| " + strings.Join(methods[path], ", ") + " | `" + path + "` | " + purposes[path] + " |\n"
	}
	if len(order) != len(purposes) {
		t.Errorf("%d paths and %d purposes", len(order), len(purposes))
	}
	generated(t, "endpoints", table)
}
