package front

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDoorSees: a message is seen at the door of every channel, in every form it may
// have, and the bridge gets each request as it was.
func TestDoorSees(t *testing.T) {
	var form bytes.Buffer
	parts := multipart.NewWriter(&form)
	if err := parts.WriteField("content", "a picture"); err != nil {
		t.Fatal(err)
	}
	parts.Close()
	const chatwoot, layer = "/public/api/v1/inboxes/sandbox/contacts/c/conversations/1/", "/layer/conversations/u/messages"
	for name, tc := range map[string]struct {
		path, kind, body string
		want             []string
	}{
		"webhook":          {"/channels/webhook", "application/json", `{"id":"1","type":"message","message":{"text":" hello "}}`, []string{"hello"}},
		"webhook list":     {"/channels/webhook", "application/json", `[{"id":"1","type":"message","message":{"text":"a"}},{"id":"2","type":"message","message":{"text":"b"}}]`, []string{"a", "b"}},
		"webhook typing":   {"/channels/webhook", "application/json", `{"type":"typing","typing":{"state":"composing"}}`, nil},
		"webhook nonsense": {"/channels/webhook", "application/json", `{`, nil},
		"too long":         {"/channels/webhook", "application/json", `{"id":"1","type":"message","message":{"text":"` + strings.Repeat("x", mostText+1) + `"}}`, nil},
		"chatwoot":         {chatwoot + "messages", "application/json", `{"content":"hello"}`, []string{"hello"}},
		"chatwoot form":    {chatwoot + "messages", "application/x-www-form-urlencoded", "content=hello+you", []string{"hello you"}},
		"chatwoot file":    {chatwoot + "messages", parts.FormDataContentType(), form.String(), []string{"a picture"}},
		"chatwoot typing":  {chatwoot + "toggle_typing", "application/json", `{"typing_status":"on"}`, nil},
		"layer":            {layer, "application/json", `{"id":"m","parts":[{"mime_type":"text/plain","body":"hello"}]}`, []string{"hello"}},
		"layer's click":    {layer, "application/json", `{"id":"m","parts":[{"mime_type":"application/vnd.layer.response-v2+json;role=root","body":"{}"},{"mime_type":"text/plain","body":"x"}]}`, nil},
		"something else":   {"/channels/chatwoot", "application/json", `{"content":"hello"}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStand(t, func(w http.ResponseWriter, r *http.Request) {
				body, _ := io.ReadAll(r.Body)
				if string(body) != tc.body || r.Header.Get("Content-Type") != tc.kind || r.URL.Path != tc.path {
					t.Errorf("the bridge got %s %s: %s", r.URL.Path, r.Header.Get("Content-Type"), body)
				}
			})
			if status, _, _ := s.ask(t, http.MethodPost, tc.path, tc.body, "Content-Type", tc.kind); status != http.StatusOK {
				t.Errorf("status %d", status)
			}
			var got []string
			for _, f := range s.watch.flowsNow() {
				got = append(got, f.Text)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("seen (-want +got):\n%s", diff)
			}
		})
	}
}

// TestSink takes every event once, tells the page, and keeps it for pages that come
// later.
func TestSink(t *testing.T) {
	s := newStand(t, nil)
	event := `{"id":"d:1","type":"message","thread":"t","message":{"text":"Hi"},"liveperson":{"dialogId":"d","sequences":[1]}}`
	for range 2 {
		if status, _, body := s.ask(t, http.MethodPost, "/sandbox/webhook", event); status != http.StatusNoContent {
			t.Fatalf("%d %s", status, body)
		}
	}
	s.ask(t, http.MethodPost, "/sandbox/webhook", `{"id":"typing-1","type":"typing","thread":"t","typing":{"state":"composing"}}`)
	s.ask(t, http.MethodPost, "/sandbox/webhook", `{"id":"x","type":"message","thread":"other"}`)
	_, _, heard := s.ask(t, http.MethodGet, "/sandbox/threads/t", "")
	if strings.TrimSpace(heard) != "["+event+"]" {
		t.Errorf("heard of the thread: %s", heard)
	}
	if _, _, nothing := s.ask(t, http.MethodGet, "/sandbox/threads/none", ""); strings.TrimSpace(nothing) != "[]" {
		t.Errorf("heard of no thread: %s", nothing)
	}
	for body, status := range map[string]int{
		`{`: http.StatusBadRequest, `{"id":"1"}`: http.StatusBadRequest, `"` + strings.Repeat("x", mostEvent) + `"`: http.StatusRequestEntityTooLarge,
	} {
		if got, _, _ := s.ask(t, http.MethodPost, "/sandbox/webhook", body); got != status {
			t.Errorf("%.20s: %d, want %d", body, got, status)
		}
	}
}

// TestDoorWithoutABridge: before the bridge is there, and while it is away, who asks is
// told to come again.
func TestDoorWithoutABridge(t *testing.T) {
	s := newStand(t, nil)
	status, header, body := s.ask(t, http.MethodPost, "/channels/webhook", `{"id":"1","type":"message"}`)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") != "1" || header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v %s", status, header, body)
	}
}
