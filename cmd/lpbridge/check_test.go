package main

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCheck: every line of the check, for surroundings that work and ones that
// do not.
func TestCheck(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	nobody := "http://" + deadAddress(t)
	for _, tc := range []struct {
		name    string
		changes map[string]string
		code    int
		want    []string
	}{
		{"misspelt", map[string]string{"LP_ACOUNT_ID": "1", "LPBRIDGE_LOGLEVEL": "debug"}, exitOK, []string{
			"warn  LPBRIDGE_LOGLEVEL      has no effect: no such setting; did you mean LPBRIDGE_LOG_LEVEL?",
			"warn  LP_ACOUNT_ID           has no effect: no such setting; did you mean LP_ACCOUNT_ID?",
		}},
		{"wrong secret", map[string]string{"LP_CLIENT_SECRET": "hunter2"}, exitFailed, []string{
			"ok    domain sentinel", "FAIL  AppJWT ", "1 of the checks failed",
		}},
		{"unknown account", map[string]string{"LP_ACCOUNT_ID": "87654321"}, exitFailed, []string{
			"FAIL  domain asyncMessagingEnt ", "FAIL  domain sentinel ", "FAIL  domain idp ", "FAIL  AppJWT ",
		}},
		{"nobody at the domain API", map[string]string{"LP_DOMAIN_API_URL": nobody}, exitFailed, []string{
			"FAIL  domain asyncMessagingEnt ", "FAIL  AppJWT ", "ok    webhook WEBHOOK_URL",
		}},
		{"nobody at the channel", map[string]string{"WEBHOOK_URL": nobody}, exitFailed, []string{
			"ok    AppJWT ", "FAIL  webhook WEBHOOK_URL ", "1 of the checks failed",
		}},
		{"plain http to LivePerson", map[string]string{"LP_DOMAIN_API_URL": "http://api.example"}, exitConfig, []string{
			"LP_DOMAIN_API_URL: must be https",
		}},
		{"no channel to write to", map[string]string{"WEBHOOK_URL": ""}, exitOK, []string{
			"warn  webhook WEBHOOK_URL    not set: messages of agents do not reach the channel",
		}},
		{"no notifications", map[string]string{"LP_NOTIFICATIONS": "off"}, exitOK, []string{"warn  notifications "}},
		{"what is allowed and dangerous", map[string]string{
			"LPBRIDGE_ADMIN_LISTEN": ":0", "LPBRIDGE_ADMIN_ALLOW_OPEN": "true", "LPBRIDGE_ATTACHMENT_PRIVATE_NETWORKS": "true", "LP_ALLOW_PLAIN_HTTP": "true",
			"LPBRIDGE_PUBLIC_URL": nobody,
		}, exitOK, []string{
			"warn  LPBRIDGE_ADMIN_ALLOW_OPEN the admin listener reaches beyond", "warn  LPBRIDGE_ATTACHMENT_PRIVATE_NETWORKS ",
			"warn  LP_ALLOW_PLAIN_HTTP ", "warn  LPBRIDGE_PUBLIC_URL    is not https",
		}},
		{"an admin token that can be read on the way", map[string]string{"LPBRIDGE_ADMIN_LISTEN": ":0", "LPBRIDGE_ADMIN_TOKEN": "hunter2hunter2hunter2"}, exitOK, []string{
			"warn  LPBRIDGE_ADMIN_LISTEN  reaches beyond this machine without LPBRIDGE_ADMIN_TLS_CERT", "warn  LPBRIDGE_ADMIN_TOKEN   looks as if somebody had thought it up",
		}},
		{"unsigned, and secrets that are none", map[string]string{
			"LPBRIDGE_CHANNELS": "webhook,chatwoot,layer", "WEBHOOK_SECRET": "", "WEBHOOK_ALLOW_UNSIGNED": "true", "LPBRIDGE_CONSUMER_KEY": "changeme-changeme-changeme",
			"CHATWOOT_BASE_URL": nobody, "CHATWOOT_ACCOUNT_ID": "1", "CHATWOOT_TOKEN": "hunter2hunter2hunter2hunter2", "CHATWOOT_ALLOW_UNSIGNED": "true",
			"CHATWOOT_URL_SECRET": "0123456789abcdef0123456789", "CHATWOOT_SECRETS": "kJ3vX9qLm2RtY7wZ,hunter2hunter2hunter2hunter2",
			"LAYER_APP_IDS": "app", "LAYER_PUBLIC_URL": "https://bridge.example", "LAYER_SANDBOX_IDENTITIES": "true",
		}, exitFailed, []string{
			"warn  webhook authentication none: every request is believed", "warn  chatwoot authentication of webhooks ",
			"warn  layer identity tokens  signed for anybody who asks", "warn  LPBRIDGE_CONSUMER_KEY  looks as if somebody had thought it up",
			"warn  CHATWOOT_TOKEN         looks as if", "warn  CHATWOOT_URL_SECRET    looks as if", "warn  CHATWOOT_SECRETS       is also what CHATWOOT_TOKEN is",
			"warn  CHATWOOT_SECRETS       is short",
		}},
		{"a token of the documents", map[string]string{"WEBHOOK_SECRET": "", "WEBHOOK_TOKEN": "0123456789abcdef"}, exitOK, []string{
			"warn  WEBHOOK_TOKEN          looks as if somebody had thought it up",
		}},
		{"anybody for an operator", map[string]string{"LPBRIDGE_ADMIN_LISTEN": ":0"}, exitConfig, []string{"LPBRIDGE_ADMIN_TOKEN: is required"}},
		{"features nobody is shown", map[string]string{"LP_FEATURES": "CO_BROWSE,FILE_SHARING"}, exitOK, []string{
			"warn  feature CO_BROWSE      is in LP_FEATURES and no channel", "warn  feature FILE_SHARING   is in LP_FEATURES, but without LPBRIDGE_PUBLIC_URL",
		}},
		{"nobody at the public address yet", map[string]string{"LPBRIDGE_PUBLIC_URL": nobody}, exitOK, []string{
			"warn  LPBRIDGE_PUBLIC_URL    nobody answers there", "no bridge runs here yet",
		}},
		{"somebody else at the public address", map[string]string{"LPBRIDGE_PUBLIC_URL": s.settings["LP_DOMAIN_API_URL"]}, exitOK, []string{
			"warn  LPBRIDGE_PUBLIC_URL    what answers /webhooks/liveperson there with ",
		}},
		{"store below a file", map[string]string{"LPBRIDGE_STORE": "sqlite:" + filepath.Join(file, "lpbridge.db")}, exitFailed, []string{
			"FAIL  store ", "not a directory",
		}},
		{"store is a directory", map[string]string{"LPBRIDGE_STORE": "sqlite:" + filepath.Dir(file)}, exitFailed, []string{
			"FAIL  store ", "is a directory",
		}},
		{"channels without an address, and another problem", map[string]string{
			"LPBRIDGE_CHANNELS": "chatwootapi,layer", "CHATWOOTAPI_INBOXES": "a", "LAYER_APP_IDS": "a", "LAYER_SANDBOX_IDENTITIES": "true",
			"WEBHOOK_URL": "", "WEBHOOK_SECRET": "", "CHATWOOTAPI_MAX_ATTACHMENT": "1",
		}, exitConfig, []string{
			"CHATWOOTAPI_PUBLIC_URL: is required, here or as LPBRIDGE_PUBLIC_URL", "LAYER_PUBLIC_URL: is required, here or as LPBRIDGE_PUBLIC_URL",
			`CHATWOOTAPI_MAX_ATTACHMENT: is "1": must be at least 1024`,
		}},
		{"store of another kind", map[string]string{"LPBRIDGE_STORE": "mysql://u:hunter2@db.invalid/d"}, exitConfig, []string{
			"LPBRIDGE_STORE: must be sqlite:PATH or postgres://USER@HOST/DATABASE",
		}},
		{"database that is not there", map[string]string{"LPBRIDGE_STORE": "postgres://u:hunter2@127.0.0.1:1/d?sslmode=disable"}, exitFailed, []string{
			"FAIL  store                  LPBRIDGE_STORE: connect: failed to connect to `user=u database=d`: 127.0.0.1:1 (127.0.0.1): dial error:",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			got := outcome(t, s.with(tc.changes), "check")
			if got.code != tc.code {
				t.Errorf("exit code %d, want %d", got.code, tc.code)
			}
			all := got.stdout + got.stderr
			for _, want := range tc.want {
				if !strings.Contains(all, want) {
					t.Errorf("no %q in:\n%s", want, all)
				}
			}
			for _, secret := range []string{"hunter2", "sandbox-secret", channelSecret} {
				if strings.Contains(all, secret) {
					t.Errorf("the check shows a secret:\n%s", all)
				}
			}
		})
	}
}

