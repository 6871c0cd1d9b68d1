package chatwoot

import (
	"regexp"
	"strings"

	"lpbridge/bridge"
)

// zeroWidth keeps two characters apart without being seen.
const zeroWidth = "\u200b"

// defuse keeps Chatwoot from running an agent's text as a Liquid template
// (Chatwoot, Liquid variables), by which {{ contact.email }} would be filled in
// and {{ anything }} vanish. The raw tag would not do: Chatwoot puts one of its
// own around text in backticks, and they do not nest. An opening brace before a
// backtick would make a template of that tag.
func defuse(text string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		b.WriteByte(text[i])
		if text[i] == '{' && i+1 < len(text) && strings.IndexByte("{%`", text[i+1]) >= 0 {
			b.WriteString(zeroWidth)
		}
	}
	return b.String()
}

var (
	// addresses are left alone: an escape in one breaks the link.
	addresses = regexp.MustCompile(`https?://\S+`)
	anywhere  = regexp.MustCompile("[\\\\`*_~<&|\\[\\]]")
	lineStart = regexp.MustCompile(`(?m)^([ \t]*)([#>=+:-]|[0-9]{1,9}[.)])`)
	// indents would make code of a line, or vanish.
	indents = regexp.MustCompile(`(?m)^[ \t]+`)
)

// escapeMarkdown makes a text show as it was written where Markdown is rendered
// (CommonMark, section 2.4: backslash escapes).
func escapeMarkdown(text string) string {
	var b strings.Builder
	end := 0
	for _, at := range addresses.FindAllStringIndex(text, -1) {
		b.WriteString(escapeInline(text[end:at[0]]))
		b.WriteString(text[at[0]:at[1]])
		end = at[1]
	}
	b.WriteString(escapeInline(text[end:]))
	escaped := lineStart.ReplaceAllStringFunc(b.String(), func(start string) string {
		last := len(start) - 1
		return start[:last] + `\` + start[last:]
	})
	return indents.ReplaceAllStringFunc(escaped, func(blank string) string {
		return strings.NewReplacer(" ", noBreak, "\t", strings.Repeat(noBreak, tabWidth)).Replace(blank)
	})
}

// noBreak is a blank that Markdown takes for a character like any other.
const noBreak = "\u00a0"

// tabWidth is how many blanks a tab stands for (CommonMark, section 2.2).
const tabWidth = 4

func escapeInline(text string) string { return anywhere.ReplaceAllString(text, `\$0`) }

// contentOf writes an agent's text, and files that are no uploads as their names
// and addresses.
func contentOf(said string, links []bridge.Attachment, markdown string) string {
	lines := make([]string, 0, 1+len(links))
	if said != "" {
		lines = append(lines, said)
	}
	for _, a := range links {
		name := a.Name
		if name == said {
			name = ""
		}
		address := a.URL
		if !isWebAddress(address) {
			address = bridge.UnshownFile
		}
		if line := strings.TrimSpace(name + " " + address); line != "" {
			lines = append(lines, line)
		}
	}
	text := strings.Join(lines, "\n")
	if markdown == markdownEscape {
		text = escapeMarkdown(text)
	}
	return defuse(text)
}
