package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// shellBlock is a block of a document that a reader pastes into a shell.
var shellBlock = regexp.MustCompile("(?ms)^ *```(?:sh|bash|console)\n(.*?)^ *```")

// notRun begins the reason why nothing runs a line.
const notRun = "not run: "

// commandLines are the shell lines of the documents by page, each with what runs it:
// a test, or a script of .ci/run or of the Makefile; or why nothing does.
var commandLines = map[string][][2]string{
	"README.md": {
		{"go run ./cmd/lpbridge sandbox", "TestReadme"},
		{"curl -sS http://127.0.0.1:80", "TestReadme"},
		{"go test ./...", ".ci/run"},
		{"export LP_ACCOUNT_ID=", "TestRunAsTheREADMESays"},
		{"export LPBRIDGE_CHANNELS=", "TestRunAsTheREADMESays"},
		{"lpbridge check && lpbridge run", "TestRunAsTheREADMESays"},
	},
	"CONTRIBUTING.md": {{"go build ./cmd/...", ".ci/run"}, {"go test ./...", ".ci/run"}},
	"docs/deploy.md": {
		{"install -", "TestInstallLines"},
		{"kubectl create secret generic", "deploy/helm-test"},
		{"helm install bridge deploy/chart", notRun + "it wants a cluster; deploy/helm-test renders the same with the same values, tools/deploy decodes it as Kubernetes does"},
	},
	"docs/liveperson.md": {
		{"export LPBRIDGE_PUBLIC_URL=", "TestManifestLines"}, {"lpbridge manifest > app.json", "TestManifestLines"},
		{"lpbridge check", "TestSetUpLines"}, {"lpbridge trace t-42 --channel webhook", "TestSetUpLines"},
	},
	"docs/operations.md": {{"lpbridge backup lpbridge-copy.db", "TestSetUpLines"}, {"lpbridge migrate-store --to", "TestMigrateStore"}},
	"docs/release.md": {
		{"git tag -s", notRun + "it wants the key of whoever releases"},
		{"make release VERSION=", notRun + "four platforms twice, once from an empty cache, take a quarter of an hour; .ci/run does it for one"},
		{"buildah bud --platform", notRun + "the second platform wants an emulator; deploy/image-test builds the first"},
		{"buildah manifest push", notRun + "it wants a registry"},
		{"cosign ", notRun + "it wants an identity and a registry"},
		{"sha256sum --check --ignore-missing checksums.txt", "TestChecksumsAreThoseOfSha256sum"},
		{"lpbridge --version", "TestInstallLines"},
	},
	"bridge/chatwootapi/README.md": {{"", "TestLinesOfChatwootAPI"}},
	"bridge/layer/README.md": {
		{"L", "TestLinesOfLayer"}, {"B=", "TestSandboxIdentities"}, {"value() ", "TestSandboxIdentities"}, {"nonce=", "TestSandboxIdentities"},
		{"token=", "TestSandboxIdentities"}, {"curl ", "TestSandboxIdentities"},
	},
	"connector/lpsim/README.md": {
		{"go run ./cmd/lpsim run --connector", "TestLpbridge"}, {"go run ./cmd/lpsim", "TestItServesUntilItIsTold"},
		{"LPSIM_CA_FILE=/tmp/lpsim.pem LPSIM_SURVEY=true go run", "TestItServesHTTPSWithAnAuthorityOfItsOwn"},
		{"NODE_EXTRA_CA_CERTS=", notRun + "the demo app is on no package registry; its recorded session is TestLivePersonsDemoApp"},
		{"lpbridge check --learn --report learnt.json", "TestCheckLearns"}, {"LPSIM_FAULTS=$(jq", "TestCheckLearns"},
	},
	"bridge/livechatai/README.md": {{"", "TestReadmeSigns"}},
	"bridge/webhook/README.md":    {{"", "TestExampleCommands"}},
	"e2e/layer/README.md":         {{"npm install", "e2e/run"}, {"go test -tags e2e -v ./e2e/layer/", "e2e/run"}},
}

