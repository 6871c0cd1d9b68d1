package served

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"lpbridge/bridge"
)

func TestContentOf(t *testing.T) {
	for _, tc := range []struct {
		name, rich string
		replies    []bridge.QuickReply
		want       Content
	}{
		{name: "nothing", rich: ""},
		{name: "text alone is text", rich: `{"type":"vertical","elements":[{"type":"text","text":"hi"}]}`},
		{
			name: "card", rich: `{"type":"vertical","elements":[
				{"type":"image","url":"https://a.example/p.png","caption":"cap"},{"type":"text","text":"Words"},{"type":"text","text":"Title","tag":"title"},
				{"type":"horizontal","elements":[{"type":"button","title":"Yes","click":{"actions":[{"type":"publishText","text":"yep"}],"metadata":[{"id":"1"}]}}]},
				{"type":"button","title":"Open","click":{"actions":[{"type":"link","uri":"https://a.example/x"}]}},
				{"type":"map","la":52.5,"lo":"13.4"},{"type":"text","text":"More"}]}`,
			replies: []bridge.QuickReply{{ID: "0", Title: "Later"}, {ID: "1", Title: "Yes", Text: "yep"}},
			want: Content{
				Replies: []bridge.QuickReply{{ID: "0", Title: "Later"}},
				Cards: []Card{{
					Title: "Title", Text: "Words\nMore", Image: "https://a.example/p.png", Caption: "cap",
					Buttons: []Button{
						{Title: "Yes", Says: "yep", Reply: "1"}, {Title: "Open", Link: "https://a.example/x"},
						{Title: "Map", Link: "https://www.openstreetmap.org/?mlat=52.5&mlon=13.4", Location: &Location{52.5, 13.4}},
					},
				}},
			},
		},
		{
			name: "carousel", rich: `{"type":"carousel","elements":[{"type":"image","url":"https://a.example/1"},{"type":"vertical","elements":[{"type":"text","text":"B"}]}]}`,
			want: Content{Cards: []Card{{Image: "https://a.example/1"}, {Title: "B"}}},
		},
		{
			name: "a click that only says something", rich: `{"type":"button","title":"Go","click":{"actions":[{"type":"publishText","text":"go"}]}}`,
			want: Content{Cards: []Card{{Buttons: []Button{{Title: "Go", Says: "go"}}}}},
		},
		{
			name: "link for one platform", rich: `{"type":"button","title":"Go","click":{"actions":[{"type":"link","android":{"uri":"https://a.example/a"}}]}}`,
			want: Content{Cards: []Card{{Buttons: []Button{{Title: "Go", Link: "https://a.example/a"}}}}},
		},
		{
			name:    "a button like a quick reply, and one that only has metadata",
			rich:    `{"type":"vertical","elements":[{"type":"button","title":"A","click":{"metadata":[{"id":"1"}]}},{"type":"button","title":"Dead"},{"type":"button","title":"A"}]}`,
			replies: []bridge.QuickReply{{ID: "0", Title: "A"}, {ID: "1", Title: "A"}, {ID: "2", Title: "A"}},
			want: Content{
				Replies: []bridge.QuickReply{{ID: "0", Title: "A"}},
				Cards:   []Card{{Text: "Dead", Buttons: []Button{{Title: "A", Reply: "1"}, {Title: "A", Reply: "2"}}}},
			},
		},
		{
			name: "types in capitals", rich: `{"type":"Vertical","elements":[{"type":"BUTTON","title":"Go","click":{"actions":[{"type":"Link","uri":"myapp://a"}]}},{"type":"Map","la":1,"lo":2,"tooltip":"Office"}]}`,
			want: Content{Cards: []Card{{Buttons: []Button{{Title: "Go", Link: "myapp://a"}, {Title: "Office", Link: "https://www.openstreetmap.org/?mlat=1&mlon=2", Location: &Location{1, 2}}}}}},
		},
		{
			name: "links that run scripts", rich: `{"type":"vertical","elements":[{"type":"image","url":"https://a.example/1"},
				{"type":"button","title":"One","click":{"actions":[{"type":"link","uri":" JavaScript:x()"}]}},{"type":"link","title":"Two","url":"data:text/html,x"},
				{"type":"button","title":"Three","click":{"actions":[{"type":"link","uri":"java\nscript:x()"}]}},{"type":"button","title":"Four","click":{"actions":[{"type":"link","uri":"tel:+351"}]}}]}`,
			want: Content{Cards: []Card{{Image: "https://a.example/1", Text: "One\nTwo\nThree", Buttons: []Button{{Title: "Four", Link: "tel:+351"}}}}},
		},
		{name: "what cards cannot show", rich: `{"type":"vertical","elements":[{"type":"image","url":"https://a.example/1"},{"type":"accordionSelect"}]}`},
		{name: "tabs", rich: `{"type":"tabs","elements":[]}`},
		{name: "not JSON", rich: `{"type":"vertical"`},
		{name: "too deep", rich: strings.Repeat(`{"type":"vertical","elements":[`, 40) + `{"type":"button","title":"x","url":"https://x"}` + strings.Repeat(`]}`, 40)},
		{name: "too many", rich: `{"type":"vertical","elements":[{"type":"image","url":"x"}` + strings.Repeat(`,{"type":"text","text":"x"}`, 600) + `]}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := &bridge.Message{Text: "plain", QuickReplies: tc.replies}
			if tc.rich != "" {
				m.Rich = json.RawMessage(tc.rich)
			}
			if diff := cmp.Diff(tc.want, ContentOf(m), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestContentKeepsReplies has content that cards cannot show: all replies are
// offered beside its text.
func TestContentKeepsReplies(t *testing.T) {
	m := &bridge.Message{Rich: json.RawMessage(`{"type":"tabs"}`), QuickReplies: []bridge.QuickReply{{ID: "0", Title: "a"}, {ID: "1", Title: "b"}}}
	if diff := cmp.Diff(Content{Replies: m.QuickReplies}, ContentOf(m)); diff != "" {
		t.Error(diff)
	}
}

func FuzzContentOf(f *testing.F) {
	f.Add(`{"type":"carousel","elements":[{"type":"vertical","elements":[{"type":"button","title":"x","click":{"actions":[{"type":"navigate","la":1,"lo":"2"}]}}]}]}`)
	f.Add(`{"type":"image","url":7}`)
	f.Add(`[]`)
	f.Fuzz(func(t *testing.T, rich string) {
		m := &bridge.Message{Rich: json.RawMessage(rich), QuickReplies: []bridge.QuickReply{{ID: "0", Title: "x"}}}
		c := ContentOf(m)
		replies, buttons := len(c.Replies), 0
		for _, card := range c.Cards {
			for _, b := range card.Buttons {
				if b.Title == "" && b.Link == "" {
					t.Errorf("a button without title: %+v", b)
				}
				if b.Reply != "" {
					replies++
				}
				buttons++
			}
		}
		if replies != 1 || len(c.Cards) > maxCards || buttons > maxElements {
			t.Errorf("%+v", c)
		}
	})
}
