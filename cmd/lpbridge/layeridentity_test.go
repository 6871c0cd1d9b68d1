package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"

	"lpbridge/connector/lpsim"
)

// layerUsers is a bridge whose users are vouched for by a provider's key.
type layerUsers struct {
	*everyChannel
	key *rsa.PrivateKey
}

var layerAccept = []string{"Accept", "application/vnd.layer+json; version=3.0"}

func newLayerUsers(t *testing.T) *layerUsers {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	u := &layerUsers{&everyChannel{stage: newStage(t)}, key}
	u.p = u.run(map[string]string{
		"LPBRIDGE_CHANNELS": "layer", "LAYER_PUBLIC_URL": u.front, "LPBRIDGE_PUBLIC_URL": u.front, "LAYER_APP_IDS": "shop,bank",
		"LAYER_PROVIDER_KEYS": u.provider(),
		"WEBHOOK_SECRET":      "", "WEBHOOK_URL": "",
	})
	return u
}

// provider names the key as LAYER_PROVIDER_KEYS does.
func (u *layerUsers) provider() string {
	return "provider/key=base64:" + base64.StdEncoding.EncodeToString(x509.MarshalPKCS1PublicKey(&u.key.PublicKey))
}

func (u *layerUsers) nonce() string {
	u.t.Helper()
	var nonce struct{ Nonce string }
	u.call(http.MethodPost, "/layer/nonces", "", &nonce, layerAccept...)
	return nonce.Nonce
}

// claims are a token's for somebody who says the same of themselves as all others.
func claims(user any, nonce string) jwt.MapClaims {
	return jwt.MapClaims{
		"iss": "layer:///providers/provider", "prn": user, "nce": nonce, "iat": time.Now().Unix(), "exp": time.Now().Add(time.Minute).Unix(),
		"first_name": "Vera", "display_name": "Vera", "email_address": "v@example.com", "phone_number": "+351123456789", "metadata": map[string]string{"user_id": "victim"},
	}
}

func (u *layerUsers) sign(method jwt.SigningMethod, key any, c jwt.MapClaims) string {
	u.t.Helper()
	token := jwt.NewWithClaims(method, c)
	token.Header["cty"], token.Header["kid"] = "layer-eit;v=1", "layer:///keys/key"
	signed, err := token.SignedString(key)
	if err != nil {
		u.t.Fatal(err)
	}
	return signed
}

func sessionOf(app, token string) string {
	return fmt.Sprintf(`{"app_id":"layer:///apps/production/%s","identity_token":%q}`, app, token)
}

// login returns the headers of a user's requests and the session token.
func (u *layerUsers) login(app, user string) (header []string, token string) {
	u.t.Helper()
	var session struct {
		Token string `json:"session_token"`
	}
	u.call(http.MethodPost, "/layer/sessions", sessionOf(app, u.sign(jwt.SigningMethodRS256, u.key, claims(user, u.nonce()))), &session, layerAccept...)
	return append(slices.Clone(layerAccept), "Authorization", `Layer session-token="`+session.Token+`"`), session.Token
}

// begins has a user write in a new conversation, whose path it returns.
func (u *layerUsers) begins(header []string, text string) string {
	u.t.Helper()
	var conversation struct{ ID string }
	u.call(http.MethodPost, "/layer/conversations", `{"participants":["layer:///identities/agent"],"distinct":false}`, &conversation, header...)
	path := "/layer/conversations/" + strings.TrimPrefix(conversation.ID, "layer:///conversations/")
	u.call(http.MethodPost, path+"/messages", fmt.Sprintf(`{"parts":[{"mime_type":"text/plain","body":%q}]}`, text), nil, header...)
	u.consumerWho(text)
	return path
}

