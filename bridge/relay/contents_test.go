package relay_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
	"lpbridge/connector/lpsim"
)

// TestFilesThatLieElsewhereAreFiles has agents send files by their address.
func TestFilesThatLieElsewhereAreFiles(t *testing.T) {
	for _, tc := range []struct {
		name, message string
		want          bridge.Message
	}{
		{"with a caption and a type", `{"url":"https://x.test/7","caption":"Manual","fileType":"PDF"}`, bridge.Message{
			Text: "Manual", Attachments: []bridge.Attachment{{URL: "https://x.test/7", ContentType: "application/pdf", Name: "Manual.pdf"}},
		}},
		{"whose caption is its name", `{"url":"https://x.test/7/manual.pdf","caption":"manual.pdf"}`, bridge.Message{
			Attachments: []bridge.Attachment{{URL: "https://x.test/7/manual.pdf", ContentType: "application/pdf", Name: "manual.pdf"}},
		}},
		{"whose address says what it is", `{"url":"https://x.test/a/shoe.PNG?size=2"}`, bridge.Message{
			Attachments: []bridge.Attachment{{URL: "https://x.test/a/shoe.PNG?size=2", ContentType: "image/png", Name: "shoe.PNG"}},
		}},
		{"several, one of them without an address", `["https://x.test/b",7]`, bridge.Message{
			Text: "7", Attachments: []bridge.Attachment{{URL: "https://x.test/b", ContentType: "application/octet-stream", Name: "b"}},
		}},
		{"at no address of the web", `{"url":"javascript:alert(1)","caption":"Click"}`, bridge.Message{Text: "Click: javascript:alert(1)"}},
		{"at an address without a host", `{"url":"https:///etc/passwd"}`, bridge.Message{Text: "https:///etc/passwd"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, rigOptions{}, func(t *testing.T, r *rig) {
				id := r.begin("t-1")
				if _, err := r.sim.AgentMessage(id, lpsim.AgentMessage{ContentType: "external/file", Message: json.RawMessage(tc.message)}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second)
				events := r.channel.events()
				if diff := cmp.Diff(&tc.want, events[len(events)-1].Message); diff != "" {
					t.Errorf("the channel gets (-want +got):\n%s", diff)
				}
			})
		})
	}
}
