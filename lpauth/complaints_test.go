package lpauth

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// TestOutageDoesNotFillTheLog: nobody gives tokens, or names services, for an hour, and
// somebody asks all the time: that is told once a minute, not once an attempt.
func TestOutageDoesNotFillTheLog(t *testing.T) {
	for name, outage := range map[string]func(log *slog.Logger) (ask func(context.Context)){
		"app token not renewed": func(log *slog.Logger) func(context.Context) {
			tokens, err := NewAppTokens(AppTokensOptions{
				AccountID: testAccount, ClientID: "c", ClientSecret: testSecret, Domains: &fixedDomains{}, Transport: canned{http.StatusBadRequest, "{}"}, Logger: log,
			})
			if err != nil {
				t.Fatal(err)
			}
			return func(ctx context.Context) { _, _ = tokens.Token(ctx) }
		},
		"domain lookup failed": func(log *slog.Logger) func(context.Context) {
			domains, err := NewDomains(DomainsOptions{AccountID: testAccount, URL: testBase, Transport: canned{http.StatusBadRequest, "{}"}, Logger: log})
			if err != nil {
				t.Fatal(err)
			}
			return func(ctx context.Context) { _, _ = domains.BaseURL(ctx, ServiceSentinel) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var out bytes.Buffer
				ask := outage(slog.New(slog.NewTextHandler(&out, nil)))
				for began := time.Now(); time.Since(began) < time.Hour; time.Sleep(time.Second) {
					ask(t.Context())
				}
				synctest.Wait()
				if lines := bytes.Count(out.Bytes(), []byte(name)); lines < 10 || lines > 62 {
					t.Errorf("%d lines in an hour", lines)
				}
			})
		})
	}
}