// TestEveryCommandLineIsRun: what a document says one can type is typed by something,
// or it is said why not.
func TestEveryCommandLineIsRun(t *testing.T) {
	tests := map[string]bool{}
	for _, s := range sources(t) {
		for _, name := range testsOf(s) {
			tests[name] = true
		}
	}
	used := map[string]bool{}
	for page, text := range documents(t) {
		for _, line := range shellLines(text) {
			i := slices.IndexFunc(commandLines[page], func(known [2]string) bool { return strings.HasPrefix(line, known[0]) })
			if i < 0 {
				t.Errorf("%s says %q, which nothing runs", page, line)
				continue
			}
			used[page+commandLines[page][i][0]] = true
		}
	}
	for page, lines := range commandLines {
		for _, known := range lines {
			if !used[page+known[0]] {
				t.Errorf("%s does not say %q", page, known[0])
			}
			_, err := os.Stat(filepath.Join(root, known[1]))
			if !strings.HasPrefix(known[1], notRun) && !tests[known[1]] && err != nil {
				t.Errorf("%s: %q is to be run by %s, which there is not", page, known[0], known[1])
			}
		}
	}
}

// shellLines are the lines of all shell blocks of a page, those that go on as one.
func shellLines(page string) (lines []string) {
	for _, block := range shellBlock.FindAllStringSubmatch(page, -1) {
		text := regexp.MustCompile(`(\\|\|)\n\s*`).ReplaceAllString(block[1], "$1 ")
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// pagesLines are the lines of a page that a test runs, changed to fit its surroundings.
func pagesLines(t *testing.T, page, test string, here ...string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(page)))
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, line := range shellLines(string(text)) {
		for _, known := range commandLines[page] {
			if strings.HasPrefix(line, known[0]) {
				if known[1] == test {
					lines = append(lines, line)
				}
				break
			}
		}
	}
	if len(lines) == 0 {
		t.Fatalf("%s has no line for %s", page, test)
	}
	script := strings.Join(lines, "\n") + "\n"
	for i := 0; i+1 < len(here); i += 2 {
		if !strings.Contains(script, here[i]) {
			t.Fatalf("the lines of %s do not say %q:\n%s", page, here[i], script)
		}
		script = strings.ReplaceAll(script, here[i], here[i+1])
	}
	return script
}

