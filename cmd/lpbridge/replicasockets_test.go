//go:build unix

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/coder/websocket"

	"lpbridge/connector/lpsim"
)

// line is a socket of a consumer's app.
type line struct {
	*websocket.Conn
	t *testing.T
}

// lineTo opens a socket at a replica.
func lineTo(t *testing.T, p *process, path, protocol string) *line {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(p.public, "http")+path, &websocket.DialOptions{Subprotocols: []string{protocol}})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(1 << 20)
	t.Cleanup(func() { conn.CloseNow() })
	return &line{conn, t}
}

// says sends a frame.
func (l *line) says(frame string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	if err := l.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
		l.t.Fatal(err)
	}
}

// hears waits for a frame with all of some words.
func (l *line) hears(words ...string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
next:
	for {
		_, frame, err := l.Read(ctx)
		if err != nil {
			l.t.Fatalf("%v before %q was heard", err, words)
		}
		for _, word := range words {
			if !strings.Contains(string(frame), word) {
				continue next
			}
		}
		return
	}
}

// ends waits for the end and returns its code, and the last frame before.
func (l *line) ends() (code websocket.StatusCode, last string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), patience)
	defer cancel()
	for {
		_, frame, err := l.Read(ctx)
		if err != nil {
			return websocket.CloseStatus(err), last
		}
		last = string(frame)
	}
}

// apps are a consumer's app of Chatwoot's public API and one of Layer, with their sockets
// at one replica and their requests at another.
type apps struct {
	*everyChannel
	// cable and layer are their sockets.
	cable, layer *line
	// thread and conversation are their paths, contact and session what they prove.
	thread, conversation string
	contact, session     string
	header               []string
}

func newApps(t *testing.T, s *stage, requests *process) *apps {
	t.Helper()
	a := &apps{everyChannel: &everyChannel{stage: s, p: requests}}
	a.thread, a.contact = a.contactOf("inbox", "ana", "", "", "cable here")
	accept := []string{"Accept", "application/vnd.layer+json; version=3.0"}
	var nonce struct{ Nonce string }
	a.call(http.MethodPost, "/layer/nonces", "", &nonce, accept...)
	var identity struct {
		Token string `json:"identity_token"`
	}
	a.call(http.MethodPost, "/layer/sandbox/identity_token", `{"nonce":"`+nonce.Nonce+`","user_id":"bea"}`, &identity)
	var session struct {
		Token string `json:"session_token"`
	}
	a.call(http.MethodPost, "/layer/sessions", `{"app_id":"layer:///apps/staging/sandbox","identity_token":"`+identity.Token+`"}`, &session, accept...)
	a.session, a.header = session.Token, append(accept, "Authorization", `Layer session-token="`+session.Token+`"`)
	var conversation struct{ ID string }
	a.call(http.MethodPost, "/layer/conversations", `{"participants":["layer:///identities/agent"],"distinct":false}`, &conversation, a.header...)
	a.conversation = strings.TrimPrefix(conversation.ID, "layer:///conversations/")
	a.call(http.MethodPost, "/layer/conversations/"+a.conversation+"/messages", `{"parts":[{"mime_type":"text/plain","body":"layer here"}]}`, nil, a.header...)
	return a
}

// connect opens the sockets at a replica.
func (a *apps) connect(at *process) {
	a.t.Helper()
	a.cable = lineTo(a.t, at, "/cable", "actioncable-v1-json")
	a.cable.says(fmt.Sprintf(`{"command":"subscribe","identifier":%q}`, fmt.Sprintf(`{"channel":"RoomChannel","pubsub_token":%q}`, a.contact)))
	a.cable.hears("confirm_subscription")
	a.layer = lineTo(a.t, at, "/layer/?session_token="+a.session, "layer-3.0")
	a.layer.says(`{"type":"request","body":{"request_id":"r","method":"Counter.read"}}`)
	a.layer.hears(`"response"`)
}

// sees waits until the agent of a conversation sees the consumer typing, or not.
func (a *apps) sees(conversation string, typing bool) {
	a.t.Helper()
	await(a.t, fmt.Sprintf("that the agent sees typing: %t", typing), func() bool {
		c, _ := a.sim.Conversation(conversation)
		return c.AgentSees.ConsumerTyping == typing
	})
}

// read waits until the agent of a conversation knows that a message was read.
func (a *apps) read(conversation string, sequence int64) {
	a.t.Helper()
	await(a.t, "the receipt", func() bool {
		c, _ := a.sim.Conversation(conversation)
		for _, r := range c.AgentSees.Receipts {
			if r.Sequence == sequence && r.Status == "READ" {
				return true
			}
		}
		return false
	})
}

func (a *apps) agent(conversation, text string) lpsim.Sent {
	a.t.Helper()
	if err := a.sim.AgentTyping(conversation, "COMPOSING", lpsim.Agent{}); err != nil {
		a.t.Fatal(err)
	}
	for _, of := range []struct {
		line  *line
		words []string
	}{{a.cable, []string{"conversation.typing_on"}}, {a.layer, []string{"typing_indicator", "started"}}} {
		if of.line == a.lineOf(conversation) {
			of.line.hears(of.words...)
		}
	}
	sent, err := a.sim.AgentMessage(conversation, lpsim.AgentMessage{Text: text})
	if err != nil {
		a.t.Fatal(err)
	}
	a.lineOf(conversation).hears(text)
	return sent
}

func (a *apps) lineOf(conversation string) *line {
	if conversation == a.conversationWith("cable here") {
		return a.cable
	}
	return a.layer
}

