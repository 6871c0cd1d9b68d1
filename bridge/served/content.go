package served

import (
	"cmp"
	"encoding/json"
	"math"
	"net/url"
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
	// Location is where a button leads that stands for a place on a map.
	Location *Location
}

// Location is a point on the map, in degrees.
type Location struct{ Latitude, Longitude float64 }

// Alone is the button that is all there is of a card, such as a link by itself.
func (c Card) Alone() (b Button, ok bool) {
	if c.Title != "" || c.Text != "" || c.Image != "" || len(c.Buttons) != 1 {
		return Button{}, false
	}
	return c.Buttons[0], true
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
	Tooltip  string            `json:"tooltip"`
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
	Name        string      `json:"name"`
}

// target is where a link leads on one kind of device.
type target struct {
	URI string `json:"uri"`
}

// ContentOf reads an agent's message.
func ContentOf(m *bridge.Message) Content {
	r := reader{left: maxElements}
	cards := r.readCards(m.Rich)
	replies := takeReplies(cards, m.QuickReplies)
	if r.failed || !slices.ContainsFunc(cards, Card.shows) {
		return Content{Replies: m.QuickReplies}
	}
	return Content{Cards: cards, Replies: replies}
}

// takeReplies gives the buttons their replies and returns those that are left,
// which stand beside the message. Elements come last among the replies, in the
// order in which they are read.
func takeReplies(cards []Card, all []bridge.QuickReply) []bridge.QuickReply {
	left := slices.Clone(all)
	end := len(left)
	for i := range slices.Backward(cards) {
		c := &cards[i]
		for j := range slices.Backward(c.Buttons) {
			b := &c.Buttons[j]
			for k := end - 1; k >= 0; k-- {
				if left[k].Title == b.Title && left[k].Text == b.Says {
					b.Reply, end = left[k].ID, k
					left = slices.Delete(left, k, k+1)
					break
				}
			}
		}
		c.settle()
	}
	return left
}

// settle makes words of what turned out to be no button.
func (c *Card) settle() {
	c.Buttons = slices.DeleteFunc(c.Buttons, func(b Button) bool {
		if b.Reply != "" || b.Says != "" || b.Link != "" {
			return false
		}
		c.Text = strings.TrimPrefix(c.Text+"\n"+b.Title, "\n")
		return true
	})
}

// shows reports whether a card is more than its text.
func (c Card) shows() bool { return c.Image != "" || len(c.Buttons) > 0 }

// reader reads structured content. What it cannot show as a card fails it.
type reader struct {
	left   int
	failed bool
}

// readCards reads what stands in a carousel, or the one card.
func (r *reader) readCards(raw json.RawMessage) []Card {
	root, ok := r.decode(raw, 0)
	if !ok {
		return nil
	}
	if root.Type != "carousel" {
		return []Card{r.readCard(root)}
	}
	var cards []Card
	for _, child := range root.Elements {
		if e, ok := r.decode(child, 1); ok && len(cards) < maxCards {
			cards = append(cards, r.readCard(e))
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
	e.Type = strings.ToLower(strings.TrimSpace(e.Type))
	return &e, true
}

// readCard reads an element and what is below it.
func (r *reader) readCard(e *element) Card {
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
		if b := e.button(e.Text); b.Says != "" || b.Link != "" {
			c.add(b)
		}
	case "image":
		if c.Image == "" {
			c.Image, c.Caption = e.URL, e.Caption
		} else {
			*texts = append(*texts, strings.TrimSpace(e.Caption+" "+e.URL))
		}
		if b := e.button(e.Title, e.Caption, e.Alt); b.Says != "" || b.Link != "" {
			c.add(b)
		}
	case "button", "link", "linkpreview":
		c.add(e.button(e.Title, e.Text, e.URL))
	case "map":
		if p := locationOf(e.La, e.Lo); p != nil {
			title := cmp.Or(e.Title, e.Caption, e.Alt, e.Tooltip, e.named(), "Map")
			c.Buttons = append(c.Buttons, Button{Title: title, Link: p.link(), Location: p})
		}
	default:
		r.failed = true
	}
}

// button is what can be clicked on an element. Whether it can be, its replies
// tell later.
func (e *element) button(titles ...string) Button {
	b := Button{Link: followable(e.address())}
	for _, a := range e.Click.Actions {
		b.Says = cmp.Or(b.Says, a.Text, a.PublishText)
		b.Link = cmp.Or(b.Link, followable(a.Web.URI), followable(a.URI), followable(a.IOS.URI), followable(a.Android.URI))
		if strings.EqualFold(a.Type, "navigate") && b.Link == "" {
			if b.Location = locationOf(a.La, a.Lo); b.Location != nil {
				b.Link = b.Location.link()
			}
		}
	}
	b.Title = cmp.Or(append(titles, b.Says, b.Link)...)
	return b
}

// address is where an element itself leads, which is not what it shows.
func (e *element) address() string {
	if e.Type == "link" || e.Type == "linkpreview" || e.Type == "button" {
		return e.URL
	}
	return ""
}

// named is what a place is called where it leads.
func (e *element) named() string {
	for _, a := range e.Click.Actions {
		if a.Name != "" {
			return a.Name
		}
	}
	return ""
}

// followable is a link that leads somewhere: to a page, an application, a telephone.
// One that runs a script or holds its page itself is none, for a client may open it
// within the page of its shop.
func followable(link string) string {
	u, err := url.Parse(strings.TrimSpace(link))
	if err != nil {
		return ""
	}
	switch strings.ToLower(u.Scheme) {
	case "javascript", "vbscript", "data":
		return ""
	}
	return u.String()
}

func (c *Card) add(b Button) {
	if b.Title != "" {
		c.Buttons = append(c.Buttons, b)
	}
}

func locationOf(la, lo json.Number) *Location {
	lat, errLat := la.Float64()
	lon, errLon := lo.Float64()
	if errLat != nil || errLon != nil || math.Abs(lat) > 90 || math.Abs(lon) > 180 {
		return nil
	}
	return &Location{lat, lon}
}

func (p *Location) link() string {
	return "https://www.openstreetmap.org/?mlat=" + number(p.Latitude) + "&mlon=" + number(p.Longitude)
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
