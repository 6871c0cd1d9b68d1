package livechatai

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"lpbridge/bridge/livechatai/livechataitest"
)

// TestPushOfAnOldConversation does not bring up what was said long before.
func TestPushOfAnOldConversation(t *testing.T) {
	inBubble(t, func(c *Config) { c.PollIdle = 5 * time.Minute }, func(t *testing.T, p *polled) {
		p.rounds(5 * time.Second)
		p.open("chat_1")
		p.far.Change("chat_1", func(c *livechataitest.Conversation) { c.IsAgent = false })
		p.far.Say("chat_1", "long ago")
		p.rounds(72 * time.Hour)
		p.far.Change("chat_1", func(c *livechataitest.Conversation) { c.IsAgent = true })
		p.far.Say("chat_1", "for a person")
		id := p.far.Say("chat_1", "hello?")
		p.push(fmt.Sprintf(`{"type":"message","conversationId":"chat_1","messageId":%q,"text":"hello?"}`, id), 200)
		p.rounds(time.Minute)
		p.want("chat_1: hello?", "chat_1: for a person")
	})
}

func TestRecordedPushIsRefusedLater(t *testing.T) {
	l, core := newAdapter(t, livechataitest.New(), nil)
	for age, status := range map[time.Duration]int{
		0: 200, tolerance - 10*time.Second: 200, tolerance + 10*time.Second: 401, 24 * time.Hour: 401, -tolerance - 10*time.Second: 401,
	} {
		rec := httptest.NewRecorder()
		l.Routes()[0].Handler.ServeHTTP(rec, pushRequest(pushedMessage, time.Now().Add(-age)))
		if rec.Code != status {
			t.Errorf("a push of %v ago: %d, want %d", age, rec.Code, status)
		}
	}
	if n := len(core.Events()); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestPushAndPollMakeOneEvent(t *testing.T) {
	for _, first := range []string{"push", "poll"} {
		t.Run(first+" first", func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, p *polled) {
				p.open("chat_1")
				p.far.Say("chat_1", "old")
				p.rounds(5 * time.Second)
				if first == "push" {
					p.far.Say("chat_1", "missed by the pusher")
				}
				time.Sleep(2 * time.Minute)
				id := p.far.Say("chat_1", "hello")
				body := fmt.Sprintf(`{"type":"message","conversationId":"chat_1","messageId":%q,"text":"hello"}`, id)
				if first == "poll" {
					p.rounds(5 * time.Second)
				}
				p.push(body, 200)
				p.rounds(30 * time.Second)
				want := []string{"chat_1: hello"}
				if first == "push" {
					want = append(want, "chat_1: missed by the pusher")
				}
				p.want(want...)
			})
		})
	}
}

func (p *polled) push(body string, status int) {
	p.t.Helper()
	rec := httptest.NewRecorder()
	p.Routes()[0].Handler.ServeHTTP(rec, pushRequest(body, time.Now()))
	if rec.Code != status {
		p.t.Errorf("push is answered %d %s, want %d", rec.Code, rec.Body, status)
	}
}

// TestEndOfAPushedConversationIsNoticed has one that the AI still answers, so
// that polling would not look at it, and also restarts.
func TestEndOfAPushedConversationIsNoticed(t *testing.T) {
	for _, restart := range []bool{false, true} {
		inBubble(t, nil, func(t *testing.T, p *polled) {
			p.far.Open(livechataitest.Conversation{ID: "chat_1", Agent: aiAgent})
			p.rounds(5 * time.Second)
			id := p.far.Say("chat_1", "hello")
			p.push(fmt.Sprintf(`{"type":"message","conversationId":"chat_1","messageId":%q,"text":"hello"}`, id), 200)
			p.rounds(time.Minute)
			p.far.Say("chat_1", "not pushed, for the AI")
			if restart {
				p.restart(nil)
			}
			p.rounds(time.Minute)
			p.want("chat_1: hello")
			p.far.Change("chat_1", func(c *livechataitest.Conversation) { c.IsResolved = true })
			p.rounds(time.Minute)
			p.want("chat_1: hello", "chat_1: close")
		})
	}
}

func TestHintReadsAtOnce(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.rounds(5 * time.Second)
		p.far.Say("chat_1", "hello")
		const hint = `{"type":"changed","conversationId":"chat_1"}`
		p.far.Before(func(livechataitest.Call) *livechataitest.Answer {
			return &livechataitest.Answer{Status: 429, RetryAfter: "20"}
		})
		p.push(hint, http.StatusServiceUnavailable)
		p.far.Before(nil)
		p.want()
		p.push(hint, 200)
		p.push(hint, 200)
		p.want("chat_1: hello")
		p.far.Change("chat_1", func(c *livechataitest.Conversation) { c.IsResolved = true })
		p.push(hint, 200)
		p.want("chat_1: hello", "chat_1: close")
		p.push(`{"type":"changed","conversationId":"chat_unknown"}`, 200)
		time.Sleep(time.Minute)
		p.rounds(time.Minute)
		p.want("chat_1: hello", "chat_1: close")
	})
}
