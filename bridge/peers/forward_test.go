package peers_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"lpbridge/bridge/peers"
)

// TestRequestPassesUnchanged: the owner sees a request as the client sent it, whom it came
// from included, and nothing of the replica between them; the client sees the answer.
func TestRequestPassesUnchanged(t *testing.T) {
	t.Parallel()
	got := make(chan *http.Request, 1)
	o := newOwner(t, 1, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Header.Set("Test-Body", string(body))
		got <- r.Clone(t.Context())
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	}))
	r := newReplica(t, time.Minute)
	r.Follow(o.Owner)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.server.URL+"//events%2F1/?a=1;b=%zz&c", strings.NewReader("the body"))
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "bridge.example"
	sent := http.Header{
		"X-Hub-Signature": {"sha1=00"}, "Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, "User-Agent": {"Client/1"},
		"X-Forwarded-For": {"192.0.2.1, 192.0.2.2"}, "X-Forwarded-Proto": {"https"}, "Forwarded": {"for=192.0.2.1"}, "Authorization": {"Bearer theirs"},
		"Accept-Encoding": {"br"}, "Content-Type": {"text/plain"},
		// Who is no replica gets nowhere by saying so.
		"Lpbridge-Peer-Remote": {"192.0.2.9:1"}, "Lpbridge-Peer-Token": {"guessed"}, "Lpbridge-Peer-Probe": {"1"},
		"Connection": {"X-Mine"}, "X-Mine": {"this hop only"},
	}
	request.Header = sent.Clone()
	var from string
	client := &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err == nil {
			from = conn.LocalAddr().String()
		}
		return conn, err
	}}
	defer client.CloseIdleConnections()
	answer, err := client.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if answer.StatusCode != http.StatusTeapot || string(body) != "short and stout" || answer.Header.Get("Retry-After") != "7" || err != nil {
		t.Errorf("answered %d %v %q, error %v", answer.StatusCode, answer.Header, body, err)
	}
	if v := answer.Header.Get("Lpbridge-Peer"); v != "" {
		t.Errorf("the client got Lpbridge-Peer: %s", v)
	}
	seen := <-got
	if seen.Host != "bridge.example" || seen.RequestURI != "//events%2F1/?a=1;b=%zz&c" || seen.Header.Get("Test-Body") != "the body" {
		t.Errorf("the owner saw %s %s %q", seen.Host, seen.RequestURI, seen.Header.Get("Test-Body"))
	}
	if seen.RemoteAddr != from {
		t.Errorf("the owner saw it come from %s, want the client's %s", seen.RemoteAddr, from)
	}
	for _, gone := range []string{"Lpbridge-Peer-Remote", "Lpbridge-Peer-Token", "Lpbridge-Peer-Probe", "Connection", "X-Mine"} {
		sent.Del(gone)
	}
	seen.Header.Del("Test-Body")
	seen.Header.Del("Content-Length")
	if diff := cmp.Diff(sent, seen.Header); diff != "" {
		t.Errorf("headers (-sent +seen):\n%s", diff)
	}
}

// TestLostAnswers: a request that an owner took and did not answer is sent again to the
// next one where that does no harm, and else its sender is told what is not known.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	r := newReplica(t, time.Minute)
	var vanished atomic.Int64
	first := newOwner(t, 1, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		vanished.Add(1)
		vanish(w, r)
	}))
	r.Follow(first.Owner)
	risky := next(t, r.post(t, "/messages", "without an id"))
	if risky.status != http.StatusBadGateway || !strings.Contains(risky.body, "its answer is lost") || risky.header.Get("Retry-After") != "" {
		t.Errorf("answered %d %v %s, want 502 that says so", risky.status, risky.header, risky.body)
	}
	first.server.Close()
	safe := r.post(t, "/events", "with an id")
	r.awaitHeld(t, 1)
	r.Follow(newOwner(t, 2, http.HandlerFunc(echo)).Owner)
	if a := next(t, safe); a.status != http.StatusOK || a.body != "with an id" {
		t.Errorf("answered %d %s", a.status, a.body)
	}
	if r.Counts()["answer_lost"] != 1 || vanished.Load() == 0 {
		t.Errorf("counts %v, vanished %d", r.Counts(), vanished.Load())
	}
}

