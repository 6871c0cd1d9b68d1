package picture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"lpbridge/connector"
)

func TestGuardRefusesAddressesThatAreNotPublic(t *testing.T) {
	tests := []struct {
		network, address    string
		public, withPrivate bool
	}{
		{"tcp4", "93.184.215.14:443", true, true},
		{"tcp4", "93.184.215.14:80", true, true},
		{"tcp6", "[2606:2800:21f:cb07:6820:80da:af6b:8b2c]:443", true, true},
		{"tcp4", "93.184.215.14:8080", false, true},
		{"tcp4", "93.184.215.14:22", false, true},
		{"tcp4", "127.0.0.1:80", false, true},
		{"tcp4", "127.0.0.1:8081", false, true},
		{"tcp4", "10.1.2.3:80", false, true},
		{"tcp4", "172.16.0.1:443", false, true},
		{"tcp4", "192.168.1.1:80", false, true},
		{"tcp4", "100.64.0.1:80", false, true},
		{"tcp6", "[::1]:80", false, true},
		{"tcp6", "[fd00::1]:80", false, true},
		// Never: unspecified, link-local (cloud metadata), mapped, NAT64, multicast.
		{"tcp4", "0.0.0.0:80", false, false},
		{"tcp4", "169.254.169.254:80", false, false},
		{"tcp6", "[fe80::1]:80", false, false},
		{"tcp6", "[::ffff:127.0.0.1]:80", false, false},
		{"tcp6", "[::ffff:169.254.169.254]:80", false, false},
		{"tcp6", "[64:ff9b::a9fe:a9fe]:80", false, false},
		// What clouds have in networks that are private, or public.
		{"tcp6", "[fd00:ec2::254]:80", false, false},
		{"tcp6", "[fd00:ec2::253]:53", false, false},
		{"tcp6", "[fd20:ce::254]:80", false, false},
		{"tcp6", "[fd00:c1::a9fe:a9fe]:80", false, false},
		{"tcp6", "[fd00:42::42]:80", false, false},
		{"tcp4", "100.100.100.200:80", false, false},
		{"tcp4", "192.0.0.192:80", false, false},
		{"tcp4", "168.63.129.16:80", false, false},
		{"tcp6", "[2002:a9fe:a9fe::1]:80", false, false},
		{"tcp6", "[64:ff9b:1::a9fe:a9fe]:80", false, false},
		{"tcp6", "[::a9fe:a9fe]:80", false, false},
		{"tcp4", "224.0.0.1:80", false, false},
		{"tcp4", "255.255.255.255:80", false, false},
		{"udp4", "93.184.215.14:443", false, false},
	}
	public, private := NewGuard(false), NewGuard(true)
	for _, test := range tests {
		if err := public.safe(test.network, test.address, nil); (err == nil) != test.public {
			t.Errorf("%s %s: %v", test.network, test.address, err)
		}
		if err := private.safe(test.network, test.address, nil); (err == nil) != test.withPrivate {
			t.Errorf("with private networks, %s %s: %v", test.network, test.address, err)
		}
	}
}

// fileHost is a server of files on this machine.
func fileHost(t *testing.T) *httptest.Server {
	t.Helper()
	small := pngOf(t, quarters(8, 8))
	mux := http.NewServeMux()
	file := func(pattern string, data []byte) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { w.Write(data) })
	}
	file("/a.png", small)
	file("/most.png", append(bytes.Clone(small), make([]byte, connector.MaxUploadBytes-len(small))...))
	file("/large.png", append(bytes.Clone(small), make([]byte, connector.MaxUploadBytes+1-len(small))...))
	file("/page", []byte("<html>"))
	file("/empty", nil)
	file("/bomb.png", claiming(t, 20000, 20000))
	mux.HandleFunc("/endless.png", func(w http.ResponseWriter, r *http.Request) {
		w.Write(small)
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 1<<16)); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("/broken.png", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100000")
		w.Write(append(bytes.Clone(small), make([]byte, 5000)...))
	})
	mux.HandleFunc("/zipped.png", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			t.Error("asked for compression")
		}
		w.Write(small)
	})
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		var code int
		fmt.Sscan(r.PathValue("code"), &code)
		w.WriteHeader(code)
		w.Write(small)
	})
	mux.HandleFunc("/hops/{n}", func(w http.ResponseWriter, r *http.Request) {
		var n int
		fmt.Sscan(r.PathValue("n"), &n)
		if r.Header.Get("Referer") != "" {
			t.Error("the address before was told to the next host")
		}
		if n == 0 {
			w.Write(small)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b", Path: "/"})
		if r.Header.Get("Cookie") != "" {
			t.Error("a cookie was kept")
		}
		http.Redirect(w, r, fmt.Sprintf("/hops/%d?token=secret", n-1), http.StatusFound)
	})
	mux.HandleFunc("/to", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.Query().Get("url"), http.StatusFound)
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server
}

