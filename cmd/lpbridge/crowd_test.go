package main

import (
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
)

// TestOperatorsGetInThoughFilesRunOut: clients take all connections there are,
// and one channel all requests it may have; the admin listener answers, the log
// says so, and others are served.
func TestOperatorsGetInThoughFilesRunOut(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	// A process with 128 files takes 64 connections, 32 of them for one channel.
	program, err := exec.LookPath("lpbridge")
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command("sh", "-c", `ulimit -n 128 && exec "$0" run`, program), ended: make(chan struct{})}
	p.start(s.with(nil))
	p.awaitStart()
	address := strings.TrimPrefix(p.public, "http://")
	dial := func(request string) net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := fmt.Fprint(conn, request); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	// Requests whose bodies never come.
	const slow = "POST /channels/webhook HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 100\r\nExpect: 100-continue\r\n\r\n"
	for n := range 32 {
		// The interim answer says that the handler waits for the body.
		if _, err := dial(slow).Read(make([]byte, 25)); err != nil {
			t.Fatalf("request %d: %v", n, err)
		}
	}
	body := message("a", "a1", "hello")
	if a := do(t, http.MethodPost, p.public+"/channels/webhook", signed(t, body), body); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("a request more of the channel was answered %d: %s", a.status, a.body)
	}
	if a := do(t, http.MethodPost, p.public+"/webhooks/liveperson", plainJSON, "{}"); a.status != http.StatusUnauthorized {
		t.Errorf("LivePerson was answered %d: %s", a.status, a.body)
	}
	for range 100 {
		dial("")
	}
	if line := p.awaitLine("the public listener has as many connections as may be, others wait"); line["level"] != "WARN" {
		t.Errorf("logged %v", line)
	}
	for _, path := range []string{"/healthz", "/readyz", "/status", "/metrics"} {
		if a := get(t, p.admin+path); a.status != http.StatusOK {
			t.Errorf("%s answered %d: %s", path, a.status, a.body)
		}
	}
	metrics := get(t, p.admin+"/metrics").body
	for _, want := range []string{"lpbridge_connections_limit 64", "lpbridge_connections 64", `lpbridge_requests_refused_total{channel="webhook",reason="unavailable"} 1`} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	checkMetricNames(t, metrics)
	p.kill()
}

// TestSilentConnectionsGiveWay: who keeps a connection open and says nothing
// loses it to who has something to say.
func TestSilentConnectionsGiveWay(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(map[string]string{"LPBRIDGE_MAX_CONNECTIONS": "4"})
	for n := range 12 {
		client := &http.Client{Transport: &http.Transport{}, Timeout: patience}
		t.Cleanup(client.CloseIdleConnections)
		resp, err := client.Get(p.public + "/nothing")
		if err != nil {
			t.Fatalf("client %d: %v", n, err)
		}
		resp.Body.Close()
	}
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	p.terminate()
}
