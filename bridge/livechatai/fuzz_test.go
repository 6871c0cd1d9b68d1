package livechatai

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"
	"unicode/utf8"

	"lpbridge/bridge"
	"lpbridge/config"
)

// sign signs a push as a sender would.
func sign(r *http.Request, secret, body string, at time.Time) {
	stamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(stamp + "." + body))
	r.Header.Set("X-Bridge-Timestamp", stamp)
	r.Header.Set("X-Bridge-Signature", "sha256="+hex.EncodeToString(mac.Sum(nil)))
}

const listSample = `{"status":"success","data":{"conversations":[
	{"id":"chat_1","isResolved":false,"isAgent":true,"integrationType":"WHATSAPP",
	 "contact":{"id":"contact_1","name":"Ana","phone":"1","email":"a@b.c","distinctId":"d","attributes":{"plan":"gold","age":7,"vip":true,"x":{}}},
	 "agent":{"id":"agent_1","name":"Jane"},"lastMessageDate":"2024-01-20T14:45:00Z","createdAt":"2024-01-15T10:30:00Z"},
	{"id":7},{"id":"chat_2","lastMessageDate":"never","contact":null}],
	"meta":{"total":3,"perPage":20,"currentPage":1,"totalPages":1}}}`

const conversationSample = `{"status":"success","data":{"id":"chat_1","contactId":"contact_1","agentId":"clx","isResolved":false,"isAgent":true,
	"lastMessageDate":"2024-01-20T14:45:00Z","messages":[
	{"id":"msg_1","content":"What are your business hours?","role":"user","type":"TEXT","source":[{"id":"s"}],
	 "agent":{"id":"agent_1"},"createdAt":"2024-01-15T10:30:00Z"},{"id":"msg_2","content":"x","role":"user"},{"content":"no id"},7],
	"createdAt":"2024-01-15T10:30:00Z"}}`

func FuzzDecodeList(f *testing.F) {
	f.Add([]byte(listSample))
	f.Add([]byte(`{"status":"error","message":"x","code":"y"}`))
	f.Add([]byte(`{"data":{"conversations":null}}`))
	f.Add([]byte(`{"data":{"conversations":[{"id":7,"contact":"none","isAgent":"true","lastMessageDate":1705761900}],"meta":[]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		page, err := decodeList(body)
		if err != nil {
			if !errors.Is(err, errNotUnderstood) && !errors.Is(err, errRefused) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		for _, c := range page.conversations {
			if c.ID == "" {
				t.Fatal("a conversation without an id")
			}
			if c.Contact != nil {
				c.Contact.strings()
			}
		}
	})
}

// FuzzDecodeConversation also holds that what is read can be put in order and
// that whatever a message is, an event that passes the core comes of it or none.
func FuzzDecodeConversation(f *testing.F) {
	f.Add([]byte(conversationSample))
	f.Add([]byte(`{"data":{"id":"c","messages":[{"id":"m","type":"IMAGE","content":"https://x/a.png","role":"user"}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		conv, err := decodeConversation(body)
		if err != nil {
			if !errors.Is(err, errNotUnderstood) && !errors.Is(err, errRefused) {
				t.Fatalf("an error of another kind: %v", err)
			}
			return
		}
		ordered := inOrder(conv)
		if len(ordered) != len(conv.Messages) {
			t.Fatal("a message was lost")
		}
		for i, m := range ordered {
			if i > 0 && m.CreatedAt.Before(ordered[i-1].CreatedAt) {
				t.Fatal("out of order")
			}
			if m.ID == "" || len(roleWord(m.Role)) > 32 {
				t.Fatal("a message without an id, or a role that is no word")
			}
		}
	})
}

func FuzzDecodeReply(f *testing.F) {
	f.Add([]byte(`{"status":"success","data":{"messageId":"msg_1","message":{"id":"msg_1","text":"x","sender":"AGENT"}}}`))
	f.Add([]byte(`{"status":"success","data":{"message":{"id":"msg_2"}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if id, err := decodeReply(body); err != nil && (id != "" || !errors.Is(err, errRefused)) {
			t.Fatalf("%q, %v", id, err)
		}
	})
}

func FuzzDecodePush(f *testing.F) {
	f.Add([]byte(pushedMessage))
	f.Add([]byte(`{"type":"typing","conversationId":"c","isTyping":true}`))
	f.Add([]byte(`{"id":"e","type":"resolved","conversationId":"c","createdAt":"2026-01-01T00:00:00+01:00"}`))
	f.Add([]byte(`{"type":"changed","conversationId":"c","contact":{"id":"x","attributes":{"a":1}}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		p, err := decodePush(body)
		if err != nil {
			problem, ok := errors.AsType[*bridge.Problem](err)
			if !ok || problem.Status != 400 || problem.Detail == "" || len(problem.Field) > 128 || !utf8.ValidString(problem.Detail) {
				t.Fatalf("%v", err)
			}
			return
		}
		e := p.event(&known{ID: p.ConversationID, Contact: p.contactID()})
		if err := e.Validate(); err != nil {
			t.Fatalf("what was taken makes no event: %v", err)
		}
	})
}

func FuzzVerify(f *testing.F) {
	d := newDoor([]config.Secret{config.NewSecret(secret)})
	r, _ := http.NewRequest(http.MethodPost, "/", nil)
	sign(r, secret, "{}", time.Now())
	f.Add(r.Header.Get(headerTimestamp), r.Header.Get(headerSignature), []byte("{}"))
	f.Add("-9223372036854775808", "sha256=", []byte(""))
	f.Fuzz(func(t *testing.T, stamp, signature string, body []byte) {
		r := &http.Request{Header: http.Header{headerTimestamp: {stamp}, headerSignature: {signature}}}
		if d.verify(r, body) != nil {
			return
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write([]byte(stamp + "." + string(body)))
		got, err := hex.DecodeString(signature[len("sha256="):])
		if err != nil || !hmac.Equal(got, mac.Sum(nil)) {
			t.Fatal("believed what is not signed")
		}
	})
}
