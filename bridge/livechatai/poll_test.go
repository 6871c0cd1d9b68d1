package livechatai

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/livechatai/livechataitest"

	"github.com/google/go-cmp/cmp"
)

// polled is an adapter that a test polls as the core does.
type polled struct {
	*LiveChatAI
	t    *testing.T
	far  *livechataitest.Server
	core *bridgetest.Core
	log  *bytes.Buffer
}

// inBubble runs a test in fake time.
func inBubble(t *testing.T, change func(*Config), test func(t *testing.T, p *polled)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := &polled{t: t, far: livechataitest.New(), core: bridgetest.NewCore(), log: &bytes.Buffer{}}
		p.restart(change)
		test(t, p)
	})
}

// restart builds the adapter anew over the records there are.
func (p *polled) restart(change func(*Config)) {
	log := slog.New(slog.NewTextHandler(p.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p.LiveChatAI = adapterOf(p.t, p.far, p.core, log, change)
}

// round polls once and lets the pause pass.
func (p *polled) round() error {
	next, err := p.Poll(p.t.Context())
	time.Sleep(next)
	return err
}

// rounds polls for a while and fails when a round does.
func (p *polled) rounds(d time.Duration) {
	p.t.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		if err := p.round(); err != nil {
			p.t.Errorf("poll: %v", err)
		}
	}
}

// open begins a conversation that a person took over.
func (p *polled) open(id string) {
	p.far.Open(livechataitest.Conversation{ID: id, Agent: aiAgent, IsAgent: true, Contact: livechataitest.Contact{ID: "contact_of_" + id, Name: "Ana Silva"}})
}

// got lists what was accepted as "thread: text", and "thread: close".
func (p *polled) got() []string {
	var lines []string
	for _, e := range p.core.Events() {
		switch e.Kind {
		case bridge.KindMessage:
			lines = append(lines, string(e.Thread)+": "+e.Message.Text)
		default:
			lines = append(lines, string(e.Thread)+": "+string(e.Kind))
		}
	}
	return lines
}

func (p *polled) want(lines ...string) {
	p.t.Helper()
	if diff := cmp.Diff(lines, p.got()); diff != "" {
		p.t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestOnlyTakenOverConversations(t *testing.T) {
	for _, mode := range []string{takenOver, all} {
		inBubble(t, func(c *Config) { c.Conversations = mode }, func(t *testing.T, p *polled) {
			p.far.Open(livechataitest.Conversation{ID: "chat_1", Agent: aiAgent})
			p.far.Open(livechataitest.Conversation{ID: "chat_2", Agent: "another-agent", IsAgent: true})
			p.rounds(5 * time.Second)
			p.far.Say("chat_1", "for the AI")
			p.far.Say("chat_2", "for somebody else")
			p.rounds(30 * time.Second)
			if mode == all {
				p.want("chat_1: for the AI")
				return
			}
			p.want()
			p.far.Write("chat_1", livechataitest.Message{Role: "assistant", Content: "of the AI"})
			p.far.Change("chat_1", func(c *livechataitest.Conversation) { c.IsAgent = true })
			p.rounds(30 * time.Second)
			p.want("chat_1: for the AI")
			p.far.Change("chat_1", func(c *livechataitest.Conversation) { c.IsAgent = false })
			p.rounds(30 * time.Second)
			p.far.Say("chat_1", "for the AI again")
			p.rounds(30 * time.Second)
			p.want("chat_1: for the AI", "chat_1: close")
		})
	}
}

func TestEndsAreToldOnce(t *testing.T) {
	tests := map[string]func(p *polled){
		"resolved": func(p *polled) {
			p.far.Change("chat_1", func(c *livechataitest.Conversation) { c.IsResolved = true })
		},
		"gone": func(p *polled) { p.far.Remove("chat_1") },
	}
	for name, end := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, p *polled) {
				p.open("chat_1")
				p.rounds(5 * time.Second)
				p.far.Say("chat_1", "hello")
				p.rounds(20 * time.Second)
				end(p)
				p.rounds(5 * time.Second)
				p.want("chat_1: hello", "chat_1: close")
				p.rounds(5 * time.Minute)
				p.want("chat_1: hello", "chat_1: close")
			})
		})
	}
}

