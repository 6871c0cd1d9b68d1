package chatwoot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"lpbridge/bridge"

	"github.com/google/go-cmp/cmp"
)

// TestChoicesComeBackAsWords: inboxes such as Telegram's bring the value of an
// item back as what the consumer wrote, and the widget as a submitted value.
func TestChoicesComeBackAsWords(t *testing.T) {
	e := agentSays("Well?")
	e.Message.QuickReplies = []bridge.QuickReply{
		{ID: "0", Title: "Yes", Text: "yes please"}, {ID: "1", Title: "No"}, {ID: "2", Title: "No", Label: "Never"}, {ID: "3", Title: "No"},
	}
	c, core, far := newChatwoot(t, goodConfig(t))
	if err := c.Deliver(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"0.0 message:Well?\n1. Yes\n2. No\n3. Never\n4. No [Yes=Yes] [No=No] [Never=Never] [No (2)=No (2)]"}, far.timeline()); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
	for _, choice := range []map[string]any{{"title": "No", "value": "No"}, {"value": "Yes"}, {"value": "Never"}, {"value": "No (2)"}, {"title": "Another", "value": "x"}} {
		p := fixture(t, "message_updated_submitted")
		attributes := p["content_attributes"].(map[string]any)
		attributes[repliesKey] = far.messages[0]["content_attributes"].(map[string]any)[repliesKey]
		attributes["submitted_values"] = []any{choice}
		send(c, signed(accountSecret, encode(t, p)))
	}
	if diff := cmp.Diff([]string{"click 1", "click 0", "click 2", "click 3", "Another"}, told(core.Events())); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

// TestWordsChooseWhereAnInboxReportsNoClicks: a button of a messenger comes back as
// what its owner wrote, and by SMS or e-mail nothing but words can choose.
func TestWordsChooseWhereAnInboxReportsNoClicks(t *testing.T) {
	for channel, want := range map[any]bool{
		"Channel::WebWidget": false, "Channel::Api": false, nil: false, "": false, 7: true,
		"Channel::Telegram": true, "Channel::Whatsapp": true, "Channel::Sms": true, "Channel::TwilioSms": true, "Channel::Email": true,
		"Channel::FacebookPage": true, "Channel::Line": true, "Channel::Instagram": true, "Channel::OfTomorrow": true,
	} {
		when(t, recordedAt, func(t *testing.T) {
			p := fixture(t, "message_created")
			p["conversation"].(map[string]any)["channel"] = channel
			c, core, far := newChatwoot(t, goodConfig(t))
			send(c, signed(accountSecret, encode(t, p)))
			offer := agentSays("Well?")
			offer.Message.QuickReplies = []bridge.QuickReply{{ID: "0", Title: "Yes"}}
			if err := c.Deliver(t.Context(), offer); err != nil {
				t.Fatal(err)
			}
			shown := "0.0 message:Well?\n1. Yes [Yes=Yes]"
			if channel == "Channel::WebWidget" || channel == "Channel::Api" {
				shown = "0.0 message:Well? [Yes=Yes]"
			}
			if diff := cmp.Diff([]string{shown}, far.timeline()); diff != "" {
				t.Errorf("%v: calls (-want +got):\n%s", channel, diff)
			}
			if e := core.Events(); len(e) != 1 || e[0].Message.TypedChoice != want {
				t.Errorf("%v: %+v, want words to choose: %t", channel, e, want)
			}
		})
	}
}

