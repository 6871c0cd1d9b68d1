package lpsim_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"lpbridge/connector/lpsim"
)

// world is a simulator behind a real server, and the calls of a plain connector.
type world struct {
	t   testing.TB
	sim *lpsim.Sim
	url string
	hc  *http.Client
	app string
}

func start(t testing.TB, config lpsim.Config) *world {
	t.Helper()
	sim := lpsim.New(config)
	server := httptest.NewServer(sim)
	w := &world{t: t, sim: sim, url: server.URL, hc: server.Client()}
	t.Cleanup(func() {
		server.Close()
		sim.Close()
	})
	return w
}

// startInside is for synctest bubbles: no sockets.
func startInside(t testing.TB, config lpsim.Config) *world {
	t.Helper()
	sim := lpsim.New(config)
	t.Cleanup(sim.Close)
	return &world{t: t, sim: sim, url: "http://sim.invalid", hc: &http.Client{Transport: sim.Transport()}}
}

type reply struct {
	status int
	header http.Header
	text   string
}

// field digs into a JSON answer, such as "body.sequence" or "0.code".
func (r reply) field(t testing.TB, path string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(r.text), &v); err != nil {
		t.Fatalf("answer %d is not JSON: %v: %.200s", r.status, err, r.text)
	}
	for name := range strings.SplitSeq(path, ".") {
		switch node := v.(type) {
		case map[string]any:
			v = node[name]
		case []any:
			var i int
			if err := json.Unmarshal([]byte(name), &i); err != nil || i >= len(node) {
				return nil
			}
			v = node[i]
		default:
			return nil
		}
	}
	return v
}

func (w *world) do(method, path, body string, headers ...string) reply {
	w.t.Helper()
	r, err := w.try(method, path, body, headers...)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	return r
}

func (w *world) try(method, path, body string, headers ...string) (reply, error) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.hc.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(data)}, err
}

const formType = "application/x-www-form-urlencoded"

func (w *world) appJWT() string {
	w.t.Helper()
	if w.app != "" {
		return w.app
	}
	r := w.do("POST", "/sentinel/api/account/sandbox/app/token?v=1.0&grant_type=client_credentials",
		"client_id=sandbox-client&client_secret=sandbox-secret", "Content-Type", formType)
	w.app, _ = r.field(w.t, "access_token").(string)
	if r.status != 200 || w.app == "" {
		w.t.Fatalf("no AppJWT: %+v", r)
	}
	return w.app
}

func (w *world) consumerJWS(ext string) string {
	w.t.Helper()
	r := w.do("POST", "/api/account/sandbox/consumer?v=1.0", `{"ext_consumer_id":"`+ext+`"}`, "Authorization", w.appJWT())
	token, _ := r.field(w.t, "token").(string)
	if r.status != 201 || token == "" {
		w.t.Fatalf("no ConsumerJWS: %+v", r)
	}
	return token
}

const (
	sendPath   = "/api/account/sandbox/messaging/consumer/conversation/send?v=3"
	createPath = "/api/account/sandbox/messaging/consumer/conversation?v=3"
	batch      = `[{"kind":"req","id":"1,","type":"userprofile.SetUserProfile","body":{}},
 {"kind":"req","id":2,"type":"cm.ConsumerRequestConversation","body":{"brandId":"sandbox"}}]`
	allFeatures = `{"type":".ClientProperties","features":["AUTO_MESSAGES","RICH_CONTENT","QUICK_REPLIES","MULTI_DIALOG","PHOTO_SHARING","FILE_SHARING"]}`
)

// chat is one consumer with a conversation.
type chat struct {
	*world
	jws string
	id  string
}

func (w *world) headers(jws string) []string {
	return []string{"Authorization", w.appJWT(), "X-LP-ON-BEHALF", jws, "Client-Properties", allFeatures}
}

func (w *world) open(ext string) *chat {
	w.t.Helper()
	jws := w.consumerJWS(ext)
	r := w.do("POST", createPath, batch, w.headers(jws)...)
	id, _ := r.field(w.t, "1.body.conversationId").(string)
	if r.status != 200 || id == "" {
		w.t.Fatalf("no conversation: %+v", r)
	}
	return &chat{w, jws, id}
}

func (c *chat) send(body string) reply {
	c.t.Helper()
	return c.do("POST", sendPath, body, c.headers(c.jws)...)
}

func event(conversation, dialog, event string) string {
	return `{"kind":"req","id":"e","type":"ms.PublishEvent","body":{"conversationId":"` + conversation + `","dialogId":"` + dialog + `","event":` + event + `}}`
}

func (c *chat) event(body string) reply {
	c.t.Helper()
	return c.send(event(c.id, c.id, body))
}

func textEvent(text string) string {
	data, _ := json.Marshal(text)
	return `{"type":"ContentEvent","contentType":"text/plain","message":` + string(data) + `}`
}

func (c *chat) say(text string) reply {
	c.t.Helper()
	return c.event(textEvent(text))
}

func (c *chat) state(state string) reply {
	c.t.Helper()
	return c.event(`{"type":"ChatStateEvent","chatState":"` + state + `"}`)
}

func (c *chat) view() lpsim.Conversation {
	c.t.Helper()
	v, ok := c.sim.Conversation(c.id)
	if !ok {
		c.t.Fatalf("conversation %s is gone", c.id)
	}
	return v
}

func (c *chat) update(field string) reply {
	c.t.Helper()
	return c.send(`{"kind":"req","id":"u","type":"cm.UpdateConversationField","body":{"conversationId":"` + c.id + `","conversationField":` + field + `}}`)
}

func want[T comparable](t testing.TB, what string, got any, want T) {
	t.Helper()
	if got != any(want) {
		t.Errorf("%s = %v, want %v", what, got, want)
	}
}

func compact(text string) string {
	var b bytes.Buffer
	json.Compact(&b, []byte(text))
	return b.String()
}
