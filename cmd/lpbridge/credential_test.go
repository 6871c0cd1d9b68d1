package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lpbridge/lpauth"
)

// TestWrongCredentialIsToldAtTheStart: nobody waits for a consumer to write to
// find out, and what consumers write meanwhile is kept.
func TestWrongCredentialIsToldAtTheStart(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(map[string]string{"LP_CLIENT_SECRET": "hunter2-hunter2"})
	line := p.awaitLine("no token from LivePerson: nothing can be relayed to agents")
	if line["level"] != "WARN" {
		t.Errorf("logged %v", line)
	}
	await(t, "the state of LivePerson", func() bool { return p.status(t).LivePerson.State == "credential_refused" })
	if a := get(t, p.admin+"/readyz"); a.status != http.StatusOK {
		t.Errorf("/readyz answered %d: %s", a.status, a.body)
	}
	s.post(p, message("a", "a1", "hello"))
	p.terminate()
	if strings.Contains(p.stderr.String(), "hunter2") {
		t.Error("the log has the secret")
	}
	p = s.run(nil)
	s.awaitTexts("a", "hello")
	p.terminate()
	if p.line("no token from LivePerson: nothing can be relayed to agents") != nil {
		t.Error("the right credential is complained about")
	}
}

// TestSecretReplacedInItsFile: a new client secret is taken without a restart,
// and SIGHUP says at once that it was.
func TestSecretReplacedInItsFile(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	path := filepath.Join(t.TempDir(), "secret")
	write := func(secret string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(secret+"\r\n\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("sandbox-secret")
	p := s.run(map[string]string{"LP_CLIENT_SECRET": "", "LP_CLIENT_SECRET_FILE": path})
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	notify := func(secret string) int {
		t.Helper()
		body := `{"kind":"wp"}`
		header := http.Header{"X-Liveperson-Signature": {lpauth.Sign(lpauth.SHA256, secret, []byte(body))}}
		return do(t, http.MethodPost, p.public+"/webhooks/liveperson", header, body).status
	}
	if got := notify("second-secret"); got != http.StatusUnauthorized {
		t.Errorf("a signature with another secret was answered %d", got)
	}
	write("second-secret")
	p.signal(syscall.SIGHUP)
	p.awaitLine("client secret replaced")
	for _, secret := range []string{"second-secret", "sandbox-secret"} {
		if got := notify(secret); got == http.StatusUnauthorized {
			t.Errorf("%s was answered %d", secret, got)
		}
	}
	p.terminate()
}
