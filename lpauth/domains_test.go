package lpauth

import (
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

const (
	listCall   = "GET /api/account/le81823118/service/baseURI.json"
	singleCall = "GET /api/account/le81823118/service/idp/baseURI.json"
	smtCall    = "GET /api/account/le81823118/service/smt/baseURI.json"
)

func respond(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "version=1.0" {
			status = http.StatusBadRequest
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func testDomains(t *testing.T, lp *livePerson) *Domains {
	t.Helper()
	d, err := NewDomains(DomainsOptions{AccountID: testAccount, URL: testBase, Transport: lp.transport})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func TestDomainForms(t *testing.T) {
	const list = `{"baseURIs":[{"service":"sentinel","account":"le81823118","baseURI":"127.0.0.1:9001"},
		{"service":"broken","account":"le81823118","baseURI":"user@127.0.0.1/path"},
		{"service":"faraway","account":"le81823118","baseURI":"va.sentinel.liveperson.net"},
		{"service":"idp","account":"le81823118","baseURI":"localhost:9002/"}]}`
	for _, c := range []struct {
		name, list, single, service, want string
		listStatus, singleStatus          int
		wantErr                           error
	}{
		{"from the list", list, "", "idp", "http://localhost:9002", 200, 404, nil},
		{"case matters", list, "", "IDP", "", 200, 404, nil},
		{"single object", `{"baseURIs":[]}`, `{"service":"idp","account":"le81823118","baseURI":"127.0.0.1:3"}`, "idp", "http://127.0.0.1:3", 200, 200, nil},
		{"single without its name", "", `{"baseURI":"127.0.0.1:3"}`, "idp", "http://127.0.0.1:3", 404, 200, nil},
		{"single as a list", "", `{"baseURIs":[{"service":"other","baseURI":"127.0.0.1:2"},{"service":"idp","baseURI":"127.0.0.1:3"}]}`, "idp", "http://127.0.0.1:3", 400, 200, nil},
		{"single names another", "", `{"service":"other","baseURI":"127.0.0.1:3"}`, "idp", "", 404, 200, ErrNoService},
		{"single in the list's place", `{"service":"idp","baseURI":"127.0.0.1:4"}`, "", "idp", "http://127.0.0.1:4", 200, 404, nil},
		{"no such service", list, `{"baseURIs":[]}`, "idp2", "", 200, 200, nil},
		{"unusable entry", list, `{"service":"broken","baseURI":"user@127.0.0.1"}`, "broken", "", 200, 200, nil},
		{"plain http into the world", list, "", "faraway", "", 200, 404, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lp := newLivePerson(t)
				lp.HandleFunc(listCall, respond(c.listStatus, c.list))
				lp.HandleFunc("GET /api/account/le81823118/service/{name}/baseURI.json", respond(c.singleStatus, c.single))
				d := testDomains(t, lp)
				got, err := d.BaseURL(t.Context(), c.service)
				if got != c.want || (err == nil) != (c.want != "") {
					t.Fatalf("got %q, %v; want %q", got, err, c.want)
				}
				if err == nil {
					if again, err := d.BaseURL(t.Context(), c.service); again != got || err != nil {
						t.Errorf("the second time: %q, %v", again, err)
					}
					return
				}
				if !strings.Contains(err.Error(), c.service) || !strings.Contains(err.Error(), string(testAccount)) {
					t.Errorf("error names neither service nor account: %v", err)
				}
				if c.wantErr != nil && !errors.Is(err, c.wantErr) {
					t.Errorf("got %v, want %v", err, c.wantErr)
				}
			})
		})
	}
}

func TestMissingServiceIsNotHammered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lp := newLivePerson(t)
		lp.HandleFunc(listCall, respond(200, `{"baseURIs":[{"service":"idp","baseURI":"127.0.0.1:1"}]}`))
		d := testDomains(t, lp)
		for range 20 {
			if _, err := d.BaseURL(t.Context(), "smt"); err == nil {
				t.Fatal("a missing service was found")
			}
		}
		if list, single := lp.count(listCall), lp.count(smtCall); list != 1 || single != 1 {
			t.Errorf("%d list and %d single calls, want one each", list, single)
		}
	})
}

