package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"lpbridge/connector/lpsim"
)

// What befell other bridges, proxies and senders of webhooks in operation.

// TestAddressOfTheChannelIsShownNowhere: for many receivers the address is the credential,
// in its path or its query, and is told by those who send when something fails.
func TestAddressOfTheChannelIsShownNowhere(t *testing.T) {
	t.Parallel()
	private := map[string]string{"the path": "path-token-T0001B0001", "the query": "query-token-Q77777777"}
	s := newStage(t)
	address := s.settings["WEBHOOK_URL"] + "/hooks/" + private["the path"] + "?key=" + private["the query"]
	p := s.run(map[string]string{"WEBHOOK_URL": address, "LPBRIDGE_LOG_LEVEL": "debug"})
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	conversation := s.conversations("a")[0].ConversationID
	for n, status := range []int{http.StatusBadGateway, http.StatusUnauthorized, http.StatusGone} {
		s.far.refuseWith(status)
		if _, err := s.sim.AgentMessage(conversation, lpsim.AgentMessage{Text: fmt.Sprint("answer ", n)}); err != nil {
			t.Fatal(err)
		}
		await(t, fmt.Sprintf("an attempt that was answered %d", status), func() bool {
			return strings.Contains(p.stderr.String(), fmt.Sprintf("answered %d", status))
		})
	}
	await(t, "a dead letter", func() bool { return p.status(t).Journal.DeadLetters > 0 })
	for _, path := range []string{"/", "/status", "/metrics", "/deadletters", "/readyz", "/hour", "/trace?id=a"} {
		mustNotShow(t, path, get(t, p.admin+path).body, private)
	}
	mustNotShow(t, "dead letters", p.operator("deadletters", "list")+p.operator("deadletters", "export")+p.operator("trace", "a"), private)
	p.kill()
	dead := map[string]string{"WEBHOOK_URL": "http://127.0.0.1:1/hooks/" + private["the path"] + "?key=" + private["the query"]}
	got := outcome(t, s.with(dead), "check")
	if !strings.Contains(got.stdout, "FAIL  webhook WEBHOOK_URL") {
		t.Errorf("check says %s", got.stdout)
	}
	mustNotShow(t, "check", got.stdout+got.stderr, private)
	mustNotShow(t, "the log", p.stdout.String()+p.stderr.String(), private)
}

// errSlowCheck is what /readyz says of a journal that answers late.
const errSlowCheck = "no answer within"

// TestReadinessDoesNotFlapWithOthers: LivePerson and the channel come and go, and whoever
// asks /readyz all the while would take the bridge out of a balancer for that.
func TestReadinessDoesNotFlapWithOthers(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	var over atomic.Bool
	var asking sync.WaitGroup
	asked := 0
	asking.Go(func() {
		for !over.Load() {
			a, err := try(http.MethodGet, p.admin+"/readyz", nil, "")
			// That a disk is slow is another matter.
			if slow := strings.Contains(a.body, errSlowCheck); err != nil || a.status != http.StatusOK && !slow {
				t.Errorf("/readyz answered %d: %s, %v", a.status, a.body, err)
				return
			}
			asked++
		}
	})
	for n := range 3 {
		s.away(t, true)
		s.far.refuseWith(http.StatusServiceUnavailable)
		for thread := range 4 {
			s.post(p, message(fmt.Sprint("t", thread), fmt.Sprint("m", thread, n), "hello"))
		}
		await(t, "that LivePerson is not well", func() bool { return p.status(t).LivePerson.State != "well" })
		s.away(t, false)
		s.far.refuseWith(0)
		await(t, "that all arrive", func() bool {
			for thread := range 4 {
				if len(s.texts(fmt.Sprint("t", thread))) != n+1 {
					return false
				}
			}
			return true
		})
		await(t, "that LivePerson is well", func() bool { return p.status(t).LivePerson.State == "well" })
	}
	over.Store(true)
	asking.Wait()
	if asked < 10 {
		t.Errorf("asked %d times", asked)
	}
	p.terminate()
}

