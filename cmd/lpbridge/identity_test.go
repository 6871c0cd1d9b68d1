package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"lpbridge/bridge/livechatai/livechataitest"
	"lpbridge/connector/lpsim"
)

// identityKey signs the identifiers of Chatwoot's contacts in these tests.
const identityKey = "the-key-of-the-inboxes"

func proofFor(identifier string) string {
	mac := hmac.New(sha256.New, []byte(identityKey))
	mac.Write([]byte(identifier))
	return "?identifier=" + identifier + "&identifier_hash=" + hex.EncodeToString(mac.Sum(nil))
}

// refuses wants a call to be answered so.
func (x *everyChannel) refuses(status int, method, path, body string, header ...string) {
	x.t.Helper()
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	if a := do(x.t, method, x.p.public+path, h, body); a.status != status {
		x.t.Errorf("%s %s was answered %d, want %d: %s", method, path, a.status, status, a.body)
	}
}

// consumerWho is LivePerson's id of who wrote a text, and in which conversation.
func (x *everyChannel) consumerWho(text string) (consumer, conversation string) {
	x.t.Helper()
	await(x.t, "who wrote "+text, func() bool {
		conversation = x.conversationWith(text)
		return conversation != ""
	})
	c, _ := x.sim.Conversation(conversation)
	return c.ExtConsumerID, conversation
}

// differ wants two texts to be of two consumers, in two conversations.
func (x *everyChannel) differ(one, other string) {
	x.t.Helper()
	a, ofA := x.consumerWho(one)
	b, ofB := x.consumerWho(other)
	if a == b || ofA == ofB {
		x.t.Errorf("who wrote %q and %q is one consumer: %s", one, other, a)
	}
}

// contactOf makes a contact of Chatwoot's public API write, and returns the path of its
// conversation and its token for the cable.
func (x *everyChannel) contactOf(inbox, source, details, query, text string) (path, token string) {
	x.t.Helper()
	contacts := "/public/api/v1/inboxes/" + inbox + "/contacts"
	var contact struct {
		Token string `json:"pubsub_token"`
	}
	x.call(http.MethodPost, contacts+query, fmt.Sprintf(`{"source_id":%q%s}`, source, details), &contact)
	if query != "" {
		x.call(http.MethodGet, contacts+"/"+source+query, "", nil)
	}
	var thread struct{ ID int }
	x.call(http.MethodPost, contacts+"/"+source+"/conversations", "{}", &thread)
	path = contacts + "/" + source + "/conversations/" + strconv.Itoa(thread.ID)
	x.call(http.MethodPost, path+"/messages", fmt.Sprintf(`{"content":%q}`, text), nil)
	x.consumerWho(text)
	return path, contact.Token
}

// hears subscribes to the cable and returns all that is heard until a text is.
func (x *everyChannel) hears(token string) (until func(text string) string) {
	x.t.Helper()
	ctx, cancel := context.WithCancel(x.t.Context())
	x.t.Cleanup(cancel)
	c, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(x.p.public, "http")+"/cable", &websocket.DialOptions{Subprotocols: []string{"actioncable-v1-json"}})
	if err != nil {
		x.t.Fatal(err)
	}
	c.SetReadLimit(1 << 20)
	x.t.Cleanup(func() { _ = c.CloseNow() })
	subscribe := fmt.Sprintf(`{"command":"subscribe","identifier":%q}`, fmt.Sprintf(`{"channel":"RoomChannel","pubsub_token":%q}`, token))
	if err := c.Write(ctx, websocket.MessageText, []byte(subscribe)); err != nil {
		x.t.Fatal(err)
	}
	read := func(text string) string {
		var all strings.Builder
		for !strings.Contains(all.String(), text) {
			_, data, err := c.Read(ctx)
			if err != nil {
				x.t.Fatalf("%v before %q was heard", err, text)
			}
			all.Write(data)
		}
		return all.String()
	}
	read("confirm_subscription")
	return read
}

func (x *everyChannel) answersTo(text, answer string) {
	x.t.Helper()
	_, conversation := x.consumerWho(text)
	if _, err := x.sim.AgentMessage(conversation, lpsim.AgentMessage{Text: answer}); err != nil {
		x.t.Fatal(err)
	}
}

const (
	victimsDetails = `,"name":"Vera","email":"v@example.com","phone_number":"+351123456789"`
	victimsAddress = `,"email":"V@example.com"`
)