// shell runs lines as a reader does, and returns what they print.
func shell(t *testing.T, settings map[string]string, dir, script string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-e", "-c", script)
	cmd.Dir, cmd.Env = dir, append(environ(settings), "PATH="+os.Getenv("PATH"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v:\n%s\nof\n%s", err, out, script)
	}
	return string(out)
}

// secretFile is a file with a secret.
func secretFile(t *testing.T, secret string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestRunAsTheREADMESays pastes the lines under "Run it".
func TestRunAsTheREADMESays(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	script := pagesLines(t, "README.md", "TestRunAsTheREADMESays",
		"LP_ACCOUNT_ID=…", "LP_ACCOUNT_ID=sandbox", "LP_CLIENT_ID=…", "LP_CLIENT_ID=sandbox-client", "/run/secrets/lp", secretFile(t, "sandbox-secret"),
		"/run/secrets/webhook", secretFile(t, channelSecret), "https://channel.example/events", s.settings["WEBHOOK_URL"],
		// The process that is ended at the end is the bridge.
		"&& lpbridge run", "&& exec lpbridge run")
	settings := s.with(map[string]string{
		"LP_ACCOUNT_ID": "", "LP_CLIENT_ID": "", "LP_CLIENT_SECRET": "", "LPBRIDGE_CHANNELS": "", "WEBHOOK_SECRET": "", "WEBHOOK_URL": "", "PATH": os.Getenv("PATH"),
	})
	p := &process{t: t, cmd: exec.Command("sh", "-e", "-c", script), ended: make(chan struct{})}
	p.start(settings)
	p.awaitStart()
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	p.terminate()
}

// TestSetUpLines pastes what the set-up by LivePerson and the operations say, beside a
// running bridge.
func TestSetUpLines(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	s.post(p, message("t-42", "evt-1", "hello"))
	s.awaitTexts("t-42", "hello")
	dir := t.TempDir()
	settings := s.with(map[string]string{"LPBRIDGE_ADMIN_LISTEN": strings.TrimPrefix(p.admin, "http://")})
	settings["LPBRIDGE_PUBLIC_URL"] = p.public
	printed := shell(t, settings, dir, pagesLines(t, "docs/liveperson.md", "TestSetUpLines"))
	if !strings.Contains(printed, "evt-1") || !strings.Contains(printed, "LPBRIDGE_PUBLIC_URL") {
		t.Errorf("printed\n%s", printed)
	}
	shell(t, settings, dir, pagesLines(t, "docs/operations.md", "TestSetUpLines"))
	if info, err := os.Stat(filepath.Join(dir, "lpbridge-copy.db")); err != nil || info.Size() == 0 {
		t.Errorf("the copy: %v", err)
	}
	p.terminate()
}

// TestManifestLines writes the app installation for the address the page decides on.
func TestManifestLines(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shell(t, newStage(t).settings, dir, pagesLines(t, "docs/liveperson.md", "TestManifestLines"))
	if app, err := os.ReadFile(filepath.Join(dir, "app.json")); err != nil || !strings.Contains(string(app), "https://bridge.example/webhooks/liveperson") {
		t.Errorf("%s %v", app, err)
	}
}

// TestInstallLines installs below another root, from what an archive holds.
func TestInstallLines(t *testing.T) {
	t.Parallel()
	target, dir := t.TempDir(), t.TempDir()
	program, err := exec.LookPath("lpbridge")
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{program: "lpbridge", filepath.Join(root, "deploy", "lpbridge.service"): "lpbridge.service"} {
		from, err := filepath.Abs(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(from, filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"usr/local/bin", "etc/systemd/system"} {
		if err := os.MkdirAll(filepath.Join(target, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	shell(t, nil, dir, pagesLines(t, "docs/deploy.md", "TestInstallLines", "/usr/local", target+"/usr/local", "/etc/", target+"/etc/"))
	for path, mode := range map[string]os.FileMode{"usr/local/bin/lpbridge": 0o755, "etc/systemd/system/lpbridge.service": 0o644, "etc/lpbridge": 0o700} {
		if info, err := os.Stat(filepath.Join(target, path)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", path, info, err)
		}
	}
	if printed := shell(t, nil, dir, pagesLines(t, "docs/release.md", "TestInstallLines")); !strings.HasPrefix(printed, "lpbridge ") {
		t.Errorf("the version is %q", printed)
	}
}

// TestLinesOfChatwootAPI pastes the set-up of the channel and what it says to try.
func TestLinesOfChatwootAPI(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	settings := map[string]string{"WEBHOOK_SECRET": "", "WEBHOOK_URL": ""}
	script := assigned(t, pagesLines(t, "bridge/chatwootapi/README.md", "TestLinesOfChatwootAPI"), settings)
	p := s.run(settings)
	printed := shell(t, nil, t.TempDir(), strings.ReplaceAll(script, "https://chat.example.com", p.public))
	if !strings.Contains(printed, `"content":"hello"`) {
		t.Errorf("printed\n%s", printed)
	}
	await(t, "the words", func() bool { return (&everyChannel{stage: s}).conversationWith("hello") != "" })
	p.terminate()
}

// TestLinesOfLayer starts a bridge with the variables its page sets.
func TestLinesOfLayer(t *testing.T) {
	t.Parallel()
	u := newLayerUsers(t)
	u.p.terminate()
	settings := map[string]string{}
	if left := assigned(t, pagesLines(t, "bridge/layer/README.md", "TestLinesOfLayer"), settings); left != "" {
		t.Errorf("these lines set nothing:\n%s", left)
	}
	// The page cannot know ids and keys.
	if !strings.Contains(settings["LAYER_PROVIDER_KEYS"], "=/etc/lpbridge/layer.pem") || !strings.HasPrefix(settings["LAYER_APP_IDS"], "layer:///apps/") {
		t.Errorf("the page sets %v", settings)
	}
	settings["LAYER_PROVIDER_KEYS"] = u.provider()
	settings["WEBHOOK_SECRET"], settings["WEBHOOK_URL"] = "", ""
	u.run(settings).terminate()
}

// TestSandboxIdentities logs in as the page of Layer does without a backend.
func TestSandboxIdentities(t *testing.T) {
	t.Parallel()
	x := servedChannels(t, nil)
	printed := shell(t, map[string]string{"APP_ID": "sandbox"}, t.TempDir(), pagesLines(t, "bridge/layer/README.md", "TestSandboxIdentities", "https://chat.example.com", x.p.public))
	if !strings.Contains(printed, `"session_token":"`) {
		t.Errorf("printed\n%s", printed)
	}
	x.p.terminate()
}

// assigned takes the variables that lines set for the settings of a bridge, and returns
// the other lines.
func assigned(t *testing.T, script string, into map[string]string) (left string) {
	t.Helper()
	for line := range strings.Lines(script) {
		if m := regexp.MustCompile(`^([A-Z]+_[A-Z_]+)=(\S+)(?:\s+#.*)?\n`).FindStringSubmatch(line); m != nil {
			into[m[1]] = m[2]
			continue
		}
		left += line
	}
	if len(into) == 0 {
		t.Fatal("nothing is set")
	}
	return left
}