func TestFetch(t *testing.T) {
	host := fileHost(t)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	tests := []struct {
		name    string
		address string
		// want is nil when the picture is fetched.
		want *FetchError
	}{
		{"picture", host.URL + "/a.png", nil},
		{"as large as may be", host.URL + "/most.png", nil},
		{"a byte too large", host.URL + "/large.png", &FetchError{Reason: tooManyBytes}},
		{"endless", host.URL + "/endless.png", &FetchError{Reason: tooManyBytes}},
		{"web page", host.URL + "/page", &FetchError{Reason: notTakenType}},
		{"empty", host.URL + "/empty", &FetchError{Reason: notTakenType}},
		{"huge dimensions", host.URL + "/bomb.png", &FetchError{Reason: tooManyPixels}},
		{"compression is not asked for", host.URL + "/zipped.png", nil},
		{"cut short", host.URL + "/broken.png", &FetchError{fileUnreachable, true}},
		{"three redirects", host.URL + "/hops/3", nil},
		{"four redirects", host.URL + "/hops/4", &FetchError{Reason: tooManyHops}},
		{"redirect to another scheme", host.URL + "/to?url=file:///etc/passwd", &FetchError{Reason: refusedAddress}},
		{"redirect to cloud metadata", host.URL + "/to?url=http://169.254.169.254/latest", &FetchError{Reason: refusedAddress}},
		{"not found", host.URL + "/status/404", &FetchError{Reason: fileGone}},
		{"no content", host.URL + "/status/204", &FetchError{Reason: fileGone}},
		{"forbidden", host.URL + "/status/403", &FetchError{Reason: fileGone}},
		{"server error", host.URL + "/status/500", &FetchError{fileUnreachable, true}},
		{"busy", host.URL + "/status/429", &FetchError{fileUnreachable, true}},
		{"nobody listens", gone.URL + "/a.png", &FetchError{fileUnreachable, true}},
		{"cloud metadata", "http://169.254.169.254/latest", &FetchError{Reason: refusedAddress}},
		{"no host", "http:///a.png", &FetchError{Reason: refusedAddress}},
		{"other scheme", "ftp://127.0.0.1/a.png", &FetchError{Reason: refusedAddress}},
		{"not an address", "http://%zz", &FetchError{Reason: refusedAddress}},
	}
	f := NewFetcher(NewGuard(true), nil, http.NotFoundHandler(), false)
	defer f.Close()
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, err := f.File(t.Context(), test.address)
			if test.want == nil {
				if err != nil || p == nil || p.FileType != "PNG" {
					t.Fatalf("%+v, %v", p, err)
				}
				return
			}
			got, ok := errors.AsType[*FetchError](err)
			if !ok || *got != *test.want {
				t.Fatalf("%+v, want %+v", err, test.want)
			}
			if strings.Contains(err.Error(), "127.0.0.1") || strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells the address: %v", err)
			}
		})
	}
}

func TestFetchStaysOutOfPrivateNetworks(t *testing.T) {
	called := false
	host := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }))
	defer host.Close()
	f := NewFetcher(NewGuard(false), nil, http.NotFoundHandler(), false)
	defer f.Close()
	port := host.Listener.Addr().(*net.TCPAddr).Port
	for _, address := range []string{host.URL, fmt.Sprintf("http://localhost:%d/", port), "http://127.0.0.1/a.png", "http://[::1]/a.png"} {
		_, err := f.File(t.Context(), address)
		if got, ok := errors.AsType[*FetchError](err); !ok || got.Reason != refusedAddress {
			t.Errorf("%s: %v", address, err)
		}
	}
	if called {
		t.Error("a private address was called")
	}
}

func TestFetchUsesNoProxy(t *testing.T) {
	f := NewFetcher(NewGuard(false), nil, http.NotFoundHandler(), false)
	if f.client.Transport.(*atHome).elsewhere.Proxy != nil {
		t.Error("with a proxy only the proxy's address is checked")
	}
	if f.client.Jar != nil {
		t.Error("cookies are kept")
	}
}

