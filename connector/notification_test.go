package connector

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// readOut is what a program would ask of a notification.
type readOut struct {
	Type         string
	Notification Notification
	Answers      []any
	Unreadable   []string `json:",omitempty"`
}

func read(n Notification) readOut {
	switch n := n.(type) {
	case *MessagingEventNotification:
		r := readOut{Type: "messaging", Notification: n}
		for _, c := range n.Changes {
			r.Answers = append(r.Answers, map[string]any{"fromConsumer": c.FromConsumer(), "private": c.Private(), "fallback": c.Event.FallbackText()})
		}
		r.Unreadable, n.Unreadable = texts(n.Unreadable), nil
		return r
	case *ExConversationChangeNotification:
		r := readOut{Type: "conversation", Notification: n}
		for _, c := range n.Changes {
			main, hasMain := c.MainDialog()
			survey, hasSurvey := c.SurveyDialog()
			r.Answers = append(r.Answers, map[string]any{
				"closed": c.Closed(), "agents": c.ActiveAgents(), "consumers": c.Consumers(),
				"main": []any{main.DialogID, main.Closed(), hasMain}, "survey": []any{survey.DialogID, survey.Closed(), hasSurvey},
			})
		}
		r.Unreadable, n.Unreadable = texts(n.Unreadable), nil
		return r
	}
	return readOut{Type: "unknown", Notification: n}
}

func texts(errs []*UnreadableChange) (all []string) {
	for _, err := range errs {
		all = append(all, err.Error())
	}
	return all
}

func TestParseNotification(t *testing.T) {
	files, err := filepath.Glob("testdata/notifications/*.json")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d payloads, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".json"), func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			n, err := ParseNotification(body)
			if err != nil {
				t.Fatal(err)
			}
			got, err := json.MarshalIndent(read(n), "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, ".json") + ".golden"
			if *update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestParseNotificationRefuses(t *testing.T) {
	for _, c := range []struct{ name, body, wrong string }{
		{"empty", "", "not json"},
		{"not json", "<html>my words</html>", "not json"},
		{"an array", `["my words"]`, "wrong type"},
		{"changes is a text", `{"type":"ms.MessagingEventNotification","body":"my words"}`, "wrong type"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ParseNotification([]byte(c.body))
			if err == nil || !strings.Contains(err.Error(), c.wrong) || strings.Contains(err.Error(), "my words") {
				t.Errorf("got %v, want one about %q", err, c.wrong)
			}
		})
	}
}

func TestClosed(t *testing.T) {
	for _, c := range []struct {
		state, stage string
		want         bool
	}{
		{"OPEN", "OPEN", false}, {"CLOSE", "OPEN", false}, {"CLOSE", "CLOSE", true}, {"CLOSE", "", true}, {"OPEN", "", false}, {"", "", false},
	} {
		if got := (&ConversationChange{State: c.state, Stage: c.stage}).Closed(); got != c.want {
			t.Errorf("state %q stage %q: got %v", c.state, c.stage, got)
		}
	}
}

func TestOpenDialogCountsAmongSeveral(t *testing.T) {
	closed, open := Dialog{DialogID: "1", DialogType: DialogSurvey, State: "CLOSE"}, Dialog{DialogID: "2", DialogType: DialogSurvey, State: "OPEN"}
	for _, dialogs := range [][]Dialog{{closed, open}, {open, closed}} {
		c := ConversationChange{ConversationID: "c", Dialogs: dialogs}
		if got, ok := c.SurveyDialog(); !ok || got.DialogID != "2" {
			t.Errorf("got %q, %v", got.DialogID, ok)
		}
		if _, ok := c.MainDialog(); ok {
			t.Error("a main dialog was made up beside real dialogs")
		}
	}
}

