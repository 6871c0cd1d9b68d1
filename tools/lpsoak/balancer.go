package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// What the balancer does is what HAProxy and its like do by default, only more often:
	// a look at /readyz every half second, out after two that fail, in after one that
	// does not.
	checkEvery = 500 * time.Millisecond
	checkTime  = time.Second
	checksOut  = 2
	// upstreamTime is how long it waits for an answer; a replica may hold a request meanwhile.
	upstreamTime = 30 * time.Second
	// patient is how long somebody waits who is there until there is an answer.
	patient     = 100 * time.Millisecond
	connectTime = time.Second
)

// balancer stands before the replicas. It takes one after the other that is ready, and goes to
// the next only where it could not connect: what was sent is not sent again.
type balancer struct {
	replicas []*daemon
	client   *http.Client
	gaps     gaps
	door     *frontDoor

	mu   sync.Mutex
	next int
	// failed counts the looks at each replica that failed in a row.
	failed []int
}

func newBalancer(replicas []*daemon) (*balancer, error) {
	b := &balancer{replicas: replicas, failed: make([]int, len(replicas))}
	b.client = &http.Client{Timeout: upstreamTime, Transport: &http.Transport{
		DialContext: (&net.Dialer{Timeout: connectTime}).DialContext, MaxIdleConnsPerHost: 64, IdleConnTimeout: 30 * time.Second,
	}}
	for i := range b.failed {
		b.failed[i] = checksOut
	}
	var err error
	b.door, err = open(b)
	return b, err
}

func (b *balancer) address() string { return strings.TrimPrefix(b.door.url, "http://") }

// watch looks at the replicas until ctx ends.
func (b *balancer) watch(ctx context.Context) {
	var watching sync.WaitGroup
	defer watching.Wait()
	for i, r := range b.replicas {
		watching.Go(func() {
			for pause(ctx, checkEvery) == nil {
				b.judge(i, r.ready(ctx))
			}
		})
	}
}

func (b *balancer) judge(i int, ready bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ready {
		b.failed[i] = 0
		return
	}
	b.failed[i]++
}

// inOrder lists the replicas that are in, beginning with the one that is next.
func (b *balancer) inOrder() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var in []string
	for i, r := range b.replicas {
		if address := r.address(); b.failed[i] < checksOut && address != "" {
			in = append(in, address)
		}
	}
	if len(in) == 0 {
		return nil
	}
	b.next++
	return slices.Concat(in[b.next%len(in):], in[:b.next%len(in)])
}

// ServeHTTP implements [http.Handler].
func (b *balancer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if !kept(r, body) {
		b.forward(w, r, body)
		return
	}
	asked := time.Now()
	b.gaps.asked(asked)
	status := b.forward(w, r, body)
	now := time.Now()
	b.gaps.answered(now, status, r.Context().Err() != nil && now.Sub(asked) < patient)
}

// kept reports whether a request asks lpbridge to keep something, which its owner alone can. Typing is
// not kept.
func kept(r *http.Request, body []byte) bool {
	return strings.HasPrefix(r.URL.Path, "/webhooks/") || bytes.Contains(body, []byte(`"type":"message"`))
}

// forward hands a request to a replica and its answer back, and returns the status.
func (b *balancer) forward(w http.ResponseWriter, r *http.Request, body []byte) int {
	status := http.StatusServiceUnavailable
	for _, address := range b.inOrder() {
		resp, err := b.send(r, address, body)
		if unconnected(err) {
			continue
		}
		if err != nil {
			status = http.StatusBadGateway
			break
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			status = http.StatusBadGateway
			break
		}
		for _, name := range []string{"Content-Type", "Retry-After"} {
			if value := resp.Header.Get(name); value != "" {
				w.Header().Set(name, value)
			}
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = w.Write(answer)
		return resp.StatusCode
	}
	w.WriteHeader(status)
	return status
}

func (b *balancer) send(r *http.Request, address string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+address+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = r.Header.Clone()
	return b.client.Do(req)
}

// unconnected reports that there was no connection on which something was sent.
func unconnected(err error) bool {
	failed, ok := errors.AsType[*net.OpError](err)
	return ok && failed.Op == "dial"
}

// ready reports whether a replica says that it is.
func (d *daemon) ready(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, checkTime)
	defer cancel()
	return d.adminAddress() != "" && d.adminGet(ctx, "/readyz", func(io.Reader) error { return nil }) == nil
}

// gaps measures, from outside, how long nobody was served who asked.
type gaps struct {
	mu sync.Mutex
	// since is when somebody began to wait, and nobody was served after; zero when nobody
	// waits. waiting counts those who do, and refused is that one was sent away.
	since   time.Time
	waiting int
	refused bool
	longest time.Duration
	// last is when somebody was served last.
	last time.Time
}

func (g *gaps) asked(now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting++
	if g.since.IsZero() {
		g.since = now
	}
}

// answered notes the end of a request, which may be that who asked did not wait.
func (g *gaps) answered(now time.Time, status int, gone bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
	switch {
	case gone:
	case status >= http.StatusInternalServerError:
		g.refused = true
		return
	default:
		g.longest = max(g.longest, now.Sub(g.since))
		g.since, g.last, g.refused = now, now, false
	}
	if g.waiting == 0 && !g.refused {
		g.since = time.Time{}
	}
}

// take returns the longest time that ended since it was called last.
func (g *gaps) take() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	longest := g.longest
	g.longest = 0
	return longest
}

// after returns the longest time so far, once somebody was served after a moment.
func (g *gaps) after(moment time.Time) (longest time.Duration, served bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.longest, g.last.After(moment)
}
