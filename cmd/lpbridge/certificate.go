package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// certificateFloor is how often files are looked at while connections come.
const certificateFloor = time.Second

// certificate is what a listener speaks TLS with, from files that are read again
// when they change: connections go on with the former one, new ones get the new.
type certificate struct {
	listener, certFile, keyFile string
	log                         *slog.Logger

	mu      sync.Mutex
	current *tls.Certificate
	// taken is what the files were when current was read, failed when they were
	// last found to be of no use.
	taken, failed string
	looked        time.Time
}

// newCertificate reads the files; it is nil where there are none.
func newCertificate(listener, certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	if certFile == "" {
		return nil, nil
	}
	c := &certificate{listener: listener, certFile: certFile, keyFile: keyFile, log: log}
	state := c.state()
	if err := c.read(state); err != nil {
		return nil, err
	}
	c.looked = time.Now()
	return c, nil
}

// readCertificates reads those of both listeners, and tells when they end.
func (a *app) readCertificates() (err error) {
	d := a.settings.Bridge.Doors
	if a.publicTLS, err = newCertificate("public", d.TLSCert, d.TLSKey, a.settings.log); err != nil {
		return fmt.Errorf("LPBRIDGE_TLS_CERT: %w", err)
	}
	if a.adminTLS, err = newCertificate("admin", d.AdminTLSCert, d.AdminTLSKey, a.settings.log); err != nil {
		return fmt.Errorf("LPBRIDGE_ADMIN_TLS_CERT: %w", err)
	}
	for _, c := range []*certificate{a.publicTLS, a.adminTLS} {
		if c != nil {
			a.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Name: "lpbridge_tls_certificate_expiry_timestamp_seconds", Help: "When the certificate of a listener ends, in seconds since 1970.",
				ConstLabels: prometheus.Labels{"listener": c.listener},
			}, c.expiry))
		}
	}
	return nil
}

// config is nil where the listener speaks plain http.
func (c *certificate) config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.present(), nil }}
}

// present is the certificate for a new connection.
func (c *certificate) present() *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= certificateFloor {
		c.look(now)
	}
	return c.current
}

// reread looks at the files now. It does nothing where there are none.
func (c *certificate) reread() {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = ""
	c.look(time.Now())
}

// look is called with the lock held. Files are often replaced one after the other,
// so that what does not fit now may fit in a moment: the former pair stays, and
// that is told once.
func (c *certificate) look(now time.Time) {
	c.looked = now
	state := c.state()
	if state == c.taken {
		return
	}
	err := c.read(state)
	switch {
	case err == nil:
		c.failed = ""
		c.log.Info("certificate replaced", "listener", c.listener, "expires", c.current.Leaf.NotAfter.UTC())
	case c.failed != state:
		c.failed = state
		c.log.Warn("certificate not read, the former one stays in use", "listener", c.listener, "error", err)
	}
}

// state changes when a file does.
func (c *certificate) state() string {
	var state strings.Builder
	for _, path := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(path)
		if err != nil {
			state.WriteString("absent;")
			continue
		}
		fmt.Fprintf(&state, "%d %d;", info.ModTime().UnixNano(), info.Size())
	}
	return state.String()
}

// read takes the pair of the files, if it is one.
func (c *certificate) read(state string) error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.current, c.taken = &pair, state
	return nil
}

func (c *certificate) expiry() float64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return float64(c.current.Leaf.NotAfter.Unix())
}

// errAnotherCertificate is that of a listener which is not the one meant.
var errAnotherCertificate = errors.New("its certificate is not that of LPBRIDGE_ADMIN_TLS_CERT")

// pinned believes a listener of our own: it has exactly the certificate of the
// file, whatever name it is made out to and however old it is.
func pinned(certFile string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		// What is verified is below.
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection believes one certificate only
		VerifyConnection: func(state tls.ConnectionState) error {
			ours, err := leafOf(certFile)
			if err != nil {
				return fmt.Errorf("LPBRIDGE_ADMIN_TLS_CERT: %w", err)
			}
			if len(state.PeerCertificates) == 0 || !state.PeerCertificates[0].Equal(ours) {
				return errAnotherCertificate
			}
			return nil
		},
	}
}
