package chatwootapi

import (
	"log/slog"
	"net/url"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"

	"lpbridge/bridge/bridgetest"
	"lpbridge/config"
)

func load(t *testing.T, env map[string]string) (Config, error) {
	t.Helper()
	var cfg Config
	l := config.NewLoader(envconfig.MapLookuper(env))
	l.Load("CHATWOOTAPI_", &cfg)
	return cfg, l.Err()
}

func TestConfigDefaults(t *testing.T) {
	cfg, err := load(t, map[string]string{"CHATWOOTAPI_INBOXES": "a, b"})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Join(cfg.Inboxes, "|") != "a|b" || cfg.MaxAttachment != 3<<20 || cfg.AgentName != "Agent" || cfg.InboxName != "API" || cfg.CSAT || cfg.HMACMandatory {
		t.Errorf("defaults are %+v", cfg)
	}
	if _, err := New(cfg, bridgetest.NewCore(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "PUBLIC_URL") {
		t.Errorf("without any public address: %v", err)
	}
	cfg.PublicURL = &url.URL{}
	if _, err := New(cfg, bridgetest.NewCore(), slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "LPBRIDGE_PUBLIC_URL") {
		t.Errorf("with an empty public address: %v", err)
	}
	cfg.PublicURL = &url.URL{Scheme: "https", Host: "x.example", Path: "/chat/"}
	a, err := New(cfg, bridgetest.NewCore(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if got := a.dataURL(attachment{Token: "T", Name: "a"}); got != "https://x.example/chat/rails/active_storage/blobs/redirect/T/a" {
		t.Errorf("files lie at %s", got)
	}
}

func TestConfigProblems(t *testing.T) {
	const secret = "k3y-of-the-bank"
	for _, tc := range []struct {
		name, variable, value, want string
	}{
		{"no inbox", "INBOXES", "", "CHATWOOTAPI_INBOXES"},
		{"odd inbox", "INBOXES", "a/b", "CHATWOOTAPI_INBOXES: entry 1"},
		{"inbox as JSON", "INBOXES", `[{"identifier":"a"}]`, "CHATWOOTAPI_INBOXES: entry 1"},
		{"inbox twice", "INBOXES", "a,a", "CHATWOOTAPI_INBOXES: a is named twice"},
		{"inbox within an inbox", "INBOXES", "a:b,a", "CHATWOOTAPI_INBOXES: a:b begins with a and a colon"},
		{"relative address", "PUBLIC_URL", "/x", "CHATWOOTAPI_PUBLIC_URL"},
		{"address with query", "PUBLIC_URL", "https://x/?q=1", "CHATWOOTAPI_PUBLIC_URL: must be an absolute"},
		{"small file", "MAX_ATTACHMENT", "5", "CHATWOOTAPI_MAX_ATTACHMENT"},
		{"no key", "HMAC_MANDATORY", "true", "CHATWOOTAPI_HMAC_MANDATORY: needs HMAC_TOKEN"},
		{"key without inbox", "HMAC_TOKENS", secret, "CHATWOOTAPI_HMAC_TOKENS: entry 1 is not identifier=key"},
		{"key of unknown inbox", "HMAC_TOKENS", "a=x,c=" + secret, "CHATWOOTAPI_HMAC_TOKENS: entry 2 names an inbox"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := load(t, map[string]string{"CHATWOOTAPI_INBOXES": "a,b", "CHATWOOTAPI_" + tc.variable: tc.value})
			if err == nil || !strings.Contains(err.Error(), tc.want) || strings.Contains(err.Error(), secret) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
		})
	}
}

func TestInboxKeys(t *testing.T) {
	cfg, err := load(t, map[string]string{
		"CHATWOOTAPI_INBOXES": "a,b", "CHATWOOTAPI_HMAC_TOKEN": "common", "CHATWOOTAPI_HMAC_TOKENS": "b=own=key", "CHATWOOTAPI_HMAC_MANDATORY": "1",
	})
	if err != nil {
		t.Fatal(err)
	}
	inboxes, err := cfg.inboxes()
	if err != nil {
		t.Fatal(err)
	}
	if a, b := inboxes["a"], inboxes["b"]; a.id != 1 || b.id != 2 || a.key.Reveal() != "common" || b.key.Reveal() != "own=key" {
		t.Errorf("inboxes are %+v and %+v", a, b)
	}
}
