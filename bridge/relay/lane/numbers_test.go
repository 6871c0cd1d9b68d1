package lane

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDesignSaysTheNumbers: docs/design.md has the numbers of the code.
func TestDesignSaysTheNumbers(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "docs", "design.md"))
	if err != nil {
		t.Fatal(err)
	}
	design := strings.Join(strings.Fields(string(text)), " ")
	words := map[int]string{2: "two", 3: "three", 4: "four", 5: "five", 8: "eight"}
	for _, want := range []string{
		fmt.Sprintf("at most %d entries in memory", laneWindow),
		fmt.Sprintf("%d %03d lanes are known at once", maxLanes/1000, maxLanes%1000),
		"when " + words[downAfter] + " deliveries in a row say so",
		"none got through for a second" + ifNot(downTime, time.Second),
		"after a second, then at pauses of at most " + words[int(ProbeBound/time.Second)] + ifNot(probeFirst, time.Second),
		"believed for " + words[int(MaxStop/time.Minute)] + " minutes at most",
		fmt.Sprintf("waits %d ms for it", gapWait.Milliseconds()),
		"after " + words[gapVain] + " such waits in vain",
		"after at least " + words[poisonTries] + " tries in at least a minute" + ifNot(poisonTime, time.Minute),
		"LivePerson: after " + pauses(retryPauses),
		"a channel: after " + pauses(channelPauses),
	} {
		if !strings.Contains(design, want) {
			t.Errorf("docs/design.md does not say %q", want)
		}
	}
}

// ifNot says that a number is not the one that is written out in words.
func ifNot(have, want time.Duration) string {
	if have == want {
		return ""
	}
	return " (the code has " + have.String() + ")"
}

// pauses are seconds and then minutes, as the table has them.
func pauses(list []time.Duration) string {
	var seconds, minutes []string
	for _, d := range list {
		if d < time.Minute {
			seconds = append(seconds, fmt.Sprint(int(d.Seconds())))
		} else {
			minutes = append(minutes, fmt.Sprint(int(d.Minutes())))
		}
	}
	return strings.Join(seconds, ", ") + " s, then " + strings.Join(minutes, ", ") + " min"
}
