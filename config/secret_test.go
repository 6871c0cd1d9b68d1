package config

import (
	"bytes"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

const leaky = "hunter2-do-not-show"

type holder struct {
	Public   Secret
	Pointer  *Secret
	List     []Secret
	Map      map[string]Secret
	Key      map[Secret]string
	Any      any
	private  Secret
	privates []Secret
	privMap  map[string]Secret
	inner    struct{ deep Secret }
}

func newHolder() holder {
	s := NewSecret(leaky)
	h := holder{
		Public: s, Pointer: &s, List: []Secret{s}, Map: map[string]Secret{"a": s}, Key: map[Secret]string{s: "a"}, Any: s,
		private: s, privates: []Secret{s}, privMap: map[string]Secret{"a": s},
	}
	h.inner.deep = s
	return h
}

func TestSecretIsNeverShown(t *testing.T) {
	h := newHolder()
	values := map[string]any{
		"secret": h.Public, "pointer": h.Pointer, "slice": h.List, "struct": h, "struct pointer": &h,
		"config": Config{LivePerson: LivePerson{ClientSecret: h.Public}},
	}
	shown := map[string]func(any) string{
		"error": func(v any) string { return fmt.Errorf("op: %w: %v", errors.New("x"), v).Error() },
		"json":  func(v any) string { b, _ := json.Marshal(v); return string(b) },
		"xml":   func(v any) string { b, _ := xml.Marshal(v); return string(b) },
		"gob":   func(v any) string { var b bytes.Buffer; _ = gob.NewEncoder(&b).Encode(v); return b.String() },
		"slog text": func(v any) string {
			var b bytes.Buffer
			slog.New(slog.NewTextHandler(&b, nil)).With("with", v).WithGroup("g").Info("m", "v", v, slog.Group("h", "v", v))
			return b.String()
		},
		"slog json": func(v any) string {
			var b bytes.Buffer
			slog.New(slog.NewJSONHandler(&b, nil)).With("with", v).WithGroup("g").Info("m", "v", v, slog.Group("h", "v", v))
			return b.String()
		},
		"println": func(v any) string { return fmt.Sprintln(v) },
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%+s", "%q", "%#q", "%x", "%X", "% x", "%d", "%t", "%p", "%T", "%80v"} {
		shown[verb] = func(v any) string { return fmt.Sprintf(verb, v) }
	}
	for what, value := range values {
		for how, show := range shown {
			text := show(value)
			for _, form := range []string{leaky, hex.EncodeToString([]byte(leaky)), fmt.Sprintf("% x", leaky)} {
				if strings.Contains(strings.ToLower(text), form) {
					t.Errorf("%s shows the secret through %s: %s", what, how, text)
				}
			}
		}
	}
}

func TestSecretPlaceholders(t *testing.T) {
	for name, tc := range map[string]struct {
		secret Secret
		want   string
	}{
		"set":   {NewSecret("x"), "[secret]"},
		"zero":  {Secret{}, "[unset]"},
		"empty": {NewSecret(""), "[unset]"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, got := range []string{
				tc.secret.String(), fmt.Sprintf("%v", tc.secret), fmt.Sprintf("%#v", tc.secret), tc.secret.LogValue().String(),
			} {
				if got != tc.want {
					t.Errorf("got %q, want %q", got, tc.want)
				}
			}
			text, err := json.Marshal(struct{ S Secret }{tc.secret})
			if want := `{"S":"` + tc.want + `"}`; err != nil || string(text) != want {
				t.Errorf("JSON is %s, %v, want %s", text, err, want)
			}
		})
	}
}

func TestSecretReveal(t *testing.T) {
	var s Secret
	if s.IsSet() || s.Reveal() != "" {
		t.Errorf("the zero value is set")
	}
	if err := s.UnmarshalText([]byte(leaky)); err != nil || s.Reveal() != leaky || !s.IsSet() {
		t.Errorf("after UnmarshalText: set %t, error %v", s.IsSet(), err)
	}
	if !s.Equal(NewSecret(leaky)) || s.Equal(NewSecret("other")) || s.Equal(Secret{}) || !(Secret{}).Equal(NewSecret("")) {
		t.Error("Equal does not compare the texts")
	}
	if err := s.UnmarshalText(nil); err != nil || s.IsSet() {
		t.Errorf("after an empty UnmarshalText: set %t, error %v", s.IsSet(), err)
	}
}
