package lpsim

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// Transport is an [http.RoundTripper] that hands requests to a simulator without a socket, whatever their host. A
// connection lost on purpose is io.ErrUnexpectedEOF. It does not serve /sim/events, whose answer never ends.
type Transport struct{ sim *Sim }

// Transport reaches this simulator.
func (s *Sim) Transport() *Transport { return &Transport{s} }

// RoundTrip serves the request in the caller's goroutine.
func (t *Transport) RoundTrip(r *http.Request) (resp *http.Response, err error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	defer func() {
		if lost := recover(); lost != nil {
			if lostErr, ok := lost.(error); !ok || !errors.Is(lostErr, http.ErrAbortHandler) {
				panic(lost)
			}
			resp, err = nil, io.ErrUnexpectedEOF
		}
	}()
	in := r.Clone(r.Context())
	if in.Body == nil {
		in.Body = http.NoBody
	}
	in.Host = r.URL.Host
	in.RequestURI = r.URL.RequestURI()
	in.RemoteAddr = "127.0.0.1:0"
	var rec recorder
	t.sim.ServeHTTP(&rec, in)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return rec.response(r), nil
}

// recorder keeps an answer in memory.
type recorder struct {
	status int
	header http.Header
	sent   http.Header
	body   bytes.Buffer
}

func (r *recorder) Header() http.Header {
	if r.header == nil {
		r.header = http.Header{}
	}
	return r.header
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 {
		r.status, r.sent = status, r.Header().Clone()
	}
}

func (r *recorder) Write(data []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(data)
}

func (r *recorder) response(req *http.Request) *http.Response {
	r.WriteHeader(http.StatusOK)
	return &http.Response{
		Status: strconv.Itoa(r.status) + " " + http.StatusText(r.status), StatusCode: r.status, Proto: "HTTP/1.1", ProtoMajor: 1,
		ProtoMinor: 1, Header: r.sent, Body: io.NopCloser(&r.body), ContentLength: int64(r.body.Len()), Request: req,
	}
}
