package layer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"
	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
)

const me = "layer:///identities/consumer-1"

// TestRecordedSession makes the requests that web-xdk 4.0.6 was seen to make,
// in its order, and checks the packets by which it was satisfied.
func TestRecordedSession(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	a := w.connect(token, "layer-3.0")
	if a.ws.Subprotocol() != "layer-3.0" {
		t.Errorf("subprotocol %q", a.ws.Subprotocol())
	}
	a.request("r1", "Presence.subscribe", "", "")
	a.request("r2", "Presence.update", "", `[{"operation":"set","property":"status","value":"auto"}]`)
	a.expect("r1 ok", "r2 ok")
	a.request("r3", "Conversation.create", "",
		`{"participants":["layer:///identities/agent","`+me+`"],"distinct":false,"metadata":{"title":"example"},"id":"`+conversation1+`"}`)
	p := a.expect("r3 ok", "create Conversation")
	if diff := cmp.Diff(at(p[0], "body", "data"), at(p[1], "body", "data")); diff != "" {
		t.Errorf("response and change differ:\n%s", diff)
	}
	if at(p[1], "body", "object", "id") != conversation1 || at(p[1], "body", "object", "url") != testBase+"/conversations/"+thread1 {
		t.Errorf("object %v", at(p[1], "body", "object"))
	}
	a.request("r4", "Message.create", conversation1,
		`{"parts":[{"mime_type":"application/vnd.layer.text+json;role=root","id":"`+part1+`","body":"{\"text\":\"hello\"}"}],"id":"`+message1+`"}`)
	p = a.expect("r4 ok", "create Message", "update Conversation")
	if at(p[1], "body", "data", "parts", 0, "id") != part1 {
		t.Errorf("the part's id was not kept: %v", at(p[1], "body", "data"))
	}
	want := []any{
		map[string]any{"operation": "set", "property": "last_message", "id": message1},
		map[string]any{"operation": "set", "property": "unread_message_count", "value": 0.0},
	}
	if diff := cmp.Diff(any(want), at(p[2], "body", "data")); diff != "" {
		t.Errorf("update (-want +got):\n%s", diff)
	}
	a.request("r5", "Presence.sync", "", `{"ids":["`+me+`"]}`)
	p = a.expect("r5 ok")
	if diff := cmp.Diff(any(map[string]any{"changes": []any{}}), at(p[0], "body", "data")); diff != "" {
		t.Errorf("sync (-want +got):\n%s", diff)
	}
	w.deliver(bridge.Event{ID: "r-1", Kind: bridge.KindReceipt, Thread: thread1, Receipt: &bridge.Receipt{
		Status: bridge.ReceiptDelivered, MessageIDs: []bridge.EventID{bridge.EventID(strings.TrimPrefix(message1, prefixMessage))},
	}})
	p = a.expect("update Message")
	want = []any{map[string]any{"operation": "set", "property": "recipient_status.layer:///identities/agent", "value": "delivered"}}
	if diff := cmp.Diff(any(want), at(p[0], "body", "data")); diff != "" {
		t.Errorf("update (-want +got):\n%s", diff)
	}
	w.show("agent-1", bridge.Composing)
	w.show("agent-1", bridge.Paused)
	w.show("agent-1", bridge.Stopped)
	p = a.expect("started agent", "paused agent", "finished agent")
	wantSignal := map[string]any{
		"type":   "typing_indicator",
		"object": map[string]any{"type": "Conversation", "id": conversation1, "url": testBase + "/conversations/" + thread1},
		"data": map[string]any{"action": "started", "sender": map[string]any{
			"id": "layer:///identities/agent", "url": testBase + "/identities/agent", "user_id": "agent", "display_name": "Peer", "avatar_url": nil,
		}},
	}
	if diff := cmp.Diff(any(wantSignal), p[0]["body"]); diff != "" {
		t.Errorf("signal (-want +got):\n%s", diff)
	}
	w.deliver(agentSays("dialog-1:5", "hello consumer"))
	p = a.expect("create Message", "update Conversation")
	m := at(p[0], "body", "data")
	if at(m, "is_unread") != true || at(m, "recipient_status", me) != "sent" || at(m, "sender", "id") != "layer:///identities/agent" ||
		at(m, "notification", "text") != "hello consumer" || at(m, "parts", 0, "mime_type") != "text/plain" || at(m, "parts", 0, "body") != "hello consumer" {
		t.Errorf("message %v", m)
	}
	if at(p[1], "body", "data", 1, "value") != 1.0 {
		t.Errorf("update %v", p[1])
	}
	own := strings.TrimPrefix(at(m, "id").(string), prefixMessage)
	w.must(204, token, "POST", "/messages/"+own+"/receipts", `{"type":"delivery"}`)
	a.expect("update Message")
	w.must(204, token, "POST", "/messages/"+own+"/receipts", `{"type":"read"}`)
	p = a.expect("update Message", "update Conversation")
	if at(p[0], "body", "data", 0, "property") != "recipient_status."+me || at(p[1], "body", "data", 0, "value") != 0.0 {
		t.Errorf("updates %v", p)
	}
	a.request("r8", "Counter.read", "", "")
	p = a.expect("r8 ok")
	if at(p[0], "body", "data", "counter") != p[0]["counter"].(float64)-1 {
		t.Errorf("counter %v in packet %v", at(p[0], "body", "data", "counter"), p[0]["counter"])
	}
	w.must(204, token, "DELETE", "/sessions/"+token, "")
	if code := a.ended(); code != websocket.StatusPolicyViolation {
		t.Errorf("closed with %d", code)
	}
	if _, err := w.dial(token, "layer-3.0"); err == nil {
		t.Error("connected with a session that ended")
	}
}

