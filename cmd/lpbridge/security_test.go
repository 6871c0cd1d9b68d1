package main

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"lpbridge/bridge"
)

// everyChannel are the settings of a bridge that serves all channels there are.
func (s *stage) everyChannel() map[string]string {
	settings := map[string]string{"LPBRIDGE_CHANNELS": strings.Join(adapterNames(), ","), "LPBRIDGE_PUBLIC_URL": "https://bridge.example"}
	for _, a := range adapters {
		if a.name == "webhook" {
			continue
		}
		maps.Copy(settings, a.example)
		if a.sandbox != nil {
			maps.Copy(settings, a.sandbox)
		}
	}
	// Nobody is called who is not of this machine.
	away := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	s.t.Cleanup(away.Close)
	settings["CHATWOOT_BASE_URL"], settings["LIVECHATAI_BASE_URL"] = away.URL, away.URL
	return settings
}

// TestEveryDoor knocks at each door of a bridge with all channels, without the
// proof it wants and with more than it takes.
func TestEveryDoor(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(s.everyChannel())
	megabytes := func(n int) string { return strings.Repeat("x", n<<20+1) }
	inbox := "/public/api/v1/inboxes/sandbox"
	refused := map[refusalKind]int{}
	for _, tc := range []struct {
		name, method, path string
		body               string
		status             int
	}{
		{"LivePerson without a signature", "POST", "/webhooks/liveperson", "{}", 401},
		{"LivePerson, too long", "POST", "/webhooks/liveperson", megabytes(8), 413},
		{"a file nobody has", "GET", "/files/AAAAAAAAAAAAAAAAAAAAAAAAAA", "", 404},
		{"webhook without a signature", "POST", "/channels/webhook", "{}", 401},
		{"webhook, too long", "POST", "/channels/webhook", megabytes(1), 413},
		{"chatwoot without a signature", "POST", "/channels/chatwoot", "{}", 401},
		{"chatwoot, too long", "POST", "/channels/chatwoot", megabytes(4), 413},
		{"livechatai without a signature", "POST", "/channels/livechatai", "{}", 401},
		{"livechatai, too long", "POST", "/channels/livechatai", megabytes(1), 413},
		{"chatwootapi, an inbox nobody has", "POST", "/public/api/v1/inboxes/nobody/contacts", "{}", 404},
		{"chatwootapi, a contact nobody has", "GET", inbox + "/contacts/nobody", "", 404},
		{"chatwootapi, too long", "POST", inbox + "/contacts", megabytes(2), 413},
		{"chatwootapi, a path it has not", "GET", "/public/api/v1/csat_survey/nobody", "", 404},
		{"the cable without an upgrade", "GET", "/cable", "", 404},
		{"a survey nobody has, which says nothing", "POST", "/survey/responses/nobody", "", 200},
		{"a contact's file nobody has", "GET", "/rails/active_storage/blobs/redirect/nobody/a.png", "", 404},
		{"layer without a session", "GET", "/layer/conversations", "", 401},
		{"layer, a socket without a session", "GET", "/layer/?upgrade", "", 401},
		{"layer, a session for nothing", "POST", "/layer/sessions", `{"identity_token":"nothing","app_id":"sandbox"}`, 422},
		{"layer, too long", "POST", "/layer/sessions", megabytes(1), 413},
		{"layer, an upload nobody waits for", "PUT", "/layer/uploads/nobody", "x", 404},
		{"an address without a door", "POST", "/nothing", "{}", 404},
		{"LivePerson by another method", "GET", "/webhooks/liveperson", "", 405},
		{"webhook by another method", "GET", "/channels/webhook", "", 405},
		{"chatwoot by another method", "PUT", "/channels/chatwoot", "{}", 405},
		{"livechatai by another method", "DELETE", "/channels/livechatai", "", 405},
		{"webhook as a form", "POST", "/channels/webhook?form", "a=b", 415},
		{"livechatai as a form", "POST", "/channels/livechatai?form", "a=b", 415},
		{"chatwootapi, no JSON", "POST", inbox + "/contacts", "{", 400},
		{"chatwootapi, a name that is none", "POST", inbox + "/contacts", `{"email":"nonsense"}`, 422},
		{"chatwootapi, a proof that is none", "POST", inbox + "/contacts", `{"identifier":"ana","identifier_hash":"00"}`, 500},
		{"layer, another version", "POST", "/layer/nonces?version", "", 406},
		{"layer, no JSON", "POST", "/layer/sessions", "{", 400},
		{"layer, an app that is none", "POST", "/layer/sessions", `{"identity_token":"x","app_id":"nobody"}`, 403},
		{"layer by another method", "PUT", "/layer/conversations", "{}", 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			header := plainJSON.Clone()
			if strings.HasPrefix(tc.path, "/layer/") {
				header.Set("Accept", "application/vnd.layer+json; version=3.0")
			}
			if path, form := strings.CutSuffix(tc.path, "?form"); form {
				tc.path = path
				header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			if path, version := strings.CutSuffix(tc.path, "?version"); version {
				tc.path = path
				header.Set("Accept", "application/vnd.layer+json; version=7.0")
			}
			if path, upgrade := strings.CutSuffix(tc.path, "?upgrade"); upgrade {
				tc.path = path
				for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Sec-WebSocket-Protocol": "layer-3.0"} {
					header.Set(name, value)
				}
			}
			a := do(t, tc.method, p.public+tc.path, header, tc.body)
			if a.status != tc.status {
				t.Errorf("answered %d, want %d: %.200s", a.status, tc.status, a.body)
			}
			if reason := reasonOf(a.status); reason != "" {
				refused[refusalKind{channelOfDoor(tc.path, a.status), reason}]++
			}
		})
	}
	p.checkRefusals(refused)
	p.terminate()
}

