package livechatai

import (
	"fmt"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/livechatai/livechataitest"

	"github.com/google/go-cmp/cmp"
)

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