func TestRequests(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	w.must(201, token, "POST", "/conversations/"+thread1+"/messages", newMessage(message1, "hi"))
	a := w.connect(token, "layer-3.0")
	for _, tc := range []struct{ name, method, object, data, want string }{
		{"unknown method", "Message.send", conversation1, "{}", "r invalid_endpoint"},
		{"message again", "Message.create", conversation1, newMessage(message1, "hi"), "r id_in_use"},
		{"unknown conversation", "Message.create", conversation2, newMessage(message2, "hi"), "r not_found"},
		{"no conversation", "Message.create", "", newMessage(message2, "hi"), "r not_found"},
		{"no parts", "Message.create", conversation1, `{}`, "r missing_property"},
		{"conversation again", "Conversation.create", "", newConversation(conversation1, false), "r id_in_use"},
		{"data of another type", "Message.create", conversation1, `[]`, "r invalid_request"},
		{"replay from never", "Event.replay", "", `{}`, "r missing_property"},
		{"replay from nowhere", "Event.replay", "", `{"from_timestamp":"yesterday"}`, "r invalid_property"},
		{"replay from the beginning", "Event.replay", "", `{"from_timestamp":"1970-01-01T00:00:00.000Z"}`, "create Conversation"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a.t = t
			a.request("r", tc.method, tc.object, tc.data)
			a.expect(tc.want)
		})
	}
	a.t = t
	p := a.expect("create Message", "update Conversation", "r ok")
	if at(p[0], "body", "data", "id") != message1 {
		t.Errorf("replayed %v", p[0])
	}
	t.Run("request_id with blanks", func(t *testing.T) {
		a.request("no id", "Counter.read", "", "")
		a.write(`{"type":"request","body":{"method":"Counter.read"}}`)
		a.write(`{"type":"noise"}`)
		a.request("after", "Counter.read", "", "")
		a.expect("after ok")
	})
	if n := len(w.core.Events()); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
}

func TestConflictOverSocket(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.must(201, token, "POST", "/conversations", newConversation(conversation1, true))
	a := w.connect(token, "layer-3.0")
	a.request("r1", "Conversation.create", "", newConversation(conversation2, true))
	p := a.expect("r1 ok")
	if at(p[0], "body", "data", "id") != conversation1 {
		t.Errorf("found %v", p[0])
	}
	a.request("r2", "Conversation.create", "", `{"distinct":true,"metadata":{"title":"other"},"id":"`+conversation2+`"}`)
	p = a.expect("r2 conflict")
	if at(p[0], "body", "data", "data", "id") != conversation1 {
		t.Errorf("refused with %v", p[0])
	}
}

