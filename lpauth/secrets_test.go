package lpauth

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestASecretIsRotatedWithoutAGap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		file := []string{"old"}
		var broken error
		var log strings.Builder
		secrets, err := NewSecrets(func() ([]string, error) { return file, broken }, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		body := []byte(vector1)
		check := func(when, secret string, want error) {
			t.Helper()
			if err := secrets.Verify(Sign(SHA1, secret, body), body); !errors.Is(err, want) || (want == nil) != (err == nil) {
				t.Errorf("%s: signed with %s: %v, want %v", when, secret, err, want)
			}
		}
		check("at first", "old", nil)
		check("at first", "new", ErrSignatureMismatch)
		file = []string{"new"}
		time.Sleep(time.Second)
		check("replaced", "new", nil)
		check("replaced", "old", nil)
		check("replaced", "other", ErrSignatureMismatch)
		file, broken = nil, errors.New("cannot read new and old")
		time.Sleep(time.Second)
		check("unreadable", "other", ErrSignatureMismatch)
		check("unreadable", "new", nil)
		broken = nil // an empty file, as while it is being written
		time.Sleep(time.Second)
		check("empty", "other", ErrSignatureMismatch)
		check("empty", "new", nil)
		time.Sleep(formerSecretLife)
		check("three days later", "old", ErrSignatureMismatch)
		check("three days later", "new", nil)
		if text := fmt.Sprintf("%v %+v %#v", secrets, secrets, secrets) + log.String(); strings.Contains(text, "old") || strings.Contains(text, "new") {
			t.Errorf("a secret is in %q", text)
		}
	})
}

func TestForgedSignaturesDoNotReadTheSourceEachTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reads := 0
		secrets, err := NewSecrets(func() ([]string, error) { reads++; return []string{"s"}, nil }, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		for range 1000 {
			if secrets.Verify(Sign(SHA1, "forged", nil), nil) == nil {
				t.Fatal("forged")
			}
		}
		if reads != 2 {
			t.Errorf("%d reads", reads)
		}
	})
}

func TestTokensAreFetchedWithTheSecretLivePersonTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lp := newLivePerson(t)
		var used []string
		valid := "old"
		lp.HandleFunc(tokenCall, func(w http.ResponseWriter, r *http.Request) {
			data, _ := io.ReadAll(r.Body)
			secret := parseQuery(t, string(data)).Get("client_secret")
			used = append(used, secret)
			if agent := r.Header.Get("User-Agent"); agent != "my connector" {
				t.Errorf("User-Agent %q", agent)
			}
			if secret != valid {
				w.WriteHeader(http.StatusUnauthorized)
				_, _ = io.WriteString(w, `{"error":"invalid_client"}`)
				return
			}
			accessToken(w, appJWT(len(used), time.Now().Add(time.Hour)))
		})
		file := []string{"old"}
		secrets, err := NewSecrets(func() ([]string, error) { return file, nil }, nil)
		if err != nil {
			t.Fatal(err)
		}
		app, err := NewAppTokens(AppTokensOptions{AccountID: testAccount, ClientID: "c", Secrets: secrets, Domains: &fixedDomains{}, Transport: lp.transport, UserAgent: "my connector"})
		if err != nil {
			t.Fatal(err)
		}
		next := func(want ...string) {
			t.Helper()
			time.Sleep(time.Minute)
			used = nil
			token, err := app.Token(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			app.Invalidate(token)
			if fmt.Sprint(used) != fmt.Sprint(want) {
				t.Errorf("used %v, want %v", used, want)
			}
		}
		next("old")
		file = []string{"new", "old"}
		next("new", "old") // announced, and not yet in force
		valid = "new"
		next("new")
		file = []string{"new"}
		next("new")
	})
}
