package layer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
)

// root is a message with one root part of a message type.
func root(kind, body string, more ...string) string {
	parts := append([]string{fmt.Sprintf(`{"mime_type":"application/vnd.layer.%s+json;role=root","body":%q}`, kind, body)}, more...)
	return `{"parts":[` + strings.Join(parts, ",") + `]}`
}

// TestMessageTypesReachTheAgent sends what web-xdk 4 sends.
func TestMessageTypesReachTheAgent(t *testing.T) {
	png := base64.StdEncoding.EncodeToString([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"))
	source := func(mime string) string {
		return fmt.Sprintf(`{"mime_type":"%s;role=source;parent-node-id=x","encoding":"base64","body":%q}`, mime, png)
	}
	for _, tc := range []struct {
		name, message string
		want          bridge.Message
		files         int // those whose address is ours
	}{
		{
			name:    "location",
			message: root("location", `{"latitude":37.77,"longitude":-122.39,"title":"Here I am"}`),
			want:    bridge.Message{Text: "Here I am\n37.77, -122.39"},
		},
		{
			name:    "location with address and odd types",
			message: root("location", `{"latitude":"52.5","longitude":"13.40","street1":"Platz 1","city":"Berlin","administrative_area":"BE","postal_code":10115,"country":null}`),
			want:    bridge.Message{Text: "Platz 1\nBerlin BE, 10115\n52.5, 13.40"},
		},
		{
			name:    "link",
			message: root("link", `{"url":"https://a.example/x","title":"Look","description":"at this","author":"me"}`),
			want:    bridge.Message{Text: "Look\nat this\nhttps://a.example/x"},
		},
		{
			name:    "image by address",
			message: root("image", `{"source_url":"https://a.example/x.png","preview_url":"https://a.example/p.png","title":"x","subtitle":"see"}`),
			want:    bridge.Message{Text: "see", Attachments: []bridge.Attachment{{URL: "https://a.example/x.png", ContentType: "image/*", Name: "x"}}},
		},
		{
			name:    "file by address",
			message: root("file", `{"source_url":"https://a.example/x.pdf","title":"x.pdf","mime_type":"application/pdf","size":7}`),
			want:    bridge.Message{Attachments: []bridge.Attachment{{URL: "https://a.example/x.pdf", ContentType: "application/pdf", Name: "x.pdf"}}},
		},
		{
			name:    "image within",
			message: root("image", `{"title":"x.png"}`, source("image/png"), `{"mime_type":"image/jpeg+preview;role=preview","encoding":"base64","body":"AAAA"}`),
			want:    bridge.Message{Attachments: []bridge.Attachment{{URL: "OURS", ContentType: "image/png", Name: "x.png"}}}, files: 1,
		},
		{
			name:    "picture of old clients",
			message: `{"parts":[{"mime_type":"text/plain","body":"see"},{"mime_type":"image/png","encoding":"base64","body":"` + png + `"}]}`,
			want:    bridge.Message{Text: "see", Attachments: []bridge.Attachment{{URL: "OURS", ContentType: "image/png"}}}, files: 1,
		},
		{name: "image without address", message: root("image", `{"title":"x"}`), want: bridge.Message{Text: "[image] x"}},
		{name: "file that is script", message: root("file", `{"source_url":"javascript:alert(1)","title":"x"}`), want: bridge.Message{Text: "[file] x"}},
		{name: "choice", message: root("choice", `{"label":"Which?","choices":[{"id":"a","text":"A"},{"id":"b","text":"B"}]}`), want: bridge.Message{Text: "Which?\n• A\n• B"}},
		{name: "type nobody knows", message: root("own-thing", `{"name":"Thing","x":{"y":1}}`), want: bridge.Message{Text: "Thing"}},
		{
			name:    "response to nothing of ours",
			message: root("response-v2", `{"response_to":"`+message2+`","changes":[{"operation":"add","name":"selection","value":"a"}]}`, `{"mime_type":"application/vnd.layer.status+json;role=status","body":"{\"text\":\"Ana chose A\"}"}`),
			want:    bridge.Message{Text: "Ana chose A"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			token := w.login("consumer-1")
			w.converse(token)
			w.must(201, token, "POST", "/conversations/"+thread1+"/messages", tc.message)
			got := *w.last().Message
			for i, a := range got.Attachments {
				if ours, found := strings.CutPrefix(a.URL, testBase); found {
					if r := w.send("", "GET", ours, ""); r.status != http.StatusOK {
						t.Errorf("the file answers %d", r.status)
					}
					got.Attachments[i].URL = "OURS"
				}
			}
			if diff := cmp.Diff(tc.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// cards is structured content with two cards, and the replies that the core
// makes of what can be clicked.
func cards() *bridge.Message {
	return &bridge.Message{
		Text: "Red shoe\nRunning\nBuy\nOpen\nBlue shoe\nBuy",
		Rich: json.RawMessage(`{"type":"carousel","elements":[
			{"type":"vertical","elements":[{"type":"image","url":"https://a.example/red.png"},{"type":"text","text":"Red shoe","tag":"title"},
				{"type":"text","text":"Running"},{"type":"button","title":"Buy","click":{"actions":[{"type":"publishText","text":"I want red"}]}},
				{"type":"button","title":"Open","click":{"actions":[{"type":"link","uri":"https://a.example/red"}]}}]},
			{"type":"vertical","elements":[{"type":"text","text":"Blue shoe"},
				{"type":"button","title":"Buy","click":{"actions":[{"type":"publishText","text":"I want blue"}]}}]}]}`),
		QuickReplies: []bridge.QuickReply{{ID: "0", Title: "Help"}, {ID: "1", Title: "Buy", Text: "I want red"}, {ID: "2", Title: "Buy", Text: "I want blue"}},
	}
}

// shown are the messages of the conversation, oldest first, as a client gets them.
func (w *world) shown(token, version string) []any {
	w.t.Helper()
	r := w.must(200, token, "GET", "/conversations/"+thread1+"/messages", "", "Accept", "application/vnd.layer+json; version="+version)
	list, _ := r.body.([]any)
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list
}

func bodyOf(t *testing.T, part any) map[string]any {
	t.Helper()
	text, _ := at(part, "body").(string)
	var body map[string]any
	if err := json.Unmarshal([]byte(text), &body); err != nil {
		t.Fatalf("%v: %v", part, err)
	}
	return body
}

func TestCardsAreShownAsTheSDKRendersThem(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	e := agentSays("dialog-1:5", "")
	e.Message = cards()
	w.deliver(e)
	w.deliver(e) // once more changes nothing

	list := w.shown(token, "3.0")
	if len(list) != 2 {
		t.Fatalf("%d messages, want the cards and the quick replies", len(list))
	}
	var kinds []string
	for _, p := range at(list[0], "parts").([]any) {
		kind, _ := at(p, "mime_type").(string)
		kinds = append(kinds, strings.TrimPrefix(uuidPattern.ReplaceAllString(kind, "ID"), "application/vnd.layer."))
	}
	want := []string{
		"carousel+json;role=root",
		"buttons+json;role=carousel-item;parent-node-id=ID;item-order=100", "product+json;role=content;parent-node-id=ID",
		"buttons+json;role=carousel-item;parent-node-id=ID;item-order=200", "text+json;role=content;parent-node-id=ID",
	}
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Fatalf("parts (-want +got):\n%s", diff)
	}
	product := bodyOf(t, at(list[0], "parts", 2))
	if diff := cmp.Diff(map[string]any{"name": "Red shoe", "description": "Running", "image_urls": []any{"https://a.example/red.png"}}, product); diff != "" {
		t.Error(diff)
	}
	buttons := bodyOf(t, at(list[0], "parts", 1))
	if at(buttons, "buttons", 0, "choices", 0, "id") != "1" || at(buttons, "buttons", 1, "data", "url") != "https://a.example/red" ||
		at(buttons, "buttons", 0, "data", "enabled_for") != "layer:///identities/consumer-1" {
		t.Errorf("buttons %v", buttons)
	}
	choice := bodyOf(t, at(list[1], "parts", 0))
	if at(choice, "choices", 0, "text") != "Help" || at(choice, "enabled_for") != "layer:///identities/consumer-1" {
		t.Errorf("quick replies %v", choice)
	}
	old := w.shown(token, "2.0")
	if at(old[0], "parts", 0, "mime_type") != "text/plain" || at(old[0], "parts", 0, "body") != e.Message.Text || at(old[1], "parts", 0, "body") != "• Help" ||
		len(at(old[0], "parts").([]any)) != 1 {
		t.Errorf("older clients get %v", old)
	}
}

// TestChoosingIsAClick answers as web-xdk 4 and its forerunner do.
func TestChoosingIsAClick(t *testing.T) {
	for name, response := range map[string]string{
		"version 2": root("response-v2", `{"response_to":"MESSAGE","response_to_node_id":"n","changes":[{"operation":"add","type":"FWW","name":"selection-1","value":"1","id":"abc"}]}`,
			`{"mime_type":"application/vnd.layer.status+json;role=status","body":"{\"text\":\"Ana selected Buy\"}"}`),
		"version 1": root("response", `{"response_to":"MESSAGE","participant_data":{"selection":"1"}}`),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			token := w.login("consumer-1")
			w.converse(token)
			e := agentSays("dialog-1:5", "")
			e.Message = cards()
			w.deliver(e)
			id, _ := at(w.shown(token, "3.0")[0], "id").(string)
			answer := strings.ReplaceAll(response, "MESSAGE", id)
			w.must(201, token, "POST", "/conversations/"+thread1+"/messages", answer)
			got := w.last()
			if got.Kind != bridge.KindClick || *got.Click != (bridge.Click{MessageID: "dialog-1:5", ReplyID: "1"}) {
				t.Errorf("told as %+v", got)
			}
			if n := len(w.core.Events()); n != 1 {
				t.Errorf("%d events, want the click alone", n)
			}
			// Taking something back says nothing, and is kept as history.
			w.send(token, "POST", "/conversations/"+thread1+"/messages", strings.Replace(answer, `\"operation\":\"add\"`, `\"operation\":\"remove\"`, 1))
			for _, e := range w.core.Events()[1:] {
				if e.Kind == bridge.KindClick && name == "version 2" {
					t.Errorf("taking a choice back is told as %+v", e.Click)
				}
			}
		})
	}
}

// TestChoosingTooLateSaysTheWords has the core no longer know the offer.
func TestChoosingTooLateSaysTheWords(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	e := agentSays("dialog-1:5", "")
	e.Message = cards()
	w.deliver(e)
	w.layer.core = forgetful{w.core}
	id, _ := at(w.shown(token, "3.0")[0], "id").(string)
	w.must(201, token, "POST", "/conversations/"+thread1+"/messages", root("response-v2", `{"response_to":"`+id+`","changes":[{"operation":"add","value":"1"}]}`))
	if got := w.last(); got.Kind != bridge.KindMessage || got.Message.Text != "I want red" {
		t.Errorf("told as %+v", got)
	}
}

func TestAgentsFilesAreMessagesOfTheirOwn(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	e := agentSays("dialog-1:5", "see")
	e.Message.Attachments = []bridge.Attachment{
		{URL: "https://chat.example/f/1", ContentType: "image/jpeg", Name: "a.jpg"}, {URL: "https://chat.example/f/2", ContentType: "application/pdf", Name: "b.pdf"},
	}
	w.deliver(e)
	w.deliver(e)
	list := w.shown(token, "3.0")
	if len(list) != 3 || at(list[0], "parts", 0, "body") != "see" ||
		at(list[1], "parts", 0, "mime_type") != "application/vnd.layer.image+json;role=root" || at(list[2], "parts", 0, "mime_type") != "application/vnd.layer.file+json;role=root" {
		t.Fatalf("messages %v", list)
	}
	if diff := cmp.Diff(map[string]any{"source_url": "https://chat.example/f/2", "title": "b.pdf", "mime_type": "application/pdf"}, bodyOf(t, at(list[2], "parts", 0))); diff != "" {
		t.Error(diff)
	}
	if old := w.shown(token, "1.0"); at(old[1], "parts", 0, "body") != "a.jpg https://chat.example/f/1" {
		t.Errorf("older clients get %v", old)
	}
}

// TestAgentsAreShownByName has agents with names, and one without.
func TestAgentsAreShownByName(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	e := agentSays("dialog-1:1", "hi")
	e.Agent = &bridge.Agent{ID: "agent-1", Name: "Jane", AvatarURL: "https://a.example/jane.png"}
	w.deliver(e)
	sender := at(w.shown(token, "3.0")[0], "sender")
	if at(sender, "display_name") != "Jane" || at(sender, "avatar_url") != "https://a.example/jane.png" || at(sender, "id") == "layer:///identities/agent" {
		t.Errorf("sender %v", sender)
	}
	path := strings.TrimPrefix(at(sender, "url").(string), testBase)
	if got := w.must(200, token, "GET", path, ""); got.has("display_name") != "Jane" || got.has("metadata") == nil {
		t.Errorf("identity %v", got.body)
	}
	a := w.connect(token, "layer-3.0")
	cue := bridge.TypingCue{Thread: thread1, Agent: *e.Agent, State: bridge.Composing}
	if err := w.layer.ShowTyping(t.Context(), cue); err != nil {
		t.Fatal(err)
	}
	if p := a.read(); at(p, "body", "data", "sender", "id") != at(sender, "id") || at(p, "body", "data", "sender", "display_name") != "Jane" {
		t.Errorf("typing %v", p)
	}
	plain := agentSays("dialog-1:2", "hi")
	plain.Agent = &bridge.Agent{ID: "agent-2"}
	w.deliver(plain)
	if got := at(w.shown(token, "3.0")[1], "sender", "display_name"); got != "Peer" {
		t.Errorf("an agent without name is %v", got)
	}
}

// forgetful no longer knows what agents offered.
type forgetful struct{ *bridgetest.Core }

func (f forgetful) Accept(ctx context.Context, events []bridge.Event, records ...bridge.Record) (bridge.Accepted, error) {
	for _, e := range events {
		if e.Kind == bridge.KindClick {
			return bridge.Accepted{}, &bridge.FieldError{Field: "click.messageId", Reason: "is not a message that offered replies"}
		}
	}
	return f.Core.Accept(ctx, events, records...)
}

var uuidPattern = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)
