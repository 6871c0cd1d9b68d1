//go:build unix

package main

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"lpbridge/internal/pgcluster"
)

// stored is what the database has of the owner's peer listener.
func stored(t *testing.T, c *pgcluster.Cluster, column string) string {
	t.Helper()
	value, err := c.Run("postgres", "SELECT "+column+" FROM lpbridge.peer")
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// firstLine sends bytes over a connection and returns the first line of the answer.
func firstLine(t *testing.T, conn net.Conn, text string) string {
	t.Helper()
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	// A server may answer before it has read all.
	_, _ = io.WriteString(conn, text)
	line, _ := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line)
}

// TestPeerListenerTellsStrangersNothing: who cannot read the database gets nothing from the
// peer listener of the running daemon, the former owner's token included, and its token is
// nowhere to be read but there.
func TestPeerListenerTellsStrangersNothing(t *testing.T) {
	t.Parallel()
	s, c := newReplicas(t)
	first := s.run(nil)
	await(t, "the owner's address", func() bool { return stored(t, c, "address") != "" })
	former := stored(t, c, "token")
	second := s.standBy(nil)
	second.awaitReady()
	first.terminate()
	second.awaitStart()
	await(t, "the next owner's address", func() bool { return stored(t, c, "epoch") == "2" })
	address, token := stored(t, c, "address"), stored(t, c, "token")
	if former == token {
		t.Fatal("two owners have one token")
	}
	const request = "POST /channels/webhook HTTP/1.1\r\nHost: x\r\nLpbridge-Peer-Remote: 192.0.2.1:1\r\nContent-Length: 2\r\n"
	for _, of := range []struct{ name, text, want string }{
		{"no token", request + "\r\n{}", "HTTP/1.1 401 Unauthorized"},
		{"wrong token", request + "Lpbridge-Peer-Token: " + strings.Repeat("A", len(token)) + "\r\n\r\n{}", "HTTP/1.1 401 Unauthorized"},
		{"former token", request + "Lpbridge-Peer-Token: " + former + "\r\n\r\n{}", "HTTP/1.1 401 Unauthorized"},
		{"huge header", request + "X-Long: " + strings.Repeat("x", 64<<10) + "\r\n\r\n{}", "HTTP/1.1 431 Request Header Fields Too Large"},
		{"the right token", request + "Lpbridge-Peer-Token: " + token + "\r\nContent-Type: application/json\r\n\r\n{}", "HTTP/1.1 401 Unauthorized"},
	} {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a stranger does
		if err != nil {
			t.Fatal(err)
		}
		if got := firstLine(t, conn, of.text); got != of.want {
			t.Errorf("%s: answered %q, want %q", of.name, got, of.want)
		}
	}
	plain, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if got := firstLine(t, plain, request+"\r\n{}"); got != "HTTP/1.0 400 Bad Request" {
		t.Errorf("plain http: answered %q", got)
	}
	metrics := get(t, second.admin+"/metrics").body
	for _, want := range []string{`lpbridge_peer_requests_total{result="stranger"} 3`, `lpbridge_peer_requests_total{result="taken"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("metrics have no %s", want)
		}
	}
	status := get(t, second.admin+"/status").body
	second.terminate()
	for where, text := range map[string]string{"the log": first.stderr.String() + second.stderr.String(), "the status": status, "metrics": metrics} {
		if strings.Contains(text, token) || strings.Contains(text, former) {
			t.Errorf("%s shows a token", where)
		}
	}
}

// TestGapIsBounded: of a thousand requests that come at once while nobody owns the journal
// as many are held as may be, the rest is told at once to come again, and what was held is
// answered by the next owner.
func TestGapIsBounded(t *testing.T) {
	t.Parallel()
	s, _ := newReplicas(t)
	first := s.run(nil)
	second := s.standBy(nil)
	second.awaitReady()
	first.signal(syscall.SIGSTOP)
	const all = 1000
	answers := make(chan answer, all)
	crowd := &http.Client{Timeout: patience}
	for i := range all {
		body := message("t-"+string(rune('a'+i%20)), "m-"+time.Duration(i).String(), "one of many")
		header := signed(t, body)
		go func() {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, second.public+"/channels/webhook", strings.NewReader(body))
			if err != nil {
				answers <- answer{}
				return
			}
			request.Header = header
			resp, err := crowd.Do(request)
			if err != nil {
				answers <- answer{body: err.Error()}
				return
			}
			resp.Body.Close()
			answers <- answer{status: resp.StatusCode, header: resp.Header}
		}()
	}
	count := map[int]int{}
	for range all {
		a := <-answers
		count[a.status]++
		if a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") == "" {
			t.Error("refused without Retry-After")
		}
		if a.status == 0 {
			t.Error(a.body)
		}
	}
	second.awaitStart()
	if count[http.StatusOK] == 0 || count[http.StatusServiceUnavailable] == 0 || count[http.StatusOK]+count[http.StatusServiceUnavailable] != all {
		t.Errorf("answers by status: %v, want some 200, the rest 503", count)
	}
	if !strings.Contains(get(t, second.admin+"/metrics").body, "lpbridge_held_requests 0\n") {
		t.Error("requests are still held")
	}
	first.kill()
	second.terminate()
}
