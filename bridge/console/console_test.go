package console

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge"
)

// secretText stands for what a consumer wrote; it must come out nowhere.
const secretText = "my card number is 4111111111111111"

var epoch = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

// runningBridge is a bridge in any state.
type runningBridge struct {
	status bridge.Status
	ready  func(ctx context.Context) error
	// resumed are the far sides that were asked at once; stopping refuses all.
	resumed  []string
	stopping bool
}

func (b *runningBridge) Status() bridge.Status { return b.status }

func (b *runningBridge) Resume(farSide string) error {
	switch {
	case b.stopping:
		return errors.New("the bridge is starting or stopping")
	case farSide != "liveperson" && farSide != "chatwoot":
		return bridge.ErrNoFarSide
	}
	b.resumed = append(b.resumed, farSide)
	return nil
}

func (b *runningBridge) Ready(ctx context.Context) error {
	if b.ready == nil {
		return nil
	}
	return b.ready(ctx)
}

// letterBox keeps dead letters as the journal does: a revived one leaves.
type letterBox struct {
	mu        sync.Mutex
	letters   []bridge.DeadLetter
	revived   []int64
	discarded []int64
	// fail makes calls fail once it is 0; negative never.
	fail int
	// revive is called with what is revived, outside the lock.
	revive func(d bridge.DeadLetter)
}

var errDisk = errors.New("disk I/O error at /var/lib/lpbridge.db")

func (b *letterBox) failing() bool {
	if b.fail == 0 {
		return true
	}
	b.fail--
	return false
}

func (b *letterBox) DeadLetters(_ context.Context, after int64, limit int) ([]bridge.DeadLetter, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failing() {
		return nil, errDisk
	}
	var page []bridge.DeadLetter
	for _, d := range b.letters {
		if d.Seq > after && len(page) < limit {
			page = append(page, d)
		}
	}
	return page, nil
}

func (b *letterBox) DeadLetter(_ context.Context, seq int64) (*bridge.DeadLetter, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failing() {
		return nil, errDisk
	}
	for _, d := range b.letters {
		if d.Seq == seq {
			return &d, nil
		}
	}
	return nil, nil
}

func (b *letterBox) Revive(_ context.Context, seq int64) (bool, error) {
	d, found, err := b.take(seq, &b.revived)
	if found && b.revive != nil {
		b.revive(d)
	}
	return found, err
}

func (b *letterBox) Discard(_ context.Context, seq int64) (bool, error) {
	_, found, err := b.take(seq, &b.discarded)
	return found, err
}

func (b *letterBox) take(seq int64, into *[]int64) (bridge.DeadLetter, bool, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failing() {
		return bridge.DeadLetter{}, false, errDisk
	}
	at := slices.IndexFunc(b.letters, func(d bridge.DeadLetter) bool { return d.Seq == seq })
	if at < 0 {
		return bridge.DeadLetter{}, false, nil
	}
	d := b.letters[at]
	b.letters = slices.Delete(b.letters, at, at+1)
	*into = append(*into, seq)
	return d, true, nil
}

func (b *letterBox) add(d bridge.DeadLetter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.letters = append(b.letters, d)
	slices.SortFunc(b.letters, func(x, y bridge.DeadLetter) int { return cmp.Compare(x.Seq, y.Seq) })
}

func letter(seq int64, channel string, d bridge.Direction, o bridge.Outcome) bridge.DeadLetter {
	payload, err := json.Marshal(bridge.Event{Message: &bridge.Message{Text: secretText}})
	if err != nil {
		panic(err)
	}
	return bridge.DeadLetter{Died: epoch.Add(time.Hour), Entry: bridge.Entry{
		Seq: seq, Lane: bridge.LaneKey{Channel: channel, Thread: "t-42", Direction: d}, ID: "evt", Kind: bridge.KindMessage,
		Payload: payload, Accepted: epoch, Attempts: 3, Last: o, Event: &bridge.Event{Message: &bridge.Message{Text: secretText}},
	}}
}

func fourLetters() *letterBox {
	return &letterBox{fail: -1, letters: []bridge.DeadLetter{
		letter(3, "chatwoot", bridge.ToLivePerson, bridge.Invalid),
		letter(5, "layer", bridge.ToLivePerson, bridge.Retry),
		letter(8, "chatwoot", bridge.ToChannel, bridge.Unknown),
		letter(9, "chatwoot", bridge.ToChannel, bridge.Invalid),
	}}
}

