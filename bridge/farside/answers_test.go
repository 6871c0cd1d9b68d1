package farside

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"lpbridge/bridge"
)

var update = flag.Bool("update", false, "write the table of docs/answers.md anew")

const (
	answersFile  = "../../docs/answers.md"
	answersBegin = "<!-- channel answers: made by go test ./bridge/farside -run TestAnswersOfChannelsAreDocumented -update -->\n"
	answersEnd   = "<!-- end of channel answers -->"
)

// meanings are how far an outcome reaches and how certain it is.
var meanings = map[bridge.Outcome][2]string{
	bridge.Throttled:    {"channel", "not applied"},
	bridge.Unauthorized: {"channel", "refused"},
	bridge.Retry:        {"between", "not applied"},
	bridge.Unknown:      {"between", "maybe applied"},
	bridge.Invalid:      {"message", "refused"},
}

// answers are the rows of the page, each with responses that it is about.
var answers = []struct {
	text     string
	statuses []int
	body     string
	worded   bool
	refusal  bridge.Outcome
}{
	{"429, whatever its body", []int{429}, "", true, 0},
	{"401, 403 of a receiver without a form of its own", []int{401, 403}, "", false, 0},
	{"401, 403 in the channel's form", []int{401, 403}, "{}", true, 0},
	{"not in the channel's form: 401, 407, 411, 413, 414, 417, 421, 425, 426, 431", []int{401, 407, 411, 413, 414, 417, 421, 425, 426, 431}, "<html>", true, 0},
	{"not in the channel's form: any other 4xx, and 3xx", []int{400, 403, 404, 405, 408, 409, 410, 423, 451, 499, 300, 301, 302, 304, 307, 308}, "<html>", true, 0},
	{"what the channel's documentation gives as its refusal of a message, in its form", []int{400, 404, 410, 422}, "{}", true, bridge.Invalid},
	{"any other 4xx in the channel's form", []int{400, 404, 405, 407, 408, 409, 413, 421, 423, 425, 426, 451}, "{}", true, 0},
	{"any other 4xx, and 3xx, of a receiver without a form of its own", []int{400, 404, 405, 407, 408, 409, 413, 421, 423, 425, 426, 451, 300, 301, 302, 304, 307, 308}, "", false, 0},
	{"5xx, in whatever form", []int{500, 501, 502, 503, 504, 507, 520, 599}, "{}", true, 0},
}

// TestAnswersOfChannelsAreDocumented makes the table of what is done and holds
// the page against it.
func TestAnswersOfChannelsAreDocumented(t *testing.T) {
	var table strings.Builder
	table.WriteString("\n| answer | outcome | scope | certainty |\n|---|---|---|---|\n")
	row := func(text string, o bridge.Outcome) {
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", text, o, meanings[o][0], meanings[o][1])
	}
	row("never sent: refused connection, no such host, TLS, no connection in time", bridge.Retry)
	row("sent, and the connection ended or the time ran out", bridge.Unknown)
	row("2xx where an answer in the channel's form is needed and none came", bridge.Unknown)
	for _, a := range answers {
		row(a.text, outcomeOfAll(t, a.statuses, a.body, a.worded, a.refusal))
	}
	data, err := os.ReadFile(answersFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, began := strings.Cut(string(data), answersBegin)
	_, after, ended := strings.Cut(rest, answersEnd)
	if !began || !ended {
		t.Fatal("the page has no place for the table")
	}
	wanted := before + answersBegin + table.String() + "\n" + answersEnd + after
	if *update {
		if err := os.WriteFile(answersFile, []byte(wanted), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if wanted != string(data) {
		t.Error("the table of docs/answers.md is out of date")
	}
}

// outcomeOfAll is the one outcome that all the responses have.
func outcomeOfAll(t *testing.T, statuses []int, body string, worded bool, refusal bridge.Outcome) (all bridge.Outcome) {
	t.Helper()
	for i, status := range statuses {
		s := side(answering(status, nil, body))
		if worded {
			s.Refusal = func(r *Response) (Refusal, bool) { return Refusal{Outcome: refusal}, string(r.Body) == "{}" }
		}
		_, d := call(t, s)
		if d == nil || i > 0 && d.Outcome != all {
			t.Fatalf("%d: %v, the others %s", status, d, all)
		}
		all = d.Outcome
	}
	return all
}
