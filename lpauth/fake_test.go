package lpauth

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"
)

const (
	testAccount = AccountID("le81823118")
	testBase    = "http://127.0.0.1:9"
	testSecret  = "s3cret-of-the-app"
)

// livePerson answers over pipes in memory, so that it also works in fake time.
type livePerson struct {
	http.ServeMux
	transport *http.Transport

	mu    sync.Mutex
	calls map[string]int
}

func newLivePerson(t *testing.T) *livePerson {
	t.Helper()
	lp := &livePerson{calls: make(map[string]int)}
	conns, done := make(chan net.Conn), make(chan struct{})
	server := &http.Server{Handler: lp.counted()}
	lp.transport = NewTransport(TransportOptions{})
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

func (lp *livePerson) counted() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		lp.mu.Lock()
		lp.calls[r.Method+" "+r.URL.Path]++
		lp.mu.Unlock()
		lp.ServeMux.ServeHTTP(w, r)
	})
}

func (lp *livePerson) count(call string) int {
	lp.mu.Lock()
	defer lp.mu.Unlock()
	return lp.calls[call]
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

// fixedDomains always gives the same base.
type fixedDomains struct {
	mu          sync.Mutex
	invalidated int
}

func (f *fixedDomains) BaseURL(context.Context, string) (string, error) { return testBase, nil }
func (f *fixedDomains) Invalidate() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.invalidated++
}

func testJWT(payload string) string {
	part := base64.RawURLEncoding.EncodeToString
	return part([]byte(`{"kid":"appjwt-13-05-17","typ":"JWT","alg":"RS256"}`)) + "." + part([]byte(payload)) + "." + part([]byte("signature"))
}

func appJWT(n int, expires time.Time) string {
	return testJWT(fmt.Sprintf(`{"aud":"le81823118","azp":"app-%d","scope":"msg.consumer","iss":"Sentinel","exp":%d,"iat":%d}`,
		n, expires.Unix(), time.Now().Unix()))
}

func parseQuery(t *testing.T, raw string) url.Values {
	t.Helper()
	values, err := url.ParseQuery(raw)
	if err != nil {
		t.Fatal(err)
	}
	return values
}
