package lpauth

import (
	"crypto/tls"
	"net"
	"net/http"
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
