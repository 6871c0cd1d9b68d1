package connector

import (
	"encoding/json"
	"strings"
	"time"
)

const (
	// deepestElement bounds how far nested rich content is followed; LivePerson's
	// own templates stay below five.
	deepestElement = 16
	// fallbackLimit bounds what is flattened, in bytes.
	fallbackLimit = 16 << 10
)

// richElement has what carries meaning in any of LivePerson's rich content
// elements ("Rich Messaging Introduction" page); looks are left out. Fields are
// loose, so that one of the wrong type does not hide the others.
type richElement struct {
	Type     loose `json:"type"`
	Text     loose `json:"text"`
	Title    loose `json:"title"`
	Subtitle loose `json:"subtitle"`
	Caption  loose `json:"caption"`
	URL      loose `json:"url"`
	Key      loose `json:"key"`
	Value    loose `json:"value"`
	Alt      loose `json:"alt"`
	// Resp are the choices of the old quick reply template.
	Resp forgiving[loose] `json:"resp"`
	La   loose            `json:"la"`
	Lo   loose            `json:"lo"`
	// SelectMode names what carouselSelect and accordionSelect ask for, Titles the
	// parts of an accordion, one for each of its elements.
	SelectMode named            `json:"selectMode"`
	Titles     forgiving[named] `json:"titles"`
	// Elements and Replies stay raw so that depth is bounded by us.
	Elements forgiving[json.RawMessage] `json:"elements"`
	Replies  forgiving[json.RawMessage] `json:"replies"`
	Click    richClick                  `json:"click"`
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
	Type loose `json:"type"`
	// Text is that of publishText, PublishText that of a checked checkbox.
	Text        loose    `json:"text"`
	PublishText loose    `json:"publishText"`
	URI         loose    `json:"uri"`
	Web         platform `json:"web"`
	IOS         platform `json:"ios"`
	Android     platform `json:"android"`
	La          loose    `json:"la"`
	Lo          loose    `json:"lo"`
	// Slots are those of a scheduleSlotList.
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
	f.element(rich, 0)
	f.element(replies, 0)
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

// element adds an element and what it contains. What cannot be read is left out:
// half of a card is better than none.
func (f *flattener) element(raw json.RawMessage, depth int) {
	var e richElement
	if len(raw) == 0 || depth > deepestElement || f.size >= fallbackLimit || json.Unmarshal(raw, &e) != nil {
		return
	}
	switch e.Type {
	case "button", "submitButton":
		f.line(e.button())
	case "checkbox":
		f.line("- " + string(e.Text))
	case "map":
		f.line(labelled(string(e.Title), position(e.La, e.Lo)))
	default:
		f.line(string(e.Title))
		f.line(string(e.Text))
		f.line(string(e.Subtitle))
		f.line(string(e.SelectMode.Name))
		f.line(labelled(string(e.Key), string(e.Value)))
		f.line(labelled(string(e.Caption), string(e.URL)))
		f.line(e.target())
	}
	f.slots(&e)
	for _, choice := range e.Resp {
		if choice != "" {
			f.line("- " + string(choice))
		}
	}
	for i, child := range e.Elements {
		if i < len(e.Titles) {
			f.line(e.Titles[i].words())
		}
		f.element(child, depth+1)
	}
	for _, child := range e.Replies {
		f.reply(child, depth+1)
	}
}

// reply adds a quick reply, which is a button whether it says so or not.
func (f *flattener) reply(raw json.RawMessage, depth int) {
	var e richElement
	if json.Unmarshal(raw, &e) == nil && e.Type == "" {
		f.line(e.button())
		return
	}
	f.element(raw, depth)
}

// slots adds the appointments an element offers.
func (f *flattener) slots(e *richElement) {
	for _, action := range e.Click.Actions {
		if action.Type != "scheduleSlotList" {
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

// button is "- title: where it leads". What a tap would publish is not shown:
// it is what the consumer would have to type, and mostly the title again.
func (e *richElement) button() string {
	label := string(e.Title)
	if e.Subtitle != "" {
		label += " (" + string(e.Subtitle) + ")"
	}
	if label = labelled(label, e.target()); label == "" {
		return ""
	}
	return "- " + label
}

// target is where a click leads to, if it does.
func (e *richElement) target() string {
	for _, action := range e.Click.Actions {
		switch action.Type {
		case "link":
			if uri := first(action.URI, action.Web.URI, action.IOS.URI, action.Android.URI); uri != "" {
				return uri
			}
		case "navigate":
			return position(action.La, action.Lo)
		}
	}
	return ""
}

// publishText is what a click says in the consumer's name, empty if nothing.
func (e *richElement) publishText() string {
	for _, action := range e.Click.Actions {
		switch action.Type {
		case "publishText":
			return string(action.Text)
		case "checked":
			return string(action.PublishText)
		}
	}
	return ""
}

func position(la, lo loose) string {
	if la == "" || lo == "" {
		return ""
	}
	return string(la) + ", " + string(lo)
}

func labelled(label, what string) string {
	if label == "" || what == "" {
		return label + what
	}
	return label + ": " + what
}