func TestReplay(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	a := w.connect(token, "layer-3.0")
	a.request("r1", "Conversation.create", "", newConversation(conversation1, false))
	a.expect("r1 ok", "create Conversation")
	seen := a.stamp
	_ = a.ws.CloseNow()

	w.deliver(agentSays("dialog-1:5", "while away"))
	w.show("agent-1", bridge.Composing)
	b := w.connect(token, "layer-3.0")
	b.request("r1", "Event.replay", "", `{"from_timestamp":"`+seen+`"}`)
	p := b.expect("create Conversation", "create Message", "update Conversation", "r1 ok")
	if at(p[1], "body", "data", "parts", 0, "body") != "while away" {
		t.Errorf("replayed %v", p[1])
	}
	b.request("r2", "Presence.sync", "", `{"since":"`+seen+`"}`)
	b.expect("r2 ok")

	t.Run("after a restart", func(t *testing.T) {
		w.stop()
		again := startWorld(t, w.core, testConfig())
		c := again.connect(token, "layer-2.0")
		c.request("r1", "Event.replay", "", `{"from_timestamp":"`+seen+`"}`)
		p := c.expect("create Conversation", "create Message", "update Conversation", "r1 ok")
		if at(p[1], "body", "data", "parts", 0, "id").(string) != at(p[1], "body", "data", "id").(string)+"/parts/0" {
			t.Errorf("replayed %v", p[1])
		}
	})
	t.Run("what was deleted meanwhile", func(t *testing.T) {
		again := startWorld(t, w.core, testConfig())
		own := strings.TrimPrefix(at(p[1], "body", "data", "id").(string), prefixMessage)
		again.must(204, token, "DELETE", "/messages/"+own+"?mode=all_participants", "")
		c := again.connect(token, "layer-3.0")
		c.request("r1", "Event.replay", "", `{"from_timestamp":"`+seen+`"}`)
		c.expect("create Conversation", "update Conversation", "delete Message", "update Conversation", "r1 ok")
	})
}

// TestReplayIsComplete loses a connection at every packet and checks that the
// next one brings every change that the lost one did not.
func TestReplayIsComplete(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	first := w.connect(token, "layer-3.0")
	for i := range 8 {
		w.deliver(agentSays(fmt.Sprintf("dialog-1:%d", i), fmt.Sprint(i)))
	}
	var stamps []string
	for range 16 {
		stamps = append(stamps, first.read()["timestamp"].(string))
	}
	for i, stamp := range stamps {
		a := w.connect(token, "layer-3.0")
		a.request("r1", "Event.replay", "", `{"from_timestamp":"`+stamp+`"}`)
		missed := 0
		for p := a.read(); p["type"] != packetResponse; p = a.read() {
			if p["type"] == packetChange && at(p, "body", "object", "type") == objectMessage {
				missed++
			}
		}
		if missed < 8-(i/2)-1 {
			t.Errorf("after packet %d: %d messages, want at least %d", i, missed, 8-(i/2)-1)
		}
		_ = a.ws.CloseNow()
	}
}

// TestClockStandsStill checks that no packet is stamped later than a change that
// is being stored.
func TestClockStandsStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &user{}
		u.startClock(time.Time{})
		began := u.begin()
		time.Sleep(time.Second)
		if now := u.now(); !now.Equal(began) {
			t.Errorf("the clock went on to %s during the turn of %s", now, began)
		}
		u.end()
		if now := u.now(); !now.Equal(began.Add(time.Second)) {
			t.Errorf("the clock says %s after the turn", now)
		}
		future := time.Now().Add(time.Hour).UTC()
		u.startClock(future)
		if now := u.now(); now.Before(future) {
			t.Errorf("the clock went back behind the changes of before, to %s", now)
		}
	})
}

