package front

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"lpbridge/connector/lpsim"
)

// stand is a front with a simulator and a bridge that answers as it is told.
type stand struct {
	*Front
	sim   *lpsim.Sim
	watch *Watch
	url   string
	// bridge answers what is not the page's.
	bridge *httptest.Server
	kills  atomic.Int64
	runs   atomic.Bool
}

func newStand(t *testing.T, bridge http.HandlerFunc) *stand {
	t.Helper()
	s := &stand{watch: NewWatch()}
	s.runs.Store(true)
	s.sim = lpsim.New(lpsim.Config{})
	t.Cleanup(s.sim.Close)
	simulator := httptest.NewServer(s.sim)
	t.Cleanup(simulator.Close)
	s.Front = New(Options{
		Watch: s.watch, Sim: s.sim, Simulator: simulator.URL, Public: "http://127.0.0.1:8080", Channels: []string{"webhook", "layer"},
		Kill:    func() bool { s.kills.Add(1); return s.runs.Load() },
		Pending: func(context.Context) (int64, error) { return 1, nil },
		Logger:  slog.New(slog.DiscardHandler),
	})
	if bridge != nil {
		s.bridge = httptest.NewServer(bridge)
		t.Cleanup(s.bridge.Close)
		s.BridgeUp(strings.TrimPrefix(s.bridge.URL, "http://"), "http://127.0.0.1:8081")
	}
	server := httptest.NewServer(s.Front)
	t.Cleanup(server.Close)
	s.url = server.URL
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return s
}

// TestWhoAnswersHasANameAndAPicture: also after the simulator forgot everything.
func TestWhoAnswersHasANameAndAPicture(t *testing.T) {
	s := newStand(t, nil)
	named := func() bool {
		p := s.sim.AgentProfiles()[s.everything().Agent]
		return p.Nickname != "" && p.PictureURL == "http://127.0.0.1:8080/sandbox/page/bea.svg"
	}
	if !named() {
		t.Errorf("profiles %v", s.sim.AgentProfiles())
	}
	status, header, _ := s.ask(t, http.MethodGet, "/sandbox/page/bea.svg", "")
	if status != http.StatusOK || header.Get("Content-Type") != "image/svg+xml" {
		t.Errorf("the picture: %d, %s", status, header.Get("Content-Type"))
	}
	s.sim.Reset()
	s.happened("reset", nil)
	if !named() {
		t.Errorf("once reset: profiles %v", s.sim.AgentProfiles())
	}
}

// ask makes one request, with headers as name and value in turn.
func (s *stand) ask(t *testing.T, method, path, body string, headers ...string) (int, http.Header, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// TestPage: everything the page needs is there, and its policy lets it load nothing
// from elsewhere.
func TestPage(t *testing.T) {
	s := newStand(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "bridge "+r.URL.Path) })
	for path, kind := range map[string]string{
		"/": "text/html", "/sandbox/page/page.css": "text/css", "/sandbox/page/icon.svg": "image/svg+xml", "/sandbox/page/shoes.svg": "image/svg+xml",
		"/sandbox/page/page.js": "text/javascript", "/sandbox/page/common.js": "text/javascript", "/sandbox/page/layer.js": "text/javascript",
	} {
		status, header, body := s.ask(t, http.MethodGet, path, "")
		if status != http.StatusOK || !strings.HasPrefix(header.Get("Content-Type"), kind) || body == "" {
			t.Errorf("%s: %d, %s", path, status, header.Get("Content-Type"))
		}
		policy := header.Get("Content-Security-Policy")
		if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self'; style-src 'self';") || strings.Contains(policy, "unsafe") {
			t.Errorf("%s: policy %q", path, policy)
		}
	}
	_, _, html := s.ask(t, http.MethodGet, "/", "")
	for _, elsewhere := range []string{"https://", "http://", "style=", "onclick"} {
		if strings.Contains(html, elsewhere) {
			t.Errorf("the page has %s in it", elsewhere)
		}
	}
	if status, header, _ := s.ask(t, http.MethodGet, "/sandbox/nothing", ""); status != http.StatusNotFound || header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("a path there is not: %d, %s", status, header.Get("Content-Type"))
	}
	if _, _, body := s.ask(t, http.MethodGet, "/survey/responses/x", ""); body != "bridge /survey/responses/x" {
		t.Errorf("what is the bridge's was answered %q", body)
	}
	if status, _, body := s.ask(t, http.MethodGet, "/sim/conversations", ""); status != http.StatusOK || !strings.HasPrefix(body, "[") {
		t.Errorf("the simulator's: %d %s", status, body)
	}
}

