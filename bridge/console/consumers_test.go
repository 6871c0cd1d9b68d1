package console

import (
	"context"
	"errors"
	"strings"
	"testing"

	"lpbridge/bridge"
)

// archive plays what is kept of consumers.
type archive struct {
	err    error
	asked  bridge.Person
	closed bool
}

func (a *archive) ExportConsumer(_ context.Context, p *bridge.Person, show func(bridge.Kept) error) error {
	a.asked = *p
	if a.err != nil {
		return a.err
	}
	p.ExtConsumers = []string{"webhook:hash"}
	return show(bridge.Kept{What: "event", ID: "m-1", Data: []byte(`{"text":"private words"}`)})
}

func (a *archive) EraseConsumer(_ context.Context, p *bridge.Person, closing bool) (bridge.Erased, error) {
	a.asked, a.closed = *p, closing
	if a.err != nil {
		return bridge.Erased{}, a.err
	}
	p.ExtConsumers = []string{"webhook:hash"}
	return bridge.Erased{Events: 3}, nil
}

const externalID = "webhook:0123456789abcdef0123456789abcdef01234567"

// TestConsumers: operators export and erase what is kept of one consumer, and the
// log says so in ids that tell nobody who it is.
func TestConsumers(t *testing.T) {
	const json = "application/json"
	for _, test := range []struct {
		name, target, body string
		err                error
		headers            []string
		status             int
		want               string
	}{
		{name: "export", target: "export", body: `{"channel":"webhook","consumer":"+351 555"}`, status: 200, want: "private words"},
		{name: "export by the id LivePerson has", target: "export", body: `{"consumer":"` + externalID + `"}`, status: 200, want: "private words"},
		{name: "erase", target: "erase", body: `{"channel":"webhook","consumer":"+351 555","close":true}`, status: 200, want: `"events":3`},
		{name: "nobody", target: "erase", body: `{"channel":"webhook"}`, status: 400, want: `"field":"consumer"`},
		{name: "no channel", target: "erase", body: `{"consumer":"+351 555"}`, status: 400, want: `"field":"channel"`},
		{name: "too long", target: "erase", body: `{"channel":"webhook","consumer":"` + strings.Repeat("x", 1001) + `"}`, status: 400, want: `"field":"consumer"`},
		{name: "no JSON", target: "erase", body: `{`, status: 400, want: "one JSON object"},
		{name: "a word we do not know", target: "erase", body: `{"channel":"webhook","person":"+351 555"}`, status: 400, want: "one JSON object"},
		{name: "nothing kept", target: "export", body: `{"channel":"webhook","consumer":"+351 555"}`, err: bridge.ErrNobody, status: 404, want: "nothing is kept"},
		{name: "no such channel", target: "export", body: `{"channel":"webhook","consumer":"+351 555"}`, err: bridge.ErrNoFarSide, status: 404, want: `"field":"channel"`},
		{name: "another's thread", target: "erase", body: `{"channel":"webhook","consumer":"+351 555","threads":["t"]}`, err: bridge.ErrAnothers, status: 409, want: `"field":"threads"`},
		{name: "open", target: "erase", body: `{"channel":"webhook","consumer":"+351 555"}`, err: bridge.ErrNotAtRest, status: 409, want: `"field":"close"`},
		{name: "a journal that fails", target: "erase", body: `{"channel":"webhook","consumer":"+351 555"}`, err: errors.New("no space"), status: 503, want: "see the log"},
		{name: "a page elsewhere", target: "erase", body: `{"channel":"webhook","consumer":"+351 555"}`, headers: []string{"Sec-Fetch-Site", "cross-site"}, status: 403, want: "other sites"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := &archive{err: test.err}
			c, _, logged := setup(t, fourLetters(), func(o *Options) { o.Consumers = a })
			resp := request(c, "POST", "/consumers/"+test.target, test.body, append([]string{"Content-Type", json}, test.headers...)...)
			got := bodyOf(t, resp)
			if resp.StatusCode != test.status || !strings.Contains(got, test.want) {
				t.Fatalf("status %d, want %d; body %s", resp.StatusCode, test.status, got)
			}
			if strings.Contains(logged.String(), "351 555") || strings.Contains(logged.String(), "private") || strings.Contains(got, "351 555") {
				t.Errorf("somebody is named: %s, %s", logged, got)
			}
			done := test.status == 200
			if said := strings.Contains(logged.String(), "an operator") && strings.Contains(logged.String(), "webhook:hash"); said != done {
				t.Errorf("the log says %s", logged)
			}
			counted := strings.Contains(bodyOf(t, request(c, "GET", "/metrics", "")), `lpbridge_consumer_actions_total{action="`+test.target+`"} 1`)
			if counted != done {
				t.Errorf("counted: %t", counted)
			}
			if done && test.target == "erase" && !a.closed {
				t.Error("it was not to be closed")
			}
			if strings.Contains(test.body, externalID) && (a.asked.Channel != "webhook" || a.asked.ExtConsumers[0] != externalID) {
				t.Errorf("asked for %+v", a.asked)
			}
		})
	}
	t.Run("without the token", func(t *testing.T) {
		a := &archive{}
		c, _, _ := setup(t, fourLetters(), func(o *Options) { o.Consumers, o.AdminToken = a, strings.Repeat("t", 32) })
		if resp := request(c, "POST", "/consumers/export", `{"channel":"webhook","consumer":"a"}`, "Content-Type", json); resp.StatusCode != 401 || a.asked.Channel != "" {
			t.Errorf("status %d, asked for %+v", resp.StatusCode, a.asked)
		}
	})
}
