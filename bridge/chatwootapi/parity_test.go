package chatwootapi

import (
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestFilesUnderAnyNameArrive sends a file as clients spell it.
func TestFilesUnderAnyNameArrive(t *testing.T) {
	for _, name := range []string{"attachments[]", "attachments", "attachments[0]", "attachments[0][file]", "file", "message[attachments][]"} {
		w := newWorld(t)
		at := w.conversation()
		got := w.post(at+"/messages", newForm().text("content", "see").file(name, "dot.png", pixel))
		if got.status != http.StatusOK || !strings.Contains(got.body, `"attachments":[{"id":1,`) {
			t.Errorf("%s: %d %s", name, got.status, got.body)
		}
		if m := w.core.Events()[0].Message; m.Text != "see" || len(m.Attachments) != 1 {
			t.Errorf("%s: the agent gets %+v", name, m)
		}
	}
}

// TestEmptyFileInputLosesNoText sends the form of a page in which no file was
// chosen.
func TestEmptyFileInputLosesNoText(t *testing.T) {
	w := newWorld(t)
	at := w.conversation()
	f := newForm().text("content", "hello")
	if _, err := f.w.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="attachments[]"; filename=""`}, "Content-Type": {"application/octet-stream"},
	}); err != nil {
		t.Fatal(err)
	}
	if got := w.post(at+"/messages", f); got.status != http.StatusOK || strings.Contains(got.body, "attachments") {
		t.Errorf("%d %s", got.status, got.body)
	}
	if m := w.core.Events()[0].Message; m.Text != "hello" || len(m.Attachments) != 0 {
		t.Errorf("the agent gets %+v", m)
	}
}

// TestOddTypesCostNoMessage sends what makes no sense beside a text that does.
func TestOddTypesCostNoMessage(t *testing.T) {
	w := newWorld(t)
	at := w.conversation()
	for _, more := range []string{
		`"attachments":null`, `"attachments":[]`, `"attachments":[null]`, `"attachments":""`, `"attachments":[""]`, `"attachments":{}`,
		`"echo_id":null`, `"echo_id":{"a":1}`, `"echo_id":[1]`, `"message_type":0`, `"message_type":{"x":null}`, `"private":"yes"`,
		`"content_attributes":"x"`, `"sender":null`,
	} {
		before := len(w.core.Events())
		got := w.call("POST", at+"/messages", `{"content":"hello",`+more+`}`)
		events := w.core.Events()
		if got.status != http.StatusOK || len(events) != before+1 || events[before].Message.Text != "hello" {
			t.Errorf("%s: %d %s", more, got.status, got.body)
		}
	}
	for _, content := range []string{`7`, `true`, `1.50`} {
		if got := w.call("POST", at+"/messages", `{"content":`+content+`}`); got.status != http.StatusOK {
			t.Errorf("content %s: %d", content, got.status)
		}
	}
	if got := w.must("POST", base+"/contacts", `{"source_id":7,"identifier":5,"custom_attributes":"x","avatar_url":null}`); got.status != http.StatusOK {
		t.Errorf("numbers for a contact: %d %s", got.status, got.body)
	}
}

// TestEchoKeepsItsType has clients compare what comes back strictly with what
// they sent.
func TestEchoKeepsItsType(t *testing.T) {
	inBubble(t, func(t *testing.T, s *site) {
		at := s.conversation()
		l := s.line()
		l.subscribe(s.token("s1"))
		for sent, want := range map[string]string{
			`1700000000123`: `"echo_id":1700000000123`, `"1700000000123"`: `"echo_id":"1700000000123"`, `1.50`: `"echo_id":1.50`, `true`: `"echo_id":true`,
			`""`: "", `" "`: "", `false`: "", `null`: "", `{"a":1}`: "",
		} {
			s.must("POST", at+"/messages", `{"content":"x","echo_id":`+sent+`}`)
			frame := l.next()
			switch {
			case want != "" && !strings.Contains(frame, want):
				t.Errorf("%s came back in %s", sent, frame)
			case want == "" && strings.Contains(frame, "echo_id"):
				t.Errorf("%s came back: %s", sent, frame)
			}
		}
	})
}

const (
	webm = "\x1a\x45\xdf\xa3\x9fB\x86\x81\x01B\xf7\x81\x01B\xf2\x81\x04B\xf3\x81\x08B\x82\x84webmB\x87\x81\x04"
	zip  = "PK\x03\x04\x14\x00\x00\x00\x00\x00"
	mp4  = "\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom"
)

// TestDeclaredTypesWhereBytesSayLess has senders know better than their bytes,
// and some who would like to.
func TestDeclaredTypesWhereBytesSayLess(t *testing.T) {
	for _, tc := range []struct{ declared, data, want string }{
		{"audio/webm;codecs=opus", webm, "audio/webm"}, {"video/webm", webm, "video/webm"}, {"audio/mp4", mp4, "audio/mp4"},
		{"text/csv", "a,b\n", "text/csv"}, {"text/csv; charset=utf-8", "just words", "text/csv"},
		{"application/vnd.openxmlformats-officedocument.wordprocessingml.document", zip, "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{"application/x-own", "\x00\x01\x02\xff", "application/x-own"},
		{"", "\x00\x01\x02\xff", "application/octet-stream"}, {"image/png", "\x00\x01\x02\xff", "application/octet-stream"},
		{"image/png", "plain words", "text/plain"}, {"audio/mpeg", pixel, "image/png"}, {"text/plain", pixel, "image/png"},
		{"text/html", "plain words", "text/plain"}, {"text/plain", "<html><body>x</body></html>", "text/html"},
		{"text/javascript", "alert(1)", "text/plain"}, {"image/svg+xml", "words", "text/plain"}, {"nonsense", "words", "text/plain"},
	} {
		w := newWorld(t)
		at := w.conversation()
		f := newForm()
		part, err := f.w.CreatePart(textproto.MIMEHeader{
			"Content-Disposition": {`form-data; name="attachments[]"; filename="x"`}, "Content-Type": {tc.declared},
		})
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprint(part, tc.data)
		w.post(at+"/messages", f)
		if got := w.core.Events()[0].Message.Attachments[0].ContentType; got != tc.want {
			t.Errorf("%s with %q is taken for %s, want %s", tc.declared, tc.data, got, tc.want)
		}
	}
	if got := fileType("audio/webm"); got != "audio" {
		t.Errorf("a voice note is shown as %s", got)
	}
}

// TestSurveyClosesForEveryCall rates by the message, not by the survey's address.
func TestSurveyClosesForEveryCall(t *testing.T) {
	rate := `{"submitted_values":{"csat_survey_response":{"rating":5}}}`
	for days, want := range map[int]int{14: http.StatusOK, 15: http.StatusUnprocessableEntity} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, withCSAT)
			w.surveyed()
			before := len(w.core.Events())
			time.Sleep(time.Duration(days) * 24 * time.Hour)
			got := w.call("PATCH", base+"/contacts/s1/conversations/1/messages/1", rate)
			if got.status != want {
				t.Errorf("after %d days: %d %s", days, got.status, got.body)
			}
			if got.status != http.StatusOK && (got.body != `{"error":"You cannot update the CSAT survey after 14 days"}` || len(w.core.Events()) != before) {
				t.Errorf("after %d days %s and %d events", days, got.body, len(w.core.Events())-before)
			}
		})
	}
}

// TestRatingsInAnyWords gives ratings of other types than whole numbers: those Ruby
// reads, and others that are as plain. What is none is counted.
func TestRatingsInAnyWords(t *testing.T) {
	for given, want := range map[string]int{
		`"4"`: 4, `4.0`: 4, `"5 stars"`: 5, `" 3 "`: 3, `"six"`: 0, `0`: 0, `6`: 0, `-1`: 0, `null`: 0, `[5]`: 0, `99999999999999999999`: 0,
		`"★★★"`: 3, `"five"`: 5, `"😍"`: 5, `true`: 0,
	} {
		w := newWorld(t, withCSAT)
		w.surveyed()
		w.must("PATCH", base+"/contacts/s1/conversations/1/messages/1", `{"submitted_values":{"csat_survey_response":{"rating":`+given+`}}}`)
		got := 0
		for _, e := range w.core.Events() {
			if e.Rating != nil {
				got = e.Rating.Score
			}
		}
		if left := w.core.LeftOuts()["rating_unreadable"]; got != want || (left == 1) != (want == 0) {
			t.Errorf("%s counts as %d, want %d; %d are left out", given, got, want, left)
		}
	}
}

// TestPathsWithFormat asks as Rails' own helpers spell paths.
func TestPathsWithFormat(t *testing.T) {
	w := newWorld(t)
	w.must("POST", base+"/contacts.json", `{"source_id":"s1"}`)
	w.must("GET", base+"/contacts/s1.json", "")
	w.must("GET", base+"/contacts/s1.json/", "")
	w.must("POST", base+"/contacts/s1/conversations.json", "")
	at := base + "/contacts/s1/conversations/1"
	w.must("POST", at+"/messages.json", "content=x")
	w.must("GET", at+"/messages.json?before=9", "")
	w.must("GET", at+".json", "")
	w.must("GET", base+".json", "")
	w.must("POST", base+"/contacts", `{"source_id":"a b/c"}`)
	w.must("GET", base+"/contacts/a%20b%2Fc.json", "")
	for _, path := range []string{"/public/nothing.json", "/public/api/v1/inboxes/none.json", base + "/contacts/s2.json"} {
		if got := w.call("GET", path, ""); got.status != http.StatusNotFound {
			t.Errorf("GET %s: %d", path, got.status)
		}
	}
}
