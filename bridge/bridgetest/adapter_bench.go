package bridgetest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"lpbridge/bridge"
)

// bench is an adapter under test and all it talks to.
type bench struct {
	Setting
	t       testing.TB
	c       AdapterCase
	adapter bridge.Adapter
	far     *farServer
	log     *logWriter
	mux     *http.ServeMux
}

// newBench builds the adapter anew. At the end of the check its log is searched
// for what is private.
func newBench(t testing.TB, c AdapterCase) *bench {
	t.Helper()
	b := &bench{t: t, c: c, far: newFarServer(t, c.Far), log: &logWriter{}}
	b.Setting = Setting{
		Core: NewCore(), URL: b.far.server.URL, Client: b.far.server.Client(),
		Log: slog.New(slog.NewJSONHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	b.adapter = c.New(t, b.Setting)
	b.mux = http.NewServeMux()
	for _, r := range b.adapter.Routes() {
		b.mux.Handle(r.Pattern, r.Handler)
	}
	if closer, ok := b.adapter.(bridge.Closer); ok {
		t.Cleanup(func() {
			if err := closer.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Errorf("Close: %v", err)
			}
		})
	}
	return b
}

// ready is newBench for deliveries.
func ready(t testing.TB, c AdapterCase) *bench {
	t.Helper()
	b := newBench(t, c)
	if c.Prepare != nil {
		c.Prepare(t, b.adapter, b.Setting)
		b.far.reset()
	}
	return b
}

func (b *bench) event(k bridge.Kind) *bridge.Event {
	build := AgentEvent
	if b.c.Event != nil {
		build = b.c.Event
	}
	e := build(k)
	return &e
}

// main returns an event of the first kind that the channel delivers, or nil.
func (b *bench) main() *bridge.Event {
	kinds := b.adapter.Channel().Delivers
	if len(kinds) == 0 {
		return nil
	}
	return b.event(kinds[0])
}

// send has the adapter's routes answer a request.
func (b *bench) send(r *http.Request) (*http.Response, []byte) {
	rec := httptest.NewRecorder()
	b.mux.ServeHTTP(rec, r)
	b.checkLog()
	return rec.Result(), rec.Body.Bytes()
}

// deliver delivers and searches error and log for what is private.
func (b *bench) deliver(ctx context.Context, e *bridge.Event) error {
	b.t.Helper()
	err := b.adapter.Deliver(ctx, e)
	if err != nil {
		b.checkText("error of Deliver", err.Error())
	}
	b.checkLog()
	return err
}

func (b *bench) checkLog() {
	b.t.Helper()
	b.checkText("log", b.log.String())
}

func (b *bench) checkText(where, text string) {
	b.t.Helper()
	for i, p := range b.c.private() {
		if strings.Contains(text, p) {
			b.t.Errorf("%s contains private text %d", where, i)
		}
	}
}

func (c AdapterCase) private() []string { return append([]string{AgentText}, c.Private...) }

// checkRefused checks an answer that refuses, and that nothing came of it.
func (b *bench) checkRefused(d Door, what string, want int, resp *http.Response, body []byte) {
	b.t.Helper()
	if resp.StatusCode != want {
		b.t.Errorf("%s, %s: answered %d, want %d", d.Name, what, resp.StatusCode, want)
	}
	if n := len(b.Core.Events()); n != 0 {
		b.t.Errorf("%s, %s: %d events accepted, want none", d.Name, what, n)
	}
	if len(b.Core.DisconnectedThreads()) != 0 {
		b.t.Errorf("%s, %s: a thread was disconnected", d.Name, what)
	}
	b.checkText(d.Name+", "+what+": answer", string(body))
	if d.Refused != nil {
		d.Refused(b.t, resp, body)
		return
	}
	if ct := resp.Header.Get("Content-Type"); ct != "application/problem+json" {
		b.t.Errorf("%s, %s: Content-Type %q, want a problem", d.Name, what, ct)
	}
	var p bridge.Problem
	if err := json.Unmarshal(body, &p); err != nil || p.Status != resp.StatusCode || p.Title == "" {
		b.t.Errorf("%s, %s: the answer is no problem of its status", d.Name, what)
	}
}

// farServer is the far side.
type farServer struct {
	server *httptest.Server

	mu      sync.Mutex
	calls   []Call
	handler http.Handler
}

func newFarServer(t testing.TB, far *FarSide) *farServer {
	f := &farServer{handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	})}
	if far != nil && far.Handler != nil {
		f.handler = far.Handler
	}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

// ServeHTTP notes the call and answers it.
func (f *farServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	f.mu.Lock()
	f.calls = append(f.calls, Call{Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone(), Body: body})
	handler := f.handler
	f.mu.Unlock()
	handler.ServeHTTP(w, r)
}

// answer replaces how the far side answers.
func (f *farServer) answer(h http.HandlerFunc) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.handler = h
}

func (f *farServer) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = nil
}

func (f *farServer) recorded() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// logWriter keeps what was logged.
type logWriter struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write implements [io.Writer].
func (l *logWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logWriter) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
