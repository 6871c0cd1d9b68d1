package connector

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"lpbridge/lpauth"
)

const (
	testAccount      = AccountID("42257269")
	testBase         = "http://127.0.0.1:9"
	conversationPath = "POST /api/account/42257269/messaging/consumer/conversation"
	sendPath         = "POST /api/account/42257269/messaging/consumer/conversation/send"
	ana              = ConsumerIdentity("webchat:u-7")
	testConversation = "8602832d-dce1-446b-8445-0d51f5926a42"
)

var mainDialog = Target{ConversationID: testConversation}

// livePerson answers over pipes in memory, so that it also works in fake time.
type livePerson struct {
	http.ServeMux
	transport *http.Transport

	mu       sync.Mutex
	requests []received
}

type received struct {
	call   string
	query  string
	header http.Header
	body   string
}

func newLivePerson(t testing.TB) *livePerson {
	t.Helper()
	lp := &livePerson{}
	conns, done := make(chan net.Conn), make(chan struct{})
	server := &http.Server{Handler: lp.recorded()}
	lp.transport = lpauth.NewTransport(lpauth.TransportOptions{})
	lp.transport.Proxy = nil
	lp.transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		select {
		case conns <- theirs:
			return ours, nil
		case <-done:
			return nil, errors.New("connection refused")
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(&pipeListener{conns: conns, done: done}) })
	t.Cleanup(func() {
		lp.transport.CloseIdleConnections()
		close(done)
		_ = server.Close()
		serving.Wait()
	})
	return lp
}

func (lp *livePerson) recorded() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		lp.mu.Lock()
		lp.requests = append(lp.requests, received{r.Method + " " + r.URL.Path, r.URL.RawQuery, r.Header.Clone(), string(body)})
		lp.mu.Unlock()
		lp.ServeMux.ServeHTTP(w, withBody(r, body))
	})
}

func (lp *livePerson) received() []received {
	lp.mu.Lock()
	defer lp.mu.Unlock()
	return append([]received(nil), lp.requests...)
}

type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error   { return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// reply answers with {…} in which $ID is the request's id, or those of a batch $1 and $2.
func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, fillIDs(r, body))
	}
}

// fakeDomains always gives the same base, or an error.
type fakeDomains struct {
	err error

	mu          sync.Mutex
	invalidated int
}

func (f *fakeDomains) BaseURL(context.Context, string) (string, error) { return testBase, f.err }
func (f *fakeDomains) Invalidate() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.invalidated++
}

// fakeTokens gives app-1 and jws-1, and the next number after each Invalidate.
type fakeTokens struct {
	err error

	mu             sync.Mutex
	apps, consumer int
}

func (f *fakeTokens) Token(context.Context) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return fmt.Sprintf("app-%d", f.apps+1), f.err
}

func (f *fakeTokens) Invalidate(string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.apps++
}

type fakeConsumers struct{ *fakeTokens }

func (f fakeConsumers) Consumer(_ context.Context, identity ConsumerIdentity) (lpauth.Consumer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return lpauth.Consumer{Token: fmt.Sprintf("jws-%d", f.consumer+1), ID: ConsumerID("lp-" + identity)}, nil
}

func (f fakeConsumers) Invalidate(ConsumerIdentity, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.consumer++
}

type fakes struct {
	domains *fakeDomains
	tokens  *fakeTokens
}

func testClient(t testing.TB, rt http.RoundTripper) (*Client, fakes) {
	t.Helper()
	f := fakes{&fakeDomains{}, &fakeTokens{}}
	c, err := New(Options{
		AccountID: testAccount, ClientID: "app-install", Domains: f.domains, AppTokens: f.tokens, Consumers: fakeConsumers{f.tokens},
		Transport: rt, Features: []string{"RICH_CONTENT", "QUICK_REPLIES"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return c, f
}

func decodeJSON(t testing.TB, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func asError(t testing.TB, err error) *Error {
	t.Helper()
	failed, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("got %v, want an *Error", err)
	}
	return failed
}

func withBody(r *http.Request, body []byte) *http.Request {
	r.Body = io.NopCloser(bytes.NewReader(body))
	return r
}

func fillIDs(r *http.Request, template string) string {
	type identified struct {
		ID string `json:"id"`
	}
	var asked oneOrMany[identified]
	if json.NewDecoder(r.Body).Decode(&asked) != nil || len(asked) == 0 {
		return template
	}
	return strings.NewReplacer("$ID", asked[0].ID, "$1", asked[0].ID, "$2", asked[len(asked)-1].ID).Replace(template)
}
