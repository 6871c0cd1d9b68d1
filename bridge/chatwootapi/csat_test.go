package chatwootapi

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/bridge"
)

// surveyed makes a resolved conversation with a survey and returns its uuid.
func (w *world) surveyed() string {
	w.t.Helper()
	at := w.conversation()
	var c struct{ UUID string }
	decodeInto(w.t, w.must("POST", at+"/toggle_status", "").body, &c)
	return c.UUID
}

const (
	surveyOpen = `{"id":1,"csat_survey_response":null,"display_type":"emoji","content":null,"inbox_avatar_url":"","inbox_name":"API","locale":"en",` +
		`"conversation_id":1,"created_at":"2000-01-01T00:00:00.000Z"}`
	surveyRated = `{"id":1,"csat_survey_response":{"id":1,"account_id":1,"conversation_id":1,"message_id":1,"rating":4,"feedback_message":"good","contact_id":1,` +
		`"assigned_agent_id":null,"created_at":"2000-01-01T00:00:00.000Z","updated_at":"2000-01-01T00:00:00.000Z","csat_review_notes":null,` +
		`"review_notes_updated_at":null,"review_notes_updated_by_id":null},"display_type":"emoji","content":null,"inbox_avatar_url":"","inbox_name":"API",` +
		`"locale":"en","conversation_id":1,"created_at":"2000-01-01T00:00:00.000Z"}`
	rateFour = `{"message":{"submitted_values":{"csat_survey_response":{"rating":4,"feedback_message":"good"}}}}`
)

func TestCSAT(t *testing.T) {
	for _, tc := range []struct {
		name, method, body string
		after              time.Duration
		status             int
		want               string
	}{
		{"get", "GET", "", 0, 200, surveyOpen},
		{"put", "PUT", rateFour, 0, 200, surveyRated},
		{"patch", "PATCH", rateFour, 0, 200, surveyRated},
		{"nothing", "PUT", "", 0, 200, surveyOpen},
		{"rating out of range", "PUT", strings.Replace(rateFour, "4", "0", 1), 0, 200, surveyOpen},
		{"on the last day", "GET", "", 14*24*time.Hour + 23*time.Hour, 200, surveyOpen},
		{"too late", "PUT", rateFour, 15 * 24 * time.Hour, 422, `{"error":"You cannot update the CSAT survey after 14 days"}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, withCSAT)
				path := "/public/api/v1/csat_survey/" + w.surveyed()
				time.Sleep(tc.after)
				got := w.call(tc.method, path, tc.body)
				if diff := cmp.Diff(tc.want, got.body); diff != "" || got.status != tc.status {
					t.Errorf("%d (-want +got):\n%s", got.status, diff)
				}
				if tc.want == surveyRated {
					if diff := cmp.Diff(surveyRated, w.must("GET", path, "").body); diff != "" {
						t.Errorf("read again (-want +got):\n%s", diff)
					}
				}
			})
		})
	}
}

func TestCSATOfNothing(t *testing.T) {
	w := newWorld(t)
	uuid := w.surveyed()
	for _, id := range []string{uuid, "none", strings.Repeat("x", 300)} {
		if got := w.call("GET", "/public/api/v1/csat_survey/"+id, ""); got.status != http.StatusNotFound || got.body != notFound {
			t.Errorf("answered %d %s", got.status, got.body)
		}
		if got := w.call("GET", "/survey/responses/"+id, ""); got.status != http.StatusOK || !strings.Contains(got.body, "There is no survey here.") || strings.Contains(got.body, "<form") {
			t.Errorf("page: %d", got.status)
		}
	}
}

// TestSurveyPage fills the page in as a browser without script does.
func TestSurveyPage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, withCSAT, func(c *Config) { c.InboxName = "Shop <&>" })
		path := "/survey/responses/" + w.surveyed()
		page := w.must("GET", path, "")
		for _, want := range []string{"Shop &lt;&amp;&gt;", `<form method="post">`, `<legend>`, `type="radio" name="rating" value="5" required`, `<label for="feedback">`, `lang="en"`} {
			if !strings.Contains(page.body, want) {
				t.Errorf("the page lacks %s", want)
			}
		}
		if strings.Contains(page.body, "<script") || strings.Contains(page.body, " checked") || !strings.Contains(page.header.Get("Content-Security-Policy"), "default-src 'none'") {
			t.Errorf("page with %v", page.header)
		}
		for _, body := range []string{"", "rating=6", "rating=x", "rating=5&feedback_message=" + strings.Repeat("x", 4*maxFeedback+1)} {
			if got := w.call("POST", path, body); got.status != http.StatusUnprocessableEntity || !strings.Contains(got.body, "<form") {
				t.Errorf("%.20q answered %d", body, got.status)
			}
		}
		got := w.must("POST", path, "rating=5&feedback_message=%3Cb%3Ethanks")
		if !strings.Contains(got.body, "Thank you") || !strings.Contains(got.body, `value="5" required checked`) || !strings.Contains(got.body, "&lt;b&gt;thanks") {
			t.Errorf("answered %s", got.body)
		}
		events := w.core.Events()
		if last := events[len(events)-1]; last.Kind != bridge.KindRating || last.Rating.Score != 5 || last.Rating.Comment != "<b>thanks" {
			t.Errorf("event %+v", last.Rating)
		}
		w.core.Refuse(bridge.ErrBusy)
		if got := w.call("POST", path, "rating=4"); got.status != http.StatusServiceUnavailable || !strings.Contains(got.body, "try again later") {
			t.Errorf("a refused rating answered %d", got.status)
		}
		w.core.Refuse(nil)
		time.Sleep(15 * 24 * time.Hour)
		if got := w.call("POST", path, "rating=4"); got.status != http.StatusUnprocessableEntity || strings.Contains(got.body, "<form") {
			t.Errorf("a late rating answered %d", got.status)
		}
	})
}
