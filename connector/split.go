package connector

import (
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// defaultTextBudget leaves room for the rest of the request below LivePerson's
// limit of 5000 characters for a whole request.
const defaultTextBudget = 4000

// longestEscape is the most bytes of JSON one byte of a text can take.
const longestEscape = 6

// leastBudget lets any single rune fit, however it is escaped.
const leastBudget = 16

// SplitText cuts a text into parts that LivePerson takes, in order. budget is
// the most bytes a part may have inside a JSON string, escapes included; zero
// or less means 4000. LivePerson's guide counts "characters" and
// does not say of which kind: bytes hold for all of them.
//
// Cuts are made after white space where there is some, which stays at the end
// of the part before it; else between what people see as characters (grapheme
// clusters, Unicode TR29), unless one of those alone is too long. The parts joined give exactly the text again: nothing is trimmed,
// so a part can consist of white space alone when the text has that much of it.
// An empty text has no parts.
func SplitText(text string, budget int) []string {
	if budget <= 0 {
		budget = defaultTextBudget
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
	window := text
	if len(text) > budget {
		// No rune takes fewer bytes in JSON than it has, so nothing behind this
		// matters, however long a character is.
		window = text[:runeBorder(text, budget)]
	} else if len(text)*longestEscape <= budget || clusterSize(text) <= budget {
		return len(text)
	}
	used, word, state := 0, 0, -1
	for rest := window; rest != ""; {
		at := len(window) - len(rest)
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		size := clusterSize(cluster)
		if used+size > budget {
			switch {
			case word > 0:
				return word
			case at > 0:
				return at
			}
			return cutCluster(cluster, budget)
		}
		used += size
		if last, _ := utf8.DecodeLastRuneInString(cluster); unicode.IsSpace(last) {
			word = at + len(cluster)
		}
	}
	return len(window)
}

// runeBorder is the end of the rune that the byte at is part of.
func runeBorder(text string, at int) int {
	for at++; at < len(text) && !utf8.RuneStart(text[at]); at++ {
	}
	return at
}

func clusterSize(cluster string) (total int) {
	for at, r := range cluster {
		_, size := utf8.DecodeRuneInString(cluster[at:])
		total += escapedSize(r, size)
	}
	return total
}

// cutCluster cuts a character that no part can hold: it has more accents than
// anybody can read.
func cutCluster(cluster string, budget int) int {
	used := 0
	for at, r := range cluster {
		_, size := utf8.DecodeRuneInString(cluster[at:])
		if used += escapedSize(r, size); used > budget {
			return at
		}
	}
	return len(cluster)
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
