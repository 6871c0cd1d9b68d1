package chatwoot

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"

	"github.com/google/go-cmp/cmp"
)

// said has a consumer's message of a conversation as a webhook.
func said(t testing.TB, id int, text string, change func(p map[string]any)) []byte {
	t.Helper()
	p := fixture(t, "message_created")
	p["id"], p["content"], p["created_at"] = id, text, time.Now().UTC().Format(time.RFC3339Nano)
	p["conversation"].(map[string]any)["updated_at"] = float64(time.Now().UnixMilli()) / 1000
	if change != nil {
		change(p)
	}
	return encode(t, p)
}

// told lists what agents would read of the events.
func told(events []bridge.Event) []string {
	var lines []string
	for _, e := range events {
		switch e.Kind {
		case bridge.KindMessage:
			line := e.Message.Text
			for _, a := range e.Message.Attachments {
				line += " <" + a.URL + ">"
			}
			lines = append(lines, line)
		case bridge.KindClick:
			lines = append(lines, "click "+e.Click.ReplyID)
		default:
			lines = append(lines, string(e.Kind))
		}
	}
	return lines
}

// TestOddTypesNeverCostAMessage has payloads as plug-ins, proxies and Chatwoot's
// own help page write them. Webhooks come once.
func TestOddTypesNeverCostAMessage(t *testing.T) {
	conversation := func(p map[string]any) map[string]any { return p["conversation"].(map[string]any) }
	tests := map[string]struct {
		change func(p map[string]any)
		odd    int
	}{
		"ids as text": {func(p map[string]any) {
			p["id"], conversation(p)["id"] = "100", "42"
			p["sender"].(map[string]any)["id"] = "10"
			p["account"].(map[string]any)["id"] = "1"
			conversation(p)["inbox_id"] = "3"
		}, 0},
		"ids as fractions":       {func(p map[string]any) { p["id"], conversation(p)["id"] = json.Number("100.0"), json.Number("4.2e1") }, 0},
		"telephone as a number":  {func(p map[string]any) { p["sender"].(map[string]any)["phone_number"] = 12025550123 }, 0},
		"name as an object":      {func(p map[string]any) { p["sender"].(map[string]any)["name"] = map[string]any{"first": "A"} }, 1},
		"type as a number":       {func(p map[string]any) { p["message_type"] = 0 }, 0},
		"type as a digit":        {func(p map[string]any) { p["message_type"] = "0" }, 0},
		"time as nonsense":       {func(p map[string]any) { p["created_at"] = []any{} }, 1},
		"text as a number":       {func(p map[string]any) { p["content"] = 7 }, 0},
		"attachments as text":    {func(p map[string]any) { p["attachments"] = "none" }, 1},
		"attachments of nothing": {func(p map[string]any) { p["attachments"] = []any{nil, 7} }, 2},
		"messages as an object":  {func(p map[string]any) { conversation(p)["messages"] = map[string]any{} }, 1},
		"nulls": {func(p map[string]any) {
			p["sender"], p["inbox"], p["account"], p["attachments"] = nil, nil, nil, nil
			conversation(p)["meta"], conversation(p)["messages"], conversation(p)["updated_at"] = nil, nil, nil
		}, 0},
		"nobody": {func(p map[string]any) {
			delete(p, "sender")
			delete(conversation(p), "meta")
			delete(conversation(p), "contact_inbox")
		}, 0},
		"status as a number": {func(p map[string]any) { conversation(p)["status"] = 0 }, 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			when(t, recordedAt, func(t *testing.T) {
				c, core, _ := newChatwoot(t, goodConfig(t))
				body := said(t, 100, "hello", tt.change)
				for range 2 {
					if rec := send(c, signed(accountSecret, body)); rec.Code != http.StatusOK {
						t.Fatalf("answered %d %s", rec.Code, rec.Body)
					}
				}
				got := core.Events()
				if len(got) != 1 || got[0].ID != "message:100" || got[0].Thread != "42" || got[0].Message.Text == "" {
					t.Errorf("events %+v, want the message", got)
				}
				if n := core.LeftOuts()["member"]; n != 2*tt.odd {
					t.Errorf("%d members counted, want %d", n, 2*tt.odd)
				}
			})
		})
	}
}

