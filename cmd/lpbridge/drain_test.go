package main

import (
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
)

// TestDrain: whoever asks /readyz is told to go elsewhere while the port still
// takes what comes, and only then it closes.
func TestDrain(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(map[string]string{"LPBRIDGE_DRAIN_DELAY": "10m"})
	if a := get(t, p.admin+"/readyz"); a.status != http.StatusOK {
		t.Fatalf("/readyz answered %d: %s", a.status, a.body)
	}
	p.signal(syscall.SIGTERM)
	p.awaitLine("draining")
	if a := get(t, p.admin+"/readyz"); a.status != http.StatusServiceUnavailable || !strings.Contains(a.body, `"stop"`) {
		t.Errorf("/readyz answered %d: %s", a.status, a.body)
	}
	if a := get(t, p.admin+"/healthz"); a.status != http.StatusOK {
		t.Errorf("/healthz answered %d: a supervisor would kill the process", a.status)
	}
	connectionIsClosed(t, p.public)
	s.post(p, message("a", "a1", "while it drains"))
	s.awaitTexts("a", "while it drains")
	if p.line("stopping") != nil {
		t.Error("the stop began before the delay was over")
	}
	// Nobody has to wait who does not want to.
	await(t, "the end", func() bool {
		p.signal(syscall.SIGTERM)
		return p.over()
	})

	p = s.run(map[string]string{"LPBRIDGE_DRAIN_DELAY": "1s"})
	p.terminate()
	if p.line("draining") == nil || p.line("stopped") == nil {
		t.Error("the process did not say that it drained and stopped")
	}
}

// connectionIsClosed: who may keep a connection for its next request is told not
// to.
func connectionIsClosed(t *testing.T, public string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(public, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	// Without it this reads until the server has had enough of the silence.
	if got, err := io.ReadAll(c); err != nil || !strings.Contains(string(got), "\r\nConnection: close\r\n") {
		t.Errorf("%v: %s", err, got)
	}
}
