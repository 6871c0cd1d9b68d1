package chatwoot

import (
	"fmt"
	"testing"
	"time"

	"lpbridge/bridge"

	"github.com/google/go-cmp/cmp"
)

// TestConversationThatGoesOnByAnotherClock has a Chatwoot whose clock is behind
// ours: what came after the report of our resolve tells all the same.
func TestConversationThatGoesOnByAnotherClock(t *testing.T) {
	const behind = -time.Hour
	at := func() float64 { return float64(time.Now().Add(behind).UnixMilli()) / 1000 }
	resolved := func(t *testing.T) []byte {
		p := fixture(t, "conversation_status_changed_open")
		p["status"], p["updated_at"] = statusResolved, at()
		return encode(t, p)
	}
	says := func(t *testing.T, id int, still bool) []byte {
		return said(t, id, "again", func(p map[string]any) {
			moment := time.Now().Add(behind)
			if still {
				// A payload that was written before the resolve.
				moment = moment.Add(-time.Minute)
			}
			p["created_at"] = moment.UTC().Format(time.RFC3339Nano)
			p["conversation"].(map[string]any)["updated_at"] = float64(moment.UnixMilli()) / 1000
		})
	}
	tests := []struct {
		name  string
		still bool
		later time.Duration
		want  []string
	}{
		{"a person resolves", false, 20 * time.Second, []string{"again", "close"}},
		{"a person resolves, by payloads that lag", true, 20 * time.Second, []string{"again", "close"}},
		{"ours is reported once more", true, time.Second, []string{"again"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			when(t, recordedAt, func(t *testing.T) {
				c, core, _ := newChatwoot(t, goodConfig(t))
				if err := c.Deliver(t.Context(), state(bridge.StateClosed, "agent")); err != nil {
					t.Fatal(err)
				}
				send(c, signed(accountSecret, resolved(t)))
				time.Sleep(time.Second)
				send(c, signed(accountSecret, says(t, 501, tt.still)))
				time.Sleep(tt.later)
				for range 2 {
					send(c, signed(accountSecret, resolved(t)))
				}
				if diff := cmp.Diff(tt.want, told(core.Events())); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// TestPersonsResolveSoonAfterOursClosesLivePerson: LivePerson closes, we resolve,
// the consumer writes again, and a person resolves.
func TestPersonsResolveSoonAfterOursClosesLivePerson(t *testing.T) {
	tests := []struct {
		name   string
		reopen bool
		own    bool
		want   []string
	}{
		{"reopened", true, true, []string{"again", "close"}},
		{"not reopened", false, true, nil},
		{"ours reported late", true, false, []string{"again", "close"}},
	}
	for _, tt := range tests {
		for _, restarted := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, restarted), func(t *testing.T) {
				when(t, recordedAt, func(t *testing.T) {
					c, core, far := newChatwoot(t, goodConfig(t))
					if err := c.Deliver(t.Context(), state(bridge.StateClosed, "agent")); err != nil {
						t.Fatal(err)
					}
					time.Sleep(100 * time.Millisecond)
					ours := statusWebhook(t, statusResolved)
					if tt.own {
						send(c, signed(accountSecret, ours))
					}
					time.Sleep(20 * time.Second)
					if tt.reopen {
						send(c, signed(accountSecret, said(t, 501, "again", nil)))
						// Ours was on its way all the time.
						send(c, signed(accountSecret, ours))
					}
					if restarted {
						var err error
						if c, err = New(goodConfig(t), core, client(far), discard); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(20 * time.Second)
					send(c, signed(accountSecret, statusWebhook(t, statusResolved)))
					if diff := cmp.Diff(tt.want, told(core.Events())); diff != "" {
						t.Errorf("events (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}
