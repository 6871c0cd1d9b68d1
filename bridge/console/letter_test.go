package console

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"lpbridge/bridge"
)

// TestWhy: an operator reads what happened and what a replay would do.
func TestWhy(t *testing.T) {
	for _, test := range []struct {
		outcome   bridge.Outcome
		direction bridge.Direction
		doubt     bool
		expired   bool
		want      []string
	}{
		{bridge.Invalid, bridge.ToChannel, false, false, []string{"the channel chatwoot will not take it", "ends the same way"}},
		{bridge.Unauthorized, bridge.ToLivePerson, false, false, []string{"LivePerson refused our credential"}},
		{bridge.Throttled, bridge.ToLivePerson, false, false, []string{"LivePerson asked for less", "likely to work"}},
		{bridge.Closed, bridge.ToLivePerson, false, false, []string{"conversation was over"}},
		{bridge.Retry, bridge.ToChannel, true, false, []string{"could not be reached", "an earlier try may have arrived"}},
		{bridge.Unknown, bridge.ToLivePerson, true, false, []string{"nobody knows whether it arrived", "may show it twice"}},
		{bridge.Retry, bridge.ToLivePerson, false, true, []string{"can only be discarded"}},
	} {
		d := letter(1, "chatwoot", test.direction, test.outcome)
		d.Expired = test.expired
		if test.doubt {
			d.Doubt = &bridge.Doubt{Since: epoch}
		}
		got := letterOf(&d)
		for _, part := range test.want {
			if !strings.Contains(got.Why, part) {
				t.Errorf("%v: %q lacks %q", test.outcome, got.Why, part)
			}
		}
		if strings.Count(got.Why, "twice") > 1 || got.InDoubt != test.doubt || got.Expired != test.expired {
			t.Errorf("%v: %+v", test.outcome, got)
		}
	}
}

// TestContentIsShownToWhoAsksForIt, and only to them, and that is in the log.
func TestContentIsShownToWhoAsksForIt(t *testing.T) {
	box := fourLetters()
	box.letters[1].Reason, box.letters[1].ID = "send message: 503", "evt-5"
	for target, want := range map[string]struct {
		status  int
		content bool
	}{
		"/deadletters/5":                             {200, false},
		"/deadletters/5?content=false":               {200, false},
		"/deadletters/5?content=true":                {200, true},
		"/deadletters/5?content=yes":                 {400, false},
		"/deadletters/4?content=true":                {404, false},
		"/deadletters/x":                             {400, false},
		"/deadletters":                               {200, false},
		"/deadletters/export":                        {200, false},
		"/deadletters/export?content=true":           {200, true},
		"/deadletters/export?content=maybe":          {400, false},
		"/deadletters/export?outcome=nonsense":       {400, false},
		"/deadletters/export?content=true&after=100": {200, false},
	} {
		c, _, logged := setup(t, box)
		resp := request(c, "GET", target, "")
		body := bodyOf(t, resp)
		if resp.StatusCode != want.status || strings.Contains(body, secretText) != want.content {
			t.Errorf("%s answered %d: %s", target, resp.StatusCode, body)
		}
		if want.content != strings.Contains(logged.String(), "an operator") && !strings.Contains(target, "export") {
			t.Errorf("%s logged %q", target, logged)
		}
		if strings.Contains(logged.String(), secretText) {
			t.Errorf("%s logged what was shown", target)
		}
	}
	c, _, logged := setup(t, box)
	body := bodyOf(t, request(c, "GET", "/deadletters/export?channel=layer&content=true", ""))
	var l Letter
	if err := json.Unmarshal([]byte(body), &l); err != nil || strings.Count(body, "\n") != 1 {
		t.Fatalf("exported %s: %v", body, err)
	}
	if l.Seq != 5 || l.ID != "evt-5" || l.Answer != "send message: 503" {
		t.Errorf("exported %+v", l)
	}
	if !strings.Contains(logged.String(), "count=1 content=true filter.channel=layer") {
		t.Errorf("logged %s", logged)
	}
}

// TestExportOfMany goes beyond one page, with the client.
func TestExportOfMany(t *testing.T) {
	c := startConsole(t, manyLetters(1234))
	var out strings.Builder
	if err := c.Export(t.Context(), Filter{Outcome: "invalid"}, true, &out); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 123 {
		t.Errorf("exported %d", n)
	}
	l, err := c.Show(t.Context(), 1234, true)
	if err != nil || !strings.Contains(string(l.Content), secretText) {
		t.Errorf("shown %+v, %v", l, err)
	}
}

// TestExportThatFailsDoesNotLookWhole: who discards afterwards must not lose what
// was not exported.
func TestExportThatFailsDoesNotLookWhole(t *testing.T) {
	box := manyLetters(1234)
	box.fail = 300
	c, _, _ := setup(t, box)
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	client := &Client{BaseURL: server.URL}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out strings.Builder
	if err := client.Export(ctx, Filter{}, true, &out); err == nil {
		t.Errorf("an export that failed after %d lines ended well", strings.Count(out.String(), "\n"))
	}
}
