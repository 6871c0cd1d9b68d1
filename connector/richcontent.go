package connector

import (
	"encoding/json"
	"strings"
	"time"
)

// fallbackLimit bounds what is flattened, in bytes.
const fallbackLimit = 16 << 10

// richElement has what carries meaning in any of LivePerson's rich content
// elements ("Rich Messaging Introduction" page); looks are left out. Fields are
// loose, so that one of the wrong type does not hide the others.
type richElement struct {
	Type     word
	Text     loose
	Title    loose
	Subtitle loose
	Caption  loose
	URL      loose
	Key      loose
	Value    loose
	Alt      loose
	Tooltip  loose
	// Resp are the choices of the old quick reply template.
	Resp forgiving[loose]
	La   loose
	Lo   loose
	// SelectMode names what carouselSelect and accordionSelect ask for, Titles the
	// parts of an accordion, one for each of its elements.
	SelectMode named
	Titles     forgiving[named]
	Elements   []*richElement
	Replies    []*richElement
	Click      richClick
}

// field is where a member of the JSON object goes, nil for what carries no
// meaning.
func (e *richElement) field(name string) any {
	switch strings.ToLower(name) {
	case "type":
		return &e.Type
	case "text":
		return &e.Text
	case "title":
		return &e.Title
	case "subtitle":
		return &e.Subtitle
	case "caption":
		return &e.Caption
	case "url":
		return &e.URL
	case "key":
		return &e.Key
	case "value":
		return &e.Value
	case "alt":
		return &e.Alt
	case "resp":
		return &e.Resp
	case "la":
		return &e.La
	case "lo":
		return &e.Lo
	case "tooltip":
		return &e.Tooltip
	case "selectmode":
		return &e.SelectMode
	case "titles":
		return &e.Titles
	case "click":
		return &e.Click
	}
	return nil
}

type named struct {
	Name       loose `json:"name"`
	Additional loose `json:"additional"`
}

// UnmarshalJSON takes an object, and makes nothing of anything else.
func (n *named) UnmarshalJSON(raw []byte) error {
	type plain named
	_ = json.Unmarshal(raw, (*plain)(n))
	return nil
}

func (n named) words() string {
	if n.Additional == "" {
		return string(n.Name)
	}
	return strings.TrimSpace(string(n.Name) + " (" + string(n.Additional) + ")")
}

type richClick struct {
	Actions  forgiving[richAction] `json:"actions"`
	Metadata json.RawMessage       `json:"metadata"`
}

// UnmarshalJSON takes an object, and makes nothing of anything else.
func (c *richClick) UnmarshalJSON(raw []byte) error {
	type plain richClick
	_ = json.Unmarshal(raw, (*plain)(c))
	return nil
}

// richAction is what a click does ("Rich Messaging Introduction" page).
type richAction struct {
	Type word `json:"type"`
	// Text is that of publishText, PublishText that of a checked checkbox.
	Text        loose    `json:"text"`
	PublishText loose    `json:"publishText"`
	URI         loose    `json:"uri"`
	Web         platform `json:"web"`
	IOS         platform `json:"ios"`
	Android     platform `json:"android"`
	La          loose    `json:"la"`
	Lo          loose    `json:"lo"`
	// Name is what is there, of a place or an address.
	Name loose `json:"name"`
	// Title is what a datePicker or scheduleSlotList asks for, Slots what the latter
	// offers.
	Title loose           `json:"title"`
	Slots forgiving[slot] `json:"slots"`
}

// platform is where a link leads on one kind of device.
type platform struct {
	URI loose `json:"uri"`
}

// UnmarshalJSON takes an object, and makes nothing of anything else.
func (p *platform) UnmarshalJSON(raw []byte) error {
	type plain platform
	_ = json.Unmarshal(raw, (*plain)(p))
	return nil
}

// slot is one appointment of a scheduleSlotList.
type slot struct {
	Title       loose `json:"title"`
	Description loose `json:"description"`
	Start       whole `json:"start"`
	End         whole `json:"end"`
}

