package chatwoot

import (
	"encoding/json"
	"slices"
	"strings"

	"lpbridge/bridge/farside"
)

// maxDepth bounds how far nested content is followed.
const maxDepth = 16

// card and action are what a message of type cards has, article what one of type
// article has (Chatwoot, Interactive messages).
type (
	card struct {
		Title       string   `json:"title"`
		Description string   `json:"description"`
		MediaURL    string   `json:"media_url"`
		Actions     []action `json:"actions"`
	}
	action struct {
		Text string `json:"text"`
		Type string `json:"type"`
		URI  string `json:"uri"`
	}
	article struct {
		Title       string `json:"title"`
		Description string `json:"description"`
		Link        string `json:"link"`
	}
)

// element is what matters of an element of LivePerson's structured content
// (LivePerson, Rich Messaging Introduction).
type element struct {
	Type     string
	Text     string
	Title    string
	Subtitle string
	URL      string
	Link     string
	Elements []farside.Object
}

func elementOf(o farside.Object) element {
	e := element{
		Type: strings.ToLower(strings.TrimSpace(o.Text("type"))), Text: o.Text("text"), Title: o.Text("title"), Subtitle: o.Text("subtitle"), URL: o.Text("url"),
		Elements: o.List("elements"),
	}
	for _, a := range o.Inner("click").List("actions") {
		if uri := a.Text("uri"); e.Link == "" && strings.EqualFold(a.Text("type"), "link") && isWebAddress(uri) {
			e.Link = uri
		}
	}
	return e
}

// structured shows LivePerson's structured content in Chatwoot's terms, where
// that is more than its words: what leads somewhere and has a picture is a card,
// what only leads somewhere is an article. Chatwoot's widget does nothing when
// any other button of a card is pressed. The kind is empty for all else.
func structured(rich json.RawMessage) (kind string, items any) {
	root, ok := richContent(rich)
	if !ok {
		return "", nil
	}
	cards := []card{}
	roots := []farside.Object{root}
	if e := elementOf(root); e.Type == "carousel" {
		roots = e.Elements
	}
	pictured := false
	for _, o := range roots {
		c := card{Actions: []action{}}
		c.add(o, 0)
		if len(c.Actions) == 0 {
			return "", nil
		}
		pictured = pictured || c.MediaURL != ""
		cards = append(cards, c)
	}
	switch {
	case len(cards) == 0:
		return "", nil
	case pictured:
		return "cards", cards
	}
	var articles []article
	for _, c := range cards {
		for _, a := range c.Actions {
			articles = append(articles, article{Title: a.Text, Description: strings.TrimSpace(c.Title + "\n" + c.Description), Link: a.URI})
		}
	}
	return "article", articles
}

// richContent takes content apart, which may be written as a string of JSON.
func richContent(rich json.RawMessage) (farside.Object, bool) {
	var text string
	if json.Unmarshal(rich, &text) == nil {
		rich = json.RawMessage(text)
	}
	root, err := farside.ParseObject(rich)
	return root, err == nil
}

// add puts an element and what it contains on a card: the first picture, the
// first words as title and the others below it, and where its parts lead.
func (c *card) add(o farside.Object, depth int) {
	if depth > maxDepth {
		return
	}
	e := elementOf(o)
	switch e.Type {
	case "image":
		if c.MediaURL == "" && isWebAddress(e.URL) {
			c.MediaURL = e.URL
		}
	case "button", "submitbutton":
	default:
		for _, words := range []string{e.Title, e.Text, e.Subtitle} {
			c.say(words)
		}
	}
	if e.Link != "" && !slices.ContainsFunc(c.Actions, func(a action) bool { return a.URI == e.Link }) {
		c.Actions = append(c.Actions, action{Text: firstOf(e.Title, e.Text, e.Link), Type: "link", URI: e.Link})
	}
	for _, inner := range e.Elements {
		c.add(inner, depth+1)
	}
}

func (c *card) say(words string) {
	words = strings.TrimSpace(words)
	switch {
	case words == "":
	case c.Title == "":
		c.Title = words
	default:
		c.Description = strings.TrimSpace(c.Description + "\n" + words)
	}
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t = strings.TrimSpace(t); t != "" {
			return t
		}
	}
	return ""
}
