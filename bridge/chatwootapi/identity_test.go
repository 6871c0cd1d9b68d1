package chatwootapi

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"lpbridge/bridge"
	"lpbridge/bridge/bridgetest"
	"lpbridge/bridge/served"
)

func TestVerifiedContactSeesAllItsConversations(t *testing.T) {
	w := newWorld(t)
	proof := `,"identifier":"test","identifier_hash":"` + testHash + `"`
	w.contact("s1", proof)
	w.contact("s2", proof)
	at := w.another("s1")
	foreign := strings.Replace(at, "/s1/", "/s2/", 1)
	if got := w.call("GET", foreign, ""); got.status != http.StatusNotFound {
		t.Errorf("an unverified contact-inbox got %d", got.status)
	}
	w.must("GET", base+"/contacts/s2?identifier=test&identifier_hash="+testHash, "")
	w.must("GET", foreign, "")
	w.must("POST", foreign+"/messages", "content=x")
	var list []struct{ ID int64 }
	decodeInto(t, w.must("GET", base+"/contacts/s2/conversations", "").body, &list)
	if len(list) != 1 || list[0].ID != 1 {
		t.Errorf("list %v", list)
	}
	w.contact("s3", `,"name":"else"`)
	if got := w.call("GET", strings.Replace(at, "/s1/", "/s3/", 1), ""); got.status != http.StatusNotFound {
		t.Errorf("another contact got %d", got.status)
	}
}

// hook calls a function before a record is read by its id.
type hook struct {
	bridge.Records
	before func()
}

func (h hook) Get(ctx context.Context, kind string, id int64) (bridge.Record, error) {
	h.before()
	return h.Records.Get(ctx, kind, id)
}

// proofOf are the parameters that prove an identifier.
func proofOf(identifier string) string {
	mac := hmac.New(sha256.New, []byte(hmacKey))
	mac.Write([]byte(identifier))
	return "identifier=" + identifier + "&identifier_hash=" + hex.EncodeToString(mac.Sum(nil))
}

// lastConsumer is the consumer of the newest event.
func (w *world) lastConsumer() bridge.ConsumerID {
	w.t.Helper()
	events := w.core.Events()
	if len(events) == 0 {
		w.t.Fatal("there is no event")
	}
	return events[len(events)-1].Consumer.ID
}

// writeAs says something in a conversation and returns who LivePerson hears.
func (w *world) writeAs(at string) bridge.ConsumerID {
	w.t.Helper()
	w.must("POST", at+"/messages", "content=x")
	return w.lastConsumer()
}

const victimData = `,"name":"Vera Victim","email":"v@example.com","phone_number":"+351123456789","identifier":"vera","custom_attributes":{"tier":"gold"}`

// checkKeepsVictimsData checks that nothing of the victim is told but what the
// caller sent.
func checkKeepsVictimsData(t *testing.T, what, body, sent string) {
	t.Helper()
	body = strings.ReplaceAll(body, sent, "")
	for _, private := range []string{"Vera", "351123456789", "gold", "my IBAN?", `"identifier":"vera"`} {
		if strings.Contains(body, private) {
			t.Errorf("%s tells %s: %s", what, private, scrub(body))
		}
	}
}

// TestAnotherPersonsDetailsFindNobody has a stranger give each detail of a
// victim, in any way a contact can be given one.
func TestAnotherPersonsDetailsFindNobody(t *testing.T) {
	for _, detail := range []string{`"email":"V@example.com"`, `"phone_number":"+351123456789"`, `"identifier":"vera"`} {
		for _, way := range []string{"create", "patch"} {
			t.Run(way+" "+detail, func(t *testing.T) {
				w := newWorld(t)
				w.contact("victim", victimData)
				mine := w.another("victim")
				w.must("POST", mine+"/messages", `{"content":"my IBAN?"}`)
				victim := w.lastConsumer()

				var a answer
				if way == "create" {
					a = w.contact("stranger", ","+detail)
				} else {
					w.contact("stranger", "")
					a = w.must("PATCH", base+"/contacts/stranger", "{"+detail+"}")
				}
				checkKeepsVictimsData(t, way, a.body, detail)
				at := w.another("stranger")
				if stranger := w.writeAs(at); stranger == victim {
					t.Errorf("both are the consumer %s in LivePerson", stranger)
				}
				checkKeepsVictimsData(t, "list", w.must("GET", base+"/contacts/stranger/conversations", "").body, detail)
				for _, path := range []string{"", "/messages"} {
					foreign := strings.Replace(mine, "/victim/", "/stranger/", 1) + path
					if got := w.call("GET", foreign, ""); got.status != http.StatusNotFound {
						t.Errorf("GET %s: %d", path, got.status)
					}
				}
				if got := w.call("POST", strings.Replace(mine, "/victim/", "/stranger/", 1)+"/messages", "content=x"); got.status != http.StatusNotFound {
					t.Errorf("the stranger writes as the victim: %d", got.status)
				}
			})
		}
	}
}