// TestTokensOfLayerOnTheRunningProgram: a user is the id in the token, letter by
// letter, and nothing else that the token says; and a token counts once.
func TestTokensOfLayerOnTheRunningProgram(t *testing.T) {
	t.Parallel()
	u := newLayerUsers(t)
	known := map[string]string{}
	for i, user := range []string{"victim", "Victim", "victim ", "v\u0131ctim", "v%69ctim", "../victim", "caf\u00e9", "cafe\u0301"} {
		header, _ := u.login("shop", user)
		text := fmt.Sprintf("word %d", i)
		u.begins(header, text)
		consumer, _ := u.consumerWho(text)
		if other, taken := known[consumer]; taken {
			t.Errorf("%q and %q are one consumer", other, user)
		}
		known[consumer] = user
		var list []json.RawMessage
		u.call(http.MethodGet, "/layer/conversations", "", &list, header...)
		if len(list) != 1 {
			t.Errorf("%q lists %d conversations", user, len(list))
		}
	}
	// The same user by another app is the same user.
	bank, _ := u.login("bank", "victim")
	var list []json.RawMessage
	u.call(http.MethodGet, "/layer/conversations", "", &list, bank...)
	if len(list) != 1 {
		t.Errorf("the user of another app lists %d conversations", len(list))
	}

	used := u.sign(jwt.SigningMethodRS256, u.key, claims("victim", u.nonce()))
	u.call(http.MethodPost, "/layer/sessions", sessionOf("shop", used), nil, layerAccept...)
	other, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	of := func(change func(jwt.MapClaims)) string {
		c := claims("victim", u.nonce())
		change(c)
		return u.sign(jwt.SigningMethodRS256, u.key, c)
	}
	for name, token := range map[string]string{
		"used":                  used,
		"of another key":        u.sign(jwt.SigningMethodRS256, other, claims("victim", u.nonce())),
		"of no key":             u.sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims("victim", u.nonce())),
		"of the public key":     u.sign(jwt.SigningMethodHS256, x509.MarshalPKCS1PublicKey(&u.key.PublicKey), claims("victim", u.nonce())),
		"for a nonce of nobody": of(func(c jwt.MapClaims) { c["nce"] = strings.Repeat("A", 54) }),
		"for no nonce":          of(func(c jwt.MapClaims) { delete(c, "nce") }),
		"of a number":           of(func(c jwt.MapClaims) { c["prn"] = 7 }),
		"of several":            of(func(c jwt.MapClaims) { c["prn"] = []string{"victim", "stranger"} }),
		"of nobody":             of(func(c jwt.MapClaims) { c["prn"] = "" }),
		"of the agent":          of(func(c jwt.MapClaims) { c["prn"] = "agent" }),
		"of another agent":      of(func(c jwt.MapClaims) { c["prn"] = "agent:12345678" }),
		"of another provider":   of(func(c jwt.MapClaims) { c["iss"] = "layer:///providers/elsewhere" }),
		"cut":                   used[:len(used)-4],
	} {
		if a := do(t, http.MethodPost, u.p.public+"/layer/sessions", http.Header{"Accept": {layerAccept[1]}, "Content-Type": {"application/json"}}, sessionOf("shop", token)); a.status != http.StatusUnprocessableEntity {
			t.Errorf("a token %s is answered %d: %s", name, a.status, a.body)
		}
	}
	u.refuses(http.StatusForbidden, http.MethodPost, "/layer/sessions", sessionOf("elsewhere", of(func(jwt.MapClaims) {})), layerAccept...)
}

