package relay_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"lpbridge/bridge/relay"
	"lpbridge/connector/lpsim"
)

// droppedBy counts changes that were not relayed, by reason.
func droppedBy(t *testing.T, from prometheus.Gatherer) map[string]int {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]int{}
	for _, f := range families {
		if f.GetName() != "lpbridge_notification_changes_dropped_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			by[m.GetLabel()[0].GetValue()] = int(m.GetCounter().GetValue())
		}
	}
	return by
}

// Nothing that LivePerson tells us of is dropped without its counter, and of a message
// that nobody will see its agent hears NACK, whatever the reason.
func TestEveryReasonOfADropIsCountedAndTold(t *testing.T) {
	agent := `"originatorId":"a-1","originatorMetadata":{"id":"a-1","role":"ASSIGNED_AGENT"},"serverTimestamp":1528371199686`
	in := func(event, more string) func(id string) string {
		return func(id string) string {
			return changed(fmt.Sprintf(`{"sequence":20,%s,"event":%s,"conversationId":%q,"dialogId":%q%s}`, agent, event, id, id, more))
		}
	}
	text := `{"type":"ContentEvent","message":"hi","contentType":"text/plain"}`
	silent := newChannel()
	silent.about.Delivers = nil
	for reason, c := range map[string]struct {
		body    func(id string) string
		channel *channel
		nack    bool
	}{
		"foreign":         {body: func(string) string { return words("other", "other", 3, "hi") }},
		"private":         {body: in(text, `,"messageAudience":"AGENTS_AND_MANAGERS"`)},
		"stale":           {body: func(id string) string { return news(id, "", time.Now().Add(-3*time.Hour)) }},
		"unwanted":        {body: in(text, ""), channel: silent, nack: true},
		"unknown_content": {body: in(`{"type":"ContentEvent","message":{"formId":"1","title":"card"},"contentType":"forms/secure-invitation"}`, ""), nack: true},
		"unknown_event":   {body: in(`{"type":"HologramEvent"}`, ""), nack: true},
		"unknown_type": {body: func(string) string {
			return `{"kind":"notification","type":"ms.HologramNotification","body":{"changes":[{}]}}`
		}},
		"former_conversation": {body: in(`{"type":"ChatStateEvent","chatState":"COMPOSING"}`, "")},
		"own": {body: func(id string) string {
			return strings.Replace(in(`{"type":"ChatStateEvent","chatState":"COMPOSING"}`, "")(id), "ASSIGNED_AGENT", "CONSUMER", 1)
		}},
		"unreadable_notification": {body: func(string) string {
			return `{"kind":"notification","type":"ms.MessagingEventNotification","body":{"changes":[`
		}},
	} {
		t.Run(reason, func(t *testing.T) {
			registry := prometheus.NewRegistry()
			adjust := func(o *relay.Options) { o.Metrics = registry }
			inBubble(t, rigOptions{quiet: true, adjust: adjust, channel: c.channel}, func(t *testing.T, r *rig) {
				id := r.begin("t-1")
				if reason == "former_conversation" {
					r.sim.AgentClose(id, lpsim.AgentClose{})
				}
				// For a while after a start anybody's may be ours.
				time.Sleep(2 * time.Hour)
				before := droppedBy(t, registry)[reason]
				if status := r.notify(c.body(id), nil); status != 200 {
					t.Errorf("answered %d", status)
				}
				time.Sleep(time.Minute)
				if n := droppedBy(t, registry)[reason] - before; n != 1 {
					t.Errorf("counted %d times: %v", n, droppedBy(t, registry))
				}
				if told := slices.Contains(receiptsSeen(r), "NACK"); told != c.nack {
					t.Errorf("the agent was told %v", receiptsSeen(r))
				}
				if got := r.channel.texts(); slices.Contains(got, "hi") {
					t.Errorf("the consumer reads %q", got)
				}
			})
		})
	}
}

// TestNotificationOfAnythingMayComeAgain: LivePerson repeats a notification whose answer
// it did not get, whatever it holds, several at once too. All are answered 200, for one
// that is not holds back everything behind it; both sides are told once.
func TestNotificationOfAnythingMayComeAgain(t *testing.T) {
	for name, event := range map[string]string{
		"no form to show it in": `{"type":"ContentEvent","message":{"formId":"1","title":"card"},"contentType":"forms/secure-invitation"}`,
		"an event of no kind":   `{"type":"HologramEvent"}`,
		"choices": `{"type":"ContentEvent","message":"pick","contentType":"text/plain","quickReplies":{"type":"quickReplies","replies":[` +
			`{"type":"button","title":"Yes","click":{"actions":[{"type":"publishText","text":"yes"}]}}]}}`,
		"a card": `{"type":"RichContentEvent","content":{"type":"vertical","elements":[{"type":"button","title":"Red","click":{"actions":[{"type":"publishText","text":"red"}]}}]}}`,
		"a file": `{"type":"ContentEvent","message":{"caption":"bill","relativePath":"/v1/a","fileType":"PNG"},"contentType":"hosted/file"}`,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
				id := r.begin("t-1")
				body := changed(fmt.Sprintf(`{"sequence":20,"originatorId":"a-1","originatorMetadata":{"id":"a-1","role":"ASSIGNED_AGENT"},`+
					`"serverTimestamp":1528371199686,"event":%s,"conversationId":%q,"dialogId":%q}`, event, id, id))
				var answers sync.WaitGroup
				for range 3 {
					answers.Go(func() {
						if status := r.notify(body, nil); status != http.StatusOK {
							t.Errorf("answered %d", status)
						}
					})
				}
				answers.Wait()
				time.Sleep(time.Minute)
				if status := r.notify(body, nil); status != http.StatusOK {
					t.Errorf("the repetition was answered %d", status)
				}
				time.Sleep(time.Minute)
				shown := len(r.channel.texts())
				if told := len(receiptsSeen(r)); told != 1 || shown > 1 {
					t.Errorf("the agent was told %v, the consumer shown %q, want each once", receiptsSeen(r), r.channel.texts())
				}
			})
		})
	}
	t.Run("nothing that can be read", func(t *testing.T) {
		inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
			var answers sync.WaitGroup
			for range 8 {
				answers.Go(func() {
					if status := r.notify(`{"kind":"notification","type":"ms.MessagingEventNotification","body":{"changes":[`, nil); status != http.StatusOK {
						t.Errorf("answered %d", status)
					}
				})
			}
			answers.Wait()
		})
	})
}
