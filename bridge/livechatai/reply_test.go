package livechatai

import (
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/livechatai/livechataitest"

	"github.com/google/go-cmp/cmp"
)

// lose has the answer of the first reply lost after the reply was written.
func lose(far *livechataitest.Server) {
	lost := false
	far.After(func(c livechataitest.Call) *livechataitest.Answer {
		if c.Verb == "reply" && !lost {
			lost = true
			return &livechataitest.Answer{Lost: true}
		}
		return nil
	})
}

// try delivers as the core does: after an unknown end it asks first.
func (p *polled) try(e *bridge.Event, doubtful bool) bridge.Outcome {
	p.t.Helper()
	if doubtful {
		arrived, err := p.Settled(p.t.Context(), e)
		if err != nil {
			d, ok := asDelivery(err)
			if !ok {
				p.t.Fatalf("Settled: a %T", err)
			}
			return d.Outcome
		}
		if arrived {
			return bridge.Delivered
		}
	}
	err := p.Deliver(p.t.Context(), e)
	if err == nil {
		return bridge.Delivered
	}
	d, ok := asDelivery(err)
	if !ok {
		p.t.Fatalf("Deliver: a %T", err)
	}
	return d.Outcome
}

func (p *polled) outcome(what string, got, want bridge.Outcome) {
	p.t.Helper()
	if got != want {
		p.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func (p *polled) wantMessages(id string, lines ...string) {
	p.t.Helper()
	if diff := cmp.Diff(lines, p.far.Messages(id)); diff != "" {
		p.t.Errorf("messages (-want +got):\n%s", diff)
	}
}

func TestLostAnswerIsSettledByReading(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_1")
		lose(p.far)
		e := agentMessage("d:1", "chat_1", "ok")
		p.outcome("first try", p.try(e, false), bridge.Unknown)
		time.Sleep(5 * time.Second)
		p.outcome("second try", p.try(e, true), bridge.Delivered)
		p.outcome("asked once more", p.try(e, true), bridge.Delivered)
		p.wantMessages("chat_1", "agent: ok")
	})
}

func TestLostRequestIsSentAgain(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.far.Write("chat_1", livechataitest.Message{Role: "agent", Content: "ok"})
		time.Sleep(2 * time.Minute)
		p.far.Say("chat_1", "ok")
		p.far.Before(func(c livechataitest.Call) *livechataitest.Answer { return &livechataitest.Answer{Lost: true} })
		e := agentMessage("d:1", "chat_1", "ok")
		p.outcome("first try", p.try(e, false), bridge.Unknown)
		p.outcome("far side still away", p.try(e, true), bridge.Unknown)
		p.far.Before(nil)
		p.outcome("third try", p.try(e, true), bridge.Delivered)
		// Neither the older one nor the visitor's is taken for ours.
		p.wantMessages("chat_1", "agent: ok", "user: ok", "agent: ok")
	})
}

// TestSameWordsTwice has the second of two equal messages lost: the first is not
// taken for it, also after a restart.
func TestSameWordsTwice(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.outcome("first", p.try(agentMessage("d:1", "chat_1", "ok"), false), bridge.Delivered)
		p.far.Before(func(c livechataitest.Call) *livechataitest.Answer { return &livechataitest.Answer{Lost: true} })
		second := agentMessage("d:2", "chat_1", "ok")
		p.outcome("second", p.try(second, false), bridge.Unknown)
		p.far.Before(nil)
		p.restart(nil)
		p.outcome("second again", p.try(second, true), bridge.Delivered)
		p.wantMessages("chat_1", "agent: ok", "agent: ok")
	})
}

func TestLostAnswerOfAPart(t *testing.T) {
	inBubble(t, func(c *Config) { c.Images = imagesAsImage }, func(t *testing.T, p *polled) {
		p.open("chat_1")
		lose(p.far)
		e := agentMessage("d:1", "chat_1", "look")
		e.Message.Attachments = []bridge.Attachment{{URL: "https://f.example/a.png", ContentType: "image/png"}}
		p.outcome("first try", p.try(e, false), bridge.Unknown)
		p.outcome("second try", p.try(e, true), bridge.Delivered)
		p.wantMessages("chat_1", "agent: look", "agent: https://f.example/a.png")
	})
}

