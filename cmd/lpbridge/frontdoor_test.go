package main

import (
	"bufio"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"lpbridge/lpauth"
)

// TestFrontDoors knocks at every front door of the public listener with what
// must not come in.
func TestFrontDoors(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	const channel, livePerson = "/channels/webhook", "/webhooks/liveperson"
	hello := message("a", "a1", "hello")
	long := strings.Repeat("x", 1<<20+1)
	with := func(h http.Header, name, value string) http.Header {
		h = maps.Clone(h)
		h.Set(name, value)
		return h
	}
	notification := func(body string) http.Header {
		return http.Header{"X-Liveperson-Signature": {lpauth.Sign(lpauth.SHA1, "sandbox-secret", []byte(body))}, "Content-Type": {"application/json"}}
	}
	for _, tc := range []struct {
		name, method, path string
		header             http.Header
		body               string
		status             int
		detail, field      string
	}{
		{"nothing there", "GET", "/", nil, "", 404, "LPBRIDGE_CHANNELS", ""},
		{"a channel that is not configured", "POST", "/channels/nosuch", plainJSON, "{}", 404, "LPBRIDGE_CHANNELS", ""},
		{"below a front door", "POST", channel + "/x", plainJSON, "{}", 404, "LPBRIDGE_CHANNELS", ""},
		{"an escaped path", "POST", "/channels%2Fwebhook", plainJSON, "{}", 404, "LPBRIDGE_CHANNELS", ""},

		{"method of the channel", "GET", channel, nil, "", 405, "POST", ""},
		{"no content type", "POST", channel, http.Header{}, hello, 415, "application/json", "Content-Type"},
		{"form", "POST", channel, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, hello, 415, "application/json", "Content-Type"},
		{"too long", "POST", channel, signed(t, long), long, 413, "1048576", ""},
		{"not signed", "POST", channel, plainJSON, hello, 401, "webhook-signature", ""},
		{"signed for another body", "POST", channel, signed(t, "{}"), hello, 401, "webhook-signature", ""},
		{"signed long ago", "POST", channel, with(signed(t, hello), "Webhook-Timestamp", "1700000000"), hello, 401, "webhook-timestamp", ""},
		{"time stamp that is none", "POST", channel, with(signed(t, hello), "Webhook-Timestamp", "soon"), hello, 401, "webhook-timestamp", ""},
		{"no JSON", "POST", channel, signed(t, "hello"), "hello", 400, "JSON", ""},
		{"empty", "POST", channel, signed(t, ""), "", 400, "JSON", ""},
		{"empty list", "POST", channel, signed(t, "[]"), "[]", 400, "no event", ""},
		{"no id", "POST", channel, signed(t, message("a", "", "x")), message("a", "", "x"), 400, "id", "id"},
		{"second one is bad", "POST", channel, signed(t, "["+hello+","+typing("a", "singing")+"]"), "[" + hello + "," + typing("a", "singing") + "]",
			400, "typing.state", "[1].typing.state"},

		{"method of LivePerson", "GET", livePerson, nil, "", 405, "POST", ""},
		{"deleting LivePerson", "DELETE", livePerson, nil, "", 405, "POST", ""},
		{"unsigned notification", "POST", livePerson, plainJSON, `{}`, 401, "signature", "X-Liveperson-Signature"},
		{"notification signed by another", "POST", livePerson, http.Header{"X-Liveperson-Signature": {lpauth.Sign(lpauth.SHA1, "other", []byte(`{}`))}}, `{}`, 401, "signature", "X-Liveperson-Signature"},
		{"notification of another account", "POST", livePerson, with(notification(`{}`), "X-Liveperson-Account-Id", "7"), `{}`, 403, "another account", "X-Liveperson-Account-Id"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a := do(t, tc.method, p.public+tc.path, tc.header, tc.body)
			if a.status != tc.status {
				t.Fatalf("status %d, want %d: %s", a.status, tc.status, a.body)
			}
			got := a.problem(t)
			if !strings.Contains(got.Detail, tc.detail) || got.Field != tc.field {
				t.Errorf("problem %+v, want one about %q with field %q", got, tc.detail, tc.field)
			}
			if allow := a.header.Get("Allow"); (a.status == 405) != (allow != "") {
				t.Errorf("Allow of a %d is %q", a.status, allow)
			}
			if challenge := a.header.Get("WWW-Authenticate"); tc.path == channel && (a.status == 401) != (challenge != "") {
				t.Errorf("WWW-Authenticate of a %d is %q", a.status, challenge)
			}
		})
	}
	// None of it did any harm, and none of it was relayed.
	s.post(p, message("a", "a2", "after all"))
	s.awaitTexts("a", "after all")
	await(t, "that nothing is pending", func() bool { return p.status(t).Pending == 0 })
	p.terminate()
}

