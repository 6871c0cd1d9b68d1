package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"lpbridge/bridge/livechatai/livechataitest"
	"lpbridge/connector/lpsim"
)

// everyChannel is a bridge that serves all channels, with a consumer on each who
// has written once, and the simulator's agent behind it.
type everyChannel struct {
	*stage
	p        *process
	chatwoot *chatwootStub
	live     *livechataitest.Server
	parties  []*party
	// failing is what the systems of Chatwoot and LiveChatAI answer everything with; 0
	// when they are well.
	failing atomic.Int32
}

// behind is a channel's system that may fail.
func (x *everyChannel) behind(system http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status := x.failing.Load(); status != 0 {
			w.WriteHeader(int(status))
			return
		}
		system.ServeHTTP(w, r)
	})
}

// party is a consumer of one channel.
type party struct {
	channel string
	// conversation is LivePerson's.
	conversation string
	// shown are the agent's messages as the channel got them, oldest first.
	shown func() []string
	// describe says in a few words what a channel got.
	describe func(raw string) string
	// choose picks something to choose in a message by its title, as the channel's
	// clients do.
	choose func(raw, title string)
}

const greeting = "hello from "

// newEveryChannel starts the bridge and lets all consumers write.
func newEveryChannel(t *testing.T, changes map[string]string) *everyChannel {
	t.Helper()
	x := &everyChannel{stage: newStage(t), chatwoot: &chatwootStub{}}
	live := livechataitest.New()
	x.live = live
	live.Open(livechataitest.Conversation{ID: "chat_1", Agent: "agent-1", IsAgent: true, Contact: livechataitest.Contact{ID: "contact_1"}})
	chatwoot, liveServer := httptest.NewServer(x.behind(x.chatwoot)), httptest.NewServer(x.behind(live))
	t.Cleanup(chatwoot.Close)
	t.Cleanup(liveServer.Close)
	settings := map[string]string{
		"LPBRIDGE_CHANNELS": "webhook,chatwoot,chatwootapi,layer,livechatai", "LPBRIDGE_PUBLIC_URL": x.front,
		"CHATWOOT_BASE_URL": chatwoot.URL, "CHATWOOT_ACCOUNT_ID": "1", "CHATWOOT_TOKEN": "token", "CHATWOOT_ALLOW_UNSIGNED": "true",
		"CHATWOOT_URL_SECRET": chatwootDoor, "CHATWOOT_ORDER_HOLD": "0s",
		"CHATWOOTAPI_PUBLIC_URL": x.front, "LAYER_PUBLIC_URL": x.front, "CHATWOOTAPI_INBOXES": "inbox,other", "LAYER_APP_IDS": "sandbox", "LAYER_SANDBOX_IDENTITIES": "true",
		"LIVECHATAI_API_KEY": livechataitest.Key, "LIVECHATAI_AGENT_IDS": "agent-1", "LIVECHATAI_BASE_URL": liveServer.URL,
		"LIVECHATAI_POLL_BUSY": "1s", "LIVECHATAI_POLL_IDLE": "1s", "LIVECHATAI_IMPORT": "true",
	}
	maps.Copy(settings, changes)
	x.p = x.run(settings)
	x.parties = []*party{x.onWebhook(), x.onChatwoot(), x.onChatwootAPI(), x.onLayer(), x.onLiveChatAI(live)}
	for _, p := range x.parties {
		await(t, "the conversation of "+p.channel, func() bool {
			p.conversation = x.conversationWith(greeting + p.channel)
			return p.conversation != ""
		})
	}
	return x
}

// conversationWith is LivePerson's conversation in which a consumer wrote a text.
func (x *everyChannel) conversationWith(text string) string {
	for _, summary := range x.sim.Conversations() {
		if c, ok := x.sim.Conversation(summary.ConversationID); ok && slices.ContainsFunc(c.Transcript, func(e lpsim.Entry) bool { return e.Text == text }) {
			return c.ConversationID
		}
	}
	return ""
}

