package connector

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"lpbridge/lpauth"
)

// everyReading lists all that can be known of a failed request, more or less.
func everyReading() (all []*reading) {
	for _, err := range []*lpauth.Error{nil, {StatusCode: 400, Err: lpauth.ErrCredentialsRefused}, {StatusCode: 429, Err: errNoAnswer},
		{StatusCode: 404, Err: lpauth.ErrNoService}, {StatusCode: 400, Err: errNoAnswer}, {StatusCode: 403, Between: true, Err: errNoAnswer}} {
		r := &reading{stage: unprepared, op: opPublish, auth: err}
		if err != nil {
			r.authErr = err
		}
		all = append(all, r)
	}
	for _, stage := range []stage{unsent, unanswered, unread} {
		all = append(all, &reading{stage: stage, op: opPublish, status: 200})
	}
	for _, op := range []string{opPublish, opUpdate, opProfile, opConversation, opUploadURL, opDownloadURL, opUpload, opDownload, opEngagement} {
		for _, form := range []form{noBody, livePersons, otherForm} {
			for status := 200; status < 600; status++ {
				for _, more := range []reading{{}, {bare: true}, {bare: true, long: true}, {said: ErrClosed}, {said: ErrAlreadyOpen}, {throttled: true}, {errorCode: 40001}, {errorCode: 40102}, {errorCode: 40103}, {page: true}} {
					r := more
					r.op, r.form, r.status = op, form, status
					all = append(all, &r)
				}
			}
		}
	}
	return all
}

func TestEveryAnswerHasOneMeaning(t *testing.T) {
	used := make([]bool, len(rules))
	for _, r := range everyReading() {
		fits := -1
		for i := range rules {
			if rules[i].fits(r) {
				fits = i
				break
			}
		}
		if fits < 0 {
			t.Fatalf("no rule fits %+v", r)
		}
		used[fits] = true
		got := r.failure(nil, 0)
		if got.Outcome == Unknown != (got.Certainty == MaybeApplied) && got.Outcome != Retry {
			t.Errorf("%+v: %v and %v", r, got.Outcome, got.Certainty)
		}
		if (r.form == otherForm || r.form == noBody) && !r.storage() && r.op != opEngagement && r.errorCode == 0 && r.said == nil && r.stage == answered && got.Outcome == Invalid {
			t.Errorf("%+v: a refusal of the message by somebody who is not LivePerson", r)
		}
	}
	for i, used := range used[:len(used)-1] {
		if !used {
			t.Errorf("nothing is %q", rules[i].Answer)
		}
	}
}

func TestATextThatIsTooLongIsTheMessagesFault(t *testing.T) {
	lp := newLivePerson(t)
	lp.HandleFunc(sendPath, reply(400, `{"code":"BAD_REQUEST","body":{"msg":"Bad Request"},"reqId":"$ID"}`))
	client, _ := testClient(t, lp.transport)
	_, err := client.Send(t.Context(), ana, mainDialog, ContentEvent{Message: strings.Repeat("é", 5000)})
	if failed := asError(t, err); failed.Outcome != Invalid || failed.Scope != ScopeMessage {
		t.Errorf("too long: %v, %v", failed.Outcome, failed.Scope)
	}
	_, err = client.Send(t.Context(), ana, mainDialog, ContentEvent{File: &HostedFile{RelativePath: "/v1/x", FileType: "PNG", Preview: strings.Repeat("x", 9000)}})
	if failed := asError(t, err); failed.Outcome != Invalid || failed.Scope != ScopeConversation {
		t.Errorf("a file's preview does not count: %v, %v", failed.Outcome, failed.Scope)
	}
}

func TestScopeAndCertaintyNames(t *testing.T) {
	if got := fmt.Sprint(ScopeMessage, ScopeConversation, ScopeAccount, ScopeBetween, Scope(9)); got != "message conversation account between scope(9)" {
		t.Error(got)
	}
	if got := fmt.Sprint(NotApplied, Refused, MaybeApplied, Certainty(9)); got != "not applied refused maybe applied certainty(9)" {
		t.Error(got)
	}
}

const (
	answersFile  = "../docs/answers.md"
	answersBegin = "<!-- answers: made from connector.Rules by go test -run TestAnswers -update -->\n"
	answersEnd   = "<!-- end of answers -->"
)

func TestAnswersAreDocumented(t *testing.T) {
	var table strings.Builder
	table.WriteString("\n| answer | outcome | scope | certainty |\n|---|---|---|---|\n")
	for _, r := range Rules() {
		fmt.Fprintf(&table, "| %s | %s | %s | %s |\n", r.Answer, r.Outcome, r.Scope, r.Certainty)
	}
	data, err := os.ReadFile(answersFile)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), answersBegin)
	_, after, ok2 := strings.Cut(rest, answersEnd)
	if !ok || !ok2 {
		t.Fatal("the document has no place for the table")
	}
	wanted := before + answersBegin + table.String() + "\n" + answersEnd + after
	if *update {
		if err := os.WriteFile(answersFile, []byte(wanted), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(data) != wanted {
		t.Error("the table is out of date: go test -run TestAnswers -update")
	}
}

// The connector that the documentation shows is the one that is tested.
func TestTheDocumentedConnectorIsTheOneThatRuns(t *testing.T) {
	page, err := os.ReadFile("../docs/client.md")
	if err != nil {
		t.Fatal(err)
	}
	source, err := os.ReadFile("example_connector_test.go")
	if err != nil {
		t.Fatal(err)
	}
	_, shown, ok := strings.Cut(string(page), "<!-- from connector/example_connector_test.go -->\n```go\n")
	shown, _, ok2 := strings.Cut(shown, "\n```\n<!-- end -->")
	if !ok || !ok2 || len(shown) < 500 || !strings.Contains(string(source), shown) {
		t.Error("docs/client.md shows another connector than the one in example_connector_test.go")
	}
}