// TestFilesAndAgentsOfLayerOnTheRunningProgram: a stranger who knows every id of a
// victim's things reads, changes and hears nothing of them.
func TestFilesAndAgentsOfLayerOnTheRunningProgram(t *testing.T) {
	t.Parallel()
	u := newLayerUsers(t)
	victim, victimsToken := u.login("shop", "victim")
	stranger, strangersToken := u.login("shop", "stranger")
	mine, theirs := u.begins(victim, "my IBAN?"), u.begins(stranger, "hello")

	var file struct {
		ID       string
		Upload   string `json:"upload_url"`
		Download string `json:"download_url"`
	}
	u.call(http.MethodPost, "/layer/content", "", &file, append(victim, "Upload-Content-Length", "4", "Upload-Content-Type", "text/plain")...)
	path := func(address string) string { return strings.TrimPrefix(address, u.front) }
	u.call(http.MethodPut, path(file.Upload), "mine", nil)
	u.refuses(http.StatusConflict, http.MethodPut, path(file.Upload), "other")
	u.refuses(http.StatusNotFound, http.MethodGet, "/layer/content/"+strings.TrimPrefix(file.ID, "layer:///content/"), "", stranger...)
	u.refuses(http.StatusUnprocessableEntity, http.MethodPost, theirs+"/messages", fmt.Sprintf(`{"parts":[{"mime_type":"text/plain","content":{"id":%q}}]}`, file.ID), stranger...)
	if a := do(t, http.MethodGet, u.p.public+path(file.Download), nil, ""); a.status != http.StatusOK || a.body != "mine" {
		t.Errorf("who knows the address reads %d %s", a.status, a.body)
	}

	heard := u.socket(strangersToken)
	u.answersTo("my IBAN?", "it is PT50")
	u.answersTo("hello", "good morning")
	all := heard("good morning")
	if strings.Contains(all, "PT50") || strings.Contains(all, "IBAN") {
		t.Errorf("the stranger hears %s", all)
	}
	var messages []struct{ ID string }
	u.call(http.MethodGet, mine+"/messages", "", &messages, victim...)
	for _, m := range messages {
		at := "/layer/messages/" + strings.TrimPrefix(m.ID, "layer:///messages/")
		u.refuses(http.StatusNotFound, http.MethodGet, at, "", stranger...)
		u.refuses(http.StatusNotFound, http.MethodPost, at+"/receipts", `{"type":"read"}`, stranger...)
		u.refuses(http.StatusNotFound, http.MethodDelete, at+"?mode=all_participants", "", stranger...)
		u.refuses(http.StatusUnprocessableEntity, http.MethodGet, theirs+"/messages?from_id="+m.ID, "", stranger...)
		u.refuses(http.StatusConflict, http.MethodPost, theirs+"/messages", fmt.Sprintf(`{"id":%q,"parts":[{"mime_type":"text/plain","body":"x"}]}`, m.ID), stranger...)
	}
	for _, identity := range []string{"victim", "Victim", "vict%69m"} {
		u.refuses(http.StatusNotFound, http.MethodGet, "/layer/identities/"+identity, "", stranger...)
	}
	u.refuses(http.StatusNotFound, http.MethodDelete, "/layer/sessions/"+victimsToken, "", stranger...)
	u.refuses(http.StatusNotFound, http.MethodPatch, mine, `[{"operation":"set","property":"metadata.title","value":"x"}]`, stranger...)
	u.refuses(http.StatusUnprocessableEntity, http.MethodPatch, theirs, `[{"operation":"add","property":"participants","id":"layer:///identities/victim"}]`, stranger...)
	u.refuses(http.StatusUnprocessableEntity, http.MethodPost, "/layer/conversations", `{"participants":["layer:///identities/victim","layer:///identities/agent"]}`, stranger...)
	// An agent's identity is shown to those it answers, without what proves nothing.
	u.call(http.MethodGet, "/layer/identities/agent", "", nil, victim...)
	if _, conversation := u.consumerWho("my IBAN?"); true {
		if _, err := u.sim.AgentMessage(conversation, lpsim.AgentMessage{Text: "still there?"}); err != nil {
			t.Fatal(err)
		}
	}
	u.call(http.MethodPost, mine+"/mark_all_read", `{}`, nil, victim...)
}

// socket connects and returns all that is heard until a text is. It also asks, as the
// SDKs do, for what is not the user's.
func (u *layerUsers) socket(token string) (until func(text string) string) {
	u.t.Helper()
	ctx, cancel := context.WithCancel(u.t.Context())
	u.t.Cleanup(cancel)
	c, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(u.p.public, "http")+"/layer/?session_token="+token, &websocket.DialOptions{Subprotocols: []string{"layer-3.0"}})
	if err != nil {
		u.t.Fatal(err)
	}
	c.SetReadLimit(1 << 20)
	u.t.Cleanup(func() { _ = c.CloseNow() })
	ask := `{"type":"request","body":{"request_id":"r","method":"Event.replay","data":{"from_timestamp":"2020-01-01T00:00:00.000Z"}}}`
	if err := c.Write(ctx, websocket.MessageText, []byte(ask)); err != nil {
		u.t.Fatal(err)
	}
	return func(text string) string {
		var all strings.Builder
		for !strings.Contains(all.String(), text) {
			_, data, err := c.Read(ctx)
			if err != nil {
				u.t.Fatalf("%v before %q was heard: %s", err, text, all.String())
			}
			all.Write(data)
		}
		return all.String()
	}
}
