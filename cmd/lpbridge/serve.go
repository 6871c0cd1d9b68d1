package main

import (
	"bytes"
	"io"
	"log"
	"log/slog"
	"net/http"
	"regexp"
	"strings"

	"lpbridge/bridge"
)

// plainPaths lets clients write slashes twice, or once too often at the end, as
// the servers do that our channels stand in for, and as people paste addresses.
// A redirect would lose the body of a request, which is what mux answers.
func plainPaths(mux *http.ServeMux, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, withPlainPath(mux, r))
	})
}

var slashes = regexp.MustCompile("/{2,}")

func withPlainPath(mux *http.ServeMux, r *http.Request) *http.Request {
	once := r
	if strings.Contains(r.URL.Path, "//") {
		once = withPath(r, func(path string) string { return slashes.ReplaceAllLiteralString(path, "/") })
	}
	if len(once.URL.Path) < 2 || !strings.HasSuffix(once.URL.Path, "/") {
		return once
	}
	short := withPath(once, func(path string) string { return strings.TrimSuffix(path, "/") })
	// A front door that wants the slash, or takes all below it, gets it.
	if _, pattern := mux.Handler(short); strings.HasSuffix(pattern, "/") || strings.HasSuffix(pattern, "{$}") {
		return once
	}
	return short
}

// withPath is a request with another path, written both ways.
func withPath(r *http.Request, change func(string) string) *http.Request {
	changed, address := *r, *r.URL
	address.Path, address.RawPath = change(address.Path), change(address.RawPath)
	changed.URL = &address
	return &changed
}

// problems answers what no front door takes in the shape of all our errors. It
// leaves the answers of the front doors alone.
func problems(mux *http.ServeMux, refused *refusals) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, pattern := mux.Handler(r)
		if pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		// The mux knows whether it is the path or the method that is wrong.
		var plain discardedAnswer
		handler.ServeHTTP(&plain, r)
		p := bridge.Problem{Status: plain.status, Title: http.StatusText(plain.status)}
		switch plain.status {
		case http.StatusMethodNotAllowed:
			w.Header()["Allow"] = plain.Header()["Allow"]
			p.Detail = "this path takes " + plain.Header().Get("Allow")
		case http.StatusNotFound:
			p.Detail = "there is nothing at this path; is its channel in LPBRIDGE_CHANNELS?"
		}
		p.ServeHTTP(w, r)
		refused.note(nobody, reasonOf(p.Status), p.Detail)
	})
}

// discardedAnswer keeps status and headers of an answer and drops the rest.
type discardedAnswer struct {
	header http.Header
	status int
}

func (d *discardedAnswer) Header() http.Header {
	if d.header == nil {
		d.header = http.Header{}
	}
	return d.header
}

func (d *discardedAnswer) WriteHeader(status int) { d.status = status }

func (d *discardedAnswer) Write(p []byte) (int, error) { return len(p), nil }

// quiet is the log of an HTTP server, whose complaints are about clients. They
// quote addresses and sometimes bytes of requests, so that only their number
// is worth keeping at the usual level.
func quiet(l *slog.Logger) *log.Logger {
	return log.New(debugWriter{l}, "", 0)
}

type debugWriter struct{ log *slog.Logger }

var _ io.Writer = debugWriter{}

// Write implements [io.Writer].
func (d debugWriter) Write(p []byte) (int, error) {
	d.log.Debug("http server", "message", string(bytes.TrimSpace(p)))
	return len(p), nil
}
