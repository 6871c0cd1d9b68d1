package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync/atomic"
	"testing"

	"lpbridge/connector/lpsim"
)

// TestNewChannelIsOneFolderAndOneLine adds a channel that only its own folder
// knows, and relays both ways.
func TestNewChannelIsOneFolderAndOneLine(t *testing.T) {
	t.Parallel()
	var got atomic.Value
	far := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got.Store(r.Header.Get("Authorization") + " " + string(body))
	}))
	t.Cleanup(far.Close)
	s := newStage(t)
	p := s.run(map[string]string{
		"LPBRIDGE_CHANNELS": "toy", "WEBHOOK_SECRET": "", "WEBHOOK_URL": "", "TOY_TOKEN": "toy-token", "TOY_URL": far.URL,
	})
	header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer toy-token"}}
	a := do(t, http.MethodPost, p.public+"/channels/toy", header, `{"id":"m-1","chat":"a","author":"u-1","text":"hello"}`)
	if a.status != http.StatusOK {
		t.Fatalf("answered %d: %s", a.status, a.body)
	}
	await(t, "the consumer's message", func() bool {
		all := s.sim.Conversations()
		return len(all) == 1 && all[0].LastText == "hello"
	})
	if _, err := s.sim.AgentMessage(s.sim.Conversations()[0].ConversationID, lpsim.AgentMessage{Text: "good day"}); err != nil {
		t.Fatal(err)
	}
	await(t, "the agent's message", func() bool { return got.Load() != nil })
	want := regexp.MustCompile(`^Bearer toy-token \{"id":"[^"]+","chat":"a","author":"agent","text":"good day"\}$`)
	if text := got.Load().(string); !want.MatchString(text) {
		t.Errorf("the channel got %s", text)
	}
	p.terminate()
	// Its variables are checked like any other's.
	bad := outcome(t, s.with(map[string]string{
		"LPBRIDGE_CHANNELS": "toy", "WEBHOOK_SECRET": "", "WEBHOOK_URL": "", "TOY_URL": "ftp://far", "TOY_TOKN": "x",
	}), "run")
	if want := "lpbridge run: TOY_TOKEN: is required: set it, or TOY_TOKEN_FILE to the path of a file that holds it\n" +
		"TOY_URL: must be an absolute URL that begins with https:// or http://\n"; bad.code != exitConfig || bad.stderr != want {
		t.Errorf("exit code %d: %s", bad.code, bad.stderr)
	}
}
