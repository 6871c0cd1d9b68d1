package layer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
)

func TestMessageShape(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	body := `{"id":"` + message1 + `","parts":[{"mime_type":"application/vnd.layer.text+json;role=root","id":"` + part1 + `","body":"{\"text\":\"hello é 😀\"}"}]}`
	a := w.must(201, token, "POST", "/conversations/"+thread1+"/messages", body)
	sent, _ := a.has("sent_at").(string)
	own := testBase + "/messages/" + strings.TrimPrefix(message1, prefixMessage)
	want := map[string]any{
		"id": message1, "url": own, "receipts_url": own + "/receipts", "position": 1.0,
		"conversation": map[string]any{"id": conversation1, "url": testBase + "/conversations/" + thread1},
		"parts":        []any{map[string]any{"id": part1, "mime_type": "application/vnd.layer.text+json;role=root", "body": `{"text":"hello é 😀"}`}},
		"sent_at":      sent, "received_at": sent, "is_unread": false, "updated_at": nil,
		"sender": map[string]any{
			"id": "layer:///identities/consumer-1", "url": testBase + "/identities/consumer-1", "user_id": "consumer-1",
			"display_name": "Ana Suite", "avatar_url": nil,
		},
		"recipient_status": map[string]any{"layer:///identities/consumer-1": "read", "layer:///identities/agent": "sent"},
	}
	if diff := cmp.Diff(want, a.body); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(any(want), w.must(200, token, "GET", "/messages/"+strings.TrimPrefix(message1, prefixMessage), "").body); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
	at, _ := time.Parse(timeFormat, sent)
	event := bridge.Event{
		ID: bridge.EventID(strings.TrimPrefix(message1, prefixMessage)), Kind: bridge.KindMessage, Thread: thread1, Inbox: "00000000-0000-4000-8000-000000000001", Time: at,
		Consumer: &bridge.Consumer{ID: "consumer-1", FirstName: "Ana", LastName: "Suite", Email: "ana@suite.example"},
		Message:  &bridge.Message{Text: "hello é 😀"},
	}
	if diff := cmp.Diff([]bridge.Event{event}, w.core.Events()); diff != "" {
		t.Errorf("event (-want +got):\n%s", diff)
	}
}

func TestMessageText(t *testing.T) {
	part := func(mime, body string) string {
		return fmt.Sprintf(`{"mime_type":%q,"body":%q}`, mime, body)
	}
	for _, tc := range []struct {
		name, parts string
		text        string // empty when refused
		property    any
	}{
		{name: "plain", parts: part("text/plain", "hi"), text: "hi"},
		{name: "plain with parameters", parts: part("text/plain; charset=utf-8", "hi"), text: "hi"},
		{name: "layer text", parts: part("application/vnd.layer.text+json;role=root", `{"text":"hi","title":"t"}`), text: "hi"},
		{name: "layer text goes first", parts: part("text/plain", "plain") + "," + part("application/vnd.layer.text+json", `{"text":"root"}`), text: "root"},
		{name: "first plain", parts: part("text/plain", "one") + "," + part("text/plain", "two"), text: "one"},
		{name: "broken layer text", parts: part("application/vnd.layer.text+json", `{`) + "," + part("text/plain", "hi"), text: "hi"},
		{name: "base64", parts: `{"mime_type":"text/plain","encoding":"base64","body":"aGk="}`, text: "hi"},
		{name: "other type", parts: part("application/vnd.layer.location+json;role=root", `{"latitude":1}`), property: "parts"},
		{name: "empty text", parts: part("text/plain", ""), property: "parts"},
		{name: "no parts", parts: "", property: "parts"},
		{name: "no media type", parts: `{"body":"hi"}`, property: "parts[0].mime_type"},
		{name: "no body", parts: `{"mime_type":"text/plain"}`, property: "parts[0].body"},
		{name: "long body", parts: part("text/plain", strings.Repeat("x", maxBody+1)), property: "parts[0].body"},
		{name: "other encoding", parts: `{"mime_type":"text/plain","encoding":"gzip","body":"x"}`, property: "parts[0].encoding"},
		{name: "content that is no id", parts: `{"mime_type":"text/plain","content":{"id":"x"}}`, property: "parts[0].content.id"},
		{name: "content that is not there", parts: `{"mime_type":"text/plain","content":{"id":"layer:///content/` + thread1 + `"}}`, property: "parts[0].content.id"},
		{name: "too many parts", parts: strings.Repeat(part("text/plain", "x")+",", maxParts) + part("text/plain", "x"), property: "parts"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			token := w.login("consumer-1")
			w.converse(token)
			a := w.send(token, "POST", "/conversations/"+thread1+"/messages", `{"parts":[`+tc.parts+`]}`)
			if tc.text == "" {
				if a.status != 422 || a.has("data", "property") != tc.property || len(w.core.Events()) != 0 {
					t.Errorf("status %d: %v", a.status, a.body)
				}
				return
			}
			if a.status != 201 || w.last().Message.Text != tc.text {
				t.Errorf("status %d, text %q", a.status, w.last().Message.Text)
			}
		})
	}
}

