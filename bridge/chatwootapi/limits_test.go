package chatwootapi

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"
)

// TestAttributesAreBounded sends too many at once, and grows them bit by bit.
func TestAttributesAreBounded(t *testing.T) {
	large := `{"custom_attributes":{"a":"` + strings.Repeat("x", 1_900_000) + `"}}`
	many := `{"custom_attributes":{"k%d":"` + strings.Repeat("x", 1000) + `"}}`
	w := newWorld(t)
	w.conversation()
	for _, path := range []string{base + "/contacts", base + "/contacts/s1/conversations"} {
		got := w.call("POST", path, large)
		if got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, `"attributes":["custom_attributes"]`) {
			t.Errorf("POST %s: %d %.200s", path, got.status, got.body)
		}
	}
	refused := false
	for i := range 100 {
		if got := w.call("PATCH", base+"/contacts/s1", fmt.Sprintf(many, i)); got.status == http.StatusUnprocessableEntity {
			refused = true
			break
		}
	}
	if !refused {
		t.Error("100 attributes of 1000 bytes, each by itself, were all kept")
	}
}

// TestHistoryOfOneAnswerIsBounded has more history than one answer brings.
func TestHistoryOfOneAnswerIsBounded(t *testing.T) {
	w := newWorld(t)
	at := w.conversation()
	const messages = 60
	for i := range messages {
		w.deliver(agentSays(bridge.EventID(fmt.Sprint("a-", i)), strings.Repeat("x", maxContent)))
	}
	for _, path := range []string{at, base + "/contacts/s1/conversations"} {
		got := w.must("GET", path, "")
		if len(got.body) > 2*maxHistory || len(got.body) < maxHistory/2 {
			t.Errorf("GET %s brings %d bytes", path, len(got.body))
		}
		if !strings.Contains(got.body, fmt.Sprintf(`"id":%d,"content"`, messages)) {
			t.Errorf("GET %s lacks the newest message", path)
		}
	}
	// All of it is there page by page.
	seen, before := 0, ""
	for {
		var page []struct{ ID int64 }
		decodeInto(t, w.must("GET", at+"/messages"+before, "").body, &page)
		if len(page) == 0 {
			break
		}
		seen += len(page)
		before = fmt.Sprintf("?before=%d", page[0].ID)
	}
	if seen != messages {
		t.Errorf("%d of %d messages in pages", seen, messages)
	}
}

// neverEnds is a body whose sender stops in the middle.
type neverEnds struct {
	data io.Reader
	read chan<- struct{}
	end  <-chan struct{}
}

func (n *neverEnds) Read(p []byte) (int, error) {
	if got, err := n.data.Read(p); err == nil {
		return got, nil
	}
	n.read <- struct{}{}
	<-n.end
	return 0, io.ErrUnexpectedEOF
}

// TestUnfinishedUploadsAreBounded has many contacts stop in the middle of a file.
func TestUnfinishedUploadsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.MaxAttachment = maxAttachment })
		at := w.conversation()
		head := "--b\r\nContent-Disposition: form-data; name=\"attachments[]\"; filename=\"x\"\r\n\r\n"
		read, end := make(chan struct{}, 100), make(chan struct{})
		answers := make(chan int, 100)
		send := func(path string) {
			r := httptest.NewRequestWithContext(t.Context(), "POST", path, &neverEnds{strings.NewReader(head + strings.Repeat("x", 2<<20)), read, end})
			r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
			go func() { answers <- w.serve(r).status }()
		}
		for range 20 {
			send("/public/api/v1/inboxes/none/contacts/s1/conversations/1/messages")
		}
		synctest.Wait()
		for range 20 {
			if got := <-answers; got != http.StatusNotFound {
				t.Errorf("an inbox that does not exist answers %d", got)
			}
		}
		if len(read) != 0 {
			t.Errorf("%d bodies for no inbox were read", len(read))
		}
		for n := range 60 {
			source := fmt.Sprint("uploader-", n)
			w.contact(source, "")
			send(w.another(source) + "/messages")
		}
		synctest.Wait()
		if held := w.api.bodies.Taken(); held > bodiesInFlight {
			t.Errorf("%d bytes are held", held)
		}
		if got := w.must("POST", at+"/messages", "content=hello"); got.status != http.StatusOK {
			t.Errorf("meanwhile a message is answered %d", got.status)
		}
		refused := len(answers)
		close(end)
		synctest.Wait()
		if refused == 0 || w.api.bodies.Taken() != 0 {
			t.Errorf("%d were refused, %d bytes are still held", refused, w.api.bodies.Taken())
		}
	})
}

// TestContactsOfOneSourceAreBounded creates contacts as fast as can be.
func TestContactsOfOneSourceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(c *Config) { c.NewContacts = 5 })
		create := func() answer { return w.call("POST", base+"/contacts", "") }
		for range 5 {
			if got := create(); got.status != http.StatusOK {
				t.Fatalf("%d %s", got.status, got.body)
			}
		}
		got := create()
		if got.status != http.StatusTooManyRequests || got.body != "Retry later\n" || got.header.Get("Retry-After") == "" {
			t.Errorf("%d %q %v", got.status, got.body, got.header)
		}
		time.Sleep(time.Minute)
		if got := create(); got.status != http.StatusOK {
			t.Errorf("after a minute: %d", got.status)
		}
	})
}

// TestLinesOfOneSourceAreBounded opens cables as fast as can be.
func TestLinesOfOneSourceAreBounded(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.NewLines = 5 })
	dial := func(from string) int {
		r := httptest.NewRequest("GET", "/cable", nil)
		r.RemoteAddr = from
		r.Header.Set("Connection", "Upgrade")
		r.Header.Set("Upgrade", "websocket")
		answer := httptest.NewRecorder()
		w.api.cable.ServeHTTP(answer, r)
		return answer.Code
	}
	for n := range 5 {
		if got := dial("203.0.113.7:1"); got == http.StatusTooManyRequests {
			t.Fatalf("line %d: %d", n, got)
		}
	}
	if got := dial("203.0.113.7:2"); got != http.StatusTooManyRequests {
		t.Errorf("one too many: %d", got)
	}
	if got := dial("203.0.113.8:1"); got == http.StatusTooManyRequests {
		t.Errorf("somebody else: %d", got)
	}
}