// TestAdminPagesAreNotPublic: what operators see is on the other listener only.
func TestAdminPagesAreNotPublic(t *testing.T) {
	t.Parallel()
	p := newStage(t).run(map[string]string{"LPBRIDGE_ADMIN_PROFILES": "true"})
	for _, path := range []string{
		"/", "/healthz", "/readyz", "/metrics", "/status", "/deadletters", "/debug/pprof/", "/debug/pprof/cmdline", "/console.js",
	} {
		if a := get(t, p.public+path); a.status != http.StatusNotFound {
			t.Errorf("public %s answered %d: %s", path, a.status, a.body)
		}
		if a := get(t, p.admin+path); path != "/console.js" && a.status != http.StatusOK {
			t.Errorf("admin %s answered %d: %s", path, a.status, a.body)
		}
	}
	for _, path := range []string{"/deadletters/1/replay", "/deadletters/replay", "/deadletters/discard", "/farsides/liveperson/resume"} {
		if a := do(t, http.MethodPost, p.public+path, plainJSON, "{}"); a.status != http.StatusNotFound {
			t.Errorf("public POST %s answered %d", path, a.status)
		}
	}
	for _, path := range []string{"/channels/webhook", "/webhooks/liveperson"} {
		if a := do(t, http.MethodPost, p.admin+path, plainJSON, "{}"); a.status != http.StatusNotFound {
			t.Errorf("admin POST %s answered %d", path, a.status)
		}
	}
	p.terminate()
}

// TestBytesThatAreNoRequest: what is no HTTP is not answered with a crash, and
// what clients send is not in the log.
func TestBytesThatAreNoRequest(t *testing.T) {
	t.Parallel()
	p := newStage(t).run(nil)
	address, err := url.Parse(p.public)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ name, sent, want string }{
		{"noise", "\x16\x03\x01 hunter2\r\n\r\n", "HTTP/1.1 400 "},
		{"no host", "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 400 "},
		{"two lengths", "POST /channels/webhook HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "HTTP/1.1 400 "},
		{"length and chunks", "POST /channels/webhook HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 40\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "HTTP/1.1 4"},
		{"long header", "GET / HTTP/1.1\r\nHost: h\r\nX-Long: " + strings.Repeat("hunter2", 10_000) + "\r\n\r\n", "HTTP/1.1 431 "},
		{"unknown encoding", "POST /channels/webhook HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: hunter2\r\n\r\n", "HTTP/1.1 501 "},
	} {
		conn, err := net.Dial("tcp", address.Host)
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		// The server may hang up before it has read everything.
		_, _ = fmt.Fprint(conn, tc.sent)
		line, err := bufio.NewReader(conn).ReadString('\n')
		if !strings.HasPrefix(line, tc.want) {
			t.Errorf("%s: answered %q, %v; want %s", tc.name, line, err, tc.want)
		}
		conn.Close()
	}
	p.terminate()
	if strings.Contains(p.stderr.String(), "hunter2") {
		t.Error("the log has what a client sent")
	}
}
