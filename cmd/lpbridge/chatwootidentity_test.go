package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"

	"lpbridge/connector/lpsim"
)

// visitors is a bridge between LivePerson and a Chatwoot whose visitors are told
// apart by their contact-inbox.
type visitors struct {
	*stage
	p        *process
	chatwoot *chatwootStub
	settings map[string]string
	last     int
}

// visitor is a contact-inbox with a conversation. Contact is who Chatwoot takes it for.
type visitor struct {
	conversation, door, contact int
	proven                      bool
}

func newVisitors(t *testing.T, verified string) *visitors {
	t.Helper()
	v := &visitors{stage: newStage(t), chatwoot: &chatwootStub{}, last: 100}
	v.serve(verified)
	return v
}

// serve starts the first bridge.
func (v *visitors) serve(verified string) {
	v.t.Helper()
	server := httptest.NewServer(v.chatwoot)
	v.t.Cleanup(server.Close)
	v.settings = map[string]string{
		"LPBRIDGE_CHANNELS": "chatwoot", "CHATWOOT_BASE_URL": server.URL, "CHATWOOT_ACCOUNT_ID": "1", "CHATWOOT_TOKEN": "token",
		"CHATWOOT_ALLOW_UNSIGNED": "true", "CHATWOOT_URL_SECRET": chatwootDoor, "CHATWOOT_ORDER_HOLD": "0s",
		"WEBHOOK_SECRET": "", "WEBHOOK_URL": "",
	}
	v.begin(verified)
}

// begin starts the bridge over the same journal.
func (v *visitors) begin(verified string) {
	v.t.Helper()
	if v.p != nil {
		v.p.terminate()
	}
	v.settings["CHATWOOT_VERIFIED"] = verified
	v.p = v.run(v.settings)
}

// report is a webhook of Chatwoot's.
func (v *visitors) report(body string) {
	v.t.Helper()
	a := do(v.t, http.MethodPost, v.p.public+"/channels/chatwoot/"+chatwootDoor, plainJSON, body)
	if a.status != http.StatusOK {
		v.t.Fatalf("a webhook was answered %d: %s", a.status, a.body)
	}
}

// says has a visitor write, and waits for LivePerson's conversation.
func (v *visitors) says(who visitor, text string) lpsim.Conversation {
	v.t.Helper()
	v.last++
	v.report(fmt.Sprintf(`{"event":"message_created","id":%d,"message_type":"incoming","content_type":"text","content":%q,"private":false,"account":{"id":1},
		"inbox":{"id":3},"sender":{"id":%d,"name":"Ana","email":"ana@example.com"},"created_at":"2026-06-17T12:00:00.123Z",
		"conversation":{"id":%d,"inbox_id":3,"status":"open","channel":"Channel::WebWidget",
			"contact_inbox":{"id":%d,"contact_id":%d,"hmac_verified":%t},"meta":{"sender":{"id":%d,"name":"Ana","type":"contact"}}}}`,
		v.last, text, who.contact, who.conversation, who.door, who.contact, who.proven, who.contact))
	return v.conversationOf(text)
}

// answers has the agent answer in a conversation, which only one visitor may hear.
func (v *visitors) answers(c lpsim.Conversation, who visitor, text string) {
	v.t.Helper()
	if _, err := v.sim.AgentMessage(c.ConversationID, lpsim.AgentMessage{Text: text}); err != nil {
		v.t.Fatal(err)
	}
	await(v.t, "the answer "+text, func() bool { return len(v.hearing(text)) > 0 })
	if got := v.hearing(text); !slices.Equal(got, []string{strconv.Itoa(who.conversation)}) {
		v.t.Errorf("%q is heard in %v, want in %d only", text, got, who.conversation)
	}
}

// hearing are the conversations in which a text was shown.
func (v *visitors) hearing(text string) (in []string) {
	v.chatwoot.mu.Lock()
	known := slices.Clone(v.chatwoot.in)
	v.chatwoot.mu.Unlock()
	slices.Sort(known)
	for _, conversation := range slices.Compact(known) {
		n, _ := strconv.Atoi(conversation)
		if slices.Contains(v.chatwoot.heard(n), text) {
			in = append(in, conversation)
		}
	}
	return in
}

