package config

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-envconfig"
)

var account = map[string]string{"LP_ACCOUNT_ID": "12345678", "LP_CLIENT_ID": "2f1b", "LP_CLIENT_SECRET": leaky, "LPBRIDGE_CHANNELS": "webhook"}

func TestBadConfigurations(t *testing.T) {
	for _, tc := range []struct {
		name string
		env  map[string]string
	}{
		{"nothing", nil},
		{"empty", map[string]string{"LP_ACCOUNT_ID": "", "LP_CLIENT_ID": " ", "LP_CLIENT_SECRET": "", "LPBRIDGE_CHANNELS": ",", "LPBRIDGE_STORE": ""}},
		{"everything", map[string]string{
			"LPBRIDGE_LISTEN": "8080", "LPBRIDGE_ADMIN_LISTEN": "localhost:http", "LPBRIDGE_STORE": "mysql://root:" + leaky + "@db/x",
			"LPBRIDGE_CHANNELS": "webhook,chatwood,webhook", "LPBRIDGE_PUBLIC_URL": "bridge.example", "LPBRIDGE_LOG_LEVEL": "INFO",
			"LPBRIDGE_LOG_FORMAT": "logfmt", "LPBRIDGE_SHUTDOWN_TIMEOUT": "20", "LPBRIDGE_MAX_IN_FLIGHT": "0512", "LPBRIDGE_MAX_PENDING": "1e6",
			"LPBRIDGE_RETENTION": "1d", "LPBRIDGE_DEDUPE_RETENTION": "24h", "LPBRIDGE_HISTORY_RETENTION": "0s", "LPBRIDGE_DEADLETTER_AFTER": "-1h",
			"LPBRIDGE_ECHO_WAIT": "-1s",
			"LP_ACCOUNT_ID":      "le/12345", "LP_CLIENT_ID": "two words", "LP_CLIENT_SECRET": leaky, "LP_CLIENT_SECRET_FILE": leaky,
			"LP_DOMAIN_API_URL": "https://user:" + leaky + "@api.liveperson.net", "LP_ALLOW_PLAIN_HTTP": "no", "LP_SKILL_ID": "my skill",
			"LP_CAMPAIGN_ID": "..", "LP_FEATURES": "MULTI_DIALOG,QUICK_REPLY", "LP_NOTIFICATIONS": "true", "LP_TIMEOUT": "0s",
		}},
		{"half-a-campaign", with(account, "LP_CAMPAIGN_ID", "1")},
		{"half-an-engagement", with(account, "LP_ENGAGEMENT_ID", "1")},
		{"plain-http", with(account, "LP_DOMAIN_API_URL", "http://lpsim:8090")},
		{"plain-http-malformed-switch", with(account, "LP_DOMAIN_API_URL", "http://lpsim:8090", "LP_ALLOW_PLAIN_HTTP", "on")},
		{"query", with(account, "LP_DOMAIN_API_URL", "https://api.liveperson.net/?"+leaky, "LPBRIDGE_PUBLIC_URL", "https://b.example?"+leaky)},
		{"same-listener", with(account, "LPBRIDGE_ADMIN_LISTEN", ":8080")},
		{"doors", with(account, "LPBRIDGE_ADMIN_TOKEN", leaky, "LPBRIDGE_METRICS_TOKEN", leaky+" with spaces in it", "LPBRIDGE_TLS_CERT", "tls.crt", "LPBRIDGE_ADMIN_TLS_KEY", "tls.key")},
		{"same-tokens", with(account, "LPBRIDGE_ADMIN_TOKEN", leaky+leaky+leaky, "LPBRIDGE_METRICS_TOKEN", leaky+leaky+leaky)},
		{"anybody-an-operator", with(account, "LPBRIDGE_ADMIN_LISTEN", "10.0.0.7:8081")},
		{"port-out-of-range", with(account, "LPBRIDGE_LISTEN", ":65536")},
		{"store-in-memory", with(account, "LPBRIDGE_STORE", "sqlite::memory:")},
		{"another-database", with(account, "LPBRIDGE_STORE", "mysql://u:"+leaky+"@db/x")},
		{"database-without-a-name", with(account, "LPBRIDGE_STORE", "postgres://u:"+leaky+"@db")},
		{"secret-file-missing", map[string]string{"LP_ACCOUNT_ID": "1", "LP_CLIENT_ID": "1", "LPBRIDGE_CHANNELS": "layer", "LP_CLIENT_SECRET_FILE": "/nonexistent/" + leaky}},
		{"unknown-channel", with(account, "LPBRIDGE_CHANNELS", "smoke-signals")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l := NewLoader(envconfig.MapLookuper(tc.env))
			var c Config
			l.Load("", &c)
			l.Add(c.Bridge.CheckChannels("webhook", "chatwoot", "chatwootapi", "livechatai", "layer"))
			err := l.Err()
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), leaky) {
				t.Error("the report shows a secret")
			}
			golden(t, "bad/"+tc.name+".txt", err.Error()+"\n")
		})
	}
}

