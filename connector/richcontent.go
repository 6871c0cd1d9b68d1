package connector

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

const (
	// deepestElement bounds how far nested rich content is followed; LivePerson's
	// own templates stay below five.
	deepestElement = 16
	// fallbackLimit bounds what is flattened, in bytes.
	fallbackLimit = 16 << 10
)

// richElement has what carries meaning in any of LivePerson's rich content
// elements ("Rich Messaging Introduction" page); looks are left out.
type richElement struct {
	Type     string `json:"type"`
	Text     string `json:"text"`
	Title    string `json:"title"`
	Subtitle string `json:"subtitle"`
	Caption  string `json:"caption"`
	URL      string `json:"url"`
	Key      string `json:"key"`
	Value    loose  `json:"value"`
	// Resp are the choices of the old quick reply template.
	Resp []string `json:"resp"`
	La   float64  `json:"la"`
	Lo   float64  `json:"lo"`
	// Elements and Replies stay raw so that depth is bounded by us.
	Elements oneOrMany[json.RawMessage] `json:"elements"`
	Replies  oneOrMany[json.RawMessage] `json:"replies"`
	Click    *richClick                 `json:"click"`
}

type richClick struct {
	Actions oneOrMany[richAction] `json:"actions"`
}

type richAction struct {
	Type string  `json:"type"`
	URI  string  `json:"uri"`
	La   float64 `json:"la"`
	Lo   float64 `json:"lo"`
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
	case "map":
		f.line(labelled(e.Title, position(e.La, e.Lo)))
	default:
		f.line(e.Title)
		f.line(e.Text)
		f.line(e.Subtitle)
		f.line(labelled(e.Key, string(e.Value)))
		f.line(labelled(e.Caption, e.URL))
		f.line(e.target())
	}
	for _, choice := range e.Resp {
		f.line("- " + choice)
	}
	for _, child := range slices.Concat(e.Elements, e.Replies) {
		f.element(child, depth+1)
	}
}

// button is "- title: where it leads". What a tap would publish is not shown:
// it is what the consumer would have to type, and mostly the title again.
func (e *richElement) button() string {
	label := e.Title
	if e.Subtitle != "" {
		label += " (" + e.Subtitle + ")"
	}
	if label = labelled(label, e.target()); label == "" {
		return ""
	}
	return "- " + label
}

// target is where a click leads to, if it does.
func (e *richElement) target() string {
	if e.Click == nil {
		return ""
	}
	for _, action := range e.Click.Actions {
		switch {
		case action.Type == "link" && action.URI != "":
			return action.URI
		case action.Type == "navigate":
			return position(action.La, action.Lo)
		}
	}
	return ""
}

func position(la, lo float64) string {
	return fmt.Sprintf("%g, %g", la, lo)
}

func labelled(label, what string) string {
	if label == "" || what == "" {
		return label + what
	}
	return label + ": " + what
}