// words are the slot's time and title, the time in UTC since LivePerson gives no
// zone.
func (s slot) words() string {
	var parts []string
	if from, ok := slotTime(s.Start); ok {
		span := from.Format("2006-01-02 15:04")
		if to, ok := slotTime(s.End); ok {
			layout := "15:04"
			if to.YearDay() != from.YearDay() || to.Year() != from.Year() {
				layout = "2006-01-02 15:04"
			}
			span += " - " + to.Format(layout)
		}
		parts = append(parts, span+" UTC")
	}
	for _, text := range []loose{s.Title, s.Description} {
		if text != "" {
			parts = append(parts, string(text))
		}
	}
	return strings.Join(parts, ", ")
}

// slotTime reads a time in seconds or milliseconds: LivePerson's schema says only
// that it is a number.
func slotTime(w whole) (time.Time, bool) {
	if w.known && w.n > 0 && w.n < firstTime.UnixMilli() {
		w.n *= 1000
	}
	at := w.time()
	return at, !at.IsZero()
}

// flattener collects lines of text.
type flattener struct {
	lines []string
	size  int
}

// fallbackText gives text, rich content and quick replies as plain lines.
func fallbackText(text string, rich, replies json.RawMessage) string {
	var f flattener
	if text = strings.TrimRight(text, " \t\r\n"); text != "" {
		// What somebody wrote is never cut; only what we add to it is bounded.
		f.lines = append(f.lines, text)
	}
	f.element(readElement(rich))
	f.replies(readElement(replies).offered())
	return strings.Join(f.lines, "\n")
}

// line adds a line, unless the text has grown too long already.
func (f *flattener) line(text string) {
	text = strings.TrimRight(text, " \t\r\n")
	if text == "" || f.size+len(text) > fallbackLimit {
		return
	}
	f.lines = append(f.lines, text)
	f.size += len(text) + 1
}

// element adds an element and what it contains.
func (f *flattener) element(e *richElement) {
	if e == nil || f.size >= fallbackLimit {
		return
	}
	switch e.Type {
	case "button", "submitbutton":
		f.line(e.button())
	case "checkbox":
		f.line("- " + string(e.Text))
	case "map":
		f.line(labelled(first(e.Title, e.Caption, e.Alt, e.Tooltip, e.named()), position(e.La, e.Lo)))
	case "image":
		f.line(string(e.Title))
		f.line(labelled(first(e.Caption, e.Alt), string(e.URL)))
		f.leads(e)
	default:
		f.line(string(e.Title))
		f.line(string(e.Text))
		f.line(string(e.Subtitle))
		f.line(string(e.SelectMode.Name))
		f.line(labelled(string(e.Key), string(e.Value)))
		f.line(labelled(string(e.Caption), string(e.URL)))
		f.leads(e)
	}
	f.slots(e)
	for _, choice := range e.Resp {
		if choice != "" {
			f.line("- " + string(choice))
		}
	}
	for i, child := range e.Elements {
		if i < len(e.Titles) {
			f.line(e.Titles[i].words())
		}
		f.element(child)
	}
	if len(e.Replies) > 0 {
		f.replies(e.offered())
	}
}

// leads adds where an element leads, unless its own address says that already.
func (f *flattener) leads(e *richElement) {
	if to := e.target(); to != string(e.URL) {
		f.line(to)
	}
}

// replies adds quick replies, each of which is a button whether it says so or not.
func (f *flattener) replies(offered []*richElement) {
	for _, e := range offered {
		if e.Type == "" || e.Type == typeText {
			f.line(e.button())
			continue
		}
		f.element(e)
	}
}

// offered are the quick replies in what holds them: LivePerson's template, or a list
// without anything around it.
func (e *richElement) offered() (all []*richElement) {
	switch {
	case e == nil:
	case len(e.Replies) > 0:
		for _, reply := range e.Replies {
			if len(reply.Replies) > 0 {
				all = append(all, reply.offered()...)
			} else {
				all = append(all, reply)
			}
		}
	case e.Type == "":
		return e.Elements
	case e.Type == typeText || e.Type == "button":
		return []*richElement{e}
	}
	return all
}

// slots adds the appointments an element offers, or asks for.
func (f *flattener) slots(e *richElement) {
	for _, action := range e.Click.Actions {
		if action.Type != "scheduleslotlist" && action.Type != "datepicker" {
			continue
		}
		if action.Title != e.Title {
			f.line(string(action.Title))
		}
		for _, slot := range action.Slots {
			if words := slot.words(); words != "" {
				f.line("- " + words)
			}
		}
	}
}
