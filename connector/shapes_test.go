package connector

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestShapesOfStructuredContent has what bots' builders, older templates and other
// clients make of LivePerson's schema: the consumer reads the words, and what can be
// chosen is offered. Choices are written "title=what it says>where it leads".
func TestShapesOfStructuredContent(t *testing.T) {
	says := func(title, text string) string {
		return `{"type":"button","title":"` + title + `","click":{"actions":[{"type":"publishText","text":"` + text + `"}]}}`
	}
	link := func(title, uri string) string {
		return `{"type":"button","title":"` + title + `","click":{"actions":[{"type":"link","uri":"` + uri + `"}]}}`
	}
	rich := func(content string) string { return `{"type":"RichContentEvent","content":` + content + `}` }
	quick := func(replies string) string {
		return `{"type":"ContentEvent","contentType":"text/plain","message":"Hi","quickReplies":` + replies + `}`
	}
	quoted := func(raw string) string {
		text, _ := json.Marshal(raw)
		return string(text)
	}
	for name, c := range map[string]struct {
		event, words string
		choices      []string
	}{
		"types in capitals":               {rich(`{"type":"VERTICAL","Elements":[{"type":"Text","Text":"Hi"},{"type":" Button ","title":"Go","click":{"actions":[{"type":"PublishText","text":"go"}]}}]}`), "Hi\n- Go", []string{"Go=go"}},
		"event type in small letters":     {`{"type":"richContentEvent","content":{"type":"text","text":"Hi"}}`, "Hi", nil},
		"elements as a string of JSON":    {rich(`{"type":"vertical","elements":` + quoted(`[{"type":"text","text":"inner"},`+says("Go", "go")+`]`) + `}`), "inner\n- Go", []string{"Go=go"}},
		"a string of a string of JSON":    {rich(quoted(quoted(`{"type":"text","text":"twice"}`))), "twice", nil},
		"content within content":          {rich(`{"content":{"type":"text","text":"wrapped"}}`), "wrapped", nil},
		"words among the elements":        {rich(`{"type":"vertical","elements":["just words",{"type":"text","text":"x"}]}`), "just words\nx", nil},
		"words that look like a string":   {rich(quoted(`"Hi" she said`)), `"Hi" she said`, nil},
		"a list of lists":                 {rich(`[[{"type":"text","text":"x"}],[` + says("Go", "go") + `]]`), "x\n- Go", []string{"Go=go"}},
		"buttonList with a submitButton":  {rich(`{"type":"buttonList","elements":[` + says("A", "a") + `,{"type":"submitButton","title":"Send","click":{"actions":[{"type":"submitAsText","submit":true}]}}]}`), "- A\n- Send", []string{"A=a"}},
		"keyValuePairList":                {rich(`{"type":"keyValuePairList","elements":[{"key":"Size","value":"42"},{"key":"Colour"},{"key":"Price","value":7}]}`), "Size: 42\nColour\nPrice: 7", nil},
		"tabs":                            {rich(`{"type":"tabs","elements":[{"type":"vertical","tag":"one","elements":[{"type":"text","text":"One"}]},{"type":"vertical","elements":[{"type":"text","text":"Two"}]}]}`), "One\nTwo", nil},
		"carouselSelect":                  {rich(`{"type":"carouselSelect","selectMode":{"name":"Pick","type":"multiple"},"elements":[{"type":"vertical","elements":[{"type":"text","text":"One"},{"type":"checkbox","text":"take","click":{"actions":[{"type":"checked","publishText":"one"}]}}]}]}`), "Pick\nOne\n- take", []string{"take=one"}},
		"datePicker":                      {rich(`{"type":"button","title":"Choose","click":{"actions":[{"type":"datePicker","class":"range","title":"When do you stay?","minDate":1528371000}]}}`), "- Choose\nWhen do you stay?", nil},
		"addToCart":                       {rich(`{"type":"button","title":"Add","click":{"metadata":[{"id":"1"}],"actions":[{"type":"addToCart","items":[{"productId":"p","quantity":1}]}]}}`), "- Add", []string{"Add="}},
		"custom":                          {rich(`{"type":"button","title":"Do","click":{"actions":[{"type":"custom","data":[{"key":"k","value":"v"}]}]}}`), "- Do", nil},
		"picture with only its alt":       {rich(`{"type":"image","url":"https://x.test/a.png","alt":"A shoe"}`), "A shoe: https://x.test/a.png", nil},
		"picture without an address":      {rich(`{"type":"image","alt":"A shoe"}`), "A shoe", nil},
		"picture that leads somewhere":    {rich(`{"type":"image","url":"https://x.test/a.png","click":{"actions":[{"type":"link","uri":"https://x.test/shop"}]}}`), "https://x.test/a.png\nhttps://x.test/shop", []string{"=>https://x.test/shop"}},
		"place by its tooltip":            {rich(`{"type":"map","la":1.5,"lo":2,"tooltip":"Our office"}`), "Our office: 1.5, 2", nil},
		"place by the name it leads to":   {rich(`{"type":"map","la":"1.5","lo":2,"click":{"actions":[{"type":"navigate","la":1.5,"lo":2,"name":"Office"}]}}`), "Office: 1.5, 2", []string{"=>1.5, 2"}},
		"place at nought":                 {rich(`{"type":"map","la":0,"lo":0}`), "0, 0", nil},
		"linkPreview that leads to it":    {rich(`{"type":"linkPreview","url":"https://x.test","title":"T","click":{"actions":[{"type":"link","uri":"https://x.test"}]}}`), "T\nhttps://x.test", []string{"T=>https://x.test"}},
		"one action without a list":       {rich(`{"type":"button","title":"Way","click":{"actions":{"type":"navigate","la":1,"lo":2}}}`), "- Way: 1, 2", []string{"Way=>1, 2"}},
		"a button without a title":        {rich(`{"type":"button","click":{"actions":[{"type":"publishText","text":"untitled"}]}}`), "", []string{"=untitled"}},
		"a title that is a number":        {rich(`{"type":"button","title":42,"click":{"actions":[{"type":"publishText","text":7}]}}`), "- 42", []string{"42=7"}},
		"video of another schema":         {rich(`{"type":"video","url":"https://x.test/v.mp4"}`), "https://x.test/v.mp4", nil},
		"JSON that is broken":             {rich(quoted(`{"type":"text","text":"x"`)), "x", nil},
		"JSON that breaks off in a list":  {rich(quoted(`{"type":"vertical","elements":[{"type":"text","text":"x"},tru`)), "x", nil},
		"JSON that is none":               {rich(quoted(`[x,y]`)), "", nil},
		"an object that is none":          {rich(quoted(`{]`)), "", nil},
		"nothing at all":                  {rich(`{}`), "", nil},
		"quick replies within a card":     {rich(`{"type":"vertical","elements":[{"type":"text","text":"hello"}],"quickReplies":{"type":"quickReplies","replies":[` + says("In", "in") + `]}}`), "hello\n- In", []string{"In=in"}},
		"quick replies as words":          {quick(`{"type":"quickReplies","replies":["Yes","No"]}`), "Hi\n- Yes\n- No", []string{"Yes=Yes", "No=No"}},
		"quick replies as a list":         {quick(`[` + says("Yes", "y") + `,` + says("No", "n") + `]`), "Hi\n- Yes\n- No", []string{"Yes=y", "No=n"}},
		"one quick reply as a list":       {quick(`[` + says("Yes", "y") + `]`), "Hi\n- Yes", []string{"Yes=y"}},
		"one quick reply without a list":  {quick(`{"type":"quickReplies","replies":` + says("Yes", "y") + `}`), "Hi\n- Yes", []string{"Yes=y"}},
		"quick replies as a string":       {quick(quoted(`{"replies":[` + says("Yes", "y") + `]}`)), "Hi\n- Yes", []string{"Yes=y"}},
		"quick reply that leads":          {quick(`{"replies":[` + link("Shop", "https://x.test") + `]}`), "Hi\n- Shop: https://x.test", []string{"Shop=>https://x.test"}},
		"text in several pieces":          {`{"type":"ContentEvent","contentType":"text/plain","message":["a",null,7]}`, "a\n7", nil},
		"a file that lies elsewhere":      {`{"type":"ContentEvent","contentType":"hosted/file","message":{"url":"https://x.test/a.pdf","caption":"Bill"}}`, "Bill: https://x.test/a.pdf", nil},
		"a file within a file":            {`{"type":"ContentEvent","contentType":"external/file","message":{"file":{"url":"https://x.test/a.pdf"},"caption":"Bill"}}`, "Bill: https://x.test/a.pdf", nil},
		"a file by its uri":               {`{"type":"ContentEvent","contentType":"external/file","message":{"uri":"https://x.test/u","title":"Bill"}}`, "Bill: https://x.test/u", nil},
		"html, a link without words":      {page(`<a href='https://x.test/a?b=1&amp;c=2'></a>`), "https://x.test/a?b=1&c=2", nil},
		"html, links that say it already": {page(`<a href='mailto:a@b.test'>a@b.test</a>, <a href='tel:+35'>+35</a>`), "a@b.test, +35", nil},
		"html, a link that runs a script": {page(`<a href=' javascript:x()'>here</a>`), "here", nil},
		"html, a picture without words":   {page(`<img src='https://x.test/p.png'><img src='data:image/png;base64,AAAA'>`), "https://x.test/p.png", nil},
		"html, a table":                   {page(`<table><tr><td>a</td><td>b</td></tr><tr><th>c</th></tr></table>`), "a b\nc", nil},
		"html, lines as they are":         {page("1 &lt; 2<pre>x\n  y</pre>z"), "1 < 2\nx\n  y\nz", nil},
		"html, a choice":                  {page(`<button>Press</button><select><option>1<option>2</select>`), "Press\n1\n2", nil},
	} {
		t.Run(name, func(t *testing.T) {
			change := parsed(t, messaging(byAgent(c.event, "")))[0]
			if got := change.Event.FallbackText(); got != c.words {
				t.Errorf("the consumer reads %q, want %q", got, c.words)
			}
			var choices []string
			for _, choice := range change.Clickables() {
				line := choice.Title + "=" + choice.PublishText
				if choice.Link != "" {
					line += ">" + choice.Link
				}
				choices = append(choices, line)
			}
			if diff := cmp.Diff(c.choices, choices); diff != "" {
				t.Errorf("choices (-want +got):\n%s", diff)
			}
		})
	}
	stored := parsed(t, messaging(byAgent(`{"type":"ContentEvent","contentType":"external/file","message":{"relativePath":"/v1/x","caption":"Bill"}}`, "")))[0].Event
	if len(stored.Files) != 1 || stored.Files[0].RelativePath != "/v1/x" {
		t.Errorf("files of LivePerson's storage: %+v", stored.Files)
	}
	deep := strings.Repeat(`{"type":"vertical","elements":[`, 20000) + `{"type":"text","text":"x"}` + strings.Repeat(`]}`, 20000)
	if got := (&MessagingEvent{Type: TypeRichContentEvent, RichContent: json.RawMessage(quoted(deep))}).FallbackText(); got != "" {
		t.Errorf("beyond any depth: %q", got)
	}
}

func page(source string) string {
	text, _ := json.Marshal(source)
	return `{"type":"ContentEvent","contentType":"text/html","message":` + string(text) + `}`
}