// TestOtherSites: a page of another site, open in the same browser, moves nothing.
func TestOtherSites(t *testing.T) {
	s := newStand(t, nil)
	for _, tc := range []struct{ method, path, body string }{
		{http.MethodPost, "/sandbox/kill", ""}, {http.MethodPut, "/sandbox/faults", "{}"}, {http.MethodPost, "/sandbox/shown", "{}"},
		{http.MethodPut, "/sim/faults", "{}"},
	} {
		if status, _, _ := s.ask(t, tc.method, tc.path, tc.body, "Sec-Fetch-Site", "cross-site"); status != http.StatusForbidden {
			t.Errorf("%s %s: %d", tc.method, tc.path, status)
		}
	}
	if s.kills.Load() > 0 {
		t.Error("the bridge was killed")
	}
}

// TestKill: killing is told, and what is dead cannot be killed.
func TestKill(t *testing.T) {
	s := newStand(t, func(http.ResponseWriter, *http.Request) {})
	if status, _, _ := s.ask(t, http.MethodPost, "/sandbox/kill", ""); status != http.StatusAccepted {
		t.Errorf("status %d", status)
	}
	s.BridgeDown()
	if diff := cmp.Diff(BridgeState{Kills: 1}, s.bridgeState()); diff != "" {
		t.Errorf("the bridge (-want +got):\n%s", diff)
	}
	status, header, body := s.ask(t, http.MethodPost, "/channels/webhook", `{"id":"1","type":"message","message":{"text":"hello"}}`)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") != "1" || !strings.Contains(body, "it comes back") {
		t.Errorf("a dead bridge's door: %d %v %s", status, header, body)
	}
	if l := s.watch.ledgerNow(); l.ToLivePerson.Sent != 0 || len(s.watch.flowsNow()) != 0 {
		t.Errorf("what was refused counts: %+v", l)
	}
	s.runs.Store(false)
	if status, _, _ := s.ask(t, http.MethodPost, "/sandbox/kill", ""); status != http.StatusConflict || s.kills.Load() != 2 {
		t.Errorf("killing the dead: status %d", status)
	}
}

// TestEvents: whoever opens the page gets what is so, and then what happens.
func TestEvents(t *testing.T) {
	s := newStand(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"accepted":1}`) })
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.url+"/sandbox/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); kind != "text/event-stream" {
		t.Errorf("Content-Type %q", kind)
	}
	lines := bufio.NewScanner(resp.Body)
	next := func(want string, v any) {
		t.Helper()
		for kind := ""; lines.Scan(); {
			if name, is := strings.CutPrefix(lines.Text(), "event: "); is {
				kind = name
			}
			if data, is := strings.CutPrefix(lines.Text(), "data: "); is && kind == want {
				if err := json.Unmarshal([]byte(data), v); err != nil {
					t.Fatal(err)
				}
				return
			}
		}
		t.Fatalf("no event %s: %v", want, lines.Err())
	}
	var first hello
	next("hello", &first)
	if !first.Bridge.Up || first.Console != "http://127.0.0.1:8081" || len(first.Channels) != 2 || first.Faults.On {
		t.Errorf("hello says %+v", first)
	}
	s.ask(t, http.MethodPost, "/channels/webhook", `{"id":"1","type":"message","message":{"text":"hello"}}`)
	var f Flow
	next("flow", &f)
	if f.Text != "hello" || f.Channel != "webhook" || len(f.Milestones) != 1 || f.Milestones[0].Name != reachedOnDisk {
		t.Errorf("the flow is %+v", f)
	}
	var l Ledger
	if next("ledger", &l); l.ToLivePerson != (Counts{Sent: 1, OnTheWay: 1}) {
		t.Errorf("the ledger is %+v", l)
	}
	s.ask(t, http.MethodPut, "/sandbox/faults", `{"webhooks":true}`)
	var on FaultState
	if next("faults", &on); !on.On || !on.Webhooks {
		t.Errorf("the faults are %+v", on)
	}
	s.BridgeDown()
	var state BridgeState
	if next("bridge", &state); state.Up {
		t.Error("a bridge that is down is told as up")
	}
}

// TestShown: what the page's own client was shown counts, and is checked.
func TestShown(t *testing.T) {
	s := newStand(t, nil)
	for body, status := range map[string]int{
		`{"channel":"layer","message":true,"text":"Hi"}`: http.StatusNoContent,
		`{"text":"Hi"}`: http.StatusBadRequest, `{"channel":7}`: http.StatusBadRequest,
		`{"channel":"layer","colour":"red"}`: http.StatusBadRequest, `{`: http.StatusBadRequest,
	} {
		if got, _, answer := s.ask(t, http.MethodPost, "/sandbox/shown", body); got != status {
			t.Errorf("%s: %d %s", body, got, answer)
		}
	}
}
