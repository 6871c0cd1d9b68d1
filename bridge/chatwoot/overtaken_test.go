package chatwoot

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// agentReads lists what the consumer wrote as LivePerson has it.
func (r *relay) agentReads() (texts []string) {
	for _, e := range r.conversation().Transcript {
		if e.Role == "CONSUMER" && e.Type == "ContentEvent" {
			texts = append(texts, e.Text)
		}
	}
	return texts
}

// Chatwoot makes a webhook's body when its job runs, so that what stands in
// conversation.messages is the newest message by then, and of five in quick succession
// several webhooks have the last. Which message a webhook is about its own fields say.
func TestMessagesBesideAWebhooksOwnAreNotRead(t *testing.T) {
	inBubble(t, nil, func(t *testing.T, r *relay) {
		r.begin()
		newest := []int{1, 2, 3, 5, 5}
		for i, n := range newest {
			r.webhook(json.RawMessage(said(t, 600+i, fmt.Sprint("message ", i+1), func(p map[string]any) {
				p["conversation"].(map[string]any)["messages"] = []any{map[string]any{
					"id": 599 + n, "content": fmt.Sprint("message ", n), "message_type": 0, "content_type": "text", "private": false,
				}}
			})))
		}
		time.Sleep(10 * time.Second)
		want := []string{"message 1", "message 2", "message 3", "message 4", "message 5"}
		if got := r.agentReads(); cmp.Diff(want, got[len(got)-min(len(got), 5):]) != "" {
			t.Errorf("the agent reads %q", got)
		}
	})
}

// A message's update, such as that a file or a receipt was added, overtakes the message:
// its agent reads it once, whichever comes first and however often.
func TestUpdateThatOvertakesItsMessage(t *testing.T) {
	for name, order := range map[string][]string{
		"created first": {"message_created", "message_updated"}, "updated first": {"message_updated", "message_created"},
		"updated twice": {"message_updated", "message_updated", "message_created"}, "created late": {"message_updated", "wait", "message_created"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, nil, func(t *testing.T, r *relay) {
				r.begin()
				for _, event := range order {
					if event == "wait" {
						time.Sleep(5 * time.Minute)
						continue
					}
					r.webhook(json.RawMessage(said(t, 700, "only once", func(p map[string]any) { p["event"] = event })))
				}
				time.Sleep(10 * time.Second)
				n := 0
				for _, text := range r.agentReads() {
					if text == "only once" {
						n++
					}
				}
				if n != 1 {
					t.Errorf("the agent reads it %d times: %q", n, r.agentReads())
				}
			})
		})
	}
}