func TestResolvedConversationComesBack(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.rounds(5 * time.Second)
		for i := range 2 {
			p.far.Change("chat_1", func(c *livechataitest.Conversation) { c.IsResolved = false })
			p.far.Say("chat_1", fmt.Sprint("hello ", i))
			p.rounds(30 * time.Second)
			p.far.Change("chat_1", func(c *livechataitest.Conversation) { c.IsResolved = true })
			p.rounds(30 * time.Second)
		}
		p.want("chat_1: hello 0", "chat_1: close", "chat_1: hello 1", "chat_1: close")
		events := p.core.Events()
		if events[1].ID == events[3].ID {
			t.Error("two ends have one id")
		}
	})
}

// TestMessageAndEndBetweenTwoRounds keeps the visitor's last words.
func TestMessageAndEndBetweenTwoRounds(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.rounds(5 * time.Second)
		p.far.Say("chat_1", "hello")
		p.rounds(30 * time.Second)
		p.far.Say("chat_1", "bye")
		p.far.Change("chat_1", func(c *livechataitest.Conversation) { c.IsResolved = true })
		p.rounds(5 * time.Second)
		p.want("chat_1: hello", "chat_1: bye", "chat_1: close")
	})
}

func TestResolvedBeforeWeSawItIsNotOpened(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.rounds(5 * time.Second)
		p.open("chat_1")
		p.far.Say("chat_1", "hello")
		p.far.Change("chat_1", func(c *livechataitest.Conversation) { c.IsResolved = true })
		p.rounds(time.Minute)
		p.push(`{"type":"changed","conversationId":"chat_1"}`, 200)
		p.want()
	})
}

func TestRolesCanBeConfigured(t *testing.T) {
	inBubble(t, func(c *Config) { c.ConsumerRoles = []string{"visitor", "guest"} }, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.rounds(5 * time.Second)
		for _, role := range []string{"user", "visitor", "guest"} {
			p.far.Write("chat_1", livechataitest.Message{Role: role, Content: "of a " + role})
		}
		p.rounds(20 * time.Second)
		p.want("chat_1: of a visitor", "chat_1: of a guest")
	})
}

func TestVisitorsPictureIsAnAttachment(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.rounds(5 * time.Second)
		p.far.Write("chat_1", livechataitest.Message{Role: "user", Type: "IMAGE", Content: "https://f.example/a.png"})
		p.far.Write("chat_1", livechataitest.Message{Role: "user", Type: "IMAGE", Content: "file-7"})
		p.rounds(20 * time.Second)
		var got []bridge.Message
		for _, e := range p.core.Events() {
			got = append(got, *e.Message)
		}
		want := []bridge.Message{{Attachments: []bridge.Attachment{{URL: "https://f.example/a.png"}}}, {Text: "file-7", TypedChoice: true}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("messages (-want +got):\n%s", diff)
		}
	})
}

// TestEqualTimes has messages of one second, some written after that second was
// read, which moves no lastMessageDate.
func TestEqualTimes(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.far.WholeSeconds = true
		p.open("chat_1")
		p.rounds(5 * time.Second)
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
		p.far.Say("chat_1", "one")
		p.far.Say("chat_1", "two")
		if err := p.round(); err != nil {
			t.Fatal(err)
		}
		p.want("chat_1: one", "chat_1: two")
	})
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.far.WholeSeconds = true
		p.open("chat_1")
		p.rounds(5 * time.Second)
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
		p.far.Say("chat_1", "one")
		if _, err := p.Poll(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.far.Say("chat_1", "two of the same second")
		p.rounds(10 * time.Second)
		p.want("chat_1: one", "chat_1: two of the same second")
	})
}

