package connector

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/lpauth"
)

// serveAccount adds domain lookup and both token services to a fake LivePerson,
// which accepts only the app token minted last. revoke makes it forget that one.
func serveAccount(lp *livePerson) (minted *atomic.Int64, revoke func()) {
	minted = new(atomic.Int64)
	var valid atomic.Int64
	lp.HandleFunc("GET /api/account/42257269/service/baseURI.json", func(w http.ResponseWriter, r *http.Request) {
		entry := func(service string) string {
			return fmt.Sprintf(`{"service":%q,"account":"42257269","baseURI":"127.0.0.1:9"}`, service)
		}
		_, _ = io.WriteString(w, `{"baseURIs":[`+entry("sentinel")+","+entry("idp")+","+entry("asyncMessagingEnt")+"]}")
	})
	lp.HandleFunc("POST /sentinel/api/account/42257269/app/token", func(w http.ResponseWriter, r *http.Request) {
		n := minted.Add(1)
		valid.Store(n)
		_, _ = fmt.Fprintf(w, `{"access_token":"app-%d","token_type":"Bearer"}`, n)
	})
	lp.HandleFunc("POST /api/account/42257269/consumer", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"token":"consumer-token"}`)
	})
	lp.HandleFunc(sendPath, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != fmt.Sprintf("app-%d", valid.Load()) {
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"kind":"resp","code":401,"body":{"title":"Invalid AppJWT","errorCode":40102}}`)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"reqId": "1", "code": "OK", "body": map[string]int{"sequence": 0}})
	})
	return minted, func() { valid.Store(-1) }
}

func realClient(t *testing.T, lp *livePerson) *Client {
	t.Helper()
	domains, err := lpauth.NewDomains(lpauth.DomainsOptions{AccountID: testAccount, URL: testBase, Transport: lp.transport})
	if err != nil {
		t.Fatal(err)
	}
	app, err := lpauth.NewAppTokens(lpauth.AppTokensOptions{
		AccountID: testAccount, ClientID: "app", ClientSecret: "secret", Domains: domains, Transport: lp.transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	consumers, err := lpauth.NewConsumerTokens(lpauth.ConsumerTokensOptions{
		AccountID: testAccount, Domains: domains, AppTokens: app, Transport: lp.transport,
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := New(Options{AccountID: testAccount, Domains: domains, AppTokens: app, Consumers: consumers, Transport: lp.transport})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		consumers.Close()
		app.Close()
		domains.Close()
	})
	return client
}

func TestARevokedTokenCostsOneNewOneForAllLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lp := newLivePerson(t)
		minted, revoke := serveAccount(lp)
		client := realClient(t, lp)
		sendFrom := func(lanes int) {
			var all sync.WaitGroup
			for lane := range lanes {
				all.Go(func() {
					consumer := ConsumerIdentity(fmt.Sprintf("u-%d", lane))
					if _, err := client.Send(t.Context(), consumer, mainDialog, ContentEvent{Message: "x"}); err != nil {
						t.Errorf("lane %d: %v", lane, err)
					}
				})
			}
			all.Wait()
		}
		sendFrom(30)
		if n := minted.Load(); n != 1 {
			t.Fatalf("%d tokens for a start, want one", n)
		}
		time.Sleep(time.Minute)
		revoke()
		sendFrom(30)
		if n := minted.Load(); n != 2 {
			t.Errorf("%d tokens in all, want two", n)
		}
		// Revoked within the second it was minted in: a pause, but no failure.
		revoke()
		sendFrom(30)
		if n := minted.Load(); n != 3 {
			t.Errorf("%d tokens in all, want three", n)
		}
	})
}

// movingDomains gives another base after each Invalidate.
type movingDomains struct{ moves atomic.Int64 }

func (m *movingDomains) BaseURL(context.Context, string) (string, error) {
	return fmt.Sprintf("http://127.0.0.1:%d", 9000+m.moves.Load()), nil
}
func (m *movingDomains) Invalidate() { m.moves.Add(1) }

func TestSendFollowsAMovedHost(t *testing.T) {
	var hosts []string
	tokens, domains := &fakeTokens{}, &movingDomains{}
	client, err := New(Options{
		AccountID: testAccount, Domains: domains, AppTokens: tokens, Consumers: fakeConsumers{tokens},
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			hosts = append(hosts, r.URL.Host)
			return nil, io.ErrUnexpectedEOF
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := client.Send(t.Context(), ana, mainDialog, ContentEvent{Message: "x"}); OutcomeOf(err) != Retry {
			t.Errorf("a request whose headers were never written: %v", err)
		}
	}
	if len(hosts) != 2 || hosts[0] != "127.0.0.1:9000" || hosts[1] != "127.0.0.1:9001" {
		t.Errorf("asked %v", hosts)
	}
}
