package livechatai

import (
	"bytes"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
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

func TestFirstRunBeginsNow(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.far.Say("chat_1", "before")
		p.rounds(10 * time.Second)
		p.far.Say("chat_1", "after")
		p.open("chat_2")
		p.far.Say("chat_2", "first")
		p.rounds(30 * time.Second)
		p.want("chat_1: after", "chat_2: first")
		e := p.core.Events()[0]
		want := &bridge.Consumer{ID: "contact_of_chat_1", FirstName: "Ana Silva"}
		if diff := cmp.Diff(want, e.Consumer); diff != "" {
			t.Errorf("consumer (-want +got):\n%s", diff)
		}
	})
}

// TestFirstRunThatFailsBeginsAtItsStart has the first list fail: what is
// written before the second try is new.
func TestFirstRunThatFailsBeginsAtItsStart(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.far.Say("chat_1", "before")
		p.far.Before(func(livechataitest.Call) *livechataitest.Answer { return &livechataitest.Answer{Status: 500} })
		time.Sleep(time.Second)
		if err := p.round(); err == nil {
			t.Error("a round over a list of 500 does not fail")
		}
		p.far.Before(nil)
		p.far.Say("chat_1", "between")
		p.rounds(10 * time.Second)
		p.want("chat_1: between")
	})
}

func TestImportTakesWhatIsThere(t *testing.T) {
	inBubble(t, func(c *Config) { c.Import = true }, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.far.Say("chat_1", "one")
		time.Sleep(72 * time.Hour)
		p.far.Say("chat_1", "two")
		p.rounds(10 * time.Second)
		p.want("chat_1: one", "chat_1: two")
	})
}

func TestRestartGoesOnWhereItWas(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.rounds(5 * time.Second)
		p.far.Say("chat_1", "one")
		p.rounds(20 * time.Second)
		for day := range 5 {
			p.far.Say("chat_1", fmt.Sprint("while away ", day))
			time.Sleep(24 * time.Hour)
		}
		p.restart(nil)
		p.far.ForgetCalls()
		p.rounds(30 * time.Second)
		p.want("chat_1: one", "chat_1: while away 0", "chat_1: while away 1", "chat_1: while away 2", "chat_1: while away 3", "chat_1: while away 4")
		reads := len(p.far.Calls("read"))
		p.restart(nil)
		p.rounds(30 * time.Second)
		if again := len(p.far.Calls("read")) - reads; again != 0 {
			t.Errorf("%d conversations read again without news", again)
		}
	})
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
		want := []bridge.Message{{Attachments: []bridge.Attachment{{URL: "https://f.example/a.png"}}}, {Text: "file-7"}}
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

func TestPaceFollowsTraffic(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_1")
		next := func() time.Duration {
			d, err := p.Poll(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return d
		}
		if d := next(); d < 10*time.Second || d > 15*time.Second {
			t.Errorf("idle pause %s", d)
		}
		p.far.Say("chat_1", "hello")
		time.Sleep(time.Second)
		if d := next(); d < 2*time.Second || d > 3*time.Second {
			t.Errorf("busy pause %s", d)
		}
		time.Sleep(busyFor)
		if d := next(); d < 10*time.Second {
			t.Errorf("pause after traffic %s", d)
		}
		if err := p.Deliver(t.Context(), agentMessage("d:1", "chat_1", "hi")); err != nil {
			t.Fatal(err)
		}
		if d := next(); d > 3*time.Second {
			t.Errorf("pause after a reply %s", d)
		}
	})
}

func TestBackOff(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		answer := &livechataitest.Answer{Status: 503}
		p.far.Before(func(livechataitest.Call) *livechataitest.Answer { return answer })
		var last time.Duration
		for range 10 {
			next, err := p.Poll(t.Context())
			if err == nil {
				t.Fatal("a list of 503 is no error")
			}
			if next < last-maxBackOff/5 || next > maxBackOff {
				t.Errorf("pause %s after %s", next, last)
			}
			last = next
			time.Sleep(next)
		}
		if last < maxBackOff*4/5 {
			t.Errorf("last pause %s, want about %s", last, maxBackOff)
		}
		answer = &livechataitest.Answer{Status: 429, RetryAfter: "180"}
		next, err := p.Poll(t.Context())
		if err == nil || next < 3*time.Minute-maxBackOff/5*3 {
			t.Errorf("pause %s after Retry-After of 180 s, error %v", next, err)
		}
		calls := len(p.far.Calls())
		if again, err := p.Poll(t.Context()); err != nil || again <= 0 || len(p.far.Calls()) != calls {
			t.Errorf("a round before Retry-After has passed makes calls")
		}
		p.far.Before(nil)
		time.Sleep(3 * time.Minute)
		p.rounds(20 * time.Second)
	})
}

