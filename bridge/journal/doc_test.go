package journal

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
)

// TestSettlementsThatWait: a settlement rides along with what comes next, also when
// somebody is told of it, but not when its lane waits for it.
func TestSettlementsThatWait(t *testing.T) {
	told := func(error) {}
	for _, c := range []struct {
		name   string
		s      bridge.Settlement
		urgent bool
	}{
		{"nobody waits", bridge.Settlement{Seq: 1}, false},
		{"somebody is told", bridge.Settlement{Seq: 1, Durable: told}, false},
		{"the lane waits", bridge.Settlement{Seq: 1, Next: 2}, true},
		{"the lane waits and somebody is told", bridge.Settlement{Seq: 1, Next: 2, Durable: told}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWriter(nil)
			j := &Journal{access: access{w: w}}
			before := time.Now()
			j.Settle(c.s)
			if w.urgent != c.urgent {
				t.Fatalf("urgent %v, want %v", w.urgent, c.urgent)
			}
			if !c.urgent && (w.due.Before(before.Add(settlePatience)) || w.due.After(time.Now().Add(settlePatience))) {
				t.Errorf("due %v after the call, want %v", w.due.Sub(before), settlePatience)
			}
		})
	}
}

// TestPackageCommentSaysTheNumbers: those of doc.go are those of the code.
func TestPackageCommentSaysTheNumbers(t *testing.T) {
	text, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	comment := strings.Join(strings.Fields(strings.ReplaceAll(string(text), "\n//", "\n")), " ")
	words := map[time.Duration]string{
		time.Hour: "an hour", 12 * time.Hour: "twelve hours", 72 * time.Hour: "three days", 30 * 24 * time.Hour: "30 days", 365 * 24 * time.Hour: "a year",
	}
	for _, want := range []string{
		fmt.Sprintf("committed by itself after %d ms", settlePatience.Milliseconds()),
		fmt.Sprintf("the end of a composing mark after %d ms", markPatience.Milliseconds()),
		"at most " + words[maxAbsence] + " count",
		"within " + words[purgeEvery] + " after their retention",
		"the ledger: " + words[ledgerRetention] + " after the message was delivered",
		"unclaimed changes: after " + words[unclaimedRetention],
		"nothing was heard of them: after " + words[longRetention],
	} {
		if !strings.Contains(comment, want) {
			t.Errorf("doc.go does not say %q", want)
		}
	}
	if purgeEvery != time.Hour || keysEvery != 12*time.Hour {
		t.Errorf("old rows are looked for every %v and %v; doc.go says once an hour and twice a day", purgeEvery, keysEvery)
	}
}
