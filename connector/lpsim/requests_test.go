package lpsim_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/connector/lpsim"
)

func TestARefusalSaysWhy(t *testing.T) {
	w := start(t, lpsim.Config{})
	c := w.open("ana")
	for name, test := range map[string]struct {
		do   func() reply
		why  string
		page string
	}{
		"Bearer":       {func() reply { return w.do("POST", sendPath, "{}", "Authorization", "Bearer "+w.appJWT()) }, "without Bearer", "Authorization and Authentication"},
		"no v=3":       {func() reply { return w.do("POST", strings.TrimSuffix(sendPath, "?v=3"), "{}", c.headers(c.jws)...) }, "v=3", "SEND"},
		"no object":    {func() reply { return c.send(`[]`) }, "JSON", "SEND"},
		"no text":      {func() reply { return c.event(`{"type":"ContentEvent","contentType":"text/plain","message":7}`) }, "not a string", "Examples"},
		"too long":     {func() reply { return c.say(strings.Repeat("x", 5000)) }, "requestLimit", "Getting started"},
		"unknown":      {func() reply { return c.send(event("x", "x", textEvent("x"))) }, "no such conversation", "undocumented"},
		"second one":   {func() reply { return w.do("POST", createPath, batch, c.headers(c.jws)...) }, "has an open conversation", "Getting started"},
		"half a batch": {func() reply { return w.do("POST", createPath, "[]", c.headers(c.jws)...) }, "a batch begins", "CONVERSATION"},
		"wrong secret": {func() reply {
			return w.do("POST", "/sentinel/api/account/sandbox/app/token?v=1.0&grant_type=client_credentials", "client_id=x&client_secret=y", "Content-Type", formType)
		}, "client_secret", "Authorization"},
		"no such account":   {func() reply { return w.do("GET", "/api/account/x/service/baseURI.json?version=1.0", "") }, "no such account", "Domain API"},
		"expired signature": {func() reply { return w.do("GET", "/v1/AUTH_async-images/x", "") }, "signed address", "File Sharing"},
	} {
		t.Run(name, func(t *testing.T) {
			r := test.do()
			if r.status < 400 || !strings.Contains(r.header.Get("X-Lpsim-Reason"), test.why) || !strings.Contains(r.header.Get("X-Lpsim-Page"), test.page) {
				t.Errorf("%d: %q, %q", r.status, r.header.Get("X-Lpsim-Reason"), r.header.Get("X-Lpsim-Page"))
			}
		})
	}
	if r := c.say("fine"); r.header.Get("X-Lpsim-Reason") != "" {
		t.Errorf("a success has the reason %q", r.header.Get("X-Lpsim-Reason"))
	}
}

func TestTheJournalOfCalls(t *testing.T) {
	w := start(t, lpsim.Config{})
	c := w.open("ana")
	c.say("hello")
	set(t, w, lpsim.Faults{LostAnswerRate: lpsim.Rates{lpsim.SendAPI: 1}})
	if _, err := w.try("POST", sendPath, event(c.id, c.id, textEvent("lost")), c.headers(c.jws)...); err == nil {
		t.Fatal("the answer was not lost")
	}
	got := w.sim.Requests(lpsim.SendAPI, 2)
	if len(got) != 2 || got[0].Status != 0 || !strings.Contains(got[0].Body, "lost") || len(got[0].Applied) != 1 || !strings.Contains(got[0].Reason, "lost") ||
		got[1].Status != 200 || !strings.Contains(got[1].Answer, `"sequence":0`) || got[1].Number >= got[0].Number {
		t.Errorf("journal %+v", got)
	}
	r := w.do("GET", "/sim/requests?limit=500", "")
	if r.status != 200 || strings.Contains(r.text, "sandbox-secret") || strings.Contains(r.text, w.appJWT()) || strings.Contains(r.text, c.jws) {
		t.Error("credentials are in the journal, or it does not open")
	}
	want(t, "of one api", len(w.sim.Requests(lpsim.IDPAPI, 0)), 1)
	want(t, "of no api", w.do("GET", "/sim/requests?api=x", "").field(t, "field"), any("api"))
	want(t, "health", w.do("GET", "/healthz", "").status, 200)
}

func TestResetForgetsWhatHappenedAndWhatWasComing(t *testing.T) {
	listen(t, lpsim.Config{Faults: lpsim.Faults{AutoCloseMs: 60_000}}, func(t *testing.T, w *world, r *receiver) {
		c := w.open("ana")
		set(t, w, lpsim.Faults{WebhookDelayRate: 1, WebhookDelayMinMs: 5000, WebhookDelayMaxMs: 5000, AutoCloseMs: 60_000})
		c.say("one")
		if _, err := w.sim.AgentMessage(c.id, lpsim.AgentMessage{Text: "two"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		want(t, "reset", w.do("POST", "/sim/reset", "").status, 200)
		r.expect(nil)
		time.Sleep(30 * time.Minute)
		want(t, "notifications after", len(r.all()), 0)
		want(t, "conversations after", len(w.sim.Conversations()), 0)
		want(t, "faults after", w.sim.Faults().WebhookDelayRate, 0.0)
		want(t, "the same tokens open a new one", w.open("ana").say("three").status, 200)
		synctest.Wait()
		want(t, "notifications of the new one", len(r.all()), 2)
	})
}