func TestMessageTwice(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	path := "/conversations/" + thread1 + "/messages"
	first := w.must(201, token, "POST", path, newMessage(message1, "hi"))
	again := w.must(409, token, "POST", path, newMessage(message1, "hi"))
	if again.has("id") != "id_in_use" || again.has("code") != 111.0 {
		t.Errorf("refused with %v", again.body)
	}
	if diff := cmp.Diff(first.body, again.has("data")); diff != "" {
		t.Errorf("another object (-first +again):\n%s", diff)
	}
	if n := len(w.core.Events()); n != 1 {
		t.Errorf("%d events, want 1", n)
	}
	stranger := w.login("consumer-2")
	w.must(201, stranger, "POST", "/conversations", newConversation(conversation2, false))
	stolen := w.must(409, stranger, "POST", "/conversations/"+strings.TrimPrefix(conversation2, prefixConversation)+"/messages", newMessage(message1, "mine"))
	if stolen.has("data", "id") != nil {
		t.Error("the message of another user was shown")
	}
}

func TestListMessages(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	id := func(i int) string { return fmt.Sprintf("%sbbbbbbbb-0000-4000-8000-%012d", prefixMessage, i) }
	for i := range 5 {
		w.must(201, token, "POST", "/conversations/"+thread1+"/messages", newMessage(id(i+1), fmt.Sprint(i+1)))
	}
	w.must(204, token, "DELETE", "/messages/"+strings.TrimPrefix(id(3), prefixMessage)+"?mode=all_participants", "")
	for _, tc := range []struct {
		query string
		want  []any
	}{
		{"", []any{"5", "4", "2", "1"}},
		{"?page_size=2", []any{"5", "4"}},
		{"?page_size=2&from_id=" + id(4), []any{"2", "1"}},
	} {
		t.Run(tc.query, func(t *testing.T) {
			a := w.must(200, token, "GET", "/conversations/"+thread1+"/messages"+tc.query, "")
			var got []any
			for i := 0; a.has(i) != nil; i++ {
				got = append(got, a.has(i, "parts", 0, "body"))
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || a.header.Get("Layer-Count") != "4" {
				t.Errorf("count %s (-want +got):\n%s", a.header.Get("Layer-Count"), diff)
			}
		})
	}
	w.must(422, token, "GET", "/conversations/"+thread1+"/messages?from_id="+id(9), "")
	w.must(404, token, "GET", "/messages/"+strings.TrimPrefix(id(3), prefixMessage), "")
	w.must(409, token, "POST", "/conversations/"+thread1+"/messages", newMessage(id(3), "again"))
}

func TestDeleteLastMessage(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	w.must(201, token, "POST", "/conversations/"+thread1+"/messages", newMessage(message1, "one"))
	w.deliver(agentSays("a-1", "two"))
	two, _ := w.must(200, token, "GET", "/conversations/"+thread1, "").has("last_message", "id").(string)
	w.must(422, token, "DELETE", "/messages/"+strings.TrimPrefix(two, prefixMessage), "")
	w.must(204, token, "DELETE", "/messages/"+strings.TrimPrefix(two, prefixMessage)+"?mode=my_devices", "")
	c := w.must(200, token, "GET", "/conversations/"+thread1, "")
	if c.has("last_message", "id") != message1 || c.has("unread_message_count") != 0.0 || c.has("total_message_count") != 1.0 {
		t.Errorf("conversation: %v", c.body)
	}
}

func TestReceipts(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	w.must(201, token, "POST", "/conversations/"+thread1+"/messages", newMessage(message1, "hi"))
	w.deliver(agentSays("dialog-1:5", "hello"))
	answer := w.must(200, token, "GET", "/conversations/"+thread1, "").has("last_message")
	path := "/messages/" + strings.TrimPrefix(at(answer, "id").(string), prefixMessage)
	state := func() (status, unread any) {
		m := w.must(200, token, "GET", path, "")
		c := w.must(200, token, "GET", "/conversations/"+thread1, "")
		return m.has("recipient_status", "layer:///identities/consumer-1"), c.has("unread_message_count")
	}
	for _, tc := range []struct {
		name, path, kind string
		status           int
		want             receiptStatus
		unread           float64
		event            *bridge.Event
	}{
		{"unknown", path, "seen", 422, statusSent, 1, nil},
		{"own message", "/messages/" + strings.TrimPrefix(message1, prefixMessage), "read", 204, statusSent, 1, nil},
		{"delivery", path, "delivery", 204, statusDelivered, 1, &bridge.Event{
			ID: "delivery:dialog-1:5", Kind: bridge.KindReceipt,
			Receipt: &bridge.Receipt{Status: bridge.ReceiptDelivered, MessageIDs: []bridge.EventID{"dialog-1:5"}},
		}},
		{"delivery again", path, "delivery", 204, statusDelivered, 1, nil},
		{"read", path, "read", 204, statusRead, 0, &bridge.Event{
			ID: "read:dialog-1:5", Kind: bridge.KindReceipt,
			Receipt: &bridge.Receipt{Status: bridge.ReceiptRead, MessageIDs: []bridge.EventID{"dialog-1:5"}},
		}},
		{"delivery after read", path, "delivery", 204, statusRead, 0, nil},
		{"read again", path, "read", 204, statusRead, 0, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := len(w.core.Events())
			w.must(tc.status, token, "POST", tc.path+"/receipts", `{"type":"`+tc.kind+`"}`)
			if status, unread := state(); status != string(tc.want) || unread != tc.unread {
				t.Errorf("status %v, unread %v", status, unread)
			}
			if tc.event == nil {
				if len(w.core.Events()) != before {
					t.Error("there is an event")
				}
				return
			}
			got := w.last()
			if got.ID != tc.event.ID || got.Kind != tc.event.Kind || got.Thread != thread1 || cmp.Diff(tc.event.Receipt, got.Receipt) != "" {
				t.Errorf("event %+v", got)
			}
		})
	}
	w.must(404, w.login("consumer-2"), "POST", path+"/receipts", `{"type":"read"}`)
}