func TestSettlingKeepsTheDoubt(t *testing.T) {
	for name, answer := range map[string]livechataitest.Answer{
		"429": {Status: 429, RetryAfter: "30"}, "500": {Status: 500}, "401": {Status: 401}, "nonsense": {Status: 200, Body: "{"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, p *polled) {
				p.open("chat_1")
				lose(p.far)
				e := agentMessage("d:1", "chat_1", "ok")
				p.outcome("first try", p.try(e, false), bridge.Unknown)
				p.far.Before(func(livechataitest.Call) *livechataitest.Answer { return &answer })
				p.outcome("second try", p.try(e, true), bridge.Unknown)
				calls := len(p.far.Calls())
				p.outcome("third try", p.try(e, true), bridge.Unknown)
				if name == "429" && len(p.far.Calls()) != calls {
					t.Error("a call was made before Retry-After had passed")
				}
				p.far.Before(nil)
				time.Sleep(30 * time.Second)
				p.outcome("fourth try", p.try(e, true), bridge.Delivered)
				p.wantMessages("chat_1", "agent: ok")
			})
		})
	}
}

func TestGoneConversationIsSettled(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_1")
		lose(p.far)
		e := agentMessage("d:1", "chat_1", "ok")
		p.outcome("first try", p.try(e, false), bridge.Unknown)
		p.far.Remove("chat_1")
		p.outcome("second try", p.try(e, true), bridge.Invalid)
	})
}

func closed(thread string) *bridge.Event {
	return &bridge.Event{
		ID: "state:1", Kind: bridge.KindState, Thread: bridge.ThreadID(thread), Time: time.Now(),
		State: &bridge.State{Conversation: bridge.StateClosed, By: "agent"},
	}
}

func TestCloseByLivePersonResolves(t *testing.T) {
	inBubble(t, func(c *Config) { c.UserID = "user_0" }, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.rounds(5 * time.Second)
		p.far.Say("chat_1", "hello")
		p.rounds(20 * time.Second)
		for _, s := range []bridge.ConversationState{bridge.StateOpen, bridge.StateJoined, bridge.StateTransferred, bridge.StateSurvey} {
			e := closed("chat_1")
			e.State.Conversation = s
			p.outcome(string(s), p.try(e, false), bridge.Delivered)
		}
		if p.far.Resolved("chat_1") {
			t.Fatal("resolved before the close")
		}
		e := closed("chat_1")
		p.outcome("close", p.try(e, false), bridge.Delivered)
		p.outcome("close again", p.try(e, true), bridge.Delivered)
		p.rounds(5 * time.Minute)
		p.want("chat_1: hello")
		ends := p.far.Calls("end")
		if len(ends) != 1 || ends[0].Body != `{"userId":"user_0"}` {
			t.Errorf("ends: %+v, want one by user_0", ends)
		}
	})
}

func TestClosesThatAreNotPassedOn(t *testing.T) {
	tests := map[string]struct {
		change func(*Config)
		before func(p *polled, e *bridge.Event)
	}{
		"switched off":                  {change: func(c *Config) { c.KeepOpen = true }},
		"the visitor has written since": {before: func(p *polled, _ *bridge.Event) { p.far.Say("chat_1", "wait"); p.rounds(5 * time.Second) }},
		"it was resolved already": {before: func(p *polled, _ *bridge.Event) {
			p.far.Change("chat_1", func(c *livechataitest.Conversation) { c.IsResolved = true })
			p.rounds(5 * time.Second)
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, tt.change, func(t *testing.T, p *polled) {
				p.open("chat_1")
				p.rounds(5 * time.Second)
				p.far.Say("chat_1", "hello")
				p.rounds(20 * time.Second)
				e := closed("chat_1")
				time.Sleep(time.Second)
				if tt.before != nil {
					tt.before(p, e)
				}
				p.outcome("close", p.try(e, false), bridge.Delivered)
				if n := len(p.far.Calls("end")); n != 0 {
					t.Errorf("%d ends", n)
				}
			})
		})
	}
}

func TestEndsThatFail(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.outcome("unknown conversation", p.try(closed("chat_1"), false), bridge.Delivered)
		p.far.Before(func(livechataitest.Call) *livechataitest.Answer { return &livechataitest.Answer{Status: 500} })
		p.outcome("500", p.try(closed("chat_1"), false), bridge.Unknown)
	})
}
