package scenario

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"lpbridge/connector/lpsim"
)

func TestWhatArrivedIsHeldAgainstWhatWasSent(t *testing.T) {
	for _, tc := range []struct {
		name      string
		want, got string
		wrong     []Kind
	}{
		{"as sent", "a b c", "a b c", nil},
		{"the same words twice", "a b a", "a b a", nil},
		{"others' words between", "a b", "a x b", nil},
		{"lost", "a b c", "a c", []Kind{Lost}},
		{"one of equal words lost", "a b a", "a b", []Kind{Lost}},
		{"twice", "a b", "a b a", []Kind{Twice}},
		{"out of order", "a b c", "a c b", []Kind{Order}},
		{"lost and twice", "a b", "a a", []Kind{Lost, Twice}},
		{"nothing", "a b", "", []Kind{Lost, Lost}},
	} {
		var kinds []Kind
		for _, c := range differ("there", "thread", strings.Fields(tc.want), strings.Fields(tc.got)) {
			kinds = append(kinds, c.Kind)
		}
		if diff := cmp.Diff(tc.wrong, kinds); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// The channel is lenient where a connector may choose and counts each event once.
func TestTheChannelTakesEachEventOnce(t *testing.T) {
	c := newChannel("", "secret")
	post := func(token, body string) int {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(body))
		r.Header.Set("Authorization", "Bearer "+token)
		w := httptest.NewRecorder()
		c.ServeHTTP(w, r)
		return w.Code
	}
	const hello = `{"id":"1","type":"message","thread":"a","message":{"text":" hello "},"agent":{"name":"Bea"}}`
	for _, tc := range []struct {
		token, body string
		want        int
	}{
		{"wrong", hello, http.StatusUnauthorized},
		{"secret", "{", http.StatusBadRequest},
		{"secret", hello, http.StatusNoContent},
		{"secret", hello, http.StatusNoContent},
		{"secret", `{"type":"typing","thread":"b","typing":{"state":"composing"}}`, http.StatusNoContent},
		{"secret", `{"type":"typing","thread":"c","typing":{"state":"composing"}}`, http.StatusNoContent},
		{"secret", `{"type":"typing","thread":"c","typing":{"state":"stopped"}}`, http.StatusNoContent},
		{"secret", `{"type":"receipt","thread":"c"}`, http.StatusNoContent},
	} {
		if got := post(tc.token, tc.body); got != tc.want {
			t.Errorf("%s: answered %d, want %d", tc.body, got, tc.want)
		}
	}
	c.down.Store(true)
	if got := post("secret", hello); got != http.StatusServiceUnavailable {
		t.Errorf("a channel that is down answered %d", got)
	}
	all, composing := c.state()
	if len(all) != 1 || all[0] != (shown{"a", "hello"}) || len(composing) != 1 || composing[0] != "b" {
		t.Errorf("shown %v, composing %v", all, composing)
	}
}

// Nobody can confirm what was written a moment before the dialog was closed.
func TestReceiptsAreNotAskedOfWhatWasClosedAtOnce(t *testing.T) {
	now := time.Now()
	for after, want := range map[time.Duration]bool{time.Second: true, time.Minute: false} {
		end := now.Add(after)
		c := lpsim.Conversation{Summary: lpsim.Summary{Dialogs: []lpsim.Dialog{{DialogID: "d", Ended: &end}}}}
		if got := closedUpon(c, written{sent: lpsim.Sent{DialogID: "d"}, at: now}); got != want {
			t.Errorf("closed after %v: %v, want %v", after, got, want)
		}
	}
}
