package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	adminToken   = "Qm9uLW9wZXJhdG9yLW9mLXRoZS10ZXN0"
	metricsToken = "c2NyYXBlci1vZi10aGUtdGVzdC0xMjM0"
)

// newPair writes a certificate for 127.0.0.1, good for a day, and its key, and returns
// their files.
func newPair(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	return newPairUntil(t, dir, name, time.Now().Add(24*time.Hour))
}

// newPairUntil is newPair with another end.
func newPairUntil(t *testing.T, dir, name string, end time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: end,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"bridge.example"},
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, block := range map[string]*pem.Block{key: {Type: "PRIVATE KEY", Bytes: keyDER}, cert: {Type: "CERTIFICATE", Bytes: der}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// TestAdminListenerBeyondThisMachine: it does not start where anybody could use it.
func TestAdminListenerBeyondThisMachine(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	refused := outcome(t, s.with(map[string]string{"LPBRIDGE_ADMIN_LISTEN": "0.0.0.0:0"}), "run")
	if refused.code != exitConfig || !strings.Contains(refused.stderr, "LPBRIDGE_ADMIN_TOKEN: is required, as LPBRIDGE_ADMIN_LISTEN reaches beyond this machine") {
		t.Errorf("without a token: exit code %d: %s", refused.code, refused.stderr)
	}
	for name, tc := range map[string]struct {
		changes map[string]string
		warning string
	}{
		"allowed":         {map[string]string{"LPBRIDGE_ADMIN_ALLOW_OPEN": "true"}, "LPBRIDGE_ADMIN_ALLOW_OPEN"},
		"token":           {map[string]string{"LPBRIDGE_ADMIN_TOKEN": adminToken}, "LPBRIDGE_ADMIN_LISTEN"},
		"thought-up word": {map[string]string{"LPBRIDGE_ADMIN_TOKEN": "passwordpassword", "LPBRIDGE_ADMIN_LISTEN": "127.0.0.1:0"}, "LPBRIDGE_ADMIN_TOKEN"},
	} {
		if tc.changes["LPBRIDGE_ADMIN_LISTEN"] == "" {
			tc.changes["LPBRIDGE_ADMIN_LISTEN"] = "0.0.0.0:0"
		}
		p := launch(t, s.with(tc.changes), "run").awaitStart()
		if line := p.line("this is dangerous"); line == nil || line["level"] != "WARN" || line["variable"] != tc.warning {
			t.Errorf("%s: warned %v", name, line)
		}
		p.terminate()
	}
}

// TestAdminLogin: with a token, commands and browsers have to prove who they are;
// supervisors do not.
func TestAdminLogin(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	tokens := map[string]string{"LPBRIDGE_ADMIN_TOKEN": adminToken, "LPBRIDGE_METRICS_TOKEN": metricsToken}
	p := s.run(tokens)
	ask := func(path, token string) int {
		return do(t, http.MethodGet, p.admin+path, http.Header{"Authorization": {"Bearer " + token}}, "").status
	}
	for path, want := range map[string][3]int{
		"/healthz": {200, 200, 200}, "/readyz": {200, 200, 200}, "/": {200, 200, 200},
		"/metrics": {401, 200, 200}, "/status": {401, 403, 200}, "/deadletters": {401, 403, 200}, "/debug/pprof/": {401, 403, 404},
	} {
		if got := [3]int{ask(path, "wrong"), ask(path, metricsToken), ask(path, adminToken)}; got != want {
			t.Errorf("%s answered %v to a wrong token, that for metrics and that for operators; want %v", path, got, want)
		}
	}
	admin := map[string]string{"LPBRIDGE_ADMIN_LISTEN": strings.TrimPrefix(p.admin, "http://")}
	if got := outcome(t, admin, "healthcheck"); got.code != exitOK {
		t.Errorf("healthcheck without a token: exit code %d: %s", got.code, got.stderr)
	}
	if got := outcome(t, admin, "deadletters", "list"); got.code != exitFailed || !strings.Contains(got.stderr, "LPBRIDGE_ADMIN_TOKEN") {
		t.Errorf("deadletters without a token: exit code %d: %s", got.code, got.stderr)
	}
	admin["LPBRIDGE_ADMIN_TOKEN"] = adminToken
	if got := outcome(t, admin, "deadletters", "list"); got.code != exitOK {
		t.Errorf("deadletters with the token: exit code %d: %s", got.code, got.stderr)
	}
	if metrics := do(t, http.MethodGet, p.admin+"/metrics", http.Header{"Authorization": {"Bearer " + metricsToken}}, "").body; !strings.Contains(metrics, `lpbridge_requests_refused_total{channel="admin",reason="unauthorized"}`) {
		t.Error("who was not let in is not counted")
	}
	p.terminate()
	for _, secret := range []string{adminToken, metricsToken} {
		if strings.Contains(p.stderr.String(), secret) {
			t.Error("the log has a token")
		}
	}
}

// TestAdminTokenReplacedInItsFile: SIGHUP takes the new one and ends the old.
func TestAdminTokenReplacedInItsFile(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(adminToken + "\n")
	p := s.run(map[string]string{"LPBRIDGE_ADMIN_TOKEN_FILE": path})
	ask := func(token string) int {
		return do(t, http.MethodGet, p.admin+"/status", http.Header{"Authorization": {"Bearer " + token}}, "").status
	}
	// A file that is being written must not open the door.
	write("")
	p.signal(syscall.SIGHUP)
	p.awaitLine("tokens of the admin listener not read, the former ones stay in use")
	if got := ask(adminToken); got != 200 {
		t.Errorf("while the file is empty the token answers %d", got)
	}
	second := strings.ToUpper(adminToken)
	write(second)
	p.signal(syscall.SIGHUP)
	p.awaitLine("tokens of the admin listener replaced")
	if former, now := ask(adminToken), ask(second); former != 401 || now != 200 {
		t.Errorf("the former token answers %d, the new one %d", former, now)
	}
	p.terminate()
}

// TestTLS: both listeners speak it, commands believe their own bridge only, and a
// certificate is replaced while connections go on.
func TestTLS(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	dir := t.TempDir()
	cert, key := newPair(t, dir, "first")
	p := s.run(map[string]string{
		"LPBRIDGE_TLS_CERT": cert, "LPBRIDGE_TLS_KEY": key, "LPBRIDGE_ADMIN_TLS_CERT": cert, "LPBRIDGE_ADMIN_TLS_KEY": key,
	})
	public, adminAddress := strings.TrimPrefix(p.public, "http://"), strings.TrimPrefix(p.admin, "http://")
	admin := map[string]string{"LPBRIDGE_ADMIN_LISTEN": adminAddress, "LPBRIDGE_ADMIN_TLS_CERT": cert, "LPBRIDGE_ADMIN_TLS_KEY": key}
	for _, command := range [][]string{{"healthcheck"}, {"deadletters", "list"}} {
		if got := outcome(t, admin, command...); got.code != exitOK {
			t.Errorf("%v: exit code %d: %s", command, got.code, got.stderr)
		}
	}
	another, anotherKey := newPair(t, t.TempDir(), "another")
	stranger := map[string]string{"LPBRIDGE_ADMIN_LISTEN": adminAddress, "LPBRIDGE_ADMIN_TLS_CERT": another, "LPBRIDGE_ADMIN_TLS_KEY": anotherKey}
	if got := outcome(t, stranger, "deadletters", "list"); got.code != exitFailed || !strings.Contains(got.stderr, errAnotherCertificate.Error()) {
		t.Errorf("a listener with another certificate: exit code %d: %s", got.code, got.stderr)
	}
	plain := map[string]string{"LPBRIDGE_ADMIN_LISTEN": adminAddress}
	if got := outcome(t, plain, "healthcheck"); got.code != exitFailed {
		t.Errorf("plain http got an answer: %s", got.stdout)
	}
	old, err := tls.Dial("tcp", public, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	if v := old.ConnectionState().Version; v < tls.VersionTLS12 {
		t.Errorf("speaks version %x", v)
	}
	// The certificate alone fits no key.
	second, secondKey := newPair(t, t.TempDir(), "second")
	copyFile(t, second, cert)
	p.signal(syscall.SIGHUP)
	p.awaitLine("certificate not read, the former one stays in use")
	if got := servedBy(t, public); got != "first" {
		t.Errorf("half a pair was taken: %s", got)
	}
	copyFile(t, secondKey, key)
	await(t, "the second certificate on both listeners", func() bool { return servedBy(t, public) == "second" && servedBy(t, adminAddress) == "second" })
	if _, err := fmt.Fprint(old, "GET /webhooks/liveperson HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if reply, err := io.ReadAll(old); err != nil || !strings.Contains(string(reply), " 405 ") {
		t.Errorf("the connection of before got %q, %v", reply, err)
	}
	if got := outcome(t, admin, "healthcheck"); got.code != exitOK {
		t.Errorf("healthcheck with the second certificate: exit code %d: %s", got.code, got.stderr)
	}
	p.terminate()
	bad := outcome(t, s.with(map[string]string{"LPBRIDGE_TLS_CERT": cert, "LPBRIDGE_TLS_KEY": anotherKey}), "run")
	if bad.code != exitFailed || !strings.Contains(bad.stderr, "LPBRIDGE_TLS_CERT: ") {
		t.Errorf("a pair that is none: exit code %d: %s", bad.code, bad.stderr)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, text, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// servedBy is whose certificate an address shows.
func servedBy(t *testing.T, address string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// TestProfilesOnlyWhenAskedFor: they cost time and show what is in memory.
func TestProfilesOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(map[string]string{"LPBRIDGE_ADMIN_PROFILES": "true"})
	if a := get(t, p.admin+"/debug/pprof/goroutine?debug=1"); a.status != 200 {
		t.Errorf("asked for, and answered %d", a.status)
	}
	if a := do(t, http.MethodGet, p.admin+"/debug/pprof/profile?seconds=20", http.Header{"Sec-Fetch-Site": {"cross-site"}}, ""); a.status != 403 {
		t.Errorf("a page elsewhere started a profile: %d", a.status)
	}
	p.terminate()
	p = s.run(nil)
	if a := get(t, p.admin+"/debug/pprof/"); a.status != 404 {
		t.Errorf("not asked for, and answered %d", a.status)
	}
	p.terminate()
}