func TestConfigDefaults(t *testing.T) {
	var got Config
	if _, err := Load(&got, envconfig.MapLookuper(account)); err != nil {
		t.Fatal(err)
	}
	want := Config{
		Bridge: Bridge{
			Listen: ":8080", AdminListen: "127.0.0.1:8081", Store: Store{path: "data/lpbridge.db"},
			Channels: []string{"webhook"}, LogLevel: "info", LogFormat: "json", ShutdownTimeout: 20 * time.Second, MaxInFlight: 512,
			MaxPending: 1_000_000, ConsumerPending: 1000, Retention: 24 * time.Hour, DedupeRetention: 72 * time.Hour, HistoryRetention: 720 * time.Hour,
			DeadletterAfter: 24 * time.Hour, EchoWait: 35 * time.Second, UnclaimedFor: 10 * time.Minute, Attachments: "upload",
			Replica: Replica{PeerListen: ":0", HoldFor: 12 * time.Second},
		},
		LivePerson: LivePerson{
			AccountID: "12345678", ClientID: "2f1b", ClientSecret: NewSecret(leaky), DomainAPIURL: mustURL(t, "https://api.liveperson.net"),
			Notifications: "auto", AgentProfiles: true, Timeout: 10 * time.Second,
		},
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(Store{})); diff != "" {
		t.Errorf("differs (-want +got):\n%s", diff)
	}
	if err := got.Bridge.CheckChannels("layer", "webhook"); err != nil {
		t.Errorf("CheckChannels: %v", err)
	}
}

func TestGoodConfigurations(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"simulator on loopback":  with(account, "LP_DOMAIN_API_URL", "http://127.0.0.1:8090"),
		"simulator on IPv6":      with(account, "LP_DOMAIN_API_URL", "http://[::1]:8090/"),
		"simulator on localhost": with(account, "LP_DOMAIN_API_URL", "http://localhost:8090"),
		"plain http permitted":   with(account, "LP_DOMAIN_API_URL", "http://lpsim:8090", "LP_ALLOW_PLAIN_HTTP", "true"),
		"ports chosen by system": with(account, "LPBRIDGE_LISTEN", "127.0.0.1:0", "LPBRIDGE_ADMIN_LISTEN", "127.0.0.1:0"),
		"routing":                with(account, "LP_CAMPAIGN_ID", "1", "LP_ENGAGEMENT_ID", "2", "LP_SKILL_ID", "-1"),
		"features":               with(account, "LP_FEATURES", "AUTO_MESSAGES, MULTI_DIALOG"),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Load(&Config{}, envconfig.MapLookuper(env)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestLevel(t *testing.T) {
	for text, want := range map[string]slog.Level{
		"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError, "": slog.LevelInfo,
	} {
		if got := (Bridge{LogLevel: text}).Level(); got != want {
			t.Errorf("level of %q is %s, want %s", text, got, want)
		}
	}
}

func TestParseStore(t *testing.T) {
	const bad = "must be sqlite:PATH or postgres://USER@HOST/DATABASE"
	for _, tc := range []struct{ name, text, shown, path, problem string }{
		{name: "relative path", text: "sqlite:data/x.db", shown: "sqlite:data/x.db", path: "data/x.db"},
		{name: "absolute path", text: "sqlite:/var/x.db", shown: "sqlite:/var/x.db", path: "/var/x.db"},
		{name: "empty", problem: bad},
		{name: "path only", text: "data/x.db", problem: bad},
		{name: "database", text: "postgres://u:p@db/lp?sslmode=verify-full&password=q", shown: "postgres://u@db/lp"},
		{name: "database by its other name", text: "postgresql://db:5433/lp", shown: "postgresql://db:5433/lp"},
		{name: "two hosts", text: "postgres://u@a:1,b:2/lp", shown: "postgres://u@a:1,b:2/lp"},
		{name: "another database", text: "mysql://u:p@db/lp", problem: bad},
		{name: "no database", text: "postgres://u:p@db/", problem: "must name a database after the host, as in postgres://USER@HOST:5432/DATABASE"},
		{name: "no host", text: "postgres:///lp", problem: "must name a host, as in postgres://USER@HOST:5432/DATABASE"},
		{name: "odd password", text: "postgres://u:p%@db/lp", problem: "must be postgres://USER@HOST:5432/DATABASE?sslmode=verify-full, with %XX for special characters in user and password"},
		{name: "no path", text: "sqlite:", problem: "must name a file after sqlite:, such as sqlite:data/lpbridge.db"},
		{name: "root", text: "sqlite://", problem: "must name a file after sqlite:, such as sqlite:data/lpbridge.db"},
		{name: "directory", text: "sqlite:data/", problem: "must name a file after sqlite:, not a directory"},
		{name: "memory", text: "sqlite::memory:", problem: "must be a file: a database in memory would lose accepted messages"},
		{name: "parameters", text: "sqlite:x.db?mode=memory", problem: "must be a plain path after sqlite:, without parameters"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var s Store
			err := s.UnmarshalText([]byte(tc.text))
			if tc.problem != "" {
				if err == nil || err.Error() != tc.problem || s != (Store{}) {
					t.Fatalf("store is %s, error %v, want %s", s, err, tc.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if s.String() != tc.shown || s.LogValue().String() != tc.shown || s.Path() != tc.path {
				t.Errorf("shown as %q, path %q, want %q and %q", s, s.Path(), tc.shown, tc.path)
			}
		})
	}
	if got := (Store{}).String(); got != "[unset]" {
		t.Errorf("the zero value shows as %q", got)
	}
}