// TestCheckAllWell compares the whole page. It is also right beside a running
// bridge, whose journal it must leave alone.
func TestCheckAllWell(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	public, roots := s.publicOverTLS()
	beside := map[string]string{"LPBRIDGE_PUBLIC_URL": public, "SSL_CERT_FILE": roots, "LPBRIDGE_ADMIN_LISTEN": strings.TrimPrefix(p.admin, "http://")}
	got := outcome(t, s.with(beside), "check")
	if got.code != exitOK || got.stderr != "" {
		t.Errorf("exit code %d: %s", got.code, got.stderr)
	}
	host := strings.TrimPrefix(s.settings["LP_DOMAIN_API_URL"], "http://")
	want, err := os.ReadFile(filepath.Join("testdata", "check.txt"))
	if err != nil && !*update {
		t.Fatal(err)
	}
	text := strings.NewReplacer(host, "SIMULATOR", public, "PUBLIC").Replace(got.stdout)
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", "check.txt"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		want = []byte(text)
	}
	if diff := cmp.Diff(string(want), text); diff != "" {
		t.Errorf("the check's page differs (-want +got):\n%s", diff)
	}
	beside["LPBRIDGE_PUBLIC_URL"] = "http://" + deadAddress(t)
	if got := outcome(t, s.with(beside), "check"); got.code != exitFailed || !strings.Contains(got.stdout, "FAIL  LPBRIDGE_PUBLIC_URL    nobody answers there") {
		t.Errorf("a bridge runs and its public address leads nowhere: exit code %d: %s", got.code, got.stdout)
	}
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	p.terminate()
}

