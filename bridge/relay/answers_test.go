package relay

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge"
	"lpbridge/bridge/relay/lane"
	"lpbridge/connector"
)

var update = flag.Bool("update", false, "write the table of what happens into docs/answers.md")

const (
	answersFile  = "../../docs/answers.md"
	happensBegin = "<!-- what happens: made by go test ./bridge/relay -run TestWhatHappensIsDocumented -update -->\n"
	happensEnd   = "<!-- end of what happens -->\n"
)

// happens says what the engine does about a failed call, by asking it.
func happens(b *Bridge, kind bridge.Kind, err error) string {
	e := &bridge.Entry{
		Lane: bridge.LaneKey{Channel: "test", Thread: "t-1"}, ID: "e-1", Kind: kind, Accepted: time.Now(),
		Event: &bridge.Event{ID: "e-1", Kind: kind, Message: &bridge.Message{}, Receipt: &bridge.Receipt{}},
	}
	if kind == bridge.KindMessage && conversationRefused(err) {
		return "another conversation is found or opened, once, and it goes there"
	}
	v := b.judge(context.Background(), e, outcomeOfLivePerson(e, err), err)
	switch {
	case v.Final == bridge.Dead && len(v.Follow) > 0:
		return "dead letter, and the channel is told `failed`"
	case v.Final == bridge.Dead:
		return "dead letter"
	case v.Final == bridge.Done:
		return "given up, with a counter"
	case v.Outcome == bridge.Unknown && kind == bridge.KindMessage:
		return "in doubt: it waits for its echo; when more fail, all lanes wait and one probes"
	}
	return map[lane.Sign]string{
		lane.SaysThrottled: "again when LivePerson said; the limiter narrows, and it is no attempt",
		lane.SaysRefused:   "again; when more fail, all lanes wait and one probes until the credential is mended",
		lane.SaysDown:      "again after a pause; when more fail, all lanes wait and one probes",
		lane.SaysNothing:   "again after a pause",
		lane.SaysWell:      "again after a pause",
	}[v.Sign]
}

// TestWhatHappensIsDocumented holds the page of answers against the engine.
func TestWhatHappensIsDocumented(t *testing.T) {
	b := &Bridge{
		opts: Options{DeadLetterAfter: time.Hour}, metrics: newMetrics(prometheus.NewRegistry()), log: slog.New(slog.DiscardHandler),
		channels: map[string]bridge.Channel{"test": {Name: "test", Delivers: []bridge.Kind{bridge.KindReceipt}}},
	}
	var table strings.Builder
	table.WriteString("\n| outcome | scope | certainty | a message | anything else |\n|---|---|---|---|---|\n")
	seen := map[string]bool{}
	for _, rule := range connector.Rules() {
		err := &connector.Error{StatusCode: 400, Outcome: rule.Outcome, Scope: rule.Scope, Certainty: rule.Certainty}
		line := fmt.Sprintf("| %s | %s | %s | %s | %s |\n", rule.Outcome, rule.Scope, rule.Certainty,
			happens(b, bridge.KindMessage, err), happens(b, bridge.KindProfile, err))
		if !seen[line] {
			seen[line] = true
			table.WriteString(line)
		}
	}
	data, err := os.ReadFile(answersFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begins := strings.Cut(string(data), happensBegin)
	_, after, ends := strings.Cut(rest, happensEnd)
	if !begins || !ends {
		t.Fatal("the document has no room for the table")
	}
	wanted := before + happensBegin + table.String() + "\n" + happensEnd + after
	if *update {
		if err := os.WriteFile(answersFile, []byte(wanted), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(data) != wanted {
		t.Error("the table is out of date: go test ./bridge/relay -run TestWhatHappensIsDocumented -update")
	}
}