func TestTypingIn(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	a := w.connect(token, "layer-3.0")
	for _, action := range []string{"started", "started", "paused", "finished", "sleeping", ""} {
		a.signal(conversation1, action)
	}
	a.signal(strings.ToUpper(conversation2), "started")
	a.signal(conversation2, "started")
	a.write(`{"type":"signal","body":{"type":"weather","object":{"id":"` + conversation1 + `"},"data":{"action":"started"}}}`)
	a.write(`{"type":"signal","body":{"type":"typing_indicator","object":{"id":"` + conversation1 + `"},"data":7}}`)
	a.sync()
	var got []bridge.TypingState
	for _, e := range w.core.Events() {
		if e.Thread != thread1 || e.Consumer.ID != "consumer-1" {
			t.Errorf("event %+v", e)
		}
		got = append(got, e.Typing.State)
	}
	if diff := cmp.Diff([]bridge.TypingState{bridge.Composing, bridge.Composing, bridge.Paused, bridge.Stopped}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTypingEndsWithLastSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.login("consumer-1")
		w.converse(token)
		w.must(201, token, "POST", "/conversations", newConversation(conversation2, false))
		a, b := w.connect(token, "layer-3.0"), w.connect(token, "layer-3.0")
		a.signal(conversation1, "started")
		a.signal(conversation2, "started")
		a.signal(conversation2, "finished")
		a.sync()
		_ = a.ws.CloseNow()
		synctest.Wait()
		if got := w.core.DisconnectedThreads(); len(got) != 0 {
			t.Errorf("disconnected %v while a socket is left", got)
		}
		_ = b.ws.CloseNow()
		synctest.Wait()
		if diff := cmp.Diff([]bridge.ThreadID{thread1}, w.core.DisconnectedThreads()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		w.stop()
	})
}

// TestSeveralAgents checks that apps can keep typists apart.
func TestSeveralAgents(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	a := w.connect(token, "layer-3.0")
	other := "agent%3A" + agentName(&bridge.Agent{ID: "agent-2"})
	w.show("agent-1", bridge.Composing)
	w.show("agent-2", bridge.Composing)
	w.show("agent-1", bridge.Stopped)
	w.show("", bridge.Composing)
	a.expect("started agent", "started "+other, "finished agent", "started agent")
	says := agentSays("dialog-1:5", "hi")
	says.Agent.ID = "agent-2"
	w.deliver(says)
	p := a.expect("create Message", "update Conversation")
	sender := at(p[0], "body", "data", "sender")
	if at(sender, "id") != prefixIdentity+other || at(sender, "display_name") != "Peer" {
		t.Errorf("sender %v", sender)
	}
	w.must(200, token, "GET", "/identities/"+other, "")
	if strings.Contains(fmt.Sprint(p), "agent-2") {
		t.Error("LivePerson's id of the agent is shown")
	}
	t.Run("after a restart", func(t *testing.T) {
		w.stop()
		again := startWorld(t, w.core, testConfig())
		b := again.connect(token, "layer-3.0")
		again.show("agent-2", bridge.Composing)
		b.expect("started " + other)
	})
}

func TestTypingOutElsewhere(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	w.show("agent-1", bridge.Composing) // nobody is connected
	a := w.connect(token, "layer-3.0")
	other := w.connect(w.login("consumer-2"), "layer-3.0")
	w.must(204, token, "DELETE", "/conversations/"+thread1+"?mode=all_participants", "")
	w.show("agent-1", bridge.Composing)
	a.expect("delete Conversation")
	a.request("end", "Counter.read", "", "")
	a.expect("end ok")
	other.request("end", "Counter.read", "", "")
	other.expect("end ok")
	cue := bridge.TypingCue{Thread: "none", State: bridge.Composing}
	if err := w.layer.ShowTyping(t.Context(), cue); err == nil {
		t.Error("typing in an unknown thread was shown")
	}
}