// publicOverTLS is an address that leads to the bridge, as a proxy that speaks TLS
// does, and a file with the root of its certificate.
func (s *stage) publicOverTLS() (address, roots string) {
	s.t.Helper()
	server := httptest.NewTLSServer(s.proxy())
	s.t.Cleanup(server.Close)
	roots = filepath.Join(s.t.TempDir(), "roots.pem")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return server.URL, roots
}

// TestHealthCheck is what a container's supervisor sees.
func TestHealthCheck(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	admin := map[string]string{"LPBRIDGE_ADMIN_LISTEN": strings.TrimPrefix(p.admin, "http://")}
	if got := outcome(t, admin, "healthcheck"); got.code != exitOK || got.stdout+got.stderr != "" {
		t.Errorf("of a running bridge: exit code %d: %s", got.code, got.stdout+got.stderr)
	}
	p.terminate()
	if got := outcome(t, admin, "healthcheck"); got.code != exitFailed || !strings.Contains(got.stderr, "refused") {
		t.Errorf("of no bridge: exit code %d: %s", got.code, got.stderr)
	}
	starting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(starting.Close)
	admin["LPBRIDGE_ADMIN_LISTEN"] = strings.TrimPrefix(starting.URL, "http://")
	if got := outcome(t, admin, "healthcheck"); got.code != exitFailed || !strings.Contains(got.stderr, "not ready: status 503") {
		t.Errorf("of a bridge that is not ready: exit code %d: %s", got.code, got.stderr)
	}
	if got := outcome(t, map[string]string{"LPBRIDGE_ADMIN_LISTEN": "nonsense"}, "healthcheck"); got.code != exitConfig {
		t.Errorf("of a wrong address: exit code %d: %s", got.code, got.stderr)
	}
}

func TestLocalURL(t *testing.T) {
	for listen, want := range map[string]string{
		":8081": "http://127.0.0.1:8081", "0.0.0.0:8081": "http://127.0.0.1:8081", "[::]:8081": "http://127.0.0.1:8081",
		"127.0.0.1:1": "http://127.0.0.1:1", "[::1]:8081": "http://[::1]:8081", "10.0.0.7:8081": "http://10.0.0.7:8081",
		"localhost:8081": "http://localhost:8081",
	} {
		if got := localURL(listen); got != want {
			t.Errorf("localURL(%q) = %q, want %q", listen, got, want)
		}
	}
}

// deadAddress is one of this machine at which nobody listens.
func deadAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
