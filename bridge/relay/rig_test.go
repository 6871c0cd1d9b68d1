package relay_test

import (
	"bytes"
	"context"
	"errors"
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

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/relay"
	"lpbridge/connector"
	"lpbridge/connector/lpsim"
	"lpbridge/lpauth"
)

const (
	account  = "sandbox"
	clientID = "sandbox-client"
	secret   = "sandbox-secret"
)

// rig is a bridge between a recording channel and a simulated LivePerson, all
// in one bubble of fake time and without sockets.
type rig struct {
	t       *testing.T
	journal *bridgetest.Journal
	sim     *lpsim.Sim
	channel *channel
	bridge  *relay.Bridge
	core    bridge.Core
	door    *door
	handler http.Handler
	wire    *wire

	stop    context.CancelFunc
	stopped chan error
	close   func()
}

// pace says how long the next step takes.
type pace func() time.Duration

func (p pace) take() {
	if p != nil {
		time.Sleep(p())
	}
}

// rigOptions change what a rig is made of.
type rigOptions struct {
	journal       *bridgetest.Journal
	sim           *lpsim.Sim
	door          *door
	channel       *channel
	others        []bridge.Adapter
	notifications relay.Notifications
	survey        bool
	// echoWait is 15 s unless set.
	echoWait time.Duration
	quiet    bool
	// chronicle, when not nil, notes all that happens.
	chronicle *chronicle
	// pace is how long each step of journal and network takes; nil is no time.
	pace pace
	// adjust changes the bridge's own options.
	adjust func(*relay.Options)
}

// wire carries requests to the simulator and can be told to fail. It records
// what was sent when.
type wire struct {
	sim       http.RoundTripper
	chronicle *chronicle
	pace      pace
	began     time.Time

	mu     sync.Mutex
	calls  []call
	before func(r *http.Request, body string) (*http.Response, error)
}

// call is one request of the bridge to LivePerson's message API.
type call struct {
	at   time.Duration
	what string
}

func (w *wire) RoundTrip(r *http.Request) (resp *http.Response, err error) {
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
	if what := summary(r, string(body)); what != "" {
		w.calls = append(w.calls, call{time.Since(w.began), what})
	}
	before := w.before
	w.mu.Unlock()
	ended := w.chronicle.called(r, string(body))
	defer func() { ended(resp, err) }()
	if before != nil {
		if resp, err := before(r, string(body)); resp != nil || err != nil {
			return resp, err
		}
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	w.pace.take()
	defer w.pace.take()
	return w.sim.RoundTrip(r)
}

// fail makes requests end as the function says, until it is called with nil.
func (w *wire) fail(before func(r *http.Request, body string) (*http.Response, error)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before = before
}

// summary names a call of the message API as a timeline does.
func summary(r *http.Request, body string) string {
	if strings.HasSuffix(r.URL.Path, "/consumer/conversation") {
		return "CONVERSATION"
	}
	if !strings.HasSuffix(r.URL.Path, "/conversation/send") {
		return ""
	}
	for _, word := range []string{"COMPOSING", "PAUSE", "ACTIVE", "ACCEPT", "READ", "NACK", "ACTION", "ContentEvent", "CLOSE", "CSATRate", "SetUserProfile"} {
		if strings.Contains(body, `"`+word+`"`) || strings.Contains(body, "."+word) {
			return word
		}
	}
	return "?"
}

// timeline lists the calls so far as "0.0 COMPOSING".
func (w *wire) timeline() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := make([]string, len(w.calls))
	for i, c := range w.calls {
		lines[i] = fmt.Sprintf("%.1f %s", c.at.Seconds(), c.what)
	}
	return lines
}

// sent lists when calls of a kind were made.
func (w *wire) sent(what string) (at []time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.calls {
		if c.what == what {
			at = append(at, c.at)
		}
	}
	return at
}

// restartClock forgets the calls and counts time from now.
func (w *wire) restartClock() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls, w.began = nil, time.Now()
}

