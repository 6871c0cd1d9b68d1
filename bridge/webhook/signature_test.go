package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/config"
)

func ring(t testing.TB, list string) authentication {
	t.Helper()
	k, err := newAuthentication(Config{Secret: config.NewSecret(list)})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// ownSignature computes a signature without the library, as the specification
// has it.
func ownSignature(t testing.TB, secret, id, timestamp string, body []byte) string {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", id, timestamp, body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func headers(id, timestamp, signature string) http.Header {
	h := http.Header{}
	h.Set(headerID, id)
	h.Set(headerTimestamp, timestamp)
	h.Set(headerSignature, signature)
	return h
}

func TestVerify(t *testing.T) {
	body := []byte(message)
	now := time.Now().Unix()
	at := func(d time.Duration) string { return strconv.FormatInt(now+int64(d/time.Second), 10) }
	good := ownSignature(t, newSecret, "id", at(0), body)
	other := ownSignature(t, oldSecret, "id", at(0), body)
	tests := []struct {
		name string
		h    http.Header
		want error
	}{
		{"newest secret", headers("id", at(0), good), nil},
		{"older secret", headers("id", at(0), other), nil},
		{"one of several signatures", headers("id", at(0), "v1a,abc v1, v2,"+good[3:]+" "+good), nil},
		{"nearly too old", headers("id", at(-4*time.Minute), ownSignature(t, newSecret, "id", at(-4*time.Minute), body)), nil},
		{"too old", headers("id", at(-6*time.Minute), ownSignature(t, newSecret, "id", at(-6*time.Minute), body)), errOutOfTime},
		{"too new", headers("id", at(6*time.Minute), ownSignature(t, newSecret, "id", at(6*time.Minute), body)), errOutOfTime},
		{"far future", headers("id", "9223372036854775807", good), errOutOfTime},
		{"no id", headers("", at(0), good), errUnsigned},
		{"no timestamp", headers("id", "", good), errUnsigned},
		{"no signature", headers("id", at(0), ""), errUnsigned},
		{"timestamp in words", headers("id", "now", good), errBadTimestamp},
		{"other version", headers("id", at(0), "v2"+good[2:]), errBadSignature},
		{"no version", headers("id", at(0), good[3:]), errBadSignature},
		{"cut off", headers("id", at(0), good[:20]), errBadSignature},
		{"other id", headers("di", at(0), good), errBadSignature},
		{"unknown secret", headers("id", at(0), ownSignature(t, "whsec_"+base64.StdEncoding.EncodeToString(make([]byte, 32)), "id", at(0), body)), errBadSignature},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := ring(t, newSecret+", "+oldSecret).verify(&http.Request{Header: tt.h}, body); !errors.Is(err, tt.want) {
				t.Errorf("verify: %v, want %v", err, tt.want)
			}
		})
	}
}

func TestToleranceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := []byte(message)
		k := ring(t, newSecret)
		h := http.Header{}
		h.Set(headerID, "id")
		if err := k.authorize(h, "id", body); err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			wait time.Duration
			want error
		}{{0, nil}, {5 * time.Minute, nil}, {time.Second, errOutOfTime}} {
			<-time.After(step.wait)
			if err := k.verify(&http.Request{Header: h}, body); !errors.Is(err, step.want) {
				t.Errorf("after another %s: %v, want %v", step.wait, err, step.want)
			}
		}
	})
}

func TestEverySecretSigns(t *testing.T) {
	h := http.Header{}
	if err := ring(t, newSecret+","+oldSecret).authorize(h, "id", []byte("body")); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{newSecret, oldSecret} {
		if err := ring(t, secret).verify(&http.Request{Header: headers("id", h.Get(headerTimestamp), h.Get(headerSignature))}, []byte("body")); err != nil {
			t.Errorf("a receiver that knows one of two secrets: %v", err)
		}
	}
}

func FuzzSignatureHeaders(f *testing.F) {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	f.Add("id", now, ownSignature(f, newSecret, "id", now, []byte(message)), []byte(message))
	f.Add("", "", "", []byte(nil))
	f.Add("a.b", "-1", "v1, v1,,", []byte("{}"))
	f.Add("id", "+"+now, "v1,abc", []byte("{}"))
	f.Fuzz(func(t *testing.T, id, timestamp, signature string, body []byte) {
		h := headers(id, timestamp, signature)
		if ring(t, newSecret).verify(&http.Request{Header: h}, body) != nil {
			return
		}
		seconds, err := strconv.ParseInt(timestamp, 10, 64)
		if err != nil {
			t.Fatalf("believed with timestamp %q", timestamp)
		}
		want := ownSignature(t, newSecret, id, strconv.FormatInt(seconds, 10), body)
		if !strings.Contains(signature, want) {
			t.Fatalf("believed with signature %q, right is %q", signature, want)
		}
	})
}

func TestAuthenticationSaysNoSecret(t *testing.T) {
	for _, cfg := range []Config{
		{Secret: config.NewSecret(newSecret)}, {Secret: config.NewSecret(newSecret + "," + oldSecret)},
		{Token: config.NewSecret(token)}, {AllowUnsigned: true},
	} {
		auth, err := newAuthentication(cfg)
		if err != nil {
			t.Fatal(err)
		}
		words, challenge := auth.describe()
		text := fmt.Sprintf("%v %+v %s %s", auth, auth, words, challenge)
		if words == "" || strings.Contains(text, token) || strings.Contains(text, newSecret[6:]) {
			t.Errorf("authentication prints as %q", text)
		}
	}
}
