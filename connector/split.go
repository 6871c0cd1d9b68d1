package connector

import (
	"unicode"
	"unicode/utf8"
)

// DefaultTextBudget leaves room for the rest of the request below LivePerson's
// limit of 5000 characters for a whole request.
const DefaultTextBudget = 4000

// leastBudget lets any single rune fit, however it is escaped.
const leastBudget = 16

// longestCluster bounds how far a cut moves back to spare an emoji sequence.
const longestCluster = 64

// SplitText cuts a text into parts that LivePerson takes, in order. budget is
// the most bytes a part may have inside a JSON string, escapes included; zero
// or less means DefaultTextBudget. LivePerson's guide counts "characters" and
// does not say of which kind: bytes hold for all of them.
//
// Cuts are made after white space where there is some, which stays at the end
// of the part before it; else between characters, sparing what belongs together
// on screen. The parts joined give exactly the text again: nothing is trimmed,
// so a part can consist of white space alone when the text has that much of it.
// An empty text has no parts.
func SplitText(text string, budget int) []string {
	if budget <= 0 {
		budget = DefaultTextBudget
	}
	budget = max(budget, leastBudget)
	var parts []string
	for text != "" {
		end := cut(text, budget)
		parts = append(parts, text[:end])
		text = text[end:]
	}
	return parts
}

// cut finds where the first part of the text ends.
func cut(text string, budget int) int {
	used, word := 0, 0
	for at, r := range text {
		_, size := utf8.DecodeRuneInString(text[at:])
		used += escapedSize(r, size)
		if used > budget {
			if word > 0 {
				return word
			}
			return clusterBorder(text, at)
		}
		next := at + size
		// "\r\n" is one line break.
		if unicode.IsSpace(r) && !(r == '\r' && next < len(text) && text[next] == '\n') && !joins(r, text[next:]) {
			word = next
		}
	}
	return len(text)
}

// escapedSize is what a rune takes in a JSON string as encoding/json writes it
// without HTML escapes. size is the rune's width in the text.
func escapedSize(r rune, size int) int {
	switch {
	case r == '"', r == '\\', r == '\n', r == '\r', r == '\t', r == '\b', r == '\f':
		return 2
	case r < ' ', r == '\u2028', r == '\u2029':
		return 6
	case r == utf8.RuneError && size == 1: // an invalid byte, written as an escaped U+FFFD
		return 6
	}
	return size
}

// clusterBorder moves a cut back to where no visible character is torn apart,
// or leaves it where it is if that is too far away.
func clusterBorder(text string, at int) int {
	for border := at; border > 0 && at-border <= longestCluster; {
		before, size := utf8.DecodeLastRuneInString(text[:border])
		if !joins(before, text[border:]) && !splitsFlag(text, border) {
			return border
		}
		border -= size
	}
	return at
}

const zeroWidthJoiner = '\u200d'

// joins tells whether the rune before and the text after make one character.
func joins(before rune, after string) bool {
	next, _ := utf8.DecodeRuneInString(after)
	return before == zeroWidthJoiner || before == '\r' && next == '\n' || next == zeroWidthJoiner ||
		unicode.In(next, unicode.Mn, unicode.Me, unicode.Mc) ||
		next >= 0x1F3FB && next <= 0x1F3FF || // skin tones
		next >= 0xE0020 && next <= 0xE007F // tags of regional flags
}

// splitsFlag tells whether a border separates the two halves of a flag: an odd
// number of regional indicators before it, another one after it.
func splitsFlag(text string, border int) bool {
	if next, _ := utf8.DecodeRuneInString(text[border:]); !regional(next) {
		return false
	}
	halves := 0
	for at := border; at > 0 && border-at <= longestCluster; halves++ {
		before, size := utf8.DecodeLastRuneInString(text[:at])
		if !regional(before) {
			break
		}
		at -= size
	}
	return halves%2 == 1
}

func regional(r rune) bool { return r >= 0x1F1E6 && r <= 0x1F1FF }
