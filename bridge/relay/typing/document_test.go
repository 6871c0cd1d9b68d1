package typing

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestDocument holds docs/typing.md to the tables and numbers of this package.
func TestDocument(t *testing.T) {
	page, err := os.ReadFile("../../../docs/typing.md")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"life": lifeTable(), "combinations": combinationTable(), "intervals": intervalTable(),
	} {
		if diff := cmp.Diff(want, tableOf(string(page), name)); diff != "" {
			t.Errorf("docs/typing.md, %s (-code +page):\n%s\nThe code says\n%s", name, diff, want)
		}
	}
}

// tableOf is the table that follows a comment of a name.
func tableOf(page, name string) string {
	_, rest, _ := strings.Cut(page, "<!-- "+name+" -->\n")
	var b strings.Builder
	for line := range strings.Lines(rest) {
		if !strings.HasPrefix(line, "|") {
			break
		}
		b.WriteString(line)
	}
	return b.String()
}

func lifeTable() string {
	var b strings.Builder
	b.WriteString("| from | to | when |\n|---|---|---|\n")
	for _, t := range life {
		fmt.Fprintf(&b, "| %v | %v | %s |\n", t.from, t.to, t.when)
	}
	return b.String()
}

func combinationTable() string {
	var b strings.Builder
	b.WriteString("| state | call | what may be shown |\n|---|---|---|\n")
	for _, c := range combinations {
		fmt.Fprintf(&b, "| %v | %v | %s |\n", c.state, c.call, strings.Trim(fmt.Sprint(c.shows), "[]"))
	}
	return b.String()
}

// intervals are the clock's own numbers and why they are what they are.
var intervals = []struct {
	name  string
	value any
	why   string
}{
	{"a call", CallTimeout, "a later answer would tell of the past"},
	{"composing of a source that is not sticky waits at most", freshness, "worthless later; a target's longer interval counts instead"},
	{"composing right after a message is held", phantomOff, "the client says `off` after 4 s without a key"},
	{"hold of a source that states none", defaultHold, "no stop is guaranteed"},
	{"tries of an end after the first", fmt.Sprint(clearPauses[0], ", ", clearPauses[0]+clearPauses[1], ", ", clearPauses[0]+clearPauses[1]+clearPauses[2]), "typing that sticks is a visible error; a far side with a hiccup is well by then"},
	{"probe of a far side that is down", probeEvery, "one call, whoever waits; what is stuck shows at most so long after the outage"},
	{"an end that was refused four times waits", refusedPause, "doubles, for the far side is well and will hardly change its mind"},
	{"and at most", refusedPauseMost, "an operator may mend what it is about"},
	{"refusals in a row until it counts as over", refusalsMost, "about ten hours: marks have an end"},
	{"between the first ends after a start", recoverPace, "thousands of marks must not throttle the account"},
	{"another call about the same indicator is looked at again after", busyPause, "two calls must not overtake each other"},
	{"ending all typing at shutdown", shutdownTime, "the rest is on disk as marks"},
	{"typists of one indicator", typistsMost, "more devices than anybody has"},
	{"threads looked after per direction", defaultThreads, "bounds the memory a flood of typing can take"},
}

func intervalTable() string {
	var b strings.Builder
	b.WriteString("| | | why |\n|---|---|---|\n")
	for _, i := range intervals {
		value := i.value
		if d, ok := value.(time.Duration); ok {
			value = plain(d)
		}
		fmt.Fprintf(&b, "| %s | %v | %s |\n", i.name, value, i.why)
	}
	return b.String()
}

func plain(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprint(d.Milliseconds(), " ms")
	}
	return fmt.Sprint(d.Seconds(), " s")
}
