package peers_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge/peers"
)

// TestHeldUntilOwned: requests that come while nobody owns the journal are served by the
// next owner, whether that is another replica or this one, in the order in which they came.
func TestHeldUntilOwned(t *testing.T) {
	t.Parallel()
	for _, here := range []bool{false, true} {
		t.Run(fmt.Sprintf("here=%t", here), func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var order []string
			doors := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				mu.Lock()
				defer mu.Unlock()
				order = append(order, string(body))
				_, _ = w.Write(body)
			})
			r := newReplica(t, time.Minute)
			var answers []chan answer
			var want []string
			for i := range 20 {
				want = append(want, fmt.Sprint("message ", i))
				answers = append(answers, r.post(t, []string{"/events", "/messages"}[i%2], want[i]))
				r.awaitHeld(t, i+1)
			}
			if here {
				r.Own(doors)
			} else {
				r.Follow(newOwner(t, 1, doors).Owner)
			}
			for i, got := range answers {
				if a := next(t, got); a.status != http.StatusOK || a.body != want[i] {
					t.Errorf("answered %d %q, want 200 %q", a.status, a.body, want[i])
				}
			}
			if diff := cmp.Diff(want, order); diff != "" {
				t.Errorf("order (-want +got):\n%s", diff)
			}
			r.awaitHeld(t, 0)
		})
	}
}

// TestHeldTooLong: who waits for longer than may be is told to come again, and when.
func TestHeldTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newForwarder(10 * time.Second)
		w := httptest.NewRecorder()
		began := time.Now()
		r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/events", strings.NewReader("x")))
		if waited := time.Since(began); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "2" || waited != 10*time.Second {
			t.Errorf("answered %d %v after %s, want 503 with Retry-After after 10s", w.Code, w.Header(), waited)
		}
		if got := <-r.refused; got != "webhook: Service Unavailable" {
			t.Errorf("refused %q", got)
		}
		if r.Held() != 0 || r.Counts()["refused_late"] != 1 {
			t.Errorf("held %d, counts %v", r.Held(), r.Counts())
		}
	})
}

// TestRoomIsBounded: of a thousand requests at once as many are held as may, no channel
// has all of the room, and the rest is told at once to come again.
func TestRoomIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newForwarder(10 * time.Second)
		var refused atomic.Int64
		var all sync.WaitGroup
		send := func(path string) {
			all.Go(func() {
				w := httptest.NewRecorder()
				r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader("x")))
				if w.Code != http.StatusServiceUnavailable {
					return
				}
				refused.Add(1)
				if w.Header().Get("Retry-After") == "" {
					t.Error("refused without Retry-After")
				}
			})
		}
		for range 1000 {
			send("/messages")
		}
		synctest.Wait()
		if r.Held() != 256 || refused.Load() != 744 {
			t.Errorf("held %d and refused %d of one channel, want 256 and 744", r.Held(), refused.Load())
		}
		for range 300 {
			send("/events")
		}
		synctest.Wait()
		if r.Held() != 512 || r.Counts()["refused_full"] != 788 {
			t.Errorf("held %d, counts %v, want 512 and 788 refused", r.Held(), r.Counts())
		}
		r.Own(http.HandlerFunc(echo))
		all.Wait()
		if r.Held() != 0 || refused.Load() != 788 || r.Counts()["served_here"] != 512 {
			t.Errorf("held %d, refused %d, counts %v", r.Held(), refused.Load(), r.Counts())
		}
	})
}

// TestOneChannelLeavesRequestsToOthers: a channel that has as many requests under way at a
// replica as one may gets no more, and the others do.
func TestOneChannelLeavesRequestsToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perChannel = 100
		r := newForwarderFor(10*time.Second, perChannel)
		var all sync.WaitGroup
		var refused atomic.Int64
		for range perChannel + 5 {
			all.Go(func() {
				w := httptest.NewRecorder()
				// What is not held is under way all the same: its body does not come.
				body, never := io.Pipe()
				time.AfterFunc(time.Second, func() { never.CloseWithError(io.ErrUnexpectedEOF) })
				r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/messages", body))
				if w.Code == http.StatusServiceUnavailable {
					refused.Add(1)
				}
			})
		}
		synctest.Wait()
		if refused.Load() != 5 {
			t.Errorf("%d were refused, want 5", refused.Load())
		}
		w := httptest.NewRecorder()
		go r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/events", http.NoBody))
		synctest.Wait()
		if r.Held() != 1 {
			t.Error("another channel found no room")
		}
		all.Wait()
		time.Sleep(10 * time.Second)
	})
}

// TestSlowOneGivesWay: of those that were held one that takes long keeps those behind it
// waiting for two seconds, and many of the kind for five in all.
func TestSlowOneGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newForwarder(time.Minute)
		var mu sync.Mutex
		var order []string
		began := time.Now()
		var all sync.WaitGroup
		for i, body := range []string{"slow 1", "quick 1", "slow 2", "slow 3", "slow 4", "quick 2"} {
			all.Go(func() {
				r.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/messages", strings.NewReader(body)))
			})
			synctest.Wait()
			if r.Held() != i+1 {
				t.Fatalf("%d are held", r.Held())
			}
		}
		r.Own(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			mu.Lock()
			order = append(order, fmt.Sprintf("%s after %s", body, time.Since(began)))
			mu.Unlock()
			if strings.HasPrefix(string(body), "slow") {
				time.Sleep(20 * time.Second)
			}
		}))
		all.Wait()
		// Those that wait for nobody any more go on side by side.
		slices.Sort(order[4:])
		want := []string{"slow 1 after 0s", "quick 1 after 2s", "slow 2 after 2s", "slow 3 after 4s", "quick 2 after 5s", "slow 4 after 5s"}
		if diff := cmp.Diff(want, order); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// TestClientGoes: whoever gives up leaves its place.
func TestClientGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newForwarder(time.Minute)
		request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/events", http.NoBody)
		ctx, cancel := contextWithTimeout(t, time.Second)
		defer cancel()
		r.ServeHTTP(httptest.NewRecorder(), request.WithContext(ctx))
		if r.Held() != 0 || r.Counts()["client_gone"] != 1 {
			t.Errorf("held %d, counts %v", r.Held(), r.Counts())
		}
	})
}

// TestReadiness: a replica is ready while it can hand on, and for some seconds after, but
// not before it ever could.
func TestReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newForwarder(time.Minute)
		time.Sleep(time.Hour)
		if err := r.Ready(); err == nil {
			t.Error("ready without ever having known an owner")
		}
		// Nobody listens there.
		r.Follow(peers.Owner{Name: "a", Epoch: 1, Peer: peerAt("127.0.0.1:1")})
		if err := r.Ready(); err != nil {
			t.Errorf("not ready with an owner: %v", err)
		}
		time.Sleep(7 * time.Second)
		if err := r.Ready(); err != nil {
			t.Errorf("not ready while it may come back: %v", err)
		}
		time.Sleep(2 * time.Second)
		if err := r.Ready(); err == nil || !strings.Contains(err.Error(), "takes no requests at 127.0.0.1:1: dial: connect: connection refused") {
			t.Errorf("without a connection for long: %v", err)
		}
		r.Follow(peers.Owner{Name: "a", Epoch: 1})
		if err := r.Ready(); err == nil {
			t.Error("ready without an owner for long")
		}
	})
}
