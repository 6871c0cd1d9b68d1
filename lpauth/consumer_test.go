package lpauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// countingTokens hands out token-1, token-2, … one per Invalidate.
type countingTokens struct {
	mu sync.Mutex
	n  int
}

func (c *countingTokens) Token(context.Context) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("token-%d", c.n+1), nil
}

func (c *countingTokens) Invalidate(string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n++
}

func testConsumers(t *testing.T, lp *livePerson, app AppTokenSource, size int) *ConsumerTokens {
	t.Helper()
	c, err := NewConsumerTokens(ConsumerTokensOptions{
		AccountID: testAccount, Domains: &fixedDomains{}, AppTokens: app, Transport: lp.transport, CacheSize: size,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func consumerJWS(ext string) string {
	return testJWT(fmt.Sprintf(`{"account_id":"le81823118","ext_consumer_id":%q,"lp_consumer_id":"lp-of-%s"}`, ext, ext))
}

func serveConsumers(lp *livePerson) {
	lp.HandleFunc(consumerCall, func(w http.ResponseWriter, r *http.Request) {
		var ask struct {
			Ext string `json:"ext_consumer_id"`
		}
		_ = json.NewDecoder(r.Body).Decode(&ask)
		time.Sleep(time.Millisecond)
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]string{"token": consumerJWS(ask.Ext)})
	})
}

func TestConsumerRequest(t *testing.T) {
	lp := newLivePerson(t)
	lp.HandleFunc(consumerCall, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if string(body) != `{"ext_consumer_id":"webchat:u-7"}` || r.URL.RawQuery != "v=1.0" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("got %s with query %q", body, r.URL.RawQuery)
		}
		if got := r.Header.Get("Authorization"); got != "token-1" {
			t.Errorf("Authorization %q is not the raw token", got)
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"token":"`+consumerJWS("webchat:u-7")+`"}`)
	})
	c := testConsumers(t, lp, &countingTokens{}, 0)
	for range 2 {
		got, err := c.Consumer(t.Context(), "webchat:u-7")
		if err != nil || got.ID != "lp-of-webchat:u-7" || got.Token != consumerJWS("webchat:u-7") {
			t.Errorf("got %v, %v", got.ID, err)
		}
	}
	if n := lp.count(consumerCall); n != 1 {
		t.Errorf("%d calls, want one", n)
	}
	if _, err := c.Consumer(t.Context(), ""); err == nil {
		t.Error("an empty identity was accepted")
	}
}

func TestConsumerCacheForgetsTheLeastRecentlyUsed(t *testing.T) {
	lp := newLivePerson(t)
	serveConsumers(lp)
	c := testConsumers(t, lp, &countingTokens{}, 2)
	calls := 0
	ask := func(identity ConsumerIdentity, fetched bool) {
		t.Helper()
		got, err := c.Consumer(t.Context(), identity)
		if err != nil || got.ID != ConsumerID("lp-of-"+string(identity)) {
			t.Fatalf("%s: %v, %v", identity, got.ID, err)
		}
		if fetched {
			calls++
		}
		if n := lp.count(consumerCall); n != calls {
			t.Fatalf("%s: %d calls, want %d", identity, n, calls)
		}
	}
	ask("a", true)
	ask("b", true)
	ask("a", false)
	ask("c", true) // pushes b out
	ask("a", false)
	ask("b", true) // pushes c out
	c.Invalidate("a", "another token")
	ask("a", false)
	c.Invalidate("a", consumerJWS("a"))
	ask("a", true)
}

func TestConsumerSingleFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lp := newLivePerson(t)
		serveConsumers(lp)
		c := testConsumers(t, lp, &countingTokens{}, 0)
		var all sync.WaitGroup
		for i := range 40 {
			all.Go(func() {
				if _, err := c.Consumer(t.Context(), ConsumerIdentity([]string{"a", "b"}[i%2])); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := lp.count(consumerCall); n != 2 {
			t.Errorf("%d calls for two consumers", n)
		}
	})
}

func TestConsumerRefreshesTheAppTokenOnce(t *testing.T) {
	for _, c := range []struct {
		name      string
		good      string
		wantCalls int
		wantErr   error
	}{
		{"the second token works", "token-2", 2, nil},
		{"none works", "none", 2, ErrCredentialsRefused},
	} {
		t.Run(c.name, func(t *testing.T) {
			lp := newLivePerson(t)
			lp.HandleFunc(consumerCall, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Authorization") != c.good {
					w.WriteHeader(http.StatusUnauthorized)
					_, _ = io.WriteString(w, `{"kind":"resp","code":401,"body":{"errorCode":40102,"details":"`+r.Header.Get("Authorization")+`"}}`)
					return
				}
				w.WriteHeader(http.StatusCreated)
				_, _ = io.WriteString(w, `{"token":"unreadable"}`)
			})
			consumers := testConsumers(t, lp, &countingTokens{}, 0)
			got, err := consumers.Consumer(t.Context(), "u")
			if n := lp.count(consumerCall); n != c.wantCalls {
				t.Errorf("%d calls, want %d", n, c.wantCalls)
			}
			if c.wantErr == nil {
				if err != nil || got.Token != "unreadable" || got.ID != "" {
					t.Errorf("got %+v, %v", got, err)
				}
				return
			}
			if !errors.Is(err, c.wantErr) || !errors.Is(err, ErrInvalidAppJWT) || strings.Contains(err.Error(), "token-") {
				t.Errorf("got %v", err)
			}
		})
	}
}
