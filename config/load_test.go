package config

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/sethvargo/go-envconfig"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

// kitchen has a field of every type a section may have.
type kitchen struct {
	Text     string        `env:"TEXT,default=a,b" desc:"Any text."`
	Word     string        `env:"WORD,default=auto" oneof:"auto,on,off" desc:"One | of three."`
	Count    int           `env:"COUNT,default=7" min:"1" max:"100"`
	Small    int8          `env:"SMALL"`
	Unsigned uint16        `env:"UNSIGNED"`
	Ratio    float64       `env:"RATIO,default=0.5" min:"0" max:"1"`
	On       bool          `env:"ON"`
	Wait     time.Duration `env:"WAIT,default=10s" min:"1s"`
	List     []string      `env:"LIST"`
	Colours  []string      `env:"COLOURS" oneof:"red,green,blue"`
	Home     *url.URL      `env:"HOME_URL"`
	Token    Secret        `env:"TOKEN"`
	Keys     []Secret      `env:"KEYS" desc:"Keys, the first signs."`
	Place    Store         `env:"PLACE"`
	Deep     struct {
		Name string   `env:"NAME,required"`
		Tags []string `env:"TAGS,required"`
		Code Secret   `env:"CODE,required"`
	} `env:",prefix=DEEP_"`
	Untagged string
	hidden   int
}

// A field nobody outside can set is no variable.
var _ = kitchen{}.hidden

var good = map[string]string{"DEEP_NAME": "n", "DEEP_TAGS": "t", "DEEP_CODE": "c"}

func with(base map[string]string, more ...string) map[string]string {
	env := map[string]string{}
	maps.Copy(env, base)
	for i := 0; i < len(more); i += 2 {
		env[more[i]] = more[i+1]
	}
	return env
}

