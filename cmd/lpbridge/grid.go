package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"lpbridge/bridge"
	"lpbridge/config"
)

// gridKinds are the kinds of event in the order of the grid's columns.
var gridKinds = []bridge.Kind{
	bridge.KindMessage, bridge.KindTyping, bridge.KindReceipt, bridge.KindClick, bridge.KindState,
	bridge.KindClose, bridge.KindReopen, bridge.KindProfile, bridge.KindRating,
}

// channelsCommand prints what every channel can do, as the code says it.
func channelsCommand(_ context.Context, env environment) error {
	channels, err := exampleChannels()
	if err != nil {
		return err
	}
	return writeGrid(env.stdout, channels)
}

// exampleChannels are the channels there are, and what each can do.
func exampleChannels() ([]bridge.Channel, error) {
	made, err := exampleAdapters()
	if err != nil {
		return nil, err
	}
	channels := make([]bridge.Channel, len(made))
	for i, a := range made {
		channels[i] = a.Channel()
	}
	return channels, nil
}

// exampleAdapters makes every adapter with its example of a configuration.
func exampleAdapters() ([]bridge.Adapter, error) {
	made := make([]bridge.Adapter, 0, len(adapters))
	for _, a := range adapters {
		l := config.NewLoader(envconfig.MapLookuper(a.example))
		build := a.load(l, bridge.Parts{Transport: newChannelTransport(1, false), UserAgent: userAgent(), Log: slog.New(slog.DiscardHandler), PublicURL: &url.URL{Scheme: "https", Host: "bridge.example"}})
		if err := l.Err(); err != nil {
			return nil, fmt.Errorf("example of %s: %w", a.name, err)
		}
		adapter, err := build(unusedCore{})
		if err != nil {
			return nil, fmt.Errorf("example of %s: %w", a.name, err)
		}
		made = append(made, adapter)
	}
	return made, nil
}

// writeGrid writes the grid: a column for each kind of event, two rows for each
// channel, one a direction.
func writeGrid(w io.Writer, channels []bridge.Channel) error {
	var b strings.Builder
	b.WriteString("| |")
	var rule strings.Builder
	rule.WriteString("\n| --- |")
	for _, kind := range gridKinds {
		fmt.Fprintf(&b, " %s |", kind)
		rule.WriteString(" --- |")
	}
	b.WriteString(rule.String() + "\n")
	for _, ch := range channels {
		fmt.Fprintf(&b, "| `%s` → LivePerson |", ch.Name)
		for _, kind := range gridKinds {
			fmt.Fprintf(&b, " %s |", reported(ch, kind))
		}
		fmt.Fprintf(&b, "\n| LivePerson → `%s` |", ch.Name)
		for _, kind := range gridKinds {
			fmt.Fprintf(&b, " %s |", delivered(ch, kind))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func reported(ch bridge.Channel, kind bridge.Kind) string {
	switch {
	case kind == bridge.KindTyping && ch.TypingIn.Reported && ch.TypingIn.Repeats:
		return "yes, ends after " + seconds(ch.TypingIn.Hold) + " of silence"
	case kind == bridge.KindTyping && ch.TypingIn.Reported:
		return "yes, held for " + seconds(ch.TypingIn.Hold)
	case slices.Contains(ch.Reports, kind):
		return "yes"
	}
	return "–"
}

func delivered(ch bridge.Channel, kind bridge.Kind) string {
	switch {
	case kind == bridge.KindTyping && ch.TypingOut.Shown && ch.TypingOut.Refresh > 0:
		return "yes, repeated every " + seconds(ch.TypingOut.Refresh)
	case kind == bridge.KindTyping && ch.TypingOut.Shown, slices.Contains(ch.Delivers, kind):
		return "yes"
	}
	return "–"
}

// seconds writes a duration of the grid, all of which are short.
func seconds(d time.Duration) string {
	return strconv.FormatFloat(d.Seconds(), 'g', -1, 64) + " s"
}
