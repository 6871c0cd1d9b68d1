package chatwootapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
)

func TestUpload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		at := w.conversation()
		got := w.post(at+"/messages", newForm().text("content", "see").text("echo_id", "e").
			file("attachments[]", `C:\x\dot <1>.png`, pixel).file("attachments[]", "évil.html", "<html><script>x()</script></html>"))
		want := `{"id":1,"content":"see","message_type":0,"content_type":"text","content_attributes":{},"created_at":946684800,"conversation_id":1,"attachments":[` +
			`{"id":1,"message_id":1,"file_type":"image","account_id":1,"extension":"png","content_type":"image/png",` +
			`"data_url":"https://bridge.example/rails/active_storage/blobs/redirect/SECRET/dot%20-1-.png",` +
			`"thumb_url":"https://bridge.example/rails/active_storage/representations/redirect/SECRET/dot%20-1-.png","file_size":33,"width":null,"height":null},` +
			`{"id":2,"message_id":1,"file_type":"file","account_id":1,"extension":"html","content_type":"text/html",` +
			`"data_url":"https://bridge.example/rails/active_storage/blobs/redirect/SECRET/%C3%A9vil.html","thumb_url":"","file_size":33,"width":null,"height":null}],` +
			`"sender":` + pushAliceSender + `}`
		if diff := cmp.Diff(want, got.scrub()); diff != "" || got.status != http.StatusOK {
			t.Errorf("%d (-want +got):\n%s", got.status, diff)
		}
		event := w.core.Events()[0].Message
		if event.Text != "see" || len(event.Attachments) != 2 || event.Attachments[0].ContentType != "image/png" || event.Attachments[1].Name != "évil.html" {
			t.Errorf("event %+v", event)
		}
		for i, f := range []struct{ kind, disposition, data string }{
			{"image/png", "inline", pixel}, {"text/html", "attachment", "<html><script>x()</script></html>"},
		} {
			path := strings.TrimPrefix(event.Attachments[i].URL, "https://bridge.example")
			got := w.must("GET", path, "")
			if got.body != f.data || got.header.Get("Content-Type") != f.kind || !strings.HasPrefix(got.header.Get("Content-Disposition"), f.disposition+";") ||
				got.header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(got.header.Get("Content-Security-Policy"), "sandbox") {
				t.Errorf("file %d: %v", i, got.header)
			}
			if got := w.must("GET", strings.Replace(path, "/blobs/", "/representations/", 1), ""); got.body != f.data {
				t.Errorf("thumbnail %d differs", i)
			}
		}
	})
}

func TestUploadLimits(t *testing.T) {
	const limit = 2048
	many := func(n int) *form {
		f := newForm()
		for i := range n {
			f.file("attachments[]", fmt.Sprint(i, ".txt"), "x")
		}
		return f
	}
	for _, tc := range []struct {
		name   string
		form   *form
		status int
		want   string
	}{
		{"as large as may be", newForm().file("attachments[]", "a", strings.Repeat("x", limit)), 200, ""},
		{"too large", newForm().file("attachments[]", "a", strings.Repeat("x", limit+1)), 413, `{"status":413,"error":"Payload Too Large"}`},
		{"as many as may be", many(15), 200, ""},
		{"too many", many(16), 422, `{"message":"Attachments exceeded maximum allowed","attributes":["attachments"]}`},
		{"text in place of a file", newForm().text("attachments[]", "https://x/y.png"), 422, `{"message":"Attachments must be files","attributes":["attachments"]}`},
		{"file in place of text", newForm().file("content", "a.txt", "x"), 200, ""},
		{"file under another name", newForm().file("upload", "a.txt", "x"), 200, ""},
		{"broken text", newForm().text("content", "\xff"), 400, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) { c.MaxAttachment = limit })
			at := w.conversation()
			got := w.post(at+"/messages", tc.form)
			if got.status != tc.status || tc.want != "" && got.body != tc.want {
				t.Errorf("answered %d %s", got.status, got.body)
			}
			if tc.status != http.StatusOK && len(w.core.Events()) > 0 {
				t.Error("a refused message made an event")
			}
		})
	}
	w := newWorld(t)
	at := w.conversation()
	if got := w.send("POST", at+"/messages", "multipart/form-data", strings.NewReader("x")); got.status != http.StatusBadRequest {
		t.Errorf("a form without boundary: %d", got.status)
	}
}

func TestUnknownFile(t *testing.T) {
	w := newWorld(t)
	if got := w.call("GET", "/rails/active_storage/blobs/redirect/none/a.png", ""); got.status != http.StatusNotFound || got.body != notFound {
		t.Errorf("answered %d %s", got.status, got.body)
	}
}

func TestSafeName(t *testing.T) {
	for name, want := range map[string]string{
		"": "file", ".": "file", "..": "file", "a/b.txt": "b.txt", `a\b.txt`: "b.txt", "a\r\nb": "a--b", "naïve ☺.txt": "naïve ☺.txt",
		strings.Repeat("x", 300) + ".png": strings.Repeat("x", 251) + ".png",
	} {
		if got := safeName(name); got != want {
			t.Errorf("safeName(%q) = %q, want %q", name, got, want)
		}
	}
}

func TestFileTypes(t *testing.T) {
	for contentType, want := range map[string]string{
		"image/png": "image", "image/svg+xml": "file", "video/mp4": "video", "video/x-msvideo": "file", "audio/amr": "audio", "text/plain": "file", "": "file",
	} {
		if got := fileType(contentType); got != want {
			t.Errorf("%q is %q, want %q", contentType, got, want)
		}
	}
}

// TestHistoryKinds keeps the kinds that hold what people wrote from outliving
// the history they belong to.
func TestHistoryKinds(t *testing.T) {
	w := newWorld(t)
	at := w.conversation()
	w.post(at+"/messages", newForm().text("content", "private text").file("attachments[]", "a.txt", "private text"))
	w.deliver(agentSays("a-1", "private text"))
	for _, kind := range historyKinds() {
		for id := range int64(3) {
			if err := w.core.Records().Delete(t.Context(), kind, id); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, kind := range []string{string(kindMessage), string(kindAttachment), string(kindConversation), string(kindContact), string(kindContactInbox), kindAgent, kindRating} {
		for id := range int64(3) {
			if rec, err := w.core.Records().Get(t.Context(), kind, id); err == nil && strings.Contains(string(rec.Data), "private text") {
				t.Errorf("a %s still has text of a message", kind)
			}
		}
	}
	if got := w.must("GET", at, ""); !strings.Contains(got.body, `"messages":[]`) {
		t.Errorf("without its history the conversation is %s", scrub(got.body))
	}
	// What refers to messages that are gone still works.
	w.deliver(bridge.Event{ID: "r", Kind: bridge.KindReceipt, Thread: "1", Receipt: &bridge.Receipt{Status: bridge.ReceiptRead, MessageIDs: []bridge.EventID{"msg-1"}}})
	w.must("POST", at+"/update_last_seen", "")
}
