//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"lpbridge/connector/lpsim"
)

// balancer leads to the replicas whose /readyz says yes, by turns, as those before a
// bridge do; a connection that is refused is tried elsewhere.
type balancer struct {
	*httptest.Server
	stop chan struct{}

	mu       sync.Mutex
	replicas []*process
	ready    []*process
	next     int
}

func newBalancer(t *testing.T) *balancer {
	t.Helper()
	b := &balancer{stop: make(chan struct{})}
	proxy := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.Out.Host = r.In.Host },
		Transport:    b,
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	b.Server = httptest.NewServer(proxy)
	var asking sync.WaitGroup
	asking.Go(b.ask)
	t.Cleanup(func() {
		close(b.stop)
		asking.Wait()
		b.CloseClientConnections()
		b.Close()
	})
	return b
}

// ask finds out who is ready, ten times a second.
func (b *balancer) ask() {
	for {
		select {
		case <-b.stop:
			return
		case <-time.After(100 * time.Millisecond):
		}
		b.mu.Lock()
		all := b.replicas
		b.mu.Unlock()
		var ready []*process
		for _, p := range all {
			if a, err := try(http.MethodGet, p.admin+"/readyz", nil, ""); err == nil && a.status == http.StatusOK {
				ready = append(ready, p)
			}
		}
		b.mu.Lock()
		b.ready = ready
		b.mu.Unlock()
	}
}

func (b *balancer) lead(to ...*process) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.replicas = slices.Clone(to)
}

func (b *balancer) take() (*process, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.ready) == 0 {
		return nil, 0
	}
	b.next++
	return b.ready[b.next%len(b.ready)], len(b.ready)
}

// RoundTrip implements [http.RoundTripper].
func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	for range 20 {
		p, _ := b.take()
		if p == nil {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		address, err := url.Parse(p.public)
		if err != nil {
			return nil, err
		}
		r.URL.Scheme, r.URL.Host, r.Body = "http", address.Host, io.NopCloser(bytes.NewReader(body))
		answer, err := http.DefaultTransport.RoundTrip(r)
		var refused *net.OpError
		if errors.As(err, &refused) && refused.Op == "dial" {
			continue
		}
		return answer, err
	}
	return nil, errors.New("no replica is ready")
}

// runInstead starts a replica that listens where another one did, and waits until it takes
// requests, whatever it is by then.
func (s *stage) runInstead(of *process) *process {
	s.t.Helper()
	p := launch(s.t, s.with(map[string]string{
		"LPBRIDGE_LISTEN": strings.TrimPrefix(of.public, "http://"), "LPBRIDGE_ADMIN_LISTEN": strings.TrimPrefix(of.admin, "http://"),
	}), "run")
	p.public, p.admin = of.public, of.admin
	await(s.t, "the replica that was started again", func() bool {
		a, err := try(http.MethodGet, p.admin+"/readyz", nil, "")
		return err == nil && a.status == http.StatusOK
	})
	return p
}

// TestRollingRestart: while all replicas are restarted, one after the other and the owner
// among them, every webhook is answered 2xx, and everything arrives once and in order, in
// both directions.
func TestRollingRestart(t *testing.T) {
	t.Parallel()
	s, _ := newReplicas(t)
	s.settings["LPBRIDGE_DRAIN_DELAY"] = "1s"
	front := newBalancer(t)
	address, err := url.Parse(front.URL)
	if err != nil {
		t.Fatal(err)
	}
	s.ingress.Store(address)
	replicas := []*process{launch(t, s.with(nil), "run").awaitStart(), s.standBy(nil), s.standBy(nil)}
	for _, p := range replicas {
		p.awaitReady()
	}
	front.lead(replicas...)
	await(t, "the balancer", func() bool { _, n := front.take(); return n == 3 })

	const senders = 4
	stop := make(chan struct{})
	sent := make([][]string, senders)
	var sending sync.WaitGroup
	for i := range senders {
		sending.Go(func() {
			thread := fmt.Sprint("t-", i)
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				text := fmt.Sprint("text ", n)
				body := message(thread, fmt.Sprint(thread, "-", n), text)
				a, err := try(http.MethodPost, front.URL+"/channels/webhook", signed(t, body), body)
				if err != nil || a.status != http.StatusOK {
					t.Errorf("message %d of %s: answered %d %s, error %v", n, thread, a.status, a.body, err)
					return
				}
				sent[i] = append(sent[i], text)
			}
		})
	}
	for i, p := range replicas {
		p.terminate()
		replicas[i] = s.runInstead(p)
	}
	close(stop)
	sending.Wait()
	for i := range senders {
		if len(sent[i]) < 3 {
			t.Errorf("only %d messages were sent by one of the senders", len(sent[i]))
		}
		s.awaitTexts(fmt.Sprint("t-", i), sent[i]...)
	}
	conversation := s.conversations("t-0")[0].ConversationID
	if _, err := s.sim.AgentMessage(conversation, lpsim.AgentMessage{Text: "hello from the agent"}); err != nil {
		t.Fatal(err)
	}
	await(t, "the agent's words", func() bool {
		_, found := s.far.find(func(e farEvent) bool { return e.Message.Text == "hello from the agent" })
		return found
	})
}
