package main

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"lpbridge/bridge"
)

// TestRefusedRequestsLeaveATrace: whoever sends once is told no, and an operator
// must be able to see it: in the log, in the metrics, in the console.
func TestRefusedRequestsLeaveATrace(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	body := message("a", "a1", "private-words")
	wrong := signed(t, body)
	wrong.Set("webhook-signature", "v1,bm90IHRoZSBzaWduYXR1cmU=")
	old := signed(t, body)
	old.Set("webhook-timestamp", "1000000000")
	for name, tc := range map[string]struct {
		path   string
		header http.Header
		status int
	}{
		"channel's signature":    {"/channels/webhook", wrong, http.StatusUnauthorized},
		"channel's clock":        {"/channels/webhook", old, http.StatusUnauthorized},
		"LivePerson's signature": {"/webhooks/liveperson", http.Header{"X-Liveperson-Signature": {"sha1=bm8="}}, http.StatusUnauthorized},
		"no such door":           {"/channels/chatwoot", nil, http.StatusNotFound},
	} {
		if a := do(t, http.MethodPost, p.public+tc.path, tc.header, body); a.status != tc.status {
			t.Errorf("%s: answered %d: %s", name, a.status, a.body)
		}
	}
	metrics := get(t, p.admin+"/metrics").body
	for _, want := range []string{
		`lpbridge_requests_refused_total{channel="webhook",reason="unauthorized"} 2`,
		`lpbridge_requests_refused_total{channel="liveperson",reason="unauthorized"} 1`,
		`lpbridge_requests_refused_total{channel="none",reason="not_found"} 1`,
	} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("the metrics lack %s", want)
		}
	}
	checkMetricNames(t, metrics)
	seen := map[string]int64{}
	for _, r := range p.status(t).Refusals {
		seen[r.Channel+" "+r.Reason] = r.Count
	}
	if seen["webhook unauthorized"] != 2 || seen["liveperson unauthorized"] != 1 || seen["none not_found"] != 1 {
		t.Errorf("the status has %v", seen)
	}
	line := p.awaitLine("requests are refused")
	if line["level"] != "WARN" || line["channel"] == "" || line["reason"] == "" {
		t.Errorf("the log has %v", line)
	}
	p.terminate()
	if strings.Contains(p.stderr.String(), "private-words") {
		t.Error("the log repeats what was sent")
	}
}

// checkMetricNames holds our metrics against what promtool check metrics asks for.
func checkMetricNames(t *testing.T, metrics string) {
	t.Helper()
	problems, err := promlint.New(strings.NewReader(metrics)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "lpbridge_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// TestRefusalsDoNotFillTheLog: a thousand of a kind are one line a minute, which
// says how many there were.
func TestRefusalsDoNotFillTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		r := newRefusals(slog.New(slog.NewTextHandler(&out, nil)), prometheus.NewRegistry())
		for range 1000 {
			r.note("webhook", "unauthorized", "bad signature")
		}
		r.note("webhook", "invalid", "no id")
		if n := strings.Count(out.String(), "\n"); n != 2 {
			t.Errorf("%d lines at once:\n%s", n, &out)
		}
		time.Sleep(refusalPause)
		out.Reset()
		r.note("webhook", "unauthorized", "bad signature")
		if !strings.Contains(out.String(), "count=1000") {
			t.Errorf("a minute later: %s", &out)
		}
		if n := testutil.ToFloat64(r.counter.WithLabelValues("webhook", "unauthorized")); n != 1001 {
			t.Errorf("counted %v", n)
		}
		if list := r.list(); len(list) != 2 || list[0].Reason != "unauthorized" || list[0].Count != 1001 {
			t.Errorf("listed %+v", list)
		}
	})
}

// TestWatchingChangesNoAnswer: what a handler does with its writer it can go on
// doing.
func TestWatchingChangesNoAnswer(t *testing.T) {
	r := newRefusals(slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	for status, want := range map[int]string{
		200: "", 101: "", 304: "", 400: "invalid", 401: "unauthorized", 413: "too_large", 418: "other", 500: "internal", 503: "unavailable",
	} {
		if got := reasonOf(status); got != want {
			t.Errorf("%d is %q, want %q", status, got, want)
		}
	}
	server := httptest.NewServer(r.watch("c", http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.URL.Path {
		case "/flush":
			_, _ = io.WriteString(w, "first")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("flush: %v", err)
			}
		case "/hijack":
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Errorf("hijack: %v", err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
			conn.Close()
		case "/large":
			_, err := bridge.ReadBody(w, req, 10)
			bridge.ProblemOf(err).ServeHTTP(w, req)
		}
	})))
	defer server.Close()
	for path, want := range map[string]int{"/flush": 200, "/hijack": 200, "/large": 413} {
		resp, err := http.Post(server.URL+path, "text/plain", strings.NewReader(strings.Repeat("x", 100)))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != want || path == "/large" && !resp.Close {
			t.Errorf("%s answered %d, closing %t", path, resp.StatusCode, resp.Close)
		}
	}
	if list := r.list(); len(list) != 1 || list[0].Detail != "the body is longer than 10 bytes" {
		t.Errorf("listed %+v", list)
	}
}
