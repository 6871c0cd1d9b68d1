package farside

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"
)

// Callable says what keeps an address from being configured as one to call, nil
// when nothing does.
func Callable(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https", u.Hostname() == "":
		return errors.New("must be an absolute http or https address")
	case u.User != nil:
		return errors.New("must not have a user name or password")
	case u.Fragment != "":
		return errors.New("must not have a fragment (#)")
	}
	return nil
}

// FitsHeader reports whether a text can stand in a header, between spaces.
func FitsHeader(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// Exposed reports whether others could read along on the way to an address.
func Exposed(u *url.URL) bool {
	if u.Scheme == "https" || u.Hostname() == "localhost" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return err != nil || !ip.IsLoopback()
}

// Reach connects to an address, sends nothing, and says what it found.
func (s *Side) Reach(ctx context.Context, u *url.URL) (detail string, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.Timeout)
	defer cancel()
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return "", fmt.Errorf("connect: %w", safeError(err))
	}
	defer conn.Close()
	if u.Scheme == "http" {
		return "takes connections, without encryption", nil
	}
	secure := tls.Client(conn, s.tlsConfig(u))
	if err := secure.HandshakeContext(ctx); err != nil {
		return "", fmt.Errorf("tls: %w", safeError(err))
	}
	state := secure.ConnectionState()
	return fmt.Sprintf("takes connections with %s, certificate valid until %s",
		tls.VersionName(state.Version), state.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly)), nil
}

// tlsConfig is that of the transport, so that whom calls trust is trusted.
func (s *Side) tlsConfig(u *url.URL) *tls.Config {
	cfg := &tls.Config{}
	if t, ok := s.Client.transport.(*http.Transport); ok && t.TLSClientConfig != nil {
		cfg = t.TLSClientConfig.Clone()
	}
	cfg.ServerName = cmp.Or(cfg.ServerName, u.Hostname())
	return cfg
}