func TestFetchEndsWithItsContext(t *testing.T) {
	f := NewFetcher(NewGuard(true), nil, http.NotFoundHandler(), false)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.File(ctx, "http://127.0.0.1:1/a.png"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want the context's end", err)
	}
}

func TestFetchSlots(t *testing.T) {
	f := NewFetcher(NewGuard(false), nil, http.NotFoundHandler(), false)
	var releases []func()
	for range fetchSlots {
		release, ok := f.Slot()
		if !ok {
			t.Fatal("no slot")
		}
		releases = append(releases, release)
	}
	if _, ok := f.Slot(); ok {
		t.Error("a slot too many")
	}
	releases[0]()
	if _, ok := f.Slot(); !ok {
		t.Error("a slot was not given back")
	}
}

func TestFetchFromOurselves(t *testing.T) {
	small := pngOf(t, quarters(8, 8))
	own := http.NewServeMux()
	own.HandleFunc("GET /media/{name}", func(w http.ResponseWriter, r *http.Request) {
		if got := r.PathValue("name") + "?" + r.URL.RawQuery; got != "ü 1.png?v=1" {
			t.Errorf("asked for %q", got)
		}
		if r.Header.Get("Authorization") != "" {
			t.Error("a credential reached our own handler")
		}
		w.Write(small)
	})
	own.HandleFunc("GET /large", func(w http.ResponseWriter, r *http.Request) {
		data := append(bytes.Clone(small), make([]byte, connector.MaxUploadBytes)...)
		if _, err := w.Write(data); err == nil {
			t.Error("the answer has no limit")
		}
		panic(http.ErrAbortHandler)
	})
	own.HandleFunc("GET /cut", func(w http.ResponseWriter, r *http.Request) {
		w.Write(small)
		panic(http.ErrAbortHandler)
	})
	own.HandleFunc("GET /moved", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1/", http.StatusFound)
	})
	home, err := url.Parse("https://bridge.example/base/")
	if err != nil {
		t.Fatal(err)
	}
	f := NewFetcher(NewGuard(false), home, own, false)
	tests := []struct {
		name, address string
		want          *FetchError
	}{
		{"file", "https://user:pass@Bridge.Example:443/base/media/%C3%BC%201.png?v=1", nil},
		{"too large", "https://bridge.example/base/large", &FetchError{Reason: tooManyBytes}},
		{"cut short", "https://bridge.example/base/cut", &FetchError{fileUnreachable, true}},
		{"unknown", "https://bridge.example/base/other", &FetchError{Reason: fileGone}},
		{"redirect into a private network", "https://bridge.example/base/moved", &FetchError{Reason: refusedAddress}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, err := f.File(t.Context(), test.address)
			if test.want == nil {
				if err != nil || !bytes.Equal(p.Data, small) {
					t.Fatal(err)
				}
				return
			}
			if got, ok := errors.AsType[*FetchError](err); !ok || *got != *test.want {
				t.Fatalf("%v, want %v", err, test.want)
			}
		})
	}
}

func TestWhatIsOurOwn(t *testing.T) {
	home, err := url.Parse("http://bridge.example:8080/base")
	if err != nil {
		t.Fatal(err)
	}
	a := &atHome{home: home}
	for address, want := range map[string]bool{
		"http://bridge.example:8080/base/x":          true,
		"http://BRIDGE.example:8080/base/":           true,
		"http://bridge.example:8080/based/x":         false,
		"http://bridge.example:8080/other":           false,
		"http://bridge.example/base/x":               false,
		"https://bridge.example:8080/base/x":         false,
		"http://bridge.example.evil:8080/base/x":     false,
		"http://bridge.example:8080@evil.test/base/": false,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		if _, ours := a.below(u); ours != want {
			t.Errorf("%s: ours is %v, want %v", address, ours, want)
		}
	}
	if _, ours := (&atHome{}).below(home); ours {
		t.Error("ours without a public address")
	}
}

func TestOwnHandlerThatPanicsIsNotHidden(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a programming error went unseen")
		}
	}()
	k := &kept{header: http.Header{}}
	_ = k.from(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oops") }), httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
}

func TestAnswerOfOurOwnHandler(t *testing.T) {
	k := &kept{header: http.Header{}, most: 20}
	k.WriteHeader(http.StatusEarlyHints)
	k.WriteHeader(http.StatusTeapot)
	io.WriteString(k, "short and stout")
	resp := k.response(httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))
	if resp.StatusCode != http.StatusTeapot || resp.ContentLength != 15 {
		t.Errorf("status %d, length %d", resp.StatusCode, resp.ContentLength)
	}
}
