//go:build e2e

// Package chatwootapi_test runs the channel under real Chatwoot clients. It
// needs Node and the packages of package.json: npm install, then
// go test -tags e2e ./e2e/chatwootapi/.
package chatwootapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"testing"
	"time"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/chatwootapi"
)

// TestRealClients runs drive.mjs against the channel alone, with an agent who
// sits right behind it.
func TestRealClients(t *testing.T) {
	core := bridgetest.NewCore()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	api, err := chatwootapi.New(chatwootapi.Config{
		Inboxes: []string{"e2e"}, InboxName: "End to end", AgentName: "Jane", PublicURL: address, MaxAttachment: 3 << 20,
	}, core, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range api.Routes() {
		mux.Handle(r.Pattern, r.Handler)
	}
	desk := &desk{core: core, api: api}
	desk.handle(mux)

	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	drive := exec.CommandContext(ctx, "node", "drive.mjs")
	drive.Env = append(os.Environ(), "BASE_URL="+server.URL, "INBOX=e2e", "SIM_URL="+server.URL)
	out, err := drive.CombinedOutput()
	t.Logf("%s", out)
	if err != nil {
		t.Fatal(err)
	}
	if err := api.Close(ctx); err != nil {
		t.Error(err)
	}
}

// desk is an agent with the simulator's management API, acting on the channel
// without a bridge in between.
type desk struct {
	core *bridgetest.Core
	api  *chatwootapi.ChatwootAPI
}

var jane = bridge.Agent{ID: "lp-agent-1", Role: "ASSIGNED_AGENT"}

func (d *desk) handle(mux *http.ServeMux) {
	mux.HandleFunc("GET /sim/conversations", d.list)
	mux.HandleFunc("GET /sim/conversations/{id}", d.show)
	mux.HandleFunc("POST /sim/conversations/{id}/agent/{what}", d.act)
}

func (d *desk) list(w http.ResponseWriter, _ *http.Request) {
	seen := map[bridge.ThreadID]bool{}
	list := []map[string]any{}
	for _, e := range d.core.Events() {
		if e.Kind == bridge.KindMessage && !seen[e.Thread] {
			seen[e.Thread] = true
			list = append(list, map[string]any{"conversationId": e.Thread})
		}
	}
	_ = json.NewEncoder(w).Encode(list)
}

func (d *desk) show(w http.ResponseWriter, r *http.Request) {
	transcript := []map[string]any{}
	typing := false
	for _, e := range d.core.Events() {
		switch {
		case string(e.Thread) != r.PathValue("id"):
		case e.Kind == bridge.KindMessage:
			transcript = append(transcript, map[string]any{"text": e.Message.Text})
			typing = false
		case e.Kind == bridge.KindTyping:
			typing = e.Typing.State == bridge.Composing
		}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"transcript": transcript, "agentSees": map[string]any{"consumerTyping": typing}})
}

func (d *desk) act(w http.ResponseWriter, r *http.Request) {
	thread := bridge.ThreadID(r.PathValue("id"))
	var body struct{ Text string }
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	cue := bridge.TypingCue{Thread: thread, Agent: jane, State: bridge.Stopped}
	e := bridge.Event{ID: bridge.EventID(fmt.Sprint(r.PathValue("what"), time.Now().UnixNano())), Thread: thread, Agent: &jane}
	var err error
	switch r.PathValue("what") {
	case "join":
		e.Kind, e.State = bridge.KindState, &bridge.State{Conversation: bridge.StateJoined}
		err = d.api.Deliver(r.Context(), &e)
	case "typing":
		cue.State = bridge.Composing
		err = d.api.ShowTyping(r.Context(), cue)
	case "messages":
		e.Kind, e.Message = bridge.KindMessage, &bridge.Message{Text: body.Text}
		if err = d.api.Deliver(r.Context(), &e); err == nil {
			err = d.api.ShowTyping(r.Context(), cue)
		}
	case "read":
		e.Kind, e.Receipt = bridge.KindReceipt, &bridge.Receipt{Status: bridge.ReceiptRead, MessageIDs: d.messages(thread)}
		err = d.api.Deliver(r.Context(), &e)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = w.Write([]byte("{}"))
}

func (d *desk) messages(thread bridge.ThreadID) []bridge.EventID {
	var ids []bridge.EventID
	for _, e := range d.core.Events() {
		if e.Kind == bridge.KindMessage && e.Thread == thread {
			ids = append(ids, e.ID)
		}
	}
	return ids
}