// TestOneBadConversationHoldsUpNoOther has one that always fails, and heals.
func TestOneBadConversationHoldsUpNoOther(t *testing.T) {
	for name, bad := range map[string]livechataitest.Answer{
		"500": {Status: 500}, "403": {Status: 403}, "nonsense": {Status: 200, Body: "<html>"}, "lost": {Lost: true},
		"another's": {Status: 200, Body: `{"data":{"id":"chat_9"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, p *polled) {
				p.open("chat_1")
				p.open("chat_2")
				p.rounds(5 * time.Second)
				broken := true
				p.far.Before(func(c livechataitest.Call) *livechataitest.Answer {
					if broken && c.Verb == "read" && c.Conversation == "chat_1" {
						return &bad
					}
					return nil
				})
				p.far.Say("chat_1", "bad")
				p.far.Say("chat_2", "good")
				p.rounds(time.Hour)
				p.want("chat_2: good")
				if reads := len(p.far.Calls("read")); reads > 80 {
					t.Errorf("%d reads in an hour: no pause after a failure", reads)
				}
				broken = false
				p.rounds(2 * time.Minute)
				p.want("chat_2: good", "chat_1: bad")
				if n := strings.Count(p.log.String(), "cannot be read"); n != 1 {
					t.Errorf("the failure is told %d times, want once", n)
				}
			})
		})
	}
}

func TestCoreThatIsBusyLosesNothing(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_1")
		p.rounds(5 * time.Second)
		p.far.Say("chat_1", "hello")
		p.core.Refuse(bridge.ErrBusy)
		for range 3 {
			if err := p.round(); err == nil {
				t.Error("no error although the core takes nothing")
			}
		}
		p.core.Refuse(nil)
		p.rounds(10 * time.Second)
		p.want("chat_1: hello")
	})
}

// TestManyConversations walks several pages while the list moves under it.
func TestManyConversations(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		for i := range 350 {
			p.open(fmt.Sprintf("chat_%03d", i))
		}
		p.rounds(15 * time.Second)
		time.Sleep(5 * time.Minute)
		var want []string
		for i := range 350 {
			p.far.Say(fmt.Sprintf("chat_%03d", 349-i), "hello")
			time.Sleep(10 * time.Second)
			want = append(want, fmt.Sprintf("chat_%03d: hello", i))
		}
		pages := 0
		p.far.After(func(c livechataitest.Call) *livechataitest.Answer {
			if c.Verb == "list" && pages < 3 {
				// One of the first page goes, so that one of the next page slips to it.
				p.far.Change(fmt.Sprintf("chat_%03d", pages), func(c *livechataitest.Conversation) { c.IsResolved = true })
				pages++
			}
			return nil
		})
		p.rounds(time.Minute)
		got := p.got()
		slices.Sort(got)
		// The three that were resolved before they were read are nobody's.
		got = slices.DeleteFunc(got, func(s string) bool { return s < "chat_003" })
		if diff := cmp.Diff(want[3:], got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	})
}

// TestOldOpenConversationIsStillWatched resolves one that is on no page that is
// read any more.
func TestOldOpenConversationIsStillWatched(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, p *polled) {
		p.open("chat_old")
		p.rounds(5 * time.Second)
		p.far.Say("chat_old", "hello")
		p.rounds(20 * time.Second)
		time.Sleep(time.Hour)
		for i := range 150 {
			p.open(fmt.Sprintf("chat_%03d", i))
		}
		p.rounds(time.Minute)
		p.want("chat_old: hello")
		p.far.Change("chat_old", func(c *livechataitest.Conversation) { c.IsResolved = true })
		p.rounds(time.Minute)
		p.want("chat_old: hello", "chat_old: close")
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