// TestWhatCannotBeReadIsToldOnce has many webhooks of one kind that say nothing
// readable, and of members that are odd: one line each, all of them counted.
func TestWhatCannotBeReadIsToldOnce(t *testing.T) {
	var log bytes.Buffer
	core := bridgetest.NewCore()
	c, err := New(goodConfig(t), core, client(newStub(t)), slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		send(c, signed(accountSecret, changed(t, "message_created", "id", "private words")))
		send(c, signed(accountSecret, changed(t, "message_created", "sender.name", []any{"private words"})))
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 2 || strings.Contains(log.String(), "private") {
		t.Errorf("%d warnings, want 2 that quote nothing:\n%s", n, &log)
	}
	if diff := cmp.Diff(map[string]int{"member": 5, "webhook": 5}, core.LeftOuts()); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

func TestAttachmentsThatAreNoFiles(t *testing.T) {
	const page = "https://maps.example/?q=-23.55052,-46.633308"
	tests := []struct {
		name       string
		attachment map[string]any
		want       string
		counted    int
	}{
		{"place with a map", map[string]any{"file_type": "location", "coordinates_lat": -23.55052, "coordinates_long": -46.633308,
			"fallback_title": "Praça da Sé", "data_url": page}, "Praça da Sé -23.55052, -46.633308", 0},
		{"coordinates as text", map[string]any{"file_type": "location", "coordinates_lat": "-23.5", "coordinates_long": " 46 "}, "-23.5, 46", 0},
		{"on the equator", map[string]any{"file_type": "location", "coordinates_lat": 0, "coordinates_long": 6.6}, "0, 6.6", 0},
		{"nowhere with a title", map[string]any{"file_type": "location", "coordinates_lat": 0.0, "coordinates_long": 0.0, "fallback_title": "Home"}, "Home", 0},
		{"nowhere with a map", map[string]any{"file_type": "location", "coordinates_lat": 0, "coordinates_long": 0, "data_url": page}, page, 0},
		{"nowhere", map[string]any{"file_type": "location", "coordinates_lat": 0, "coordinates_long": 0}, "[location]", 1},
		{"picture without an address", map[string]any{"file_type": "image", "data_url": nil}, "[image]", 1},
		{"voice without an address", map[string]any{"file_type": "audio", "data_url": ""}, "[audio]", 1},
		{"file whose address is a path", map[string]any{"file_type": "file", "data_url": "/rails/x"}, "[file]", 1},
		{"type of nobody", map[string]any{"file_type": "<b>private</b>"}, "[file]", 1},
		{"address card", map[string]any{"file_type": "contact", "fallback_title": "+351210000000", "data_url": nil}, "+351210000000", 0},
		{"shared page", map[string]any{"file_type": "fallback", "fallback_title": "News", "data_url": "https://news.example/1"}, "News https://news.example/1", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			when(t, recordedAt, func(t *testing.T) {
				c, core, _ := newChatwoot(t, goodConfig(t))
				send(c, signed(accountSecret, said(t, 100, "", func(p map[string]any) { p["attachments"] = []any{tt.attachment} })))
				if diff := cmp.Diff([]string{tt.want}, told(core.Events())); diff != "" {
					t.Errorf("the agent reads (-want +got):\n%s", diff)
				}
				if n := core.LeftOuts()["attachment_without_address"]; n != tt.counted {
					t.Errorf("%d counted, want %d", n, tt.counted)
				}
			})
		})
	}
}

// TestConversationsOfUnprovenContactsAreKeptApart: who gives somebody's e-mail
// becomes the same contact in Chatwoot, which proves nothing.
func TestConversationsOfUnprovenContactsAreKeptApart(t *testing.T) {
	who := func(door int, conversation int, verified bool) bridge.ConsumerID {
		var id bridge.ConsumerID
		when(t, recordedAt, func(t *testing.T) {
			c, core, _ := newChatwoot(t, goodConfig(t))
			send(c, signed(accountSecret, said(t, 100, "hello", func(p map[string]any) {
				conv := p["conversation"].(map[string]any)
				conv["id"] = conversation
				conv["contact_inbox"].(map[string]any)["id"] = door
				conv["contact_inbox"].(map[string]any)["hmac_verified"] = verified
			})))
			if got := core.Events(); len(got) == 1 {
				id = got[0].Consumer.ID
			}
		})
		return id
	}
	if a, b := who(31, 42, false), who(32, 43, false); a == b || a == "" {
		t.Errorf("two contact-inboxes of one contact are both %q", a)
	}
	if a, b := who(31, 42, false), who(31, 43, false); a != b {
		t.Errorf("one contact-inbox is %q and %q", a, b)
	}
	if a, b := who(31, 42, true), who(32, 43, true); a != b || a == who(31, 42, false) {
		t.Errorf("a proven contact is %q and %q", a, b)
	}
}

// TestProfileOfAnOlderRecord has a journal of before contact-inboxes were the
// consumers.
func TestProfileOfAnOlderRecord(t *testing.T) {
	c, core, _ := newChatwoot(t, goodConfig(t))
	if err := core.Records().Save(t.Context(), bridge.Record{Kind: recordContact, ID: 10, Data: []byte("42")}); err != nil {
		t.Fatal(err)
	}
	send(c, signed(accountSecret, recorded(t, "contact_updated")))
	got := core.Events()
	if len(got) != 1 || got[0].Consumer.ID != "10" || got[0].Thread != "42" {
		t.Errorf("events %+v, want a profile of consumer 10 in 42", got)
	}
}

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

// TestChoicesComeBackAsWords: inboxes such as Telegram's bring the value of an
// item back as what the consumer wrote, and the widget as a submitted value.
func TestChoicesComeBackAsWords(t *testing.T) {
	e := agentSays("Well?")
	e.Message.QuickReplies = []bridge.QuickReply{{ID: "0", Title: "Yes", Text: "yes please"}, {ID: "1", Title: "No"}, {ID: "2", Title: "No"}}
	c, core, far := newChatwoot(t, goodConfig(t))
	if err := c.Deliver(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"0.0 message:Well? [Yes=Yes] [No=No]"}, far.timeline()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	for _, choice := range []map[string]any{{"title": "No", "value": "No"}, {"value": "Yes"}, {"title": "Another", "value": "x"}} {
		p := fixture(t, "message_updated_submitted")
		attributes := p["content_attributes"].(map[string]any)
		attributes[repliesKey] = far.messages[0]["content_attributes"].(map[string]any)[repliesKey]
		attributes["submitted_values"] = []any{choice}
		send(c, signed(accountSecret, encode(t, p)))
	}
	if diff := cmp.Diff([]string{"click 1", "click 0", "Another"}, told(core.Events())); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestStructuredContentInChatwootsBestForm(t *testing.T) {
	link := func(title, uri string) string {
		return fmt.Sprintf(`{"type":"button","title":%q,"click":{"actions":[{"type":"link","uri":%q}]}}`, title, uri)
	}
	const picture = `{"type":"image","url":"https://f.example/a.png"}`
	tests := []struct{ name, rich, want string }{
		{"card", `{"type":"vertical","elements":[` + picture + `,{"type":"text","text":"Shoes"},{"type":"text","text":"red"},` + link("Buy", "https://f.example/buy") + `]}`,
			`cards [{"actions":[{"text":"Buy","type":"link","uri":"https://f.example/buy"}],"description":"red","media_url":"https://f.example/a.png","title":"Shoes"}]`},
		{"carousel", `{"type":"carousel","elements":[{"type":"vertical","elements":[` + picture + `,` + link("A", "https://f.example/a") + `]},{"type":"vertical","elements":[{"type":"text","text":"B"},` + link("B", "https://f.example/b") + `]}]}`,
			`cards [{"actions":[{"text":"A","type":"link","uri":"https://f.example/a"}],"description":"","media_url":"https://f.example/a.png","title":""},{"actions":[{"text":"B","type":"link","uri":"https://f.example/b"}],"description":"","media_url":"","title":"B"}]`},
		{"string of JSON", `"{\"type\":\"vertical\",\"elements\":[{\"type\":\"button\",\"title\":\"Go\",\"click\":{\"actions\":{}}},{\"type\":\"text\",\"text\":\"x\"}]}"`, ""},
		{"links", `{"type":"vertical","elements":[{"type":"text","text":"Read"},` + link("One", "https://f.example/1") + `,` + link("Two", "https://f.example/2") + `]}`,
			`article [{"description":"Read","link":"https://f.example/1","title":"One"},{"description":"Read","link":"https://f.example/2","title":"Two"}]`},
		{"carousel with a card that leads nowhere", `{"type":"carousel","elements":[` + picture + `,` + link("A", "https://f.example/a") + `]}`, ""},
		{"link of another kind", `{"type":"vertical","elements":[` + link("x", "javascript:alert(1)") + `]}`, ""},
		{"words", `{"type":"text","text":"x"}`, ""},
		{"nonsense", `[1,2]`, ""},
		{"odd members", `{"type":7,"elements":[null,` + link("A", "https://f.example/a") + `],"title":{}}`,
			`article [{"description":"","link":"https://f.example/a","title":"A"}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := agentSays("words")
			e.Message.Rich = json.RawMessage(tt.rich)
			c, _, far := newChatwoot(t, goodConfig(t))
			if err := c.Deliver(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{strings.TrimSpace("0.0 message:words " + tt.want)}, far.timeline()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAgentsFilesAreUploads(t *testing.T) {
	const ours, elsewhere = "https://bridge.example/files/a", "https://elsewhere.example/b.pdf"
	picture := bridge.Attachment{URL: ours, ContentType: "image/png", Name: "a \"quoted\".png"}
	tests := []struct {
		name        string
		text        string
		attachments []bridge.Attachment
		status      int
		want        []string
	}{
		{"file", "", []bridge.Attachment{picture}, 0, []string{`0.0 message: ["a \"quoted\".png text/plain; charset=utf-8 picture"]`}},
		{"with words", "look", []bridge.Attachment{picture, picture}, 0, []string{
			`0.0 message:look ["a \"quoted\".png text/plain; charset=utf-8 picture" "a \"quoted\".png text/plain; charset=utf-8 picture"]`}},
		{"one cannot be had", "look", []bridge.Attachment{picture, {URL: elsewhere, Name: "b.pdf"}}, 0, []string{
			`0.0 message:look` + "\n" + `b.pdf https://elsewhere.example/b.pdf ["a \"quoted\".png text/plain; charset=utf-8 picture"]`}},
		{"none can be had", "", []bridge.Attachment{{URL: elsewhere}}, 0, []string{`0.0 message:https://elsewhere.example/b.pdf`}},
		{"too large for Chatwoot", "look", []bridge.Attachment{picture}, 422, []string{"0.0 message:look\na \"quoted\".png https://bridge.example/files/a"}},
		{"too large for a proxy", "look", []bridge.Attachment{picture}, 413, []string{"0.0 message:look\na \"quoted\".png https://bridge.example/files/a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, core, far := newChatwoot(t, goodConfig(t))
			core.Share(ours, []byte("picture"))
			far.uploadStatus = tt.status
			e := agentSays(tt.text)
			e.Message.Attachments = tt.attachments
			if err := c.Deliver(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, far.timeline()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if got, err := c.Settled(t.Context(), e); err != nil || !got {
				t.Errorf("the message with files is not found: %t, %v", got, err)
			}
		})
	}
}

// busyFiles is a LivePerson that gives no files out for now.
type busyFiles struct{ bridge.Core }

func (busyFiles) File(context.Context, bridge.Attachment) (*bridge.File, error) {
	return nil, errors.New("busy")
}

// TestFileThatCannotBeHadForNowIsWaitedFor holds a message up for minutes and not
// for good.
func TestFileThatCannotBeHadForNowIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, far := newChatwoot(t, goodConfig(t))
		c.core = busyFiles{c.core}
		e := agentSays("look")
		e.Time, e.Message.Attachments = time.Now(), []bridge.Attachment{{URL: "https://bridge.example/files/a"}}
		for _, wait := range []time.Duration{0, filePatience} {
			time.Sleep(wait)
			d, ok := errors.AsType[*bridge.DeliveryError](c.Deliver(t.Context(), e))
			if !ok || d.Outcome != bridge.Retry {
				t.Fatalf("after %s: %v, want a retry", wait, d)
			}
		}
		time.Sleep(time.Second)
		if err := c.Deliver(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if got := far.timeline("message"); len(got) != 1 || !strings.HasSuffix(got[0], "look\nhttps://bridge.example/files/a") {
			t.Errorf("calls %q", got)
		}
	})
}

func TestAddressWithAFinalSlash(t *testing.T) {
	when(t, recordedAt, func(t *testing.T) {
		c, core, _ := newChatwoot(t, goodConfig(t))
		r := signed(accountSecret, said(t, 100, "hello", nil))
		r.URL.Path += "/"
		if rec := send(c, r); rec.Code != http.StatusOK || len(core.Events()) != 1 {
			t.Errorf("answered %d", rec.Code)
		}
	})
}
