package connector

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lpbridge/lpauth"
)

func TestWebhook(t *testing.T) {
	body := messaging(byAgent(text("hi"), ""))
	sign := func(body string) string { return lpauth.Sign(lpauth.SHA256, "secret", []byte(body)) }
	for _, c := range []struct {
		name, body string
		change     func(*http.Request)
		fails      bool
		status     int
		handled    int
		unreadable int
	}{
		{name: "signed", body: body, status: 200, handled: 1},
		{name: "forged", body: body, change: func(r *http.Request) { r.Header.Set(lpauth.SignatureHeader, sign(body+" ")) }, status: 401},
		{name: "unsigned", body: body, change: func(r *http.Request) { r.Header.Del(lpauth.SignatureHeader) }, status: 401},
		{name: "of another account", body: body, change: func(r *http.Request) { r.Header.Set("X-Liveperson-Account-Id", "other") }, status: 403},
		{name: "of another app", body: body, change: func(r *http.Request) { r.Header.Set("X-Liveperson-Client-Id", "other") }, status: 403},
		{name: "never readable", body: body[:40], status: 200, unreadable: 1},
		{name: "not kept", body: body, fails: true, status: 503, handled: 1},
		{name: "too large", body: strings.Repeat(" ", 2000), status: 413},
		{name: "GET", body: body, change: func(r *http.Request) { r.Method = "GET" }, status: 405},
	} {
		t.Run(c.name, func(t *testing.T) {
			connection, err := Connect(ConnectOptions{AccountID: testAccount, ClientID: "app", ClientSecret: "secret", Transport: canned{status: 500}})
			if err != nil {
				t.Fatal(err)
			}
			defer connection.Close()
			handled, unreadable := 0, 0
			hook := connection.Webhook(func(context.Context, Notification) error {
				handled++
				if c.fails {
					return errors.New("disk full")
				}
				return nil
			})
			hook.MaxBytes, hook.Unreadable = 1000, func([]byte, error) { unreadable++ }
			r := httptest.NewRequest(http.MethodPost, "/hook", strings.NewReader(c.body))
			r.Header.Set(lpauth.SignatureHeader, sign(c.body))
			r.Header.Set("X-Liveperson-Account-Id", string(testAccount))
			r.Header.Set("X-Liveperson-Client-Id", "app")
			if c.change != nil {
				c.change(r)
			}
			rec := httptest.NewRecorder()
			hook.ServeHTTP(rec, r)
			if rec.Code != c.status || handled != c.handled || unreadable != c.unreadable {
				t.Errorf("status %d, handled %d, unreadable %d; want %d, %d, %d", rec.Code, handled, unreadable, c.status, c.handled, c.unreadable)
			}
		})
	}
}

func TestConnectNamesWhatIsMissing(t *testing.T) {
	for want, o := range map[string]ConnectOptions{
		"account id":    {ClientID: "app", ClientSecret: "s"},
		"client id":     {AccountID: "a", ClientSecret: "s"},
		"client secret": {AccountID: "a", ClientID: "app"},
		"features":      {AccountID: "a", ClientID: "app", ClientSecret: "s", Features: []string{"rich content"}},
		"plain http":    {AccountID: "a", ClientID: "app", ClientSecret: "s", DomainURL: "http://x.example"},
	} {
		if _, err := Connect(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want one about the %s", err, want)
		}
	}
}
