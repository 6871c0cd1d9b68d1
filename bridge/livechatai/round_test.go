package livechatai

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/livechatai/livechataitest"

	"github.com/google/go-cmp/cmp"
)

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