// call makes a request that must succeed and decodes its answer.
func (x *everyChannel) call(method, path, body string, into any, header ...string) {
	x.t.Helper()
	h := http.Header{"Content-Type": {"application/json"}}
	for i := 0; i+1 < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	a := do(x.t, method, x.p.public+path, h, body)
	if a.status/100 != 2 {
		x.t.Fatalf("%s %s was answered %d: %s", method, path, a.status, a.body)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal([]byte(a.body), into); err != nil {
		x.t.Fatalf("%s %s: %v: %s", method, path, err, a.body)
	}
}

func (x *everyChannel) onWebhook() *party {
	x.post(x.p, message("t-1", "m-1", greeting+"webhook"))
	choose := func(raw, title string) {
		e := decoded[struct {
			ID      string
			Message struct{ QuickReplies []struct{ ID, Title string } }
		}](x.t, raw)
		for _, q := range e.Message.QuickReplies {
			if q.Title == title {
				x.post(x.p, fmt.Sprintf(`{"id":"click-%s","type":"click","thread":"t-1","consumer":{"id":"consumer-of-t-1"},"click":{"messageId":%q,"replyId":%q}}`, e.ID, e.ID, q.ID))
			}
		}
	}
	return &party{channel: "webhook", describe: describeEnvelope, choose: choose, shown: func() (raw []string) {
		x.far.mu.Lock()
		defer x.far.mu.Unlock()
		for _, e := range x.far.got {
			if e.Type == "message" {
				raw = append(raw, e.raw)
			}
		}
		return raw
	}}
}

// chatwootDoor ends the address of the webhook in this test.
const chatwootDoor = "the-door-of-the-test"

// webhookOfChatwoot reports a message as Chatwoot does.
func (x *everyChannel) webhookOfChatwoot(id int, members string) {
	x.t.Helper()
	body := fmt.Sprintf(`{"id":%d,"private":false,"account":{"id":1},
		"inbox":{"id":3},"sender":{"id":10,"name":"Ana"},"created_at":"2026-06-17T12:00:00.123Z",
		"conversation":{"id":42,"inbox_id":3,"status":"open","contact_inbox":{"id":31,"contact_id":10,"source_id":"s-1"},
			"meta":{"sender":{"id":10,"name":"Ana","type":"contact"}}},%s}`, id, members)
	x.call(http.MethodPost, "/channels/chatwoot/"+chatwootDoor, body, nil)
}

func (x *everyChannel) onChatwoot() *party {
	x.webhookOfChatwoot(100, `"event":"message_created","message_type":"incoming","content_type":"text","content":`+strconv.Quote(greeting+"chatwoot"))
	choose := func(raw, title string) {
		m := decoded[map[string]json.RawMessage](x.t, raw)
		// Chatwoot gives the members of content_attributes back, and those chosen.
		attributes := strings.TrimSuffix(string(m["content_attributes"]), "}") + fmt.Sprintf(`,"submitted_values":[{"title":%q,"value":%q}]}`, title, title)
		x.webhookOfChatwoot(1001+slices.Index(x.chatwoot.messages(), raw), `"event":"message_updated","message_type":"outgoing","content_type":`+string(m["content_type"])+
			`,"content":`+string(m["content"])+`,"content_attributes":`+attributes)
	}
	return &party{channel: "chatwoot", describe: describeChatwoot, choose: choose, shown: x.chatwoot.messages}
}

// chatwootStub is as much of Chatwoot's application API as agents' messages need;
// the channel's own tests have one that is strict.
type chatwootStub struct {
	mu  sync.Mutex
	got []string
	// in has the conversation of each message.
	in []string
	// resolved counts the conversations that were ended.
	resolved int
}

// heard are the texts of a conversation.
func (s *chatwootStub) heard(conversation int) (texts []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, raw := range s.got {
		var m struct{ Content string }
		// What it was given was JSON.
		_ = json.Unmarshal([]byte(raw), &m)
		if s.in[i] == strconv.Itoa(conversation) {
			texts = append(texts, m.Content)
		}
	}
	return texts
}

func (s *chatwootStub) messages() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *chatwootStub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	if strings.HasSuffix(r.URL.Path, "/toggle_status") {
		// It is small, and what cannot be read resolves nothing.
		if body, _ := io.ReadAll(r.Body); strings.Contains(string(body), "resolved") {
			s.resolved++
		}
	}
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/messages") {
		fmt.Fprint(w, `{"payload":[]}`)
		return
	}
	body := map[string]any{}
	if err := r.ParseMultipartForm(8 << 20); err == nil {
		for name, values := range r.MultipartForm.Value {
			body[name] = values[0]
		}
		body["content_attributes"] = json.RawMessage(r.FormValue("content_attributes"))
		files := []map[string]string{}
		for _, f := range r.MultipartForm.File["attachments[]"] {
			files = append(files, map[string]string{"content_type": f.Header.Get("Content-Type"), "name": f.Filename})
		}
		body["attachments"] = files
	} else if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	// A map of what was JSON can be written as JSON.
	raw, _ := json.Marshal(body)
	s.got, s.in = append(s.got, string(raw)), append(s.in, path.Base(path.Dir(r.URL.Path)))
	fmt.Fprintf(w, `{"id":%d}`, 1000+len(s.got))
}

