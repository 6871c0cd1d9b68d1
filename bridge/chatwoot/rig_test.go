package chatwoot

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge/bridgetest"
	engine "lpbridge/bridge/relay"
	"lpbridge/connector"
	"lpbridge/connector/lpsim"
	"lpbridge/lpauth"
)

// queueTime is how long Chatwoot takes to report what we did.
const queueTime = 300 * time.Millisecond

// consumerKey is the key of the installation.
var consumerKey = []byte("a key of the test")

// relay is the real bridge between a stub of Chatwoot and a simulated
// LivePerson, all in one bubble of fake time and without sockets.
type relay struct {
	t       *testing.T
	sim     *lpsim.Sim
	far     *stub
	lp      *lpWire
	handler http.Handler
	journal *bridgetest.Journal
	// returning are webhooks about our own calls that are on their way.
	returning sync.WaitGroup
	lastID    int
}

// lpWire records the bridge's calls of LivePerson's message API.
type lpWire struct {
	next http.RoundTripper

	mu    sync.Mutex
	began time.Time
	calls []string
}

func (w *lpWire) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil && trace.WroteHeaders != nil {
		trace.WroteHeaders()
	}
	w.mu.Lock()
	if what := lpCall(r.URL.Path, string(body)); what != "" {
		w.calls = append(w.calls, fmt.Sprintf("%.1f %s", time.Since(w.began).Seconds(), what))
	}
	w.mu.Unlock()
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(body))
	return w.next.RoundTrip(r)
}

// lpCall names a call as a timeline does.
func lpCall(path, body string) string {
	if strings.HasSuffix(path, "/consumer/conversation") {
		return "CONVERSATION"
	}
	if !strings.HasSuffix(path, "/conversation/send") {
		return ""
	}
	for _, word := range []string{"COMPOSING", "PAUSE", "ACTIVE", "ACCEPT", "READ", "NACK", "ACTION", "ContentEvent", "CLOSE", "CSATRate", "SetUserProfile"} {
		if strings.Contains(body, `"`+word+`"`) || strings.Contains(body, "."+word) {
			return word
		}
	}
	return "?"
}

// timeline lists the calls but for receipts, which follow every message.
func (w *lpWire) timeline() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var lines []string
	for _, c := range w.calls {
		if !strings.HasSuffix(c, " ACCEPT") {
			lines = append(lines, c)
		}
	}
	return lines
}

// inBubble runs a test with a relay in fake time and stops it in order.
func inBubble(t *testing.T, change func(*Config), test func(*testing.T, *relay)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(recordedAt.Truncate(time.Second)))
		r := newRelay(t, change)
		test(t, r)
	})
}

