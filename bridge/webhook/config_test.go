package webhook

import (
	"encoding/base64"
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"lpbridge/bridge/bridgetest"
	"lpbridge/config"

	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-envconfig"
)

func TestValidate(t *testing.T) {
	secretOf := func(n int) config.Secret {
		return config.NewSecret(secretPrefix + base64.StdEncoding.EncodeToString(make([]byte, n)))
	}
	far := &url.URL{Scheme: "https", Host: "far.example", Path: "/events"}
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"nothing", Config{}, "SECRET: set it, or WEBHOOK_TOKEN, or WEBHOOK_ALLOW_UNSIGNED=true to believe every request"},
		{"two ways", Config{Secret: secretOf(32), AllowUnsigned: true}, "SECRET: set only one of WEBHOOK_SECRET, WEBHOOK_TOKEN and WEBHOOK_ALLOW_UNSIGNED"},
		{"two other ways", Config{Token: config.NewSecret("t"), AllowUnsigned: true}, "SECRET: set only one of WEBHOOK_SECRET, WEBHOOK_TOKEN and WEBHOOK_ALLOW_UNSIGNED"},
		{"secret", Config{Secret: secretOf(24)}, ""},
		{"longest secret", Config{Secret: secretOf(64), URL: far}, ""},
		{"secrets", Config{Secret: config.NewSecret(newSecret + " , " + oldSecret)}, ""},
		{"token", Config{Token: config.NewSecret("t"), URL: far}, ""},
		{"unsigned", Config{AllowUnsigned: true, URL: far}, ""},
		{"short secret", Config{Secret: secretOf(23)}, "SECRET: secret 1 of 1 must be whsec_ and base64 of 24 to 64 bytes"},
		{"long secret", Config{Secret: secretOf(65)}, "SECRET: secret 1 of 1 must be whsec_ and base64 of 24 to 64 bytes"},
		{"empty secret", Config{Secret: config.NewSecret("whsec_")}, "SECRET: secret 1 of 1 must be whsec_ and base64 of 24 to 64 bytes"},
		{"second secret without prefix", Config{Secret: config.NewSecret(newSecret + "," + oldSecret[6:])}, "SECRET: secret 2 of 2 must be whsec_ and base64 of 24 to 64 bytes"},
		{"trailing comma", Config{Secret: config.NewSecret(newSecret + ",")}, "SECRET: secret 2 of 2 must be whsec_ and base64 of 24 to 64 bytes"},
		{"secret not base64", Config{Secret: config.NewSecret("whsec_???")}, "SECRET: secret 1 of 1 must be whsec_ and base64 of 24 to 64 bytes"},
		{"token with a space", Config{Token: config.NewSecret("a b")}, "TOKEN: must be printable ASCII without spaces"},
		{"token with a line break", Config{Token: config.NewSecret("ab\n")}, "TOKEN: must be printable ASCII without spaces"},
		{"relative URL", Config{AllowUnsigned: true, URL: &url.URL{Path: "/events"}}, "URL: must be an absolute http or https address"},
		{"URL without host", Config{AllowUnsigned: true, URL: &url.URL{Scheme: "https", Host: ":443"}}, "URL: must be an absolute http or https address"},
		{"other scheme", Config{AllowUnsigned: true, URL: &url.URL{Scheme: "ftp", Host: "far.example"}}, "URL: must be an absolute http or https address"},
		{"fragment", Config{AllowUnsigned: true, URL: &url.URL{Scheme: "https", Host: "far.example", Fragment: "x"}}, "URL: must not have a fragment (#)"},
		{"user", Config{AllowUnsigned: true, URL: &url.URL{Scheme: "https", Host: "far.example", User: url.User("u")}},
			"URL: must not have a user name or password"},
		{"two problems", Config{URL: &url.URL{Path: "/events"}, Token: config.NewSecret("a b")},
			"TOKEN: must be printable ASCII without spaces\nURL: must be an absolute http or https address"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.cfg.Validate()
			got := ""
			if err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("Validate: %q, want %q", got, tt.want)
			}
			_, err = New(tt.cfg, bridgetest.NewCore(), client(nil), discard)
			if tt.want == "" && err != nil {
				t.Errorf("New: %v", err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("New: %v, want the text of Validate", err)
			}
		})
	}
}

// TestLoad reads the environment as cmd does.
func TestLoad(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		want []string // variables with problems
	}{
		{"least", map[string]string{"WEBHOOK_ALLOW_UNSIGNED": "true"}, nil},
		{"all", map[string]string{
			"WEBHOOK_SECRET": newSecret + "," + oldSecret, "WEBHOOK_URL": "https://far.example/events?x=1",
			"WEBHOOK_TIMEOUT": "3s", "WEBHOOK_TYPING_HOLD": "1m",
		}, nil},
		{"nothing", nil, []string{"WEBHOOK_SECRET"}},
		{"everything wrong", map[string]string{
			"WEBHOOK_SECRET": "whsec_short", "WEBHOOK_URL": "far", "WEBHOOK_TIMEOUT": "1ms", "WEBHOOK_TYPING_HOLD": "1h",
		}, []string{"WEBHOOK_SECRET", "WEBHOOK_TIMEOUT", "WEBHOOK_TYPING_HOLD", "WEBHOOK_URL"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var cfg Config
			loader := config.NewLoader(envconfig.MapLookuper(tt.env))
			loader.Load("WEBHOOK_", &cfg)
			var got []string
			if problems, ok := errors.AsType[*config.Error](loader.Err()); ok {
				for _, p := range problems.Problems() {
					got = append(got, p.Variable)
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("variables with problems (-want +got):\n%s", diff)
			}
			if tt.name == "least" && (cfg.Timeout != defaultTimeout || cfg.TypingHold != defaultHold) {
				t.Errorf("defaults of the tags are %s and %s, of the code %s and %s",
					cfg.Timeout, cfg.TypingHold, defaultTimeout, defaultHold)
			}
		})
	}
}