func TestOrderIsThatOfWriting(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.rounds(5 * time.Second)
		now := time.Now().UTC()
		for i, m := range []livechataitest.Message{
			{Content: "3", Created: now.Add(2 * time.Second)}, {Content: "1", Created: now}, {Content: "2a", Created: now.Add(time.Second)},
			{Content: "2b", Created: now.Add(time.Second)},
		} {
			m.Role, m.ID = "user", fmt.Sprint("m", i)
			p.far.Write("chat_1", m)
		}
		time.Sleep(3 * time.Second)
		p.rounds(10 * time.Second)
		p.want("chat_1: 1", "chat_1: 2a", "chat_1: 2b", "chat_1: 3")
	})
}

// TestLateMessageIsNotLost has a message appear whose time lies before one that
// was read.
func TestLateMessageIsNotLost(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.rounds(5 * time.Second)
		written := time.Now().UTC()
		time.Sleep(5 * time.Second)
		p.far.Say("chat_1", "on time")
		p.rounds(5 * time.Second)
		p.far.Write("chat_1", livechataitest.Message{Role: "user", Content: "late", Created: written})
		p.far.Say("chat_1", "next")
		p.rounds(10 * time.Second)
		p.want("chat_1: on time", "chat_1: late", "chat_1: next")
	})
}

func TestUnknownRolesAreToldOnce(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.rounds(5 * time.Second)
		for _, role := range []string{"assistant", "assistant", "agent", "", "private-words of somebody", strings.Repeat("x", 40)} {
			p.far.Write("chat_1", livechataitest.Message{Role: role, Content: "private-hello"})
		}
		p.far.Write("chat_1", livechataitest.Message{Role: "user", Type: "TEXT"})
		p.rounds(time.Minute)
		p.want()
		if strings.Contains(p.log.String(), "private") || strings.Contains(p.log.String(), "xxxx") {
			t.Error("the log has words of a message or a role that is no name")
		}
		for _, word := range []string{"role=assistant", "role=agent", "role=none", "role=malformed"} {
			if n := strings.Count(p.log.String(), word+"\n"); n != 1 {
				t.Errorf("%s is told %d times, want once", word, n)
			}
		}
	})
}

// TestOwnRepliesAreKnownByTheirIds covers a vendor whose operators are "user" as
// well.
func TestOwnRepliesAreKnownByTheirIds(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.far.ReplyRole = "user"
		p.open("chat_1")
		p.rounds(5 * time.Second)
		p.far.Say("chat_1", "hello")
		p.rounds(5 * time.Second)
		if err := p.Deliver(t.Context(), agentMessage("d:1", "chat_1", "how can I help?")); err != nil {
			t.Fatal(err)
		}
		p.rounds(10 * time.Second)
		p.want("chat_1: hello")
	})
}

// TestReplyInFlight has a round between the moment LiveChatAI has a reply and
// the moment we know its id.
func TestReplyInFlight(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.far.ReplyRole = "user"
		p.open("chat_1")
		p.rounds(5 * time.Second)
		p.far.After(func(c livechataitest.Call) *livechataitest.Answer {
			if c.Verb == "reply" {
				p.far.Say("chat_1", "written meanwhile")
				if _, err := p.Poll(t.Context()); err != nil {
					t.Error(err)
				}
			}
			return nil
		})
		if err := p.Deliver(t.Context(), agentMessage("d:1", "chat_1", "how can I help?")); err != nil {
			t.Fatal(err)
		}
		p.want()
		p.rounds(10 * time.Second)
		p.want("chat_1: written meanwhile")
	})
}