// inBubble runs a test in fake time with a rig, and stops it in order.
func inBubble(t *testing.T, o rigOptions, test func(*testing.T, *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, o)
		t.Cleanup(func() {
			r.shutDown()
			r.sim.Close()
		})
		test(t, r)
	})
}

func newRig(t *testing.T, o rigOptions) *rig {
	t.Helper()
	r := &rig{t: t, journal: o.journal, sim: o.sim, door: o.door, channel: o.channel, stopped: make(chan error, 1)}
	if r.journal == nil {
		r.journal = bridgetest.NewJournal()
	}
	if r.channel == nil {
		r.channel = newChannel()
		r.channel.chronicle = o.chronicle
	}
	if r.door == nil {
		r.door = &door{pace: o.pace, chronicle: o.chronicle}
	}
	webhooks := &http.Client{Transport: r.door}
	if r.sim == nil {
		r.sim = lpsim.New(lpsim.Config{
			WebhookClient: webhooks,
			Webhooks:      lpsim.Webhooks{URL: "http://bridge.test/webhooks/liveperson", RetentionSeconds: 3600},
			Now:           time.Now,
		})
	}
	if o.chronicle != nil {
		r.sim.OnApplied(o.chronicle.applied)
	}
	r.journal.Slow(o.pace.take)
	r.wire = &wire{sim: r.sim.Transport(), began: time.Now(), chronicle: o.chronicle, pace: o.pace}
	client, closeClient := newClient(t, r.wire)
	if o.echoWait == 0 {
		o.echoWait = 15 * time.Second
	}
	logger := slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelInfo}))
	if o.quiet {
		logger = slog.New(slog.DiscardHandler)
	}
	var journal bridge.Journal = r.journal
	if o.chronicle != nil {
		logger, journal = o.chronicle.logger(), witness{r.journal, o.chronicle}
	}
	if o.notifications == "" {
		o.notifications = relay.NotificationsOn
	}
	options := relay.Options{
		Account: account, ClientID: clientID, Journal: journal, Client: client,
		VerifySignature: func(header string, body []byte) error { return lpauth.VerifySignature(secret, header, body) },
		Notifications:   o.notifications, EchoWait: o.echoWait, DeadLetterAfter: 24 * time.Hour, MaxInFlight: 64,
		Survey: o.survey, ConsumerKey: consumerKey,
		Logger:  logger,
		Metrics: prometheus.NewRegistry(),
	}
	if o.adjust != nil {
		o.adjust(&options)
	}
	var err error
	r.bridge, err = relay.New(options)
	if err != nil {
		t.Fatal(err)
	}
	r.core = r.bridge.Core("test")
	for _, a := range append([]bridge.Adapter{r.channel}, o.others...) {
		if err := r.bridge.Attach(a); err != nil {
			t.Fatal(err)
		}
	}
	mux := http.NewServeMux()
	for _, route := range r.bridge.Routes() {
		mux.Handle(route.Pattern, route.Handler)
	}
	r.handler = mux
	ctx, cancel := context.WithCancel(t.Context())
	r.stop = cancel
	r.close = closeClient
	started := make(chan struct{})
	go func() { r.stopped <- r.bridge.Run(ctx, 5*time.Second, func() { close(started) }) }()
	select {
	case <-started:
	case err := <-r.stopped:
		t.Fatal(err)
	}
	r.door.lead(mux)
	return r
}