func TestOldSubprotocols(t *testing.T) {
	w := newWorld(t)
	token := w.login("a.b")
	w.converse(token)
	w.must(201, token, "POST", "/conversations/"+thread1+"/messages", newMessage(message1, "hi"))
	old, newer, none := w.connect(token, "layer-1.0"), w.connect(token, "layer-2.0"), w.connect(token, "")
	w.show("agent-1", bridge.Composing)
	p := old.expect("started ")
	if diff := cmp.Diff(any(map[string]any{"user_id": "agent", "action": "started"}), at(p[0], "body", "data")); diff != "" {
		t.Errorf("signal (-want +got):\n%s", diff)
	}
	newer.expect("started agent")
	none.expect("started agent")
	w.deliver(bridge.Event{ID: "r", Kind: bridge.KindReceipt, Thread: thread1, Receipt: &bridge.Receipt{
		Status: bridge.ReceiptRead, MessageIDs: []bridge.EventID{bridge.EventID(strings.TrimPrefix(message1, prefixMessage))},
	}})
	if got := at(old.expect("update Message")[0], "body", "data", 0, "property"); got != "recipient_status.agent" {
		t.Errorf("property %v", got)
	}
	w.deliver(agentSays("dialog-1:1", "hello"))
	p = old.expect("create Message", "update Conversation")
	own := strings.TrimPrefix(at(p[0], "body", "data", "id").(string), prefixMessage)
	newer.expect("update Message", "create Message", "update Conversation")
	w.must(204, token, "POST", "/messages/"+own+"/receipts", `{"type":"delivery"}`)
	if got := at(old.expect("update Message")[0], "body", "data", 0, "property"); got != `recipient_status.a\.b` {
		t.Errorf("property %v", got)
	}
	if got := at(newer.expect("update Message")[0], "body", "data", 0, "property"); got != `recipient_status.layer:///identities/a\.b` {
		t.Errorf("property %v", got)
	}
}

func TestRefusedSockets(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	for _, bad := range []string{"", "other", strings.Repeat("x", 10*maxToken)} {
		if _, err := w.dial(bad, "layer-3.0"); err == nil {
			t.Errorf("connected with token %q", bad)
		}
	}
	a := w.must(401, "", "GET", "/?session_token=other", "", "Connection", "Upgrade", "Upgrade", "websocket",
		"Sec-WebSocket-Version", "13", "Sec-WebSocket-Key", "MDEyMzQ1Njc4OWFiY2RlZg==")
	if a.has("data", "nonce") == nil || a.header.Get("Access-Control-Allow-Origin") != testOrigin {
		t.Errorf("refused with %v", a.body)
	}
	if _, err := w.dial(token, "layer-9.0"); err == nil {
		t.Error("connected with an unknown subprotocol")
	}
}

func TestNonsense(t *testing.T) {
	for name, send := range map[string]func(a *app) error{
		"no JSON":   func(a *app) error { return a.ws.Write(a.t.Context(), websocket.MessageText, []byte("{")) },
		"no UTF-8":  func(a *app) error { return a.ws.Write(a.t.Context(), websocket.MessageText, []byte("\"\xff\"")) },
		"binary":    func(a *app) error { return a.ws.Write(a.t.Context(), websocket.MessageBinary, []byte("{}")) },
		"too large": func(a *app) error { return a.ws.Write(a.t.Context(), websocket.MessageText, make([]byte, maxFrame+1)) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			a := w.connect(w.login("consumer-1"), "layer-3.0")
			// The server may close before it has read all of it.
			_ = send(a)
			a.ended()
		})
	}
}

// TestSlowReader checks that a client that does not read is dropped, and that
// nobody waits for it.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.login("consumer-1")
		w.converse(token)
		w.connect(token, "layer-3.0")
		began := time.Now()
		for i := range maxQueue {
			w.deliver(agentSays(fmt.Sprintf("dialog-1:%d", i), "hello"))
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("deliveries waited %s for the reader", took)
		}
		time.Sleep(time.Minute)
		if n := w.known(); n != 0 {
			t.Errorf("%d users are still connected", n)
		}
		w.stop()
	})
}