func newRelay(t *testing.T, change func(*Config)) *relay {
	t.Helper()
	r := &relay{t: t, far: newStub(t), journal: bridgetest.NewJournal(), lastID: 100}
	r.far.hook = func(payload map[string]any) {
		r.returning.Go(func() {
			time.Sleep(queueTime)
			r.webhook(payload)
		})
	}
	r.sim = lpsim.New(lpsim.Config{
		WebhookClient: &http.Client{Transport: front{r}},
		Webhooks:      lpsim.Webhooks{URL: "http://bridge.test/webhooks/liveperson", RetentionSeconds: 3600},
	})
	r.lp = &lpWire{next: r.sim.Transport(), began: time.Now()}
	lp, closeClient := livePerson(t, r.lp)
	log := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	b, err := engine.New(engine.Options{
		Account: "sandbox", ClientID: "sandbox-client", Journal: r.journal, Client: lp,
		VerifySignature: func(header string, body []byte) error { return lpauth.VerifySignature("sandbox-secret", header, body) },
		Notifications:   engine.NotificationsOn, EchoWait: 15 * time.Second, DeadLetterAfter: 24 * time.Hour, MaxInFlight: 16, ConsumerKey: consumerKey,
		Logger: log, Metrics: prometheus.NewRegistry(), PublicURL: mustURL(t, "https://bridge.example"),
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg := goodConfig(t)
	if change != nil {
		change(&cfg)
	}
	r.far.owner = cfg.tokenKind()
	c, err := New(cfg, b.Core(name), client(r.far), log)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Attach(c); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	for _, route := range b.Routes() {
		mux.Handle(route.Pattern, route.Handler)
	}
	r.handler = mux
	r.run(b, closeClient)
	return r
}

// run starts the bridge and has it stopped at the test's end.
func (r *relay) run(b *engine.Bridge, closeClient func()) {
	ctx, stop := context.WithCancel(context.Background())
	stopped, started := make(chan error, 1), make(chan struct{})
	go func() { stopped <- b.Run(ctx, 10*time.Second, func() { close(started) }) }()
	select {
	case <-started:
	case err := <-stopped:
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		r.returning.Wait()
		stop()
		if err := <-stopped; err != nil {
			r.t.Errorf("stop: %v", err)
		}
		closeClient()
		if err := r.journal.Close(); err != nil {
			r.t.Errorf("close the journal: %v", err)
		}
		r.sim.Close()
	})
}

func livePerson(t *testing.T, transport http.RoundTripper) (*connector.Client, func()) {
	t.Helper()
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	domains, err := lpauth.NewDomains(lpauth.DomainsOptions{AccountID: "sandbox", URL: "http://127.0.0.1:8090", Transport: transport})
	must(err)
	tokens, err := lpauth.NewAppTokens(lpauth.AppTokensOptions{
		AccountID: "sandbox", ClientID: "sandbox-client", ClientSecret: "sandbox-secret", Domains: domains, Transport: transport,
	})
	must(err)
	consumers, err := lpauth.NewConsumerTokens(lpauth.ConsumerTokensOptions{AccountID: "sandbox", Domains: domains, AppTokens: tokens, Transport: transport})
	must(err)
	client, err := connector.New(connector.Options{
		AccountID: "sandbox", ClientID: "sandbox-client", Domains: domains, AppTokens: tokens, Consumers: consumers,
		Transport: transport, Features: []string{"MULTI_DIALOG", "QUICK_REPLIES", "RICH_CONTENT", "FILE_SHARING"}, Timeout: 10 * time.Second,
	})
	must(err)
	return client, func() {
		consumers.Close()
		tokens.Close()
		domains.Close()
	}
}

// front brings LivePerson's webhooks to the bridge.
type front struct{ relay *relay }

func (f front) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	f.relay.handler.ServeHTTP(rec, r)
	resp := rec.Result()
	resp.Request = r
	return resp, nil
}

// webhook has Chatwoot send a payload.
func (r *relay) webhook(payload any) {
	rec := httptest.NewRecorder()
	r.handler.ServeHTTP(rec, signed(accountSecret, encode(r.t, payload)))
	if rec.Code != http.StatusOK {
		r.t.Errorf("a webhook was answered %d %s", rec.Code, rec.Body)
	}
}

// says has the consumer write a message.
func (r *relay) says(text string) {
	r.t.Helper()
	r.lastID++
	p := fixture(r.t, "message_created")
	p["id"], p["content"], p["created_at"] = r.lastID, text, time.Now().UTC().Format(time.RFC3339Nano)
	p["conversation"].(map[string]any)["updated_at"] = float64(time.Now().UnixMilli()) / 1000
	r.far.mu.Lock()
	r.far.status = statusOpen
	r.far.mu.Unlock()
	r.webhook(p)
}

// types has the consumer's client send on or off.
func (r *relay) types(state string) { r.webhook(fixture(r.t, "conversation_typing_"+state)) }

// begin has the consumer write first, waits until nothing of it matters any
// more, and starts the clocks.
func (r *relay) begin() string {
	r.t.Helper()
	r.says("hello")
	time.Sleep(time.Minute)
	r.lp.mu.Lock()
	r.lp.calls, r.lp.began = nil, time.Now()
	r.lp.mu.Unlock()
	r.far.restartClock()
	return r.conversation().ConversationID
}

// at waits until so many seconds after begin.
func (r *relay) at(seconds float64) {
	time.Sleep(time.Until(r.far.began.Add(time.Duration(seconds * float64(time.Second)))))
}

func (r *relay) conversation() lpsim.Conversation {
	r.t.Helper()
	all := r.sim.Conversations()
	if len(all) == 0 {
		r.t.Fatal("there is no conversation")
	}
	c, _ := r.sim.Conversation(all[0].ConversationID)
	return c
}

// texts are what the consumer wrote, as the agent reads it.
func texts(c lpsim.Conversation) []string {
	var out []string
	for _, e := range c.Transcript {
		if e.Role == lpsim.RoleConsumer && e.Type == "ContentEvent" {
			out = append(out, e.Text)
		}
	}
	return out
}

func (r *relay) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}
