// Package attempt makes single HTTP calls whose end can be told apart, and repeats the
// harmless ones. Whether a request that failed had left us decides whether it may be
// made again, so that is found out in one place for LivePerson and for channels.
//
// It assumes that a request of which not even the headers were written was seen by
// nobody. It is internal, for it says nothing of LivePerson: what callers of the client
// need to know of a failure is in its own errors.
package attempt

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
)

// Error says of a failed HTTP attempt whether the request had left us.
// Not sent means that the server cannot have seen it and repeating is safe. It
// errs on the safe side: headers that only reached a buffer count as sent.
type Error struct {
	// Sent is true when the request headers were written.
	Sent bool
	// Err is the transport's error.
	Err error
}

// Error is the transport's error text, after whether the request was sent.
func (e *Error) Error() string {
	if e.Sent {
		return "sent, no answer: " + e.Err.Error()
	}
	return "not sent: " + e.Err.Error()
}

// Unwrap gives the transport's error.
func (e *Error) Unwrap() error { return e.Err }

// Wrap wraps a transport so that each error it returns is an
// *[Error]. It sets no timeout and never repeats anything.
func Wrap(next http.RoundTripper) http.RoundTripper {
	return transport{next: next}
}

type transport struct{ next http.RoundTripper }

// RoundTrip sends the request and classifies a failure by whether headers were written.
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, watch := Begin(req.Context())
	resp, err := t.next.RoundTrip(req.WithContext(ctx))
	return resp, watch.End(err)
}

// Watch sees how far one attempt gets.
type Watch struct {
	sent  atomic.Bool
	trace httptrace.ClientTrace
}

// Begin returns the context to make one attempt with, for who makes a request of its
// own and need not have it copied by a transport that [Wrap] made.
func Begin(ctx context.Context) (context.Context, *Watch) {
	w := &Watch{}
	// The transport takes a second connection by itself only when nothing of the
	// request was written to, or accepted on, the first.
	w.trace.GetConn = func(string) { w.sent.Store(false) }
	w.trace.WroteHeaders = func() { w.sent.Store(true) }
	return httptrace.WithClientTrace(ctx, &w.trace), w
}

// End makes an *[Error] of what the transport returned; of no error, none.
func (w *Watch) End(err error) error {
	if err == nil {
		return nil
	}
	return &Error{Sent: w.sent.Load(), Err: err}
}
