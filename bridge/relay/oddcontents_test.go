package relay_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
)

// Sentences that stand for what cannot be shown.
const (
	nothingShown = "[The agent sent something that cannot be shown here.]"
	formUnshown  = "[The agent sent a form that cannot be shown here.]"
)

// TestOddContentsOfAgents sends what agents' clients and bots may send in some shape
// or other: the consumer reads the words, or that there is something, and the agent
// is told which.
func TestOddContentsOfAgents(t *testing.T) {
	content := func(kind, message string) string {
		return `{"type":"ContentEvent","contentType":` + kind + `,"message":` + message + `}`
	}
	rich := func(content string) string { return `{"type":"RichContentEvent","content":` + content + `}` }
	button := `{"type":"button","title":"Yes","click":null}`
	tests := []struct{ name, event, want string }{
		{"a number for text", content(`"text/plain"`, "42"), "42"},
		{"null for text", content(`"text/plain"`, "null"), nothingShown},
		{"blanks for text", content(`"text/plain"`, `" \n\t "`), nothingShown},
		{"blanks in html", content(`"text/html"`, `"<p>&nbsp;</p><br>"`), nothingShown},
		{"text in an object", content(`"text/plain"`, `{"text":"hello"}`), "hello"},
		{"content type null", content(`null`, `"hello"`), "hello"},
		{"content type a number", content(`7`, `"hello"`), nothingShown},
		{"a link alone in html", content(`"text/html"`, `"<a href='https://x.test/a?b=1&amp;c=2'></a>"`), "https://x.test/a?b=1&c=2"},
		{"picture in html", content(`"text/html"`, `"<img alt='A shoe' src='https://x.test/a.png'>"`), "A shoe"},
		{"file without a path", content(`"hosted/file"`, `{"caption":"Bill","fileType":"PDF"}`), nothingShown},
		{"file as a string of JSON", content(`"hosted/file"`, `"{\"relativePath\":\"/v1/a\",\"caption\":\"Bill\"}"`), "Bill\n" + bridge.UnshownFile},
		{"external file as a string of JSON", content(`"external/file"`, `"{\"url\":\"ftp://x.test/a\"}"`), "ftp://x.test/a"},
		{"no external file", content(`"external/file"`, `[null,{}]`), nothingShown},
		{"form that was sent in", content(`"forms/secure-submission"`, `{"formId":"f"}`), formUnshown},
		{"form as text", content(`"forms/secure-invitation"`, `"abc"`), formUnshown},
		{"carousel in a carousel", rich(`{"type":"carousel","elements":[{"type":"carousel","elements":[{"type":"text","text":"deep"}]}]}`), "deep"},
		{"one element instead of a list", rich(`{"type":"vertical","elements":{"type":"text","text":"alone"}}`), "alone"},
		{"a list at the top", rich(`[{"type":"text","text":"one"},{"type":"text","text":"two"}]`), "one\ntwo"},
		{"nulls all over", rich(`{"type":"vertical","elements":[null,{"type":"text","text":null},` + button + `]}`), "- Yes"},
		{"old template without choices", rich(`{"type":"template","templateType":"quickReply","title":"Sure?","resp":null}`), "Sure?"},
		{"check list", rich(`{"type":"sectionList","elements":[{"type":"section","elements":[{"type":"checkList","elements":[{"type":"checkbox","text":"A"},{"type":"checkbox","text":7}]}]}]}`), "- A\n- 7"},
		{"coordinates as text", rich(`{"type":"map","la":"38.72","lo":"-9.14"}`), "38.72, -9.14"},
		{"link for one platform", rich(`{"type":"button","title":"Go","click":{"actions":[{"type":"link","ios":{"uri":"https://x.test/i"}}]}}`), "- Go: https://x.test/i"},
		{"structured content that is text", rich(`"just words"`), "just words"},
		{"quick replies alone", `{"type":"RichContentEvent","content":null,"quickReplies":{"type":"quickReplies","replies":[` + button + `]}}`, ""},
		{"elements as a string of JSON", rich(`{"type":"vertical","elements":"[{\"type\":\"text\",\"text\":\"inner\"}]"}`), "inner"},
		{"a string of a string of JSON", rich(`"\"{\\\"type\\\":\\\"text\\\",\\\"text\\\":\\\"twice\\\"}\""`), "twice"},
		{"JSON that breaks off", rich(`"{\"elements\":[{\"type\":\"text\",\"text\":\"x\"},tru"`), "x"},
		{"JSON that is none", rich(`"[x,y]"`), nothingShown},
		{"types in other letters", `{"type":"contentevent","contentType":"TEXT/plain","message":"Hi"}`, "Hi"},
		{"text in several pieces", content(`"text/plain"`, `["one","two"]`), "one\ntwo"},
		{"a place by its tooltip", rich(`{"type":"MAP","la":1,"lo":2,"tooltip":"Office"}`), "Office: 1, 2"},
		{"a picture by its alt", rich(`{"type":"image","url":"https://x.test/a.png","alt":"A shoe"}`), "A shoe: https://x.test/a.png"},
		{"a date to pick", rich(`{"type":"button","title":"Choose","click":{"actions":[{"type":"datePicker","title":"When?"}]}}`), "- Choose\nWhen?"},
		{"a hosted file that lies elsewhere", content(`"hosted/file"`, `{"url":"ftp://x.test/a","caption":"Bill"}`), "Bill: ftp://x.test/a"},
		{"an external file that is LivePerson's", content(`"external/file"`, `{"relativePath":"/v1/a","caption":"Bill"}`), "Bill\n" + bridge.UnshownFile},
		{"a quick reply that leads", `{"type":"ContentEvent","contentType":"text/plain","message":"Hi","quickReplies":{"replies":[{"type":"button","title":"Shop","click":{"actions":[{"type":"link","uri":"https://x.test"}]}}]}}`, "Hi\nShop: https://x.test"},
		{"quick replies null", `{"type":"ContentEvent","contentType":"text/plain","message":"Hi","quickReplies":null}`, "Hi"},
		{"quick replies as a list", `{"type":"ContentEvent","contentType":"text/plain","message":"Hi","quickReplies":[` + button + `]}`, "Hi"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
				id := r.begin("t-1")
				r.wire.restartClock()
				change := fmt.Sprintf(`{"sequence":30,"originatorId":"a-1","originatorMetadata":{"id":"a-1","role":"ASSIGNED_AGENT"},"serverTimestamp":1528371199686,"event":%s,"conversationId":%q,"dialogId":%q,"messageAudience":null}`, test.event, id, id)
				if status := r.notify(changed(change), nil); status != 200 {
					t.Fatalf("answered %d", status)
				}
				time.Sleep(10 * time.Second)
				if got := r.channel.texts(); !slices.Equal(got, []string{test.want}) {
					t.Errorf("the consumer reads %q, want %q", got, test.want)
				}
				told := "ACCEPT"
				if strings.Contains(test.want, "cannot be shown") {
					told = "NACK"
				}
				if calls := r.wire.timeline(); !slices.ContainsFunc(calls, func(c string) bool { return strings.HasSuffix(c, told) }) {
					t.Errorf("the agent is told %v, want %s", calls, told)
				}
			})
		})
	}
}