// TestContactsAreKeptApartOnTheRunningProgram has a stranger give a victim's address,
// as it is and with everybody having to prove who they are.
func TestContactsAreKeptApartOnTheRunningProgram(t *testing.T) {
	t.Parallel()
	for _, mandatory := range []string{"false", "true"} {
		t.Run("mandatory "+mandatory, func(t *testing.T) {
			x := newProver(t, mandatory)
			victimProof, strangerProof := "", ""
			if mandatory == "true" {
				victimProof, strangerProof = proofFor("vera"), proofFor("mallory")
				x.refuses(http.StatusInternalServerError, http.MethodPost, publicAPI, `{"source_id":"nobody"}`)
			}
			mine, token := x.contactOf("inbox", "victim", victimsDetails, victimProof, "my IBAN?")
			theirs, strangersToken := x.contactOf("inbox", "stranger", victimsAddress, strangerProof, "and what did I ask?")
			a := do(t, http.MethodPatch, x.p.public+publicAPI+"/stranger"+strangerProof, plainJSON, `{"email":"v@example.com","phone_number":"+351123456789"}`)
			if a.status != http.StatusOK || strings.Contains(a.body, "Vera") {
				t.Errorf("the stranger is told %d: %s", a.status, a.body)
			}
			var list []json.RawMessage
			x.call(http.MethodGet, publicAPI+"/stranger/conversations"+strangerProof, "", &list)
			if len(list) != 1 {
				t.Errorf("the stranger lists %s", list)
			}
			foreign := strings.Replace(mine, "/victim/", "/stranger/", 1)
			x.refuses(http.StatusNotFound, http.MethodGet, foreign, "")
			x.refuses(http.StatusNotFound, http.MethodGet, foreign+"/messages", "")
			x.refuses(http.StatusNotFound, http.MethodPost, foreign+"/messages", `{"content":"x"}`)
			x.differ("my IBAN?", "and what did I ask?")
			mineHears, theirsHears := x.hears(token), x.hears(strangersToken)
			x.answersTo("my IBAN?", "it is PT50")
			mineHears("it is PT50")
			x.answersTo("and what did I ask?", "I do not know")
			if all := theirsHears("I do not know"); strings.Contains(all, "PT50") || strings.Contains(all, "IBAN") {
				t.Errorf("the stranger hears %s", all)
			}
			if read := do(t, http.MethodGet, x.p.public+theirs+"/messages", plainJSON, ""); strings.Contains(read.body, "PT50") || !strings.Contains(read.body, "I do not know") {
				t.Errorf("the stranger reads %s", read.body)
			}
		})
	}
}

// newProver is a bridge whose inboxes check who somebody is.
func newProver(t *testing.T, mandatory string) *everyChannel {
	t.Helper()
	x := &everyChannel{stage: newStage(t)}
	x.serveInboxes(mandatory)
	return x
}

// TestProofsOnTheRunningProgram: what a right proof shares, and that a wrong one is
// none.
func TestProofsOnTheRunningProgram(t *testing.T) {
	t.Parallel()
	x := newProver(t, "false")
	first, _ := x.contactOf("inbox", "phone", "", proofFor("vera"), "from the phone")
	_, token := x.contactOf("other", "laptop", "", proofFor("vera"), "from the laptop")
	one, ofOne := x.consumerWho("from the phone")
	if other, ofOther := x.consumerWho("from the laptop"); one != other || ofOne != ofOther {
		t.Errorf("who proved the same is %s and %s", one, other)
	}
	var list []json.RawMessage
	x.call(http.MethodGet, "/public/api/v1/inboxes/other/contacts/laptop/conversations"+proofFor("vera"), "", &list)
	if len(list) != 2 {
		t.Errorf("who proved to be the same lists %d conversations", len(list))
	}
	hears := x.hears(token)
	x.call(http.MethodPost, first+"/messages", `{"content":"from the phone again"}`, nil)
	hears("from the phone again")
	for _, wrong := range []string{"?identifier=vera&identifier_hash=" + strings.Repeat("0", 64), proofFor("mallory"), strings.Replace(proofFor("mallory"), "mallory", "vera", 1)} {
		for _, path := range []string{"", "/conversations"} {
			x.refuses(http.StatusInternalServerError, http.MethodGet, publicAPI+"/phone"+path+wrong, "")
		}
	}
	// Who proves something later is bound to it, and begins as who they were.
	x.contactOf("inbox", "later", "", "", "unproven")
	x.call(http.MethodGet, publicAPI+"/later"+proofFor("otto"), "", nil)
	x.refuses(http.StatusInternalServerError, http.MethodGet, publicAPI+"/later"+proofFor("vera"), "")
	if who, _ := x.consumerWho("unproven"); who == one {
		t.Error("an unproven contact is who proved something")
	}
}

