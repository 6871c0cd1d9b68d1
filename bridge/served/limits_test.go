package served

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestBudgetOfBodies(t *testing.T) {
	b := NewBudget(1000)
	read := func(n int) (*BudgetReader, error) {
		r := b.Reader(strings.NewReader(strings.Repeat("x", n)), 100)
		got, err := io.ReadAll(r)
		if err == nil && len(got) != n {
			t.Errorf("%d of %d bytes", len(got), n)
		}
		return r, err
	}
	first, err := read(1000)
	if err != nil || b.Taken() != 900 {
		t.Fatalf("%d bytes are taken: %v", b.Taken(), err)
	}
	// Little is always taken, much no longer.
	small, err := read(100)
	if err != nil {
		t.Errorf("a small body: %v", err)
	}
	large, err := read(600)
	if !errors.Is(err, ErrBudget) {
		t.Errorf("a large body: %v", err)
	}
	for _, r := range []*BudgetReader{first, small, large} {
		r.Release()
		r.Release()
	}
	if b.Taken() != 0 {
		t.Errorf("%d bytes were never given back", b.Taken())
	}
}

func requestFrom(t *testing.T, remote string, header ...string) *http.Request {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	r.RemoteAddr = remote
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	return r
}

func TestRatesOfOneSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewRates(10, "")
		allowed := func(remote string, times int) (n int) {
			for range times {
				if r.Spend(requestFrom(t, remote)) == 0 {
					n++
				}
			}
			return n
		}
		if got := allowed("203.0.113.1:1", 30); got != 10 {
			t.Errorf("%d at once, want 10", got)
		}
		if got := allowed("203.0.113.2:1", 5); got != 5 {
			t.Errorf("another source may %d of 5", got)
		}
		if got := allowed("127.0.0.1:1", 30) + allowed("[::1]:1", 30); got != 60 {
			t.Errorf("our own host may %d of 60", got)
		}
		time.Sleep(30 * time.Second)
		if got := allowed("203.0.113.1:2", 30); got != 5 {
			t.Errorf("%d after half a minute, want 5", got)
		}
		// All addresses of one network are one source.
		got := 0
		for i := range 30 {
			got += allowed(fmt.Sprintf("[2001:db8:1:2::%x]:1", i+1), 1)
		}
		if got != 10 {
			t.Errorf("a network may %d, want 10", got)
		}
	})
	if NewRates(0, "").Spend(requestFrom(t, "203.0.113.1:1")) != 0 {
		t.Error("no limit is a limit")
	}
}

// TestRatesBehindAProxy believes the last word of the header only.
func TestRatesBehindAProxy(t *testing.T) {
	r := NewRates(1, "X-Forwarded-For")
	for i, tc := range []struct {
		told  []string
		allow bool
	}{
		{[]string{"198.51.100.7, 203.0.113.1"}, true}, {[]string{"198.51.100.8, 203.0.113.1"}, false},
		{[]string{"203.0.113.1", "203.0.113.2"}, true}, {[]string{"203.0.113.2"}, false},
		{[]string{"nonsense"}, true}, {[]string{"nonsense"}, true}, {nil, true}, {nil, false},
	} {
		var header []string
		for _, v := range tc.told {
			header = append(header, "X-Forwarded-For", v)
		}
		if got := r.Spend(requestFrom(t, "192.0.2.1:1", header...)) == 0; got != tc.allow {
			t.Errorf("request %d with %q: %v", i, tc.told, got)
		}
	}
}