// channelOfDoor is whose an address is.
func channelOfDoor(path string, status int) string {
	for prefix, channel := range map[string]string{
		"/webhooks/liveperson": "liveperson", "/files/": "liveperson", "/channels/webhook": "webhook", "/channels/chatwoot": "chatwoot",
		"/channels/livechatai": "livechatai", "/public/": "chatwootapi", "/cable": "chatwootapi", "/rails/": "chatwootapi", "/layer/": "layer",
	} {
		// Only a door that has its method in its pattern is no door for another one.
		if strings.HasPrefix(path, prefix) && (status != http.StatusMethodNotAllowed || channel != "liveperson") {
			return channel
		}
	}
	return nobody
}

// checkRefusals wants each kind of refusal in the metrics, in what the console shows, and
// in the log once.
func (p *process) checkRefusals(want map[refusalKind]int) {
	p.t.Helper()
	if len(want) < 20 {
		p.t.Errorf("only %d kinds of refusal were tried", len(want))
	}
	metrics, shown := get(p.t, p.admin+"/metrics").body, map[refusalKind]int64{}
	for _, r := range p.status(p.t).Refusals {
		shown[refusalKind{r.Channel, r.Reason}] = r.Count
	}
	told := map[refusalKind]int{}
	for line := range strings.Lines(p.stderr.String()) {
		var said struct{ Level, Msg, Channel, Reason string }
		if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "requests are refused" && said.Level == "WARN" {
			told[refusalKind{said.Channel, said.Reason}]++
		}
	}
	for kind, n := range want {
		if line := fmt.Sprintf("lpbridge_requests_refused_total{channel=%q,reason=%q} %d\n", kind.channel, kind.reason, n); !strings.Contains(metrics, line) {
			p.t.Errorf("the metrics lack %s", line)
		}
		if shown[kind] != int64(n) || told[kind] != 1 {
			p.t.Errorf("%v: %d times, the console shows %d and the log has %d lines", kind, n, shown[kind], told[kind])
		}
	}
}

// securityDoors are the rows of the table in docs/security.md: the door's cell
// and the whole row.
func securityDoors(t *testing.T) map[string]string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "## Doors")
	table, _, _ = strings.Cut(table, "\n## ")
	rows := map[string]string{}
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) > 6 && strings.Contains(cells[1], "`/") {
			rows[cells[1]] = line
		}
	}
	if len(rows) < 10 {
		t.Fatalf("only %d doors were found", len(rows))
	}
	return rows
}

