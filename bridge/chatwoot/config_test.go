package chatwoot

import (
	"strings"
	"testing"
	"time"

	"lpbridge/config"

	"github.com/sethvargo/go-envconfig"
)

func TestValidate(t *testing.T) {
	tests := []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"good", func(*Config) {}, ""},
		{"nothing", func(c *Config) { *c = Config{} },
			"BASE_URL: is required\nACCOUNT_ID: must be a number from 1 on\nTOKEN: is required\n" +
				"SECRETS: set it, or ALLOW_UNSIGNED=true and URL_SECRET for a Chatwoot that does not sign"},
		{"base without scheme", func(c *Config) { c.BaseURL = mustURL(t, "chat.example.com") }, "BASE_URL: must be an absolute http or https address"},
		{"base without host", func(c *Config) { c.BaseURL = mustURL(t, "https:///x") }, "BASE_URL: must be an absolute http or https address"},
		{"base with a user", func(c *Config) { c.BaseURL = mustURL(t, "https://u:p@chat.example.com") }, "BASE_URL: must not have a user name or password"},
		{"base with a query", func(c *Config) { c.BaseURL = mustURL(t, "https://chat.example.com/?a=b") }, "BASE_URL: must not have a query (?)"},
		{"token with a line break", func(c *Config) { c.Token = config.NewSecret("a\n") }, "TOKEN: must be printable ASCII without spaces"},
		{"unknown kind", func(c *Config) { c.TokenKind = "admin" }, "TOKEN_KIND: must be user or bot"},
		{"receipts of a bot", func(c *Config) { c.TokenKind, c.Receipts = kindBot, true }, "RECEIPTS: needs TOKEN_KIND=user, for bots may not change a message"},
		{"empty secret", func(c *Config) { c.Secrets = append(c.Secrets, config.Secret{}) }, "SECRETS: secret 3 of 3 must be printable ASCII without spaces"},
		{"unsigned", func(c *Config) {
			c.Secrets, c.AllowUnsigned, c.URLSecret = nil, true, config.NewSecret(urlSecret)
		}, ""},
		{"unsigned without secret", func(c *Config) { c.AllowUnsigned = true }, "URL_SECRET: is required with ALLOW_UNSIGNED=true"},
		{"secret without unsigned", func(c *Config) { c.URLSecret = config.NewSecret(urlSecret) }, "URL_SECRET: is of use with ALLOW_UNSIGNED=true only"},
		{"short secret", func(c *Config) { c.AllowUnsigned, c.URLSecret = true, config.NewSecret("fifteen-letters") }, "URL_SECRET: must have at least 16 characters"},
		{"secret with a slash", func(c *Config) { c.AllowUnsigned, c.URLSecret = true, config.NewSecret("sixteen/letters/") }, "URL_SECRET: must have only letters, digits, - . _ and ~"},
		{"inbox in words", func(c *Config) { c.InboxIDs = []string{"3", "API"} }, "INBOX_IDS: element 2 of 2 is not the number of an inbox"},
		{"inbox zero", func(c *Config) { c.InboxIDs = []string{"0"} }, "INBOX_IDS: element 1 of 1 is not the number of an inbox"},
		{"other words", func(c *Config) { c.OnOpen, c.OnClose, c.Markdown = "a", "b", "c" },
			"ON_OPEN: must be open or leave\nON_CLOSE: must be resolve or pending or leave\nMARKDOWN: must be leave or escape"},
		{"short timeout", func(c *Config) { c.Timeout = time.Millisecond }, "TIMEOUT: must be between 1s and 2m0s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := goodConfig(t)
			tt.change(&cfg)
			got := ""
			if err := cfg.Validate(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
			if _, err := New(cfg, nil, newClientOf(t), discard); (err != nil) != (tt.want != "") {
				t.Errorf("New: %v", err)
			}
		})
	}
}

// TestEnvironment loads the variables as an operator writes them.
func TestEnvironment(t *testing.T) {
	l := config.NewLoader(envconfig.MapLookuper(map[string]string{
		"CHATWOOT_BASE_URL": "https://chat.example.com/", "CHATWOOT_ACCOUNT_ID": "1", "CHATWOOT_TOKEN": stubToken,
		"CHATWOOT_SECRETS": accountSecret + "," + inboxSecret, "CHATWOOT_INBOX_IDS": "3, 4",
	}))
	var cfg Config
	l.Load("CHATWOOT_", &cfg)
	if err := l.Err(); err != nil {
		t.Fatal(err)
	}
	if len(cfg.Secrets) != 2 || cfg.Secrets[1].Reveal() != inboxSecret {
		t.Errorf("%d secrets", len(cfg.Secrets))
	}
	if chosen, err := cfg.inboxes(); err != nil || !chosen[3] || !chosen[4] || len(chosen) != 2 {
		t.Errorf("inboxes %v, %v", chosen, err)
	}
	if cfg.TokenKind != kindUser || cfg.OnOpen != statusOpen || cfg.OnClose != onCloseResolve || cfg.Markdown != leave || cfg.Timeout != defaultTimeout {
		t.Errorf("defaults %+v", cfg)
	}
}

func TestReferenceNamesEveryVariable(t *testing.T) {
	for _, v := range config.Reference(new(Config), "CHATWOOT_") {
		if !strings.HasPrefix(v.Name, "CHATWOOT_") || v.Description == "" {
			t.Errorf("%+v", v)
		}
	}
}
