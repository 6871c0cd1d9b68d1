package console

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
)

func TestReadyIsAskedOncePerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		c, _, _ := setup(t, fourLetters(), func(o *Options) {
			o.Bridge = &runningBridge{ready: func(context.Context) error {
				asked.Add(1)
				time.Sleep(100 * time.Millisecond)
				return nil
			}}
		})
		var callers sync.WaitGroup
		for range 20 {
			callers.Go(func() {
				if resp := request(c, "GET", "/readyz", ""); resp.StatusCode != 200 {
					t.Errorf("status %d", resp.StatusCode)
				}
			})
		}
		callers.Wait()
		time.Sleep(readyCache - time.Millisecond)
		request(c, "GET", "/readyz", "")
		if got := asked.Load(); got != 1 {
			t.Errorf("within the first second the bridge was asked %d times, want once", got)
		}
		time.Sleep(time.Millisecond)
		request(c, "GET", "/readyz", "")
		if got := asked.Load(); got != 2 {
			t.Errorf("after a second the bridge was asked %d times, want twice", got)
		}
	})
}

func TestNotReadyIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var broken atomic.Bool
		broken.Store(true)
		c, _, logged := setup(t, fourLetters(), func(o *Options) {
			o.Bridge = &runningBridge{ready: func(context.Context) error {
				if broken.Load() {
					return errors.New("the journal takes no writes")
				}
				return nil
			}}
		})
		resp := request(c, "GET", "/readyz", "")
		want := `{"ready":false,"notReady":[{"name":"bridge","reason":"the journal takes no writes"}]}` + "\n"
		if got := bodyOf(t, resp); resp.StatusCode != 503 || got != want {
			t.Errorf("answered %d: %s\nwant 503: %s", resp.StatusCode, got, want)
		}
		for range 3 {
			time.Sleep(readyCache)
			request(c, "GET", "/readyz", "")
		}
		if n := strings.Count(logged.String(), "the journal takes no writes"); n != 1 {
			t.Errorf("logged %d times, want once:\n%s", n, logged)
		}
	})
}

func TestRecoveryIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var err error
		c, _, logged := setup(t, fourLetters(), func(o *Options) {
			o.Bridge = &runningBridge{ready: func(context.Context) error { return err }}
		})
		for i, step := range []struct {
			err   error
			lines int
		}{{nil, 0}, {errDisk, 1}, {errDisk, 1}, {nil, 2}, {nil, 2}} {
			err = step.err
			request(c, "GET", "/readyz", "")
			if got := strings.Count(logged.String(), "\n"); got != step.lines {
				t.Errorf("step %d: %d lines logged, want %d:\n%s", i, got, step.lines, logged)
			}
			time.Sleep(readyCache)
		}
	})
}

func TestHangingCheckIsNotPiledUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		disk := make(chan struct{})
		c, _, _ := setup(t, fourLetters(), func(o *Options) {
			o.Bridge = &runningBridge{ready: func(context.Context) error {
				asked.Add(1)
				<-disk
				return nil
			}}
		})
		for range 5 {
			resp := request(c, "GET", "/readyz", "")
			if got := bodyOf(t, resp); resp.StatusCode != 503 || !strings.Contains(got, `"no answer within 2s"`) {
				t.Errorf("while the disk hangs: %d %s, want 503", resp.StatusCode, got)
			}
			time.Sleep(readyCache)
		}
		if got := asked.Load(); got != 1 {
			t.Errorf("%d checks hang, want one", got)
		}
		close(disk)
		synctest.Wait()
		time.Sleep(readyCache)
		if resp := request(c, "GET", "/readyz", ""); resp.StatusCode != 200 {
			t.Errorf("status %d once the disk is back, want 200", resp.StatusCode)
		}
	})
}

func TestWaitingProbeGoesAwayAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReadiness(func(context.Context) error {
			time.Sleep(readyLimit / 2)
			return nil
		}, new(sync.WaitGroup), nil)
		var first Readiness
		var callers sync.WaitGroup
		callers.Go(func() { first = r.find(t.Context()) })
		synctest.Wait()
		impatient, cancel := context.WithTimeout(t.Context(), readyLimit/4)
		defer cancel()
		if r.find(impatient).Ready {
			t.Error("a request that was given up was told ready")
		}
		callers.Wait()
		if !first.Ready {
			t.Errorf("the other one was told %+v", first)
		}
	})
}

func TestHealthDoesNotDependOnReadiness(t *testing.T) {
	c, _, _ := setup(t, fourLetters(), func(o *Options) {
		o.Bridge = &runningBridge{
			status: bridge.Status{}, ready: func(context.Context) error { return errDisk },
		}
	})
	if resp := request(c, "GET", "/healthz", ""); resp.StatusCode != 200 {
		t.Errorf("status %d", resp.StatusCode)
	}
}

// TestNotReadyOnceToldToStop: what was found out a moment ago counts no more.
func TestNotReadyOnceToldToStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, _ := setup(t, fourLetters())
		if resp := request(c, "GET", "/readyz", ""); resp.StatusCode != 200 {
			t.Fatalf("status %d", resp.StatusCode)
		}
		c.Drain()
		resp := request(c, "GET", "/readyz", "")
		if got := bodyOf(t, resp); resp.StatusCode != 503 || !strings.Contains(got, `"stop"`) {
			t.Errorf("answered %d: %s", resp.StatusCode, got)
		}
	})
}
