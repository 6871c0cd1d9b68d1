package chatwoot

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// pending has a conversation be a bot's.
func pending(p map[string]any) { p["conversation"].(map[string]any)["status"] = statusPending }

func fromBot(p map[string]any) {
	pending(p)
	p["message_type"], p["sender"] = "outgoing", map[string]any{"id": 4, "name": "Helper  Bot", "type": "agent_bot"}
}

// status has a conversation's status be changed, as a webhook.
func statusWebhook(t testing.TB, status string) []byte {
	p := fixture(t, "conversation_status_changed_open")
	p["status"], p["updated_at"] = status, float64(time.Now().UnixMilli())/1000
	return encode(t, p)
}

// TestPendingConversationIsTheBots: what is said to a bot reaches LivePerson at
// the hand-over, as one message.
func TestPendingConversationIsTheBots(t *testing.T) {
	const transcript = "Before the hand-over:\nConsumer: my order\nHelper Bot: which one?\nConsumer: 77\nbill.pdf https://chat.example.com/bill.pdf"
	handOvers := map[string]func(t *testing.T, c *Chatwoot){
		"by its status": func(t *testing.T, c *Chatwoot) {
			for range 2 {
				send(c, signed(accountSecret, statusWebhook(t, statusOpen)))
			}
		},
		"by the bot's own webhook": func(t *testing.T, c *Chatwoot) {
			p := fixture(t, "conversation_opened")
			p["updated_at"] = float64(time.Now().UnixMilli()) / 1000
			send(c, signed(accountSecret, encode(t, p)))
		},
		"with the next message": func(*testing.T, *Chatwoot) {},
	}
	for name, handOver := range handOvers {
		for _, restarted := range []bool{false, true} {
			t.Run(fmt.Sprint(name, restarted), func(t *testing.T) {
				when(t, recordedAt, func(t *testing.T) {
					c, core, far := newChatwoot(t, goodConfig(t))
					for range 2 {
						send(c, signed(accountSecret, said(t, 501, "my order", pending)))
					}
					// The bot's answer overtakes nothing, but comes after the next.
					send(c, signed(accountSecret, said(t, 503, "77", func(p map[string]any) {
						pending(p)
						p["attachments"] = []any{map[string]any{"file_type": "file", "data_url": "https://chat.example.com/bill.pdf"}}
					})))
					send(c, signed(accountSecret, said(t, 502, "which one?", fromBot)))
					send(c, signed(accountSecret, changed(t, "conversation_typing_on", "conversation.status", statusPending)))
					if got := core.Events(); len(got) != 0 {
						t.Fatalf("LivePerson gets %q before the hand-over", told(got))
					}
					if restarted {
						var err error
						if c, err = New(goodConfig(t), core, client(far), discard); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(time.Second)
					handOver(t, c)
					send(c, signed(accountSecret, said(t, 504, "anybody?", nil)))
					send(c, signed(accountSecret, said(t, 505, "hello?", nil)))
					if diff := cmp.Diff([]string{transcript, "anybody?", "hello?"}, told(core.Events())); diff != "" {
						t.Errorf("the agent reads (-want +got):\n%s", diff)
					}
				})
			})
		}
	}
}

func TestConversationGoesBackToTheBot(t *testing.T) {
	when(t, recordedAt, func(t *testing.T) {
		c, core, _ := newChatwoot(t, goodConfig(t))
		send(c, signed(accountSecret, said(t, 501, "hello", nil)))
		time.Sleep(time.Second)
		send(c, signed(accountSecret, statusWebhook(t, statusPending)))
		time.Sleep(time.Second)
		send(c, signed(accountSecret, said(t, 502, "bot?", pending)))
		time.Sleep(time.Second)
		send(c, signed(accountSecret, statusWebhook(t, statusResolved)))
		time.Sleep(time.Second)
		send(c, signed(accountSecret, said(t, 503, "again", nil)))
		// What a bot settled is not handed over.
		if diff := cmp.Diff([]string{"hello", "close", "close", "again"}, told(core.Events())); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

func TestPendingConversationsMayBeRelayed(t *testing.T) {
	for name, change := range map[string]func(c *Config){
		"by choice":         func(c *Config) { c.Pending = relayAll },
		"to be the bot one": func(c *Config) { c.TokenKind = kindBot },
	} {
		t.Run(name, func(t *testing.T) {
			when(t, recordedAt, func(t *testing.T) {
				cfg := goodConfig(t)
				change(&cfg)
				c, core, _ := newChatwoot(t, cfg)
				send(c, signed(accountSecret, said(t, 501, "my order", pending)))
				send(c, signed(accountSecret, said(t, 502, "which one?", fromBot)))
				if diff := cmp.Diff([]string{"my order"}, told(core.Events())); diff != "" {
					t.Errorf("events (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestLongTranscriptKeepsItsEnd(t *testing.T) {
	when(t, recordedAt, func(t *testing.T) {
		c, core, _ := newChatwoot(t, goodConfig(t))
		for i := range 60 {
			send(c, signed(accountSecret, said(t, 501+i, strings.Repeat("ä", 100)+fmt.Sprint(i), pending)))
		}
		time.Sleep(time.Second)
		send(c, signed(accountSecret, statusWebhook(t, statusOpen)))
		got := told(core.Events())
		if len(got) != 1 || len(got[0]) > maxTranscript || !strings.HasPrefix(got[0], transcriptTitle+"\n…\n") || !strings.HasSuffix(got[0], "59") {
			t.Errorf("transcript %q", got)
		}
	})
}
