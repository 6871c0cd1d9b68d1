package layer

import (
	"fmt"
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
		if now := u.tick(); !now.Equal(began) {
			t.Errorf("the clock went on to %s during the transaction of %s", now, began)
		}
		u.end()
		if now := u.tick(); !now.Equal(began.Add(time.Second)) {
			t.Errorf("the clock says %s after the transaction", now)
		}
		future := time.Now().Add(time.Hour).UTC()
		u.startClock(future)
		if now := u.tick(); now.Before(future) {
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
		if e := w.last(); e.Kind != bridge.KindTyping || e.Thread != thread1 || e.Typing.State != bridge.Stopped {
			t.Errorf("the device that is gone still types: %+v", e)
		}
		b.signal(conversation1, "started")
		b.sync()
		_ = b.ws.CloseNow()
		synctest.Wait()
		if diff := cmp.Diff([]bridge.ThreadID{thread1}, w.core.DisconnectedThreads()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		w.stop()
	})
}

// TestTwoDevicesAreTwoTypists has one device be done while the other types on.
func TestTwoDevicesAreTwoTypists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		token := w.login("consumer-1")
		w.converse(token)
		a, b := w.connect(token, "layer-3.0"), w.connect(token, "layer-3.0")
		devices := map[string]bool{}
		for _, s := range []struct {
			app    *app
			action string
			state  bridge.TypingState
		}{{a, "started", bridge.Composing}, {b, "finished", bridge.Stopped}, {a, "started", bridge.Composing}, {b, "started", bridge.Composing}} {
			s.app.signal(conversation1, s.action)
			s.app.sync()
			e := w.last()
			if e.Typing.State != s.state || e.Typing.Device == "" {
				t.Errorf("%s is told as %+v", s.action, e.Typing)
			}
			devices[e.Typing.Device] = true
		}
		if len(devices) != 2 {
			t.Errorf("two devices are the typists %v", devices)
		}
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