// TestVerifiedStrangerGetsNothingByPatch has somebody who proved their own
// identifier take a victim's e-mail address and phone number.
func TestVerifiedStrangerGetsNothingByPatch(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		s.contact("victim", strings.Replace(victimData, `"identifier":"vera",`, "", 1))
		// The victim of the worst case is verified too.
		s.must("PATCH", base+"/contacts/victim?"+proofOf("vera"), "")
		s.must("POST", base+"/contacts?source_id=stranger&"+proofOf("mallory"), "")
		s.must("GET", base+"/contacts/stranger?"+proofOf("mallory"), "")
		got := s.must("PATCH", base+"/contacts/stranger?"+proofOf("mallory"), `{"email":"v@example.com","phone_number":"+351123456789"}`)
		checkKeepsVictimsData(t, "PATCH", got.body, "+351123456789")
		line := s.line()
		line.subscribe(s.token("stranger"))
		at := s.another("victim")
		victim := s.writeAs(at)
		line.silent()
		if list := s.must("GET", base+"/contacts/stranger/conversations?"+proofOf("mallory"), ""); list.body != "[]" {
			t.Errorf("the stranger lists %s", list.body)
		}
		if got := s.call("POST", strings.Replace(at, "/victim/", "/stranger/", 1)+"/messages", "content=x"); got.status != http.StatusNotFound {
			t.Errorf("the stranger writes as the victim: %d", got.status)
		}
		if stranger := s.writeAs(s.another("stranger")); stranger == victim {
			t.Errorf("both are the consumer %s in LivePerson", stranger)
		}
		if own := s.must("GET", base+"/contacts/victim?"+proofOf("vera"), ""); !strings.Contains(own.body, `"email":"v@example.com"`) {
			t.Errorf("the victim lost the address: %s", own.body)
		}
	})
}

// TestAgentsAnswerGoesToTheConversationItAnswers delivers to two people who
// claim one address.
func TestAgentsAnswerGoesToTheConversationItAnswers(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		s.contact("victim", `,"email":"v@example.com"`)
		s.contact("stranger", `,"email":"v@example.com"`)
		s.another("victim")
		s.another("stranger")
		victim, stranger := s.line(), s.line()
		victim.subscribe(s.token("victim"))
		stranger.subscribe(s.token("stranger"))
		answer := agentSays("a-1", "the IBAN is fine")
		answer.Thread = "1"
		s.deliver(answer)
		if got := victim.events(1); got[0].Event != "message.created" {
			t.Errorf("the victim hears %s", got[0].Event)
		}
		stranger.silent()
	})
}

// TestFirstProofBindsAnIdentifier has a contact without identifier prove one
// later, by every call that can.
func TestFirstProofBindsAnIdentifier(t *testing.T) {
	for name, prove := range map[string]request{
		"GET":   {"GET", base + "/contacts/s1?" + proofOf("vera"), ""},
		"PATCH": {"PATCH", base + "/contacts/s1?" + proofOf("vera"), ""},
		"POST":  {"POST", base + "/contacts?source_id=s1&" + proofOf("vera"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.contact("s1", `,"name":"Vera"`)
			for range 2 {
				if got := w.must(prove.method, prove.path, prove.body); !strings.Contains(got.body, `"name":"Vera"`) {
					t.Errorf("answered %s", got.body)
				}
			}
			if got := w.call("GET", base+"/contacts/s1?"+proofOf("mallory"), ""); got.status != http.StatusInternalServerError {
				t.Errorf("another identifier is taken too: %d", got.status)
			}
			p, err := w.api.visitor(t.Context(), sourceKey{"inbox-one", "s1"})
			if err != nil || p.inbox.Proven != "vera" || p.inbox.Verified != (name != "POST") || p.contact.Identifier != "vera" {
				t.Errorf("%+v %+v %v", p.inbox, p.contact, err)
			}
		})
	}
}

