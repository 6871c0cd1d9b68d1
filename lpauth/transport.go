package lpauth

import (
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

// defaultMaxIdleConnsPerHost keeps a connection for each of as many lanes as
// usually send at the same time.
const defaultMaxIdleConnsPerHost = 512

// DefaultUserAgent is what every call says it comes from, unless told otherwise.
const DefaultUserAgent = "lpbridge"

func orDefault(userAgent string) string {
	if userAgent == "" {
		return DefaultUserAgent
	}
	return userAgent
}

// TransportOptions tune NewTransport. The zero value is ready to use.
type TransportOptions struct {
	// MaxIdleConnsPerHost is how many idle connections are kept per host; zero
	// means 512.
	MaxIdleConnsPerHost int
}

// NewTransport returns the transport to share between lpauth and connector: one
// pool of connections to LivePerson. It obeys the proxy environment variables,
// speaks TLS 1.2 or newer and notices silently dropped HTTP/2 connections.
func NewTransport(o TransportOptions) *http.Transport {
	idle := o.MaxIdleConnsPerHost
	if idle <= 0 {
		idle = defaultMaxIdleConnsPerHost
	}
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: 5 * time.Second,
		ForceAttemptHTTP2:   true,
		// Balancers often drop idle connections after 60 s. A POST written to
		// a connection the peer has just closed has an unknown outcome, so we
		// must be the first to let go.
		IdleConnTimeout:     30 * time.Second,
		MaxIdleConnsPerHost: idle,
		// A fuse against runaway dialing.
		MaxConnsPerHost: 2 * idle,
		// Answers are tiny; asking for gzip would cost more than it saves.
		DisableCompression:    true,
		ExpectContinueTimeout: time.Second,
		HTTP2:                 &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	}
}

// AttemptError says of a failed HTTP attempt whether the request had left us.
// Not sent means that the server cannot have seen it and repeating is safe. It
// errs on the safe side: headers that only reached a buffer count as sent.
type AttemptError struct {
	// Sent is true when the request headers were written.
	Sent bool
	// Err is the transport's error.
	Err error
}

// Error is the transport's error text, after whether the request was sent.
func (e *AttemptError) Error() string {
	if e.Sent {
		return "sent, no answer: " + e.Err.Error()
	}
	return "not sent: " + e.Err.Error()
}

// Unwrap gives the transport's error.
func (e *AttemptError) Unwrap() error { return e.Err }

// Attempts wraps a transport so that each error it returns is an
// *[AttemptError]. It sets no timeout and never repeats anything.
func Attempts(next http.RoundTripper) http.RoundTripper {
	return attempts{next: next}
}

type attempts struct{ next http.RoundTripper }

// RoundTrip sends the request and classifies a failure by whether headers were written.
func (a attempts) RoundTrip(req *http.Request) (*http.Response, error) {
	var sent atomic.Bool
	trace := httptrace.ClientTrace{
		// The transport takes a second connection by itself only when nothing
		// of the request was written to, or accepted on, the first.
		GetConn:      func(string) { sent.Store(false) },
		WroteHeaders: func() { sent.Store(true) },
	}
	resp, err := a.next.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), &trace)))
	if err != nil {
		return resp, &AttemptError{Sent: sent.Load(), Err: err}
	}
	return resp, nil
}
