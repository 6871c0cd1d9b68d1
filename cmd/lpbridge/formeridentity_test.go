package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"lpbridge/bridge"
	"lpbridge/bridge/journal"
	"lpbridge/connector/lpsim"
)

// formerJournal writes records of a channel as a former version of the bridge left
// them. Kinds get as many numbers as they have records.
func (s *stage) formerJournal(channel string, records ...bridge.Record) {
	s.t.Helper()
	j, err := journal.Open(context.WithoutCancel(s.t.Context()), journal.Options{Store: s.settings["LPBRIDGE_STORE"], Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		s.t.Fatal(err)
	}
	kept := j.RecordsOf(channel)
	if err := kept.Save(s.t.Context(), records...); err != nil {
		s.t.Fatal(err)
	}
	for _, r := range records {
		if _, err := kept.NextID(s.t.Context(), r.Kind); err != nil {
			s.t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		s.t.Fatal(err)
	}
}

// formerContacts are a victim and a stranger who shared a contact by its e-mail
// address, with its marks of proof, and Otto, who shared his with nobody.
func formerContacts() (records []bridge.Record) {
	add := func(kind string, id int64, parent, data string, keys ...string) {
		records = append(records, bridge.Record{Kind: kind, ID: id, Parent: parent, Keys: keys, Data: []byte(data)})
	}
	const times = `"created":"2026-01-01T00:00:00Z","updated":"2026-01-01T00:00:00Z"`
	add("contact", 1, "", `{"id":1,"name":"Vera Victim","email":"v@example.com","phone":"+351123456789","verified":["T1","T2"],`+times+`}`, "email:v@example.com", "phone:+351123456789")
	add("contact", 2, "", `{"id":2,"name":"Otto","email":"o@example.com",`+times+`}`, "email:o@example.com")
	for i, source := range []string{"victim", "stranger", "otto"} {
		id, owner := strconv.Itoa(i+1), strconv.Itoa(max(i, 1))
		add("contact_inbox", int64(i+1), owner, fmt.Sprintf(`{"id":%s,"inbox":"inbox","source":%q,"token":"T%s","contact":%s,"verified":true,%s}`, id, source, id, owner, times),
			"source:inbox:"+source, "token:T"+id)
		add("conversation", int64(i+1), id, fmt.Sprintf(`{"id":%s,"uuid":"u%s","inbox":"inbox","source":%q,"contactInbox":%s,"consumer":%s,"status":"open","activity":"2026-01-01T00:00:00Z",%s}`, id, id, source, id, owner, times),
			"uuid:u"+id)
	}
	return records
}

// TestFormerContactsOnTheRunningProgram starts over a journal in which contacts were
// shared by e-mail address.
func TestFormerContactsOnTheRunningProgram(t *testing.T) {
	t.Parallel()
	x := &everyChannel{stage: newStage(t)}
	x.formerJournal("chatwootapi", formerContacts()...)
	x.serveInboxes("false")
	who := map[string]string{}
	for i, source := range []string{"victim", "stranger", "otto"} {
		thread := publicAPI + "/" + source + "/conversations/" + strconv.Itoa(i+1)
		x.call(http.MethodPost, thread+"/messages", fmt.Sprintf(`{"content":"%s writes"}`, source), nil)
		consumer, conversation := x.consumerWho(source + " writes")
		if other := who[consumer]; other != "" {
			t.Errorf("%s and %s are one consumer", other, source)
		}
		who[consumer], who[conversation] = source, source
		var list []struct{ ID int }
		x.call(http.MethodGet, publicAPI+"/"+source+"/conversations", "", &list)
		if len(list) != 1 || list[0].ID != i+1 {
			t.Errorf("%s lists %v", source, list)
		}
	}
	if len(who) != 6 {
		t.Errorf("three who write have %d consumers and conversations", len(who))
	}
	for _, source := range []string{"victim", "stranger"} {
		a := do(t, http.MethodGet, x.p.public+publicAPI+"/"+source, plainJSON, "")
		if strings.Contains(a.body, "Vera") || strings.Contains(a.body, "+3511") || strings.Contains(a.body, "v@example") {
			t.Errorf("%s is told of a contact that nobody knows whose it is: %s", source, a.body)
		}
	}
	if a := do(t, http.MethodGet, x.p.public+publicAPI+"/otto", plainJSON, ""); !strings.Contains(a.body, "o@example.com") {
		t.Errorf("otto became %s", a.body)
	}
	// The token that was marked as proven hears its own conversation only.
	hears := x.hears("T2")
	x.answersTo("victim writes", "for the victim")
	x.answersTo("stranger writes", "for the stranger")
	if all := hears("for the stranger"); strings.Contains(all, "for the victim") {
		t.Errorf("the stranger hears %s", all)
	}
}

// serveInboxes starts a bridge that serves Chatwoot's public API alone.
func (x *everyChannel) serveInboxes(mandatory string) {
	x.t.Helper()
	x.p = x.run(map[string]string{
		"LPBRIDGE_CHANNELS": "chatwootapi", "LPBRIDGE_PUBLIC_URL": x.front, "WEBHOOK_SECRET": "", "WEBHOOK_URL": "",
		"CHATWOOTAPI_INBOXES": "inbox,other", "CHATWOOTAPI_HMAC_TOKEN": identityKey, "CHATWOOTAPI_HMAC_MANDATORY": mandatory,
	})
}

// TestOnePersonInManyPlacesOnTheRunningProgram proves, changes and writes in several
// places at once: nobody is lost, and nobody becomes two. Whoever began to write before
// they proved anything stays who they were in that conversation.
func TestOnePersonInManyPlacesOnTheRunningProgram(t *testing.T) {
	t.Parallel()
	x := newProver(t, "false")
	early, _ := x.contactOf("inbox", "early", "", "", "before any proof")
	const places = 6
	var all sync.WaitGroup
	for i := range places {
		all.Go(func() {
			source := fmt.Sprintf("place-%d", i)
			contacts := "/public/api/v1/inboxes/" + []string{"inbox", "other"}[i%2] + "/contacts"
			var thread struct{ ID int }
			for _, step := range []struct{ method, path, body string }{
				{http.MethodPost, contacts, fmt.Sprintf(`{"source_id":%q}`, source)},
				{http.MethodPatch, contacts + "/" + source + proofFor("vera"), fmt.Sprintf(`{"custom_attributes":{"place%d":"yes"}}`, i)},
				{http.MethodPost, contacts + "/" + source + "/conversations", "{}"},
			} {
				a := do(t, step.method, x.p.public+step.path, plainJSON, step.body)
				if a.status != http.StatusOK {
					t.Errorf("%s %s: %d %s", step.method, step.path, a.status, a.body)
				}
				_ = json.Unmarshal([]byte(a.body), &thread)
			}
			do(t, http.MethodPost, x.p.public+contacts+"/"+source+"/conversations/"+strconv.Itoa(thread.ID)+"/messages", plainJSON, fmt.Sprintf(`{"content":"from place %d"}`, i))
		})
	}
	all.Wait()
	x.call(http.MethodGet, publicAPI+"/early"+proofFor("vera"), "", nil)
	x.call(http.MethodPost, early+"/messages", `{"content":"after the proof"}`, nil)
	before, ofBefore := x.consumerWho("before any proof")
	if after, ofAfter := x.consumerWho("after the proof"); after != before || ofAfter != ofBefore {
		t.Error("a conversation changed its consumer with a proof")
	}
	first, _ := x.consumerWho("from place 0")
	for i := range places {
		if who, _ := x.consumerWho(fmt.Sprintf("from place %d", i)); who != first {
			t.Errorf("place %d is another consumer", i)
		}
	}
	if first == before {
		t.Error("who wrote unproven is who proved something")
	}
	var list []json.RawMessage
	x.call(http.MethodGet, publicAPI+"/early/conversations"+proofFor("vera"), "", &list)
	if len(list) != places+1 {
		t.Errorf("%d conversations are listed, want %d", len(list), places+1)
	}
	a := do(t, http.MethodPatch, x.p.public+publicAPI+"/place-0"+proofFor("vera"), plainJSON, `{}`)
	for i := range places {
		if !strings.Contains(a.body, fmt.Sprintf(`"place%d":"yes"`, i)) {
			t.Errorf("what place %d told is lost: %s", i, a.body)
		}
	}
}

// TestChatwootsContactsOnTheRunningProgram: payloads that name nobody, changes of a
// contact, and conversations of a former version.
func TestChatwootsContactsOnTheRunningProgram(t *testing.T) {
	t.Parallel()
	v := &visitors{stage: newStage(t), chatwoot: &chatwootStub{}, last: 100}
	// Before there were contact-inboxes the record was the conversation alone, and the
	// contact the consumer.
	v.formerJournal("chatwoot", bridge.Record{Kind: "contact", ID: 77, Data: []byte("70")})
	v.serve("share")
	nameless := func(conversation, id int, text string) string {
		return fmt.Sprintf(`{"event":"message_created","id":%d,"message_type":0,"content":%q,"conversation":{"id":%d,"inbox_id":3,"status":"open"},"account":{"id":1},"sender":null,"inbox":null}`, id, text, conversation)
	}
	v.report(nameless(50, 1, "nobody one"))
	v.report(nameless(51, 2, "nobody two"))
	one, two := v.conversationOf("nobody one"), v.conversationOf("nobody two")
	if one.ExtConsumerID == two.ExtConsumerID {
		t.Error("two conversations whose webhooks name nobody are one consumer")
	}
	v.answers(one, visitor{conversation: 50}, "for the first")
	v.answers(two, visitor{conversation: 51}, "for the second")
	v.report(nameless(50, 3, "nobody one again"))
	if again := v.conversationOf("nobody one again"); again.ConversationID != one.ConversationID {
		t.Error("the same conversation is another one")
	}

	// The change goes where the contact wrote last, and to nobody else's conversation.
	a, b := visitor{42, 31, 10, false}, visitor{43, 32, 10, false}
	ofA, ofB := v.says(a, "from the first door"), v.says(b, "from the second door")
	v.report(`{"event":"contact_updated","id":10,"name":"Ana Nova","email":"nova@example.com","account":{"id":1},"changed_attributes":[{"email":{"previous_value":"ana@example.com","current_value":"nova@example.com"}}]}`)
	await(t, "the new address", func() bool { return v.knows(ofB, "nova@example.com") })
	if v.knows(ofA, "nova@example.com") {
		t.Error("another door's conversation is told of the change")
	}

	// A contact of a former version: nothing of it reaches another's conversation.
	v.report(`{"event":"contact_updated","id":77,"name":"Old Friend","email":"old@example.com","account":{"id":1},"changed_attributes":[{"email":{"current_value":"old@example.com"}}]}`)
	old := visitor{70, 90, 77, false}
	ofOld := v.says(old, "from before")
	v.answers(ofOld, old, "welcome back")
	for _, c := range []lpsim.Conversation{ofA, ofB, one, two} {
		if v.knows(c, "old@example.com") {
			t.Error("somebody else's conversation is told of a former contact")
		}
	}
}

// knows reports whether LivePerson's agents see something in a consumer's profile.
func (v *visitors) knows(c lpsim.Conversation, what string) bool {
	now, _ := v.sim.Conversation(c.ConversationID)
	return strings.Contains(string(now.Profile), what)
}

// conversationOf waits for LivePerson's conversation in which a consumer wrote.
func (v *visitors) conversationOf(text string) (found lpsim.Conversation) {
	v.t.Helper()
	await(v.t, "LivePerson's conversation with "+text, func() bool {
		for _, summary := range v.sim.Conversations() {
			c, _ := v.sim.Conversation(summary.ConversationID)
			if slices.ContainsFunc(c.Transcript, func(e lpsim.Entry) bool { return e.Role == lpsim.RoleConsumer && e.Text == text }) {
				found = c
				return true
			}
		}
		return false
	})
	return found
}