// TestNoMessageMissedOrDoubled lets the far side fail at random while visitors
// write, and the adapter restart.
func TestNoMessageMissedOrDoubled(t *testing.T) {
	for seed := range uint64(8) {
		inBubble(t, nil, func(t *testing.T, p *polled) {
			rng := rand.New(rand.NewPCG(seed, 1))
			p.far.WholeSeconds = seed%2 == 0
			want := map[string][]string{}
			for i := range 5 {
				p.open(fmt.Sprint("chat_", i))
			}
			p.rounds(5 * time.Second)
			faults := []livechataitest.Answer{{Status: 500}, {Status: 429}, {Status: 429, RetryAfter: "3"}, {Lost: true}, {Status: 200, Body: "{"}}
			p.far.Before(func(livechataitest.Call) *livechataitest.Answer {
				if rng.IntN(4) == 0 {
					return &faults[rng.IntN(len(faults))]
				}
				return nil
			})
			for i := range 200 {
				id := fmt.Sprint("chat_", rng.IntN(5))
				text := fmt.Sprint(id, " ", i)
				p.far.Say(id, text)
				want[id] = append(want[id], text)
				switch rng.IntN(12) {
				case 0:
					p.restart(nil)
				case 1, 2, 3:
					_ = p.round()
				case 4:
					time.Sleep(time.Duration(rng.IntN(5000)) * time.Millisecond)
				}
			}
			p.far.Before(nil)
			time.Sleep(5 * time.Second)
			p.rounds(5 * time.Minute)
			got := map[string][]string{}
			for _, e := range p.core.Events() {
				got[string(e.Thread)] = append(got[string(e.Thread)], e.Message.Text)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("seed %d (-want +got):\n%s", seed, diff)
			}
		})
	}
}

func TestOldConversationsAreForgotten(t *testing.T) {
	inBubble(t, func(c *Config) { c.PollIdle = 5 * time.Minute }, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.open("chat_2")
		p.rounds(time.Minute)
		p.far.Say("chat_1", "hello")
		p.far.Say("chat_2", "hello")
		p.rounds(10 * time.Minute)
		p.far.Change("chat_1", func(c *livechataitest.Conversation) { c.IsResolved = true })
		p.rounds(32 * 24 * time.Hour)
		if _, err := p.core.Records().Find(t.Context(), conversationRecords, "chat_1"); err == nil {
			t.Error("a conversation that ended a month ago is still kept")
		}
		if _, err := p.core.Records().Find(t.Context(), conversationRecords, "chat_2"); err != nil {
			t.Errorf("an open conversation is forgotten: %v", err)
		}
		p.far.Change("chat_1", func(c *livechataitest.Conversation) { c.IsResolved = false })
		p.far.Say("chat_1", "back again")
		p.rounds(time.Hour)
		p.want("chat_1: hello", "chat_2: hello", "chat_1: close", "chat_1: back again")
	})
}

// TestOddAnswersCostNoMessage has ids that are numbers, times in seconds, and
// members of other types than documented.
func TestOddAnswersCostNoMessage(t *testing.T) {
	inBubble(t, func(c *Config) { c.Import = true }, func(t *testing.T, p *polled) {
		at := time.Now().Unix()
		list := fmt.Sprintf(`{"status":"success","data":{"conversations":[
			{"id":77,"isAgent":"true","contact":{"id":5,"name":["private"],"phone":351210000000,"attributes":"none"},"lastMessageDate":%d},
			{"isAgent":true}],"meta":{"total":"2","totalPages":1}}}`, at)
		conversation := fmt.Sprintf(`{"status":"success","data":{"id":77,"contactId":5,"isAgent":true,"messages":[
			{"id":1001,"content":"private one","role":"user","type":"TEXT","createdAt":%d},
			{"id":1002,"content":42,"role":"user","type":null,"createdAt":{}},
			{"content":"private without id","role":"user"},
			"private text"]}}`, at)
		p.far.Before(func(c livechataitest.Call) *livechataitest.Answer {
			if strings.Contains(c.Query, "agentId=") {
				return &livechataitest.Answer{Status: 200, Body: list}
			}
			return &livechataitest.Answer{Status: 200, Body: conversation}
		})
		p.rounds(30 * time.Second)
		p.want("77: private one", "77: 42")
		if e := p.core.Events(); len(e) == 0 || e[0].ID != "1001" || e[0].Consumer.ID != "5" || e[0].Consumer.Phone != "351210000000" {
			t.Errorf("events %+v", e)
		}
		log := p.log.String()
		if n := strings.Count(log, "level=WARN"); n != 6 || strings.Contains(log, "private") {
			t.Errorf("%d warnings, want each of 6 kinds once and nothing quoted:\n%s", n, log)
		}
		for _, reason := range []string{"member", "message", "conversation"} {
			if p.core.LeftOuts()[reason] == 0 {
				t.Errorf("no %s was counted", reason)
			}
		}
	})
}
