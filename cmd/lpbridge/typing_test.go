package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/relay"
)

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