func newClient(t *testing.T, transport http.RoundTripper) (*connector.Client, func()) {
	t.Helper()
	domains, err := lpauth.NewDomains(lpauth.DomainsOptions{AccountID: account, URL: "http://127.0.0.1:8090", Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := lpauth.NewAppTokens(lpauth.AppTokensOptions{AccountID: account, ClientID: clientID, ClientSecret: secret, Domains: domains, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	consumers, err := lpauth.NewConsumerTokens(lpauth.ConsumerTokensOptions{AccountID: account, Domains: domains, AppTokens: tokens, Transport: transport})
	if err != nil {
		t.Fatal(err)
	}
	client, err := connector.New(connector.Options{
		AccountID: account, ClientID: clientID, Domains: domains, AppTokens: tokens, Consumers: consumers,
		Transport: transport, Features: []string{"MULTI_DIALOG", "QUICK_REPLIES", "RICH_CONTENT", "PHOTO_SHARING", "FILE_SHARING"}, Documents: true,
		Timeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	return client, func() {
		consumers.Close()
		tokens.Close()
		domains.Close()
	}
}

// shutDown stops the bridge in order and closes its journal.
func (r *rig) shutDown() {
	r.t.Helper()
	r.stop()
	if err := <-r.stopped; err != nil {
		r.t.Errorf("stop: %v", err)
	}
	r.close()
	if err := r.journal.Close(); err != nil {
		r.t.Errorf("close the journal: %v", err)
	}
}

// door brings the simulator's webhooks to whichever bridge is behind it, if any.
type door struct {
	chronicle *chronicle
	pace      pace
	mu        sync.Mutex
	handler   http.Handler
}

// lead puts a bridge behind the door, or none for nil.
func (d *door) lead(h http.Handler) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.handler = h
}

func (d *door) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	d.mu.Lock()
	h := d.handler
	d.mu.Unlock()
	if h == nil {
		return nil, errors.New("connection refused")
	}
	if d.chronicle != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		answered := d.chronicle.notified(body)
		defer func() { answered(resp.StatusCode) }()
	}
	d.pace.take()
	defer d.pace.take()
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	resp = rec.Result()
	resp.Request = r
	return resp, nil
}

// testWriter logs to the test.
type testWriter struct{ t *testing.T }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// say accepts a consumer's message.
func (r *rig) say(thread, id, text string) {
	r.t.Helper()
	r.accept(bridge.Event{
		ID: bridge.EventID(id), Kind: bridge.KindMessage, Thread: bridge.ThreadID(thread),
		Consumer: &bridge.Consumer{ID: bridge.ConsumerID("user-of-" + thread)}, Message: &bridge.Message{Text: text},
	})
}

// types accepts a consumer's typing.
func (r *rig) types(thread string, state bridge.TypingState) {
	r.t.Helper()
	r.accept(bridge.Event{
		Kind: bridge.KindTyping, Thread: bridge.ThreadID(thread),
		Consumer: &bridge.Consumer{ID: bridge.ConsumerID("user-of-" + thread)}, Typing: &bridge.Typing{State: state},
	})
}

func (r *rig) accept(events ...bridge.Event) bridge.Accepted {
	r.t.Helper()
	done, err := r.core.Accept(r.t.Context(), events)
	if err != nil {
		r.t.Fatalf("accept: %v", err)
	}
	return done
}

// event makes an event of a thread's consumer.
func event(kind bridge.Kind, thread, id string) bridge.Event {
	return bridge.Event{
		ID: bridge.EventID(id), Kind: kind, Thread: bridge.ThreadID(thread),
		Consumer: &bridge.Consumer{ID: bridge.ConsumerID("user-of-" + thread)},
	}
}

// conversation returns the newest conversation of LivePerson.
func (r *rig) conversation() lpsim.Conversation {
	r.t.Helper()
	all := r.sim.Conversations()
	if len(all) == 0 {
		r.t.Fatal("there is no conversation")
	}
	c, ok := r.sim.Conversation(all[0].ConversationID)
	if !ok {
		r.t.Fatal("the newest conversation is gone")
	}
	return c
}

// consumerTexts lists what the consumer wrote in a conversation.
func consumerTexts(c lpsim.Conversation) []string {
	var texts []string
	for _, e := range c.Transcript {
		if e.Role == "CONSUMER" && e.Type == "ContentEvent" {
			texts = append(texts, e.Text)
		}
	}
	return texts
}