func TestMarkAllRead(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	for i := range maxReadAtOnce + 10 {
		w.deliver(agentSays(fmt.Sprintf("dialog-1:%d", i), "hello"))
	}
	unread := func() any {
		return w.must(200, token, "GET", "/conversations/"+thread1, "").has("unread_message_count")
	}
	path := "/conversations/" + thread1 + "/mark_all_read"
	w.must(202, token, "POST", path, `{"position":3}`)
	if n := unread(); n != float64(maxReadAtOnce+7) {
		t.Errorf("%v unread", n)
	}
	if diff := cmp.Diff([]bridge.EventID{"dialog-1:2", "dialog-1:1", "dialog-1:0"}, w.last().Receipt.MessageIDs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	w.must(202, token, "POST", path, `{"position":-1}`)
	w.must(202, token, "POST", path, `{"position":null}`)
	if n := unread(); n != 0.0 {
		t.Errorf("%v unread", n)
	}
	// What is read has arrived, and is told so first.
	for _, status := range []bridge.ReceiptStatus{bridge.ReceiptDelivered, bridge.ReceiptRead} {
		told := map[bridge.EventID]bool{}
		for _, e := range w.core.Events() {
			for _, id := range e.Receipt.MessageIDs {
				if e.Receipt.Status == status && told[id] {
					t.Errorf("%s was told twice as %s", id, status)
				}
				told[id] = told[id] || e.Receipt.Status == status
			}
		}
		if len(told) != maxReadAtOnce+10 || slices.Contains(slices.Collect(maps.Values(told)), false) {
			t.Errorf("%d messages are %s, want %d", len(told), status, maxReadAtOnce+10)
		}
	}
	before := len(w.core.Events())
	w.must(202, token, "POST", path, `{}`)
	if len(w.core.Events()) != before {
		t.Error("nothing new was read, and yet it was told")
	}
}

func TestRichContent(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	png := "\x89PNG\r\n\x1a\n" + strings.Repeat("\x00", 64)
	put := func(kind, data string) string {
		a := w.must(201, token, "POST", "/content", "", "Upload-Content-Type", kind, "Upload-Content-Length", fmt.Sprint(len(data)))
		upload, _ := a.has("upload_url").(string)
		// As the SDK does: no session goes along.
		w.must(200, "", "PUT", strings.TrimPrefix(upload, testBase), data, "Accept", "*/*")
		w.must(409, "", "PUT", strings.TrimPrefix(upload, testBase), data, "Accept", "*/*")
		return a.has("id").(string)
	}
	image, text := put("image/png", png), put("text/plain", `{"text":"`+strings.Repeat("long ", 1000)+`"}`)
	body := fmt.Sprintf(`{"id":%q,"parts":[{"mime_type":"application/vnd.layer.text+json;role=root","content":{"id":%q,"size":1}},`+
		`{"mime_type":"image/png;role=source","content":{"id":%q}},{"mime_type":"image/png;role=preview","content":{"id":%q}}]}`, message1, text, image, image)
	m := w.must(201, token, "POST", "/conversations/"+thread1+"/messages", body)
	file, _ := m.has("parts", 1, "content", "download_url").(string)
	if m.has("parts", 1, "content", "size") != float64(len(png)) || m.has("parts", 1, "body") != nil {
		t.Errorf("part: %v", m.has("parts", 1))
	}
	want := &bridge.Message{Text: strings.Repeat("long ", 1000), Attachments: []bridge.Attachment{{URL: file, ContentType: "image/png"}}}
	if diff := cmp.Diff(want, w.last().Message); diff != "" {
		t.Errorf("message (-want +got):\n%s", diff)
	}
	got := w.must(200, "", "GET", strings.TrimPrefix(file, testBase), "", "Accept", "*/*")
	if got.body != png || got.header.Get("X-Content-Type-Options") != "nosniff" || got.header.Get("Content-Type") != "image/png" {
		t.Errorf("file: %v", got.header)
	}
	refreshed := w.must(200, token, "GET", strings.TrimPrefix(strings.TrimSuffix(file, "/file"), testBase), "")
	if refreshed.has("download_url") != file {
		t.Errorf("refreshed: %v", refreshed.body)
	}
	stranger := w.login("consumer-2")
	w.must(404, stranger, "GET", strings.TrimPrefix(strings.TrimSuffix(file, "/file"), testBase), "")
	w.must(201, stranger, "POST", "/conversations", newConversation(conversation2, false))
	w.must(422, stranger, "POST", "/conversations/"+strings.TrimPrefix(conversation2, prefixConversation)+"/messages",
		`{"parts":[{"mime_type":"image/png","content":{"id":"`+image+`"}}]}`)
	w.must(413, token, "POST", "/content", "", "Upload-Content-Length", fmt.Sprint(64<<10+1))
	w.must(422, token, "POST", "/content", "", "Upload-Content-Length", "x")

	page := put("image/png", "<html><script>alert(1)</script></html>")
	got = w.must(200, "", "GET", "/content/"+strings.TrimPrefix(page, prefixContent)+"/file", "")
	if got.header.Get("Content-Type") != "application/octet-stream" || !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("a page is served as %v", got.header)
	}
}
