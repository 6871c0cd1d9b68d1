package chatwoot

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestWebhooksThatOvertookEachOther has Chatwoot's workers send message 503 before
// 502, and things that belong after both.
func TestWebhooksThatOvertookEachOther(t *testing.T) {
	tests := []struct {
		name string
		hold time.Duration
		send []int // milliseconds between webhooks alternate with numbers; 0 is a resolve
		want []string
	}{
		{"30 ms apart", 50 * time.Millisecond, []int{503, 30, 502}, []string{"502", "503"}},
		{"three of them", 50 * time.Millisecond, []int{504, 10, 503, 40, 502}, []string{"502", "503", "504"}},
		{"in order", 50 * time.Millisecond, []int{502, 10, 503}, []string{"502", "503"}},
		{"too far apart", 50 * time.Millisecond, []int{503, 60, 502}, []string{"503", "502"}},
		{"not held", 0, []int{503, 30, 502}, []string{"503", "502"}},
		{"resolved after them", 50 * time.Millisecond, []int{503, 10, 502, 10, 0}, []string{"502", "503", "close"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			when(t, recordedAt, func(t *testing.T) {
				cfg := goodConfig(t)
				cfg.OrderHold = tt.hold
				c, core, _ := newChatwoot(t, cfg)
				began := time.Now()
				var sent sync.WaitGroup
				for i, what := range tt.send {
					if i%2 == 1 {
						time.Sleep(time.Duration(what) * time.Millisecond)
						continue
					}
					body := changed(t, "conversation_resolved", "updated_at", float64(time.Now().Add(time.Second).UnixMilli())/1000)
					if what != 0 {
						body = said(t, what, fmt.Sprint(what), nil)
					}
					r := signed(accountSecret, body)
					sent.Go(func() {
						if rec := send(c, r); rec.Code != http.StatusOK {
							t.Errorf("answered %d", rec.Code)
						}
					})
				}
				sent.Wait()
				if diff := cmp.Diff(tt.want, told(core.Events())); diff != "" {
					t.Errorf("order (-want +got):\n%s", diff)
				}
				if took := time.Since(began); took > 3*tt.hold+100*time.Millisecond {
					t.Errorf("took %s", took)
				}
			})
		})
	}
}

// TestOtherConversationsDoNotWait: only messages of one conversation are held for
// each other, and no lines are left behind.
func TestOtherConversationsDoNotWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := order{hold: 50 * time.Millisecond}
		var all sync.WaitGroup
		began := time.Now()
		for conversation := range int64(20) {
			for number := range int64(20) {
				all.Go(func() { o.enter(t.Context(), conversation, 20-number)() })
			}
		}
		all.Wait()
		if took := time.Since(began); took != 50*time.Millisecond {
			t.Errorf("took %s, want the hold alone", took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began = time.Now()
		o.enter(ctx, 1, 1)()
		if took := time.Since(began); took != 0 {
			t.Errorf("a request that is gone is held for %s", took)
		}
		if len(o.lines) != 0 {
			t.Errorf("%d lines are left", len(o.lines))
		}
	})
}