const publicAPI = "/public/api/v1/inboxes/inbox/contacts"

func (x *everyChannel) onChatwootAPI() *party {
	x.call(http.MethodPost, publicAPI, `{"source_id":"ana","name":"Ana"}`, nil)
	var thread struct{ ID int }
	x.call(http.MethodPost, publicAPI+"/ana/conversations", "{}", &thread)
	messages := publicAPI + "/ana/conversations/" + strconv.Itoa(thread.ID) + "/messages"
	x.call(http.MethodPost, messages, `{"content":"`+greeting+`chatwootapi"}`, nil)
	choose := func(raw, title string) {
		m := decoded[struct {
			ID         int
			Attributes struct {
				Items []struct {
					Title, Value string
					Actions      []struct{ Text, Payload string }
				}
			} `json:"content_attributes"`
		}](x.t, raw)
		value := ""
		for _, item := range m.Attributes.Items {
			if item.Title == title && item.Value != "" {
				value = item.Value
			}
			for _, a := range item.Actions {
				if a.Text == title {
					value = a.Payload
				}
			}
		}
		x.call(http.MethodPatch, messages+"/"+strconv.Itoa(m.ID), fmt.Sprintf(`{"submitted_values":[{"title":%q,"value":%q}]}`, title, value), nil)
	}
	return &party{channel: "chatwootapi", describe: describeChatwoot, choose: choose, shown: func() (raw []string) {
		var all []json.RawMessage
		x.call(http.MethodGet, messages, "", &all)
		for _, m := range all {
			if !strings.Contains(string(m), `"message_type":0`) {
				raw = append(raw, string(m))
			}
		}
		return raw
	}}
}

func (x *everyChannel) onLayer() *party {
	accept := []string{"Accept", "application/vnd.layer+json; version=3.0"}
	var nonce struct{ Nonce string }
	x.call(http.MethodPost, "/layer/nonces", "", &nonce, accept...)
	var identity struct {
		Token string `json:"identity_token"`
	}
	x.call(http.MethodPost, "/layer/sandbox/identity_token", `{"nonce":"`+nonce.Nonce+`","user_id":"ana"}`, &identity)
	var session struct {
		Token string `json:"session_token"`
	}
	x.call(http.MethodPost, "/layer/sessions", `{"app_id":"layer:///apps/staging/sandbox","identity_token":"`+identity.Token+`"}`, &session, accept...)
	header := append(accept, "Authorization", `Layer session-token="`+session.Token+`"`)
	var conversation struct{ ID string }
	x.call(http.MethodPost, "/layer/conversations", `{"participants":["layer:///identities/agent"],"distinct":false}`, &conversation, header...)
	messages := "/layer/conversations/" + strings.TrimPrefix(conversation.ID, "layer:///conversations/") + "/messages"
	x.call(http.MethodPost, messages, `{"parts":[{"mime_type":"text/plain","body":"`+greeting+`layer"}]}`, nil, header...)
	choose := func(raw, title string) {
		m := decoded[struct {
			ID    string
			Parts []struct{ Body string }
		}](x.t, raw)
		for _, p := range m.Parts {
			for _, c := range layerChoices(p.Body) {
				if c.Text != title {
					continue
				}
				body := fmt.Sprintf(`{"response_to":%q,"changes":[{"operation":"add","type":"FWW","name":"selection","value":%q,"id":"x"}]}`, m.ID, c.ID)
				part, _ := json.Marshal(map[string]string{"mime_type": "application/vnd.layer.response-v2+json;role=root", "body": body})
				x.call(http.MethodPost, messages, `{"parts":[`+string(part)+`]}`, nil, header...)
			}
		}
	}
	return &party{channel: "layer", describe: describeLayer, choose: choose, shown: func() (raw []string) {
		var all []json.RawMessage
		x.call(http.MethodGet, messages+"?page_size=50", "", &all, header...)
		for _, m := range slices.Backward(all) {
			if !strings.Contains(string(m), `"user_id":"ana"`) {
				raw = append(raw, string(m))
			}
		}
		return raw
	}}
}

