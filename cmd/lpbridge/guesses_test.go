package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// TestGuessesOnTheRunningProgram has a stranger, who proved to be somebody, spell the
// victim's names in every other way: source ids, identifiers, tokens of the cable and
// numbers of conversations.
func TestGuessesOnTheRunningProgram(t *testing.T) {
	t.Parallel()
	x := newProver(t, "false")
	mine, token := x.contactOf("inbox", "victim", victimsDetails, proofFor("vera"), "my IBAN?")
	x.contactOf("inbox", "stranger", "", proofFor("mallory"), "hello")
	victim, _ := x.consumerWho("my IBAN?")

	// Other spellings of a source id are other contacts, or none.
	for i, source := range []string{"Victim", "victim%20", "%20victim", "victim%00", "victim%E2%80%8B", "v%C4%B1ctim", "victim%0A"} {
		x.refuses(http.StatusNotFound, http.MethodGet, publicAPI+"/"+source, "")
		x.refuses(http.StatusNotFound, http.MethodGet, publicAPI+"/"+source+"/conversations", "")
		name, err := url.PathUnescape(source)
		if err != nil {
			t.Fatal(err)
		}
		given, _ := json.Marshal(map[string]string{"source_id": name, "email": "v@example.com", "identifier": "vera"})
		if a := do(t, http.MethodPost, x.p.public+publicAPI, plainJSON, string(given)); a.status == http.StatusOK && (strings.Contains(a.body, token) || strings.Contains(a.body, "Vera")) {
			t.Errorf("source id %d is answered with the victim: %s", i, a.body)
		}
	}
	x.refuses(http.StatusNotFound, http.MethodGet, "/public/api/v1/inboxes/other/contacts/victim", "")
	x.refuses(http.StatusNotFound, http.MethodGet, "/public/api/v1/inboxes/Inbox/contacts/victim", "")

	// An identifier is proven letter by letter, and its proof is for nobody else.
	for i, identifier := range []string{"Vera", "vera ", " vera", "VERA", "v%65ra ", "vera%00", "v\u0435ra"} {
		source := fmt.Sprintf("guess-%d", i)
		x.contactOf("inbox", source, "", proofOf(identifier), fmt.Sprintf("guess %d", i))
		if who, _ := x.consumerWho(fmt.Sprintf("guess %d", i)); who == victim {
			t.Errorf("who proved %q is vera", identifier)
		}
		var list []json.RawMessage
		x.call(http.MethodGet, publicAPI+"/"+source+"/conversations"+proofOf(identifier), "", &list)
		if len(list) != 1 {
			t.Errorf("who proved %q lists %d conversations", identifier, len(list))
		}
	}
	hash := strings.TrimPrefix(proofFor("mallory"), "?identifier=mallory&identifier_hash=")
	for _, body := range []string{
		`{"identifier":"vera","identifier_hash":"` + hash + `"}`, `{"identifier":["vera"],"identifier_hash":"` + hash + `"}`,
		`{"identifier":{"vera":"vera"},"identifier_hash":"` + hash + `"}`, `{"identifier":"mallory","identifier_hash":"` + strings.ToUpper(hash) + `"}`,
		`{"identifier":"vera","identifier_hash":"` + hash + `","identifier":"mallory"}`,
	} {
		x.refuses(http.StatusInternalServerError, http.MethodPatch, publicAPI+"/victim", body)
	}
	x.refuses(http.StatusInternalServerError, http.MethodGet, publicAPI+"/victim"+proofFor("mallory"), "")

	// Numbers of the victim's conversation and message, below the stranger's own path.
	number := mine[strings.LastIndex(mine, "/")+1:]
	for _, spelled := range []string{number, "0" + number, "+" + number, number + ".0", number + "%20", "%20" + number, number + ".json", "-" + number, number + "e0"} {
		for _, end := range []string{"", "/messages"} {
			x.refuses(http.StatusNotFound, http.MethodGet, publicAPI+"/stranger/conversations/"+spelled+end, "")
		}
		x.refuses(http.StatusNotFound, http.MethodPost, publicAPI+"/stranger/conversations/"+spelled+"/toggle_typing", `{"typing_status":"on"}`)
	}
	x.refuses(http.StatusNotFound, http.MethodPatch, strings.Replace(mine, "/victim/", "/stranger/", 1)+"/messages/1", `{"submitted_values":[{"title":"x","value":"x"}]}`)

	// The cable hears for the very token alone.
	for _, wrong := range []string{
		quote(strings.ToLower(token)), quote(token + " "), quote(" " + token), quote(token[:len(token)-1]), quote(token + "\x00"), quote("token:" + token), quote("victim"), quote("vera"),
		`["` + token + `"]`, `{"token":"` + token + `"}`, `true`, `0`, `null`, `""`,
	} {
		x.isSilent(wrong)
	}
}

// proofOf is a proof for an identifier in any spelling.
func proofOf(identifier string) string {
	proof := proofFor(identifier)
	return "?identifier=" + url.QueryEscape(identifier) + "&identifier_hash=" + proof[strings.LastIndex(proof, "=")+1:]
}

func quote(text string) string {
	quoted, _ := json.Marshal(text)
	return string(quoted)
}

// isSilent subscribes with a token that is none. Whoever subscribes rightly behind it
// is confirmed first.
func (x *everyChannel) isSilent(token string) {
	x.t.Helper()
	ctx, cancel := context.WithCancel(x.t.Context())
	defer cancel()
	c, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(x.p.public, "http")+"/cable", &websocket.DialOptions{Subprotocols: []string{"actioncable-v1-json"}})
	if err != nil {
		x.t.Fatal(err)
	}
	defer func() { _ = c.CloseNow() }()
	var known struct {
		Token string `json:"pubsub_token"`
	}
	x.call(http.MethodGet, publicAPI+"/stranger", "", &known)
	for _, one := range []string{token, quote(known.Token)} {
		identifier := quote(`{"channel":"RoomChannel","pubsub_token":` + one + `}`)
		if err := c.Write(ctx, websocket.MessageText, []byte(`{"command":"subscribe","identifier":`+identifier+`}`)); err != nil {
			x.t.Fatal(err)
		}
	}
	for {
		_, data, err := c.Read(ctx)
		if err != nil {
			x.t.Fatalf("%s: %v", token, err)
		}
		if strings.Contains(string(data), "confirm_subscription") {
			if !strings.Contains(string(data), known.Token) {
				x.t.Errorf("%s is confirmed: %s", token, data)
			}
			return
		}
	}
}
