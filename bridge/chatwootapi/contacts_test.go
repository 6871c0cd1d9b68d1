package chatwootapi

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

func TestMergeIntoOwnerOfEmail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, r := range withThread {
			w.must(r.method, r.path, r.body)
		}
		w.must("POST", base+"/contacts", `{"source_id":"s2","email":"bob@b.b","name":"Bob","custom_attributes":{"plan":"basic","seats":1}}`)
		got := w.must("PATCH", base+"/contacts/s1", `{"email":"Bob@b.b","name":""}`)
		var merged struct {
			ID         int64
			Name       string
			Email      string
			Identifier string
			Attributes map[string]any `json:"custom_attributes"`
		}
		decodeInto(t, got.body, &merged)
		if merged.ID != 2 || merged.Name != "Bob" || merged.Email != "bob@b.b" || merged.Identifier != "id-1" || merged.Attributes["plan"] != "basic" {
			t.Errorf("merged contact is %+v", merged)
		}
		if got := w.must("GET", base+"/contacts/s1", ""); !strings.Contains(got.body, `"id":2,`) {
			t.Errorf("s1 is still another contact: %s", scrub(got.body))
		}
		// The thread keeps its consumer, whom LivePerson knows.
		events := w.core.Events()
		if len(events) != 1 || events[0].Kind != bridge.KindProfile || events[0].Consumer.ID != "contact-1" || events[0].Consumer.Email != "bob@b.b" {
			t.Errorf("events after the merge: %+v", events)
		}
		// Keys moved: the identifier finds the merged contact, the old e-mail nobody.
		if got := w.contact("s3", `,"identifier":"id-1"`); !strings.Contains(got.body, `"id":2,`) {
			t.Errorf("identifier finds %s", scrub(got.body))
		}
		if got := w.contact("s4", `,"email":"alice@acme.inc"`); strings.Contains(got.body, `"id":1,`) || strings.Contains(got.body, `"id":2,`) {
			t.Errorf("the e-mail that was given up still finds %s", scrub(got.body))
		}
	})
}

func TestPhoneOfSomebodyElseIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.contact("s1", `,"email":"a@a.a"`)
	w.contact("s2", `,"email":"b@b.b","phone_number":"+4912345"`)
	got := w.must("PATCH", base+"/contacts/s1", `{"email":"c@c.c","phone_number":"+4912345"}`)
	if !strings.Contains(got.body, `"id":1,`) || !strings.Contains(got.body, `"email":"c@c.c","phone_number":null`) {
		t.Errorf("answer %s", scrub(got.body))
	}
	got = w.must("PATCH", base+"/contacts/s1", `{"phone_number":"+4912345"}`)
	if !strings.Contains(got.body, `"id":2,`) {
		t.Errorf("a phone number alone did not merge: %s", scrub(got.body))
	}
}

func TestMergeSurvivesFailureBetweenItsWrites(t *testing.T) {
	w := newWorld(t)
	w.contact("s1", `,"identifier":"id-1"`)
	w.contact("s2", `,"email":"b@b.b"`)
	w.core.Refuse(bridge.ErrBusy)
	if got := w.call("PATCH", base+"/contacts/s1", `{"email":"b@b.b"}`); got.status != http.StatusServiceUnavailable {
		t.Fatalf("answered %d", got.status)
	}
	w.core.Refuse(nil)
	got := w.must("PATCH", base+"/contacts/s1", `{"email":"b@b.b"}`)
	if !strings.Contains(got.body, `"id":2,`) || !strings.Contains(got.body, `"identifier":"id-1"`) {
		t.Errorf("answer %s", scrub(got.body))
	}
}

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

func TestConcurrentCreatesMakeOneContact(t *testing.T) {
	w := newWorld(t)
	answers := make([]string, 16)
	var wg sync.WaitGroup
	for i := range answers {
		wg.Go(func() {
			source := []string{"s1", "s2"}[i%2]
			answers[i] = w.call("POST", base+"/contacts", `{"source_id":"`+source+`","email":"a@a.a"}`).body
		})
	}
	wg.Wait()
	for i, a := range answers {
		if a != answers[i%2] || !strings.Contains(a, `"id":1,`) {
			t.Errorf("create %d answered %s, the first %s", i, a, answers[i%2])
		}
	}
}

// TestConcurrentMergesLoseNobody has contacts take each other's addresses while
// others write to them.
func TestConcurrentMergesLoseNobody(t *testing.T) {
	w := newWorld(t)
	const people = 6
	for i := range people {
		w.contact(fmt.Sprint("s", i), fmt.Sprintf(`,"email":"p%d@x.y"`, i))
		w.another(fmt.Sprint("s", i))
	}
	var wg sync.WaitGroup
	for i := range people {
		path := fmt.Sprintf("%s/contacts/s%d", base, i)
		wg.Go(func() {
			if got := w.call("PATCH", path, fmt.Sprintf("email=p%d@x.y", (i+1)%people)); got.status != http.StatusOK {
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
	for i := range people {
		w.must("GET", fmt.Sprintf("%s/contacts/s%d", base, i), "")
		if got := w.must("GET", fmt.Sprintf("%s/contacts/s%d/conversations", base, i), ""); !strings.Contains(got.body, `"content":"x"`) {
			t.Errorf("s%d has %s", i, scrub(got.body))
		}
	}
}

// TestMergeInMidRequest has a request that has read the contact-inbox find its
// contact gone, because it was merged meanwhile.
func TestMergeInMidRequest(t *testing.T) {
	w := newWorld(t)
	w.contact("s1", `,"email":"a@a.a"`)
	w.contact("s2", `,"email":"b@b.b"`)
	key := sourceKey{"inbox-one", "s1"}
	before, err := w.api.findContactInbox(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	w.must("PATCH", base+"/contacts/s1", "email=b@b.b")
	stale := served.NewCache[sourceKey](1<<20, (*contactInbox).bytes)
	stale.Put(key, before)
	fresh := w.api.contactInboxes
	w.api.contactInboxes = stale
	w.api.records = hook{w.api.records, func() { w.api.contactInboxes = fresh }}
	p, err := w.api.visitor(t.Context(), key)
	if err != nil || p.contact.ID != 2 {
		t.Errorf("person %+v, %v", p, err)
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
