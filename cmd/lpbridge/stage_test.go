package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"lpbridge/bridge"
	"lpbridge/connector/lpsim"
)

// channelSecret signs in both directions between channel and bridge.
const channelSecret = "whsec_bm90LWEtc2VjcmV0LWJ1dC1sb25nLWVub3VnaC1mb3Itb25l"

// stage is a bridge's surroundings: LivePerson, a channel, and a disk that
// outlives the process. LivePerson reaches the bridge through an address that
// stays the same while bridges come and go.
type stage struct {
	t    *testing.T
	sim  *lpsim.Sim
	wire *wire
	far  *farSide
	// front is where the bridge that runs is reached, whichever it is.
	front    string
	ingress  atomic.Pointer[url.URL]
	settings map[string]string
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, sim: lpsim.New(lpsim.Config{}), far: &farSide{t: t}}
	t.Cleanup(s.sim.Close)
	s.wire = &wire{sim: s.sim}
	livePerson, channel := httptest.NewServer(s.wire), httptest.NewServer(s.far)
	ingress := httptest.NewServer(s.proxy())
	for _, server := range []*httptest.Server{livePerson, channel, ingress} {
		t.Cleanup(func() {
			server.CloseClientConnections()
			server.Close()
		})
	}
	t.Cleanup(s.wire.release)
	s.front = ingress.URL
	if err := s.sim.SetWebhooks(lpsim.Webhooks{URL: ingress.URL + "/webhooks/liveperson", RetentionSeconds: 3600}); err != nil {
		t.Fatal(err)
	}
	s.settings = map[string]string{
		"LPBRIDGE_LISTEN": "127.0.0.1:0", "LPBRIDGE_ADMIN_LISTEN": "127.0.0.1:0", "LPBRIDGE_CHANNELS": "webhook",
		"LPBRIDGE_STORE": "sqlite:" + filepath.Join(t.TempDir(), "lpbridge.db"),
		// Nothing here ends because a call took too long for a busy machine.
		"LP_TIMEOUT":         "5m",
		"LPBRIDGE_ECHO_WAIT": "2s", "LPBRIDGE_CONSUMER_KEY": consumerKey,
		"LP_ACCOUNT_ID": "sandbox", "LP_CLIENT_ID": "sandbox-client", "LP_CLIENT_SECRET": "sandbox-secret",
		"LP_DOMAIN_API_URL": livePerson.URL, "LP_NOTIFICATIONS": "on",
		"WEBHOOK_SECRET": channelSecret, "WEBHOOK_URL": channel.URL,
	}
	return s
}

// proxy leads to the bridge that runs.
func (s *stage) proxy() http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			if bridge := s.ingress.Load(); bridge != nil {
				r.SetURL(bridge)
			}
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
}

// with returns the settings with some changed; an empty one is left out.
func (s *stage) with(changes map[string]string) map[string]string {
	settings := maps.Clone(s.settings)
	maps.Copy(settings, changes)
	maps.DeleteFunc(settings, func(_, value string) bool { return value == "" })
	return settings
}

// run starts a bridge and waits until it serves.
func (s *stage) run(changes map[string]string) *process {
	s.t.Helper()
	p := launch(s.t, s.with(changes), "run").awaitStart()
	s.lead(p)
	return p
}

// lead has the world outside reach a bridge.
func (s *stage) lead(to *process) {
	s.t.Helper()
	address, err := url.Parse(to.public)
	if err != nil {
		s.t.Fatal(err)
	}
	s.ingress.Store(address)
}

// wire is the way from bridge to LivePerson. It can hold requests up.
type wire struct {
	sim http.Handler

	mu   sync.Mutex
	held func(body string) bool
	// applied is called when LivePerson has taken a SEND and not answered it.
	applied func(body string)
	// arrived counts requests that were held up.
	arrived int
	free    chan struct{}
}

// hold makes SEND requests with some text wait until release.
func (w *wire) hold(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.held, w.free, w.arrived = func(body string) bool { return strings.Contains(body, text) }, make(chan struct{}), 0
}

// release lets the held requests go on.
func (w *wire) release() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.free != nil {
		close(w.free)
		w.held, w.free = nil, nil
	}
}

func (w *wire) waiting() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.arrived
}

