package config

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sethvargo/go-envconfig"
)

type mail struct {
	Server *url.URL `env:"SERVER,required"`
	From   string   `env:"FROM"`
	Inner  inner    `env:",prefix=INNER_"`
}

type inner struct {
	Size int `env:"SIZE,default=3"`
}

func (m *mail) Validate() error {
	var errs []error
	if m.Server == nil {
		errs = append(errs, errors.New("SERVER: is nil, which the report said already"))
	}
	if m.From == "" {
		errs = append(errs, errors.New("FROM: is needed to write letters"), errors.New("MAIL_FROM: has its full name"))
	}
	return errors.Join(append(errs, errors.New("nobody is to blame: or everybody"))...)
}

func (i inner) Validate() error {
	if i.Size < 10 {
		return fmt.Errorf("SIZE: is %d: must be ten", i.Size)
	}
	return nil
}

func TestValidateErrorsNameTheirVariables(t *testing.T) {
	l := NewLoader(envconfig.MapLookuper(map[string]string{"MAIL_SERVER": "nowhere"}))
	l.Load("MAIL_", &mail{})
	l.Add(errors.Join(errors.New("MAIL_FROM: is not wanted"), Problem{"OTHER", "is from elsewhere"}))
	l.Add(nil)
	want := strings.Join([]string{
		"MAIL_SERVER: must be an absolute URL that begins with https:// or http://",
		"MAIL_FROM: is needed to write letters",
		"MAIL_FROM: has its full name",
		"MAIL_*: nobody is to blame: or everybody",
		"MAIL_INNER_SIZE: is 3: must be ten",
		"MAIL_FROM: is not wanted",
		"OTHER: is from elsewhere",
	}, "\n")
	if diff := cmp.Diff(want, l.Err().Error()); diff != "" {
		t.Errorf("report differs (-want +got):\n%s", diff)
	}
	if !errors.Is(l.Err(), Problem{"OTHER", "is from elsewhere"}) {
		t.Error("errors.Is does not find a problem")
	}
}

// A struct that embeds a section has its Validate as well.
func TestEmbeddedSectionIsReportedOnce(t *testing.T) {
	var embedding struct{ Exported }
	_, err := Load(&embedding, envconfig.MapLookuper(nil))
	if err == nil || err.Error() != "NAME: is bad" {
		t.Errorf("error is %v", err)
	}
}

// Exported is embedded.
type Exported struct {
	Name string `env:"NAME"`
}

func (Exported) Validate() error { return errors.New("NAME: is bad") }

func TestReportTellsOrigins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "code")
	if err := os.WriteFile(path, []byte(leaky), 0o600); err != nil {
		t.Fatal(err)
	}
	l := NewLoader(envconfig.MapLookuper(map[string]string{
		"TEXT": "x", "COUNT": "x", "TOKEN": leaky, "DEEP_NAME": "n", "DEEP_CODE_FILE": path, "MAIL_FROM": "me",
	}))
	l.Load("", &kitchen{})
	l.Ignore("MAIL_", &mail{}, "mail is not in use")
	got := map[string]Origin{}
	for _, s := range l.Report().Settings {
		got[s.Variable] = s.Origin
	}
	want := map[string]Origin{
		"TEXT": FromEnvironment, "WORD": FromDefault, "COUNT": FromInvalid, "SMALL": FromUnset, "UNSIGNED": FromUnset, "RATIO": FromDefault,
		"ON": FromUnset, "WAIT": FromDefault, "LIST": FromUnset, "COLOURS": FromUnset, "HOME_URL": FromUnset, "TOKEN": FromEnvironment,
		"KEYS": FromUnset, "PLACE": FromUnset, "DEEP_NAME": FromEnvironment, "DEEP_TAGS": FromUnset, "DEEP_CODE": FromFile,
		"MAIL_FROM": FromIgnored,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("origins differ (-want +got):\n%s", diff)
	}
	if shown := fmt.Sprintf("%+v %#v", l.Report(), l.Report()); strings.Contains(shown, leaky) {
		t.Errorf("the report shows a secret: %s", shown)
	}
}

func TestWarnings(t *testing.T) {
	l := NewLoader(envconfig.MapLookuper(map[string]string{"WEBHOOK_SERVER": leaky}))
	l.Load("", &Config{})
	l.Ignore("WEBHOOK_", &mail{}, "channel webhook is not in LPBRIDGE_CHANNELS")
	got := l.Report().Warnings([]string{
		"LP_ACCOUNT_ID=1", "LP_CLIENT_SECRET_FILE=/x", "WEBHOOK_SERVER=" + leaky, // known
		"LPBRIDGE_LOGLEVEL=debug", "LP_ACOUNT_ID=1", "LP_CLIENT_SERCET=" + leaky, "LP_ACCOUNT_ID_FILE=/x", "LP_QQQQQQQQ=" + leaky,
		"LP_EMPTY=", "PATH=/bin", "lp_client_id=1", "LPSIM_LISTEN=:1", "=C:=x", "", // not ours, or empty
		"LPBRIDGE_PORT=tcp://10.0.0.1:80", "LPBRIDGE_SERVICE_HOST=10.0.0.1", "LPBRIDGE_SERVICE_PORT_HTTP=80",
		"WEBHOOK_PORT_80_TCP_ADDR=10.0.0.1", "LPBRIDGE_PORT=8080", // of Kubernetes, but for the last
		"LP_ACOUNT_ID=1", // given twice
	})
	want := []Problem{
		{"LPBRIDGE_LOGLEVEL", "has no effect: no such setting; did you mean LPBRIDGE_LOG_LEVEL?"},
		{"LPBRIDGE_PORT", "has no effect: no such setting; did you mean LPBRIDGE_STORE?"},
		{"LP_ACCOUNT_ID_FILE", "has no effect: only secrets can come from a file, set LP_ACCOUNT_ID"},
		{"LP_ACOUNT_ID", "has no effect: no such setting; did you mean LP_ACCOUNT_ID?"},
		{"LP_CLIENT_SERCET", "has no effect: no such setting; did you mean LP_CLIENT_SECRET?"},
		{"LP_QQQQQQQQ", "has no effect: no such setting"},
		{"WEBHOOK_SERVER", "has no effect: channel webhook is not in LPBRIDGE_CHANNELS"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings differ (-want +got):\n%s", diff)
	}
}