// TestConsumersOfEveryChannelOnTheRunningProgram: nobody is found by what they say of
// themselves.
func TestConsumersOfEveryChannelOnTheRunningProgram(t *testing.T) {
	t.Parallel()
	x := newEveryChannel(t, nil)
	say := func(thread, consumer, text string) {
		x.post(x.p, fmt.Sprintf(`{"id":"of-%s","type":"message","thread":%q,"consumer":{"id":%q,"firstName":"Ana","email":"ana@example.com","phone":"+351210000000"},"message":{"text":%q}}`,
			thread, thread, consumer, text))
	}
	say("w-1", "one", "webhook one")
	say("w-2", "two", "webhook two")
	x.differ("webhook one", "webhook two")
	say("w-3", "one", "webhook one elsewhere")
	if a, _ := x.consumerWho("webhook one"); true {
		if b, _ := x.consumerWho("webhook one elsewhere"); a != b {
			t.Errorf("one consumer.id is %s and %s", a, b)
		}
	}
	x.refuses(http.StatusUnauthorized, http.MethodPost, "/channels/webhook", message("w-4", "m", "unsigned"))
	x.refuses(http.StatusUnauthorized, http.MethodPost, "/channels/chatwoot", "{}")

	for chat, contact := range map[string]string{"chat_2": "contact_2", "chat_3": "", "chat_4": ""} {
		x.live.Open(livechataitest.Conversation{ID: chat, Agent: "agent-1", IsAgent: true, Contact: livechataitest.Contact{ID: contact, Name: "Ana", Email: "ana@example.com", Phone: "+351210000000"}})
		x.live.Say(chat, "livechatai "+chat)
	}
	x.differ("livechatai chat_2", greeting+"livechatai")
	x.differ("livechatai chat_2", "livechatai chat_3")
	x.differ("livechatai chat_3", "livechatai chat_4")
}

// TestAnotherConsumerInAThreadOnTheRunningProgram: a conversation keeps the consumer it
// began with, and the next one is who writes there then.
func TestAnotherConsumerInAThreadOnTheRunningProgram(t *testing.T) {
	t.Parallel()
	x := newEveryChannel(t, nil)
	say := func(consumer, text string) {
		x.post(x.p, fmt.Sprintf(`{"id":%q,"type":"message","thread":"w-9","consumer":{"id":%q},"message":{"text":%q}}`, text, consumer, text))
	}
	say("visitor", "before the login")
	before, _ := x.consumerWho("before the login")
	say("customer", "after the login")
	if after, _ := x.consumerWho("after the login"); after != before {
		t.Errorf("one conversation has the consumers %s and %s", before, after)
	}
	x.post(x.p, `{"id":"end","type":"close","thread":"w-9","consumer":{"id":"customer"}}`)
	say("customer", "the next time")
	x.differ("before the login", "the next time")
}

// TestUsersOfLayerOnTheRunningProgram: nothing of another user exists, and a session
// ends with its logout.
func TestUsersOfLayerOnTheRunningProgram(t *testing.T) {
	t.Parallel()
	x := newEveryChannel(t, nil)
	accept := []string{"Accept", "application/vnd.layer+json; version=3.0"}
	login := func(user string) (header []string, token string) {
		var nonce struct{ Nonce string }
		x.call(http.MethodPost, "/layer/nonces", "", &nonce, accept...)
		var identity, session struct {
			Identity string `json:"identity_token"`
			Session  string `json:"session_token"`
		}
		x.call(http.MethodPost, "/layer/sandbox/identity_token", `{"nonce":"`+nonce.Nonce+`","user_id":"`+user+`"}`, &identity)
		x.call(http.MethodPost, "/layer/sessions", `{"app_id":"layer:///apps/staging/sandbox","identity_token":"`+identity.Identity+`"}`, &session, accept...)
		return append(slices.Clone(accept), "Authorization", `Layer session-token="`+session.Session+`"`), session.Session
	}
	begin := func(header []string, text string) string {
		var conversation struct{ ID string }
		x.call(http.MethodPost, "/layer/conversations", `{"participants":["layer:///identities/agent"],"distinct":false}`, &conversation, header...)
		path := "/layer/conversations/" + strings.TrimPrefix(conversation.ID, "layer:///conversations/")
		x.call(http.MethodPost, path+"/messages", fmt.Sprintf(`{"parts":[{"mime_type":"text/plain","body":%q}]}`, text), nil, header...)
		x.consumerWho(text)
		return path
	}
	victim, _ := login("victim")
	stranger, token := login("stranger")
	mine := begin(victim, "a victim's words")
	begin(stranger, "a stranger's words")
	x.differ("a victim's words", "a stranger's words")
	for _, path := range []string{mine, mine + "/messages"} {
		x.refuses(http.StatusNotFound, http.MethodGet, path, "", stranger...)
	}
	x.refuses(http.StatusNotFound, http.MethodPost, mine+"/messages", `{"parts":[{"mime_type":"text/plain","body":"x"}]}`, stranger...)
	x.refuses(http.StatusNotFound, http.MethodPost, mine+"/mark_all_read", `{"position":1}`, stranger...)
	again, _ := login("victim")
	var list []json.RawMessage
	x.call(http.MethodGet, "/layer/conversations", "", &list, again...)
	if len(list) != 1 {
		t.Errorf("another session of the victim lists %d conversations", len(list))
	}
	x.call(http.MethodDelete, "/layer/sessions/"+token, "", nil, stranger...)
	x.refuses(http.StatusUnauthorized, http.MethodGet, "/layer/conversations", "", stranger...)
}