func (x *everyChannel) onLiveChatAI(live *livechataitest.Server) *party {
	live.Say("chat_1", greeting+"livechatai")
	choose := func(_, title string) { live.Say("chat_1", strings.ToUpper(title)) }
	return &party{channel: "livechatai", describe: describeWords, choose: choose, shown: func() (raw []string) {
		for _, line := range live.Messages("chat_1") {
			if words, ours := strings.CutPrefix(line, live.ReplyRole+": "); ours {
				raw = append(raw, words)
			}
		}
		return raw
	}}
}

type layerChoice struct{ ID, Text string }

// layerChoices are the choices of a message part, of its own or of its buttons.
func layerChoices(body string) []layerChoice {
	var p struct {
		Choices []layerChoice
		Buttons []struct{ Choices []layerChoice }
	}
	// Other parts have none.
	_ = json.Unmarshal([]byte(body), &p)
	for _, b := range p.Buttons {
		p.Choices = append(p.Choices, b.Choices...)
	}
	return p.Choices
}

// decoded reads what a channel got.
func decoded[T any](t *testing.T, raw string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(raw), &v); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	return v
}

// agentSends lets the agent of every party send something, and returns what each
// channel made of it and what the agent of the first was told.
func (x *everyChannel) agentSends(n int, m lpsim.AgentMessage) (shown map[string][]string, receipts []string) {
	x.t.Helper()
	fence := "— " + strconv.Itoa(n) + " —"
	shown = map[string][]string{}
	var first lpsim.Sent
	for _, p := range x.parties {
		sent, err := x.sim.AgentMessage(p.conversation, m)
		if err != nil {
			x.t.Fatal(err)
		}
		if first.ConversationID == "" {
			first = sent
		}
		if _, err := x.sim.AgentMessage(p.conversation, lpsim.AgentMessage{Text: fence}); err != nil {
			x.t.Fatal(err)
		}
	}
	for _, p := range x.parties {
		var all []string
		await(x.t, "what comes after it in "+p.channel, func() bool {
			all = p.shown()
			return len(all) > 0 && strings.Contains(all[len(all)-1], fence)
		})
		all = all[:len(all)-1]
		for i, raw := range slices.Backward(all) {
			if strings.Contains(raw, "— ") {
				all = all[i+1:]
				break
			}
		}
		shown[p.channel] = all
	}
	await(x.t, "the receipt of what comes after it", func() bool {
		receipts = nil
		fenced := false
		c, _ := x.sim.Conversation(first.ConversationID)
		for _, r := range c.AgentSees.Receipts {
			switch r.Sequence {
			case first.Sequence:
				receipts = append(receipts, r.Status)
			case first.Sequence + 1:
				fenced = true
			}
		}
		return fenced
	})
	return shown, receipts
}

// aPicture and aDocument are files an agent sends.
var (
	aPicture  = lpsim.AgentFile{Caption: "The shop", FileType: "PNG", ContentBase64: onePixel}
	aDocument = lpsim.AgentFile{Caption: "invoice.pdf", FileType: "PDF", ContentBase64: base64.StdEncoding.EncodeToString([]byte("%PDF-1.4\n%%EOF\n"))}
)

// onePixel is the smallest picture.
const onePixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
