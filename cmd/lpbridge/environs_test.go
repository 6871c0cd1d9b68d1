package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lpbridge/lpauth"
)

// TestStopBesideACollectorThatHangs: who takes traces and never answers does not keep
// the process past its budget.
func TestStopBesideACollectorThatHangs(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	held := make(chan struct{})
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-held:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(collector.Close)
	t.Cleanup(func() { close(held) })
	p := s.run(map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.URL, "OTEL_EXPORTER_OTLP_TIMEOUT": "600000", "LPBRIDGE_SHUTDOWN_TIMEOUT": "3s"})
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	p.signal(syscall.SIGTERM)
	if code := p.exit(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}

// TestSecretReplacedByKubernetes: a mounted secret is a link to a link that is turned
// to another folder, which watchers of the file itself do not see.
func TestSecretReplacedByKubernetes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	mount := t.TempDir()
	turn := func(folder, secret string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Join(mount, folder), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(mount, folder, "secret"), []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(folder, filepath.Join(mount, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(mount, "..data_tmp"), filepath.Join(mount, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	turn("..2026_01", "sandbox-secret")
	if err := os.Symlink(filepath.Join("..data", "secret"), filepath.Join(mount, "secret")); err != nil {
		t.Fatal(err)
	}
	p := s.run(map[string]string{"LP_CLIENT_SECRET": "", "LP_CLIENT_SECRET_FILE": filepath.Join(mount, "secret")})
	turn("..2026_02", "second-secret")
	p.signal(syscall.SIGHUP)
	p.awaitLine("client secret replaced")
	body := `{"kind":"wp"}`
	header := http.Header{"X-Liveperson-Signature": {lpauth.Sign(lpauth.SHA256, "second-secret", []byte(body))}}
	if a := do(t, http.MethodPost, p.public+"/webhooks/liveperson", header, body); a.status == http.StatusUnauthorized {
		t.Errorf("the new secret is not believed: %s", a.body)
	}
	p.terminate()
}

// TestScannersMakeNoSeries: who asks for a thousand paths makes no more series than who
// asks for one.
func TestScannersMakeNoSeries(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(s.everyChannel())
	scan := func(from, to int) int {
		for n := from; n < to; n++ {
			for _, path := range []string{"/%d.php", "/channels/%d", "/layer/%d", "/public/api/v1/inboxes/%d/contacts", "/files/%d", "/rails/active_storage/blobs/redirect/%d/a"} {
				do(t, http.MethodGet, p.public+fmt.Sprintf(path, n), nil, "")
			}
		}
		n := 0
		for line := range strings.Lines(get(t, p.admin+"/metrics").body) {
			if strings.HasPrefix(line, "lpbridge_") {
				n++
			}
		}
		return n
	}
	if one, many := scan(0, 1), scan(1, 100); many != one {
		t.Errorf("%d series after one round of paths, %d after a hundred", one, many)
	}
	p.terminate()
}