func mustURL(t *testing.T, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestLoadDecodesEveryType(t *testing.T) {
	defaults := kitchen{Text: "a,b", Word: "auto", Count: 7, Ratio: 0.5, Wait: 10 * time.Second}
	defaults.Deep.Name, defaults.Deep.Tags, defaults.Deep.Code = "n", []string{"t"}, NewSecret("c")
	for name, tc := range map[string]struct {
		env  map[string]string
		want func(*kitchen)
	}{
		"defaults": {nil, func(*kitchen) {}},
		"empty is unset": {map[string]string{"TEXT": "", "COUNT": "", "WAIT": "  ", "TOKEN": "", "KEYS": "", "HOME_URL": "", "LIST": ",, ,"},
			func(*kitchen) {}},
		"every variable": {
			map[string]string{
				"TEXT": " some text ", "WORD": "off", "COUNT": "10", "SMALL": "-128", "UNSIGNED": "65535", "RATIO": "1e-2", "ON": "TRUE",
				"WAIT": "1h30m", "LIST": "a, b ,,c,", "COLOURS": "red , blue", "HOME_URL": "https://bridge.example:8443/base",
				"TOKEN": " spaces stay ", "KEYS": "k1, k2,,", "PLACE": "sqlite:x.db",
			},
			func(k *kitchen) {
				k.Text, k.Word, k.Count, k.Small, k.Unsigned, k.Ratio, k.On = "some text", "off", 10, -128, 65535, 0.01, true
				k.Wait, k.List, k.Colours = 90*time.Minute, []string{"a", "b", "c"}, []string{"red", "blue"}
				k.Home = mustURL(t, "https://bridge.example:8443/base")
				k.Token, k.Keys = NewSecret(" spaces stay "), []Secret{NewSecret("k1"), NewSecret("k2")}
				k.Place = Store{path: "x.db"}
			}},
		"a value with a dollar is not expanded": {map[string]string{"TEXT": "$HOME \\$x"}, func(k *kitchen) { k.Text = "$HOME \\$x" }},
	} {
		t.Run(name, func(t *testing.T) {
			got := kitchen{Text: "set in code", Count: 99, List: []string{"old"}, Token: NewSecret("old"), Home: &url.URL{}, Untagged: "kept"}
			env := with(good)
			maps.Copy(env, tc.env)
			if _, err := Load(&got, envconfig.MapLookuper(env)); err != nil {
				t.Fatalf("Load: %v", err)
			}
			want := defaults
			want.Untagged = "kept"
			tc.want(&want)
			diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(kitchen{}), cmp.AllowUnexported(Store{}))
			if diff != "" {
				t.Errorf("differs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoadReportsBadValues(t *testing.T) {
	for _, tc := range []struct{ name, variable, value, want string }{
		{"octal", "COUNT", "010", `is "010": must be a whole number in decimal digits, without leading zeros`},
		{"hex", "COUNT", "0x10", `is "0x10": must be a whole number in decimal digits, without leading zeros`},
		{"underscore", "COUNT", "1_0", `is "1_0": must be a whole number in decimal digits, without leading zeros`},
		{"below min", "COUNT", "0", `is "0": must be at least 1`},
		{"above max", "COUNT", "101", `is "101": must be at most 100`},
		{"int8 overflow", "SMALL", "128", `is "128": must be from -128 to 127`},
		{"int overflow", "COUNT", "99999999999999999999", `is "99999999999999999999": must be from -9223372036854775808 to 9223372036854775807`},
		{"uint overflow", "UNSIGNED", "65536", `is "65536": must be from 0 to 65535, without a sign`},
		{"uint sign", "UNSIGNED", "-1", `is "-1": must be from 0 to 65535, without a sign`},
		{"not a float", "RATIO", "half", `is "half": must be a number such as 0.5`},
		{"infinite", "RATIO", "inf", `is "inf": must be a number such as 0.5`},
		{"not a number", "RATIO", "NaN", `is "NaN": must be a number such as 0.5`},
		{"float above max", "RATIO", "1.01", `is "1.01": must be at most 1`},
		{"yes", "ON", "yes", `is "yes": must be true or false (1, 0, t, f, T, F, TRUE, FALSE, True and False are accepted too)`},
		{"no unit", "WAIT", "30", `is "30": needs a unit, such as 30s for seconds (ms, s, m and h are usual)`},
		{"days", "WAIT", "3d", `is "3d": must be a duration such as 500ms, 10s, 5m or 1h30m; a day is 24h`},
		{"short", "WAIT", "10ms", `is "10ms": must be at least 1s`},
		{"negative", "WAIT", "-5s", `is "-5s": must be at least 1s`},
		{"word", "WORD", "On", `is "On": must be auto, on or off; did you mean on?`},
		{"list element", "COLOURS", "red,gren", `is "red,gren": "gren" is not known, each element must be red, green or blue; did you mean green?`},
		{"control character", "TEXT", "a\nb", `holds a control character or is not UTF-8`},
		{"not UTF-8", "TEXT", "a\xff", `holds a control character or is not UTF-8`},
		{"long", "COUNT", strings.Repeat("x", 200), `is "` + strings.Repeat("x", 60) + `…": must be a whole number in decimal digits, without leading zeros`},
		{"URL without scheme", "HOME_URL", "bridge.example", `must be an absolute URL that begins with https:// or http://`},
		{"URL with another scheme", "HOME_URL", "ftp://bridge.example", `must be an absolute URL that begins with https:// or http://`},
		{"URL with a space", "HOME_URL", "foo bar", `must be an absolute URL that begins with https:// or http://`},
		{"URL of host and port", "HOME_URL", "localhost:8080", `must be an absolute URL that begins with https:// or http://`},
		{"opaque URL", "HOME_URL", "https:bridge.example", `must be an absolute URL that begins with https:// or http://`},
		{"URL without host", "HOME_URL", "https:///path", `must name a host after https://`},
		{"URL with only a port", "HOME_URL", "https://:443", `must name a host after https://`},
		{"URL with password", "HOME_URL", "https://u:" + leaky + "@h.example", `must not hold a user name or password`},
		{"URL with fragment", "HOME_URL", "https://h.example/#x", `must not have a fragment, the part after #`},
		{"URL with a bad port", "HOME_URL", "https://h.example:70000", `must have a port from 1 to 65535`},
		{"store", "PLACE", leaky, `must be sqlite:PATH or postgres://USER@HOST/DATABASE`},
		{"white secret", "TOKEN", " \t", `holds nothing but white space`},
		{"required", "DEEP_NAME", "", `is required`},
		{"required list of commas", "DEEP_TAGS", " , ", `is required`},
		{"required secret", "DEEP_CODE", "", `is required: set it, or DEEP_CODE_FILE to the path of a file that holds it`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := Load(&kitchen{}, envconfig.MapLookuper(with(good, tc.variable, tc.value)))
			report, ok := errors.AsType[*Error](err)
			if !ok {
				t.Fatalf("error is %v, want an *Error", err)
			}
			if diff := cmp.Diff([]Problem{{tc.variable, tc.want}}, report.Problems()); diff != "" {
				t.Errorf("problems differ (-want +got):\n%s", diff)
			}
			if err.Error() != tc.variable+": "+tc.want {
				t.Errorf("text is %q", err)
			}
		})
	}
}

func TestRefusedFieldHoldsItsDefault(t *testing.T) {
	got := kitchen{Count: 50, Small: 50, Home: &url.URL{}}
	env := with(good, "COUNT", "x", "SMALL", "x", "HOME_URL", "x", "WAIT", "1", "DEEP_NAME", "a\x00")
	if _, err := Load(&got, envconfig.MapLookuper(env)); err == nil {
		t.Fatal("no error")
	}
	if got.Count != 7 || got.Small != 0 || got.Home != nil || got.Wait != 10*time.Second || got.Deep.Name != "" {
		t.Errorf("got %+v", got)
	}
}

func TestSecretFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tc := range []struct {
		name    string
		env     map[string]string
		want    string // of DEEP_CODE
		problem *Problem
	}{
		{name: "no newline", env: map[string]string{"DEEP_CODE_FILE": file("plain", leaky)}, want: leaky},
		{name: "one newline is cut", env: map[string]string{"DEEP_CODE_FILE": file("one", leaky+"\n")}, want: leaky},
		{name: "one Windows newline is cut", env: map[string]string{"DEEP_CODE_FILE": file("crlf", leaky+"\r\n")}, want: leaky},
		{name: "all newlines at the end are cut", env: map[string]string{"DEEP_CODE_FILE": file("two", leaky+"\r\n\n")}, want: leaky},
		{name: "spaces stay", env: map[string]string{"DEEP_CODE_FILE": file("spaces", " "+leaky+" \n")}, want: " " + leaky + " "},
		{name: "empty variable beside the file", env: map[string]string{"DEEP_CODE": "", "DEEP_CODE_FILE": file("beside", leaky)}, want: leaky},
		{name: "empty file variable", env: map[string]string{"DEEP_CODE": leaky, "DEEP_CODE_FILE": ""}, want: leaky},
		{name: "both", env: map[string]string{"DEEP_CODE": leaky, "DEEP_CODE_FILE": file("both", leaky)},
			problem: &Problem{"DEEP_CODE", "is set, and so is DEEP_CODE_FILE: remove one of them"}},
		{name: "no such file, named by the secret itself", env: map[string]string{"DEEP_CODE_FILE": leaky},
			problem: &Problem{"DEEP_CODE_FILE", "the file cannot be read: no such file or directory"}},
		{name: "directory", env: map[string]string{"DEEP_CODE_FILE": dir},
			problem: &Problem{"DEEP_CODE_FILE", "the file cannot be read: is a directory"}},
		{name: "empty file", env: map[string]string{"DEEP_CODE_FILE": file("empty", "\n")},
			problem: &Problem{"DEEP_CODE_FILE", "the file holds no secret: it is empty"}},
		{name: "huge file", env: map[string]string{"DEEP_CODE_FILE": file("huge", strings.Repeat("x", maxSecretFile+1))},
			problem: &Problem{"DEEP_CODE_FILE", "the file is larger than 65536 bytes"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var k kitchen
			env := map[string]string{"DEEP_NAME": "n", "DEEP_TAGS": "t"}
			maps.Copy(env, tc.env)
			_, err := Load(&k, envconfig.MapLookuper(env))
			if got := k.Deep.Code.Reveal(); got != tc.want {
				t.Errorf("secret is %q, want %q", got, tc.want)
			}
			var problems []Problem
			if report, ok := errors.AsType[*Error](err); ok {
				problems = report.Problems()
			}
			var want []Problem
			if tc.problem != nil {
				want = []Problem{*tc.problem}
			}
			if diff := cmp.Diff(want, problems); diff != "" {
				t.Errorf("problems differ (-want +got):\n%s", diff)
			}
		})
	}
	t.Run("list", func(t *testing.T) {
		var k kitchen
		env := with(good, "KEYS_FILE", file("keys", "k1,k2\n"))
		if _, err := Load(&k, envconfig.MapLookuper(env)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]Secret{NewSecret("k1"), NewSecret("k2")}, k.Keys); diff != "" {
			t.Errorf("keys differ: %s", diff)
		}
	})
}

// A pipe, as a shell's <(command) makes, can be read once only.
func TestSecretFileIsReadOnce(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString(leaky + "\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	var k kitchen
	env := map[string]string{"DEEP_NAME": "n", "DEEP_TAGS": "t", "DEEP_CODE_FILE": fmt.Sprintf("/dev/fd/%d", r.Fd())}
	if _, err := Load(&k, envconfig.MapLookuper(env)); err != nil {
		t.Fatal(err)
	}
	if k.Deep.Code.Reveal() != leaky {
		t.Errorf("secret is %q", k.Deep.Code.Reveal())
	}
}

func TestDistance(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "axc", 1}, {"abc", "abcd", 1}, {"kitten", "sitting", 3}} {
		if got := distance(tc.a, tc.b); got != tc.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}

func TestWrongTagsPanic(t *testing.T) {
	for name, target := range map[string]any{
		"nil":                 nil,
		"not a pointer":       kitchen{},
		"nil pointer":         (*kitchen)(nil),
		"pointer to a string": new(string),
		"unexported": &struct {
			a string `env:"A"`
		}{},
		"map": &struct {
			A map[string]string `env:"A"`
		}{},
		"pointer section": &struct {
			A *inner `env:",prefix=A_"`
		}{},
		"list of numbers": &struct {
			A []int `env:"A"`
		}{},
		"unknown option": &struct {
			A string `env:"A,overwrite"`
		}{},
		"prefix on a leaf": &struct {
			A string `env:"A,prefix=B_"`
		}{},
		"required section": &struct {
			A inner `env:",required"`
		}{},
		"required and default": &struct {
			A string `env:"A,required,default=x"`
		}{},
		"expanding default": &struct {
			A string `env:"A,default=$HOME"`
		}{},
		"default of a secret": &struct {
			A Secret `env:"A,default=x"`
		}{},
		"bad default": &struct {
			A int `env:"A,default=x"`
		}{},
		"default not in oneof": &struct {
			A string `env:"A,default=x" oneof:"a,b"`
		}{},
		"default below min": &struct {
			A int `env:"A,default=1" min:"2"`
		}{},
		"bad min": &struct {
			A time.Duration `env:"A" min:"2"`
		}{},
		"min above max": &struct {
			A int `env:"A" min:"2" max:"1"`
		}{},
		"min of a string": &struct {
			A string `env:"A" min:"2"`
		}{},
		"oneof of a number": &struct {
			A int `env:"A" oneof:"1,2"`
		}{},
		"prefix of no section": &struct {
			A string `env:",prefix=A_"`
		}{},
		"twice": &struct {
			A, B string `env:"A"`
		}{},
		"twin taken": &struct {
			A Secret `env:"A"`
			B string `env:"A_FILE"`
		}{},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if text := fmt.Sprint(recover()); !strings.HasPrefix(text, "config: ") {
					t.Errorf("panic is %q, want one of this package", text)
				}
			}()
			Reference(target, "")
		})
	}
}

