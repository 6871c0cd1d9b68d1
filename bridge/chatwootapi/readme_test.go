package chatwootapi

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"lpbridge/bridge/bridgetest"
	"lpbridge/config"
)

var update = flag.Bool("update", false, "write the generated parts of the README")

func TestReadmeConfiguration(t *testing.T) {
	var table bytes.Buffer
	if err := config.WriteMarkdown(&table, config.Section{Variables: config.Reference(&Config{}, "CHATWOOTAPI_")}); err != nil {
		t.Fatal(err)
	}
	bridgetest.ReadmePart(t, *update, "configuration", table.String())
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
	bridgetest.ReadmePart(t, *update, "endpoints", table)
}

// TestIdentityPageNamesItsTests keeps docs/identity.md from naming tests that
// are gone, and from saying anything of a channel that no test of it shows.
func TestIdentityPageNamesItsTests(t *testing.T) {
	page, err := os.ReadFile("../../docs/identity.md")
	if err != nil {
		t.Fatal(err)
	}
	for channel, least := range map[string]int{"chatwootapi": 5, "layer": 5, "chatwoot": 5, "webhook": 3, "livechatai": 3} {
		_, section, _ := strings.Cut(string(page), "\n## "+channel+"\n")
		section, _, _ = strings.Cut(section, "\n## ")
		tests := testsIn(t, "../"+channel)
		maps.Copy(tests, testsIn(t, "../relay"))
		maps.Copy(tests, testsIn(t, "../../cmd/lpbridge"))
		rows := 0
		for line := range strings.Lines(section) {
			cells := strings.Split(line, " | ")
			if len(cells) != 3 || strings.Contains(line, "| Tests |") {
				continue
			}
			rows++
			named := regexp.MustCompile("`(Test[A-Za-z0-9]+)`").FindAllStringSubmatch(cells[2], -1)
			if len(named) == 0 {
				t.Errorf("%s: no test for %q", channel, cells[0])
			}
			for _, name := range named {
				if !tests[name[1]] {
					t.Errorf("%s: there is no %s", channel, name[1])
				}
			}
		}
		if rows < least {
			t.Errorf("%s has %d rows", channel, rows)
		}
	}
}

// testsIn are the names of the tests in a folder.
func testsIn(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(folder + "/*_test.go")
	if err != nil {
		t.Fatal(err)
	}
	tests := map[string]bool{}
	for _, f := range files {
		source, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllSubmatch(source, -1) {
			tests[string(m[1])] = true
		}
	}
	return tests
}