// setup returns a console over box, its registry and what it logged.
func setup(t *testing.T, box *letterBox, change ...func(*Options)) (*Console, *prometheus.Registry, *syncBuffer) {
	t.Helper()
	reg := prometheus.NewRegistry()
	logged := &syncBuffer{}
	o := Options{
		Bridge: &runningBridge{status: bridge.Status{Ready: true}}, DeadLetters: box, Gatherer: reg, Registerer: reg,
		Version: "1.2.3", Logger: slog.New(slog.NewTextHandler(logged, nil)),
	}
	for _, c := range change {
		c(&o)
	}
	c := New(o)
	t.Cleanup(c.Close)
	return c, reg, logged
}

type syncBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func request(h http.Handler, method, target, body string, headers ...string) *http.Response {
	req := httptest.NewRequest(method, target, strings.NewReader(body))
	req.Host = "127.0.0.1:8081"
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
			continue
		}
		req.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, req)
	return w.Result()
}

func bodyOf(t *testing.T, resp *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEndpoints(t *testing.T) {
	tests := []struct {
		name, method, target, body string
		headers                    []string
		status                     int
		want                       string // the whole body, or a part of it after "…"
	}{
		{name: "liveness", method: "GET", target: "/healthz", status: 200, want: "ok\n"},
		{name: "readiness", method: "GET", target: "/readyz", status: 200, want: `{"ready":true}` + "\n"},
		{name: "metrics", method: "GET", target: "/metrics", status: 200, want: `…lpbridge_build_info{version="1.2.3"} 1`},
		{
			name: "metrics in OpenMetrics", method: "GET", target: "/metrics", status: 200, want: "…# EOF",
			headers: []string{"Accept", "application/openmetrics-text"},
		},
		{name: "profiles nobody asked for", method: "GET", target: "/debug/pprof/", status: 404, want: "…there is nothing at this path"},
		{
			name: "first page", method: "GET", target: "/deadletters?limit=1", status: 200,
			want: `{"deadLetters":[{"seq":3,"channel":"chatwoot","thread":"t-42","direction":"to_liveperson","kind":"message",` +
				`"id":"evt","accepted":"2026-11-20T10:00:00Z","died":"2026-11-20T11:00:00Z","attempts":3,"outcome":"invalid",` +
				`"why":"LivePerson will not take it; a replay ends the same way unless something changed there"}],"next":3}` + "\n",
		},
		{name: "after the last", method: "GET", target: "/deadletters?after=9", status: 200, want: `{"deadLetters":[]}` + "\n"},
		{name: "replay one", method: "POST", target: "/deadletters/5/replay", status: 200, want: `{"count":1}` + "\n"},
		{name: "discard one", method: "DELETE", target: "/deadletters/5", status: 200, want: `{"count":1}` + "\n"},
		{
			name: "replay one that is not there", method: "POST", target: "/deadletters/4/replay", status: 404,
			want: `{"status":404,"title":"Not Found","detail":"there is no dead letter of this seq","field":"seq"}` + "\n",
		},
		{name: "discard one that is not there", method: "DELETE", target: "/deadletters/4", status: 404, want: `…"field":"seq"`},
		{name: "seq is a word", method: "DELETE", target: "/deadletters/last", status: 400, want: `…"field":"seq"`},
		{name: "seq is too large", method: "DELETE", target: "/deadletters/9223372036854775808", status: 400, want: `…"field":"seq"`},
		{name: "seq is negative", method: "POST", target: "/deadletters/-1/replay", status: 400, want: `…"field":"seq"`},
		{name: "limit of zero", method: "GET", target: "/deadletters?limit=0", status: 400, want: `…"field":"limit"`},
		{name: "limit too high", method: "GET", target: "/deadletters?limit=501", status: 400, want: `…"field":"limit"`},
		{name: "after is a word", method: "GET", target: "/deadletters?after=x", status: 400, want: `…"field":"after"`},
		{name: "given twice", method: "GET", target: "/deadletters?after=1&after=2", status: 400, want: `…"field":"after"`},
		{name: "outcome unknown to us", method: "GET", target: "/deadletters?outcome=bad", status: 400, want: `…"field":"outcome"`},
		{name: "direction unknown to us", method: "GET", target: "/deadletters?direction=inbound", status: 400, want: `…"field":"direction"`},
		{name: "parameter unknown to us", method: "GET", target: "/deadletters?page=2", status: 400, want: "…the query knows after"},
		{name: "malformed query", method: "GET", target: "/deadletters?after=%zz", status: 400, want: "…malformed"},
		{name: "replay matching", method: "POST", target: "/deadletters/replay", body: `{"channel":"chatwoot"}`, status: 200, want: `{"count":3}` + "\n"},
		{name: "discard matching", method: "POST", target: "/deadletters/discard", body: `{"outcome":"invalid","channel":"chatwoot"}`, status: 200, want: `{"count":2}` + "\n"},
		{name: "discard all", method: "POST", target: "/deadletters/discard", body: `{"all":true}`, status: 200, want: `{"count":4}` + "\n"},
		{name: "died later", method: "POST", target: "/deadletters/replay", body: `{"all":true,"diedBefore":"2026-11-20T10:30:00Z"}`, status: 200, want: `{"count":0}` + "\n"},
		{name: "empty filter", method: "POST", target: "/deadletters/discard", body: `{}`, status: 400, want: `…"field":"all"`},
		{name: "all and a channel", method: "POST", target: "/deadletters/discard", body: `{"all":true,"channel":"layer"}`, status: 400, want: `…"field":"all"`},
		{name: "field unknown to us", method: "POST", target: "/deadletters/discard", body: `{"all":true,"dry":true}`, status: 400, want: "…one JSON object"},
		{name: "two objects", method: "POST", target: "/deadletters/discard", body: `{"all":true}{}`, status: 400, want: "…one JSON object"},
		{name: "filter with a bad outcome", method: "POST", target: "/deadletters/replay", body: `{"outcome":"bad"}`, status: 400, want: `…"field":"outcome"`},
		{name: "filter too long", method: "POST", target: "/deadletters/replay", body: `{"channel":"` + strings.Repeat("x", filterLimit) + `"}`, status: 413, want: "…Content Too Large"},
		{
			name: "form instead of json", method: "POST", target: "/deadletters/discard", body: "all=true", status: 415,
			headers: []string{"Content-Type", "application/x-www-form-urlencoded"}, want: `…"field":"Content-Type"`,
		},
		{
			name: "another site", method: "POST", target: "/deadletters/5/replay", status: 403, want: "…other sites",
			headers: []string{"Sec-Fetch-Site", "cross-site"},
		},
		{
			name: "a page elsewhere that reads", method: "GET", target: "/status", status: 403, want: "…other sites",
			headers: []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "no-cors"},
		},
		{
			name: "a link elsewhere", method: "GET", target: "/", status: 200, want: "…<!doctype html>",
			headers: []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"},
		},
		{
			name: "another origin", method: "DELETE", target: "/deadletters/5", status: 403, want: "…other origins",
			headers: []string{"Origin", "https://evil.example"},
		},
		{
			name: "the page itself", method: "DELETE", target: "/deadletters/5", status: 200, want: `{"count":1}` + "\n",
			headers: []string{"Sec-Fetch-Site", "same-origin", "Origin", "http://127.0.0.1:8081"},
		},
		{
			name: "rebound name", method: "GET", target: "/deadletters", status: 421, want: `…"field":"Host"`,
			headers: []string{"Host", "evil.example:8081", "Sec-Fetch-Site", "same-origin"},
		},
		{
			name: "metrics by any name", method: "GET", target: "/metrics", status: 200, want: "…lpbridge_build_info",
			headers: []string{"Host", "bridge.prod.svc.cluster.local:8081"},
		},
		{name: "nothing there", method: "GET", target: "/secret", status: 404, want: `{"status":404,"title":"Not Found","detail":"there is nothing at this path"}` + "\n"},
		{name: "wrong method", method: "PUT", target: "/status", status: 405, want: `…this path takes GET`},
		{name: "get changes nothing", method: "GET", target: "/deadletters/5/replay", status: 405, want: `…this path takes POST`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			box := fourLetters()
			c, _, logged := setup(t, box)
			resp := request(c, test.method, test.target, test.body, test.headers...)
			got := bodyOf(t, resp)
			if resp.StatusCode != test.status {
				t.Errorf("status %d, want %d", resp.StatusCode, test.status)
			}
			if part, partly := strings.CutPrefix(test.want, "…"); partly {
				if !strings.Contains(got, part) {
					t.Errorf("body %s\nlacks %s", got, part)
				}
			} else if got != test.want {
				t.Errorf("body %s\nwant %s", got, test.want)
			}
			if test.status >= 400 && resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("an error came as %s", resp.Header.Get("Content-Type"))
			}
			if changed := len(box.letters) != 4; changed && (test.method == "GET" || test.status != 200) {
				t.Errorf("changed the dead letters: revived %v, discarded %v", box.revived, box.discarded)
			}
			if everything := got + logged.String(); strings.Contains(everything, "41111111") {
				t.Errorf("shows or logs what the consumer wrote: %s", everything)
			}
		})
	}
}

