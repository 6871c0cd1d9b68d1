package config

import (
	"fmt"
	"strings"
	"testing"
)

// FuzzParseStore has addresses of stores in all spellings: what is accepted is given back
// as it was, and the password is neither in an error nor in what prints a store.
func FuzzParseStore(f *testing.F) {
	const secret = "hunter2-hunter2"
	for _, seed := range [][2]string{
		{"postgres://u:", "@db.example:5432/lpbridge?sslmode=verify-full"}, {"postgresql://u:", "@a,b/c?target_session_attrs=read-write"},
		{"postgres://db/lpbridge?user=u&password=", "&sslmode=disable"}, {"postgres://db/lpbridge?sslpassword=", ""}, {"postgres://u:", "@[::1]:x/"},
		{"postgres://", "@/d?host=/run"}, {"sqlite:", "/a.db"}, {"postgres://u:%zz", "@h/d"}, {"postgres://u:a;b", "@h/d?password=x"}, {"", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, before, after string) {
		text := before + secret + after
		store, err := ParseStore(text)
		if err != nil {
			if strings.Contains(err.Error(), secret) {
				t.Errorf("the error has the password: %v", err)
			}
			return
		}
		if got := store.Reveal(); got != text {
			t.Errorf("%q became %q", text, got)
		}
		// Where the word stands as a password: before the host, or as a parameter of that name.
		head, _, _ := strings.Cut(text, secret)
		authority, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(text, "postgresql://"), "postgres://"), "/")
		user, _, login := strings.Cut(authority, "@")
		_, password, _ := strings.Cut(user, ":")
		if store.Path() == "" && (login && strings.HasPrefix(password, secret) || strings.HasSuffix(head, "?password=") || strings.HasSuffix(head, "&password=")) {
			for _, shown := range []string{store.String(), fmt.Sprint(store), fmt.Sprintf("%+v", store), store.LogValue().String()} {
				if strings.Contains(shown, secret) {
					t.Errorf("%q shows the password as %q", text, shown)
				}
			}
		}
	})
}

// TestParametersWithoutAQuestionMark: what stands where the database's name should is
// shown, and must not be a password.
func TestParametersWithoutAQuestionMark(t *testing.T) {
	for _, text := range []string{"postgres://db/lpbridge'user=u&password=hunter2-hunter2", "postgres://db/lpbridge&password=hunter2-hunter2", "postgres://db/lpbridge%3Fpassword=hunter2-hunter2"} {
		store, err := ParseStore(text)
		if err == nil || !strings.Contains(err.Error(), "question mark") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, %v", text, store, err)
		}
	}
}
