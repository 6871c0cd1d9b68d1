package main

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"lpbridge/connector/lpsim"
)

// TestNothingPrivateIsShown goes through a session with all that is private in
// it, at the level of logging that says most, and looks for it in everything an
// operator sees.
func TestNothingPrivateIsShown(t *testing.T) {
	t.Parallel()
	private := map[string]string{
		"LivePerson's secret":     "sandbox-secret",
		"the channel's secret":    channelSecret,
		"the consumer's text":     "my card number is 4111-1111-1111-1111",
		"the agent's text":        "your balance is 1234.56 EUR",
		"text nobody takes":       "please block my account",
		"a refused text":          "swordfish in the wrong envelope",
		"the consumer's name":     "Wilhelmina",
		"the consumer's e-mail":   "wilhelmina.q@mail.example",
		"the consumer's phone":    "+351912345678",
		"an attribute":            "platinum-customer",
		"an attachment's address": "https://files.example/passport-scan.jpg?sig=0f0f",
		"a query":                 "token-in-a-query",
		"a header":                "cookie-of-a-client",
	}
	s := newStage(t)
	p := s.run(map[string]string{"LPBRIDGE_LOG_LEVEL": "debug", "LPBRIDGE_ECHO_WAIT": "1s", "LPBRIDGE_ADMIN_PROFILES": "true"})
	consumer := fmt.Sprintf(`"consumer":{"id":%q,"firstName":%q,"email":%q,"phone":%q,"attributes":{"plan":%q}}`,
		private["the consumer's e-mail"], private["the consumer's name"], private["the consumer's e-mail"],
		private["the consumer's phone"], private["an attribute"])
	s.post(p, fmt.Sprintf(`{"id":"1","type":"message","thread":"t",%s,"message":{"text":%q,"attachments":[{"url":%q}]}}`,
		consumer, private["the consumer's text"], private["an attachment's address"]))
	await(t, "the conversation", func() bool { return len(s.sim.Conversations()) == 1 })
	id := s.sim.Conversations()[0].ConversationID
	await(t, "the message", func() bool {
		c, _ := s.sim.Conversation(id)
		return c.ConsumerMessages == 2
	})
	s.post(p, `{"type":"typing","thread":"t",`+consumer+`,"typing":{"state":"composing"}}`)
	s.post(p, `{"id":"2","type":"profile","thread":"t",`+consumer+`}`)
	if _, err := s.sim.AgentMessage(id, lpsim.AgentMessage{Text: private["the agent's text"]}); err != nil {
		t.Fatal(err)
	}
	await(t, "the agent's message", func() bool {
		_, ok := s.far.find(func(e farEvent) bool { return e.Message.Text == private["the agent's text"] })
		return ok
	})

	// What the channel refuses for good becomes a dead letter.
	s.far.refuseWith(http.StatusGone)
	if _, err := s.sim.AgentMessage(id, lpsim.AgentMessage{Text: private["the agent's text"] + " again"}); err != nil {
		t.Fatal(err)
	}
	await(t, "a dead letter", func() bool {
		return strings.Contains(get(t, p.admin+"/deadletters").body, `"outcome":"invalid"`)
	})
	s.far.refuseWith(0)

	// Requests that are refused, with everything in the wrong place.
	refused := fmt.Sprintf(`{"id":"3","type":"message","thread":"t",%s,"message":{"text":%q,"html":1}}`, consumer, private["a refused text"])
	for _, header := range []http.Header{
		signed(t, refused), plainJSON, {"Content-Type": {"application/json"}, "Authorization": {"Bearer " + channelSecret}},
		{"Content-Type": {"application/json"}, "Cookie": {private["a header"]}, "X-Liveperson-Signature": {private["a header"]}},
	} {
		for _, path := range []string{"/channels/webhook", "/webhooks/liveperson", "/nowhere/" + private["a query"]} {
			a := do(t, http.MethodPost, p.public+path+"?q="+private["a query"], header, refused)
			if a.status < 400 {
				t.Errorf("%s took a request it should refuse", path)
			}
			mustNotShow(t, "the answer of "+path, a.body, private)
		}
	}

	// LivePerson is ill: errors, lost answers, expired tokens.
	if err := s.sim.SetFaults(lpsim.Faults{ErrorRate: lpsim.Everywhere(1)}); err != nil {
		t.Fatal(err)
	}
	s.post(p, fmt.Sprintf(`{"id":"4","type":"message","thread":"u",%s,"message":{"text":%q}}`, consumer, private["text nobody takes"]))
	await(t, "an attempt that failed", func() bool { return strings.Contains(p.stderr.String(), `"outcome":"unknown"`) })
	if err := s.sim.SetFaults(lpsim.Faults{}); err != nil {
		t.Fatal(err)
	}
	s.sim.ForgetAppJWTs()

	for _, path := range []string{"/", "/status", "/metrics", "/deadletters", "/readyz", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=2"} {
		mustNotShow(t, path, get(t, p.admin+path).body, private)
	}
	got := outcome(t, map[string]string{"LPBRIDGE_ADMIN_LISTEN": strings.TrimPrefix(p.admin, "http://")}, "deadletters", "list")
	if got.code != exitOK || !strings.Contains(got.stdout, "invalid") {
		t.Errorf("deadletters list: exit code %d: %s%s", got.code, got.stdout, got.stderr)
	}
	mustNotShow(t, "deadletters list", got.stdout+got.stderr, private)
	p.signal(syscall.SIGTERM)
	p.exit()
	log := p.stderr.String()
	mustNotShow(t, "the log", p.stdout.String()+log, private)
	if !strings.Contains(log, `"level":"DEBUG"`) || !strings.Contains(log, `"msg":"delivery"`) {
		t.Error("the log says too little for this test to mean anything")
	}
	// More than how a token begins: the log has random ids, and three letters
	// turn up in one of them now and then.
	if regexp.MustCompile(`eyJ[\w-]{6,}\.`).MatchString(log) {
		t.Error("the log has a token")
	}
}

// mustNotShow looks for each private thing, whole and in the parts a careless
// quoting would leave.
func mustNotShow(t *testing.T, where, text string, private map[string]string) {
	t.Helper()
	for what, value := range private {
		parts := append(strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(` "?=&`, r) }), value)
		slices.SortFunc(parts, func(a, b string) int { return len(b) - len(a) })
		for _, part := range parts {
			if len(part) >= 10 && strings.Contains(text, part) {
				t.Errorf("%s shows %s (%q)", where, what, part)
				break
			}
		}
	}
}
