package lpauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	tokenCall    = "POST /sentinel/api/account/le81823118/app/token"
	consumerCall = "POST /api/account/le81823118/consumer"
)

func testAppTokens(t *testing.T, lp *livePerson, log io.Writer) *AppTokens {
	t.Helper()
	if log == nil {
		log = io.Discard
	}
	a, err := NewAppTokens(AppTokensOptions{
		AccountID: testAccount, ClientID: "app-1", ClientSecret: testSecret, Domains: &fixedDomains{},
		Transport: lp.transport, Logger: slog.New(slog.NewTextHandler(log, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func accessToken(w http.ResponseWriter, token string) {
	_ = json.NewEncoder(w).Encode(map[string]string{"access_token": token, "token_type": "Bearer"})
}

func TestAppTokenRequest(t *testing.T) {
	lp := newLivePerson(t)
	lp.HandleFunc(tokenCall, func(w http.ResponseWriter, r *http.Request) {
		query := parseQuery(t, r.URL.RawQuery)
		body, _ := io.ReadAll(r.Body)
		form := parseQuery(t, string(body))
		if query.Get("v") != "1.0" || query.Get("grant_type") != "client_credentials" || len(query) != 2 {
			t.Errorf("query %v", query)
		}
		if form.Get("client_id") != "app-1" || form.Get("client_secret") != testSecret || len(form) != 2 {
			t.Errorf("form has %d fields", len(form))
		}
		if got := r.Header.Get("Content-Type"); got != "application/x-www-form-urlencoded" {
			t.Errorf("content type %q", got)
		}
		accessToken(w, "opaque-token")
	})
	a := testAppTokens(t, lp, nil)
	for range 2 {
		if got, err := a.Token(t.Context()); got != "opaque-token" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if n := lp.count(tokenCall); n != 1 {
		t.Errorf("%d calls, want one", n)
	}
}

func TestAppTokenIsRenewedFiveMinutesEarlyWhileTheOldOneServes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lp := newLivePerson(t)
		minted := 0
		lp.HandleFunc(tokenCall, func(w http.ResponseWriter, r *http.Request) {
			minted++
			time.Sleep(2 * time.Second)
			accessToken(w, appJWT(minted, time.Now().Add(time.Hour)))
		})
		a := testAppTokens(t, lp, nil)
		first, err := a.Token(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(55*time.Minute - time.Second)
		if got, _ := a.Token(t.Context()); got != first || lp.count(tokenCall) != 1 {
			t.Fatal("renewed too early")
		}
		time.Sleep(time.Second)
		before := time.Now()
		for range 10 {
			if got, err := a.Token(t.Context()); got != first || err != nil {
				t.Fatalf("the old token does not serve: %v", err)
			}
		}
		if time.Since(before) != 0 {
			t.Error("somebody waited for the renewal")
		}
		time.Sleep(3 * time.Second)
		second, err := a.Token(t.Context())
		if err != nil || second == first || lp.count(tokenCall) != 2 {
			t.Errorf("after the renewal: same token %v, %v, %d calls", second == first, err, lp.count(tokenCall))
		}
	})
}

func TestAppTokenRenewalThatFailsIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lp := newLivePerson(t)
		var down atomic.Bool
		minted := 0
		lp.HandleFunc(tokenCall, func(w http.ResponseWriter, r *http.Request) {
			if down.Load() {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			minted++
			accessToken(w, appJWT(minted, time.Now().Add(time.Hour)))
		})
		a := testAppTokens(t, lp, nil)
		first, _ := a.Token(t.Context())
		down.Store(true)
		time.Sleep(56 * time.Minute)
		for range 60 { // a minute of being asked every second
			if got, err := a.Token(t.Context()); got != first || err != nil {
				t.Fatalf("the old token does not serve: %v", err)
			}
			time.Sleep(time.Second)
		}
		if n := lp.count(tokenCall); n > 1+3*12 {
			t.Errorf("%d calls in a minute of outage", n)
		}
		if status := a.Status(); !status.Valid || status.LastError == nil {
			t.Errorf("status %+v", status)
		}
		down.Store(false)
		time.Sleep(time.Minute)
		_, _ = a.Token(t.Context())
		time.Sleep(time.Second)
		if got, err := a.Token(t.Context()); got == first || err != nil {
			t.Errorf("not renewed after the outage: %v", err)
		}
		if status := a.Status(); status.LastError != nil {
			t.Errorf("status still says %v", status.LastError)
		}
	})
}

func TestAppTokenSingleFlightSurvivesItsFirstCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lp := newLivePerson(t)
		lp.HandleFunc(tokenCall, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(2 * time.Second)
			accessToken(w, "token")
		})
		a := testAppTokens(t, lp, nil)
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var all sync.WaitGroup
		all.Go(func() {
			if _, err := a.Token(impatient); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("the impatient one got %v", err)
			}
		})
		synctest.Wait()
		for range 20 {
			all.Go(func() {
				if got, err := a.Token(t.Context()); got != "token" || err != nil {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
		all.Wait()
		if n := lp.count(tokenCall); n != 1 {
			t.Errorf("%d calls, want one", n)
		}
	})
}

func TestAppTokenInvalidate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lp := newLivePerson(t)
		minted := 0
		lp.HandleFunc(tokenCall, func(w http.ResponseWriter, r *http.Request) {
			minted++
			accessToken(w, fmt.Sprintf("token-%d", minted))
		})
		a := testAppTokens(t, lp, nil)
		first, _ := a.Token(t.Context())
		a.Invalidate(first)
		start := time.Now()
		second, err := a.Token(t.Context())
		if second != "token-2" || err != nil {
			t.Fatalf("got %q, %v", second, err)
		}
		// Lanes that are all told 401 must not mint a token each.
		if time.Since(start) != mintFloor {
			t.Errorf("the second token came after %v, want %v", time.Since(start), mintFloor)
		}
		a.Invalidate(first)
		a.Invalidate("")
		if got, _ := a.Token(t.Context()); got != second {
			t.Error("a late 401 for the old token dropped the new one")
		}
	})
}

func TestRefusedCredentialsAreNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lp := newLivePerson(t)
		var good atomic.Bool
		lp.HandleFunc(tokenCall, func(w http.ResponseWriter, r *http.Request) {
			if good.Load() {
				accessToken(w, "token")
				return
			}
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"secret `+testSecret+` is wrong"}`)
		})
		var log strings.Builder
		a := testAppTokens(t, lp, &log)
		var last error
		for range 3600 { // an hour of being asked every second
			_, last = a.Token(t.Context())
			time.Sleep(time.Second)
		}
		if n := lp.count(tokenCall); n < 5 || n > 3600/5+1 {
			t.Errorf("%d calls in an hour with refused credentials", n)
		}
		failed, ok := errors.AsType[*Error](last)
		if !ok || !errors.Is(last, ErrCredentialsRefused) || failed.StatusCode != 401 || failed.RetryAfter <= 0 || failed.RetryAfter > refusedPause {
			t.Errorf("got %#v", last)
		}
		if !strings.Contains(last.Error(), "invalid_client") {
			t.Errorf("the error does not say why: %v", last)
		}
		for _, text := range []string{last.Error(), log.String()} {
			if strings.Contains(text, testSecret) {
				t.Errorf("the secret is in %q", text)
			}
		}
		good.Store(true)
		time.Sleep(refusedPause)
		if got, err := a.Token(t.Context()); got != "token" || err != nil {
			t.Errorf("after the secret was mended: %q, %v", got, err)
		}
	})
}

func TestAppTokenExpiry(t *testing.T) {
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	hour := now.Add(time.Hour)
	for _, c := range []struct {
		name, token string
		want        time.Time
	}{
		{"as documented", testJWT(fmt.Sprintf(`{"exp":%d}`, now.Unix()+1800)), now.Add(30 * time.Minute)},
		{"odd audience", testJWT(fmt.Sprintf(`{"aud":{"x":1},"exp":%d}`, now.Unix()+1800)), now.Add(30 * time.Minute)},
		{"a string", testJWT(fmt.Sprintf(`{"exp":"%d"}`, now.Unix()+1800)), now.Add(30 * time.Minute)},
		{"fraction", testJWT(fmt.Sprintf(`{"exp":%d.0}`, now.Unix()+1800)), now.Add(30 * time.Minute)},
		{"unknown algorithm", strings.Replace(testJWT(fmt.Sprintf(`{"exp":%d}`, now.Unix()+1800)), "UlMyNTYi", "WFgyNTYi", 1), now.Add(30 * time.Minute)},
		{"milliseconds", testJWT(fmt.Sprintf(`{"exp":%d}`, now.UnixMilli()+1800_000)), hour},
		{"far future", testJWT(`{"exp":1e300}`), hour},
		{"past", testJWT(fmt.Sprintf(`{"exp":%d}`, now.Unix()-1)), hour},
		{"zero", testJWT(`{"exp":0}`), hour},
		{"none", testJWT(`{}`), hour},
		{"nonsense", testJWT(`{"exp":{}}`), hour},
		{"opaque", "opaque", hour},
		{"five parts", "a.b.c.d.e", hour},
		{"empty", "", hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := expiry(c.token, now); !got.Equal(c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestShortLivedTokensAreNotRenewedAllTheTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lp := newLivePerson(t)
		minted := 0
		lp.HandleFunc(tokenCall, func(w http.ResponseWriter, r *http.Request) {
			minted++
			accessToken(w, appJWT(minted, time.Now().Add(time.Minute)))
		})
		a := testAppTokens(t, lp, nil)
		for range 600 { // a minute
			if _, err := a.Token(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if n := lp.count(tokenCall); n < 2 || n > 4 {
			t.Errorf("%d tokens in a minute for tokens that live a minute", n)
		}
	})
}

type panicking struct{ fixedDomains }

func (*panicking) BaseURL(context.Context, string) (string, error) { panic(testSecret) }

func TestPanicInARenewalIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, err := NewAppTokens(AppTokensOptions{AccountID: testAccount, ClientID: "app-1", ClientSecret: testSecret, Domains: &panicking{}})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if _, err := a.Token(t.Context()); err == nil || strings.Contains(err.Error(), testSecret) {
			t.Errorf("got %v", err)
		}
		if status := a.Status(); status.LastError == nil || !status.RetryAt.After(time.Now()) {
			t.Errorf("a panic leads to no pause: %+v", status)
		}
	})
}

func TestCloseEndsARenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lp := newLivePerson(t)
		lp.HandleFunc(tokenCall, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.ReadAll(r.Body) // else the server does not notice that we hang up
			<-r.Context().Done()
		})
		a := testAppTokens(t, lp, nil)
		var asking sync.WaitGroup
		asking.Go(func() {
			if _, err := a.Token(t.Context()); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want cancelled", err)
			}
		})
		synctest.Wait()
		a.Close()
		asking.Wait()
		time.Sleep(time.Minute)
		if _, err := a.Token(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func TestOptionsKeepTheSecret(t *testing.T) {
	o := AppTokensOptions{AccountID: "1", ClientID: "app", ClientSecret: testSecret}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "options", o)
	for _, text := range []string{fmt.Sprint(o), fmt.Sprintf("%+v", o), fmt.Sprintf("%#v", o), log.String()} {
		if strings.Contains(text, testSecret) {
			t.Errorf("the secret is in %q", text)
		}
	}
	for _, missing := range []AppTokensOptions{
		{ClientID: "a", ClientSecret: "b", Domains: &fixedDomains{}},
		{AccountID: "1", ClientSecret: "b", Domains: &fixedDomains{}},
		{AccountID: "1", ClientID: "a", Domains: &fixedDomains{}},
		{AccountID: "1", ClientID: "a", ClientSecret: "b"},
	} {
		if _, err := NewAppTokens(missing); err == nil {
			t.Errorf("%v was accepted", missing)
		}
	}
}

func TestUnusableAnswers(t *testing.T) {
	for _, c := range []struct{ name, body string }{
		{"not json", "<html>"},
		{"no token", "{}"},
		{"token with a line break", `{"token":"a\nb","access_token":"a\nb"}`},
		{"token with a space", `{"token":"Bearer x","access_token":"Bearer x"}`},
		{"number", `{"token":7,"access_token":7}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			lp := newLivePerson(t)
			lp.HandleFunc("POST /", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, c.body) })
			if got, err := testConsumers(t, lp, &countingTokens{}, 0).Consumer(t.Context(), "u"); err == nil {
				t.Errorf("consumer: got %v", got)
			}
			if got, err := testAppTokens(t, lp, nil).Token(t.Context()); err == nil {
				t.Errorf("app token: got %v", got)
			}
		})
	}
}

func refusing(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("connection refused")
}

func TestUnreachableHostInvalidatesTheDomains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lp := newLivePerson(t)
		lp.transport.DialContext = refusing
		domains := &fixedDomains{}
		a, err := NewAppTokens(AppTokensOptions{AccountID: testAccount, ClientID: "a", ClientSecret: testSecret, Domains: domains, Transport: lp.transport})
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		if _, err := a.Token(t.Context()); err == nil || strings.Contains(err.Error(), "grant_type") {
			t.Errorf("got %v", err)
		}
		if domains.invalidated != 1 {
			t.Errorf("invalidated %d times", domains.invalidated)
		}
	})
}