// TestLongReplay brings more packets than may wait for a reader otherwise.
func TestLongReplay(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	for i := range maxQueue {
		w.deliver(agentSays(fmt.Sprintf("dialog-1:%d", i), "hello"))
	}
	a := w.connect(token, "layer-3.0")
	asked := make(chan struct{})
	go func() {
		// The second one is not even read before the first one's answer is.
		defer close(asked)
		for i := range 3 {
			a.request(fmt.Sprint(i), "Event.replay", "", `{"from_timestamp":"2020-01-01T00:00:00.000Z"}`)
		}
	}()
	n := 0
	for range 3 {
		for p := a.read(); p["type"] == packetChange; p = a.read() {
			n++
		}
	}
	<-asked
	if want := 3 * (2*maxQueue + 1); n != want {
		t.Errorf("%d changes, want %d", n, want)
	}
}

// TestDeadConnection checks that typing ends when a client is gone without a
// word.
func TestDeadConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.login("consumer-1")
		w.converse(token)
		a := w.connect(token, "layer-3.0")
		a.signal(conversation1, "started")
		a.sync()
		time.Sleep(pingEvery + pingTimeout + time.Second) // nobody reads, so no pong
		synctest.Wait()
		if len(w.core.DisconnectedThreads()) != 1 {
			t.Error("the connection is still thought to be alive")
		}
		_ = a.ws.CloseNow()
		w.stop()
	})
}

func TestClose(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	a := w.connect(token, "layer-3.0")
	code := make(chan websocket.StatusCode)
	go func() { code <- a.ended() }()
	if err := w.layer.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c := <-code; c != websocket.StatusServiceRestart {
		t.Errorf("closed with %d", c)
	}
	if _, err := w.dial(token, "layer-3.0"); err == nil {
		t.Error("connected after the end")
	}
}

// TestCloseSilent checks that a client that does not take leave does not hold up
// the end.
func TestCloseSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.connect(w.login("consumer-1"), "layer-3.0")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := w.layer.Close(ctx); err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("closing took %s", took)
		}
		w.stop()
	})
}

