package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestManifest: LivePerson is told of every kind of notification, where it goes,
// and how long to repeat it, as its "Installing Conversational Cloud Applications"
// has it. Nothing but the address is needed, for there is no credential yet.
func TestManifest(t *testing.T) {
	t.Parallel()
	got := outcome(t, map[string]string{"LPBRIDGE_PUBLIC_URL": "https://bridge.example/lp/"}, "manifest", "--name", "lpbridge-test")
	if got.code != exitOK || got.stderr != "" {
		t.Fatalf("exit code %d: %s", got.code, got.stderr)
	}
	var is, want any
	if err := json.Unmarshal([]byte(got.stdout), &is); err != nil {
		t.Fatal(err)
	}
	const at = `{"endpoint":"https://bridge.example/lp/webhooks/liveperson"}`
	if err := json.Unmarshal([]byte(`{"client_name":"lpbridge-test","description":"Relays between chat channels and LivePerson.",
		"grant_types":["client_credentials"],"scope":"msg.consumer","capabilities":{
		"webhooks":{"ms.MessagingEventNotification.ContentEvent":`+at+`,"ms.MessagingEventNotification.RichContentEvent":`+at+`,
			"ms.MessagingEventNotification.AcceptStatusEvent":`+at+`,"ms.MessagingEventNotification.ChatStateEvent":`+at+`,
			"cqm.ExConversationChangeNotification":`+at+`,"retry":{"retention_time":259200}},
		"engagement":{"design_engagement":false,"design_window":false,"entry_point":["section"],"consumer_identity":["auth"],"language_selection":false}}}`), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, is); diff != "" {
		t.Errorf("the manifest differs (-want +got):\n%s", diff)
	}
	for name, tc := range map[string]struct {
		settings map[string]string
		args     []string
		want     string
	}{
		"no address":      {nil, nil, "LPBRIDGE_PUBLIC_URL: is required"},
		"plain http":      {map[string]string{"LPBRIDGE_PUBLIC_URL": "http://bridge.example"}, nil, "LPBRIDGE_PUBLIC_URL: must be https"},
		"a name too long": {map[string]string{"LPBRIDGE_PUBLIC_URL": "https://bridge.example"}, []string{"--name", strings.Repeat("x", 129)}, "--name must have 1 to 128 characters"},
	} {
		if got := outcome(t, tc.settings, append([]string{"manifest"}, tc.args...)...); got.code != exitConfig || !strings.Contains(got.stderr, tc.want) {
			t.Errorf("%s: exit code %d: %s", name, got.code, got.stderr)
		}
	}
}

// TestSetUpPageReadsTheCheck: the lines that docs/liveperson.md explains are those
// of a check that finds all well (TestCheckAllWell).
func TestSetUpPageReadsTheCheck(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "liveperson.md"))
	if err != nil {
		t.Fatal(err)
	}
	check, err := os.ReadFile(filepath.Join("testdata", "check.txt"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| line | what it proves |")
	table, _, _ = strings.Cut(table, "\n\n")
	lines := regexp.MustCompile("(?m)^\\| `([^`]+)`").FindAllStringSubmatch(table, -1)
	if len(lines) < 4 {
		t.Fatalf("only %d lines are explained", len(lines))
	}
	for _, m := range lines {
		if subject := strings.TrimSuffix(m[1], "…"); !strings.Contains(string(check), "\nok    "+subject) {
			t.Errorf("the check says nothing of %s", m[1])
		}
	}
}