// TestSecurityPageHasEveryDoor: a door that is added is added to the page.
func TestSecurityPageHasEveryDoor(t *testing.T) {
	var doors []string
	for cell := range securityDoors(t) {
		for _, m := range regexp.MustCompile("`(/[^`]*)`").FindAllStringSubmatch(cell, -1) {
			doors = append(doors, strings.TrimRight(strings.TrimSuffix(m[1], "…"), "/"))
		}
	}
	routes := []bridge.Route{{Pattern: "POST /webhooks/liveperson"}, {Pattern: "GET /files/{token}"}}
	made, err := exampleAdapters()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range made {
		routes = append(routes, a.Routes()...)
	}
	if len(routes) < 30 {
		t.Fatalf("only %d routes were found", len(routes))
	}
	for _, r := range routes {
		_, path, found := strings.Cut(r.Pattern, " ")
		if !found {
			path = r.Pattern
		}
		covered := false
		for _, d := range doors {
			covered = covered || path == d || strings.HasPrefix(path, d+"/")
		}
		if !covered {
			t.Errorf("docs/security.md says nothing of %s", r.Pattern)
		}
	}
}

// TestSecurityPageNamesItsTests: each line names at least one test of the running
// daemon, and all tests it names are there.
func TestSecurityPageNamesItsTests(t *testing.T) {
	folders := map[string]map[string]bool{}
	for _, s := range sources(t) {
		if !s.test {
			continue
		}
		for _, d := range s.tree.Decls {
			f, is := d.(*ast.FuncDecl)
			if !is || f.Recv != nil {
				continue
			}
			if folders[f.Name.Name] == nil {
				folders[f.Name.Name] = map[string]bool{}
			}
			folders[f.Name.Name][s.folder()] = true
		}
	}
	page, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test[A-Za-z0-9]+|Fuzz[A-Za-z0-9]+)`")
	for _, m := range named.FindAllStringSubmatch(string(page), -1) {
		if folders[m[1]] == nil {
			t.Errorf("docs/security.md names %s, which there is not", m[1])
		}
	}
	n := 0
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| Door") || strings.HasPrefix(line, "| What") || strings.HasPrefix(line, "| Attack") {
			continue
		}
		n++
		onDaemon := false
		for _, m := range named.FindAllStringSubmatch(line, -1) {
			onDaemon = onDaemon || folders[m[1]]["cmd/lpbridge"]
		}
		if !onDaemon {
			t.Errorf("no test of the running daemon is named by: %.80s", line)
		}
	}
	if n < 15 {
		t.Errorf("only %d lines were found", n)
	}
}

// TestNothingIsReadBeyondTheLimits: the limits of the table that are numbers of
// the server are those of the server.
func TestNothingIsReadBeyondTheLimits(t *testing.T) {
	page, err := os.ReadFile(filepath.Join(root, "docs", "security.md"))
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]bool{
		"headers within 5 s":      headerTime.Seconds() == 5,
		"requests within 15 s":    readTime.Seconds() == 15,
		"answers within 30 s":     writeTime.Seconds() == 30,
		"silence after 2 min":     idleTime.Minutes() == 2,
		"headers up to 32 KiB":    maxHeader == 32<<10,
		"half of the connections": channelShare == 2,
	} {
		if !want || !strings.Contains(string(page), what) {
			t.Errorf("docs/security.md does not say %q, or it is not so", what)
		}
	}
}

// TestFilesOfThisNetworkAreNotFetched: a consumer who names an address of ours as
// a file makes nobody call it; the agent gets the address as words.
func TestFilesOfThisNetworkAreNotFetched(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	var called atomic.Int32
	private := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	t.Cleanup(private.Close)
	for i, address := range []string{private.URL + "/a.png", "http://169.254.169.254/latest/meta-data/a.png", "http://[::1]/a.png"} {
		s.post(p, fmt.Sprintf(`{"id":"f%d","type":"message","thread":"a","consumer":{"id":"consumer-of-a"},"message":{"attachments":[{"url":%q}]}}`, i, address))
	}
	await(t, "three links", func() bool { return len(s.texts("a")) == 3 })
	if n := called.Load(); n != 0 {
		t.Errorf("a machine of this network was called %d times", n)
	}
	p.terminate()
}
