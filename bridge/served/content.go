package served

import (
	"cmp"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"lpbridge/bridge"
)

// Content is an agent's message as channels show it that know cards: LivePerson's
// structured content without its looks, and what can be chosen beside it.
type Content struct {
	// Cards are nil when the message has no structured content, or has some that
	// cards cannot show; its text says it all then.
	Cards []Card
	// Replies are the quick replies beside the message.
	Replies []bridge.QuickReply
}

// Card is one card of structured content.
type Card struct {
	Title string
	Text  string
	// Image is the address of a picture, Caption what it says of itself.
	Image, Caption string
	Buttons        []Button
}

// Button is something on a card to choose. It has a Reply, the id that a click
// reports, or a Link, or says something when it is chosen, or all of them.
type Button struct {
	Title string
	Reply string
	Says  string
	Link  string
}

// Said is what a button says when it is chosen.
func (b Button) Said() string {
	if b.Says != "" {
		return b.Says
	}
	return b.Title
}

// Limits of what is read of one message. LivePerson allows 10 cards, 256 elements
// in one of them, and stays below five levels.
const (
	maxCards    = 20
	maxElements = 512
	maxNesting  = 16
)

// element is one of LivePerson's elements ("Rich Messaging Introduction" page).
type element struct {
	Type     string            `json:"type"`
	Text     string            `json:"text"`
	Title    string            `json:"title"`
	Subtitle string            `json:"subtitle"`
	Caption  string            `json:"caption"`
	URL      string            `json:"url"`
	Alt      string            `json:"alt"`
	Tag      string            `json:"tag"`
	La       json.Number       `json:"la"`
	Lo       json.Number       `json:"lo"`
	Elements []json.RawMessage `json:"elements"`
	Click    struct {
		Actions []action `json:"actions"`
	} `json:"click"`
}

type action struct {
	Type        string      `json:"type"`
	Text        string      `json:"text"`
	PublishText string      `json:"publishText"`
	URI         string      `json:"uri"`
	Web         target      `json:"web"`
	IOS         target      `json:"ios"`
	Android     target      `json:"android"`
	La          json.Number `json:"la"`
	Lo          json.Number `json:"lo"`
}

// target is where a link leads on one kind of device.
type target struct {
	URI string `json:"uri"`
}

// ContentOf reads an agent's message.
func ContentOf(m *bridge.Message) Content {
	r := reader{left: maxElements, replies: slices.Clone(m.QuickReplies)}
	cards := r.cards(m.Rich)
	if r.failed || !slices.ContainsFunc(cards, Card.shows) {
		return Content{Replies: m.QuickReplies}
	}
	return Content{Cards: cards, Replies: r.replies}
}

// shows reports whether a card is more than its text.
func (c Card) shows() bool { return c.Image != "" || len(c.Buttons) > 0 }

// reader reads structured content. What it cannot show as a card fails it.
type reader struct {
	left   int
	failed bool
	// replies are those of the message that no element has taken.
	replies []bridge.QuickReply
}

func (r *reader) cards(raw json.RawMessage) []Card {
	root, ok := r.decode(raw, 0)
	if !ok {
		return nil
	}
	if root.Type != "carousel" {
		return []Card{r.card(root)}
	}
	var cards []Card
	for _, child := range root.Elements {
		if e, ok := r.decode(child, 1); ok && len(cards) < maxCards {
			cards = append(cards, r.card(e))
		} else {
			r.failed = true
		}
	}
	return cards
}

func (r *reader) decode(raw json.RawMessage, depth int) (*element, bool) {
	var e element
	if r.left--; r.left < 0 || depth > maxNesting || len(raw) == 0 || json.Unmarshal(raw, &e) != nil {
		r.failed = true
		return nil, false
	}
	return &e, true
}

func (r *reader) card(e *element) Card {
	var c Card
	var texts []string
	r.fill(&c, &texts, e, 1)
	if c.Title == "" && len(texts) > 0 {
		c.Title, texts = texts[0], texts[1:]
	}
	c.Text = strings.Join(texts, "\n")
	return c
}

// fill adds an element and those within to a card.
func (r *reader) fill(c *Card, texts *[]string, e *element, depth int) {
	switch e.Type {
	case "vertical", "horizontal", "card":
		for _, child := range e.Elements {
			if inner, ok := r.decode(child, depth+1); ok {
				r.fill(c, texts, inner, depth+1)
			}
		}
	case "text":
		if e.Tag == "title" && c.Title == "" {
			c.Title = e.Text
		} else if e.Text != "" {
			*texts = append(*texts, e.Text)
		}
		r.addButton(c, e, e.Text)
	case "image":
		if c.Image == "" {
			c.Image, c.Caption = e.URL, e.Caption
		} else {
			*texts = append(*texts, strings.TrimSpace(e.Caption+" "+e.URL))
		}
		r.addButton(c, e, e.Caption, e.Title, e.Alt)
	case "button", "link", "linkPreview":
		b := r.addButton(c, e, e.Title, e.Text, e.URL)
		if b == nil && e.URL != "" {
			c.Buttons = append(c.Buttons, Button{Title: cmp.Or(e.Title, e.URL), Link: e.URL})
		} else if b == nil && e.Title != "" {
			*texts = append(*texts, e.Title)
		}
	case "map":
		if link := mapLink(e.La, e.Lo); link != "" {
			c.Buttons = append(c.Buttons, Button{Title: cmp.Or(e.Title, "Map"), Link: link})
		}
	default:
		r.failed = true
	}
}

// addButton adds what can be clicked on an element, if anything can.
func (r *reader) addButton(c *Card, e *element, titles ...string) *Button {
	b := Button{}
	for _, a := range e.Click.Actions {
		b.Says = cmp.Or(b.Says, a.Text, a.PublishText)
		b.Link = cmp.Or(b.Link, a.Web.URI, a.URI, a.IOS.URI, a.Android.URI)
		if a.Type == "navigate" && b.Link == "" {
			b.Link = mapLink(a.La, a.Lo)
		}
	}
	b.Title = cmp.Or(append(titles, b.Says, b.Link)...)
	b.Reply = r.take(b)
	if b.Title == "" || b.Reply == "" && b.Says == "" && b.Link == "" {
		return nil
	}
	c.Buttons = append(c.Buttons, b)
	return &c.Buttons[len(c.Buttons)-1]
}

// take finds the reply of the message that a button is, which comes in the order
// of the elements.
func (r *reader) take(b Button) string {
	i := slices.IndexFunc(r.replies, func(q bridge.QuickReply) bool { return q.Title == b.Title && q.Text == b.Says })
	if i < 0 {
		return ""
	}
	id := r.replies[i].ID
	r.replies = slices.Delete(r.replies, i, i+1)
	return id
}

func mapLink(la, lo json.Number) string {
	lat, errLat := la.Float64()
	lon, errLon := lo.Float64()
	if errLat != nil || errLon != nil {
		return ""
	}
	return "https://www.openstreetmap.org/?mlat=" + number(lat) + "&mlon=" + number(lon)
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
