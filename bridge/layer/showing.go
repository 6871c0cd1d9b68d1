package layer

import (
	"mime"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"lpbridge/bridge"
	"lpbridge/bridge/served"
)

// The message types of Layer's SDKs (web-xdk 4, message types). The root part of
// a message says what it is, and parts within name their parent.
const (
	typeImage      = "application/vnd.layer.image+json"
	typeFile       = "application/vnd.layer.file+json"
	typeLocation   = "application/vnd.layer.location+json"
	typeLink       = "application/vnd.layer.link+json"
	typeChoice     = "application/vnd.layer.choice+json"
	typeButtons    = "application/vnd.layer.buttons+json"
	typeProduct    = "application/vnd.layer.product+json"
	typeCarousel   = "application/vnd.layer.carousel+json"
	typeResponse   = "application/vnd.layer.response-v2+json"
	typeResponseV1 = "application/vnd.layer.response+json"
	typeStatus     = "application/vnd.layer.status+json"
)

// selection is the name under which the SDKs report what was chosen.
const selection = "selection"

// sheet is one message that an agent's message becomes: its parts, what clients
// get that know no message types, and what choosing something in it says.
type sheet struct {
	parts   []part
	plain   string
	choices map[string]string
}

// sheets are the messages that an agent's message becomes: words or cards, what
// can be chosen, and a message for each file, because a message has one root.
func (l *Layer) sheets(owner string, m *bridge.Message) []sheet {
	var all []sheet
	content := served.ContentOf(m)
	switch {
	case content.Cards != nil:
		all = append(all, l.cardSheet(owner, content.Cards, m.Text))
		if len(content.Replies) > 0 {
			all = append(all, l.choiceSheet(owner, "", content.Replies))
		}
	case len(content.Replies) > 0:
		all = append(all, l.choiceSheet(owner, m.Text, content.Replies))
	case m.Text != "":
		all = append(all, sheet{parts: []part{{UUID: uuid.NewString(), MIMEType: typePlain, Body: m.Text}}, plain: m.Text})
	}
	for _, a := range m.Attachments {
		all = append(all, fileSheet(a))
	}
	return all
}

func fileSheet(a bridge.Attachment) sheet {
	plain := strings.TrimSpace(a.Name + " " + a.URL)
	media, _, _ := mime.ParseMediaType(a.ContentType)
	if strings.HasPrefix(media, "image/") {
		return sheet{plain: plain, parts: []part{rootPart(typeImage, map[string]any{
			"source_url": a.URL, "title": a.Name, "mime_type": media,
		})}}
	}
	return sheet{plain: plain, parts: []part{rootPart(typeFile, map[string]any{
		"source_url": a.URL, "title": a.Name, "mime_type": media,
	})}}
}

// choiceSheet offers quick replies, with the words they answer.
func (l *Layer) choiceSheet(owner, text string, replies []bridge.QuickReply) sheet {
	var lines []string
	if text != "" {
		lines = append(lines, text)
	}
	choices, said := []any{}, map[string]string{}
	for _, q := range replies {
		lines = append(lines, "• "+q.Name())
		choices = append(choices, map[string]any{"id": q.ID, "text": q.Name()})
		said[q.ID] = served.Button{Title: q.Title, Says: q.Text}.Said()
	}
	return sheet{plain: strings.Join(lines, "\n"), choices: said, parts: []part{rootPart(typeChoice, map[string]any{
		"label": text, "choices": choices, "enabled_for": identityID(owner), "response_name": selection,
	})}}
}

// cardSheet shows cards: one by itself, several as a carousel.
func (l *Layer) cardSheet(owner string, cards []served.Card, plain string) sheet {
	s := sheet{plain: plain, choices: map[string]string{}}
	if len(cards) == 1 {
		s.addCard(owner, cards[0], "role=root")
		return s
	}
	root := rootPart(typeCarousel, map[string]any{})
	s.parts = append(s.parts, root)
	for i, c := range cards {
		s.addCard(owner, c, "role=carousel-item;parent-node-id="+root.UUID+";item-order="+strconv.Itoa(100*(i+1)))
	}
	return s
}

// addCard adds a card whose outer part has the attributes. Buttons are the outer
// part of what they stand below; a place or a link by itself has a type of its own.
func (s *sheet) addCard(owner string, c served.Card, attributes string) {
	if b, ok := c.Alone(); ok && b.Link != "" && b.Reply == "" && b.Says == "" {
		s.parts = append(s.parts, alonePart(b, attributes))
		return
	}
	if len(c.Buttons) > 0 {
		buttons := newPart(typeButtons+";"+attributes, map[string]any{"buttons": s.addButtons(owner, c.Buttons)})
		s.parts = append(s.parts, buttons)
		attributes = "role=content;parent-node-id=" + buttons.UUID
	}
	switch {
	case c.Image != "":
		s.parts = append(s.parts, newPart(typeProduct+";"+attributes, map[string]any{
			"name": c.Title, "description": joined(c.Text, c.Caption), "image_urls": []string{c.Image},
		}))
	case c.Title != "" || c.Text != "" || len(c.Buttons) == 0:
		// The SDK shows the title of a text below it.
		s.parts = append(s.parts, newPart(typeText+";"+attributes, map[string]any{"text": joined(c.Title, c.Text)}))
	}
}

// alonePart is a place or a link as web-xdk's own clients send it.
func alonePart(b served.Button, attributes string) part {
	if b.Location != nil {
		return newPart(typeLocation+";"+attributes, map[string]any{"latitude": b.Location.Latitude, "longitude": b.Location.Longitude, "title": b.Title})
	}
	title := b.Title
	if title == b.Link {
		title = ""
	}
	return newPart(typeLink+";"+attributes, map[string]any{"url": b.Link, "title": title})
}

// addButtons notes what can be chosen of a card and returns its buttons. Each that
// can be chosen is a choice with a state of its own, because choosing one leaves the
// others as they are.
func (s *sheet) addButtons(owner string, buttons []served.Button) []any {
	out := []any{}
	for _, b := range buttons {
		if b.Reply == "" && b.Link != "" {
			out = append(out, map[string]any{"type": "action", "text": b.Title, "event": "open-url", "data": map[string]any{"url": b.Link}})
			continue
		}
		id := b.Reply
		if id == "" {
			id = saidPrefix + b.Said()
		}
		s.choices[id] = b.Said()
		out = append(out, map[string]any{
			"type": "choice", "choices": []any{map[string]any{"id": id, "text": b.Title}},
			"data": map[string]any{"response_name": selection + "-" + id, "enabled_for": identityID(owner), "allow_reselect": true},
		})
	}
	return out
}

// saidPrefix begins the ids of choices that only say something.
const saidPrefix = "say:"

func rootPart(media string, body map[string]any) part { return newPart(media+";role=root", body) }

func newPart(media string, body map[string]any) part {
	for key, v := range body {
		if v == "" {
			delete(body, key)
		}
	}
	// Texts and lists of them always can be encoded.
	encoded, _ := encode(body)
	return part{UUID: uuid.NewString(), MIMEType: media, Body: string(encoded)}
}

func joined(lines ...string) string {
	var kept []string
	for _, l := range lines {
		if l != "" {
			kept = append(kept, l)
		}
	}
	return strings.Join(kept, "\n")
}