// TestAnswerCut: a client whose answer ends in the middle because the owner goes does not
// take it for a whole one.
func TestAnswerCut(t *testing.T) {
	t.Parallel()
	r := newReplica(t, time.Minute)
	began, gone := make(chan struct{}), make(chan struct{})
	o := newOwner(t, 1, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half of it")
		_ = http.NewResponseController(w).Flush()
		close(began)
		<-gone
	}))
	defer close(gone)
	r.Follow(o.Owner)
	got := r.post(t, "/events", "one")
	<-began
	o.cut()
	select {
	case a := <-got:
		if a.err == nil {
			t.Errorf("the client got %d %q as if that were all", a.status, a.body)
		}
	case <-time.After(patience):
		t.Fatal("the client was not told")
	}
	await(t, "the count", func() bool { return r.Counts()["answer_cut"] == 1 })
}

// TestRepeatedOnce: a request that has the same owner lose its answer twice is not sent a
// third time: it may be what ends the owner.
func TestRepeatedOnce(t *testing.T) {
	t.Parallel()
	r := newReplica(t, time.Minute)
	var vanished atomic.Int64
	r.Follow(newOwner(t, 1, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		vanished.Add(1)
		vanish(w, r)
	})).Owner)
	if a := next(t, r.post(t, "/events", "poison")); a.status != http.StatusBadGateway {
		t.Errorf("answered %d %s, want 502", a.status, a.body)
	}
	if n := vanished.Load(); n != 2 {
		t.Errorf("the owner got it %d times, want 2", n)
	}
	if err := testutil.GatherAndCompare(r.metrics, strings.NewReader(`
# HELP lpbridge_forwarded_requests_repeated_total Requests that were sent again because the owner went before it answered.
# TYPE lpbridge_forwarded_requests_repeated_total counter
lpbridge_forwarded_requests_repeated_total 1
`), "lpbridge_forwarded_requests_repeated_total"); err != nil {
		t.Error(err)
	}
}

// TestFrozenOwner: a request that is under way at an owner that says nothing goes to the
// next one when the journal has another owner.
func TestFrozenOwner(t *testing.T) {
	t.Parallel()
	r := newReplica(t, time.Minute)
	reached, frozen := make(chan struct{}), make(chan struct{})
	defer close(frozen)
	r.Follow(newOwner(t, 1, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(reached)
		<-frozen
	})).Owner)
	got := r.post(t, "/events", "one")
	<-reached
	r.Follow(newOwner(t, 2, http.HandlerFunc(echo)).Owner)
	if a := next(t, got); a.status != http.StatusOK || a.body != "one" {
		t.Errorf("answered %d %s", a.status, a.body)
	}
}

// TestOwnerLeaves: an owner that is about to give the journal away, or cannot act on it,
// takes nothing more; what it has is answered, and what it declines was not looked at and
// goes to the next one, whatever it is.
func TestOwnerLeaves(t *testing.T) {
	t.Parallel()
	r := newReplica(t, time.Minute)
	reached, goOn := make(chan struct{}), make(chan struct{})
	first := newOwner(t, 1, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(reached)
		<-goOn
		echo(w, r)
	}))
	r.Follow(first.Owner)
	under := r.post(t, "/messages", "under way")
	<-reached
	left := make(chan error, 1)
	go func() { left <- first.door.Leave(t.Context()) }()
	var later []chan answer
	for i := range 3 {
		later = append(later, r.post(t, "/messages", fmt.Sprint("later ", i)))
		r.awaitHeld(t, i+1)
	}
	select {
	case err := <-left:
		t.Fatalf("the owner left with a request under way: %v", err)
	default:
	}
	close(goOn)
	if a := next(t, under); a.status != http.StatusOK || a.body != "under way" {
		t.Errorf("answered %d %s", a.status, a.body)
	}
	if err := <-left; err != nil {
		t.Error(err)
	}
	r.Follow(newOwner(t, 2, http.HandlerFunc(echo)).Owner)
	for i, got := range later {
		if a := next(t, got); a.status != http.StatusOK || a.body != fmt.Sprint("later ", i) {
			t.Errorf("answered %d %s", a.status, a.body)
		}
	}
}

