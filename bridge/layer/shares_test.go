package layer

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"lpbridge/bridge"
)

// checkTooMany wants Layer's answer to who asks too often.
func checkTooMany(t *testing.T, what string, got reply) {
	t.Helper()
	if got.status != http.StatusTooManyRequests || got.has("id") != "rate_limit_exceeded" || got.header.Get("Retry-After") == "" {
		t.Errorf("%s: %d %v %v", what, got.status, got.body, got.header)
	}
}

// TestRequestsOfOneUserAreBounded asks as fast as can be, over REST and a socket.
func TestRequestsOfOneUserAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.Requests = 6 })
		noisy, quiet := w.login("noisy"), w.login("quiet")
		a := w.connect(noisy, "layer-3.0")
		for range 5 {
			w.must(200, noisy, "GET", "/conversations", "")
		}
		a.request("last", "Counter.read", "", "")
		a.expect("last ok")
		checkTooMany(t, "one too many", w.send(noisy, "GET", "/conversations", ""))
		a.request("more", "Counter.read", "", "")
		a.expect("more rate_limit_exceeded")
		a.signal(conversation1, "started")
		w.must(200, quiet, "GET", "/conversations", "")
		if got := w.core.LeftOuts()["too_many"]; got != 1 {
			t.Errorf("%d signals are counted as left out", got)
		}
		time.Sleep(time.Minute)
		w.must(200, noisy, "GET", "/conversations", "")
		w.stop()
	})
}

// TestUserWithTooMuchPendingIsTold passes on what the core says of one consumer.
func TestUserWithTooMuchPendingIsTold(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	w.core.Refuse(bridge.ErrShare)
	checkTooMany(t, "too much pending", w.send(token, "POST", "/conversations/"+thread1+"/messages", newMessage(message1, "hello")))
}

// TestOneUserLeavesSocketsToOthers: who connects once more loses the socket that was
// first.
func TestOneUserLeavesSocketsToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.login("consumer-1")
		var all []*app
		for range maxDevices + 3 {
			all = append(all, w.connect(token, "layer-3.0"))
			synctest.Wait()
		}
		for n, a := range all {
			ended := make(chan websocket.StatusCode, 1)
			go func() { ended <- a.ended() }()
			synctest.Wait()
			select {
			case code := <-ended:
				if n >= 3 || code != websocket.StatusTryAgainLater {
					t.Errorf("socket %d ended with %v", n, code)
				}
			default:
				if n < 3 {
					t.Errorf("socket %d goes on", n)
				}
			}
		}
		if closed := w.core.ConnectionsClosed(); closed["too_many"] != 3 {
			t.Errorf("counted %v", closed)
		}
		w.stop()
	})
}

// TestOneUserLeavesUploadsToOthers holds bodies as one user and as one address.
func TestOneUserLeavesUploadsToOthers(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.MaxContent = 1 << 20 })
	token := w.login("noisy")
	u, err := w.layer.userShares.Enter(t.Context(), "noisy")
	if err != nil {
		t.Fatal(err)
	}
	held := u.Reader(w.layer.bodies, strings.NewReader(strings.Repeat("x", bodiesInFlight/ownPart-1000)), 0)
	if _, err := held.Read(make([]byte, bodiesInFlight)); err != nil {
		t.Fatal(err)
	}
	upload := func(token string) reply {
		id, _ := w.must(201, token, "POST", "/content", "", "Upload-Content-Length", "1").has("id").(string)
		return w.send("", "PUT", "/content/"+strings.TrimPrefix(id, prefixContent)+"/upload", strings.Repeat("x", 500_000))
	}
	checkTooMany(t, "more than a user may hold", upload(token))
	if got := upload(w.login("quiet")); got.status != 200 {
		t.Errorf("somebody else's upload: %d %v", got.status, got.body)
	}
	held.Release()
	u.Leave()
	if got := upload(token); got.status != 200 {
		t.Errorf("once it is rid of them: %d %v", got.status, got.body)
	}
}