// TestState checks that apps see what became of a conversation.
func TestState(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	a := w.connect(token, "layer-3.0")
	for _, state := range []bridge.ConversationState{bridge.StateOpen, bridge.StateJoined, bridge.StateJoined, bridge.StateClosed} {
		w.deliver(bridge.Event{ID: "s", Kind: bridge.KindState, Thread: thread1, State: &bridge.State{Conversation: state}})
	}
	p := a.expect("update Conversation", "update Conversation", "update Conversation")
	want := []any{map[string]any{"operation": "set", "property": "metadata.state", "value": "closed"}}
	if diff := cmp.Diff(any(want), at(p[2], "body", "data")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	c := w.must(200, token, "GET", "/conversations/"+thread1, "")
	if diff := cmp.Diff(any(map[string]any{"title": "example", "state": "closed"}), c.has("metadata")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPatchIsTold(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	a := w.connect(token, "layer-3.0")
	w.must(204, token, "PATCH", "/conversations/"+thread1,
		`[{"operation":"set","property":"metadata.a\\.b","value":"c"},{"operation":"delete","property":"metadata.title"}]`)
	want := []any{
		map[string]any{"operation": "set", "property": `metadata.a\.b`, "value": "c"},
		map[string]any{"operation": "delete", "property": "metadata.title"},
	}
	if diff := cmp.Diff(any(want), at(a.expect("update Conversation")[0], "body", "data")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.must(204, token, "DELETE", "/conversations/"+thread1+"?mode=my_devices", "")
	p := a.expect("delete Conversation")
	if diff := cmp.Diff(any(map[string]any{"mode": "my_devices"}), at(p[0], "body", "data")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.deliver(agentSays("dialog-1:1", "hello"))
	a.expect("create Conversation", "create Message", "update Conversation")
}

// FuzzFrames throws frames at a connection: whatever they are, the channel keeps
// working for everybody else.
func FuzzFrames(f *testing.F) {
	for _, seed := range []string{
		`{"type":"request","body":{"request_id":"r1","method":"Presence.subscribe"}}`,
		`{"type":"request","body":{"request_id":"r","method":"Message.create","object_id":"` + conversation1 + `","data":` + newMessage(message1, "hi") + `}}`,
		`{"type":"request","body":{"request_id":"r","method":"Conversation.create","data":` + newConversation(conversation2, true) + `}}`,
		`{"type":"request","body":{"request_id":"r","method":"Event.replay","data":{"from_timestamp":"2026-11-20T18:09:28.720Z"}}}`,
		`{"type":"signal","body":{"type":"typing_indicator","object":{"id":"` + conversation1 + `"},"data":{"action":"started"}}}`,
		`{"type":"request","body":null}`, `[]`, `{"type":7}`, "\xff",
	} {
		f.Add([]byte(seed))
	}
	w := newWorld(f)
	token := w.login("consumer-1")
	w.converse(token)
	who, err := w.layer.authenticate(f.Context(), token)
	if err != nil {
		f.Fatal(err)
	}
	u, release := w.layer.users.hold("consumer-1")
	f.Cleanup(release)
	f.Fuzz(func(t *testing.T, frame []byte) {
		s := newSocket(w.layer.log, u, who.session, version3)
		w.layer.handleFrame(t.Context(), s, frame)
		for i, raw := range s.queue {
			var p packet
			if err := json.Unmarshal(raw, &p); err != nil || p.Counter != int64(i) {
				t.Errorf("packet %d is numbered %d: %v", i, p.Counter, err)
			}
		}
		for _, e := range w.core.Events() {
			if err := e.Validate(); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzIdentityToken(f *testing.F) {
	w := newWorld(f)
	good := sign(f, claimsOf("consumer-1", "nonce"))
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add("a.b.c")
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		claims, err := w.layer.verify(token)
		if err == nil && (claims.User != "consumer-1" || !strings.HasPrefix(good, token[:strings.LastIndexByte(token, '.')])) {
			t.Errorf("a token that nobody signed was believed")
		}
	})
}

func FuzzPatch(f *testing.F) {
	f.Add("set", `metadata.a\.b.c`, `"x"`)
	f.Add("delete", "metadata", "null")
	f.Add("set", "metadata", `{"a":{"b":"c"}}`)
	f.Add("remove", "participants", `"layer:///identities/agent"`)
	w := newWorld(f)
	v := view{w.layer, version3, &person{User: "consumer-1"}}
	f.Fuzz(func(t *testing.T, do, property, value string) {
		s := patchStep{Operation: do, Property: property}
		if json.Unmarshal([]byte(value), &s.Value) != nil {
			return
		}
		before := map[string]any{"title": "example", "a": map[string]any{"b": "c"}}
		c := &conversation{UUID: thread1, Owner: "consumer-1", Metadata: before}
		tr := &turn{user: &user{typing: map[bridge.ThreadID]bool{}}, person: v.person}
		err := w.layer.patch(tr, v, c, []patchStep{s})
		if err == nil && w.layer.checkMetadata(c.Metadata) != nil {
			t.Errorf("metadata became %v", c.Metadata)
		}
		if diff := cmp.Diff(map[string]any{"title": "example", "a": map[string]any{"b": "c"}}, before); diff != "" {
			t.Errorf("the metadata of others changed:\n%s", diff)
		}
	})
}

// TestRawClient speaks to the socket by hand, to see the handshake's answer.
func TestRawClient(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	conn, err := w.client.Transport.(*http.Transport).DialContext(t.Context(), "tcp", "pipe:80")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		_, _ = io.WriteString(conn, "GET /layer/?session_token="+token+"&client-id=V HTTP/1.1\r\nHost: pipe\r\nOrigin: https://elsewhere.example\r\n"+
			"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n"+
			"Sec-WebSocket-Protocol: layer-3.0\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n")
	}()
	answer := readHead(t, conn)
	if !strings.HasPrefix(answer, "HTTP/1.1 101") || !strings.Contains(answer, "Sec-Websocket-Protocol: layer-3.0\r\n") {
		t.Errorf("answered %s", answer)
	}
}

func readHead(t *testing.T, conn net.Conn) string {
	var head strings.Builder
	one := make([]byte, 1)
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		if _, err := conn.Read(one); err != nil {
			t.Fatal(err)
		}
		head.Write(one)
	}
	return head.String()
}
