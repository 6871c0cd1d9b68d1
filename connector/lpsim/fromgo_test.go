package lpsim_test

import (
	"testing"

	"lpbridge/connector/lpsim"
)

// TestFromGoAsFromThePage: what whoever plays LivePerson does by HTTP, a test does
// by calls.
func TestFromGoAsFromThePage(t *testing.T) {
	w := start(t, lpsim.Config{Webhooks: lpsim.Webhooks{URL: "http://127.0.0.1:1/webhooks"}})
	want(t, "webhooks", w.sim.Webhooks().URL, "http://127.0.0.1:1/webhooks")
	want(t, "profiles before", len(w.sim.AgentProfiles()), 0)
	if err := w.sim.SetAgentProfile("agent-1", lpsim.AgentProfile{Nickname: "Jo"}); err != nil {
		t.Fatal(err)
	}
	want(t, "profile", w.sim.AgentProfiles()["agent-1"].Nickname, "Jo")

	c := w.open("ana")
	if dialog, err := w.sim.AgentDialog(c.id, "COBROWSE", ""); err != nil || dialog == c.id {
		t.Errorf("a dialog beside the main one: %q, %v", dialog, err)
	}
	if err := w.sim.AgentLock(c.id, true); err != nil {
		t.Fatal(err)
	}
	want(t, "into a locked conversation", c.say("hello").status, 400)
	if err := w.sim.AgentLock(c.id, false); err != nil {
		t.Fatal(err)
	}
	want(t, "into an unlocked one", c.say("hello").status, 200)
	if err := w.sim.Forget(c.id); err != nil {
		t.Fatal(err)
	}
	want(t, "into a forgotten conversation", c.say("hello").status, 400)
	d := w.open("bob")
	if err := w.sim.Disown(d.id); err != nil {
		t.Fatal(err)
	}
	want(t, "into another's conversation", d.say("hello").status, 401)

	if err := w.sim.SetScript(lpsim.Script{Rules: []lpsim.Rule{{On: "noon"}}}); err == nil {
		t.Error("a script for noon is taken")
	}
	if err := w.sim.SetScript(lpsim.Echo(0)); err != nil {
		t.Fatal(err)
	}
	want(t, "rules", len(w.sim.Script().Rules), 1)
	w.sim.Reset()
	want(t, "rules once reset", len(w.sim.Script().Rules), 0)
	want(t, "conversations once reset", len(w.sim.Conversations()), 0)
}
