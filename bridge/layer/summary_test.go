package layer

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// responseTo is a response message of web-xdk 4 to a part of a message.
func responseTo(message, node, changes string) string {
	return root("response-v2", fmt.Sprintf(`{"response_to":%q,"response_to_node_id":%q,"changes":[%s]}`, message, node, changes))
}

// TestResponsesAreSummedUp: what was chosen stays with the message, for apps that load
// it and on other devices, as Layer's own server kept it.
func TestResponsesAreSummedUp(t *testing.T) {
	w := newWorld(t)
	token := w.login("consumer-1")
	w.converse(token)
	e := agentSays("dialog-1:5", "")
	e.Message = cards()
	w.deliver(e)
	shown := w.shown(token, "3.0")[0]
	message, _ := at(shown, "id").(string)
	first, _ := at(shown, "parts", 0, "id").(string)
	node := first[strings.LastIndexByte(first, '/')+1:]
	other, old := w.connect(token, "layer-3.0"), w.connect(token, "layer-2.0")
	change := func(operation, kind, value, id string) string {
		return fmt.Sprintf(`{"operation":%q,"type":%q,"name":"selection-1","value":%q,"id":%q}`, operation, kind, value, id)
	}
	summary := func() (mime, body string) {
		parts, _ := at(w.shown(token, "3.0")[0], "parts").([]any)
		for _, p := range parts {
			if kind, _ := at(p, "mime_type").(string); strings.HasPrefix(kind, typeSummary) {
				text, _ := at(p, "body").(string)
				return kind, text
			}
		}
		return "", ""
	}
	if mime, _ := summary(); mime != "" {
		t.Errorf("before any response there is a part %s", mime)
	}
	ofOwner := func(state string) string {
		return `{"layer:///identities/consumer-1":{"selection-1":` + state + `}}`
	}
	for _, step := range []struct{ name, changes, want string }{
		{"first", change("add", "FWW", "1", "aaa"), ofOwner(`{"adds":[{"ids":["aaa"],"value":"1"}],"removes":[]}`)},
		{"the first writer wins", change("add", "FWW", "2", "bbb"), ofOwner(`{"adds":[{"ids":["aaa"],"value":"1"}],"removes":[]}`)},
		{"the last writer wins", change("add", "LWW", "2", "ccc"), ofOwner(`{"adds":[{"ids":["ccc"],"value":"2"}],"removes":["aaa"]}`)},
		{"what was replaced stays so", change("add", "LWW", "1", "aaa"), ofOwner(`{"adds":[{"ids":["ccc"],"value":"2"}],"removes":["aaa"]}`)},
		{"taken back", change("remove", "LWWN", "2", "ccc"), ofOwner(`{"adds":[],"removes":["aaa","ccc"]}`)},
		{"several", change("add", "Set", "1", "d") + "," + change("add", "Set", "2", "e"), ofOwner(`{"adds":[{"ids":["d"],"value":"1"},{"ids":["e"],"value":"2"}],"removes":["aaa","ccc"]}`)},
		{"odd ones", `{"operation":"add","type":"LWW","name":"selection-1","value":{},"id":"x"},{"operation":"add","name":"selection-1","value":"1"},{"operation":"sing","name":"selection-1","value":"1","id":"y"}`,
			ofOwner(`{"adds":[{"ids":["d"],"value":"1"},{"ids":["e"],"value":"2"}],"removes":["aaa","ccc"]}`)},
	} {
		w.send(token, "POST", "/conversations/"+thread1+"/messages", responseTo(message, node, step.changes))
		mime, body := summary()
		if diff := cmp.Diff(step.want, body); diff != "" || mime != typeSummary+";role=response_summary;parent-node-id="+node {
			t.Errorf("%s: %s (-want +got):\n%s", step.name, mime, diff)
		}
	}
	// Two responses in one message both count.
	both := strings.TrimSuffix(responseTo(message, node, change("add", "Set", "1", "g")), "]}") + "," +
		strings.TrimPrefix(responseTo(message, node, change("add", "Set", "2", "h")), `{"parts":[`)
	w.must(201, token, "POST", "/conversations/"+thread1+"/messages", both)
	if _, body := summary(); !strings.Contains(body, `"g"`) || !strings.Contains(body, `"h"`) {
		t.Errorf("of two responses is kept %s", body)
	}
	// Of another message's part, or of one that is not there, nothing is kept.
	w.send(token, "POST", "/conversations/"+thread1+"/messages", responseTo(message, "11111111-1111-4111-8111-111111111111", change("add", "LWW", "1", "f")))
	if _, body := summary(); strings.Contains(body, `"f"`) {
		t.Errorf("kept %s", body)
	}
	other.expect("create Message", "update Conversation", "create Message")
	old.request("r", "Counter.read", "", "")
	if parts, _ := at(w.shown(token, "2.0")[0], "parts").([]any); len(parts) != 1 {
		t.Errorf("a client of API 2.0 gets %d parts", len(parts))
	}
}
