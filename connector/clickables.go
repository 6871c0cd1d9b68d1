package connector

import (
	"cmp"
	"encoding/json"
	"strconv"
	"strings"
)

// Clickable is something a consumer can choose in a message: a quick reply, or an
// element of structured content at any depth ("Rich Messaging Introduction" and
// "Quick Replies Template" pages). To report a click send, into the dialog of the
// message, an [AcceptStatusEvent] with status [Action], Sequence and Metadata, and
// then PublishText, if any, as a [ContentEvent] with the same Metadata.
type Clickable struct {
	// ID is its number within the message: quick replies first, then elements as
	// they are read.
	ID string
	// Title is what the consumer reads; it may be empty on pictures and maps.
	Title string
	// Heading is what stands above it in the message, such as the name of a product;
	// empty where nothing does.
	Heading string
	// PublishText is what the click says in the consumer's name, empty when it
	// says nothing.
	PublishText string
	// Link is the address, or the coordinates, it leads to.
	Link string
	// Metadata is the element's click.metadata as it came, nil without one.
	Metadata json.RawMessage
	// Sequence is that of the message.
	Sequence Sequence
	// QuickReply tells a reply that is offered beside the message, once, from an
	// element of the message itself.
	QuickReply bool
}

// maxClickables bounds what one message can offer; LivePerson allows 24 quick
// replies and 256 elements in a card.
const maxClickables = 512

// Clickables lists what the message offers to be chosen.
func (c *MessagingChange) Clickables() []Clickable {
	w := clickWalk{sequence: c.Sequence}
	w.replies(readElement(c.Event.QuickReplies).offered())
	w.heading = ""
	w.element(readElement(c.Event.RichContent))
	return w.found
}

// replies walks quick replies, each of which may be its words alone.
func (w *clickWalk) replies(offered []*richElement) {
	w.quick = true
	for _, reply := range offered {
		if reply.Type == typeText && reply.Title == "" {
			w.add(Clickable{Title: string(reply.Text), PublishText: cmp.Or(reply.publishText(), string(reply.Text)), Metadata: notNull(reply.Click.Metadata)})
			continue
		}
		w.element(reply)
	}
	w.quick = false
}

type clickWalk struct {
	sequence Sequence
	quick    bool
	found    []Clickable
	// heading is what stands above the next element, and spent says that something
	// stands below it already.
	heading string
	spent   bool
}

func (w *clickWalk) element(e *richElement) {
	if e == nil {
		return
	}
	w.read(e)
	metadata := notNull(e.Click.Metadata)
	text, link := e.publishText(), e.target()
	// A quick reply is one by where it is; an element needs something to click for.
	if w.quick || text != "" || link != "" || metadata != nil && len(e.Resp) == 0 {
		w.add(Clickable{Title: first(e.Title, e.Text, e.Caption, e.Alt), PublishText: text, Link: link, Metadata: metadata})
	}
	for _, choice := range e.Resp {
		if choice != "" {
			w.add(Clickable{Title: string(choice), PublishText: string(choice), Metadata: metadata})
		}
	}
	w.inside(e.Elements)
	if len(e.Replies) > 0 && !w.quick {
		w.replies(e.offered())
	}
}

// read takes words that can be a heading for what follows.
func (w *clickWalk) read(e *richElement) {
	switch e.Type {
	case "button", "submitbutton", "checkbox", "image", "map":
		return
	}
	words, _, _ := strings.Cut(strings.TrimSpace(first(e.Title, e.Text)), "\n")
	if words != "" && (w.heading == "" || w.spent) {
		w.heading, w.spent = strings.TrimSpace(words), false
	}
}

// inside walks what an element contains. Its own heading stands above what has none
// of its own, and what has one does not lend it to what follows.
func (w *clickWalk) inside(elements []*richElement) {
	if len(elements) == 0 {
		return
	}
	heading, spent, before := w.heading, w.spent, len(w.found)
	w.spent = true
	for _, child := range elements {
		w.element(child)
	}
	if nothing := len(w.found) == before; nothing && (heading == "" || spent) && w.heading != heading {
		w.spent = false
		return
	}
	w.heading, w.spent = heading, spent || len(w.found) > before
}

func (w *clickWalk) add(c Clickable) {
	if len(w.found) < maxClickables {
		c.ID, c.Sequence, c.QuickReply, c.Heading = strconv.Itoa(len(w.found)), w.sequence, w.quick, w.heading
		w.spent = true
		w.found = append(w.found, c)
	}
}