func TestFallbackText(t *testing.T) {
	deep := strings.Repeat(`{"type":"vertical","elements":[`, 5000) + `{"type":"text","text":"down here"}` + strings.Repeat("]}", 5000)
	wide := `{"type":"vertical","elements":[` + strings.Repeat(`{"type":"text","text":"0123456789"},`, 5000) + `{"type":"text","text":"end"}]}`
	for _, c := range []struct{ name, content, want string }{
		{"carousel", `{"type":"carousel","elements":[{"type":"vertical","elements":[{"type":"text","text":"One"}]},{"type":"vertical","elements":[{"type":"text","text":"Two\n"}]}]}`, "One\nTwo"},
		{"old quick reply template", `{"type":"template","templateType":"quickReply","title":"Which?","resp":["A","B"]}`, "Which?\n- A\n- B"},
		{"link preview", `{"type":"linkPreview","url":"https://x.example/","title":"A page"}`, "A page\nhttps://x.example/"},
		{"image without caption", `{"type":"image","url":"https://x.example/a.png"}`, "https://x.example/a.png"},
		{"text that links", `{"type":"text","text":"here","click":{"actions":{"type":"link","uri":"https://x.example/"}}}`, "here\nhttps://x.example/"},
		{"button to a place", `{"type":"button","title":"Shop","subtitle":"open","click":{"actions":[{"type":"navigate","la":1.5,"lo":-2}]}}`, "- Shop (open): 1.5, -2"},
		{"key and value", `{"type":"keyValuePairList","elements":[{"key":"Price","value":7}]}`, "Price: 7"},
		{"bare element", `{"type":"vertical","elements":{"type":"text","text":"alone"}}`, "alone"},
		{"one broken element", `{"type":"vertical","elements":[{"type":"text","text":{}},7,{"type":"text","text":"fine"}]}`, "fine"},
		{"not an object", `"text"`, "text"},
		{"a broken object", `"{\"type\":"`, ""},
		{"deeper than anyone builds", deep, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := MessagingEvent{Type: TypeRichContentEvent, RichContent: json.RawMessage(c.content)}
			if got := e.FallbackText(); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	long := MessagingEvent{Type: TypeContentEvent, Text: strings.Repeat("x", 2*fallbackLimit) + "\n", QuickReplies: json.RawMessage(`{"replies":[{"type":"button","title":"Yes"}]}`)}
	if got := long.FallbackText(); got != strings.Repeat("x", 2*fallbackLimit)+"\n- Yes" {
		t.Errorf("a long text became %d bytes", len(got))
	}
	e := MessagingEvent{Type: TypeRichContentEvent, RichContent: json.RawMessage(wide)}
	if got := e.FallbackText(); len(got) > fallbackLimit || len(got) < fallbackLimit/2 {
		t.Errorf("a wide element became %d bytes", len(got))
	}
}

func FuzzParseNotification(f *testing.F) {
	files, err := filepath.Glob("testdata/notifications/*.json")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	for _, odd := range []string{
		messaging(byAgent(`{"type":"AcceptStatusEvent","status":"VIEWED","sequenceList":["1",2.0]}`, `,"sequence":5.0,"serverTimestamp":1528371199686123,"messageAudience":["ALL"]`)),
		messaging(byAgent(`{"type":"ContentEvent","contentType":"text/html; charset=x","message":"<b>Hi"}`, `,"metadata":null`)),
		messaging(byAgent(`{"type":"ContentEvent","contentType":"external/file","message":[{"url":"u"}]}`, "")),
		messaging(byAgent(`{"type":"RichContentEvent","content":"{\"type\":\"text\"}","quickReplies":{"replies":[{"title":"a"}]}}`, "")),
		messaging(byAgent(`{"type":"RichContentEvent","content":{"elements":"[{\"type\":\"text\",\"text\":\"a\"},\"[x\"]","quickReplies":["b",{"replies":"[c]"}]}}`, "")),
		messaging(byAgent(`{"type":"RichContentEvent","content":{"type":"accordionSelect","titles":[{"name":"a"}],"elements":[{"type":"text","text":"b"}]}}`, "")),
	} {
		f.Add([]byte(odd))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := ParseNotification(body)
		if (n == nil) == (err == nil) {
			t.Fatalf("got %v and %v", n, err)
		}
		if err != nil {
			return
		}
		r := read(n)
		if m, ok := n.(*MessagingEventNotification); ok {
			for _, c := range m.Changes {
				if len(c.Event.FallbackText()) > fallbackLimit+2*len(body) {
					t.Error("fallback text is out of bounds")
				}
				if !utf8.ValidString(c.Event.FallbackText()) || len(c.Clickables()) > maxClickables || c.Key() == "" {
					t.Error("what leaves is not fit to leave")
				}
				if c.ConversationID == "" && c.DialogID != "" {
					t.Error("a dialog without conversation")
				}
			}
		}
		if _, err := json.Marshal(r); err != nil {
			t.Errorf("cannot be written again: %v", err)
		}
	})
}