// closes has the agent end a conversation, and waits until the visitor knows.
func (v *visitors) closes(c lpsim.Conversation) {
	v.t.Helper()
	resolved := func() int {
		v.chatwoot.mu.Lock()
		defer v.chatwoot.mu.Unlock()
		return v.chatwoot.resolved
	}
	before := resolved()
	if err := v.sim.AgentClose(c.ConversationID, lpsim.AgentClose{}); err != nil {
		v.t.Fatal(err)
	}
	await(v.t, "the end of a conversation", func() bool { return resolved() > before })
}

// TestMergedContactsOfChatwootReadTheirOwnAnswers: somebody proves to be themselves,
// then gives the victim's e-mail address, by which Chatwoot makes the victim's contact
// of theirs and leaves the proof; and the same without any proof.
func TestMergedContactsOfChatwootReadTheirOwnAnswers(t *testing.T) {
	t.Parallel()
	for _, verified := range []string{"share", "apart"} {
		for _, proven := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, proven %t", verified, proven), func(t *testing.T) {
				v := newVisitors(t, verified)
				victim := visitor{42, 31, 10, proven}
				stranger := visitor{43, 99, 11, proven}
				asked := v.says(victim, "my IBAN?")
				v.answers(v.says(stranger, "hello, a stranger"), stranger, "hello stranger")
				v.answers(asked, victim, "PT50 0002")
				// Another conversation after the merge, and the one that was open.
				merged := visitor{44, 99, 10, proven}
				other := v.says(merged, "what did I ask?")
				if other.ConversationID == asked.ConversationID {
					t.Error("the stranger writes in the victim's conversation")
				}
				v.answers(other, merged, "I do not know")
				stranger.contact = 10
				v.answers(v.says(stranger, "and here?"), stranger, "nor here")
				v.answers(asked, victim, "anything else?")
				v.answers(v.says(victim, "no, thanks"), victim, "bye")
			})
		}
	}
}

// TestSwitchingWhatAProofCountsFor over a journal in which two contact-inboxes of a
// contact have conversations.
func TestSwitchingWhatAProofCountsFor(t *testing.T) {
	t.Parallel()
	for _, order := range [][]string{{"share", "apart"}, {"apart", "share"}} {
		t.Run(order[0]+" to "+order[1], func(t *testing.T) {
			v := newVisitors(t, order[0])
			a, b := visitor{42, 31, 10, true}, visitor{43, 32, 10, true}
			ofA, ofB := v.says(a, "a asks"), v.says(b, "b asks")
			v.begin(order[1])
			// What is open stays as it is: whose it was, and where its answers go.
			if now := v.says(a, "a asks again"); now.ConversationID != ofA.ConversationID {
				t.Error("the switch took a's conversation away")
			}
			v.answers(ofA, a, "for a")
			v.answers(ofB, b, "for b")
			v.report(`{"event":"contact_updated","id":10,"name":"Ana","email":"new@example.com","account":{"id":1},"changed_attributes":[{"email":{"previous_value":"ana@example.com","current_value":"new@example.com"}}]}`)
			v.closes(ofA)
			v.closes(ofB)
			nextB, nextA := v.says(b, "b once more"), v.says(a, "a once more")
			v.answers(nextA, a, "again for a")
			v.answers(nextB, b, "again for b")
			if nextA.ExtConsumerID == nextB.ExtConsumerID {
				t.Error("two places at once are one consumer")
			}
			// One after the other they are one person where that counts.
			v.closes(nextA)
			v.closes(nextB)
			firstB := v.says(b, "b alone")
			v.closes(firstB)
			firstA := v.says(a, "a alone")
			if one := firstA.ExtConsumerID == firstB.ExtConsumerID; one != (order[1] == "share") {
				t.Errorf("with %s one after the other are one consumer: %t", order[1], one)
			}
		})
	}
}