func TestDomainsAreCachedRefreshedAndInvalidated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lp := newLivePerson(t)
		var mu sync.Mutex
		host, status := "127.0.0.1:1", 200
		lp.HandleFunc(listCall, func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			defer mu.Unlock()
			respond(status, `{"baseURIs":[{"service":"idp","baseURI":"`+host+`"}]}`)(w, r)
		})
		set := func(h string, s int) { mu.Lock(); host, status = h, s; mu.Unlock() }
		d := testDomains(t, lp)
		expect := func(want string, calls int) {
			t.Helper()
			got, err := d.BaseURL(t.Context(), "idp")
			synctest.Wait()
			if err != nil || got != "http://"+want || lp.count(listCall) != calls {
				t.Fatalf("got %q, %v after %d calls; want %q after %d", got, err, lp.count(listCall), want, calls)
			}
		}
		expect("127.0.0.1:1", 1)
		set("127.0.0.1:2", 200)
		time.Sleep(59 * time.Minute)
		expect("127.0.0.1:1", 1)

		// Past its time the old answer serves once more while the new one comes.
		time.Sleep(2 * time.Minute)
		expect("127.0.0.1:1", 2)
		expect("127.0.0.1:2", 2)

		// Invalidated just after a lookup: the floor holds.
		set("127.0.0.1:3", 200)
		d.Invalidate()
		expect("127.0.0.1:2", 2)
		time.Sleep(domainFloor)
		expect("127.0.0.1:3", 3)

		// A domain API that fails leaves the old answer standing.
		set("", 404)
		time.Sleep(domainFloor)
		d.Invalidate()
		expect("127.0.0.1:3", 4)
	})
}

// An account without the list form lives on the other one alone.
func TestSingleFormIsRefreshedAndInvalidatedToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lp := newLivePerson(t)
		lp.HandleFunc(singleCall, func(w http.ResponseWriter, r *http.Request) {
			respond(200, fmt.Sprintf(`{"service":"idp","baseURI":"127.0.0.1:%d"}`, lp.count(singleCall)))(w, r)
		})
		d := testDomains(t, lp)
		for _, step := range []struct {
			name       string
			wait       time.Duration
			invalidate bool
			want       string
		}{
			{"first", 0, false, "1"},
			{"fresh", 30 * time.Minute, false, "1"},
			{"expired serves once more", time.Hour, false, "1"},
			{"refreshed meanwhile", time.Second, false, "2"},
			{"invalidated", time.Minute, true, "3"},
			{"valid again", time.Minute, false, "3"},
		} {
			time.Sleep(step.wait)
			if step.invalidate {
				d.Invalidate()
			}
			if got, err := d.BaseURL(t.Context(), "idp"); err != nil || got != "http://127.0.0.1:"+step.want {
				t.Fatalf("%s: got %q, %v; want port %s", step.name, got, err, step.want)
			}
		}
	})
}

func TestDomainsLookUpOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lp := newLivePerson(t)
		lp.HandleFunc(listCall, func(w http.ResponseWriter, r *http.Request) {
			time.Sleep(time.Second)
			respond(200, `{"baseURIs":[{"service":"idp","baseURI":"127.0.0.1:1"}]}`)(w, r)
		})
		d := testDomains(t, lp)
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				if got, err := d.BaseURL(t.Context(), "idp"); err != nil || got != "http://127.0.0.1:1" {
					t.Errorf("got %q, %v", got, err)
				}
			})
		}
		all.Wait()
		if n := lp.count(listCall); n != 1 {
			t.Errorf("%d lookups, want one", n)
		}
	})
}

func TestNewDomainsRefuses(t *testing.T) {
	for _, c := range []struct {
		name    string
		options DomainsOptions
		wrong   string
	}{
		{"no account", DomainsOptions{}, "account id"},
		{"account with a slash", DomainsOptions{AccountID: "1/2"}, "account id"},
		{"no scheme", DomainsOptions{AccountID: "1", URL: "api.liveperson.net"}, "url"},
		{"other scheme", DomainsOptions{AccountID: "1", URL: "ftp://api.liveperson.net"}, "url"},
		{"user in the url", DomainsOptions{AccountID: "1", URL: "https://u:pw@api.liveperson.net"}, "user"},
		{"plain http", DomainsOptions{AccountID: "1", URL: "http://api.liveperson.net"}, "plain http"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := NewDomains(c.options)
			if err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "pw") {
				t.Errorf("got %v, want one about %s", err, c.wrong)
			}
		})
	}
	for _, ok := range []DomainsOptions{
		{AccountID: "1"},
		{AccountID: "1", URL: "http://localhost:8090"},
		{AccountID: "1", URL: "http://[::1]:8090"},
		{AccountID: "1", URL: "http://lpsim:8090", AllowPlainHTTP: true},
	} {
		if _, err := NewDomains(ok); err != nil {
			t.Errorf("%+v: %v", ok.URL, err)
		}
	}
}
