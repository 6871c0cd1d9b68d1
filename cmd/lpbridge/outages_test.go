package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"lpbridge/bridge"
	"lpbridge/connector/lpsim"
)

// TestOutagesOfLivePerson: whichever of LivePerson's services is away, an operator sees
// that something is, since when and why, and one line says so at either end; all is
// delivered afterwards.
func TestOutagesOfLivePerson(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		api lpsim.API
		// known says that the consumer has a token and a conversation from before.
		known bool
		begin string
		end   string
	}{
		{lpsim.SendAPI, true, "the far side is not well, deliveries wait", "the far side is well again"},
		{lpsim.SendAPI, false, "the far side is not well, deliveries wait", "the far side is well again"},
		{lpsim.ConversationAPI, false, "LivePerson gives no tokens or conversations, consumers who have none wait", "LivePerson gives tokens and conversations again"},
		{lpsim.IDPAPI, false, "LivePerson gives no tokens or conversations, consumers who have none wait", "LivePerson gives tokens and conversations again"},
		{lpsim.SentinelAPI, false, "the far side is not well, deliveries wait", "the far side is well again"},
		{lpsim.DomainAPI, false, "the far side is not well, deliveries wait", "the far side is well again"},
	} {
		for _, status := range []int{http.StatusServiceUnavailable, http.StatusInternalServerError} {
			t.Run(fmt.Sprintf("%s answers %d, known %t", tc.api, status, tc.known), func(t *testing.T) {
				t.Parallel()
				s := newStage(t)
				away := lpsim.Faults{ErrorRate: lpsim.Rates{tc.api: 1}, ErrorStatus: status}
				var p *process
				if tc.known {
					p = s.run(nil)
					s.post(p, message("a", "a1", "one"))
					s.awaitTexts("a", "one")
				}
				if err := s.sim.SetFaults(away); err != nil {
					t.Fatal(err)
				}
				if p == nil {
					// What is known from before would do for a while.
					p = s.run(nil)
				}
				for n := range 4 {
					s.post(p, message(fmt.Sprint("t", n), fmt.Sprint("m", n), "two"))
				}
				s.post(p, message("a", "a2", "two"))
				flow := p.status(t).LivePerson
				await(t, "a state that is not well", func() bool {
					flow = p.status(t).LivePerson
					return flow.State != "well"
				})
				if flow.LastError == "" || flow.Since.IsZero() || flow.OldestWaiting.IsZero() {
					t.Errorf("the status says %+v", flow)
				}
				metrics := get(t, p.admin+"/metrics").body
				if !strings.Contains(metrics, `lpbridge_far_side_state{far_side="liveperson",state="well"} 0`+"\n") {
					t.Error("the gauge says that LivePerson is well")
				}
				p.awaitLine(tc.begin)
				if err := s.sim.SetFaults(lpsim.Faults{}); err != nil {
					t.Fatal(err)
				}
				await(t, "all messages", func() bool {
					for n := range 4 {
						if len(s.texts(fmt.Sprint("t", n))) != 1 {
							return false
						}
					}
					return true
				})
				await(t, "a state that is well", func() bool { return p.status(t).LivePerson.State == "well" })
				if line := p.awaitLine(tc.end); line["level"] != "WARN" {
					t.Errorf("logged %v", line)
				}
				p.terminate()
				for _, msg := range []string{tc.begin, tc.end} {
					if n := strings.Count(p.stderr.String(), msg); n != 1 {
						t.Errorf("%q is logged %d times", msg, n)
					}
				}
			})
		}
	}
}

// TestOutagesOfChannels: the same for each channel's own system, and none of them is
// taken for another.
func TestOutagesOfChannels(t *testing.T) {
	t.Parallel()
	x := newEveryChannel(t, nil)
	state := func(channel string) bridge.FlowStatus {
		for _, c := range x.p.status(t).Channels {
			if c.Name == channel {
				return c.Flow
			}
		}
		t.Fatalf("there is no channel %s", channel)
		return bridge.FlowStatus{}
	}
	x.far.refuseWith(http.StatusServiceUnavailable)
	x.failing.Store(http.StatusBadGateway)
	called := []string{"webhook", "chatwoot", "livechatai"}
	for n := range 4 {
		for _, p := range x.parties {
			if _, err := x.sim.AgentMessage(p.conversation, lpsim.AgentMessage{Text: fmt.Sprint("answer ", n)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, channel := range called {
		await(t, "that "+channel+" is down", func() bool { return state(channel).State == "down" })
		flow := state(channel)
		if flow.LastError == "" || flow.Since.IsZero() || flow.OldestWaiting.IsZero() {
			t.Errorf("the status of %s says %+v", channel, flow)
		}
	}
	metrics := get(t, x.p.admin+"/metrics").body
	for _, p := range x.parties {
		down := slices.Contains(called, p.channel)
		well := map[bool]string{true: "0", false: "1"}[down]
		if !strings.Contains(metrics, `lpbridge_far_side_state{far_side="`+p.channel+`",state="well"} `+well+"\n") {
			t.Errorf("the gauge of %s is not %s", p.channel, well)
		}
	}
	if got := x.p.status(t).LivePerson.State; got != "well" {
		t.Errorf("LivePerson is %s", got)
	}
	x.far.refuseWith(0)
	x.failing.Store(0)
	for _, channel := range called {
		await(t, "that "+channel+" is well", func() bool { return state(channel).State == "well" })
	}
	for _, p := range x.parties {
		await(t, "all answers on "+p.channel, func() bool { return len(p.shown()) >= 4 })
	}
	x.p.terminate()
	for _, channel := range called {
		for _, msg := range []string{"the far side is not well, deliveries wait", "the far side is well again"} {
			n := 0
			for line := range strings.Lines(x.p.stderr.String()) {
				if strings.Contains(line, msg) && strings.Contains(line, `"far_side":"`+channel+`"`) {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%q of %s is logged %d times", msg, channel, n)
			}
		}
	}
}
