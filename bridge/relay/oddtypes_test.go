package relay_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// What LivePerson spells in another case is what it is, and of an event nobody knows
// the agent is told that it is not shown.
func TestTypesInAnotherCaseAndUnknownOnes(t *testing.T) {
	const agent = `"originatorId":"a-1","originatorMetadata":{"id":"a-1","role":"ASSIGNED_AGENT"},"serverTimestamp":1528371199686`
	for name, tc := range map[string]struct {
		event          string
		reads, typing  []string
		agent          string
		receiptOfFirst string
	}{
		"contentEvent":             {event: `{"type":"contentEvent","message":"hi","contentType":"text/plain"}`, reads: []string{"hi"}, agent: "ACCEPT"},
		"CONTENTEVENT, Text/Plain": {event: `{"type":"CONTENTEVENT","message":"hi","contentType":"Text/Plain; charset=UTF-8"}`, reads: []string{"hi"}, agent: "ACCEPT"},
		"richcontentevent":         {event: `{"type":"richcontentevent","content":{"type":"vertical","elements":[{"type":"text","text":"hi"}]}}`, reads: []string{"hi"}, agent: "ACCEPT"},
		"chatStateEvent":           {event: `{"type":"chatStateEvent","chatState":"composing"}`, typing: []string{"composing"}},
		"acceptStatusEvent":        {event: `{"type":"acceptStatusEvent","status":"read","sequenceList":[0]}`, receiptOfFirst: "receipt:read:[first-of-t-1]"},
		"TextEvent":                {event: `{"type":"TextEvent","message":"hi"}`, agent: "NACK"},
		"no type":                  {event: `{"message":"hi","contentType":"text/plain"}`, agent: "NACK"},
		"no event":                 {event: `null`, agent: "NACK"},
		"words for an event":       {event: `"hi"`, agent: "NACK"},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
				id := r.begin("t-1")
				body := changed(fmt.Sprintf(`{"sequence":20,%s,"event":%s,"conversationId":%q,"dialogId":%q,"messageAudience":"ALL"}`, agent, tc.event, id, id))
				if status := r.notify(body, nil); status != 200 {
					t.Fatal("status", status)
				}
				time.Sleep(5 * time.Second)
				if got := r.channel.texts(); !slices.Equal(got, tc.reads) {
					t.Errorf("the consumer reads %q, want %q", got, tc.reads)
				}
				if got := r.channel.shown(); !slices.Equal(got, tc.typing) {
					t.Errorf("the channel was shown %q, want %q", got, tc.typing)
				}
				seen := receiptsSeen(r)
				if tc.agent == "" && len(seen) > 0 || tc.agent != "" && !slices.Contains(seen, tc.agent) {
					t.Errorf("the agent saw %q, want %q", seen, tc.agent)
				}
				if got := r.channel.got(); tc.receiptOfFirst != "" && !slices.Contains(got, tc.receiptOfFirst) {
					t.Errorf("the channel was told %q, want %q", got, tc.receiptOfFirst)
				}
			})
		})
	}
}

// Also a notification as a whole.
func TestNotificationTypeInAnotherCase(t *testing.T) {
	inBubble(t, rigOptions{quiet: true}, func(t *testing.T, r *rig) {
		id := r.begin("t-1")
		body := words(id, id, 20, "hi")
		body = body[:len(`{"kind":"notification","type":"`)] + "MS.messagingEventNotification" + body[len(`{"kind":"notification","type":"ms.MessagingEventNotification`):]
		if status := r.notify(body, nil); status != 200 {
			t.Fatal("status", status)
		}
		time.Sleep(time.Second)
		r.wantMessage("hi")
	})
}
