package console

import (
	"slices"
	"strings"
	"testing"
)

// TestResume: an operator lets a far side be asked at once, and nobody else does.
func TestResume(t *testing.T) {
	for _, test := range []struct {
		name, method, target string
		headers              []string
		stopping             bool
		status               int
		want                 string
	}{
		{name: "LivePerson", method: "POST", target: "/farsides/liveperson/resume", status: 200, want: `{"farSide":"liveperson"}`},
		{name: "a channel", method: "POST", target: "/farsides/chatwoot/resume", status: 200, want: `{"farSide":"chatwoot"}`},
		{name: "the page", method: "POST", target: "/farsides/chatwoot/resume", headers: []string{"Sec-Fetch-Site", "same-origin"}, status: 200, want: "chatwoot"},
		{name: "a channel that does not run", method: "POST", target: "/farsides/layer/resume", status: 404, want: `"field":"name"`},
		{name: "a bridge that stops", method: "POST", target: "/farsides/liveperson/resume", stopping: true, status: 503, want: "starting or stopping"},
		{name: "reading changes nothing", method: "GET", target: "/farsides/liveperson/resume", status: 405, want: "POST"},
		{name: "a page elsewhere", method: "POST", target: "/farsides/liveperson/resume", headers: []string{"Sec-Fetch-Site", "cross-site"}, status: 403, want: "other sites"},
		{name: "a form elsewhere", method: "POST", target: "/farsides/liveperson/resume", headers: []string{"Origin", "https://evil.example"}, status: 403, want: "other origins"},
		{name: "a rebound name", method: "POST", target: "/farsides/liveperson/resume", headers: []string{"Host", "evil.example"}, status: 421, want: "Host"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := &runningBridge{stopping: test.stopping}
			c, _, logged := setup(t, fourLetters(), func(o *Options) { o.Bridge = b })
			resp := request(c, test.method, test.target, "", test.headers...)
			if got := bodyOf(t, resp); resp.StatusCode != test.status || !strings.Contains(got, test.want) {
				t.Errorf("status %d, want %d; body %s", resp.StatusCode, test.status, got)
			}
			name := strings.Split(test.target, "/")[2]
			if done := slices.Equal(b.resumed, []string{name}); done != (test.status == 200) {
				t.Errorf("asked at once: %v", b.resumed)
			}
			if said := strings.Contains(logged.String(), "far_side="+name); said != (test.status == 200) {
				t.Errorf("the log says %s", logged)
			}
			metrics := bodyOf(t, request(c, "GET", "/metrics", ""))
			if counted := strings.Contains(metrics, `lpbridge_resumes_total{far_side="`+name+`"} 1`); counted != (test.status == 200) {
				t.Errorf("counted: %t", counted)
			}
		})
	}
	t.Run("without the token", func(t *testing.T) {
		b := &runningBridge{}
		c, _, _ := setup(t, fourLetters(), func(o *Options) { o.Bridge, o.AdminToken = b, strings.Repeat("t", 32) })
		if resp := request(c, "POST", "/farsides/liveperson/resume", ""); resp.StatusCode != 401 || len(b.resumed) > 0 {
			t.Errorf("status %d, asked at once: %v", resp.StatusCode, b.resumed)
		}
	})
}
