package bridge

import (
	"slices"
	"strconv"
	"strings"
)

// Name is what a reply is called where nothing but its name is shown.
func (q QuickReply) Name() string {
	if q.Label != "" {
		return q.Label
	}
	return q.Title
}

// Numbered is the text of the message with a number for all that can be chosen, by
// which a consumer may name it who can only write: where it stands among the words
// of structured content, or else below them.
func (m *Message) Numbered() string {
	var lines []string
	if m.Text != "" {
		lines = strings.Split(m.Text, "\n")
	}
	for i, q := range m.QuickReplies {
		number := strconv.Itoa(i+1) + ". "
		if at := slices.Index(lines, "- "+q.Title); at >= 0 {
			lines[at] = number + q.Title
		} else {
			lines = append(lines, number+q.Name())
		}
	}
	return strings.Join(lines, "\n")
}
