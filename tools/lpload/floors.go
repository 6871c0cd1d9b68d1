package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"syscall"
	"time"
)

// lanes is how many deliveries lpbridge has under way at most by default, and
// so the durable floor.
const lanes = 512

// runPart is one of lpload's own processes.
func runPart(ctx context.Context, args []string) int {
	if err := servePart(ctx, args, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "lpload part:", err)
		return 1
	}
	return 0
}

func servePart(ctx context.Context, args []string, out io.Writer) error {
	f := flag.NewFlagSet(partArgument, flag.ContinueOnError)
	name := f.String("name", "", "which part")
	upstreamURL := f.String("upstream", "", "where to send")
	file := f.String("file", "", "the durable floor's file")
	if err := f.Parse(args); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	var h http.Handler
	switch *name {
	case "upstream":
		h = newUpstream(l.Addr().String())
	case "proxy":
		h, err = newProxy(*upstreamURL)
	case "relay":
		h = &relay{to: *upstreamURL + sendPath, client: newClient(lanes)}
	case "floor":
		var d *durable
		if d, err = newDurable(*upstreamURL, *file); err == nil {
			defer d.close()
			h = d
		}
	default:
		err = fmt.Errorf("there is no part %q", *name)
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(out, l.Addr())
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second}
	end := context.AfterFunc(ctx, func() { server.Close() })
	defer end()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func newTransport(connections int) *http.Transport {
	return &http.Transport{
		MaxIdleConns: 0, MaxIdleConnsPerHost: connections, IdleConnTimeout: time.Minute, DisableCompression: true,
	}
}

func newClient(connections int) *http.Client {
	return &http.Client{Transport: newTransport(connections), Timeout: 30 * time.Second}
}

// newProxy is the first floor: no state, no promise.
func newProxy(to string) (http.Handler, error) {
	target, err := url.Parse(to + sendPath)
	if err != nil {
		return nil, err
	}
	return &httputil.ReverseProxy{
		Transport: newTransport(lanes), BufferPool: &bufferPool{}, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL, r.Out.Host = target, target.Host },
	}, nil
}

type bufferPool struct{ pool sync.Pool }

func (b *bufferPool) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, 32<<10)
}

func (b *bufferPool) Put(p []byte) { b.pool.Put(&p) }

// relay is the second floor: a rewritten body, still no state.
type relay struct {
	to     string
	client *http.Client
}

func (f *relay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if err := post(r.Context(), f.client, f.to, rewrite(body)); err != nil {
		w.WriteHeader(http.StatusBadGateway)
	}
}

// rewrite makes of an event what LivePerson is sent, by cutting instead of
// parsing: a floor does the least there is to do.
func rewrite(body []byte) []byte {
	thread := body[bytes.Index(body, []byte(threadMark)):][:threadLen]
	var b bytes.Buffer
	b.Grow(320)
	b.WriteString(`{"kind":"req","id":"1","type":"ms.PublishEvent","body":{"dialogId":"`)
	b.Write(thread)
	if isComposing(body) {
		b.WriteString(`","event":{"type":"ChatStateEvent","chatState":"COMPOSING"}}}`)
		return b.Bytes()
	}
	b.WriteString(`","event":{"type":"ContentEvent","contentType":"text/plain","message":"`)
	if i := bytes.Index(body, []byte(mark)); i >= 0 {
		text := body[i:]
		b.Write(text[:max(bytes.IndexByte(text, '"'), 0)])
	}
	b.WriteString(`"}}}`)
	return b.Bytes()
}

func post(ctx context.Context, c *http.Client, to string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header["Content-Type"] = []string{"application/json"}
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	return err
}

// durable is the third floor: an answer after one flush for all who wait, then
// delivery in order per thread. It removes no duplicates, repeats nothing, knows
// no conversations and forgets nothing that it delivered.
type durable struct {
	to     string
	client *http.Client
	file   *os.File
	slots  chan struct{}

	mu      sync.Mutex
	waiting []waiting
	wake    chan struct{}
	done    chan struct{}
	stopped sync.WaitGroup

	lanes sync.Mutex
	queue map[int][][]byte
}

type waiting struct {
	body []byte
	kept chan error
}

func newDurable(to, path string) (*durable, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	d := &durable{
		to: to, client: newClient(lanes), file: f, slots: make(chan struct{}, lanes),
		wake: make(chan struct{}, 1), done: make(chan struct{}), queue: map[int][][]byte{},
	}
	d.stopped.Go(d.commit)
	return d, nil
}

func (d *durable) close() {
	close(d.done)
	d.stopped.Wait()
	d.file.Close()
}

func (d *durable) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	if isComposing(body) {
		// Typing is never durable.
		d.deliver(body)
		return
	}
	kept := make(chan error, 1)
	d.mu.Lock()
	d.waiting = append(d.waiting, waiting{body, kept})
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
	if err := <-kept; err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.URL.Path != notifyPath {
		d.deliver(body)
	}
}

// commit appends what waits and flushes once for all of it.
func (d *durable) commit() {
	var batch []waiting
	var all []byte
	for {
		select {
		case <-d.wake:
		case <-d.done:
			return
		}
		d.mu.Lock()
		batch, d.waiting = d.waiting, batch[:0]
		d.mu.Unlock()
		all = all[:0]
		for _, w := range batch {
			all = append(append(all, w.body...), '\n')
		}
		_, err := d.file.Write(all)
		if err == nil {
			err = syscall.Fdatasync(int(d.file.Fd()))
		}
		for i := range batch {
			batch[i].kept <- err
			batch[i] = waiting{}
		}
	}
}

// deliver queues a body in its thread's lane and starts the lane if it rests.
func (d *durable) deliver(body []byte) {
	t, _ := threadNumber(body)
	d.lanes.Lock()
	defer d.lanes.Unlock()
	queue, runs := d.queue[t]
	d.queue[t] = append(queue, rewrite(body))
	if !runs {
		go d.run(t)
	}
}

// run empties a lane. The process ends with all its lanes, so nobody waits.
func (d *durable) run(t int) {
	d.slots <- struct{}{}
	defer func() { <-d.slots }()
	for {
		d.lanes.Lock()
		queue := d.queue[t]
		if len(queue) == 0 {
			delete(d.queue, t)
			d.lanes.Unlock()
			return
		}
		d.queue[t] = queue[1:]
		d.lanes.Unlock()
		// A floor repeats nothing; what is lost shows in the count.
		_ = post(context.Background(), d.client, d.to+sendPath, queue[0])
	}
}