func TestActionsReachTheRightLetters(t *testing.T) {
	tests := []struct {
		name, method, target, body string
		revived, discarded         []int64
	}{
		{name: "replay one", method: "POST", target: "/deadletters/8/replay", revived: []int64{8}},
		{name: "discard one", method: "DELETE", target: "/deadletters/8", discarded: []int64{8}},
		{name: "replay a channel in order", method: "POST", target: "/deadletters/replay", body: `{"channel":"chatwoot"}`, revived: []int64{3, 8, 9}},
		{name: "replay an outcome", method: "POST", target: "/deadletters/replay", body: `{"outcome":"retry"}`, revived: []int64{5}},
		{name: "discard a direction", method: "POST", target: "/deadletters/discard", body: `{"direction":"to_channel"}`, discarded: []int64{8, 9}},
		{name: "discard above", method: "POST", target: "/deadletters/discard", body: `{"all":true,"after":8}`, discarded: []int64{9}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			box := fourLetters()
			c, _, logged := setup(t, box)
			if resp := request(c, test.method, test.target, test.body); resp.StatusCode != 200 {
				t.Fatalf("status %d: %s", resp.StatusCode, bodyOf(t, resp))
			}
			if diff := gocmp.Diff(test.revived, box.revived, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("revived (-want +got):\n%s", diff)
			}
			if diff := gocmp.Diff(test.discarded, box.discarded, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("discarded (-want +got):\n%s", diff)
			}
			if !strings.Contains(logged.String(), "remote=") {
				t.Errorf("no trace of who did it in the log: %q", logged)
			}
		})
	}
}

