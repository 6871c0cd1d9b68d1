package layer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sethvargo/go-envconfig"

	"lpbridge/bridge/bridgetest"
	"lpbridge/config"
)

func TestConfig(t *testing.T) {
	dir := t.TempDir()
	file := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pkix, err := x509.MarshalPKIXPublicKey(&providerKey().PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	curve, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := x509.MarshalPKIXPublicKey(&curve.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("GODEBUG", "rsa1024min=0")
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	text := filepath.Join(dir, "text")
	if err := os.WriteFile(text, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	keys := func(entries ...string) func(*Config) { return func(c *Config) { c.ProviderKeys = entries } }
	for _, tc := range []struct {
		name   string
		change func(*Config)
		want   string // begin of the problem; empty when there is none
	}{
		{"good", func(*Config) {}, ""},
		{"key in a file", keys("p/k=" + file("pkix.pem", "PUBLIC KEY", pkix)), ""},
		{"old form of key", keys("p/k=" + file("pkcs1.pem", "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&providerKey().PublicKey))), ""},
		{"several keys", keys("p/k="+file("a.pem", "PUBLIC KEY", pkix), "p/l="+file("b.pem", "PUBLIC KEY", pkix)), ""},
		{"no keys", keys(), "PROVIDER_KEYS: is required"},
		{"no keys in a sandbox", func(c *Config) { c.ProviderKeys, c.SandboxIdentities = nil, true }, ""},
		{"key without provider", keys("k=x.pem"), "PROVIDER_KEYS: entry 1 is not"},
		{"key without file", keys("p/k="), "PROVIDER_KEYS: entry 1 is not"},
		{"whole ids", keys("layer:///providers/p/k=x.pem"), "PROVIDER_KEYS: entry 1 is not"},
		{"key twice", keys(inlineProvider("p", "k", providerKey()), inlineProvider("p", "k", providerKey())), "PROVIDER_KEYS: entry 2 is there twice"},
		{"file that is not there", keys("p/k=" + dir + "/none.pem"), "PROVIDER_KEYS: entry 1: read the key"},
		{"file that is not PEM", keys("p/k=" + text), "PROVIDER_KEYS: entry 1: the file is not PEM"},
		{"no base64", keys("p/k=base64:%"), "PROVIDER_KEYS: entry 1: the key is not base64"},
		{"no key", keys("p/k=base64:" + base64.StdEncoding.EncodeToString([]byte("no key"))), "PROVIDER_KEYS: entry 1: the key is not an RSA"},
		{"key of another kind", keys("p/k=" + file("ec.pem", "PUBLIC KEY", other)), "PROVIDER_KEYS: entry 1: the key is not an RSA"},
		{"short key", keys(inlineProvider("p", "k", short)), "PROVIDER_KEYS: entry 1: the key is not an RSA public key of at least"},
		{"no app ids", func(c *Config) { c.AppIDs = nil }, "APP_IDS: at least one"},
		{"app id twice", func(c *Config) { c.AppIDs = []string{"a", "a"} }, "APP_IDS: entry 2 is there twice"},
		{"empty app id", func(c *Config) { c.AppIDs = []string{"layer:///apps/staging/"} }, "APP_IDS: entry 1 is empty"},
		{"any origin", func(c *Config) { c.Origins = []string{"*"} }, "ORIGINS: entry 1 must be"},
		{"origin with a path", func(c *Config) { c.Origins = []string{"https://a.example/"} }, "ORIGINS: entry 1 must be"},
		{"pattern of origins", func(c *Config) { c.Origins = []string{"https://*.example"} }, "ORIGINS: entry 1 must be"},
		{"public URL of a socket", func(c *Config) { c.PublicURL.Scheme = "wss" }, "PUBLIC_URL: must be"},
		{"public URL with a query", func(c *Config) { c.PublicURL.RawQuery = "a=b" }, "PUBLIC_URL: must be"},
		{"no agent", func(c *Config) { c.AgentID = "" }, "AGENT_ID: is required"},
		{"no agent's name", func(c *Config) { c.AgentName = "" }, "AGENT_NAME: is required"},
		{"avatar that is no URL", func(c *Config) { c.AgentAvatarURL = &url.URL{Path: "a.png"} }, "AGENT_AVATAR_URL: must be"},
		{"state key with a dot", func(c *Config) { c.StateKey = "a.b" }, "STATE_KEY: is required"},
		{"short session", func(c *Config) { c.SessionTTL = time.Second }, "SESSION_TTL: must be"},
		{"no content", func(c *Config) { c.MaxContent = 0 }, "MAX_CONTENT: must be"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cfg := testConfig(tc.change)
			err := cfg.Validate()
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.want)):
				t.Errorf("problem %v, want %s", err, tc.want)
			}
		})
	}
	cfg := testConfig()
	cfg.PublicURL = nil
	if _, err := New(cfg, bridgetest.NewCore(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "PUBLIC_URL: is required") {
		t.Errorf("without any public URL: %v", err)
	}
	all := Config{}
	if problems := strings.Split(all.Validate().Error(), "\n"); len(problems) < 6 {
		t.Errorf("not all problems are told at once: %q", problems)
	}
}

// TestLoad reads the configuration as the program does.
func TestLoad(t *testing.T) {
	var loaded struct {
		Layer Config `env:",prefix=LAYER_"`
	}
	_, err := config.Load(&loaded, envconfig.MapLookuper(map[string]string{
		"LAYER_APP_IDS": "layer:///apps/staging/1, sandbox", "LAYER_ORIGINS": "https://a.example,https://b.example:8443",
		"LAYER_PUBLIC_URL": "https://chat.example/bridge", "LAYER_PROVIDER_KEYS": inlineProvider("p", "k", providerKey()),
	}))
	if err != nil {
		t.Fatal(err)
	}
	c := loaded.Layer
	if len(c.AppIDs) != 2 || len(c.Origins) != 2 || c.AgentID != "agent" || c.SessionTTL != 720*time.Hour || c.StateKey != "state" {
		t.Errorf("loaded %+v", c)
	}
	l, err := New(c, bridgetest.NewCore(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if l.base != "https://chat.example/bridge/layer" {
		t.Errorf("base %s", l.base)
	}
	var wrong struct {
		Layer Config `env:",prefix=LAYER_"`
	}
	if _, err = config.Load(&wrong, envconfig.MapLookuper(map[string]string{"LAYER_ORIGINS": "*"})); err == nil {
		t.Fatal("a wrong configuration was loaded")
	}
	for _, name := range []string{"LAYER_APP_IDS", "LAYER_ORIGINS", "LAYER_PROVIDER_KEYS"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not named in: %v", name, err)
		}
	}
}
