package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"lpbridge/connector/lpsim"
)

func TestRunbookTokenExpires(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	if err := s.sim.SetFaults(lpsim.Faults{ErrorRate: lpsim.Rates{lpsim.SentinelAPI: 1}, ErrorStatus: http.StatusServiceUnavailable}); err != nil {
		t.Fatal(err)
	}
	p := s.run(nil)
	m := watched(t, p)
	m.fires("LpbridgeTokenExpires")
	s.post(p, message("a", "a1", "kept"))
	if line := p.awaitLine("app token not renewed"); !strings.Contains(fmt.Sprint(line["error"]), "503") {
		t.Errorf("the log does not say why: %v", line)
	}
	m.quiet("LpbridgeCredentialRefused")
	if err := s.sim.SetFaults(lpsim.Faults{}); err != nil {
		t.Fatal(err)
	}
	s.awaitTexts("a", "kept")
	m.ends("LpbridgeTokenExpires")
	// The token there is now lasts for an hour at most.
	if m.firing("LpbridgeTokenExpires", time.Now().Add(30*time.Minute)) || !m.firing("LpbridgeTokenExpires", time.Now().Add(time.Hour)) {
		t.Error("the end of the token is not an hour away")
	}
	p.terminate()
}

// TestRunbookJournalLostEvents: the database comes back without its log.
func TestRunbookJournalLostEvents(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	m := watched(t, p)
	s.post(p, message("a", "a1", "one"))
	s.awaitTexts("a", "one")
	p.terminate()
	s.away(t, true)
	p = s.run(nil)
	m.follow(p)
	m.quiet("LpbridgeJournalLostEvents")
	s.post(p, message("a", "a2", "two"))
	s.post(p, message("b", "b1", "three"))
	p.kill()
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(s.journalFile() + suffix); err != nil {
			t.Fatal(err)
		}
	}
	s.away(t, false)
	p = s.run(nil)
	m.follow(p)
	m.fires("LpbridgeJournalLostEvents")
	line := p.awaitLine("journal: the log lost its end, or the files are not those of the last process; events that were accepted are gone")
	if line["level"] != "ERROR" || line["events_at_most"] != m.value("lpbridge_journal_lost_events") {
		t.Errorf("logged %v", line)
	}
	for id, want := range map[string]string{"a1": `{"accepted":0,"duplicates":1}`, "a2": `{"accepted":1,"duplicates":0}`, "b1": `{"accepted":1,"duplicates":0}`} {
		body := message(id[:1], id, map[string]string{"a1": "one", "a2": "two", "b1": "three"}[id])
		if a := do(t, http.MethodPost, p.public+"/channels/webhook", signed(t, body), body); strings.TrimSpace(a.body) != want {
			t.Errorf("%s repeated was answered %d: %s", id, a.status, a.body)
		}
	}
	s.awaitTexts("a", "one", "two")
	s.awaitTexts("b", "three")
	m.fires("LpbridgeJournalLostEvents")
	p.terminate()
	p = s.run(nil)
	m.follow(p)
	m.ends("LpbridgeJournalLostEvents")
	p.terminate()
}

func TestRunbookConnectionsFull(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(map[string]string{"LPBRIDGE_MAX_CONNECTIONS": "4"})
	m := watched(t, p)
	m.quiet("LpbridgeConnectionsFull")
	// Each says something from time to time, so that none of them gives way.
	for range 8 {
		conn, err := net.Dial("tcp", strings.TrimPrefix(p.public, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if _, err := fmt.Fprint(conn, "POST /webhooks/liveperson HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	m.fires("LpbridgeConnectionsFull")
	if limit := m.value("lpbridge_connections_limit"); limit != 4 {
		t.Errorf("the limit is %v", limit)
	}
	if a := get(t, p.admin+"/status"); a.status != http.StatusOK {
		t.Errorf("operators are answered %d", a.status)
	}
	p.kill()
	p = s.run(map[string]string{"LPBRIDGE_MAX_CONNECTIONS": "400"})
	m.follow(p)
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	m.ends("LpbridgeConnectionsFull")
	p.terminate()
}

func TestRunbookCertificateExpires(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	dir := t.TempDir()
	cert, key := newPair(t, dir, "a day")
	p := s.run(map[string]string{"LPBRIDGE_TLS_CERT": cert, "LPBRIDGE_TLS_KEY": key})
	m := watched(t, p)
	m.fires("LpbridgeCertificateExpires")
	newPairUntil(t, dir, "a month", time.Now().Add(30*24*time.Hour))
	address := strings.TrimPrefix(p.public, "http://")
	await(t, "the new certificate", func() bool { return servedBy(t, address) == "a month" })
	p.awaitLine("certificate replaced")
	m.ends("LpbridgeCertificateExpires")
	p.terminate()
}
