package main

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

// TestKilledWhileTyping: what an agent sees of typing must not outlive the
// process that was to end it, were that killed the moment LivePerson was told.
func TestKilledWhileTyping(t *testing.T) {
	for _, after := range []time.Duration{0, time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond, 50 * time.Millisecond} {
		t.Run(after.String(), func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			p := s.run(nil)
			s.post(p, message("a", "a1", "hello"))
			s.awaitTexts("a", "hello")
			s.wire.afterwards("COMPOSING", func() {
				time.Sleep(after)
				p.signal(syscall.SIGKILL)
			})
			s.post(p, typing("a", "composing"))
			<-p.ended
			s.agentSeesTyping("a", true)

			p = s.run(nil)
			s.agentSeesTyping("a", false)
			s.post(p, message("a", "a2", "still there"))
			s.awaitTexts("a", "hello", "still there")
			p.terminate()
			states := s.chatStates("a")
			if len(states) != 2 || states[0] != "COMPOSING" || states[1] == "COMPOSING" {
				t.Errorf("LivePerson was told %v, want COMPOSING and one end of it", states)
			}
		})
	}
}

// TestKilledWhileTypingAndLivePersonAway: the end of typing outlives a process
// that could not tell it, and comes without anybody writing.
func TestKilledWhileTypingAndLivePersonAway(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	s.post(p, typing("a", "composing"))
	s.agentSeesTyping("a", true)
	s.away(t, true)
	p.kill()
	p = s.run(nil)
	s.post(p, typing("a", "stopped"))
	p.terminate()
	p = s.run(nil)
	s.agentSeesTyping("a", true)
	s.away(t, false)
	s.agentSeesTyping("a", false)
	p.terminate()
}

// TestKilledWhileAnAgentTypes: neither must what a channel shows.
func TestKilledWhileAnAgentTypes(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	s.post(p, message("a", "a1", "hello"))
	s.awaitTexts("a", "hello")
	s.far.mu.Lock()
	s.far.taken = func(e farEvent) {
		if e.Typing.State == "composing" {
			p.signal(syscall.SIGKILL)
		}
	}
	s.far.mu.Unlock()
	conversation := s.conversations("a")[0].ConversationID
	if err := s.sim.AgentTyping(conversation, "COMPOSING", lpsim.Agent{}); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	p = s.run(nil)
	await(t, "the end of the agent's typing", func() bool {
		_, told := s.far.find(func(e farEvent) bool { return e.Thread == "a" && e.Typing.State == "stopped" })
		return told
	})
	p.terminate()
}

// TestTypingTable holds the sources and targets that docs/typing.md shows to
// what the adapters declare.
func TestTypingTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/typing.md")
	if err != nil {
		t.Fatal(err)
	}
	channels, err := exampleChannels()
	if err != nil {
		t.Fatal(err)
	}
	if want := typingTable(channels); !strings.Contains(string(page), "<!-- sides -->\n"+want+"\n") {
		t.Errorf("docs/typing.md does not have this table of sources and targets:\n%s", want)
	}
}

func typingTable(channels []bridge.Channel) string {
	var b strings.Builder
	b.WriteString("| | says | ends by itself after | held after a message | wants to be told | again every | hides after | pauses | persons |\n" +
		"|---|---|---|---|---|---|---|---|---|\n")
	row := func(name string, in bridge.TypingSource, out bridge.TypingTarget) {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s |\n", name,
			says(in), span(in.Hold), span(in.PhantomWindow), interval(out), span(out.Refresh), span(out.Expiry), yes(out.HasPaused), yes(out.PerPerson))
	}
	row("LivePerson", relay.AgentsTyping, relay.LivePersonTyping)
	for _, ch := range channels {
		row("`"+ch.Name+"`", ch.TypingIn, ch.TypingOut)
	}
	return b.String()
}

func says(in bridge.TypingSource) string {
	switch {
	case !in.Reported:
		return "nothing"
	case in.Repeats:
		return "and repeats; silence is a pause, and after as long again the end"
	case in.Sticky:
		return "once, and it stands"
	default:
		return "once"
	}
}

func interval(out bridge.TypingTarget) string {
	switch {
	case !out.Shown:
		return "never"
	case out.StopUnlimited:
		return "composing at most every " + span(out.MinInterval) + ", the rest at once"
	default:
		return "at most every " + span(out.MinInterval)
	}
}

func span(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return fmt.Sprint(d.Seconds(), " s")
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "-"
}