// TestOwnerComesBack: an owner that could not act for a while gets what was held meanwhile.
func TestOwnerComesBack(t *testing.T) {
	t.Parallel()
	r := newReplica(t, time.Minute)
	o := newOwner(t, 1, http.HandlerFunc(echo))
	o.owns.Store(false)
	r.Follow(o.Owner)
	got := r.post(t, "/messages", "one")
	r.awaitHeld(t, 1)
	if err := r.Ready(); err != nil {
		t.Errorf("not ready at once: %v", err)
	}
	o.owns.Store(true)
	if a := next(t, got); a.status != http.StatusOK || a.body != "one" {
		t.Errorf("answered %d %s", a.status, a.body)
	}
}

// TestLongBodies: a body that is too long to be kept goes through as it comes, and no byte
// of it is lost to an owner that declines.
func TestLongBodies(t *testing.T) {
	t.Parallel()
	r := newReplica(t, time.Minute)
	first := newOwner(t, 1, http.HandlerFunc(echo))
	first.owns.Store(false)
	r.Follow(first.Owner)
	long := strings.Repeat("0123456789abcdef", 1<<16)
	got := r.post(t, "/messages", long)
	r.awaitHeld(t, 1)
	r.Follow(newOwner(t, 2, http.HandlerFunc(echo)).Owner)
	if a := next(t, got); a.status != http.StatusOK || a.body != long {
		t.Errorf("answered %d with %d bytes", a.status, len(a.body))
	}
	if err := testutil.GatherAndCompare(r.metrics, strings.NewReader(`
# HELP lpbridge_kept_body_bytes Bytes of bodies that are kept until their requests are answered.
# TYPE lpbridge_kept_body_bytes gauge
lpbridge_kept_body_bytes 0
`), "lpbridge_kept_body_bytes"); err != nil {
		t.Error(err)
	}
}

// TestImpostor: a process at the owner's address that is not the owner gets nothing of a
// request, and no token.
func TestImpostor(t *testing.T) {
	t.Parallel()
	r := newReplica(t, 500*time.Millisecond)
	o := newOwner(t, 1, http.HandlerFunc(echo))
	impostor, err := peers.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	var heard atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }))
	server.TLS = impostor.TLS()
	server.StartTLS()
	defer server.Close()
	o.Address = server.Listener.Addr().String()
	r.Follow(o.Owner)
	if a := next(t, r.post(t, "/events", "secret words")); a.status != http.StatusServiceUnavailable {
		t.Errorf("answered %d %s, want 503", a.status, a.body)
	}
	if heard.Load() != 0 {
		t.Error("the impostor got a request")
	}
}

// TestStrangers: whoever does not know the token of this very owner gets nothing from the
// peer listener.
func TestStrangers(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	o := newOwner(t, 2, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	former, err := peers.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []struct{ name, headers, want string }{
		{"no token", "", "HTTP/1.1 401 Unauthorized"},
		{"wrong token", "Lpbridge-Peer-Token: guessed\r\n", "HTTP/1.1 401 Unauthorized"},
		{"former owner's token", "Lpbridge-Peer-Token: " + string(former.At("").Token) + "\r\n", "HTTP/1.1 401 Unauthorized"},
		{"no sender", "Lpbridge-Peer-Token: " + string(o.Token) + "\r\n", "HTTP/1.1 400 Bad Request"},
	} {
		conn, err := tls.Dial("tcp", o.Address, &tls.Config{InsecureSkipVerify: true}) //nolint:gosec // a stranger does
		if err != nil {
			t.Fatal(err)
		}
		if got := raw(t, conn, "GET / HTTP/1.1\r\nHost: x\r\n"+of.headers+"Lpbridge-Peer-Remote: nobody\r\n\r\n"); got != of.want {
			t.Errorf("%s: answered %q, want %q", of.name, got, of.want)
		}
	}
	plain, err := net.Dial("tcp", o.Address)
	if err != nil {
		t.Fatal(err)
	}
	if got := raw(t, plain, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); got != "HTTP/1.0 400 Bad Request" {
		t.Errorf("plain http: answered %q", got)
	}
	if served.Load() != 0 {
		t.Error("a stranger reached the front doors")
	}
}

// TestTokenDoesNotPrint: whatever way a peer is written down, its token is not in it.
func TestTokenDoesNotPrint(t *testing.T) {
	t.Parallel()
	identity, err := peers.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	p := identity.At("127.0.0.1:1")
	for _, form := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if text := fmt.Sprintf(form, p); strings.Contains(text, string(p.Token)) {
			t.Errorf("%s shows the token", form)
		}
	}
	if p.Token.LogValue().String() != p.Token.String() {
		t.Error("the log would show the token")
	}
}
