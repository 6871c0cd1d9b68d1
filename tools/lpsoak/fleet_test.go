package main

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// echoing is a server that answers with what it gets, and where it listens.
func echoing(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(c, c)
			}()
		}
	}()
	return l.Addr().String()
}

func newTestWire(t *testing.T) (*wire, func() net.Conn) {
	t.Helper()
	w, err := newWire(echoing(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w, func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", w.listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
}

// says sends a word and reports whether it came back in the given time.
func says(t *testing.T, c net.Conn, word string, within time.Duration) bool {
	t.Helper()
	if word != "" {
		if _, err := io.WriteString(c, word); err != nil {
			return false
		}
	}
	if err := c.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	_, err := io.ReadFull(c, make([]byte, len("hello")))
	return err == nil
}

// TestStalledWire: what is sent while nothing arrives, either way, arrives once that is mended.
func TestStalledWire(t *testing.T) {
	for _, stalled := range [][]direction{{questions, answers}, {answers}, {questions}} {
		w, dial := newTestWire(t)
		c := dial()
		if !says(t, c, "hello", time.Minute) {
			t.Fatal("nothing comes back on a wire that is whole")
		}
		w.stall(stalled...)
		if says(t, c, "later", 50*time.Millisecond) {
			t.Errorf("%v: something came back on a stalled wire", stalled)
		}
		w.mend()
		if !says(t, c, "", time.Minute) {
			t.Errorf("%v: what was sent meanwhile did not come back", stalled)
		}
	}
}

// TestCutWire: connections are reset, and so are new ones until the wire is mended.
func TestCutWire(t *testing.T) {
	w, dial := newTestWire(t)
	c := dial()
	if !says(t, c, "hello", time.Minute) {
		t.Fatal("nothing comes back on a wire that is whole")
	}
	w.sever()
	if says(t, c, "hello", time.Minute) {
		t.Error("something came back on a wire that is cut")
	}
	if again, err := net.Dial("tcp", w.listener.Addr().String()); err == nil {
		defer again.Close()
		if says(t, again, "hello", time.Minute) {
			t.Error("something came back on a new connection while the wire is cut")
		}
	}
	w.mend()
	if !says(t, dial(), "hello", time.Minute) {
		t.Error("nothing comes back once it is mended")
	}
}

// door is a replica's front door that answers, and counts what it is asked.
func door(t *testing.T, status int) (address string, asked *atomic.Int64) {
	t.Helper()
	asked = new(atomic.Int64)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", "2")
		w.WriteHeader(status)
		_, _ = io.Copy(w, r.Body)
	}))
	t.Cleanup(s.Close)
	return strings.TrimPrefix(s.URL, "http://"), asked
}

func newTestBalancer(t *testing.T, addresses ...string) *balancer {
	t.Helper()
	var replicas []*daemon
	for _, a := range addresses {
		replicas = append(replicas, &daemon{public: a})
	}
	b, err := newBalancer(replicas)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.door.close)
	return b
}

func post(t *testing.T, b *balancer) (status int, body string) {
	t.Helper()
	resp, err := http.Post(b.door.url+"/channels/webhook", "application/json", strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// TestBalancer: it asks those that are ready one after the other, goes on where it cannot connect, and
// hands on what a replica answers, without asking another.
func TestBalancer(t *testing.T) {
	first, askedFirst := door(t, http.StatusOK)
	second, askedSecond := door(t, http.StatusServiceUnavailable)
	gone := freeAddress(t)
	b := newTestBalancer(t, first, second, gone)
	if status, _ := post(t, b); status != http.StatusServiceUnavailable || askedFirst.Load()+askedSecond.Load() != 0 {
		t.Errorf("answered %d before any was looked at, want 503 and nobody asked", status)
	}
	b.judge(0, true)
	b.judge(2, true)
	for range 6 {
		if status, body := post(t, b); status != http.StatusOK || body != "hello" {
			t.Errorf("answered %d %q, want what the only one answers that is there", status, body)
		}
	}
	if askedFirst.Load() != 6 || askedSecond.Load() != 0 {
		t.Errorf("asked %d and %d times, want 6 and not at all", askedFirst.Load(), askedSecond.Load())
	}
	b.judge(1, true)
	b.judge(2, false)
	b.judge(2, false)
	for range 6 {
		post(t, b)
	}
	if askedFirst.Load() != 9 || askedSecond.Load() != 3 {
		t.Errorf("asked %d and %d times, want one after the other", askedFirst.Load(), askedSecond.Load())
	}
}

// freeAddress is one at which nobody listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// TestBalancerDoesNotRepeat: a request that a replica got and did not answer is not sent to
// another.
func TestBalancerDoesNotRepeat(t *testing.T) {
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked.Add(1)
		panic(http.ErrAbortHandler)
	}))
	t.Cleanup(s.Close)
	address := strings.TrimPrefix(s.URL, "http://")
	b := newTestBalancer(t, address, address)
	b.judge(0, true)
	b.judge(1, true)
	if status, _ := post(t, b); status != http.StatusBadGateway || asked.Load() != 1 {
		t.Errorf("answered %d after %d tries, want 502 after one", status, asked.Load())
	}
}

