package main

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"lpbridge/connector/lpsim"
)

// TestTrace: an operator is told an id and finds what became of it.
func TestTrace(t *testing.T) {
	t.Parallel()
	s := newStage(t)
	p := s.run(nil)
	admin := map[string]string{"LPBRIDGE_ADMIN_LISTEN": strings.TrimPrefix(p.admin, "http://")}
	trace := func(args ...string) string {
		t.Helper()
		got := outcome(t, admin, append([]string{"trace"}, args...)...)
		if got.code != exitOK || got.stderr != "" {
			t.Fatalf("trace %v: exit code %d: %s", args, got.code, got.stderr)
		}
		return got.stdout
	}
	shows := func(name, got string, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("%s says nothing like %s:\n%s", name, want, got)
			}
		}
		if strings.Contains(got, "private") || strings.Contains(got, "consumer-of") {
			t.Errorf("%s shows more than ids:\n%s", name, got)
		}
	}
	s.post(p, message("thread-a", "evt-1", "private hello"))
	s.awaitTexts("thread-a", "private hello")
	conversation := s.conversations("thread-a")[0].ConversationID
	s.post(p, message("thread-b", "evt-9", "of nobody's business"))
	s.awaitTexts("thread-b", "of nobody's business")
	if _, err := s.sim.AgentMessage(conversation, lpsim.AgentMessage{Text: "private answer"}); err != nil {
		t.Fatal(err)
	}
	await(t, "the answer", func() bool {
		_, ok := s.far.find(func(e farEvent) bool { return e.Message.Text == "private answer" })
		return ok
	})
	answer, _ := s.far.find(func(e farEvent) bool { return e.Message.Text == "private answer" })

	one := ""
	await(t, "that it is settled", func() bool { one = trace("evt-1"); return strings.Contains(one, "settled") })
	shows("a consumer's message", one,
		`(?m)^thread thread-a of webhook, consumer webhook:[0-9a-f]{40}$`, `(?m)^  conversation `+conversation+`, open, began 20`,
		`(?m)accepted +seq \d+, message evt-1 from webhook for LivePerson, thread thread-a$`, `lies +in dialog `+conversation+` at \d+`)
	if strings.Contains(one, "evt-9") || strings.Contains(one, answer.ID) {
		t.Errorf("it shows what is not about it:\n%s", one)
	}
	shows("an agent's message", trace(answer.ID), `message `+answer.ID+` from LivePerson for webhook`, `receipt `+answer.ID+` \(delivered\) from webhook for LivePerson`)
	shows("a thread", trace("thread-a", "--channel", "webhook"), `message evt-1 `, `message `+answer.ID, `state .* from LivePerson`)

	s.far.refuseWith(http.StatusGone)
	if _, err := s.sim.AgentMessage(conversation, lpsim.AgentMessage{Text: "private farewell"}); err != nil {
		t.Fatal(err)
	}
	await(t, "a dead letter", func() bool { return p.status(t).Journal.DeadLetters == 1 })
	shows("a dead letter", trace("thread-a"), `failed +once, the last time invalid: .*410`, `dead +needs a decision: lpbridge deadletters show \d+`)
	if got := outcome(t, admin, "trace", "nobody-knows"); got.code != exitFailed || !strings.Contains(got.stderr, "no event and no thread") {
		t.Errorf("an id nobody knows: exit code %d: %s", got.code, got.stderr)
	}
	if a := get(t, p.admin+"/trace"); a.status != http.StatusBadRequest || a.problem(t).Field != "id" {
		t.Errorf("no id: %d: %s", a.status, a.body)
	}
	s.away(t, true)
	s.post(p, message("thread-a", "evt-2", "private wait"))
	await(t, "a try that failed", func() bool { return strings.Contains(trace("evt-2"), "failed") })
	shows("what waits", trace("evt-2"), `failed +(once|\d+ times), the last time`, `pending +.*waits`)
	p.terminate()
}
