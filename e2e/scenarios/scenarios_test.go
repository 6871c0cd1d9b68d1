//go:build e2e

// Package scenarios plays lpsim's scenarios with processes: lpbridge must pass, and a small connector in Python must be
// told what it does wrong. The tests that the simulator's README shows run too. It needs Python 3 and Node.js.
package scenarios_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// build makes a program of this module.
func build(t *testing.T, name string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/"+name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return path
}

// address is one on loopback where nobody listens.
func address(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// start runs a program until the test ends.
func start(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	var log bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = append(os.Environ(), env...), &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		stop := time.AfterFunc(10*time.Second, func() { _ = cmd.Process.Kill() })
		defer stop.Stop()
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
}

// answers waits until something listens.
func answers(t *testing.T, at string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+at+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			return
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// places are where everybody listens.
type places struct{ livePerson, channel, connector string }

func newPlaces(t *testing.T) places { return places{address(t), address(t), address(t)} }

// play runs scenarios and returns what was printed, and whether the connector passed.
func (p places) play(t *testing.T, connector, notifications string, args ...string) (string, bool) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), build(t, "lpsim"), append([]string{
		"run", "--connector", "http://" + p.connector + connector, "--notifications", "http://" + p.connector + notifications,
	}, args...)...)
	cmd.Env = append(os.Environ(), "LPSIM_LISTEN="+p.livePerson, "LPSIM_CHANNEL_LISTEN="+p.channel)
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	return string(out), err == nil
}

// TestLpbridge plays those that take too long for the tests of lpbridge itself.
func TestLpbridge(t *testing.T) {
	t.Parallel()
	p := newPlaces(t)
	bridge(t, build(t, "lpbridge"), p)
	if _, passed := p.play(t, "/channels/webhook", "/webhooks/liveperson", "channel-down", "in-between", "outage", "throttled"); !passed {
		t.Error("lpbridge did not pass")
	}
}

// bridge runs lpbridge with the simulator as LivePerson.
func bridge(t *testing.T, program string, p places) {
	t.Helper()
	start(t, []string{
		"LPBRIDGE_LISTEN=" + p.connector, "LPBRIDGE_ADMIN_LISTEN=127.0.0.1:0", "LPBRIDGE_CHANNELS=webhook",
		"LPBRIDGE_STORE=sqlite:" + filepath.Join(t.TempDir(), "lpbridge.db"),
		"LP_ACCOUNT_ID=sandbox", "LP_CLIENT_ID=sandbox-client", "LP_CLIENT_SECRET=sandbox-secret",
		"LP_DOMAIN_API_URL=http://" + p.livePerson, "LP_ALLOW_PLAIN_HTTP=true", "WEBHOOK_ALLOW_UNSIGNED=true", "WEBHOOK_URL=http://" + p.channel + "/",
	}, program, "run")
	answers(t, p.connector)
}

// TestNaiveConnector: a connector that keeps nothing and repeats nothing is told so.
func TestNaiveConnector(t *testing.T) {
	t.Parallel()
	p := newPlaces(t)
	_, port, err := net.SplitHostPort(p.connector)
	if err != nil {
		t.Fatal(err)
	}
	start(t, []string{"PORT=" + port, "LP_URL=http://" + p.livePerson, "CHANNEL_URL=http://" + p.channel + "/"},
		"python3", "../../connector/lpsim/scenario/testdata/naive.py")
	answers(t, p.connector)
	out, passed := p.play(t, "/consumers", "/liveperson", "typing", "comes-back", "applied-errors", "channel-fails", "--within", "5s")
	if passed {
		t.Fatal("it passed")
	}
	for _, want := range []string{
		"typing left: the agent still sees ana typing",
		`receipt: no ACCEPT for "sent while typing`,
		`lost: "One more thing.`,
		"twice: ",
		`lost: "first answer`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it is not told %q", want)
		}
	}
}