// talk goes both ways in both apps: an agent types and writes, the consumer reads that,
// types and stops.
func (a *apps) talk(text string) {
	a.t.Helper()
	_, chatwoot := a.consumerWho("cable here")
	_, layer := a.consumerWho("layer here")

	sent := a.agent(chatwoot, text+" to the cable")
	a.call(http.MethodPost, a.thread+"/update_last_seen", "{}", nil)
	a.read(chatwoot, sent.Sequence)
	a.call(http.MethodPost, a.thread+"/toggle_typing", `{"typing_status":"on"}`, nil)
	a.sees(chatwoot, true)
	a.call(http.MethodPost, a.thread+"/toggle_typing", `{"typing_status":"off"}`, nil)
	a.sees(chatwoot, false)

	sent = a.agent(layer, text+" to Layer")
	var messages []struct{ ID string }
	a.call(http.MethodGet, "/layer/conversations/"+a.conversation+"/messages", "", &messages, a.header...)
	a.call(http.MethodPost, "/layer/messages/"+strings.TrimPrefix(messages[0].ID, "layer:///messages/")+"/receipts", `{"type":"read"}`, nil, a.header...)
	a.read(layer, sent.Sequence)
	for _, action := range []string{"started", "finished"} {
		object, err := json.Marshal("layer:///conversations/" + a.conversation)
		if err != nil {
			a.t.Fatal(err)
		}
		a.layer.says(`{"type":"signal","body":{"type":"typing_indicator","object":{"id":` + string(object) + `},"data":{"action":"` + action + `"}}}`)
		a.sees(layer, action == "started")
	}
}

// TestSocketsAtAStandby: apps whose sockets are at a standby and whose requests go to the
// owner, or the other way round, get messages, typing and receipts in both directions. A
// socket that goes ends typing. When the owner is killed, sockets end with the code for
// coming again, and go on at a replica that is left, which is the owner by then.
func TestSocketsAtAStandby(t *testing.T) {
	t.Parallel()
	s, _ := newReplicas(t)
	maps.Copy(s.settings, map[string]string{
		"LPBRIDGE_CHANNELS": "chatwootapi,layer", "LPBRIDGE_PUBLIC_URL": s.front, "CHATWOOTAPI_INBOXES": "inbox", "LAYER_APP_IDS": "sandbox",
		"LAYER_SANDBOX_IDENTITIES": "true", "WEBHOOK_SECRET": "", "WEBHOOK_URL": "",
	})
	owner := s.run(nil)
	standby := s.standBy(nil)
	standby.awaitReady()
	a := newApps(t, s, owner)
	a.connect(standby)
	a.talk("first words")
	if report := get(t, standby.admin+"/status").body; !strings.Contains(report, `"sockets":2`) {
		t.Errorf("the standby says %s, want two sockets", report)
	}
	// LivePerson and the apps reach the standby only.
	s.lead(standby)
	a.p = standby
	a.talk("second words")

	_, chatwoot := a.consumerWho("cable here")
	a.call(http.MethodPost, a.thread+"/toggle_typing", `{"typing_status":"on"}`, nil)
	a.sees(chatwoot, true)
	a.cable.CloseNow()
	a.sees(chatwoot, false)

	a.connect(standby)
	s.awaitSettled(owner)
	owner.kill()
	if code, last := a.cable.ends(); code != websocket.StatusServiceRestart || !strings.Contains(last, `"reconnect":true`) {
		t.Errorf("the cable ended with %d after %s, want 1012 after the word that one may come again", code, last)
	}
	if code, _ := a.layer.ends(); code != websocket.StatusServiceRestart {
		t.Errorf("Layer's socket ended with %d, want 1012", code)
	}
	// An upgrade waits for the next owner like any request.
	a.connect(standby)
	standby.awaitStart()
	a.talk("third words")
	// One that stops in order says so itself, at whichever replica its sockets are.
	third := s.standBy(nil)
	third.awaitReady()
	a.connect(third)
	standby.terminate()
	if code, last := a.cable.ends(); code != websocket.StatusServiceRestart || !strings.Contains(last, `"reconnect":true`) {
		t.Errorf("the cable ended with %d after %s, want 1012 after the word that one may come again", code, last)
	}
	if code, _ := a.layer.ends(); code != websocket.StatusServiceRestart {
		t.Errorf("Layer's socket ended with %d, want 1012", code)
	}
	third.terminate()
}

// TestStandbyTakesANewToken: SIGHUP has a standby take the admin token of now, and does not
// end it.
func TestStandbyTakesANewToken(t *testing.T) {
	t.Parallel()
	s, _ := newReplicas(t)
	path := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(adminToken)
	owner := s.run(map[string]string{"LPBRIDGE_ADMIN_TOKEN_FILE": path})
	standby := s.standBy(map[string]string{"LPBRIDGE_ADMIN_TOKEN_FILE": path})
	ask := func(token string) int {
		return do(t, http.MethodGet, standby.admin+"/status", http.Header{"Authorization": {"Bearer " + token}}, "").status
	}
	if got := ask(adminToken); got != http.StatusOK {
		t.Errorf("the token is answered %d", got)
	}
	second := strings.ToUpper(adminToken)
	write(second)
	standby.signal(syscall.SIGHUP)
	standby.awaitLine("tokens of the admin listener replaced")
	if former, now := ask(adminToken), ask(second); former != http.StatusUnauthorized || now != http.StatusOK {
		t.Errorf("the former token is answered %d, the new one %d", former, now)
	}
	// The owner it becomes has the new one too.
	owner.kill()
	standby.awaitStart()
	await(t, "the owner's own console", func() bool {
		a := do(t, http.MethodGet, standby.admin+"/status", http.Header{"Authorization": {"Bearer " + second}}, "")
		return a.status == http.StatusOK && strings.Contains(a.body, `"role":"owner"`)
	})
	standby.terminate()
}