func TestFailingJournalIsNamedInTheLogOnly(t *testing.T) {
	tests := []struct{ name, method, target, body, detail string }{
		{"list", "GET", "/deadletters", "", "the journal did not answer"},
		{"replay one", "POST", "/deadletters/5/replay", "", "the journal did not answer"},
		{"discard one", "DELETE", "/deadletters/5", "", "the journal did not answer"},
		{"replay all", "POST", "/deadletters/replay", `{"all":true}`, "failed after 0 dead letters"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			box := fourLetters()
			box.fail = 0
			c, _, logged := setup(t, box)
			resp := request(c, test.method, test.target, test.body)
			got := bodyOf(t, resp)
			if resp.StatusCode != 503 || resp.Header.Get("Retry-After") != "1" || !strings.Contains(got, test.detail) {
				t.Errorf("answered %d, Retry-After %q: %s", resp.StatusCode, resp.Header.Get("Retry-After"), got)
			}
			if strings.Contains(got, "/var/lib") {
				t.Errorf("answer repeats the journal's error: %s", got)
			}
			if !strings.Contains(logged.String(), "/var/lib") {
				t.Errorf("the log lacks the cause: %q", logged)
			}
		})
	}
}

func TestSweepTellsHowFarItGot(t *testing.T) {
	box := fourLetters()
	box.fail = 3 // the list and two letters
	c, _, _ := setup(t, box)
	got := bodyOf(t, request(c, "POST", "/deadletters/discard", `{"all":true}`))
	if !strings.Contains(got, "after 2 dead letters") || !slices.Equal(box.discarded, []int64{3, 5}) {
		t.Errorf("answered %s and discarded %v", got, box.discarded)
	}
}