// TestProofMakesOneConsumer has one person on two devices.
func TestProofMakesOneConsumer(t *testing.T) {
	w := newWorld(t)
	w.must("POST", base+"/contacts?source_id=phone&"+proofOf("vera"), "")
	w.contact("desktop", `,"name":"Vera V","email":"v@example.com"`)
	before := w.another("desktop")
	alone := w.writeAs(before)
	w.must("GET", base+"/contacts/desktop?"+proofOf("vera"), "")
	first, second := w.writeAs(w.another("phone")), w.writeAs(w.another("desktop"))
	if first != second {
		t.Errorf("one person is %s and %s in LivePerson", first, second)
	}
	if alone == first {
		t.Error("the conversation from before the proof was the proven consumer's already")
	}
	if still := w.writeAs(before); still != alone {
		t.Errorf("a conversation changed its consumer from %s to %s", alone, still)
	}
	// What the device said before completes what is proven.
	if got := w.must("GET", base+"/contacts/phone?"+proofOf("vera"), ""); !strings.Contains(got.body, `"email":"v@example.com"`) {
		t.Errorf("the proven contact is %s", got.body)
	}
}

// TestWrongProofIsRefusedEverywhere sends a wrong hash, and somebody else's
// right one, to every path of a contact. Chatwoot looks at three of them only.
func TestWrongProofIsRefusedEverywhere(t *testing.T) {
	w := newWorld(t)
	w.must("POST", base+"/contacts?source_id=s1&"+proofOf("vera"), "")
	at := w.another("s1")
	w.deliver(agentSays("a-1", "hi"))
	for _, proof := range []string{
		"identifier=vera&identifier_hash=00", "identifier=vera&identifier_hash=" + strings.Repeat("0", 64), proofOf("mallory"),
		strings.Replace(proofOf("mallory"), "identifier=mallory", "identifier=vera", 1),
	} {
		for _, r := range []request{
			{"GET", base + "/contacts/s1", ""}, {"PATCH", base + "/contacts/s1", ""}, {"POST", base + "/contacts?source_id=s1", ""},
			{"GET", base + "/contacts/s1/conversations", ""}, {"POST", base + "/contacts/s1/conversations", ""},
			{"GET", at, ""}, {"POST", at + "/toggle_status", ""}, {"POST", at + "/toggle_typing", ""}, {"POST", at + "/update_last_seen", ""},
			{"GET", at + "/messages", ""}, {"POST", at + "/messages", ""}, {"PATCH", at + "/messages/1", ""},
		} {
			sep := "?"
			if strings.Contains(r.path, "?") {
				sep = "&"
			}
			if got := w.call(r.method, r.path+sep+proof, r.body); got.status != http.StatusInternalServerError {
				t.Errorf("%s %s with a wrong proof: %d", r.method, r.path, got.status)
			}
		}
	}
}

// TestConcurrentProofsLoseNobody has several devices prove one identifier while
// others write.
func TestConcurrentProofsLoseNobody(t *testing.T) {
	w := newWorld(t)
	const devices = 6
	for i := range devices {
		w.contact(fmt.Sprint("s", i), "")
		w.another(fmt.Sprint("s", i))
	}
	var wg sync.WaitGroup
	for i := range devices {
		path := fmt.Sprintf("%s/contacts/s%d", base, i)
		wg.Go(func() {
			if got := w.call("PATCH", path+"?"+proofOf("vera"), "name=Vera"); got.status != http.StatusOK {
				t.Errorf("PATCH answered %d %s", got.status, got.body)
			}
		})
		wg.Go(func() {
			if got := w.call("POST", fmt.Sprintf("%s/conversations/%d/messages", path, i+1), "content=x"); got.status != http.StatusOK {
				t.Errorf("POST answered %d %s", got.status, got.body)
			}
		})
	}
	wg.Wait()
	for i := range devices {
		var list []struct{ ID int64 }
		decodeInto(t, w.must("GET", fmt.Sprintf("%s/contacts/s%d/conversations", base, i), "").body, &list)
		if len(list) != devices {
			t.Errorf("s%d has %d conversations, want all %d", i, len(list), devices)
		}
	}
}