func TestStructuredContentInChatwootsBestForm(t *testing.T) {
	link := func(title, uri string) string {
		return fmt.Sprintf(`{"type":"button","title":%q,"click":{"actions":[{"type":"link","uri":%q}]}}`, title, uri)
	}
	const picture = `{"type":"image","url":"https://f.example/a.png"}`
	tests := []struct{ name, rich, want string }{
		{"card", `{"type":"vertical","elements":[` + picture + `,{"type":"text","text":"Shoes"},{"type":"text","text":"red"},` + link("Buy", "https://f.example/buy") + `]}`,
			`cards [{"actions":[{"text":"Buy","type":"link","uri":"https://f.example/buy"}],"description":"red","media_url":"https://f.example/a.png","title":"Shoes"}]`},
		{"carousel", `{"type":"carousel","elements":[{"type":"vertical","elements":[` + picture + `,` + link("A", "https://f.example/a") + `]},{"type":"vertical","elements":[{"type":"text","text":"B"},` + link("B", "https://f.example/b") + `]}]}`,
			`cards [{"actions":[{"text":"A","type":"link","uri":"https://f.example/a"}],"description":"","media_url":"https://f.example/a.png","title":""},{"actions":[{"text":"B","type":"link","uri":"https://f.example/b"}],"description":"","media_url":"","title":"B"}]`},
		{"string of JSON", `"{\"type\":\"vertical\",\"elements\":[{\"type\":\"button\",\"title\":\"Go\",\"click\":{\"actions\":{}}},{\"type\":\"text\",\"text\":\"x\"}]}"`, ""},
		{"links", `{"type":"vertical","elements":[{"type":"text","text":"Read"},` + link("One", "https://f.example/1") + `,` + link("Two", "https://f.example/2") + `]}`,
			`article [{"description":"Read","link":"https://f.example/1","title":"One"},{"description":"Read","link":"https://f.example/2","title":"Two"}]`},
		{"carousel with a card that leads nowhere", `{"type":"carousel","elements":[` + picture + `,` + link("A", "https://f.example/a") + `]}`, ""},
		{"link of another kind", `{"type":"vertical","elements":[` + link("x", "javascript:alert(1)") + `]}`, ""},
		{"words", `{"type":"text","text":"x"}`, ""},
		{"nonsense", `[1,2]`, ""},
		{"odd members", `{"type":7,"elements":[null,` + link("A", "https://f.example/a") + `],"title":{}}`,
			`article [{"description":"","link":"https://f.example/a","title":"A"}]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := agentSays("words")
			e.Message.Rich = json.RawMessage(tt.rich)
			c, _, far := newChatwoot(t, goodConfig(t))
			if err := c.Deliver(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]string{strings.TrimSpace("0.0 message:words " + tt.want)}, far.timeline()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAgentsFilesAreUploads(t *testing.T) {
	const ours, elsewhere = "https://bridge.example/files/a", "https://elsewhere.example/b.pdf"
	picture := bridge.Attachment{URL: ours, ContentType: "image/png", Name: "a \"quoted\".png"}
	tests := []struct {
		name        string
		text        string
		attachments []bridge.Attachment
		status      int
		want        []string
	}{
		{"file", "", []bridge.Attachment{picture}, 0, []string{`0.0 message: ["a \"quoted\".png text/plain; charset=utf-8 picture"]`}},
		{"with words", "look", []bridge.Attachment{picture, picture}, 0, []string{
			`0.0 message:look ["a \"quoted\".png text/plain; charset=utf-8 picture" "a \"quoted\".png text/plain; charset=utf-8 picture"]`}},
		{"one cannot be had", "look", []bridge.Attachment{picture, {URL: elsewhere, Name: "b.pdf"}}, 0, []string{
			`0.0 message:look` + "\n" + `b.pdf https://elsewhere.example/b.pdf ["a \"quoted\".png text/plain; charset=utf-8 picture"]`}},
		{"no address", "look", []bridge.Attachment{picture, {URL: "/files/gone", Name: "b.pdf"}}, 0, []string{
			`0.0 message:look` + "\n" + `b.pdf ` + bridge.UnshownFile + ` ["a \"quoted\".png text/plain; charset=utf-8 picture"]`}},
		{"none can be had", "", []bridge.Attachment{{URL: elsewhere}}, 0, []string{`0.0 message:https://elsewhere.example/b.pdf`}},
		{"too large for Chatwoot", "look", []bridge.Attachment{picture}, 422, []string{"0.0 message:look\na \"quoted\".png https://bridge.example/files/a"}},
		{"too large for a proxy", "look", []bridge.Attachment{picture}, 413, []string{"0.0 message:look\na \"quoted\".png https://bridge.example/files/a"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, core, far := newChatwoot(t, goodConfig(t))
			core.Share(ours, []byte("picture"))
			far.uploadStatus = tt.status
			e := agentSays(tt.text)
			e.Message.Attachments = tt.attachments
			if err := c.Deliver(t.Context(), e); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, far.timeline()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			if got, err := c.Settled(t.Context(), e); err != nil || !got {
				t.Errorf("the message with files is not found: %t, %v", got, err)
			}
		})
	}
}

// TestFilesWithoutAnAddressThatCannotBeUploaded are told to the consumer by a
// sentence, and to the agent as not arrived.
func TestFilesWithoutAnAddressThatCannotBeUploaded(t *testing.T) {
	for name, status := range map[string]int{"gone": 0, "too large for Chatwoot": 422} {
		c, core, far := newChatwoot(t, goodConfig(t))
		if far.uploadStatus = status; status != 0 {
			core.Share("/files/a", []byte("picture"))
		}
		e := agentSays("The shop")
		e.Message.Attachments = []bridge.Attachment{{URL: "/files/a", Name: "The shop.png"}}
		d, ok := errors.AsType[*bridge.DeliveryError](c.Deliver(t.Context(), e))
		if !ok || d.Outcome != bridge.Invalid {
			t.Errorf("%s: %v, want an end that tells the agent", name, d)
		}
		if diff := cmp.Diff([]string{"0.0 message:The shop\nThe shop.png " + bridge.UnshownFile}, far.timeline()); diff != "" {
			t.Errorf("%s: calls (-want +got):\n%s", name, diff)
		}
	}
}

// busyFiles is a LivePerson that gives no files out for now.
type busyFiles struct{ bridge.Core }

func (busyFiles) File(context.Context, bridge.Attachment) (*bridge.File, error) {
	return nil, errors.New("busy")
}

// TestFileThatCannotBeHadForNowIsWaitedFor holds a message up for minutes and not
// for good.
func TestFileThatCannotBeHadForNowIsWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _, far := newChatwoot(t, goodConfig(t))
		c.core = busyFiles{c.core}
		e := agentSays("look")
		e.Time, e.Message.Attachments = time.Now(), []bridge.Attachment{{URL: "https://bridge.example/files/a"}}
		for _, wait := range []time.Duration{0, filePatience} {
			time.Sleep(wait)
			d, ok := errors.AsType[*bridge.DeliveryError](c.Deliver(t.Context(), e))
			if !ok || d.Outcome != bridge.Retry {
				t.Fatalf("after %s: %v, want a retry", wait, d)
			}
		}
		time.Sleep(time.Second)
		if err := c.Deliver(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		if got := far.timeline("message"); len(got) != 1 || !strings.HasSuffix(got[0], "look\nhttps://bridge.example/files/a") {
			t.Errorf("calls %q", got)
		}
	})
}