// TestGaps: what counts is how long somebody asked and nobody was served.
func TestGaps(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(100, 0).Add(time.Duration(ms) * time.Millisecond) }
	for _, tc := range []struct {
		name string
		do   func(g *gaps)
		want time.Duration
	}{
		{"nobody asks", func(*gaps) {}, 0},
		{"served at once", func(g *gaps) { g.asked(at(0)); g.answered(at(5), 200, false) }, 5 * time.Millisecond},
		{"nobody asks between", func(g *gaps) {
			g.asked(at(0))
			g.answered(at(5), 200, false)
			g.asked(at(5000))
			g.answered(at(5005), 200, false)
		}, 5 * time.Millisecond},
		{"refused, then served", func(g *gaps) {
			g.asked(at(0))
			g.answered(at(1), 503, false)
			g.asked(at(3000))
			g.answered(at(3001), 502, false)
			g.asked(at(4000))
			g.answered(at(4001), 200, false)
		}, 4001 * time.Millisecond},
		{"one waits, others are served", func(g *gaps) {
			g.asked(at(0))
			for i := range 10 {
				g.asked(at(i * 100))
				g.answered(at(i*100+50), 200, false)
			}
			g.answered(at(2000), 200, false)
		}, 1050 * time.Millisecond},
		{"who asked is gone", func(g *gaps) {
			g.asked(at(0))
			g.answered(at(3), 502, true)
			g.asked(at(5000))
			g.answered(at(5001), 200, false)
		}, time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var g gaps
			tc.do(&g)
			if longest, served := g.after(time.Time{}); longest != tc.want || served != (tc.want > 0) {
				t.Errorf("got %v so far, served %t, want %v", longest, served, tc.want)
			}
			if got := g.take(); got != tc.want {
				t.Errorf("got %v, want %v", got, tc.want)
			}
			if again := g.take(); again != 0 {
				t.Errorf("got %v the second time, want nothing", again)
			}
		})
	}
}

// TestDrawnBlows: each kind that is possible is drawn, as often as its weight says, and always
// the same from one seed.
func TestDrawnBlows(t *testing.T) {
	for _, replicas := range []int{1, 3} {
		count := map[string]int{}
		rng := rand.New(rand.NewPCG(1, 1))
		const rolls = 20_000
		for range rolls {
			count[draw(blowKinds, replicas, rng).name]++
		}
		for _, k := range blowKinds {
			want := rolls * k.chance(replicas) / draws(blowKinds, replicas)
			if got := count[k.name]; got < want*8/10 || got > want*12/10 {
				t.Errorf("%d replicas: %s was drawn %d times, want about %d", replicas, k.name, got, want)
			}
		}
	}
}

func TestDistribution(t *testing.T) {
	var list []time.Duration
	for i := range 100 {
		list = append(list, time.Duration(100-i)*time.Second)
	}
	if got, want := distribution(list), "51.0, 100.0, 100.0 s"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := distribution(nil); got != "–" {
		t.Errorf("got %s of nothing", got)
	}
}

// TestDeposedReplicaIsStartedAgain: one that says that it was deposed is what is documented; one
// that ends in any other way is not.
func TestDeposedReplicaIsStartedAgain(t *testing.T) {
	for _, tc := range []struct {
		name, said string
		replicas   int
		broken     bool
	}{
		{"deposed", deposed, 2, false},
		{"without a word", "", 2, true},
		{"deposed, with nobody who could have", deposed, 1, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			broken := 0
			f := &fleet{replicas: make([]*daemon, tc.replicas), breaks: func(string, ...any) { broken++ }}
			f.ctx, f.end = context.WithCancel(t.Context())
			f.died(&daemon{}, tc.said, nil)
			if (broken > 0) != tc.broken {
				t.Errorf("broken %d times, want it: %t", broken, tc.broken)
			}
		})
	}
}