func (w *wire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	if !strings.HasSuffix(r.URL.Path, "/conversation/send") {
		w.sim.ServeHTTP(rw, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	w.mu.Lock()
	free := w.free
	if free == nil || !w.held(string(body)) {
		free = nil
	} else {
		w.arrived++
	}
	w.mu.Unlock()
	if free != nil {
		select {
		case <-free:
		case <-r.Context().Done():
			// The bridge is gone, and so is its request.
			panic(http.ErrAbortHandler)
		}
	}
	answer := httptest.NewRecorder()
	w.sim.ServeHTTP(answer, r)
	w.mu.Lock()
	applied := w.applied
	w.mu.Unlock()
	if applied != nil {
		applied(string(body))
	}
	maps.Copy(rw.Header(), answer.Header())
	rw.WriteHeader(answer.Code)
	// A bridge that is gone reads no answer.
	_, _ = rw.Write(answer.Body.Bytes())
}

// afterwards calls a function once LivePerson has taken a SEND with some text.
func (w *wire) afterwards(text string, do func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var once sync.Once
	w.applied = func(body string) {
		if strings.Contains(body, text) {
			once.Do(do)
		}
	}
}

// farSide is a channel's server: what WEBHOOK_URL names.
type farSide struct {
	t *testing.T

	mu     sync.Mutex
	got    []farEvent
	refuse int
	// traces are the W3C contexts that came.
	traces []string
	// taken is called for each event.
	taken func(farEvent)
}

// farEvent is what the channel was told.
type farEvent struct {
	ID      string
	Type    string
	Thread  string
	Message struct{ Text string }
	Typing  struct{ State string }
	State   struct{ Conversation string }
	// signed says that the request carried a signature of ours.
	signed bool
	// raw is the body as it came.
	raw string
}

func (f *farSide) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	var e farEvent
	if err := json.Unmarshal(body, &e); err != nil {
		f.t.Errorf("the channel got no JSON: %v", err)
	}
	verifier, err := standardwebhooks.NewWebhook(channelSecret)
	if err != nil {
		f.t.Errorf("the secret of the test: %v", err)
		return
	}
	e.signed, e.raw = verifier.Verify(body, r.Header) == nil, string(body)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refuse != 0 {
		w.WriteHeader(f.refuse)
		return
	}
	f.got = append(f.got, e)
	f.traces = append(f.traces, r.Header.Get("Traceparent"))
	if f.taken != nil {
		f.taken(e)
	}
}

// refuseWith makes the channel answer a status; 0 makes it well again.
func (f *farSide) refuseWith(status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refuse = status
}

// find returns the first event that fits.
func (f *farSide) find(fits func(farEvent) bool) (farEvent, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.got, fits)
	if i < 0 {
		return farEvent{}, false
	}
	return f.got[i], true
}

// signed is a channel's request header for a body.
func signed(t *testing.T, body string) http.Header {
	t.Helper()
	signer, err := standardwebhooks.NewWebhook(channelSecret)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	signature, err := signer.Sign("request", now, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return http.Header{
		"Content-Type": {"application/json"}, "Webhook-Id": {"request"},
		"Webhook-Timestamp": {fmt.Sprint(now.Unix())}, "Webhook-Signature": {signature},
	}
}

// message is a consumer's message as the channel reports it. Every thread has a
// consumer of its own.
func message(thread, id, text string) string {
	return fmt.Sprintf(`{"id":%q,"type":"message","thread":%q,"consumer":{"id":"consumer-of-%s"},"message":{"text":%q}}`, id, thread, thread, text)
}

// typing is a consumer's typing as the channel reports it.
func typing(thread, state string) string {
	return fmt.Sprintf(`{"type":"typing","thread":%q,"consumer":{"id":"consumer-of-%s"},"typing":{"state":%q}}`, thread, thread, state)
}

// post reports events to a bridge, which must take them.
func (s *stage) post(p *process, body string) {
	s.t.Helper()
	if a := do(s.t, http.MethodPost, p.public+"/channels/webhook", signed(s.t, body), body); a.status != http.StatusOK {
		s.t.Fatalf("the bridge answered %d: %s", a.status, a.body)
	}
}

// consumerKey is the key of the installation.
const consumerKey = "a key of the stage, long enough for anyone"

// conversations are those of a thread's consumer, oldest first.
func (s *stage) conversations(thread string) []lpsim.Conversation {
	var found []lpsim.Conversation
	for _, summary := range slices.Backward(s.sim.Conversations()) {
		if summary.ExtConsumerID != bridge.ExtConsumerID([]byte(consumerKey), "webhook", bridge.ConsumerID("consumer-of-"+thread)) {
			continue
		}
		if c, ok := s.sim.Conversation(summary.ConversationID); ok {
			found = append(found, c)
		}
	}
	return found
}

// texts are what a thread's consumer wrote, as LivePerson has it.
func (s *stage) texts(thread string) []string {
	var texts []string
	for _, c := range s.conversations(thread) {
		for _, e := range c.Transcript {
			if e.Role == "CONSUMER" && e.Type == "ContentEvent" {
				texts = append(texts, e.Text)
			}
		}
	}
	return texts
}

// awaitTexts waits until LivePerson has as many texts of a thread as wanted and
// compares them.
func (s *stage) awaitTexts(thread string, want ...string) {
	s.t.Helper()
	await(s.t, "the messages of "+thread, func() bool { return len(s.texts(thread)) >= len(want) })
	if diff := cmp.Diff(want, s.texts(thread)); diff != "" {
		s.t.Errorf("messages of %s (-want +got):\n%s", thread, diff)
	}
}

// chatStates are what LivePerson was told of a thread's consumer.
func (s *stage) chatStates(thread string) []string {
	var states []string
	for _, c := range s.conversations(thread) {
		for _, r := range c.ChatStates {
			if r.Role == "CONSUMER" {
				states = append(states, r.ChatState)
			}
		}
	}
	return states
}

// agentSeesTyping waits until the agent sees the consumer typing, or not.
func (s *stage) agentSeesTyping(thread string, typing bool) {
	s.t.Helper()
	await(s.t, fmt.Sprintf("that the agent sees typing: %t", typing), func() bool {
		all := s.conversations(thread)
		return len(all) > 0 && all[len(all)-1].AgentSees.ConsumerTyping == typing
	})
}
