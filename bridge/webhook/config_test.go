package webhook

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge/bridgetest"
	"lpbridge/config"
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
		{"nothing", Config{}, "SECRET: set it, or TOKEN, or ALLOW_UNSIGNED=true to believe every request"},
		{"two ways", Config{Secret: secretOf(32), AllowUnsigned: true}, "SECRET: set only one of SECRET, TOKEN and ALLOW_UNSIGNED"},
		{"two other ways", Config{Token: config.NewSecret("t"), AllowUnsigned: true}, "SECRET: set only one of SECRET, TOKEN and ALLOW_UNSIGNED"},
		{"secret", Config{Secret: secretOf(24)}, ""},
		{"longest secret", Config{Secret: secretOf(64), URL: far}, ""},
		{"secrets", Config{Secret: config.NewSecret(newSecret + " , " + oldSecret)}, ""},
		{"token", Config{Token: config.NewSecret("t"), URL: far}, ""},
		{"unsigned", Config{AllowUnsigned: true, URL: far}, ""},
		{"short secret", Config{Secret: secretOf(23)}, "SECRET: secret 1 of 1 must be base64 of 24 to 64 bytes"},
		{"long secret", Config{Secret: secretOf(65)}, "SECRET: secret 1 of 1 must be base64 of 24 to 64 bytes"},
		{"empty secret", Config{Secret: config.NewSecret("whsec_")}, "SECRET: secret 1 of 1 must be base64 of 24 to 64 bytes"},
		{"second secret without prefix", Config{Secret: config.NewSecret(newSecret + "," + oldSecret[6:])}, "SECRET: secret 2 of 2 must begin with whsec_"},
		{"trailing comma", Config{Secret: config.NewSecret(newSecret + ",")}, "SECRET: secret 2 of 2 must begin with whsec_"},
		{"secret not base64", Config{Secret: config.NewSecret("whsec_???")}, "SECRET: secret 1 of 1 must be base64 after whsec_"},
		{"token with a space", Config{Token: config.NewSecret("a b")}, "TOKEN: must be printable ASCII without spaces"},
		{"token with a line break", Config{Token: config.NewSecret("ab\n")}, "TOKEN: must be printable ASCII without spaces"},
		{"relative URL", Config{AllowUnsigned: true, URL: &url.URL{Path: "/events"}}, "URL: must be an absolute http or https address"},
		{"URL without host", Config{AllowUnsigned: true, URL: &url.URL{Scheme: "https", Host: ":443"}}, "URL: must be an absolute http or https address"},
		{"other scheme", Config{AllowUnsigned: true, URL: &url.URL{Scheme: "ftp", Host: "far.example"}}, "URL: must be an absolute http or https address"},
		{"fragment", Config{AllowUnsigned: true, URL: &url.URL{Scheme: "https", Host: "far.example", Fragment: "x"}}, "URL: must not have a fragment (#)"},
		{"user and token", Config{Token: config.NewSecret("t"), URL: &url.URL{Scheme: "https", Host: "far.example", User: url.User("u")}},
			"URL: must not have a user name when TOKEN is set, for both need the Authorization header"},
		{"short timeout", Config{AllowUnsigned: true, Timeout: time.Millisecond}, "TIMEOUT: must be between 1s and 5m0s"},
		{"long hold", Config{AllowUnsigned: true, TypingHold: time.Hour}, "TYPING_HOLD: must be between 1s and 5m0s"},
		{"two problems", Config{AllowUnsigned: true, Timeout: -1, TypingHold: -1},
			"TIMEOUT: must be between 1s and 5m0s\nTYPING_HOLD: must be between 1s and 5m0s"},
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
			_, err = New(tt.cfg, bridgetest.NewCore(), &http.Client{}, discard)
			if tt.want == "" && err != nil {
				t.Errorf("New: %v", err)
			}
			if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("New: %v, want the text of Validate", err)
			}
		})
	}
}
