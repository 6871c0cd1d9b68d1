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

// TestARepetitionIsNotASecondMessage: what was not answered must be repeated, with its id or at least in its words.
func TestARepetitionIsNotASecondMessage(t *testing.T) {
	type event struct {
		id, text string
		status   int
	}
	lost := Spoil{Lost: true, Times: 1}
	for _, tc := range []struct {
		name  string
		spoil Spoil
		come  []event
		shown []string
		gone  int
	}{
		{"lost, with the id", lost, []event{{"1", "a", answerLost}, {"1", "a", 204}}, []string{"a"}, 0},
		{"lost, with another id", lost, []event{{"1", "a", answerLost}, {"2", "a", 204}}, []string{"a", "a"}, 0},
		{"lost, without an id", lost, []event{{"", "a", answerLost}, {"", "a", 204}}, []string{"a"}, 0},
		{"lost, and the next in the same words", lost, []event{{"", "a", answerLost}, {"", "a", 204}, {"", "a", 204}}, []string{"a", "a"}, 0},
		{"lost, and never again", lost, []event{{"", "a", answerLost}, {"", "b", 204}}, []string{"a", "b"}, 0},
		{"lost twice", Spoil{Lost: true, Times: 2}, []event{{"", "a", answerLost}, {"", "a", answerLost}, {"", "a", 204}}, []string{"a"}, 0},
		{"answered, and once more without an id", Spoil{}, []event{{"", "a", 204}, {"", "a", 204}}, []string{"a", "a"}, 0},
		{"500, then well", Spoil{Status: 500, Times: 1}, []event{{"1", "a", 500}, {"1", "a", 204}}, []string{"a"}, 0},
		{"gone", Spoil{Status: 410, Times: 1}, []event{{"1", "a", 410}, {"2", "b", 204}}, []string{"b"}, 1},
	} {
		c := newChannel("", "")
		c.spoil = tc.spoil
		for _, e := range tc.come {
			if got := c.take(eventOf(e.id, e.text)); got != e.status {
				t.Errorf("%s: %q is answered %d, want %d", tc.name, e.text, got, e.status)
			}
		}
		var texts []string
		all, _ := c.state()
		for _, s := range all {
			texts = append(texts, s.text)
		}
		if diff := cmp.Diff(tc.shown, texts); diff != "" || c.gone(shown{"t", "a"}) != tc.gone {
			t.Errorf("%s: %d times gone, shown (-want +got):\n%s", tc.name, c.gone(shown{"t", "a"}), diff)
		}
	}
}

func eventOf(id, text string) event {
	return event{ID: id, Type: "message", Thread: "t", Message: &message{text}}
}

// TestTheChannelIsThisMachinesWithoutAToken: nobody on the network, and no page of another site, plays the connector.
func TestTheChannelIsThisMachinesWithoutAToken(t *testing.T) {
	for _, tc := range []struct {
		token, from, site, bearer string
		want                      int
	}{
		{"", "127.0.0.1:4711", "", "", http.StatusNoContent},
		{"", "[::1]:4711", "", "", http.StatusNoContent},
		{"", "[::ffff:127.0.0.1]:4711", "", "", http.StatusNoContent},
		{"", "192.0.2.1:4711", "", "", http.StatusUnauthorized},
		{"", "192.0.2.1:4711", "", "Bearer ", http.StatusUnauthorized},
		{"", "127.0.0.1:4711", "cross-site", "", http.StatusUnauthorized},
		{"secret", "192.0.2.1:4711", "", "Bearer secret", http.StatusNoContent},
		{"secret", "127.0.0.1:4711", "", "", http.StatusUnauthorized},
	} {
		r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(`{"type":"receipt"}`))
		r.RemoteAddr = tc.from
		for name, value := range map[string]string{"Sec-Fetch-Site": tc.site, "Authorization": tc.bearer} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		w := httptest.NewRecorder()
		newChannel("", tc.token).ServeHTTP(w, r)
		if w.Code != tc.want {
			t.Errorf("%+v: answered %d", tc, w.Code)
		}
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
