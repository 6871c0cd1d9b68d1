//go:build e2e

// Package sandbox_test drives a whole sandbox, bridge and simulator in one
// process, with the clients that others have published. It needs Node and the
// packages of the neighbouring folders: e2e/run installs them.
package sandbox_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// sandbox is a running `lpbridge sandbox`.
type sandbox struct {
	public, simulator, admin string
}

// consumerKey is the key of the installation, by which scripts find consumers.
const consumerKey = "a key of the test, long enough for anyone"

// start builds and runs a sandbox that listens on public, with more environment,
// and ends it with the test.
func start(t *testing.T, public string, env ...string) sandbox {
	t.Helper()
	binary := build(t)
	admin, simulator := freeAddress(t), freeAddress(t)
	cmd := exec.Command(binary, "sandbox")
	cmd.Env = append(os.Environ(), "LPBRIDGE_LISTEN="+public, "LPBRIDGE_ADMIN_LISTEN="+admin, "LPSIM_LISTEN="+simulator, "LPBRIDGE_CONSUMER_KEY="+consumerKey)
	cmd.Env = append(cmd.Env, env...)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the sandbox did not end in order: %v", err)
		}
	})
	awaitReady(t, "http://"+admin+"/readyz")
	return sandbox{public: "http://" + public, simulator: "http://" + simulator, admin: "http://" + admin}
}

// build makes lpbridge.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "lpbridge")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "lpbridge/cmd/lpbridge").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func awaitReady(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_, _ = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the bridge did not become ready")
		}
	}
}

// node runs a script of a neighbouring folder.
func node(t *testing.T, dir, script string, env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "node", script)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
}

func TestChatwootClients(t *testing.T) {
	s := start(t, freeAddress(t))
	node(t, "../chatwootapi", "drive.mjs", "BASE_URL="+s.public, "INBOX=sandbox", "SIM_URL="+s.simulator)
	node(t, "../chatwootapi", "content.mjs", "BASE_URL="+s.public, "INBOX=sandbox", "SIM_URL="+s.simulator)
}