func TestStatusReport(t *testing.T) {
	status := bridge.Status{
		Started: epoch, Ready: true, Notified: true, Pending: 7,
		Channels: []bridge.ChannelStatus{{
			Name: "chatwoot", Reports: []bridge.Kind{bridge.KindMessage}, Delivers: []bridge.Kind{bridge.KindMessage},
			TypingIn: true, TypingOut: true, Flow: bridge.FlowStatus{Lanes: 2, InFlight: 1, Limit: 32},
		}},
		LivePerson: bridge.FlowStatus{Limit: 16, ThrottledUntil: epoch.Add(time.Minute)},
	}
	settings := []Setting{{"LP_CLIENT_SECRET", "file"}, {"LPBRIDGE_LISTEN", "default"}}
	c, reg, _ := setup(t, fourLetters(), func(o *Options) {
		o.Bridge, o.Settings = &runningBridge{status: status}, settings
	})
	counter := func(name string, labels prometheus.Labels, n float64) {
		t.Helper()
		names := make([]string, 0, len(labels))
		for l := range labels {
			names = append(names, l)
		}
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: "See package bridge."}, names)
		if err := reg.Register(v); err != nil {
			known, is := errors.AsType[prometheus.AlreadyRegisteredError](err)
			if !is {
				t.Fatal(err)
			}
			v = known.ExistingCollector.(*prometheus.CounterVec)
		}
		v.With(labels).Add(n)
	}
	counter(acceptedMetric, prometheus.Labels{"channel": "chatwoot", "direction": "to_liveperson", "kind": "message"}, 5)
	counter(acceptedMetric, prometheus.Labels{"channel": "chatwoot", "direction": "to_liveperson", "kind": "close"}, 1)
	counter(deliveriesMetric, prometheus.Labels{"channel": "chatwoot", "direction": "to_channel", "kind": "message", "outcome": "delivered"}, 4)
	counter(deliveriesMetric, prometheus.Labels{"channel": "chatwoot", "direction": "to_channel", "kind": "message", "outcome": "retry"}, 2)
	counter(typingMetric, prometheus.Labels{"direction": "to_channel", "result": "observed"}, 11)
	counter("lpbridge_other_total", prometheus.Labels{"channel": "layer", "direction": "to_channel"}, 1)

	resp := request(c, "GET", "/status", "")
	if got := resp.Header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type is %s", got)
	}
	var got Report
	if err := json.Unmarshal([]byte(bodyOf(t, resp)), &got); err != nil {
		t.Fatal(err)
	}
	want := Report{
		Status: status, Version: "1.2.3", Readiness: Readiness{Ready: true}, Settings: settings,
		Traffic: Traffic{
			Channels: map[string]Flows{"chatwoot": {
				ToLivePerson: Flow{Accepted: 6, Deliveries: map[string]int64{}},
				ToChannel:    Flow{Deliveries: map[string]int64{"delivered": 4, "retry": 2}},
			}},
			Typing: TypingCounts{ToLivePerson: map[string]int64{}, ToChannel: map[string]int64{"observed": 11}},
		},
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
}

// brokenCollector fails at every scrape.
type brokenCollector struct{}

var brokenDesc = prometheus.NewDesc("lpbridge_broken", "Always fails.", nil, nil)

func (brokenCollector) Describe(ch chan<- *prometheus.Desc) { ch <- brokenDesc }

func (brokenCollector) Collect(ch chan<- prometheus.Metric) {
	ch <- prometheus.NewInvalidMetric(brokenDesc, errDisk)
}

func TestStatusSurvivesFailingMetrics(t *testing.T) {
	c, reg, logged := setup(t, fourLetters())
	reg.MustRegister(brokenCollector{})
	resp := request(c, "GET", "/status", "")
	if got := bodyOf(t, resp); resp.StatusCode != 200 || !strings.Contains(got, `"version":"1.2.3"`) {
		t.Errorf("answered %d: %s", resp.StatusCode, got)
	}
	if !strings.Contains(logged.String(), "metrics for the status") {
		t.Errorf("log is %q", logged)
	}
}
