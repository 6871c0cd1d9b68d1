package bridge

import (
	"strings"
	"unicode"
)

// scoreWords are the words for a score besides its number: those of English, and the
// faces of Chatwoot's surveys with their names (Chatwoot, CSAT).
var scoreWords = map[string]int{
	"one": 1, "two": 2, "three": 3, "four": 4, "five": 5,
	"😞": 1, "😑": 2, "😐": 3, "😀": 4, "😍": 5,
	"disappointed": 1, "expressionless": 2, "neutral": 3, "grinning": 4, "smiling": 5,
}

// ParseScore reads a rating of 1 to 5 as clients and forms write it: a number with
// anything behind it, as in "4/5", that many stars, a face, or a word. What says
// nothing of the kind is no rating.
func ParseScore(text string) (score int, ok bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	if known := scoreWords[text]; known != 0 {
		return known, true
	}
	if digits, _, _ := strings.Cut(text, " "); digits != "" && '0' <= digits[0] && digits[0] <= '9' {
		number := strings.TrimLeft(digits[:len(digits)-len(strings.TrimLeft(digits, "0123456789"))], "0")
		if len(number) != 1 || number > "5" {
			return 0, false
		}
		return int(number[0] - '0'), true
	}
	score = strings.Count(text, "★") + strings.Count(text, "⭐")
	others := strings.ContainsFunc(text, func(r rune) bool { return !strings.ContainsRune("★⭐☆\ufe0f", r) && !unicode.IsSpace(r) })
	return score, score >= 1 && score <= 5 && !others
}