// TestProofInMidRequest has a request that has read the contact-inbox find its
// contact gone, because it became part of the proven one meanwhile.
func TestProofInMidRequest(t *testing.T) {
	w := newWorld(t)
	w.must("POST", base+"/contacts?source_id=s1&"+proofOf("vera"), "")
	w.contact("s2", "")
	key := sourceKey{"inbox-one", "s2"}
	before, err := w.api.findContactInbox(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	w.must("PATCH", base+"/contacts/s2?"+proofOf("vera"), "")
	stale := served.NewCache[sourceKey](1<<20, (*contactInbox).bytes)
	stale.Put(key, before)
	fresh := w.api.contactInboxes
	w.api.contactInboxes = stale
	w.api.records = hook{w.api.records, func() { w.api.contactInboxes = fresh }}
	p, err := w.api.visitor(t.Context(), key)
	if err != nil || p.contact.ID != 1 {
		t.Errorf("visitor %+v, %v", p, err)
	}
}

// formerRecords are those of a version that let contact-inboxes share a contact
// for an e-mail address, and believed marks that merges passed on.
func formerRecords(t *testing.T, core *bridgetest.Core) {
	t.Helper()
	record := func(kind string, id int64, parent, data string, keys ...string) {
		err := core.Records().Save(t.Context(), bridge.Record{Kind: kind, ID: id, Parent: parent, Keys: keys, Data: []byte(data)})
		if err != nil {
			t.Fatal(err)
		}
	}
	const times = `"created":"2000-01-01T00:00:00Z","updated":"2000-01-01T00:00:00Z"`
	record("contact", 1, "", `{"id":1,"name":"Vera Victim","email":"v@example.com","phone":"+351123456789","verified":["T1","T2"],`+times+`}`,
		"email:v@example.com", "phone:+351123456789")
	record("contact", 2, "", `{"id":2,"name":"Otto","email":"o@example.com",`+times+`}`, "email:o@example.com")
	for i, source := range []string{"victim", "stranger", "otto"} {
		id := int64(i + 1)
		owner := formatID(max(id-1, 1))
		record("contact_inbox", id, owner,
			fmt.Sprintf(`{"id":%d,"inbox":"inbox-one","source":"%s","token":"T%d","contact":%s,"verified":true,%s}`, id, source, id, owner, times),
			"source:inbox-one:"+source, fmt.Sprint("token:T", id))
		record("conversation", id, formatID(id),
			fmt.Sprintf(`{"id":%d,"uuid":"u%d","inbox":"inbox-one","source":"%s","contactInbox":%d,"consumer":%s,"status":"open","activity":"2000-01-01T00:00:00Z",%s}`,
				id, id, source, id, owner, times), fmt.Sprint("uuid:u", id))
		for _, kind := range []string{"contact", "contact_inbox", "conversation"} {
			if _, err := core.Records().NextID(t.Context(), kind); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestFormerJournalsTellContactsApart starts on records of a former version.
func TestFormerJournalsTellContactsApart(t *testing.T) {
	core := bridgetest.NewCore()
	formerRecords(t, core)
	w := worldOn(t, core, testConfig())
	consumers := map[bridge.ConsumerID]string{}
	for i, source := range []string{"victim", "stranger", "otto"} {
		at := fmt.Sprintf("%s/contacts/%s/conversations/%d", base, source, i+1)
		consumer := w.writeAs(at)
		if other := consumers[consumer]; other != "" {
			t.Errorf("%s and %s are both the consumer %s", source, other, consumer)
		}
		consumers[consumer] = source
		var list []struct{ ID int64 }
		decodeInto(t, w.must("GET", base+"/contacts/"+source+"/conversations", "").body, &list)
		if len(list) != 1 || list[0].ID != int64(i+1) {
			t.Errorf("%s lists %v", source, list)
		}
	}
	checkKeepsVictimsData(t, "GET", w.must("GET", base+"/contacts/stranger", "").body, "-")
	checkKeepsVictimsData(t, "GET", w.must("GET", base+"/contacts/victim", "").body, "-")
	// Who shared with nobody keeps everything.
	if got := w.must("GET", base+"/contacts/otto", ""); !strings.Contains(got.body, `"id":2,"name":"Otto","email":"o@example.com"`) {
		t.Errorf("otto became %s", got.body)
	}
	if consumers["contact-2"] != "otto" {
		t.Errorf("otto is another consumer than before: %v", consumers)
	}
	// It stays so, also in another process.
	again := worldOn(t, core, testConfig())
	for _, source := range []string{"victim", "stranger", "otto"} {
		if was, is := w.must("GET", base+"/contacts/"+source, "").body, again.must("GET", base+"/contacts/"+source, "").body; was != is {
			t.Errorf("%s was %s and is %s", source, was, is)
		}
	}
}

// TestInboxesWithColonsAreKeptApart has a journal of an inbox whose name and source id
// together read like those of another one.
func TestInboxesWithColonsAreKeptApart(t *testing.T) {
	core := bridgetest.NewCore()
	cfg := testConfig()
	cfg.Inboxes = []string{"shop:vip"}
	w := worldOn(t, core, cfg)
	w.must("POST", "/public/api/v1/inboxes/shop:vip/contacts", `{"source_id":"vera","email":"v@example.com"}`)
	cfg.Inboxes = []string{"shop"}
	again := worldOn(t, core, cfg)
	if got := again.call("GET", "/public/api/v1/inboxes/shop/contacts/vip:vera", ""); got.status != 404 || strings.Contains(got.body, "v@example.com") {
		t.Errorf("a contact of another inbox is answered with %d %s", got.status, got.body)
	}
}
