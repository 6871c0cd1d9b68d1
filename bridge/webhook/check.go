package webhook

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"lpbridge/bridge"
)

// Check implements [bridge.Checker]. The receiver is connected to and sent
// nothing: any request, whatever its method, might be taken for a delivery.
func (w *Webhook) Check(ctx context.Context) []bridge.Finding {
	findings := []bridge.Finding{{Subject: "authentication", Detail: w.auth.String()}}
	if w.far == nil {
		return append(findings, bridge.Finding{
			Subject: "WEBHOOK_URL", Detail: "not set: messages of agents do not reach the channel",
		})
	}
	return append(findings, w.far.check(ctx))
}

func (r *receiver) check(ctx context.Context) bridge.Finding {
	f := bridge.Finding{Subject: "WEBHOOK_URL"}
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	port := cmp.Or(r.url.Port(), map[string]string{"http": "80", "https": "443"}[r.url.Scheme])
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(r.url.Hostname(), port))
	if err != nil {
		f.Err = fmt.Errorf("connect: %w", bridge.TransportError(err))
		return f
	}
	defer conn.Close()
	if r.url.Scheme == "http" {
		f.Detail = "takes connections, without encryption"
		return f
	}
	secure := tls.Client(conn, r.tlsConfig())
	if err := secure.HandshakeContext(ctx); err != nil {
		f.Err = fmt.Errorf("tls: %w", bridge.TransportError(err))
		return f
	}
	state := secure.ConnectionState()
	f.Detail = fmt.Sprintf("takes connections with %s, certificate valid until %s",
		tls.VersionName(state.Version), state.PeerCertificates[0].NotAfter.UTC().Format(time.DateOnly))
	return f
}

// tlsConfig is that of the transport, so that the check trusts whom it trusts.
func (r *receiver) tlsConfig() *tls.Config {
	cfg := &tls.Config{}
	if t, ok := r.transport.(*http.Transport); ok && t.TLSClientConfig != nil {
		cfg = t.TLSClientConfig.Clone()
	}
	cfg.ServerName = cmp.Or(cfg.ServerName, r.url.Hostname())
	return cfg
}