// TestStrangersMakeNoSeries: methods, hosts and headers of anybody's invention are no
// labels.
func TestStrangersMakeNoSeries(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(s.everyChannel())
	strange := func(from, to int) int {
		for n := from; n < to; n++ {
			header := http.Header{
				"X-Liveperson-Signature": {fmt.Sprint("sha", n, "=x")}, "Webhook-Id": {fmt.Sprint(n)}, "Content-Type": {fmt.Sprintf("application/x-%d", n)},
				"Traceparent": {fmt.Sprintf("00-%032d-%016d-01", n+1, n+1)}, "X-Forwarded-For": {fmt.Sprint("10.0.0.", n)}, "User-Agent": {fmt.Sprint("agent-", n)},
			}
			for _, path := range []string{"/channels/webhook", "/webhooks/liveperson", "/layer/sessions", "/cable", "/nowhere"} {
				do(t, http.MethodPost, p.public+path, header.Clone(), fmt.Sprintf(`{"type":"kind-%d","id":"%d"}`, n, n))
				do(t, fmt.Sprint("METHOD", n), p.public+path, header.Clone(), "")
			}
			do(t, fmt.Sprint("METHOD", n), p.admin+fmt.Sprint("/status/", n), header.Clone(), "")
			body := fmt.Sprintf(`{"type":"kind-%d","id":"%d","thread":"t-%d"}`, n, n, n)
			do(t, http.MethodPost, p.public+"/channels/webhook", signed(t, body), body)
		}
		n := 0
		for line := range strings.Lines(get(t, p.admin+"/metrics").body) {
			if !strings.HasPrefix(line, "#") {
				n++
			}
		}
		return n
	}
	if few, many := strange(0, 2), strange(2, 60); many != few {
		t.Errorf("%d series after two strangers, %d after sixty", few, many)
	}
	p.terminate()
}

// TestCertificatesTurnedAgainAndAgain: a mounted certificate is a link to a link, and the
// second and third renewal count as the first did.
func TestCertificatesTurnedAgainAndAgain(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	mount := t.TempDir()
	turn := func(name string) {
		t.Helper()
		folder := filepath.Join(mount, ".."+name)
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		newPair(t, folder, name)
		if err := os.Symlink(".."+name, filepath.Join(mount, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		former, _ := os.Readlink(filepath.Join(mount, "..data"))
		if err := os.Rename(filepath.Join(mount, "..data_tmp"), filepath.Join(mount, "..data")); err != nil {
			t.Fatal(err)
		}
		if former != "" {
			if err := os.RemoveAll(filepath.Join(mount, former)); err != nil {
				t.Fatal(err)
			}
		}
	}
	turn("first")
	for _, file := range []string{"tls.crt", "tls.key"} {
		if err := os.Symlink(filepath.Join("..data", file), filepath.Join(mount, file)); err != nil {
			t.Fatal(err)
		}
	}
	p := s.run(map[string]string{"LPBRIDGE_TLS_CERT": filepath.Join(mount, "tls.crt"), "LPBRIDGE_TLS_KEY": filepath.Join(mount, "tls.key")})
	address := strings.TrimPrefix(p.public, "http://")
	if got := servedBy(t, address); got != "first" {
		t.Errorf("served %s", got)
	}
	for _, name := range []string{"second", "third", "fourth"} {
		turn(name)
		await(t, "the certificate called "+name, func() bool { return servedBy(t, address) == name })
	}
	p.terminate()
}

// TestSocketsAreToldOfTheStop: a socket works on while the bridge drains, and is then ended
// with a word that has the client come back, within the time there is.
func TestSocketsAreToldOfTheStop(t *testing.T) {
	t.Parallel()
	x := servedChannels(t, map[string]string{"LPBRIDGE_DRAIN_DELAY": "2s"})
	user := x.layerUser("ana")
	conn := x.opens("GET /layer/", append([]string{"Authorization", user.header[1], "Sec-WebSocket-Protocol", "layer-3.0"}, upgrade...)...)
	var version string
	var status int
	if _, err := fmt.Fscan(conn, &version, &status); err != nil || status != http.StatusSwitchingProtocols {
		t.Fatalf("answered %d, %v", status, err)
	}
	x.p.signal(syscall.SIGTERM)
	x.p.awaitLine("draining")
	if a := user.says("while it drains"); a.status/100 != 2 {
		t.Errorf("answered %d: %s", a.status, a.body)
	}
	told := make([]byte, 0, 64<<10)
	for buffer := make([]byte, 4096); ; {
		n, err := conn.Read(buffer)
		told = append(told, buffer[:n]...)
		if err != nil {
			break
		}
	}
	// 1012, after the message that was written meanwhile.
	if text := string(told); !strings.Contains(text, "while it drains") || !strings.Contains(text, "\x03\xf4the server restarts") {
		t.Errorf("the socket got %q", text)
	}
	if code := x.p.exit(); code != exitOK {
		t.Errorf("exit code %d", code)
	}
}
