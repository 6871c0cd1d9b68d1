package journal_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge/journal"
	"lpbridge/internal/pgcluster"
)

// authority issues certificates.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	// file has its certificate.
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t), file: filepath.Join(t.TempDir(), "authority.pem")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// certify has a server speak TLS with a certificate for 127.0.0.1, or for a name.
func (a *authority) certify(t *testing.T, c *pgcluster.Cluster, name string, until time.Time) {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "server"}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until}
	if name == "" {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	} else {
		template.DNSNames = []string{name}
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{"server.crt": {Type: "CERTIFICATE", Bytes: der}, "server.key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := c.Put(file, pem.EncodeToMemory(block)); err != nil {
			t.Fatal(err)
		}
	}
	c.Stop()
	if err := c.Restart(); err != nil {
		t.Fatal(err)
	}
}

// TestPostgresTLS: with sslmode=verify-full the bridge talks to a server that proves to be the one in the address, and
// says of others what is wrong. Who lets nobody in without TLS is obeyed.
func TestPostgresTLS(t *testing.T) {
	t.Parallel()
	c := pgcluster.ForTest(t)
	ours, another := newAuthority(t), newAuthority(t)
	if _, err := c.Run("postgres", "ALTER SYSTEM SET ssl = on"); err != nil {
		t.Fatal(err)
	}
	if err := c.Put("pg_hba.conf", []byte("hostssl all least 127.0.0.1/32 scram-sha-256\nhost all postgres 127.0.0.1/32 scram-sha-256\n")); err != nil {
		t.Fatal(err)
	}
	address := func(role, host, mode string, by *authority) string {
		return fmt.Sprintf("postgres://%s:cluster-password@%s:%d/postgres?sslmode=%s&sslrootcert=%s", role, host, c.Port, mode, url.QueryEscape(by.file))
	}
	refused := func(address, want string) {
		t.Helper()
		_, err := journal.Open(t.Context(), on(address))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "cluster-password") {
			t.Errorf("error %v, want %q", err, want)
		}
	}

	ours.certify(t, c, "", time.Now().Add(time.Hour))
	if _, err := c.Run("postgres", "CREATE ROLE least LOGIN PASSWORD 'cluster-password'; CREATE SCHEMA lpbridge AUTHORIZATION least"); err != nil {
		t.Fatal(err)
	}
	j := open(t, on(address("least", "127.0.0.1", "verify-full", ours)))
	accept(t, j, "m-1")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	refused(address("least", "127.0.0.1", "verify-full", another), "certificate signed by unknown authority")
	refused(address("least", "127.0.0.1", "verify-full", another), "name the file of the authority that issued its certificate in sslrootcert")
	refused(address("least", "127.0.0.1", "disable", ours), "pg_hba.conf")

	ours.certify(t, c, "db.example", time.Now().Add(time.Hour))
	refused(address("least", "127.0.0.1", "verify-full", ours), "name the server in LPBRIDGE_STORE as its certificate does")

	// Whoever runs the server mends this, and the bridge need not be started again.
	ours.certify(t, c, "", time.Now().Add(-time.Hour))
	o := openLater(t, on(address("least", "127.0.0.1", "verify-full", ours)))
	o.reasons.await(t, "certificate has expired")
	ours.certify(t, c, "", time.Now().Add(time.Hour))
	j = o.journal(t)
	defer j.Close()
	if n := j.PendingCount(); n != 1 {
		t.Errorf("%d events wait, want 1", n)
	}
}