func TestNilLookupIsTheEnvironment(t *testing.T) {
	t.Setenv("TEXT", "from outside")
	var target struct {
		Text string `env:"TEXT"`
	}
	if _, err := Load(&target, nil); err != nil || target.Text != "from outside" {
		t.Errorf("text is %q, error %v", target.Text, err)
	}
}

// FuzzLoad: no value of a variable makes Load panic, and none shows a secret. The secrets are also tried in the place of
// the path of their file.
func FuzzLoad(f *testing.F) {
	f.Add("x", "010", "30", "yes", "https://h", "a,,b")
	f.Add("", "-9223372036854775809", "1e9h", "TRUE", "https://u:p@h:99999/#%zz", "postgres://u:p@h/d")
	f.Add("\n", "+0", "-.5s", "\x00", "http://[::1", "sqlite::memory:")
	f.Fuzz(func(t *testing.T, secret, number, duration, boolean, address, text string) {
		secret = "[" + leaky + "]" + secret
		values := []string{number, duration, boolean, address, text}
		if slices.ContainsFunc(values, func(v string) bool { return strings.Contains(v, leaky) }) {
			return
		}
		env := map[string]string{
			"TEXT": text, "WORD": boolean, "COUNT": number, "SMALL": number, "UNSIGNED": number, "RATIO": number, "ON": boolean,
			"WAIT": duration, "LIST": text, "COLOURS": text, "HOME_URL": address, "TOKEN": secret, "KEYS_FILE": secret,
			"PLACE": text, "DEEP_NAME": address, "DEEP_TAGS": text, "DEEP_CODE": secret, "DEEP_CODE_FILE": secret,
			"LP_CLIENT_SECRET": secret, "LPBRIDGE_STORE": "postgres://u:" + secret + "@h/d", "LP_DOMAIN_API_URL": "http://u:" + secret + "@h",
			"LPBRIDGE_LISTEN": address, "LP_ACCOUNT_ID": text, "LPBRIDGE_PUBLIC_URL": "https://" + address,
		}
		l := NewLoader(envconfig.MapLookuper(env))
		var k kitchen
		var c Config
		l.Load("", &k)
		l.Load("", &c)
		l.Add(c.Bridge.CheckChannels("webhook"))
		if k.Token.Reveal() != secret {
			t.Errorf("token is %q, want %q", k.Token.Reveal(), secret)
		}
		if k.Count < 1 || k.Count > 100 || k.Wait < time.Second || slices.Contains(k.List, "") {
			t.Errorf("out of bounds: %d, %s, %q", k.Count, k.Wait, k.List)
		}
		shown := fmt.Sprintf("%v\n%+v\n%+v\n%#v\n%#v", l.Err(), l.Report(), k, k, c)
		if strings.Contains(shown, leaky) {
			t.Errorf("a secret is shown: %s", shown)
		}
	})
}
